// What an operator may set of the group coordinator. The names in comments are the keys of
// server.properties; defaults are Kafka 3.9's.
#pragma once

#include <cstdint>
#include <limits>

namespace ottla::broker {

struct GroupConfig {
  int32_t min_session_timeout_ms = 6'000;                  // group.min.session.timeout.ms
  int32_t max_session_timeout_ms = 1'800'000;              // group.max.session.timeout.ms
  int32_t initial_rebalance_delay_ms = 3'000;              // group.initial.rebalance.delay.ms
  int32_t max_size = std::numeric_limits<int32_t>::max();  // group.max.size
  int32_t offset_metadata_max_bytes = 4'096;         // offset.metadata.max.bytes (UTF-16 units)
  int64_t offsets_retention_ms = 10'080LL * 60'000;  // offsets.retention.minutes
  int64_t offsets_retention_check_interval_ms = 600'000;  // offsets.retention.check.interval.ms
  int16_t offsets_commit_required_acks = -1;              // offsets.commit.required.acks
  int32_t offsets_commit_timeout_ms = 5'000;              // offsets.commit.timeout.ms
};

// A member that has not yet completed its first join is kept this long without a heartbeat.
constexpr int64_t kNewMemberJoinTimeoutMs = 5 * 60 * 1000;

}  // namespace ottla::broker
