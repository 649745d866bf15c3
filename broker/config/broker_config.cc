// Loading server.properties: the rows of broker_keys.cc, then what follows from several keys at
// once.
#include "broker/config/broker_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "broker/config/broker_keys.h"
#include "common/config/table.h"

namespace ottla::broker {
namespace {

constexpr int64_t kMsPerMinute = 60'000, kMsPerHour = 60 * kMsPerMinute;

// One line for a fault of `key` as it was written, or as its default stands.
std::unexpected<Error> fault(const config::Properties& properties, const BrokerConfig& config,
                             const char* key, const std::string& what) {
  const config::KeyInfo* info = find_broker_key(key);
  OTTLA_CHECK(info != nullptr, key);
  if (const config::Properties::Entry* entry = properties.find(key))
    return fail(Errc::invalid, config::fault_line(*entry, *info, what));
  return fail(Errc::invalid,
              fmt::format("{}: {}={} (its default): {}", config.source, key,
                          info->default_text == nullptr ? "" : info->default_text, what));
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return items;
}

#define OTTLA_REQUIRE(condition, key, ...)                                             \
  do {                                                                                 \
    if (!(condition)) return fault(properties, config, key, fmt::format(__VA_ARGS__)); \
  } while (false)

Result<void> derive_listeners(const config::Properties& properties, BrokerConfig& config) {
  const std::string& map = config.listener_security_protocol_map;
  auto listeners = parse_listeners(config.listeners_text, map);
  OTTLA_REQUIRE(listeners, "listeners", "{}", listeners.error().context);
  if (auto checked = check_listeners(*listeners); !checked)
    return fault(properties, config, "listeners", checked.error().context);
  config.listeners = std::move(*listeners);
  for (const Listener& listener : config.listeners)
    OTTLA_REQUIRE(listener.protocol == "PLAINTEXT", "listeners",
                  "{} speaks {}, which this version does not; only PLAINTEXT listeners can be used",
                  listener.name, listener.protocol);

  config.advertised_listeners = config.listeners;
  if (config.advertised_listeners_text) {
    auto advertised = parse_listeners(*config.advertised_listeners_text, map);
    OTTLA_REQUIRE(advertised, "advertised.listeners", "{}", advertised.error().context);
    config.advertised_listeners = std::move(*advertised);
  }
  const char* key = config.advertised_listeners_text ? "advertised.listeners" : "listeners";
  for (size_t i = 0; i < config.advertised_listeners.size(); ++i) {
    const Listener& one = config.advertised_listeners[i];
    OTTLA_REQUIRE(one.host != "0.0.0.0", key,
                  "0.0.0.0 is no address a client can connect to; set advertised.listeners");
    for (size_t j = 0; j < i; ++j)
      OTTLA_REQUIRE(config.advertised_listeners[j].name != one.name, key,
                    "must not name listener {} twice", one.name);
    bool bound = std::any_of(config.listeners.begin(), config.listeners.end(),
                             [&](const Listener& other) { return other.name == one.name; });
    OTTLA_REQUIRE(bound, key, "must name listeners that stand in listeners; {} does not", one.name);
  }
  return {};
}

Result<void> derive_inter_broker(const config::Properties& properties, BrokerConfig& config) {
  const auto& advertised = config.advertised_listeners;
  if (config.inter_broker_listener_name) {
    OTTLA_REQUIRE(!properties.find("security.inter.broker.protocol"), "inter.broker.listener.name",
                  "must not be set together with security.inter.broker.protocol");
    for (const Listener& one : advertised)
      if (one.name == *config.inter_broker_listener_name) config.inter_broker_listener = one.name;
    OTTLA_REQUIRE(!config.inter_broker_listener.empty(), "inter.broker.listener.name",
                  "must be one of the advertised listeners");
    return {};
  }
  for (const Listener& one : advertised)
    if (one.name == config.security_inter_broker_protocol) config.inter_broker_listener = one.name;
  OTTLA_REQUIRE(!config.inter_broker_listener.empty(), "security.inter.broker.protocol",
                "must be the name of an advertised listener; or set inter.broker.listener.name");
  if (config.control_plane_listener_name)
    OTTLA_REQUIRE(*config.control_plane_listener_name != config.inter_broker_listener,
                  "control.plane.listener.name", "must differ from the inter-broker listener");
  return {};
}

Result<void> derive_dirs_and_limits(const config::Properties& properties, BrokerConfig& config) {
  config.log_dirs = split(config.log_dirs_text ? *config.log_dirs_text : config.log_dir);
  OTTLA_REQUIRE(!config.log_dirs.empty(), "log.dirs", "must name at least one directory");
  for (size_t i = 0; i < config.log_dirs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      OTTLA_REQUIRE(config.log_dirs[i] != config.log_dirs[j], "log.dirs", "must not name {} twice",
                    config.log_dirs[i]);
  for (const std::string& item : split(config.max_connections_per_ip_overrides)) {
    size_t colon = item.rfind(':');
    int32_t count = -1;
    if (colon != std::string::npos)
      std::from_chars(item.data() + colon + 1, item.data() + item.size(), count);
    OTTLA_REQUIRE(count >= 0, "max.connections.per.ip.overrides", "must be ADDRESS:COUNT,...");
    config.connections_per_ip_overrides[item.substr(0, colon)] = count;
  }
  return {};
}

Result<void> check_across(const config::Properties& properties, const BrokerConfig& config) {
  if (config.broker_id_generation_enable)
    OTTLA_REQUIRE(config.broker_id >= -1 && config.broker_id <= config.reserved_broker_max_id,
                  "broker.id", "must be -1, or from 0 to reserved.broker.max.id ({})",
                  config.reserved_broker_max_id);
  else
    OTTLA_REQUIRE(config.broker_id >= 0, "broker.id",
                  "must be at least 0 where broker.id.generation.enable is false");
  OTTLA_REQUIRE(config.zookeeper_connect && !config.zookeeper_connect->empty(), "zookeeper.connect",
                "must be set: HOST:PORT,.../CHROOT of the ensemble");
  OTTLA_REQUIRE(config.segment_ms() >= 1, "log.roll.ms", "must be at least 1");
  OTTLA_REQUIRE(config.segment_jitter_ms() >= 0, "log.roll.jitter.ms", "must be at least 0");
  const char* retention = config.log_retention_ms        ? "log.retention.ms"
                          : config.log_retention_minutes ? "log.retention.minutes"
                                                         : "log.retention.hours";
  OTTLA_REQUIRE(config.retention_ms() >= 1 || config.retention_ms() == -1, retention,
                "must be positive, or -1 for ever");
  if (config.log_cleaner_threads > 0)
    OTTLA_REQUIRE(config.log_cleaner_dedupe_buffer_size / config.log_cleaner_threads > 1024 * 1024,
                  "log.cleaner.dedupe.buffer.size",
                  "must be more than 1048576 for each of log.cleaner.threads ({})",
                  config.log_cleaner_threads);
  OTTLA_REQUIRE(config.replica_fetch_wait_max_ms <= config.replica_socket_timeout_ms,
                "replica.fetch.wait.max.ms", "must not exceed replica.socket.timeout.ms ({})",
                config.replica_socket_timeout_ms);
  OTTLA_REQUIRE(config.replica_fetch_wait_max_ms <= config.replica_lag_time_max_ms,
                "replica.fetch.wait.max.ms", "must not exceed replica.lag.time.max.ms ({})",
                config.replica_lag_time_max_ms);
  OTTLA_REQUIRE(config.offsets_commit_required_acks >= -1 &&
                    config.offsets_commit_required_acks <= config.offsets_topic_replication_factor,
                "offsets.commit.required.acks",
                "must be from -1 to offsets.topic.replication.factor ({})",
                config.offsets_topic_replication_factor);
  OTTLA_REQUIRE(
      config.offsets_topic_compression_codec >= 0 && config.offsets_topic_compression_codec <= 4,
      "offsets.topic.compression.codec", "must be a codec number from 0 to 4");
  OTTLA_REQUIRE(config.queued_max_request_bytes <= 0 ||
                    config.queued_max_request_bytes >= config.socket_request_max_bytes,
                "queued.max.request.bytes", "must be -1, or at least socket.request.max.bytes ({})",
                config.socket_request_max_bytes);
  OTTLA_REQUIRE(config.max_connections_per_ip > 0 || !config.connections_per_ip_overrides.empty(),
                "max.connections.per.ip", "may be 0 only with max.connections.per.ip.overrides");
  OTTLA_REQUIRE(
      config.connections_max_idle_ms <= 0 ||
          config.connection_failed_authentication_delay_ms < config.connections_max_idle_ms,
      "connection.failed.authentication.delay.ms", "must be less than connections.max.idle.ms ({})",
      config.connections_max_idle_ms);
  return {};
}

#undef OTTLA_REQUIRE

// Keys that other readers take: per-listener settings, and what reporters and plugins are told.
bool known_elsewhere(std::string_view name) { return name.starts_with("listener.name."); }

Result<void> merge_node_id(const config::Properties& properties, BrokerConfig& config) {
  const config::Properties::Entry* node = properties.find("node.id");
  if (node == nullptr) return {};
  int32_t id = -1;
  std::from_chars(node->value.data(), node->value.data() + node->value.size(), id);
  if (properties.find("broker.id") != nullptr && config.broker_id != id)
    return fault(properties, config, "node.id",
                 fmt::format("must equal broker.id ({}) where both are set", config.broker_id));
  config.broker_id = id;
  return {};
}

}  // namespace

int64_t BrokerConfig::retention_ms() const {
  int64_t ms = log_retention_ms        ? *log_retention_ms
               : log_retention_minutes ? *log_retention_minutes * kMsPerMinute
                                       : log_retention_hours * kMsPerHour;
  return ms < 0 ? -1 : ms;
}
int64_t BrokerConfig::segment_ms() const {
  return log_roll_ms ? *log_roll_ms : log_roll_hours * kMsPerHour;
}
int64_t BrokerConfig::segment_jitter_ms() const {
  return log_roll_jitter_ms ? *log_roll_jitter_ms : log_roll_jitter_hours * kMsPerHour;
}
int64_t BrokerConfig::flush_ms() const {
  return log_flush_interval_ms ? *log_flush_interval_ms : log_flush_scheduler_interval_ms;
}

Result<LoadedConfig> load_broker_config(const config::Properties& properties,
                                        const std::string& source) {
  LoadedConfig loaded;
  BrokerConfig& config = loaded.config;
  config.source = source;
  auto warnings = config::load(broker_keys(), properties, config, known_elsewhere);
  if (!warnings) return std::unexpected(std::move(warnings.error()));
  for (std::string& line : *warnings)
    if (line.find(" node.id is known") == std::string::npos)
      loaded.warnings.push_back(std::move(line));
  for (const auto& entry : properties.entries()) config.given[entry.key] = entry.value;
  OTTLA_TRY(merge_node_id(properties, config));
  OTTLA_TRY(derive_listeners(properties, config));
  OTTLA_TRY(derive_inter_broker(properties, config));
  OTTLA_TRY(derive_dirs_and_limits(properties, config));
  OTTLA_TRY(check_across(properties, config));
  return loaded;
}

BrokerConfig default_broker_config() {
  config::Properties properties;
  properties.set("zookeeper.connect", "127.0.0.1:2181", "defaults");
  auto loaded = load_broker_config(properties, "defaults");
  OTTLA_CHECK(loaded.has_value());
  return std::move(loaded->config);
}

const config::KeyInfo* find_static_broker_key(std::string_view name) {
  const BrokerKey* key = config::find_key_in_order(broker_keys(), name);
  return key == nullptr ? nullptr : &key->info;
}

const config::KeyInfo* find_broker_key(std::string_view name) {
  if (auto* key = config::find_key_in_order(broker_keys(), name)) return &key->info;
  if (auto* key = config::find_key(dynamic_broker_keys(), name)) return &key->info;
  return nullptr;
}

}  // namespace ottla::broker
