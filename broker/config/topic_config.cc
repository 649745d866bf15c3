#include "broker/config/topic_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "broker/config/broker_keys.h"
#include "broker/config/topic_keys.h"
#include "common/config/table.h"

namespace ottla::broker {
namespace {

using config::KeyInfo;
using config::Type;

std::string joined_with_spaces(std::string_view list) {
  std::string out;
  for (char c : list) {
    out += c;
    if (c == ',') out += ' ';
  }
  return out;
}

std::string trimmed(const std::string& text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string invalid(const KeyInfo& key, const std::string& text, const std::string& why) {
  return fmt::format("Invalid value {} for configuration {}: {}", text, key.name, why);
}

template <class Number>
std::string number_fault(const KeyInfo& key, const std::string& raw, Number low, Number high) {
  std::string text = trimmed(raw);
  Number value{};
  size_t sign = text.starts_with('+') && !text.starts_with("+-") ? 1 : 0;  // as Java reads it
  auto [end, error] = std::from_chars(text.data() + sign, text.data() + text.size(), value);
  bool in_type =
      error == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
  if (!in_type)
    return invalid(key, raw, fmt::format("Not a number of type {}", config::type_name(key.type)));
  if (key.valid != nullptr && !key.valid(text))
    return invalid(key, raw, "Value must be between 1 and 9 or equal to -1");
  if (key.min != INT64_MIN && value < static_cast<Number>(key.min))
    return invalid(key, text, fmt::format("Value must be at least {}", key.min));
  if (key.max != INT64_MAX && value > static_cast<Number>(key.max))
    return invalid(key, text, fmt::format("Value must be no more than {}", key.max));
  return {};
}

// The first item of a list that is none of those allowed.
std::string first_stranger(const KeyInfo& key, const std::string& list) {
  for (size_t from = 0; from <= list.size();) {
    size_t comma = std::min(list.find(',', from), list.size());
    std::string item = trimmed(list.substr(from, comma - from));
    if (!config::parse_value(key, item)) return item;
    from = comma + 1;
  }
  return list;
}

std::string word_fault(const KeyInfo& key, const std::string& raw) {
  if (config::parse_value(key, raw)) return {};
  std::string text = trimmed(raw);
  std::string_view name = key.name;
  if (name.ends_with(".throttled.replicas"))
    return invalid(key, "[" + text + "]",
                   fmt::format("{} must be the literal '*' or a list of replicas in the following "
                               "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                               name));
  if (name.ends_with("format.version"))
    return invalid(key, text, fmt::format("Version {} is not a valid version", text));
  if (key.one_of != nullptr)
    return invalid(key, key.type == Type::list ? first_stranger(key, text) : text,
                   "String must be one of: " + joined_with_spaces(key.one_of));
  return invalid(key, text, "value " + config::allowed_text(key));
}

TopicConfig with_overrides(TopicConfig config, const ConfigOverrides& overrides) {
  for (const auto& [name, text] : overrides) {
    const TopicKey* key = config::find_key(topic_keys(), name);
    if (key == nullptr) continue;
    auto value = config::parse_value(key->info, text);
    if (value) key->store(*value, config);
  }
  return config;
}

}  // namespace

std::string value_fault(const KeyInfo& key, const std::string& text) {
  switch (key.type) {
    case Type::boolean:
      if (config::parse_value(key, text)) return {};
      return invalid(key, text, "Expected value to be either true or false");
    case Type::int16:
      return number_fault<int64_t>(key, text, INT16_MIN, INT16_MAX);
    case Type::int32:
      return number_fault<int64_t>(key, text, INT32_MIN, INT32_MAX);
    case Type::int64:
      return number_fault<int64_t>(key, text, INT64_MIN, INT64_MAX);
    case Type::float64:
      return number_fault<double>(key, text, -1e308, 1e308);
    default:
      return word_fault(key, text);
  }
}

bool TopicConfig::compacts() const {
  return std::find(cleanup_policy.begin(), cleanup_policy.end(), "compact") != cleanup_policy.end();
}
bool TopicConfig::deletes() const {
  return std::find(cleanup_policy.begin(), cleanup_policy.end(), "delete") != cleanup_policy.end();
}

TopicConfig topic_defaults(const BrokerConfig& broker) {
  TopicConfig config;
  config::set_defaults(topic_keys(), config);
  config.cleanup_policy = broker.log_cleanup_policy;
  config.compression_gzip_level = broker.compression_gzip_level;
  config.compression_lz4_level = broker.compression_lz4_level;
  config.compression_type = broker.compression_type;
  config.compression_zstd_level = broker.compression_zstd_level;
  config.delete_retention_ms = broker.log_cleaner_delete_retention_ms;
  config.file_delete_delay_ms = broker.log_segment_delete_delay_ms;
  config.flush_messages = broker.log_flush_interval_messages;
  config.flush_ms = broker.flush_ms();
  config.index_interval_bytes = broker.log_index_interval_bytes;
  config.local_retention_bytes = broker.log_local_retention_bytes;
  config.local_retention_ms = broker.log_local_retention_ms;
  config.max_compaction_lag_ms = broker.log_cleaner_max_compaction_lag_ms;
  config.max_message_bytes = broker.message_max_bytes;
  config.message_downconversion_enable = broker.log_message_downconversion_enable;
  config.message_format_version = broker.log_message_format_version;
  config.message_timestamp_after_max_ms = broker.log_message_timestamp_after_max_ms;
  config.message_timestamp_before_max_ms = broker.log_message_timestamp_before_max_ms;
  config.message_timestamp_difference_max_ms = broker.log_message_timestamp_difference_max_ms;
  config.message_timestamp_type = broker.log_message_timestamp_type;
  config.min_cleanable_dirty_ratio = broker.log_cleaner_min_cleanable_ratio;
  config.min_compaction_lag_ms = broker.log_cleaner_min_compaction_lag_ms;
  config.min_insync_replicas = broker.min_insync_replicas;
  config.preallocate = broker.log_preallocate;
  config.retention_bytes = broker.log_retention_bytes;
  config.retention_ms = broker.retention_ms();
  config.segment_bytes = broker.log_segment_bytes;
  config.segment_index_bytes = broker.log_index_size_max_bytes;
  config.segment_jitter_ms = broker.segment_jitter_ms();
  config.segment_ms = broker.segment_ms();
  config.unclean_leader_election_enable = broker.unclean_leader_election_enable;
  return config;
}

TopicConfig make_topic_config(const BrokerConfig& broker, const ConfigOverrides& overrides) {
  return with_overrides(topic_defaults(broker), overrides);
}

// Of several wrong values Kafka tells the first of its own list of keys.
constexpr std::string_view kCheckedInOrder[] = {"segment.bytes",
                                                "segment.ms",
                                                "segment.jitter.ms",
                                                "segment.index.bytes",
                                                "flush.messages",
                                                "flush.ms",
                                                "retention.bytes",
                                                "retention.ms",
                                                "max.message.bytes",
                                                "index.interval.bytes",
                                                "delete.retention.ms",
                                                "min.compaction.lag.ms",
                                                "max.compaction.lag.ms",
                                                "file.delete.delay.ms",
                                                "min.cleanable.dirty.ratio",
                                                "cleanup.policy",
                                                "unclean.leader.election.enable",
                                                "min.insync.replicas",
                                                "compression.type",
                                                "compression.gzip.level",
                                                "compression.lz4.level",
                                                "compression.zstd.level",
                                                "preallocate",
                                                "message.format.version",
                                                "message.timestamp.type",
                                                "message.timestamp.difference.max.ms",
                                                "message.timestamp.before.max.ms",
                                                "message.timestamp.after.max.ms",
                                                "leader.replication.throttled.replicas",
                                                "follower.replication.throttled.replicas",
                                                "message.downconversion.enable",
                                                "remote.storage.enable",
                                                "local.retention.ms",
                                                "local.retention.bytes",
                                                "remote.log.copy.disable",
                                                "remote.log.delete.on.disable"};

std::string topic_config_fault(const BrokerConfig& broker, const ConfigOverrides& overrides,
                               bool* bad_value) {
  auto of_value = [bad_value](std::string text) {
    if (bad_value != nullptr) *bad_value = true;
    return text;
  };
  for (const auto& [name, text] : overrides)
    if (find_topic_key(name) == nullptr) return "Unknown topic config name: " + name;
  for (std::string_view name : kCheckedInOrder)
    if (auto found = overrides.find(std::string(name)); found != overrides.end())
      if (std::string fault = value_fault(*find_topic_key(name), found->second); !fault.empty())
        return of_value(std::move(fault));
  for (const auto& [name, text] : overrides)
    if (std::string fault = value_fault(*find_topic_key(name), text); !fault.empty())
      return of_value(std::move(fault));
  TopicConfig config = with_overrides(topic_defaults(broker), overrides);
  if (config.min_compaction_lag_ms > config.max_compaction_lag_ms)
    return fmt::format(
        "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
        config.min_compaction_lag_ms, config.max_compaction_lag_ms);
  if (config.remote_log_copy_disable || config.remote_log_delete_on_disable)
    return "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under "
           "Zookeeper's mode.";
  if (config.remote_storage_enable)
    return of_value(
        "Tiered Storage functionality is disabled in the broker. "
        "Topic cannot be configured with remote log storage.");
  return {};
}

const KeyInfo* find_topic_key(std::string_view name) {
  const TopicKey* key = config::find_key(topic_keys(), name);
  return key == nullptr ? nullptr : &key->info;
}

}  // namespace ottla::broker
