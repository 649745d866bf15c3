// The operator's words (`echo srvr | nc host port`) and the rows of mntr. Text only: everything is
// read from what the server hands over, nothing is changed but by crst and srst.
// Source: ZooKeeper Administrator's Guide, "The Four Letter Words".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/metrics/metric.h"
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
  int64_t last_ms = 0, max_ms = 0, sum_ms = 0;
};

// Everything that the words show. Borrowed for the call.
struct OperatorView {
  const ServerConfig& config;
  Pipeline& pipeline;
  ClientPort& port;
  const LogStats& log;
  const SnapshotFigures& snapshots;
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

// One figure: a line of mntr (the row's source) and of the Prometheus page (its name).
struct Figure {
  metrics::Row row;
  double (*read)(const OperatorView& view);
  bool fraction = false;  // mntr prints decimals
};
std::span<const Figure> figures();

}  // namespace ottla::zk
