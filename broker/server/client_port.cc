#include "broker/server/client_port.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>

#include "common/base/endian.h"
#include "common/base/log.h"

namespace ottla::broker {

namespace {
constexpr log::Room kLog{"broker.server"};
constexpr int64_t kIdleCheckMaxMs = 10'000;
}  // namespace

std::string java_address(const std::string& address) {
  in6_addr v6;
  if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
  std::string text;
  for (size_t at = 0; at < sizeof v6.s6_addr; at += 2)
    text += fmt::format("{}{:x}", at == 0 ? "" : ":", load_be<uint16_t>(v6.s6_addr + at));
  return text;
}

ClientPort::ClientPort(rt::World& world, const BrokerConfig& config, BrokerFigures& figures,
                       OnRequest on_request)
    : world_(world), config_(config), figures_(figures), on_request_(std::move(on_request)) {
  idle_timer_ = world_.loop.make_timer([this] { close_idle(); });
}

ClientPort::~ClientPort() {
  listeners_.clear();
  connections_.clear();
}

Result<void> ClientPort::bind() {
  for (const Listener& listener : config_.listeners) {
    auto bound = world_.net.listen({listener.host, listener.port},
                                   [this, name = listener.name](std::unique_ptr<rt::Connection> c) {
                                     on_accept(name, std::move(c));
                                   });
    if (!bound) {
      std::string remedy = bound.error().code == Errc::in_use
                               ? "; another program listens there: stop it or change listeners"
                               : "";
      return fail(bound.error().code,
                  fmt::format("{}: listeners={}: {}{}", config_.source, to_string(listener),
                              bound.error().context, remedy));
    }
    listeners_.emplace_back(listener.name, std::move(*bound));
  }
  return {};
}

uint16_t ClientPort::port_of(const std::string& listener_name) const {
  for (const auto& [name, listener] : listeners_)
    if (name == listener_name) return listener->port();
  return 0;
}

void ClientPort::open() {
  open_ = true;
  for (auto& [id, connection] : connections_) connection->start();
  close_idle();
}

int32_t ClientPort::limit_for(const std::string& address) const {
  for (const std::string& written : {address, java_address(address)}) {
    auto own = config_.connections_per_ip_overrides.find(written);
    if (own != config_.connections_per_ip_overrides.end()) return own->second;
  }
  return config_.max_connections_per_ip;
}

void ClientPort::on_accept(const std::string& listener_name,
                           std::unique_ptr<rt::Connection> socket) {
  std::string address = socket->peer().host;
  int32_t& count = per_address_[address];
  bool too_many = count >= limit_for(address) ||
                  connections_.size() >= static_cast<size_t>(config_.max_connections);
  if (too_many) {
    log::debug(kLog, "connection refused: too many", "peer={}", address);
    if (count == 0) per_address_.erase(address);
    return;
  }
  ++count;
  auto client = std::make_shared<ClientInfo>();
  client->connection_id = next_id_++;
  client->host = "/" + java_address(address);
  client->listener_name = listener_name;
  client->pool = pool_;
  client->release_bytes = [this, alive = std::weak_ptr<int>(alive_)](size_t bytes) {
    if (!alive.expired()) release_bytes(bytes);
  };
  auto connection = std::make_shared<ClientConnection>(
      world_.loop, *this, std::move(socket), client,
      static_cast<size_t>(config_.socket_request_max_bytes), counters_);
  address_of_[client->connection_id] = address;
  connections_.emplace(client->connection_id, connection);
  if (open_) connection->start();
}

void ClientPort::on_connection_over(uint64_t id) {
  auto address = address_of_.find(id);
  if (address != address_of_.end()) {
    auto count = per_address_.find(address->second);
    if (count != per_address_.end() && --count->second <= 0) per_address_.erase(count);
    address_of_.erase(address);
  }
  // Not now: the connection may be on the stack.
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), id] {
    if (!alive.expired()) connections_.erase(id);
  });
}

bool ClientPort::reserve_bytes(size_t bytes) {
  auto limit = config_.queued_max_request_bytes;
  if (limit > 0 && held_bytes_ > 0 && held_bytes_ + bytes > static_cast<uint64_t>(limit)) {
    some_paused_ = true;
    return false;
  }
  held_bytes_ += bytes;
  return true;
}

void ClientPort::release_bytes(size_t bytes) {
  held_bytes_ -= bytes;
  if (!some_paused_ || bytes == 0) return;
  some_paused_ = false;
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    std::vector<std::shared_ptr<ClientConnection>> paused;
    for (auto& [id, connection] : connections_)
      if (connection->paused_for_memory()) paused.push_back(connection);
    for (auto& connection : paused) connection->resume();
  });
}

void ClientPort::close_idle() {
  if (config_.connections_max_idle_ms <= 0) return;
  Instant now = world_.loop.now();
  int64_t idle_ns = ms_to_ns(config_.connections_max_idle_ms);
  std::vector<std::shared_ptr<ClientConnection>> idle;
  for (auto& [id, connection] : connections_)
    if (connection->is_idle(now, idle_ns)) idle.push_back(connection);
  idle_closed_ += idle.size();
  for (auto& connection : idle) connection->close();
  int64_t every = std::clamp<int64_t>(config_.connections_max_idle_ms / 2, 10, kIdleCheckMaxMs);
  idle_timer_->arm_at(after_ms(now, every));
}

void ClientPort::finish() {
  listeners_.clear();
  std::vector<std::shared_ptr<ClientConnection>> all;
  for (auto& [id, connection] : connections_) all.push_back(connection);
  for (auto& connection : all) connection->finish();
}

void ClientPort::close() {
  listeners_.clear();
  std::vector<std::shared_ptr<ClientConnection>> all;
  for (auto& [id, connection] : connections_) all.push_back(connection);
  for (auto& connection : all) connection->end();
}

}  // namespace ottla::broker
