// The table of broker keys: parsing, defaults, warnings, Describe answers and the documentation
// come from its rows. Rows are in the order of their names.
#pragma once

#include <span>
#include <string_view>

#include "broker/config/broker_config.h"
#include "common/config/key.h"

namespace ottla::broker {

using BrokerKey = config::Key<BrokerConfig>;

std::span<const BrokerKey> broker_keys();
// Keys that exist only as dynamic configs, never in a file.
std::span<const BrokerKey> dynamic_broker_keys();
// Accepted in a file but left out of Describe answers.
bool is_hidden_broker_key(std::string_view name);

// The row of a name in either table, or null.
const config::KeyInfo* find_broker_key(std::string_view name);
const config::KeyInfo* find_static_broker_key(std::string_view name);  // of the first alone

}  // namespace ottla::broker
