// ClientPort: the listening sockets and all client connections of a broker: who may connect, how
// much memory their requests may hold, which idle ones are closed. Loop thread. Source: Kafka
// documentation, max.connections*, connections.max.idle.ms, queued.max.request.bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/config/broker_config.h"
#include "broker/server/connection.h"
#include "broker/server/figures.h"

namespace ottla::broker {

// An address as Java writes it: of version 6 in eight groups, none left out.
std::string java_address(const std::string& address);

class ClientPort final : public ConnectionOwner {
 public:
  using OnRequest = Fn<void(RequestPtr)>;
  ClientPort(rt::World& world, const BrokerConfig& config, BrokerFigures& figures,
             OnRequest on_request);
  ~ClientPort() override;

  // Binds every listener. Connections are accepted from now on, and read from open() on.
  Result<void> bind();
  uint16_t port_of(const std::string& listener_name) const;
  void open();
  // Accepts no more; answers in flight are sent, then connections end.
  void finish();
  void close();

  size_t connection_count() const { return connections_.size(); }
  uint64_t idle_closed() const { return idle_closed_; }
  const ConnectionCounters& counters() const { return counters_; }
  uint64_t memory_used() const { return held_bytes_; }

  void on_request(RequestPtr request) override { on_request_(std::move(request)); }
  void on_answered(int16_t api_key, int64_t total_ns) override {
    figures_.answered(api_key, total_ns);
  }
  void on_connection_over(uint64_t id) override;
  bool reserve_bytes(size_t bytes) override;
  void release_bytes(size_t bytes) override;

 private:
  void on_accept(const std::string& listener_name, std::unique_ptr<rt::Connection> socket);
  int32_t limit_for(const std::string& address) const;
  void close_idle();

  rt::World& world_;
  const BrokerConfig& config_;
  BrokerFigures& figures_;
  OnRequest on_request_;
  std::shared_ptr<BufferPool> pool_ = std::make_shared<BufferPool>();
  std::vector<std::pair<std::string, std::unique_ptr<rt::Listener>>> listeners_;
  std::map<uint64_t, std::shared_ptr<ClientConnection>> connections_;
  std::map<std::string, int32_t> per_address_;
  std::map<uint64_t, std::string> address_of_;
  uint64_t next_id_ = 1;
  uint64_t held_bytes_ = 0;
  bool open_ = false;
  bool some_paused_ = false;
  uint64_t idle_closed_ = 0;
  ConnectionCounters counters_;
  std::unique_ptr<rt::Timer> idle_timer_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace ottla::broker
