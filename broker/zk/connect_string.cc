// Room broker/zk: parsing of zookeeper.connect. Pure.
#include "broker/zk/connect_string.h"

#include <fmt/core.h>

#include <charconv>

namespace ottla::broker {
namespace {

std::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  return fail(
      Errc::invalid,
      fmt::format("zookeeper.connect={}: {}; allowed: host:port,host:port/chroot", text, why));
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<ConnectString> parse_connect_string(std::string_view text) {
  ConnectString out;
  out.text = text;
  std::string_view servers = text;
  if (size_t slash = text.find('/'); slash != std::string_view::npos) {
    servers = text.substr(0, slash);
    std::string_view chroot = trimmed(text.substr(slash));
    if (chroot.size() > 1) {
      if (chroot.back() == '/') return refuse(text, "the chroot ends in '/'");
      if (chroot.find("//") != std::string_view::npos ||
          chroot.find('\0') != std::string_view::npos)
        return refuse(text, "the chroot is no ZooKeeper path");
      out.chroot = chroot;
    }
  }
  while (true) {
    size_t comma = servers.find(',');
    std::string_view one = trimmed(servers.substr(0, comma));
    if (!one.empty()) {
      rt::Endpoint endpoint;
      endpoint.port = kDefaultZkPort;
      size_t colon = one.rfind(':');
      bool bare_v6 = one.front() != '[' && one.find(':') != colon;
      bool has_port = colon != std::string_view::npos && !bare_v6 && one.back() != ']';
      std::string_view host = has_port ? one.substr(0, colon) : one;
      if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
      if (host.empty()) return refuse(text, "a server without a host");
      endpoint.host = host;
      if (has_port) {
        std::string_view port = one.substr(colon + 1);
        auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
        if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0)
          return refuse(text, "a port that is no number from 1 to 65535");
      }
      out.servers.push_back(std::move(endpoint));
    }
    if (comma == std::string_view::npos) break;
    servers.remove_prefix(comma + 1);
  }
  if (out.servers.empty()) return refuse(text, "no server");
  return out;
}

}  // namespace ottla::broker
