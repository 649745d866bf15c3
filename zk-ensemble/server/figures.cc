// The figures of mntr, of the monitor command and of GET /metrics: all that Apache's standalone server
// gives, in its order. Those of its internal queues and of a quorum have no counterpart and stay zero:
// who collects them finds the key.
// Source: ZooKeeper Administrator's Guide, "The Four Letter Words" (mntr); ZooKeeper Monitor Guide.
#include <fmt/core.h>
#include <sys/resource.h>

#include <cmath>
#include <map>
#include <span>
#include <string>

#include "common/base/wrapping.h"
#include "zk-ensemble/server/four_letter.h"

namespace ottla::zk {
namespace {

using metrics::Type;
using View = const OperatorView&;

template <class T>
double num(T value) {
  return static_cast<double>(value);
}
int64_t num64(uint64_t value) { return static_cast<int64_t>(value); }

double file_limit() {
  rlimit files{};
  (void)::getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<double>(files.rlim_cur);
}

double open_files(View v) {
  auto names = v.disk.list("/proc/self/fd");  // and it itself
  return names ? num(names->size() - 1) : 0;
}

SummaryValue of(const LatencyStats& stats) {
  return {.count = stats.count, .sum = stats.total_ms, .min = stats.min(), .max = stats.max_ms};
}
SummaryValue of(const metrics::Histogram& values) {
  return {.count = num64(values.count()), .sum = num64(values.sum()), .min = num64(values.min()),
          .max = num64(values.max()), .values = &values};
}
SummaryValue once(int64_t value, bool happened = true) {
  if (!happened) return {};
  return {.count = 1, .sum = value, .min = value, .max = value};
}

#define VALUE(name, type, unit, help, expression, ...) \
  {{"zk_" name, name, Type::type, unit, help}, Figure::Kind::value, [](View v) { (void)v; return num(expression); }, nullptr __VA_OPT__(, ) __VA_ARGS__}
#define SUMMARY(name, kind, unit, help, ...) \
  {{"zk_" name, name, Type::histogram, unit, help}, Figure::Kind::kind, nullptr, [](View v) { return __VA_ARGS__; }}
#define NONE(name, type) \
  {{"zk_" name, name, Type::type, "", "No counterpart here; always 0."}, Figure::Kind::value, nullptr, nullptr}
#define EMPTY(name, kind) \
  {{"zk_" name, name, Type::histogram, "", "No counterpart here; always 0."}, Figure::Kind::kind, nullptr, nullptr}

const Figure kFigures[] = {
    VALUE("ephemerals_count", gauge, "", "Ephemeral nodes.", v.pipeline.tree().ephemeral_count()),
    VALUE("num_alive_connections", gauge, "", "Client connections.", v.port.count()),
    VALUE("avg_latency", gauge, "ms", "Mean time from request to answer.", v.pipeline.stats().latency.average(), true),
    VALUE("outstanding_requests", gauge, "", "Requests received and not yet answered.", v.pipeline.outstanding()),
    VALUE("znode_count", gauge, "", "Nodes in the tree.", v.pipeline.tree().node_count()),
    VALUE("global_sessions", gauge, "", "Sessions.", v.pipeline.tree().sessions().size()),
    NONE("non_mtls_remote_conn_count", gauge),
    VALUE("last_client_response_size", gauge, "bytes", "Size of the last answer; -1 before the first.", v.pipeline.stats().response_last),
    VALUE("packets_sent", gauge, "", "Frames sent to clients.", v.pipeline.stats().packets_sent),
    VALUE("packets_received", gauge, "", "Frames received from clients.", v.pipeline.stats().packets_received),
    VALUE("max_client_response_size", gauge, "bytes", "Largest answer.", v.pipeline.stats().response_max),
    VALUE("connection_drop_probability", gauge, "", "Chance of a client to be refused a session by connection_throttle.", v.pipeline.connection_drop_probability(), true),
    VALUE("watch_count", gauge, "", "Watches set.", v.pipeline.watches().data().watch_count() + v.pipeline.watches().children().watch_count()),
    VALUE("auth_failed_count", gauge, "", "Refused auth packets.", v.pipeline.stats().auth_failures),
    VALUE("min_latency", gauge, "ms", "Shortest time from request to answer.", v.pipeline.stats().latency.min()),
    VALUE("max_file_descriptor_count", gauge, "", "Files and sockets that may be open.", file_limit()),
    VALUE("approximate_data_size", gauge, "bytes", "Paths and data of all nodes.", v.pipeline.tree().approximate_data_size()),
    VALUE("open_file_descriptor_count", gauge, "", "Open files and sockets.", open_files(v)),
    NONE("local_sessions", gauge),
    VALUE("uptime", gauge, "ms", "Since the start.", v.now.ms() - v.started.ms()),
    VALUE("max_latency", gauge, "ms", "Longest time from request to answer.", v.pipeline.stats().latency.max_ms),
    NONE("outstanding_tls_handshake", gauge),
    VALUE("min_client_response_size", gauge, "bytes", "Smallest answer.", v.pipeline.stats().response_min),
    NONE("non_mtls_local_conn_count", gauge),
    VALUE("watch_bytes", counter, "bytes", "Sent in watch events.", v.pipeline.stats().watch_bytes),
    VALUE("stale_requests_dropped", counter, "", "Requests dropped because they became stale while held back.", v.throttle.stale_dropped),
    VALUE("throttled_ops", counter, "", "Requests answered THROTTLEDOP.", v.pipeline.stats().throttled_ops),
    NONE("insecure_admin_count", counter),
    VALUE("connection_rejected", counter, "", "Connections over a limit.", v.port.stats().rejected + v.pipeline.stats().connects_throttled),
    VALUE("sessionless_connections_expired", counter, "", "Connections that never asked for a session.", v.port.stats().sessionless_expired),
    NONE("dead_watchers_queued", counter),
    VALUE("stale_requests", counter, "", "Requests that became stale while held back.", v.throttle.stale_dropped),
    VALUE("connection_drop_count", counter, "", "Connections closed by the server.", v.pipeline.stats().connections_dropped),
    NONE("response_packet_cache_hits", counter),
    VALUE("bytes_received_count", counter, "bytes", "Received from clients.", v.port.stats().bytes_received),
    NONE("add_dead_watcher_stall_time", counter),
    VALUE("request_throttle_wait_count", counter, "", "Times that a connection was held back by request_throttle_max_requests.", v.throttle.waits),
    NONE("requests_not_forwarded_to_commit_processor", counter),
    NONE("response_packet_cache_misses", counter),
    VALUE("prep_processor_request_queued", counter, "", "Requests decided.", v.pipeline.stats().packets_received),
    NONE("stale_replies", counter),
    VALUE("response_bytes", counter, "bytes", "Sent to clients.", v.port.stats().bytes_sent),
    NONE("ensemble_auth_fail", counter),
    NONE("diff_count", counter),
    VALUE("connection_revalidate_count", counter, "", "Sessions taken up again.", v.pipeline.stats().reconnects),
    NONE("quit_leading_due_to_disloyal_voter", counter),
    NONE("unrecoverable_error_count", counter),
    NONE("unsuccessful_handshake", counter),
    VALUE("commit_count", counter, "", "Transactions made durable.", v.log.records),
    VALUE("outstanding_changes_queued", counter, "", "Changes proposed.", v.log.records),
    NONE("request_commit_queued", counter),
    NONE("ensemble_auth_skip", counter),
    NONE("skip_learner_request_to_next_processor_count", counter),
    NONE("proposal_count", counter),
    VALUE("large_requests_rejected", counter, "", "Requests over largeRequestMaxBytes.", v.pipeline.stats().large_requests_rejected),
    VALUE("outstanding_changes_removed", counter, "", "Changes applied.", v.pipeline.stats().writes + v.pipeline.stats().refused_writes),
    VALUE("restore_error_count", counter, "", "Restores that failed.", v.admin.restore_errors),
    NONE("cnxn_closed_without_zk_server_running", counter),
    NONE("looking_count", counter),
    VALUE("snapshot_rate_limited_count", counter, "", "Snapshot commands refused by the rate limit.", v.admin.snapshot_rate_limited),
    NONE("learner_proposal_received_count", counter),
    VALUE("digest_mismatches_count", counter, "", "Transactions after which the tree differed from the writer's.", v.pipeline.tree().digest_mismatches()),
    NONE("dead_watchers_cleared", counter),
    NONE("ensemble_auth_success", counter),
    NONE("learner_commit_received_count", counter),
    VALUE("snapshot_error_count", counter, "", "Snapshots that failed.", v.snapshots.failed),
    VALUE("connection_request_count", counter, "", "Clients that asked for a session.", v.pipeline.stats().connects),
    NONE("response_packet_get_children_cache_misses", counter),
    NONE("snap_count", counter),
    VALUE("stale_sessions_expired", counter, "", "Sessions that timed out.", v.pipeline.stats().sessions_expired),
    VALUE("restore_rate_limited_count", counter, "", "Restores refused by the rate limit.", v.admin.restore_rate_limited),
    NONE("response_packet_get_children_cache_hits", counter),
    VALUE("sync_processor_request_queued", counter, "", "Transactions queued for the log.", v.log.records),
    NONE("tls_handshake_exceeded", counter),
    NONE("revalidate_count", counter),
    // Ours alone.
    VALUE("fsync_threshold_exceed_count", counter, "", "Syncs slower than fsync.warningthresholdms.", v.log.slow_syncs),
    VALUE("refused_writes", counter, "", "Writes answered with an error.", v.pipeline.stats().refused_writes),
    VALUE("watches_fired", counter, "", "Watch events sent.", v.pipeline.stats().watches_fired),
    EMPTY("socket_closing_time", summary),
    EMPTY("proposal_process_time", summary),
    EMPTY("leader_unavailable_time", summary),
    SUMMARY("node_created_watch_count", summary, "", "Watchers told of a created node.", of(v.pipeline.stats().fired_created)),
    EMPTY("session_queues_drained", summary),
    EMPTY("write_commit_proc_req_queued", summary),
    SUMMARY("connection_token_deficit", summary, "", "Tokens of the connection throttle in use.", of(v.pipeline.stats().token_deficit)),
    EMPTY("read_commit_proc_req_queued", summary),
    SUMMARY("node_deleted_watch_count", summary, "", "Watchers told of a deleted node.", of(v.pipeline.stats().fired_deleted)),
    SUMMARY("startup_txns_load_time", summary, "ms", "Time of the recovery at the start.", once(v.recovery_ms, v.replayed != 0)),
    EMPTY("sync_processor_queue_size", summary),
    EMPTY("follower_sync_time", summary),
    EMPTY("prep_processor_queue_size", summary),
    SUMMARY("fsynctime", summary, "ms", "Time of log syncs.", of(v.log.sync_ms)),
    EMPTY("inflight_snap_count", summary),
    EMPTY("reads_issued_from_session_queue", summary),
    SUMMARY("restore_time", summary, "ms", "Time of restores.", of(v.admin.restore_time)),
    EMPTY("learner_request_processor_queue_size", summary),
    SUMMARY("snapshottime", summary, "ms", "Time of snapshots.", of(v.snapshots.time)),
    EMPTY("unavailable_time", summary),
    SUMMARY("startup_txns_loaded", summary, "", "Transactions replayed at the start.", once(v.replayed, v.replayed != 0)),
    EMPTY("reads_after_write_in_session_queue", summary),
    EMPTY("requests_in_session_queue", summary),
    EMPTY("write_commit_proc_issued", summary),
    EMPTY("prep_process_time", summary),
    EMPTY("pending_session_queue_size", summary),
    EMPTY("time_waiting_empty_pool_in_commit_processor_read_ms", summary),
    EMPTY("commit_process_time", summary),
    SUMMARY("dbinittime", summary, "ms", "Time of the recovery at the start.", once(v.recovery_ms)),
    EMPTY("inflight_diff_count", summary),
    EMPTY("netty_queued_buffer_capacity", summary),
    EMPTY("election_time", summary),
    EMPTY("commit_commit_proc_req_queued", summary),
    SUMMARY("sync_processor_batch_size", summary, "", "Transactions in a batch of the log.", of(v.log.commit_records)),
    SUMMARY("node_children_watch_count", summary, "", "Watchers told of changed children.", of(v.pipeline.stats().fired_children)),
    EMPTY("write_batch_time_in_commit_processor", summary),
    EMPTY("read_commit_proc_issued", summary),
    EMPTY("concurrent_request_processing_in_commit_processor", summary),
    EMPTY("observer_sync_time", summary),
    SUMMARY("node_changed_watch_count", summary, "", "Watchers told of changed data.", of(v.pipeline.stats().fired_changed)),
    SUMMARY("sync_process_time", summary, "ms", "Time of log syncs.", of(v.log.sync_ms)),
    SUMMARY("startup_snap_load_time", summary, "ms", "Time of the recovery at the start.", once(v.recovery_ms)),
    EMPTY("prep_processor_queue_time_ms", percentiles),
    EMPTY("jvm_pause_time_ms", percentiles),
    EMPTY("close_session_prep_time", percentiles),
    EMPTY("read_commitproc_time_ms", percentiles),
    SUMMARY("updatelatency", percentiles, "ms", "Time of writes.", of(v.pipeline.stats().update_ms)),
    EMPTY("local_write_committed_time_ms", percentiles),
    SUMMARY("request_throttle_queue_time_ms", percentiles, "ms", "Time that requests were held back.", of(v.pipeline.stats().throttle_queue_ms)),
    SUMMARY("readlatency", percentiles, "ms", "Time of reads.", of(v.pipeline.stats().read_ms)),
    EMPTY("quorum_ack_latency", percentiles),
    EMPTY("om_commit_process_time_ms", percentiles),
    EMPTY("read_final_proc_time_ms", percentiles),
    EMPTY("commit_propagation_latency", percentiles),
    EMPTY("dead_watchers_cleaner_latency", percentiles),
    EMPTY("write_final_proc_time_ms", percentiles),
    EMPTY("proposal_ack_creation_latency", percentiles),
    EMPTY("proposal_latency", percentiles),
    EMPTY("om_proposal_process_time_ms", percentiles),
    EMPTY("sync_processor_queue_and_flush_time_ms", percentiles),
    SUMMARY("propagation_latency", percentiles, "ms", "From the proposal of a write to its application.", of(v.pipeline.stats().propagation_ms)),
    EMPTY("server_write_committed_time_ms", percentiles),
    EMPTY("sync_processor_queue_time_ms", percentiles),
    EMPTY("sync_processor_queue_flush_time_ms", percentiles),
    EMPTY("write_commitproc_time_ms", percentiles),
};
#undef VALUE
#undef SUMMARY
#undef NONE
#undef EMPTY

std::string decimal(double value) {
  std::string text = fmt::format("{:.4f}", value);
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return text;
}

struct Quantile {
  const char* name;
  double q;
};
constexpr Quantile kMntrQuantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
constexpr Quantile kPrometheusQuantiles[] = {{"0.5", 0.5}, {"0.9", 0.9}, {"0.99", 0.99}};

int64_t quantile(const SummaryValue& summary, double q) {
  return summary.values == nullptr ? summary.max : num64(summary.values->quantile(q));
}

double average(const SummaryValue& summary) {
  return summary.count == 0 ? 0 : num(summary.sum) / num(summary.count);
}

using Sink = Fn<void(std::string_view key, std::string value)>;

void print_summary(std::string_view name, const SummaryValue& summary, bool percentiles, Sink& sink) {
  sink(fmt::format("avg_{}", name), decimal(average(summary)));
  sink(fmt::format("min_{}", name), fmt::format("{}", summary.min));
  sink(fmt::format("max_{}", name), fmt::format("{}", summary.max));
  sink(fmt::format("cnt_{}", name), fmt::format("{}", summary.count));
  sink(fmt::format("sum_{}", name), fmt::format("{}", summary.sum));
  if (!percentiles) return;
  for (const Quantile& one : kMntrQuantiles)
    sink(fmt::format("{}_{}", one.name, name), fmt::format("{}", quantile(summary, one.q)));
}

// /zookeeper/quota/NAMESPACE/.../zookeeper_limits and _stats, summed up by namespace.
void print_quotas(View v, Sink& sink) {
  std::map<std::string, int64_t> found[4];
  const Node* root = v.pipeline.tree().find(kQuotaRoot);
  for (const Node* node = root; node != nullptr; node = node->next_in(*root)) {
    bool limits = node->name() == kLimitName, stats = node->name() == kStatsName;
    if (node->first_child() != nullptr || !(limits || stats) || node->data_is_null()) continue;
    std::string below = node->path().substr(kQuotaRoot.size() + 1);
    std::string name = below.substr(0, below.find('/'));
    auto track = QuotaTrack::parse(as_text(node->data()));
    if (!track || name.starts_with("zookeeper_")) continue;
    int64_t& count = found[limits ? 0 : 2][name];
    int64_t& bytes = found[limits ? 1 : 3][name];
    count = wrapping_add(count, limits && track->count_hard_limit() > -1 ? track->count_hard_limit() : track->count());
    bytes = wrapping_add(bytes, limits && track->byte_hard_limit() > -1 ? track->byte_hard_limit() : track->bytes());
  }
  static constexpr const char* kNames[] = {"quota_count_limit", "quota_bytes_limit", "quota_count_usage",
                                           "quota_bytes_usage"};
  for (size_t i = 0; i < std::size(found); ++i)
    for (const auto& [name, value] : found[i])
      sink(fmt::format("{}_{}_per_namespace", name, kNames[i]), fmt::format("{}", value));
}

}  // namespace

std::span<const Figure> figures() { return kFigures; }

void print_figures(const OperatorView& view, Fn<void(std::string_view key, std::string value)> sink) {
  bool quotas_printed = false;
  for (const Figure& figure : kFigures) {
    if (figure.kind == Figure::Kind::value) {
      if (figure.row.type == Type::counter && !std::exchange(quotas_printed, true)) print_quotas(view, sink);
      double value = figure.value == nullptr ? 0 : figure.value(view);
      sink(figure.row.name, figure.fraction ? decimal(value) : fmt::format("{:.0f}", value));
    } else {
      print_summary(figure.row.name, figure.summary == nullptr ? SummaryValue() : figure.summary(view),
                    figure.kind == Figure::Kind::percentiles, sink);
    }
  }
  const ServerStats& stats = view.pipeline.stats();
  for (const auto& [name, bytes] : stats.read_bytes)
    print_summary(name + "_read_per_namespace", of(bytes), false, sink);
  for (const auto& [name, bytes] : stats.write_bytes)
    print_summary(name + "_write_per_namespace", of(bytes), false, sink);
}

void register_figures(metrics::Registry& registry, std::function<OperatorView()> view) {
  for (const Figure& figure : kFigures) {
    if (figure.kind == Figure::Kind::value) {
      registry.samples(figure.row, [view, &figure] {
        double value = figure.value == nullptr ? 0 : figure.value(view());
        return std::vector<metrics::Sample>{{.labels = {}, .value = value}};
      });
      continue;
    }
    registry.summary(figure.row, [view, &figure] {
      SummaryValue now = figure.summary == nullptr ? SummaryValue() : figure.summary(view());
      metrics::Summary summary{{}, num(now.sum), num(now.count)};
      bool basic = figure.kind == Figure::Kind::summary;
      for (const Quantile& one : std::span(kPrometheusQuantiles).first(basic ? 1 : std::size(kPrometheusQuantiles)))
        summary.quantiles.emplace_back(one.name, now.count == 0 ? std::nan("") : num(quantile(now, one.q)));
      return summary;
    });
  }
}

}  // namespace ottla::zk
