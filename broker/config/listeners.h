// NAME://HOST:PORT lists: listeners and advertised.listeners.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace ottla::broker {

struct Listener {
  std::string name;      // "PLAINTEXT", "EXTERNAL": upper case
  std::string protocol;  // what the name maps to: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
  std::string host;      // without brackets; empty: all addresses
  uint16_t port = 0;
  bool operator==(const Listener&) const = default;
};

std::string to_string(const Listener& listener);  // "NAME://host:port"

// The error is a phrase that follows the value ("must be ..."). `protocol_map` is the value of
// listener.security.protocol.map.
Result<std::vector<Listener>> parse_listeners(std::string_view text, std::string_view protocol_map);

// Names and ports unique, where a port may be shared by one IPv4 and one IPv6 literal.
Result<void> check_listeners(const std::vector<Listener>& listeners);

}  // namespace ottla::broker
