#include "broker/config/describe.h"

#include <fmt/core.h>

#include <span>

#include "broker/config/broker_keys.h"
#include "broker/config/topic_keys.h"

namespace ottla::broker {
namespace {

using config::KeyInfo;
using config::Scope;
using config::Type;

int8_t type_number(Type type) {
  switch (type) {
    case Type::boolean:
      return 1;
    case Type::string:
      return 2;
    case Type::int32:
      return 3;
    case Type::int16:
      return 4;
    case Type::int64:
      return 5;
    case Type::float64:
      return 6;
    case Type::list:
      return 7;
    case Type::class_name:
      return 8;
    case Type::password:
      return 9;
  }
  return 0;
}

std::optional<std::string> shown(const KeyInfo& key, const std::string& text) {
  if (key.type == Type::password) return std::nullopt;
  return text;
}

// Keys that say one thing in several units, the strongest first.
std::span<const std::string_view> units_of(std::string_view name) {
  static constexpr std::string_view kRoll[] = {"log.roll.ms", "log.roll.hours"};
  static constexpr std::string_view kJitter[] = {"log.roll.jitter.ms", "log.roll.jitter.hours"};
  static constexpr std::string_view kFlush[] = {"log.flush.interval.ms",
                                                "log.flush.scheduler.interval.ms"};
  static constexpr std::string_view kRetention[] = {"log.retention.ms", "log.retention.minutes",
                                                    "log.retention.hours"};
  if (name == kFlush[0]) return kFlush;
  for (std::span<const std::string_view> units :
       {std::span<const std::string_view>(kRoll), std::span<const std::string_view>(kJitter),
        std::span<const std::string_view>(kRetention)})
    for (std::string_view unit : units)
      if (unit == name) return units;
  return {};
}

// The places a broker key's value may come from, the strongest first; those before the first that
// has the key's own name say nothing of it.
std::vector<DescribedConfig::Synonym> synonyms_of(const KeyInfo& key, const BrokerConfig* broker,
                                                  const DynamicConfigs& dynamic) {
  std::vector<DescribedConfig::Synonym> found;
  std::string_view self[] = {key.name};
  std::span<const std::string_view> names = units_of(key.name);
  if (names.empty()) names = self;
  auto add = [&](const ConfigOverrides& from, ConfigSource source) {
    for (std::string_view name : names) {
      auto at = from.find(std::string(name));
      if (at != from.end()) found.push_back({at->first, shown(key, at->second), source});
    }
  };
  if (broker != nullptr) add(dynamic.broker, ConfigSource::dynamic_broker);
  add(dynamic.cluster_default, ConfigSource::dynamic_default_broker);
  if (broker != nullptr) {
    add(broker->given, ConfigSource::static_broker);
    // broker.id and node.id are one key with two names.
    std::string_view name = key.name;
    if ((name == "node.id" || name == "broker.id") && !broker->given.contains(key.name) &&
        (broker->given.contains("broker.id") || broker->given.contains("node.id")))
      found.push_back({key.name, std::to_string(broker->broker_id), ConfigSource::static_broker});
    for (std::string_view unit : names) {
      const KeyInfo* named = find_broker_key(unit);
      if (named != nullptr && named->default_text != nullptr)
        found.push_back(
            {named->name, shown(key, named->default_text), ConfigSource::default_value});
    }
  }
  size_t foreign = 0;
  while (foreign < found.size() && found[foreign].name != key.name) ++foreign;
  found.erase(found.begin(), found.begin() + static_cast<ptrdiff_t>(foreign));
  return found;
}

// Whether a dynamic config says the same in another unit: what the file said counts no more.
bool is_replaced(std::string_view name, const DynamicConfigs& dynamic) {
  for (const char* head :
       {"log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms", "log.retention.ms"}) {
    if (name == head || (!dynamic.broker.contains(head) && !dynamic.cluster_default.contains(head)))
      continue;
    for (std::string_view unit : units_of(head))
      if (unit == name) return true;
  }
  return false;
}

DescribedConfig broker_entry(const KeyInfo& key, const BrokerConfig* broker,
                             const DynamicConfigs& dynamic) {
  DescribedConfig entry;
  entry.name = key.name;
  entry.sensitive = key.type == Type::password;
  entry.read_only = key.scope == Scope::read_only;
  entry.type = type_number(key.type);
  entry.doc = key.doc;
  entry.synonyms = synonyms_of(key, broker, dynamic);
  if (!entry.synonyms.empty()) {
    entry.source = entry.synonyms.front().source;
    if (entry.synonyms.front().value)
      entry.value = canonical_text(key, *entry.synonyms.front().value);
  }
  if (broker != nullptr && is_replaced(key.name, dynamic)) {
    entry.value.reset();
    if (key.default_text != nullptr) entry.value = canonical_text(key, key.default_text);
  }
  return entry;
}

// A key that no table knows, with the places where it stands: the value may be a secret.
DescribedConfig unknown_entry(const std::string& name, const std::vector<ConfigSource>& places) {
  DescribedConfig entry;
  entry.name = name;
  entry.sensitive = true;
  entry.read_only = true;
  entry.source = places.front();
  for (ConfigSource place : places) entry.synonyms.push_back({name, std::nullopt, place});
  return entry;
}

std::string effective_text(const KeyInfo& topic_key, const BrokerConfig& broker,
                           const DynamicConfigs& dynamic) {
  std::string_view name = topic_key.name;
  if (topic_key.synonym != nullptr) {
    const KeyInfo* broker_key = find_broker_key(topic_key.synonym);
    if (broker_key != nullptr) {
      auto places = synonyms_of(*broker_key, &broker, dynamic);
      if (!places.empty() && places.front().value) return *places.front().value;
    }
    // What several broker keys decide together, and has no synonym of its own to show.
    if (name == "retention.ms") return std::to_string(broker.retention_ms());
    if (name == "segment.ms") return std::to_string(broker.segment_ms());
    if (name == "segment.jitter.ms") return std::to_string(broker.segment_jitter_ms());
    if (name == "flush.ms") return std::to_string(broker.flush_ms());
  }
  return topic_key.default_text == nullptr ? "" : topic_key.default_text;
}

}  // namespace

std::string canonical_text(const KeyInfo& key, const std::string& text) {
  auto value = config::parse_value(key, text);
  if (!value) return text;
  switch (key.type) {
    case Type::boolean:
      return std::get<bool>(*value) ? "true" : "false";
    case Type::int16:
    case Type::int32:
    case Type::int64:
      return std::to_string(std::get<int64_t>(*value));
    case Type::list: {
      std::string joined;
      for (const std::string& item : std::get<std::vector<std::string>>(*value))
        joined += (joined.empty() ? "" : ",") + item;
      return joined;
    }
    case Type::float64: {
      if (key.default_text != nullptr && text == key.default_text) return text;
      double number = std::get<double>(*value);
      std::string printed = fmt::format("{}", number);
      if (printed.find_first_of(".e") == std::string::npos) printed += ".0";
      return printed;
    }
    default:
      return std::get<std::string>(*value);
  }
}

std::vector<DescribedConfig> describe_broker(const BrokerConfig& broker,
                                             const DynamicConfigs& dynamic) {
  std::vector<DescribedConfig> entries;
  for (const BrokerKey& key : broker_keys())
    if (!is_hidden_broker_key(key.info.name) || broker.given.contains(key.info.name))
      entries.push_back(broker_entry(key.info, &broker, dynamic));
  std::map<std::string, std::vector<ConfigSource>> unknown;
  auto collect = [&](const ConfigOverrides& from, ConfigSource source) {
    for (const auto& [name, value] : from)
      if (find_broker_key(name) == nullptr) unknown[name].push_back(source);
  };
  collect(dynamic.broker, ConfigSource::dynamic_broker);
  collect(dynamic.cluster_default, ConfigSource::dynamic_default_broker);
  collect(broker.given, ConfigSource::static_broker);
  for (const auto& [name, places] : unknown) entries.push_back(unknown_entry(name, places));
  for (const BrokerKey& key : dynamic_broker_keys())
    if (dynamic.broker.contains(key.info.name) || dynamic.cluster_default.contains(key.info.name))
      entries.push_back(broker_entry(key.info, &broker, dynamic));
  return entries;
}

std::vector<DescribedConfig> describe_cluster_default(const DynamicConfigs& dynamic) {
  std::vector<DescribedConfig> entries;
  for (const auto& [name, value] : dynamic.cluster_default) {
    const KeyInfo* key = find_broker_key(name);
    entries.push_back(key != nullptr ? broker_entry(*key, nullptr, dynamic)
                                     : unknown_entry(name, {ConfigSource::dynamic_default_broker}));
  }
  return entries;
}

std::vector<DescribedConfig> describe_topic(const BrokerConfig& broker,
                                            const DynamicConfigs& dynamic,
                                            const ConfigOverrides& overrides) {
  std::vector<DescribedConfig> entries;
  for (const TopicKey& row : topic_keys()) {
    const KeyInfo& key = row.info;
    DescribedConfig entry;
    entry.name = key.name;
    entry.type = type_number(key.type);
    entry.doc = key.doc;
    auto own = overrides.find(key.name);
    bool overridden = own != overrides.end();
    entry.value =
        canonical_text(key, overridden ? own->second : effective_text(key, broker, dynamic));
    if (overridden) entry.synonyms.push_back({key.name, entry.value, ConfigSource::topic});
    if (key.synonym != nullptr)
      if (const KeyInfo* broker_key = find_broker_key(key.synonym))
        for (auto& synonym : synonyms_of(*broker_key, &broker, dynamic))
          entry.synonyms.push_back(std::move(synonym));
    if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
    entries.push_back(std::move(entry));
  }
  for (const auto& [name, value] : overrides)
    if (find_topic_key(name) == nullptr) {
      entries.push_back(unknown_entry(name, {ConfigSource::topic}));
      entries.back().read_only = false;
    }
  return entries;
}

}  // namespace ottla::broker
