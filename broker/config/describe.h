// The entries of DescribeConfigs answers, from the tables. Source: KIP-133, KIP-226, KIP-569.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/config/topic_config.h"

namespace ottla::broker {

// Kafka's numbers.
enum class ConfigSource : int8_t {
  topic = 1,
  dynamic_broker = 2,
  dynamic_default_broker = 3,
  static_broker = 4,
  default_value = 5,
};

struct DescribedConfig {
  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    ConfigSource source;
  };
  std::string name;
  std::optional<std::string> value;  // null when sensitive or without value
  bool read_only = false;
  bool sensitive = false;
  ConfigSource source = ConfigSource::default_value;
  int8_t type = 0;  // Kafka's number of the type
  std::vector<Synonym> synonyms;
  const char* doc = "";
};

// What is stored in ZooKeeper under /config/brokers.
struct DynamicConfigs {
  ConfigOverrides broker;           // of this broker
  ConfigOverrides cluster_default;  // "<default>"
};

// The value as Kafka prints it: trimmed, booleans in lower case, lists joined by commas.
std::string canonical_text(const config::KeyInfo& key, const std::string& text);

// All keys of the broker, then keys of the file and of ZooKeeper that no table knows (sensitive:
// nobody can say).
std::vector<DescribedConfig> describe_broker(const BrokerConfig& broker,
                                             const DynamicConfigs& dynamic);
// The cluster-wide dynamic defaults alone.
std::vector<DescribedConfig> describe_cluster_default(const DynamicConfigs& dynamic);
std::vector<DescribedConfig> describe_topic(const BrokerConfig& broker,
                                            const DynamicConfigs& dynamic,
                                            const ConfigOverrides& overrides);

}  // namespace ottla::broker
