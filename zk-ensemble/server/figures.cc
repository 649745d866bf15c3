// The figures of mntr and of GET /metrics, one row each.
// Source: ZooKeeper Administrator's Guide, "The Four Letter Words" (mntr); ZooKeeper Monitor Guide.
#include <sys/resource.h>
#include <unistd.h>

#include "zk-ensemble/server/four_letter.h"

namespace ottla::zk {
namespace {

using metrics::Type;
using View = const OperatorView&;

template <class T>
double num(T value) {
  return static_cast<double>(value);
}
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double file_limit() {
  rlimit files{};
  (void)::getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<double>(files.rlim_cur);
}

double open_files() {
  // The lowest free descriptor is not the count, but listing /proc/self/fd for each mntr would open
  // one more; what is asked for is the order of magnitude.
  int fd = ::dup(0);
  if (fd < 0) return 0;
  ::close(fd);
  return fd;
}

#define FIGURE(name, type, unit, help, expression, ...) \
  {{"zk_" name, name, Type::type, unit, help}, [](View v) { (void)v; return num(expression); } __VA_OPT__(, ) __VA_ARGS__}

const Figure kFigures[] = {
    FIGURE("avg_latency", gauge, "ms", "Mean time from request to answer.",
           v.pipeline.stats().latency.average(), true),
    FIGURE("max_latency", gauge, "ms", "Longest time from request to answer.",
           v.pipeline.stats().latency.max_ms),
    FIGURE("min_latency", gauge, "ms", "Shortest time from request to answer.",
           v.pipeline.stats().latency.min()),
    FIGURE("packets_received", gauge, "", "Frames received from clients.",
           v.pipeline.stats().packets_received),
    FIGURE("packets_sent", gauge, "", "Frames sent to clients.",
           v.pipeline.stats().packets_sent),
    FIGURE("num_alive_connections", gauge, "", "Client connections.",
           v.port.count()),
    FIGURE("outstanding_requests", gauge, "", "Requests received and not yet answered.",
           v.pipeline.outstanding()),
    FIGURE("znode_count", gauge, "", "Nodes in the tree.",
           v.pipeline.tree().node_count()),
    FIGURE("watch_count", gauge, "", "Watches set.",
           v.pipeline.watches().data().watch_count() + v.pipeline.watches().children().watch_count()),
    FIGURE("ephemerals_count", gauge, "", "Ephemeral nodes.",
           v.pipeline.tree().ephemeral_count()),
    FIGURE("approximate_data_size", gauge, "bytes", "Paths and data of all nodes.",
           v.pipeline.tree().approximate_data_size()),
    FIGURE("open_file_descriptor_count", gauge, "", "Open files and sockets.",
           open_files()),
    FIGURE("max_file_descriptor_count", gauge, "", "Files and sockets that may be open.",
           file_limit()),
    FIGURE("uptime", gauge, "ms", "Since the start.",
           v.now.ms() - v.started.ms()),
    FIGURE("global_sessions", gauge, "", "Sessions.",
           v.pipeline.tree().sessions().size()),
    FIGURE("local_sessions", gauge, "", "Sessions of this server alone; not built.",
           0),
    FIGURE("auth_failed_count", gauge, "", "Refused auth packets.",
           v.pipeline.stats().auth_failures),
    FIGURE("digest_mismatches_count", counter, "", "Transactions after which the tree differed from the writer's.",
           v.pipeline.tree().digest_mismatches()),
    FIGURE("connection_request_count", counter, "", "Connections accepted.",
           v.port.stats().accepted),
    FIGURE("connection_rejected", counter, "", "Connections over a limit.",
           v.port.stats().rejected),
    FIGURE("connection_drop_count", counter, "", "Connections closed by the server.",
           v.pipeline.stats().connections_dropped),
    FIGURE("sessionless_connections_expired", counter, "", "Connections that never asked for a session.",
           v.port.stats().sessionless_expired),
    FIGURE("stale_sessions_expired", counter, "", "Sessions that timed out.",
           v.pipeline.stats().sessions_expired),
    FIGURE("bytes_received_count", counter, "bytes", "Received from clients.",
           v.port.stats().bytes_received),
    FIGURE("response_bytes", counter, "bytes", "Sent to clients.",
           v.port.stats().bytes_sent),
    FIGURE("commit_count", counter, "", "Transactions made durable.",
           v.log.records),
    FIGURE("fsync_threshold_exceed_count", counter, "", "Syncs slower than fsync.warningthresholdms.",
           v.log.slow_syncs),
    FIGURE("avg_fsynctime", gauge, "ms", "Mean time of a log sync.",
           v.log.commits == 0 ? 0 : ms(v.log.sync_ns_sum) / num(v.log.commits), true),
    FIGURE("max_fsynctime", gauge, "ms", "Longest log sync.",
           ms(v.log.sync_ns_max), true),
    FIGURE("cnt_fsynctime", counter, "", "Log syncs.",
           v.log.commits),
    FIGURE("sum_fsynctime", counter, "ms", "Time in log syncs.",
           ms(v.log.sync_ns_sum), true),
    FIGURE("cnt_sync_processor_batch_size", counter, "", "Batches written to the log.",
           v.log.commits),
    FIGURE("sum_sync_processor_batch_size", counter, "", "Transactions in them.",
           v.log.records),
    FIGURE("cnt_snapshottime", counter, "", "Snapshots taken.",
           v.snapshots.taken),
    FIGURE("max_snapshottime", gauge, "ms", "Longest snapshot.",
           v.snapshots.max_ms),
    FIGURE("sum_snapshottime", counter, "ms", "Time in snapshots.",
           v.snapshots.sum_ms),
    FIGURE("snapshot_error_count", counter, "", "Snapshots that failed.",
           v.snapshots.failed),
    FIGURE("startup_txns_loaded", gauge, "", "Transactions replayed at the start.",
           v.replayed),
    FIGURE("startup_txns_load_time", gauge, "ms", "Time of the recovery.",
           v.recovery_ms),
    FIGURE("cnt_readlatency", counter, "", "Reads answered.",
           v.pipeline.stats().reads),
    FIGURE("cnt_updatelatency", counter, "", "Writes answered.",
           v.pipeline.stats().writes),
    FIGURE("refused_writes", counter, "", "Writes answered with an error.",
           v.pipeline.stats().refused_writes),
    FIGURE("watches_fired", counter, "", "Watch events sent.",
           v.pipeline.stats().watches_fired),
};
#undef FIGURE

}  // namespace

std::span<const Figure> figures() { return kFigures; }

}  // namespace ottla::zk
