// The connection shell in the simulated world: frames in pieces, order of answers, garbage, limits.
#include <catch2/catch.hpp>

#include "broker/api/handlers.h"
#include "broker/server/client_port.h"
#include "common/base/endian.h"
#include "common/rt_asio/runtime.h"
#include "common/rt_sim/simulator.h"
#include "proto/kafka/heartbeat.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

constexpr int64_t kSecond = 1'000'000'000;

// A server whose requests are kept until the test answers them.
struct Server {
  explicit Server(uint64_t seed, int32_t max_request = 1 << 20, int32_t per_ip = 100)
      : sim(seed), world(sim.add_node("server")), config(default_broker_config()) {
    config.listeners = {{"PLAINTEXT", "PLAINTEXT", "", 9092}};
    config.socket_request_max_bytes = max_request;
    config.max_connections_per_ip = per_ip;
    port.emplace(world, config, figures, [this](RequestPtr request) {
      seen.push_back(request->correlation_id());
      if (seen.size() == 1) world.loop.post([this] { seen_in_first_turn = seen.size(); });
      if (hold)
        held.push_back(std::move(request));
      else
        answer(std::move(request));
    });
    REQUIRE(port->bind());
    port->open();
  }
  static void answer(RequestPtr request) { request->reply(kmsg::HeartbeatResponse{}); }

  sim::Simulator sim;
  rt::World world;
  BrokerConfig config;
  BrokerFigures figures;
  std::optional<ClientPort> port;
  bool hold = false;
  std::vector<int32_t> seen;
  // What was seen when the turn of the loop ended in which the first was.
  std::optional<size_t> seen_in_first_turn;
  std::vector<RequestPtr> held;
};

struct Client {
  Client(rt::World world, const std::string& bytes, const rt::Endpoint& to = {"server", 9092})
      : world_(world), to_send_(bytes) {
    attempt_ = world_.net.connect(to, [this](auto result) {
      if (!result) {
        closed = true;
        return;
      }
      socket_ = std::move(*result);
      if (!to_send_.empty()) send(to_send_);
      read();
    });
  }
  void send(const std::string& bytes) { socket_->send(Buffer(as_bytes(bytes))); }
  void read() {
    socket_->read(into_, [this](Result<size_t> got) {
      if (!got || *got == 0) {
        closed = true;
        return;
      }
      received.append(reinterpret_cast<const char*>(into_), *got);
      read();
    });
  }
  // The correlation ids of the answers so far.
  std::vector<int32_t> answers() const {
    std::vector<int32_t> ids;
    size_t at = 0;
    while (at + 8 <= received.size()) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(received.data()) + at;
      ids.push_back(load_be<int32_t>(bytes + 4));
      at += 4 + static_cast<size_t>(load_be<int32_t>(bytes));
    }
    return ids;
  }
  std::string received;
  bool closed = false;

 private:
  rt::World world_;
  std::string to_send_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> socket_;
  uint8_t into_[4096];
};

std::string frame(int32_t correlation_id, size_t padding = 0) {
  kmsg::HeartbeatRequest request;
  request.group_id = std::string(padding, 'g');
  wire::Writer writer;
  writer.i32(0);
  writer.i16(12);
  writer.i16(0);
  writer.i32(correlation_id);
  writer.i16(-1);
  REQUIRE(request.encode(writer, 0));
  writer.patch_i32(0, static_cast<int32_t>(writer.size() - 4));
  return std::string(as_text(writer.bytes()));
}

}  // namespace

TEST_CASE("who asks for much at once leaves the others their part of each turn") {
  Server server(1);
  std::string all;
  for (int32_t i = 0; i < 300; ++i) all += frame(i);
  Client client(server.sim.add_node("client"), all);
  REQUIRE(server.sim.run_until([&] { return client.answers().size() == 300; }, kSecond));
  CHECK(server.seen_in_first_turn.value_or(300) <= 64);
}

TEST_CASE("pipelined frames of all sizes are answered in their order") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Server server(seed);
    std::string all;
    std::vector<int32_t> expected;
    Prng prng(seed);
    for (int32_t i = 0; i < 300; ++i) {
      all += frame(i, prng.chance(0.1) ? prng.below(30'000) : prng.below(100));
      expected.push_back(i);
    }
    Client client(server.sim.add_node("client"), all);
    CHECK(server.sim.run_until([&] { return client.answers().size() == 300; }, 60 * kSecond));
    CHECK(client.answers() == expected);
    CHECK(server.port->memory_used() == 0);
    CHECK(!client.closed);
  }
}

TEST_CASE("the next request waits for the answer to the one before") {
  Server server(1);
  server.hold = true;
  Client client(server.sim.add_node("client"), frame(1) + frame(2) + frame(3));
  server.sim.run_for(kSecond);
  CHECK(server.seen == std::vector<int32_t>{1});
  server.hold = false;
  Server::answer(std::move(server.held[0]));
  server.sim.run_for(kSecond);
  CHECK(client.answers() == std::vector<int32_t>{1, 2, 3});
}

TEST_CASE("a client that wants no answers may send and leave") {
  Server server(1);
  server.hold = true;
  {
    Client client(server.sim.add_node("client"), frame(1) + frame(2) + frame(3));
    server.sim.run_for(kSecond);
  }
  server.sim.run_for(kSecond);
  CHECK(server.seen == std::vector<int32_t>{1});
  server.held[0]->reply_nothing();
  server.sim.run_for(kSecond);
  REQUIRE(server.seen == std::vector<int32_t>{1, 2});
  server.held[1]->reply_nothing();
  server.sim.run_for(kSecond);
  REQUIRE(server.seen == std::vector<int32_t>{1, 2, 3});
  CHECK(server.port->connection_count() == 1);
  server.held[2]->reply_nothing();
  server.sim.run_for(kSecond);
  CHECK(server.port->connection_count() == 0);
  CHECK(server.port->memory_used() > 0);
  server.held.clear();
  CHECK(server.port->memory_used() == 0);
}

TEST_CASE("a client that leaves while an answer is parked is heard out") {
  Server server(1);
  server.hold = true;
  std::optional<Client> client(std::in_place, server.sim.add_node("client"),
                               frame(1) + frame(2) + frame(3));
  server.sim.run_for(kSecond);
  server.held.at(0)->client().cancel = [&] { server.held.clear(); };  // as a parked Fetch does
  client.reset();
  server.sim.run_for(kSecond);
  CHECK(server.seen == std::vector<int32_t>{1, 2});
  server.held.clear();  // nobody answers
  server.sim.run_for(kSecond);
  CHECK(server.seen == std::vector<int32_t>{1, 2, 3});
  server.held.clear();
  server.sim.run_for(kSecond);
  CHECK(server.port->connection_count() == 0);
  CHECK(server.port->memory_used() == 0);
}

TEST_CASE("what is no request ends its connection, after the answers before it") {
  const std::string bad[] = {
      std::string("\0\0\0\0", 4),                        // no header
      std::string("\xff\xff\xff\xff", 4),                // a negative size
      std::string("\x7f\xff\xff\xff", 4),                // over the limit
      std::string("\0\0\0\3\0\x0c\0", 7),                // half a header
      std::string("\0\0\0\x8\x27\x0f\0\0\0\0\0\1", 12),  // an unknown API
      "GET / HTTP/1.1\r\n\r\n",
  };
  for (const std::string& garbage : bad) {
    Server server(7);
    Client other(server.sim.add_node("other"), frame(5));
    Client client(server.sim.add_node("client"), frame(1) + garbage + frame(2));
    server.sim.run_for(5 * kSecond);
    CHECK(client.closed);
    CHECK(client.answers() == std::vector<int32_t>{1});
    CHECK(!other.closed);
    CHECK(server.port->connection_count() == 1);
    CHECK(server.port->memory_used() == 0);
  }
}

// Over real sockets too, where what a turn of the loop sends leaves at the turn's end.
TEST_CASE("over a real socket, too, the answers before garbage arrive") {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  BrokerConfig config = default_broker_config();
  config.listeners = {{"PLAINTEXT", "PLAINTEXT", "127.0.0.1", 0}};
  BrokerFigures figures;
  ClientPort port(world, config, figures,
                  [](RequestPtr request) { Server::answer(std::move(request)); });
  REQUIRE(port.bind());
  port.open();
  Client client(world, frame(1) + frame(2) + std::string("\xff\xff\xff\xff", 4),
                {"127.0.0.1", port.port_of("PLAINTEXT")});
  CHECK(runtime.run_until([&] { return client.closed; }, 20'000));
  CHECK(client.answers() == std::vector<int32_t>{1, 2});
  CHECK(runtime.run_until([&] { return port.connection_count() == 0; }, 20'000));
}

TEST_CASE("a client that does not read its last answers is not waited for") {
  Server server(5);
  server.hold = true;
  rt::World world = server.sim.add_node("client");
  std::unique_ptr<rt::Connection> silent;
  auto attempt = world.net.connect({"server", 9092}, [&](auto result) {
    silent = std::move(*result);
    silent->send(Buffer(as_bytes(frame(1) + std::string("\xff\xff\xff\xff", 4))));
  });
  REQUIRE(server.sim.run_until([&] { return !server.held.empty(); }, kSecond));
  struct Large {
    Result<void> encode(wire::Writer& writer, int16_t) const {
      writer.raw(std::string(8 << 20, 'x'));
      return {};
    }
  };
  server.held[0]->reply(Large{});
  server.sim.run_for(kSecond);
  CHECK(server.port->connection_count() == 1);
  server.sim.run_for(30 * kSecond);
  CHECK(server.port->connection_count() == 0);
}

TEST_CASE("a client that takes its answer slowly is not idle, one that takes none of it is") {
  Server server(6);
  server.hold = true;
  server.config.connections_max_idle_ms = 2'000;
  rt::World world = server.sim.add_node("client");
  std::unique_ptr<rt::Connection> slow;
  auto attempt = world.net.connect({"server", 9092}, [&](auto result) {
    slow = std::move(*result);
    slow->send(Buffer(as_bytes(frame(1))));
  });
  REQUIRE(server.sim.run_until([&] { return !server.held.empty(); }, kSecond));
  constexpr size_t kAnswer = 1 << 20;
  struct Large {
    Result<void> encode(wire::Writer& writer, int16_t) const {
      writer.raw(std::string(kAnswer, 'x'));
      return {};
    }
  };
  server.held[0]->reply(Large{});
  Buffer into(16 << 10);
  size_t got = 0;
  std::unique_ptr<rt::Timer> next = world.loop.make_timer([&] {
    slow->read(into.mutable_bytes(), [&](Result<size_t> read) {
      if (!read || *read == 0) return;
      got += *read;
      if (got < kAnswer / 2) next->arm_at(after_ms(world.loop.now(), 1'000));
    });
  });
  next->arm_at(world.loop.now());
  REQUIRE(server.sim.run_until([&] { return got >= kAnswer / 2; }, 300 * kSecond));
  CHECK(server.port->connection_count() == 1);
  server.sim.run_for(60 * kSecond);  // it takes no more
  CHECK(server.port->connection_count() == 0);
}

TEST_CASE("random bytes leave nothing behind") {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Server server(seed, 4096);
    Prng prng(seed);
    std::string bytes;
    for (uint64_t i = prng.below(3000); i > 0; --i) bytes += static_cast<char>(prng.next());
    if (prng.chance(0.5)) bytes = std::string("\0\0", 2) + bytes;
    {
      Client client(server.sim.add_node("client"), bytes);
      server.sim.run_for(2 * kSecond);
    }
    server.sim.run_for(2 * kSecond);
    CHECK(server.port->connection_count() == 0);
    CHECK(server.port->memory_used() == 0);
  }
}

TEST_CASE("a dropped request closes its connection; a closed one takes no answer") {
  Server server(3);
  server.hold = true;
  Client client(server.sim.add_node("client"), frame(1));
  server.sim.run_for(kSecond);
  server.held.clear();
  server.sim.run_for(kSecond);
  CHECK(client.closed);

  std::optional<Client> gone(std::in_place, server.sim.add_node("gone"), frame(2));
  server.sim.run_for(kSecond);
  gone.reset();
  server.sim.run_for(kSecond);
  REQUIRE(server.held.size() == 1);
  CHECK(!server.held[0]->is_awaited());
  CHECK(server.port->connection_count() == 0);
  CHECK(server.port->memory_used() == server.held[0]->frame_bytes());  // until it is gone, too
  Server::answer(std::move(server.held[0]));
  CHECK(server.port->memory_used() == 0);
}

TEST_CASE("connections of one address, and idle ones, are bounded") {
  Server server(4, 1 << 20, 2);
  rt::World world = server.sim.add_node("client");
  Client a(world, frame(1)), b(world, frame(2));
  server.sim.run_for(kSecond);
  Client c(world, frame(3));
  server.sim.run_for(kSecond);
  CHECK(!a.closed);
  CHECK(!b.closed);
  CHECK(c.closed);
  server.sim.run_for((server.config.connections_max_idle_ms + 20'000) * 1'000'000);
  CHECK(a.closed);
  CHECK(server.port->connection_count() == 0);
  CHECK(server.port->idle_closed() == 2);
}

TEST_CASE("addresses are written as Java does") {
  CHECK(java_address("127.0.0.1") == "127.0.0.1");
  CHECK(java_address("::1") == "0:0:0:0:0:0:0:1");
  CHECK(java_address("2001:db8::a:0:1") == "2001:db8:0:0:0:a:0:1");
  CHECK(java_address("::1.2.3.4") == "0:0:0:0:0:0:102:304");
  CHECK(java_address("server") == "server");
}
