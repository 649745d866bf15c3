#include "broker/server/log_settings.h"


namespace ottla::broker {

namespace {

std::optional<compress::Codec> codec_of(const std::string& name) {
  if (name == "uncompressed") return compress::Codec::none;
  if (name == "gzip") return compress::Codec::gzip;
  if (name == "snappy") return compress::Codec::snappy;
  if (name == "lz4") return compress::Codec::lz4;
  if (name == "zstd") return compress::Codec::zstd;
  return std::nullopt;  // producer
}

}  // namespace

LogConfig to_log_config(const TopicConfig& topic) {
  LogConfig log;
  log.segment_bytes = topic.segment_bytes;
  log.segment_ms = topic.segment_ms;
  log.segment_jitter_ms = topic.segment_jitter_ms;
  log.segment_index_bytes = topic.segment_index_bytes;
  log.index_interval_bytes = topic.index_interval_bytes;
  log.flush_messages = topic.flush_messages;
  log.flush_ms = topic.flush_ms;
  log.retention_bytes = topic.retention_bytes;
  log.retention_ms = topic.retention_ms;
  log.file_delete_delay_ms = topic.file_delete_delay_ms;
  log.max_message_bytes = topic.max_message_bytes;
  log.cleanup_delete = topic.deletes();
  log.cleanup_compact = topic.compacts();
  log.delete_retention_ms = topic.delete_retention_ms;
  log.min_compaction_lag_ms = topic.min_compaction_lag_ms;
  log.max_compaction_lag_ms = topic.max_compaction_lag_ms;
  log.min_cleanable_dirty_ratio = topic.min_cleanable_dirty_ratio;
  log.unclean_leader_election = topic.unclean_leader_election_enable;
  log.min_insync_replicas = topic.min_insync_replicas;
  log.compression = codec_of(topic.compression_type);
  log.compression_levels.gzip = topic.compression_gzip_level;
  log.compression_levels.lz4 = topic.compression_lz4_level;
  log.compression_levels.zstd = topic.compression_zstd_level;
  log.preallocate = topic.preallocate;
  log.timestamp_log_append = topic.message_timestamp_type == "LogAppendTime";
  // The older difference.max counts where the newer limit is not set.
  auto limit = [&](int64_t newer) {
    return newer == INT64_MAX ? topic.message_timestamp_difference_max_ms : newer;
  };
  log.timestamp_before_max_ms = limit(topic.message_timestamp_before_max_ms);
  log.timestamp_after_max_ms = limit(topic.message_timestamp_after_max_ms);
  log.message_downconversion = topic.message_downconversion_enable;
  return log;
}

LogManagerOptions log_manager_options(const BrokerConfig& config) {
  LogManagerOptions options;
  options.log_dirs = config.log_dirs;
  options.retention_check_interval_ms = config.log_retention_check_interval_ms;
  options.flush_scheduler_interval_ms = config.log_flush_scheduler_interval_ms;
  options.recovery_point_checkpoint_interval_ms = config.log_flush_offset_checkpoint_interval_ms;
  options.log_start_offset_checkpoint_interval_ms =
      config.log_flush_start_offset_checkpoint_interval_ms;
  options.hw_checkpoint_interval_ms = config.replica_high_watermark_checkpoint_interval_ms;
  options.initial_task_delay_ms = config.log_initial_task_delay_ms;
  options.producer_id_expiration_ms = config.producer_id_expiration_ms;
  options.producer_id_expiration_check_interval_ms =
      config.producer_id_expiration_check_interval_ms;
  return options;
}

}  // namespace ottla::broker
