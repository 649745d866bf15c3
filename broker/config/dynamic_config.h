// Changing configs while the broker runs: what an alteration makes of a stored config, which broker
// keys may be changed and to what, and what the broker's settings then are. Pure. Refusals carry
// Kafka's own texts. Source: KIP-226, KIP-339; behaviour of DynamicBrokerConfig.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/describe.h"

namespace ottla::broker {

// Which error an answer gives for a refusal.
enum class RefusalKind {
  invalid_config,   // INVALID_CONFIG with the text as it is
  bad_value,        // INVALID_CONFIG, the text after "Invalid config value for resource ...: "
  invalid_request,  // INVALID_REQUEST
  server_error,     // UNKNOWN_SERVER_ERROR without text: what Kafka's broker stumbles over
};
struct ConfigRefusal {
  RefusalKind kind;
  std::string text;
};

// Kafka's numbers.
enum class AlterOp : int8_t { set = 0, remove = 1, append = 2, subtract = 3 };
struct Alteration {
  std::string name;
  int8_t op = 0;  // as received: may be none of AlterOp
  std::optional<std::string> value;
};

using FindKey = const config::KeyInfo* (*)(std::string_view name);

// Carries the alterations out on `config`, one after the other, up to the first that is refused.
std::optional<ConfigRefusal> alter_config(std::span<const Alteration> alterations, FindKey find,
                                          ConfigOverrides& config);

// What counts of a stored broker config: keys that cannot be dynamic, values of the wrong type and
// the like stand in ZooKeeper without effect.
ConfigOverrides usable_dynamic(const ConfigOverrides& stored, bool per_broker);

// The settings of the file with the dynamic ones over them.
BrokerConfig with_dynamic(const BrokerConfig& file, const DynamicConfigs& dynamic);

// Empty when `proposed` may replace this broker's dynamic config (per_broker) or the cluster's
// default; else why not.
std::string dynamic_config_fault(const BrokerConfig& file, const DynamicConfigs& current,
                                 const ConfigOverrides& proposed, bool per_broker);

// Whether a key, also behind a listener prefix, holds a secret. They cannot be stored: see the
// README.
bool is_password_key(std::string_view name);

// As Scala prints an immutable set of these names.
std::string scala_set_text(const std::vector<std::string>& names);

}  // namespace ottla::broker
