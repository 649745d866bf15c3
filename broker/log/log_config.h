// One topic's log configuration: the topic configs of Kafka with Kafka's defaults. The broker's
// config tables fill it; the log reads it. Plain values, replaced whole when a config changes.
// Source: Kafka documentation, topic-level configs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/compress/codec.h"

namespace ottla::broker {

struct LogConfig {
  int32_t segment_bytes = 1 << 30;
  int64_t segment_ms = 604800000;
  int64_t segment_jitter_ms = 0;
  int32_t segment_index_bytes = 10485760;
  int32_t index_interval_bytes = 4096;
  int64_t flush_messages = INT64_MAX;
  int64_t flush_ms = INT64_MAX;
  int64_t retention_bytes = -1;
  int64_t retention_ms = 604800000;
  int64_t file_delete_delay_ms = 60000;
  int32_t max_message_bytes = 1048588;
  bool cleanup_delete = true;
  bool cleanup_compact = false;
  int64_t delete_retention_ms = 86400000;
  int64_t min_compaction_lag_ms = 0;
  int64_t max_compaction_lag_ms = INT64_MAX;
  double min_cleanable_dirty_ratio = 0.5;
  bool unclean_leader_election = false;
  int32_t min_insync_replicas = 1;
  std::optional<compress::Codec> compression;  // nullopt: producer
  compress::Levels compression_levels;
  bool preallocate = false;
  bool timestamp_log_append = false;  // message.timestamp.type=LogAppendTime
  int64_t timestamp_before_max_ms = INT64_MAX;
  int64_t timestamp_after_max_ms = INT64_MAX;
  bool message_downconversion = true;

  bool operator==(const LogConfig&) const = default;
};

}  // namespace ottla::broker
