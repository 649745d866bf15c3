// Clients that take their answers in slowly, or not at all, in simulated time.
#include <catch2/catch.hpp>

#include "common/rt_sim/simulator.h"
#include "zk-ensemble/server/server.h"
#include "zk-ensemble/tree/test_requests.h"

using namespace ottla;
using namespace ottla::zk;
using namespace ottla::zk::testing;

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int32_t kTimeoutMs = 4000;
constexpr size_t kDataBytes = 900'000;

ServerConfig config_of_test() {
  ServerConfig config;
  config.data_dir = "/data";
  config.client_port = 2181;
  config.tick_time_ms = 1000;
  config.min_session_timeout_ms = 2000;
  config.max_session_timeout_ms = 20000;
  config.sessionless_timeout_ms = 10'000;
  return config;
}

// Takes in `chunk` bytes every tenth of a second; with a chunk of 0 nothing behind the first
// answer.
class Client {
 public:
  Client(rt::World world, size_t chunk) : world_(world), chunk_(chunk), buffer_(64 << 10) {
    timer_ = world_.loop.make_timer([this] { read(chunk_); });
    pings_ = world_.loop.make_timer([this] { ping(); });
    attempt_ = world_.net.connect({"server", 2181}, [this](auto result) {
      REQUIRE(result);
      connection_ = std::move(*result);
      wire::Writer out;
      out.i32(0);
      out.i64(0);
      out.i32(kTimeoutMs);
      out.i64(0);
      out.i32(16);
      out.raw(std::string(16, '\0'));
      send(out.bytes());
      read(buffer_.size());
    });
  }
  void request(OpCode type, Bytes body) {
    wire::Writer out;
    out.i32(1);
    out.i32(static_cast<int32_t>(type));
    out.raw(body);
    send(out.bytes());
  }
  void ping() {
    request(OpCode::ping, {});
    pings_->arm_at(after_ms(world_.loop.now(), 1000));
  }
  void take_in(size_t chunk) { read(chunk_ = chunk); }
  size_t received = 0;
  bool ended = false;

 private:
  void send(Bytes body) {
    wire::Writer out;
    out.i32(static_cast<int32_t>(body.size()));
    out.raw(body);
    connection_->send(out.take());
  }
  void read(size_t chunk) {
    connection_->read(buffer_.mutable_bytes().first(chunk), [this](Result<size_t> got) {
      ended = !got || *got == 0;
      if (ended) return pings_->cancel();
      received += *got;
      if (chunk_ > 0) timer_->arm_at(after_ms(world_.loop.now(), 100));
    });
  }

  rt::World world_;
  size_t chunk_;
  Buffer buffer_;
  std::unique_ptr<rt::Timer> timer_, pings_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> connection_;
};

// A server with a large node, and a client that is connected.
struct Fixture {
  explicit Fixture(size_t chunk) : server(sim.add_node("server"), config_of_test()) {
    REQUIRE(server.start());
    rt::World world = sim.add_node("client");
    Client writer(world, 64 << 10);
    REQUIRE(sim.run_until([&] { return writer.received > 0; }, kSecond));
    writer.request(OpCode::create, create_body("/big", std::string(kDataBytes, 'd')).bytes());
    REQUIRE(sim.run_until([&] { return server.tree().find("/big") != nullptr; }, 10 * kSecond));
    client.emplace(world, chunk);
    REQUIRE(sim.run_until([&] { return client->received > 0; }, kSecond));
    client->received = 0;
  }
  Buffer read_of_big() const {
    wire::Writer out;
    put_string(out, "/big");
    out.boolean(false);
    return out.take();
  }
  void ask_for(int reads) {
    MultiBody body;
    for (int i = 0; i < reads; ++i) body.add(OpCode::get_data, read_of_big());
    client->request(OpCode::multi_read, body.take().bytes());
  }
  sim::Simulator sim{5};
  Server server;
  std::optional<Client> client;
};

}  // namespace

TEST_CASE(
    "a session lives while its client takes in an answer that takes longer than its timeout") {
  Fixture f(64 << 10);
  f.ask_for(10);
  f.client->ping();
  CHECK(f.sim.run_until([&] { return f.client->received > 10 * kDataBytes; }, 60 * kSecond));
  CHECK(f.sim.now().ns > 12 * kSecond);
  size_t behind = f.client->received;  // its pings are answered
  CHECK(f.sim.run_until([&] { return f.client->received > behind + 100; }, 20 * kSecond));
  CHECK_FALSE(f.client->ended);
}

TEST_CASE("a session whose client takes in nothing of its answers expires, whatever it sends") {
  Fixture f(0);
  f.ask_for(10);
  f.client->ping();
  CHECK(f.sim.run_until([&] { return f.server.tree().sessions().empty(); }, 15 * kSecond));
}

TEST_CASE("a session lives while the server holds its requests back") {
  Fixture f(64 << 10);
  f.sim.disk_options("server").sync_min_ns = f.sim.disk_options("server").sync_max_ns =
      15 * kSecond;
  f.client->request(OpCode::create, create_body("/w").bytes());
  for (int i = 0; i < 5; ++i) f.client->request(OpCode::get_data, f.read_of_big().bytes());
  f.client->ping();
  CHECK(f.sim.run_until([&] { return f.client->received > 5 * kDataBytes; }, 60 * kSecond));
  size_t behind = f.client->received;
  CHECK(f.sim.run_until([&] { return f.client->received > behind + 100; }, 20 * kSecond));
}

TEST_CASE("a connection that is to be closed stays while its last bytes are taken in") {
  for (bool deaf : {false, true}) {
    INFO(deaf);
    Fixture f(deaf ? 0 : 2000);
    f.client->request(OpCode::get_data, f.read_of_big().bytes());
    f.client->request(OpCode::close_session, {});
    if (deaf) {
      f.sim.run_for(31 * kSecond);
      f.client->take_in(64 << 10);
    }
    CHECK(f.sim.run_until([&] { return f.client->ended; }, 200 * kSecond));
    CHECK((f.client->received > kDataBytes) == !deaf);
  }
}
