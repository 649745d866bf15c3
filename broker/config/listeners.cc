#include "broker/config/listeners.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace ottla::broker {
namespace {

constexpr std::string_view kProtocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

template <class Each>
void for_each_item(std::string_view text, Each each) {
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = trimmed(text.substr(0, comma));
    if (!item.empty()) each(item);
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

std::optional<std::string> protocol_of(std::string_view map, const std::string& name) {
  std::optional<std::string> found;
  for_each_item(map, [&](std::string_view pair) {
    size_t colon = pair.find(':');
    if (colon == std::string_view::npos) return;
    if (upper(trimmed(pair.substr(0, colon))) == name)
      found = upper(trimmed(pair.substr(colon + 1)));
  });
  return found;
}

Result<Listener> parse_one(std::string_view text, std::string_view protocol_map) {
  constexpr std::string_view kForm = "must be a list of NAME://HOST:PORT";
  size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0)
    return fail(Errc::invalid, std::string(kForm));
  Listener listener;
  listener.name = upper(text.substr(0, scheme));
  std::string_view rest = text.substr(scheme + 3);
  size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::invalid, std::string(kForm));
  std::string_view host = rest.substr(0, colon), port = rest.substr(colon + 1);
  int number = -1;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 0 || number > 65535)
    return fail(Errc::invalid, fmt::format("must end in a port from 0 to 65535, not {}", port));
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return fail(Errc::invalid, "must have an IPv6 address in brackets");
  listener.host = std::string(host);
  listener.port = static_cast<uint16_t>(number);
  std::optional<std::string> protocol = protocol_of(protocol_map, listener.name);
  if (!protocol)
    return fail(
        Errc::invalid,
        fmt::format("must name listeners of listener.security.protocol.map; {} is not there",
                    listener.name));
  if (std::find(std::begin(kProtocols), std::end(kProtocols), *protocol) == std::end(kProtocols))
    return fail(Errc::invalid,
                fmt::format("must map to PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; {} maps to {}",
                            listener.name, *protocol));
  listener.protocol = *protocol;
  return listener;
}

bool is_v4(const std::string& host) {
  return !host.empty() && std::all_of(host.begin(), host.end(),
                                      [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}
bool is_v6(const std::string& host) { return host.find(':') != std::string::npos; }

}  // namespace

std::string to_string(const Listener& listener) {
  bool v6 = is_v6(listener.host);
  return fmt::format("{}://{}{}{}:{}", listener.name, v6 ? "[" : "", listener.host, v6 ? "]" : "",
                     listener.port);
}

Result<std::vector<Listener>> parse_listeners(std::string_view text,
                                              std::string_view protocol_map) {
  std::vector<Listener> listeners;
  std::optional<Error> fault;
  for_each_item(text, [&](std::string_view item) {
    if (fault) return;
    Result<Listener> one = parse_one(item, protocol_map);
    if (one)
      listeners.push_back(std::move(*one));
    else
      fault = std::move(one.error());
  });
  if (fault) return std::unexpected(std::move(*fault));
  if (listeners.empty()) return fail(Errc::invalid, "must have at least one listener");
  return listeners;
}

Result<void> check_listeners(const std::vector<Listener>& listeners) {
  for (size_t i = 0; i < listeners.size(); ++i)
    for (size_t j = i + 1; j < listeners.size(); ++j) {
      const Listener &a = listeners[i], &b = listeners[j];
      if (a.name == b.name)
        return fail(Errc::invalid, fmt::format("must not name listener {} twice", a.name));
      if (a.port != b.port || a.port == 0) continue;
      bool one_each = (is_v4(a.host) && is_v6(b.host)) || (is_v6(a.host) && is_v4(b.host));
      if (!one_each)
        return fail(Errc::invalid,
                    fmt::format("must not use port {} twice, but for one IPv4 and one IPv6 address",
                                a.port));
    }
  return {};
}

}  // namespace ottla::broker
