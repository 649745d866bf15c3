// BrokerConfig: what server.properties says, as the broker uses it. Built once at start by
// load_broker_config and passed by const reference; the rows that fill it are in broker_keys.cc.
// Source: "Broker Configs" of the Kafka 3.9 documentation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/config/listeners.h"
#include "common/base/result.h"
#include "common/config/properties.h"

namespace ottla::broker {

struct BrokerConfig {
  // Derived from the keys below by load_broker_config.
  std::vector<std::string> log_dirs;  // never empty
  std::vector<Listener> listeners;
  std::vector<Listener> advertised_listeners;  // hosts filled in, ports may be 0 until bound
  std::string inter_broker_listener;           // the name of one of the advertised ones
  std::map<std::string, int32_t> connections_per_ip_overrides;
  std::map<std::string, std::string> given;  // every key of the file, as written
  std::string source;                        // the file's name, for error lines

  // One member a key that has an effect, in the order of the keys' names.
  std::optional<std::string> advertised_listeners_text;
  bool auto_create_topics_enable = false;
  int32_t broker_id = 0;
  bool broker_id_generation_enable = false;
  std::optional<std::string> broker_rack;
  int32_t compression_gzip_level = 0;
  int32_t compression_lz4_level = 0;
  std::string compression_type;
  int32_t compression_zstd_level = 0;
  int32_t connection_failed_authentication_delay_ms = 0;
  int64_t connections_max_idle_ms = 0;
  std::optional<std::string> control_plane_listener_name;
  bool controlled_shutdown_enable = false;
  int32_t default_replication_factor = 0;
  bool delete_topic_enable = false;
  int32_t fetch_max_bytes = 0;
  int32_t group_initial_rebalance_delay_ms = 0;
  int32_t group_max_session_timeout_ms = 0;
  int32_t group_max_size = 0;
  int32_t group_min_session_timeout_ms = 0;
  std::optional<std::string> inter_broker_listener_name;
  std::string inter_broker_protocol_version;
  std::string listener_security_protocol_map;
  std::string listeners_text;
  int64_t log_cleaner_dedupe_buffer_size = 0;
  int64_t log_cleaner_delete_retention_ms = 0;
  int64_t log_cleaner_max_compaction_lag_ms = 0;
  double log_cleaner_min_cleanable_ratio = 0;
  int64_t log_cleaner_min_compaction_lag_ms = 0;
  int32_t log_cleaner_threads = 0;
  std::vector<std::string> log_cleanup_policy;
  std::string log_dir;
  std::optional<std::string> log_dirs_text;
  int64_t log_flush_interval_messages = 0;
  std::optional<int64_t> log_flush_interval_ms;
  int32_t log_flush_offset_checkpoint_interval_ms = 0;
  int64_t log_flush_scheduler_interval_ms = 0;
  int32_t log_flush_start_offset_checkpoint_interval_ms = 0;
  int32_t log_index_interval_bytes = 0;
  int32_t log_index_size_max_bytes = 0;
  int64_t log_initial_task_delay_ms = 0;
  int64_t log_local_retention_bytes = 0;
  int64_t log_local_retention_ms = 0;
  bool log_message_downconversion_enable = false;
  std::string log_message_format_version;
  int64_t log_message_timestamp_after_max_ms = 0;
  int64_t log_message_timestamp_before_max_ms = 0;
  int64_t log_message_timestamp_difference_max_ms = 0;
  std::string log_message_timestamp_type;
  bool log_preallocate = false;
  int64_t log_retention_bytes = 0;
  int64_t log_retention_check_interval_ms = 0;
  int32_t log_retention_hours = 0;
  std::optional<int32_t> log_retention_minutes;
  std::optional<int64_t> log_retention_ms;
  int32_t log_roll_hours = 0;
  int32_t log_roll_jitter_hours = 0;
  std::optional<int64_t> log_roll_jitter_ms;
  std::optional<int64_t> log_roll_ms;
  int32_t log_segment_bytes = 0;
  int64_t log_segment_delete_delay_ms = 0;
  int32_t max_connections = 0;
  int32_t max_connections_per_ip = 0;
  std::string max_connections_per_ip_overrides;
  int32_t max_incremental_fetch_session_cache_slots = 0;
  int32_t message_max_bytes = 0;
  int32_t min_insync_replicas = 0;
  int32_t num_partitions = 0;
  int32_t num_recovery_threads_per_data_dir = 0;
  int32_t offset_metadata_max_bytes = 0;
  int16_t offsets_commit_required_acks = 0;
  int32_t offsets_commit_timeout_ms = 0;
  int32_t offsets_load_buffer_size = 0;
  int64_t offsets_retention_check_interval_ms = 0;
  int32_t offsets_retention_minutes = 0;
  int32_t offsets_topic_compression_codec = 0;
  int32_t offsets_topic_num_partitions = 0;
  int16_t offsets_topic_replication_factor = 0;
  int32_t offsets_topic_segment_bytes = 0;
  int32_t metrics_port = 0;
  int32_t producer_id_expiration_check_interval_ms = 0;
  int32_t producer_id_expiration_ms = 0;
  int64_t queued_max_request_bytes = 0;
  int32_t replica_fetch_wait_max_ms = 0;
  int64_t replica_high_watermark_checkpoint_interval_ms = 0;
  int64_t replica_lag_time_max_ms = 0;
  int32_t replica_socket_timeout_ms = 0;
  int32_t request_timeout_ms = 0;
  int32_t reserved_broker_max_id = 0;
  std::string security_inter_broker_protocol;
  int32_t socket_request_max_bytes = 0;
  int32_t transaction_max_timeout_ms = 0;
  int32_t transaction_state_log_min_isr = 0;
  int32_t transaction_state_log_num_partitions = 0;
  int16_t transaction_state_log_replication_factor = 0;
  int32_t transaction_state_log_segment_bytes = 0;
  bool unclean_leader_election_enable = false;
  std::optional<std::string> zookeeper_connect;
  std::optional<int32_t> zookeeper_connection_timeout_ms;
  int32_t zookeeper_max_in_flight_requests = 0;
  int32_t zookeeper_session_timeout_ms = 0;

  int64_t retention_ms() const;  // log.retention.ms, minutes, hours, in that order
  int64_t segment_ms() const;    // log.roll.ms or hours
  int64_t segment_jitter_ms() const;
  int64_t flush_ms() const;  // log.flush.interval.ms or log.flush.scheduler.interval.ms
};

struct LoadedConfig {
  BrokerConfig config;
  std::vector<std::string> warnings;  // whole lines, each to be logged once
};

// Errc::invalid with one line that names file, key, value and what is allowed.
Result<LoadedConfig> load_broker_config(const config::Properties& properties,
                                        const std::string& source);

// All keys at their defaults, with one log directory; for tests and embedding.
BrokerConfig default_broker_config();

}  // namespace ottla::broker
