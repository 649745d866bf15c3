// Room broker/config: dynamic configs. See the header.
#include "broker/config/dynamic_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "broker/config/broker_keys.h"
#include "common/config/table.h"

namespace ottla::broker {
namespace {

using config::KeyInfo;
using config::Scope;
using config::Type;

// These have a meaning behind a listener's prefix alone.
constexpr std::string_view kSecurityKeys[] = {"ssl.key.password",
                                              "ssl.keystore.certificate.chain",
                                              "ssl.keystore.key",
                                              "ssl.keystore.location",
                                              "ssl.keystore.password",
                                              "ssl.keystore.type",
                                              "ssl.truststore.certificates",
                                              "ssl.truststore.location",
                                              "ssl.truststore.password",
                                              "ssl.truststore.type"};
// Cluster-wide even behind a prefix.
constexpr std::string_view kClusterListenerKeys[] = {
    "max.connections", "max.connection.creation.rate", "num.network.threads"};
constexpr std::string_view kListenerKeys[] = {"advertised.listeners", "listeners",
                                              "listener.security.protocol.map"};
constexpr std::string_view kPoolKeys[] = {"background.threads", "num.io.threads",
                                          "num.recovery.threads.per.data.dir",
                                          "num.replica.fetchers"};

// Of several wrong values Kafka tells the first in the order in which it holds the dynamic keys.
constexpr std::string_view kCheckedInOrder[] = {"leader.replication.throttled.rate",
                                                "follower.replication.throttled.rate",
                                                "replica.alter.log.dirs.io.max.bytes.per.second",
                                                "metric.reporters",
                                                "log.cleaner.min.compaction.lag.ms",
                                                "log.flush.interval.messages",
                                                "log.local.retention.ms",
                                                "principal.builder.class",
                                                "log.flush.interval.ms",
                                                "log.cleaner.io.buffer.size",
                                                "ssl.engine.factory.class",
                                                "sasl.kerberos.ticket.renew.window.factor",
                                                "min.insync.replicas",
                                                "ssl.truststore.certificates",
                                                "num.recovery.threads.per.data.dir",
                                                "ssl.keystore.type",
                                                "compression.lz4.level",
                                                "log.cleanup.policy",
                                                "transaction.partition.verification.enable",
                                                "sasl.mechanism.inter.broker.protocol",
                                                "ssl.truststore.password",
                                                "log.roll.jitter.ms",
                                                "sasl.kerberos.principal.to.local.rules",
                                                "log.preallocate",
                                                "max.connections.per.ip",
                                                "ssl.endpoint.identification.algorithm",
                                                "background.threads",
                                                "message.max.bytes",
                                                "num.io.threads",
                                                "sasl.login.refresh.buffer.seconds",
                                                "remote.log.manager.fetch.max.bytes.per.second",
                                                "max.connection.creation.rate",
                                                "remote.log.index.file.cache.total.size.bytes",
                                                "ssl.truststore.type",
                                                "log.index.interval.bytes",
                                                "log.cleaner.backoff.ms",
                                                "log.segment.bytes",
                                                "ssl.truststore.location",
                                                "ssl.keystore.password",
                                                "log.message.timestamp.after.max.ms",
                                                "log.segment.delete.delay.ms",
                                                "log.cleaner.max.compaction.lag.ms",
                                                "num.replica.fetchers",
                                                "log.message.timestamp.before.max.ms",
                                                "compression.type",
                                                "log.retention.ms",
                                                "max.connections.per.ip.overrides",
                                                "log.message.timestamp.difference.max.ms",
                                                "sasl.login.refresh.window.factor",
                                                "sasl.login.refresh.min.period.seconds",
                                                "ssl.client.auth",
                                                "log.cleaner.delete.retention.ms",
                                                "log.cleaner.threads",
                                                "sasl.kerberos.kinit.cmd",
                                                "ssl.secure.random.implementation",
                                                "log.cleaner.io.max.bytes.per.second",
                                                "log.cleaner.min.cleanable.ratio",
                                                "sasl.kerberos.service.name",
                                                "sasl.kerberos.ticket.renew.jitter",
                                                "ssl.trustmanager.algorithm",
                                                "log.local.retention.bytes",
                                                "log.retention.bytes",
                                                "num.network.threads",
                                                "ssl.key.password",
                                                "sasl.jaas.config",
                                                "log.message.timestamp.type",
                                                "ssl.keystore.key",
                                                "sasl.kerberos.min.time.before.relogin",
                                                "compression.gzip.level",
                                                "max.connections",
                                                "compression.zstd.level",
                                                "log.message.downconversion.enable",
                                                "listener.security.protocol.map",
                                                "ssl.protocol",
                                                "ssl.keystore.certificate.chain",
                                                "listeners",
                                                "ssl.enabled.protocols",
                                                "ssl.provider",
                                                "ssl.keystore.location",
                                                "producer.id.expiration.ms",
                                                "log.roll.ms",
                                                "ssl.cipher.suites",
                                                "sasl.enabled.mechanisms",
                                                "unclean.leader.election.enable",
                                                "log.cleaner.io.buffer.load.factor",
                                                "remote.log.manager.copy.max.bytes.per.second",
                                                "log.index.size.max.bytes",
                                                "ssl.keymanager.algorithm",
                                                "remote.fetch.max.wait.ms",
                                                "advertised.listeners",
                                                "sasl.login.refresh.window.jitter",
                                                "log.cleaner.dedupe.buffer.size"};

template <size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// "listener.name.NAME.KEY" -> KEY; another name: empty.
std::string_view behind_prefix(std::string_view name) {
  constexpr std::string_view kPrefix = "listener.name.";
  if (!name.starts_with(kPrefix)) return {};
  size_t dot = name.find('.', kPrefix.size());
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

bool is_fixed(std::string_view name) {
  const KeyInfo* key = find_static_broker_key(name);
  return key != nullptr && key->scope == Scope::read_only;
}

bool is_per_broker(std::string_view name) {
  if (std::string_view base = behind_prefix(name); !base.empty())
    return !among(kClusterListenerKeys, base);
  const KeyInfo* key = find_static_broker_key(name);
  return key != nullptr && key->scope == Scope::per_broker;
}

std::string type_fault(const std::string& name, const std::string& text) {
  std::string_view base = behind_prefix(name);
  const KeyInfo* key = find_broker_key(base.empty() ? std::string_view(name) : base);
  if (key == nullptr || key->scope == Scope::read_only) return {};
  if (key->type == Type::password) return {};
  if (key->type == Type::class_name) {
    if (key->default_text != nullptr && text == key->default_text) return {};
    return fmt::format("Invalid value {} for configuration {}: Class {} could not be found.", text,
                       key->name, text);
  }
  return value_fault(*key, text);
}

std::vector<std::string> names_where(const ConfigOverrides& config,
                                     bool (*holds)(std::string_view name)) {
  std::vector<std::string> names;
  for (const auto& [name, value] : config)
    if (holds(name)) names.push_back(name);
  return names;
}

std::string joined(const std::vector<std::string>& items, const char* between) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : between) + item;
  return text;
}

// Names, types and scope: what can be said of a config by itself.
std::string shape_fault(const ConfigOverrides& proposed, bool per_broker) {
  if (auto fixed = names_where(proposed, is_fixed); !fixed.empty())
    return "Cannot update these configs dynamically: " + scala_set_text(fixed);
  auto security = names_where(proposed, [](std::string_view n) { return among(kSecurityKeys, n); });
  if (!security.empty())
    return fmt::format(
        "These security configs can be dynamically updated only per-listener using the listener "
        "prefix: HashSet({})",
        joined(security, ", "));
  // A listener's key is judged as the key behind its prefix.
  std::map<std::string_view, std::pair<std::string, std::string>> by_key;
  for (const auto& config : proposed) {
    std::string_view base = behind_prefix(config.first);
    by_key[base.empty() ? std::string_view(config.first) : base] = config;
  }
  for (std::string_view key : kCheckedInOrder)
    if (auto at = by_key.find(key); at != by_key.end())
      if (std::string fault = type_fault(at->second.first, at->second.second); !fault.empty())
        return fault;
  if (per_broker) return {};
  if (auto narrow = names_where(proposed, is_per_broker); !narrow.empty())
    return "Cannot update these configs at default cluster level, broker id must be specified: " +
           scala_set_text(narrow);
  return {};
}

void derive(BrokerConfig& config) {
  config.connections_per_ip_overrides.clear();
  std::string_view rest = config.max_connections_per_ip_overrides;
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    size_t colon = item.rfind(':');
    if (colon == std::string_view::npos) continue;
    int32_t count = -1;
    std::from_chars(item.data() + colon + 1, item.data() + item.size(), count);
    if (count >= 0) config.connections_per_ip_overrides[std::string(item.substr(0, colon))] = count;
  }
}

void lay_over(const ConfigOverrides& overrides, BrokerConfig& config) {
  for (const auto& [name, text] : overrides) {
    const BrokerKey* key = config::find_key_in_order(broker_keys(), name);
    if (key == nullptr || among(kListenerKeys, name)) continue;
    if (auto value = config::parse_value(key->info, text)) key->store(*value, config);
  }
}

// The value of a key where it stands first.
std::string text_of(const char* name, const BrokerConfig& file, const DynamicConfigs& dynamic) {
  for (const ConfigOverrides* from : {&dynamic.broker, &dynamic.cluster_default, &file.given})
    if (auto at = from->find(name); at != from->end()) return at->second;
  const char* by_default = find_broker_key(name)->default_text;
  return by_default == nullptr ? "" : by_default;
}

// The same as a number: Kafka compares the old count with the new one.
int64_t number_of(const char* name, const BrokerConfig& file, const DynamicConfigs& dynamic) {
  auto value = config::parse_value(*find_broker_key(name), text_of(name, file, dynamic));
  return value && std::holds_alternative<int64_t>(*value) ? std::get<int64_t>(*value) : 0;
}

std::string overrides_fault(const BrokerConfig& config) {
  std::string_view rest = config.max_connections_per_ip_overrides;
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    size_t colon = item.rfind(':');
    if (colon == std::string_view::npos)
      return fmt::format(
          "Error parsing configuration property 'max.connections.per.ip.overrides': "
          "Invalid input '{}'; expected key:value pairs",
          item);
    int32_t count = 0;
    auto [end, error] = std::from_chars(item.data() + colon + 1, item.data() + item.size(), count);
    if (error != std::errc() || end != item.data() + item.size())
      return fmt::format("For input string: \"{}\"", item.substr(colon + 1));
  }
  return {};
}

// What Kafka requires of all settings together, as far as dynamic keys can break it.
std::string settings_fault(const BrokerConfig& config) {
  if (config.segment_ms() < 1)
    return "requirement failed: log.roll.ms must be greater than or equal to 1";
  if (config.segment_jitter_ms() < 0)
    return "requirement failed: log.roll.jitter.ms must be greater than or equal to 0";
  if (config.retention_ms() < 1 && config.retention_ms() != -1)
    return "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal "
           "to 1";
  if (config.log_cleaner_threads == 0) return "/ by zero";
  if (config.log_cleaner_dedupe_buffer_size / config.log_cleaner_threads <= 1024 * 1024)
    return "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner "
           "thread.";
  if (std::string fault = overrides_fault(config); !fault.empty()) return fault;
  if (config.max_connections_per_ip == 0 && config.connections_per_ip_overrides.empty())
    return "requirement failed: max.connections.per.ip can be set to zero only if "
           "max.connections.per.ip.overrides property is set.";
  return {};
}

// New listeners are taken at a restart alone; the same ones may be said again.
std::string listener_fault(const BrokerConfig& file, const ConfigOverrides& proposed) {
  auto listeners = proposed.find("listeners");
  auto advertised = proposed.find("advertised.listeners");
  auto map = proposed.find("listener.security.protocol.map");
  const std::string& protocols =
      map != proposed.end() ? map->second : file.listener_security_protocol_map;
  for (auto* at : {&listeners, &advertised}) {
    if (*at == proposed.end()) continue;
    const std::string& text = (*at)->second;
    for (size_t from = 0; from <= text.size();) {
      size_t comma = std::min(text.find(',', from), text.size());
      std::string item = text.substr(from, comma - from);
      if (item.find("://") == std::string::npos || item.rfind(':') == item.find("://"))
        return fmt::format(
            "Error creating broker listeners from '{}': Unable to parse {} to a "
            "broker endpoint",
            text, item);
      from = comma + 1;
    }
    auto parsed = parse_listeners(text, protocols);
    const auto& now = at == &listeners ? file.listeners : file.advertised_listeners;
    if (!parsed || *parsed != now)
      return fmt::format(
          "{} cannot be changed while this broker runs; change it in the file and "
          "restart",
          (*at)->first);
  }
  if (map != proposed.end() && map->second != file.listener_security_protocol_map)
    return "listener.security.protocol.map cannot be changed while this broker runs; change it in "
           "the file and restart";
  return {};
}

std::string wrapped(const std::string& why) {
  return fmt::format(
      "Invalid value org.apache.kafka.common.config.ConfigException: {} for configuration Invalid "
      "dynamic configuration",
      why);
}

std::string pool_fault(const char* name, int64_t now, int64_t then) {
  if (then == now) return {};
  std::string head =
      fmt::format("Dynamic thread count update validation failed for {}={}", name, then);
  if (then <= 0) return head + ", value should be at least 1";
  if (then < now / 2)
    return fmt::format("{}, value should be at least half the current value {}", head, now);
  if (then > now * 2)
    return fmt::format("{}, value should not be greater than double the current value {}", head,
                       now);
  return {};
}

std::string local_retention_fault(const BrokerConfig& next) {
  auto fault = [](const char* key, int64_t value, const std::string& why) {
    return fmt::format("Invalid value {} for configuration {}: {}", value, key, why);
  };
  int64_t ms = next.retention_ms(), local_ms = next.log_local_retention_ms;
  if (ms != -1 && local_ms != -2) {
    if (local_ms == -1)
      return fault("log.local.retention.ms", local_ms,
                   fmt::format("Value must not be -1 as log.retention.ms value is set as {}.", ms));
    if (local_ms > ms)
      return fault(
          "log.local.retention.ms", local_ms,
          fmt::format("Value must not be more than log.retention.ms property value: {}", ms));
  }
  int64_t bytes = next.log_retention_bytes, local_bytes = next.log_local_retention_bytes;
  if (bytes > -1 && local_bytes != -2) {
    if (local_bytes == -1)
      return fault(
          "log.local.retention.bytes", local_bytes,
          fmt::format("Value must not be -1 as log.retention.bytes value is set as {}.", bytes));
    if (local_bytes > bytes)
      return fault(
          "log.local.retention.bytes", local_bytes,
          fmt::format("Value must not be more than log.retention.bytes property value: {}", bytes));
  }
  return {};
}

// What the parts of a broker say to a change, in the order in which Kafka asks them.
std::string change_fault(const BrokerConfig& file, const DynamicConfigs& current,
                         const DynamicConfigs& next, const BrokerConfig& settings) {
  auto before = [&](const char* name) { return number_of(name, file, current); };
  auto after = [&](const char* name) { return number_of(name, file, next); };
  for (const char* name : {"max.connections", "max.connection.creation.rate"})
    if (after(name) != before(name) && after(name) <= 0)
      return fmt::format("Invalid {} {}", name, after(name));
  if (std::string fault = pool_fault("num.network.threads", before("num.network.threads"),
                                     after("num.network.threads"));
      !fault.empty())
    return fault;
  // A reporter is a Java class: none can be loaded here.
  if (text_of("metric.reporters", file, next) != text_of("metric.reporters", file, current) &&
      !text_of("metric.reporters", file, next).empty())
    return "Validation of dynamic config update of HashSet(metric.reporters) failed with class "
           "class "
           "kafka.server.DynamicMetricsReporters";
  for (std::string_view name : kPoolKeys)
    if (std::string fault = pool_fault(name.data(), before(name.data()), after(name.data()));
        !fault.empty())
      return fault;
  if (std::string fault = local_retention_fault(settings);
      !fault.empty() && local_retention_fault(with_dynamic(file, current)).empty())
    return fault;
  int64_t cleaners = before("log.cleaner.threads"), wanted = after("log.cleaner.threads");
  if (wanted < 1) return "Log cleaner threads should be at least 1";
  if (wanted < cleaners / 2)
    return fmt::format(
        "Log cleaner threads cannot be reduced to less than half the current value {}", cleaners);
  if (wanted > cleaners * 2)
    return fmt::format(
        "Log cleaner threads cannot be increased to more than double the current value {}",
        cleaners);
  return {};
}

std::vector<std::string> split_list(const std::string& text) {
  // Java's split: empty items at the end are dropped, an empty text is one empty item.
  std::vector<std::string> items;
  for (size_t from = 0; from <= text.size();) {
    size_t comma = std::min(text.find(',', from), text.size());
    items.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  while (items.size() > 1 && items.back().empty()) items.pop_back();
  if (text.find_first_not_of(',') == std::string::npos && !text.empty()) items.clear();
  return items;
}

std::string old_list(const KeyInfo& key, const ConfigOverrides& config) {
  auto at = config.find(key.name);
  if (at != config.end()) return at->second;
  return key.default_text == nullptr ? "" : key.default_text;
}

std::optional<ConfigRefusal> alter_list(const Alteration& one, bool append, FindKey find,
                                        ConfigOverrides& config) {
  const KeyInfo* key = find(one.name);
  if (key == nullptr) return ConfigRefusal{RefusalKind::server_error, {}};
  if (key->type != Type::list)
    return ConfigRefusal{RefusalKind::invalid_config,
                         fmt::format("Config value {} is not allowed for config key: {}",
                                     append ? "append" : "subtract", one.name)};
  std::string old_text = old_list(*key, config);
  std::vector<std::string> items = split_list(old_text), given = split_list(one.value.value_or(""));
  if (append) {
    if (old_text.empty()) items.clear();
    size_t old_count = items.size();
    for (const std::string& item : given)
      if (std::find(items.begin(), items.begin() + static_cast<ptrdiff_t>(old_count), item) ==
          items.begin() + static_cast<ptrdiff_t>(old_count))
        items.push_back(item);
  } else {
    // As a difference of multisets: each given item takes one away.
    for (const std::string& item : given)
      if (auto at = std::find(items.begin(), items.end(), item); at != items.end()) items.erase(at);
  }
  config[one.name] = joined(items, ",");
  return std::nullopt;
}

}  // namespace

std::string scala_set_text(const std::vector<std::string>& names) {
  return (names.size() > 4 ? "HashSet(" : "Set(") + joined(names, ", ") + ")";
}

std::optional<ConfigRefusal> alter_config(std::span<const Alteration> alterations, FindKey find,
                                          ConfigOverrides& config) {
  for (const Alteration& one : alterations) {
    std::optional<ConfigRefusal> refusal;
    switch (static_cast<AlterOp>(one.op)) {
      case AlterOp::set:
        config[one.name] = one.value.value_or("");
        break;
      case AlterOp::remove:
        config.erase(one.name);
        break;
      case AlterOp::append:
        refusal = alter_list(one, true, find, config);
        break;
      case AlterOp::subtract:
        refusal = alter_list(one, false, find, config);
        break;
      default:
        refusal = ConfigRefusal{RefusalKind::server_error, {}};
    }
    if (refusal) return refusal;
  }
  return std::nullopt;
}

ConfigOverrides usable_dynamic(const ConfigOverrides& stored, bool per_broker) {
  ConfigOverrides usable;
  for (const auto& [name, text] : stored) {
    if (is_fixed(name) || among(kSecurityKeys, name) || is_password_key(name)) continue;
    if (!per_broker && is_per_broker(name)) continue;
    if (!type_fault(name, text).empty()) continue;
    usable[name] = text;
  }
  return usable;
}

BrokerConfig with_dynamic(const BrokerConfig& file, const DynamicConfigs& dynamic) {
  BrokerConfig config = file;
  lay_over(dynamic.cluster_default, config);
  lay_over(dynamic.broker, config);
  derive(config);
  return config;
}

std::string dynamic_config_fault(const BrokerConfig& file, const DynamicConfigs& current,
                                 const ConfigOverrides& proposed, bool per_broker) {
  if (std::string fault = shape_fault(proposed, per_broker); !fault.empty()) return fault;
  DynamicConfigs next = current;
  (per_broker ? next.broker : next.cluster_default) = proposed;
  BrokerConfig settings = with_dynamic(file, next);
  if (per_broker)
    if (std::string fault = listener_fault(file, proposed); !fault.empty()) return fault;
  if (std::string fault = settings_fault(settings); !fault.empty()) return fault;
  if (std::string fault = change_fault(file, current, next, settings); !fault.empty())
    return wrapped(fault);
  return {};
}

bool is_password_key(std::string_view name) {
  for (const BrokerKey& key : broker_keys())
    if (key.info.type == Type::password && key.info.scope != Scope::read_only &&
        name.ends_with(key.info.name))
      return true;
  return false;
}

}  // namespace ottla::broker
