// TopicConfig: the effective settings of one topic: its own overrides over the broker's defaults.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/config/broker_config.h"
#include "common/config/key.h"

namespace ottla::broker {

using ConfigOverrides = std::map<std::string, std::string>;

struct TopicConfig {
  // One member a key, in the order of the keys' names.
  std::vector<std::string> cleanup_policy;
  int32_t compression_gzip_level = 0;
  int32_t compression_lz4_level = 0;
  std::string compression_type;
  int32_t compression_zstd_level = 0;
  int64_t delete_retention_ms = 0;
  int64_t file_delete_delay_ms = 0;
  int64_t flush_messages = 0;
  int64_t flush_ms = 0;
  std::vector<std::string> follower_replication_throttled_replicas;
  int32_t index_interval_bytes = 0;
  std::vector<std::string> leader_replication_throttled_replicas;
  int64_t local_retention_bytes = 0;
  int64_t local_retention_ms = 0;
  int64_t max_compaction_lag_ms = 0;
  int32_t max_message_bytes = 0;
  bool message_downconversion_enable = false;
  std::string message_format_version;
  int64_t message_timestamp_after_max_ms = 0;
  int64_t message_timestamp_before_max_ms = 0;
  int64_t message_timestamp_difference_max_ms = 0;
  std::string message_timestamp_type;
  double min_cleanable_dirty_ratio = 0;
  int64_t min_compaction_lag_ms = 0;
  int32_t min_insync_replicas = 0;
  bool preallocate = false;
  bool remote_log_copy_disable = false;
  bool remote_log_delete_on_disable = false;
  bool remote_storage_enable = false;
  int64_t retention_bytes = 0;
  int64_t retention_ms = 0;
  int32_t segment_bytes = 0;
  int32_t segment_index_bytes = 0;
  int64_t segment_jitter_ms = 0;
  int64_t segment_ms = 0;
  bool unclean_leader_election_enable = false;

  bool compacts() const;
  bool deletes() const;
  // The codec that appended batches are recompressed to, or "producer".
  bool keeps_producer_codec() const { return compression_type == "producer"; }
};

// What a topic without overrides has.
TopicConfig topic_defaults(const BrokerConfig& broker);

// Applies `overrides` to the broker's defaults. Unknown keys and values that do not parse are left
// out: they were refused when they were set, and what stands in ZooKeeper must not stop a broker.
TopicConfig make_topic_config(const BrokerConfig& broker, const ConfigOverrides& overrides);

// Empty when the overrides may be set on a topic, else Kafka's own text for the INVALID_CONFIG
// answer. `bad_value` is set to whether the text is about a value alone: an answer to an alteration
// then says first whose it is.
std::string topic_config_fault(const BrokerConfig& broker, const ConfigOverrides& overrides,
                               bool* bad_value = nullptr);

// Kafka's text for a value that a key does not take, empty when it does: "Invalid value x for
// configuration retention.ms: Not a number of type LONG".
std::string value_fault(const config::KeyInfo& key, const std::string& text);

}  // namespace ottla::broker
