// What a pipeline counts: srvr, stat, cons, mntr and the admin server read it. Plain values of one loop.
// Source: ZooKeeper Monitor Guide; Administrator's Guide, "The Four Letter Words" (mntr).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/metrics/metric.h"

namespace ottla::zk {

// Count, sum and extremes; what Apache calls a basic summary.
struct LatencyStats {
  int64_t count = 0, total_ms = 0, max_ms = 0;
  int64_t min_ms = -1;  // -1: none yet
  void add(int64_t ms);
  int64_t min() const { return min_ms < 0 ? 0 : min_ms; }
  double average() const {
    return count == 0 ? 0 : static_cast<double>(total_ms) / static_cast<double>(count);
  }
};

struct ServerStats {
  int64_t packets_received = 0, packets_sent = 0;
  int64_t connections_dropped = 0;  // closed by the server, protocol errors included
  int64_t auth_failures = 0;
  int64_t sessions_expired = 0;
  int64_t reads = 0, writes = 0, refused_writes = 0;
  int64_t watches_fired = 0, watch_bytes = 0;
  int64_t connects = 0, reconnects = 0;  // asked for a session; of those, for one they had
  int64_t connects_throttled = 0;        // closed by the connection throttle
  int64_t large_requests_rejected = 0;
  int64_t throttled_ops = 0;  // answered with "throttled"
  // Reply frames to requests; -1: none yet.
  int64_t response_last = -1, response_min = -1, response_max = -1;
  LatencyStats latency;
  metrics::Histogram read_ms, update_ms, propagation_ms, throttle_queue_ms;
  metrics::Histogram token_deficit;
  metrics::Histogram fired_created, fired_deleted, fired_changed, fired_children;  // watchers told at once
  // Bytes by the first element of the path. At most kMaxNamespaces of them: who makes more nodes below
  // the root than that is counted under none, and so is a name that is no name of a metric any more.
  static constexpr size_t kMaxNamespaces = 1000;
  static constexpr size_t kMaxNamespaceBytes = 256;
  std::map<std::string, LatencyStats, std::less<>> read_bytes, write_bytes;

  void add_response(int64_t bytes) {
    response_last = bytes;
    response_min = response_min < 0 ? bytes : std::min(response_min, bytes);
    response_max = std::max(response_max, bytes);
  }
  void add_read(std::string_view path, size_t bytes);
  void add_write(std::string_view path, size_t bytes);
};

}  // namespace ottla::zk
