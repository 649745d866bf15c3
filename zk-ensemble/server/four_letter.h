// The operator's words (`echo srvr | nc host port`) and the rows of mntr. Text only: everything is
// read from what the server hands over, nothing is changed but by crst, srst and stmk.
// Source: ZooKeeper Administrator's Guide, "The Four Letter Words".
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics/metric.h"
#include "common/metrics/registry.h"
#include "zk-ensemble/config/server_config.h"
#include "zk-ensemble/server/client_port.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/txnlog/log_writer.h"

namespace ottla::zk {

// "3.9.3": what clients and tools parse to know what they talk to.
inline constexpr std::string_view kZookeeperVersion = "3.9.3";
std::string version_line();  // "3.9.3-ottla-0.1.0, built on ..."

struct SnapshotFigures {
  int64_t taken = 0;
  int64_t failed = 0;
  metrics::Histogram time;  // ms
  int64_t last_zxid = 0;    // of the newest one
  int64_t last_wall_s = 0;  // when it was taken
};

struct ThrottleFigures {
  int64_t waits = 0;          // connections held back by request_throttle_max_requests
  int64_t stale_dropped = 0;  // that had waited too long by then
};

struct AdminFigures {
  int64_t snapshot_rate_limited = 0;
  int64_t restore_rate_limited = 0;
  int64_t restore_errors = 0;
  metrics::Histogram restore_time;  // ms
};

// Everything that the words show. Borrowed for the call.
struct OperatorView {
  const ServerConfig& config;
  Pipeline& pipeline;
  ClientPort& port;
  const LogStats& log;
  const SnapshotFigures& snapshots;
  const ThrottleFigures& throttle;
  const AdminFigures& admin;
  int64_t& trace_mask;
  rt::Disk& disk;
  std::string snapshot_dir;
  std::string log_dir;
  int32_t client_port = 0;
  Instant started;
  Instant now;
  int64_t wall_ms = 0;
  int64_t replayed = 0;
  int64_t recovery_ms = 0;
};

// The answer to a known word, or the refusal when it is not on the whitelist.
std::string answer_word(std::string_view word, Bytes argument, OperatorView& view);

// The environment of the process, as `envi` shows it.
std::vector<std::pair<std::string, std::string>> environment();
// srst, and the stat_reset command.
void reset_all_stats(OperatorView& view);

// Count, sum and extremes of something measured; its values, unless all of them are the same.
struct SummaryValue {
  int64_t count = 0, sum = 0, min = 0, max = 0;
  const metrics::Histogram* values = nullptr;
};

// One figure of mntr (the row's source) and of the Prometheus page (its name). Null readers: it has no
// counterpart here, and is zero.
struct Figure {
  enum class Kind { value, summary, percentiles };  // Apache's basic and advanced summaries
  metrics::Row row;
  Kind kind;
  double (*value)(const OperatorView& view);
  SummaryValue (*summary)(const OperatorView& view) = nullptr;
  bool fraction = false;  // mntr prints decimals
};
std::span<const Figure> figures();
// Every line of mntr behind version and state, without "zk_"; values are numbers as text.
void print_figures(const OperatorView& view, Fn<void(std::string_view key, std::string value)> sink);
// All of them into a registry. `view` must be callable as long as that lives.
void register_figures(metrics::Registry& registry, std::function<OperatorView()> view);

}  // namespace ottla::zk
