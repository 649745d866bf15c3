// The server on real sockets, where time and the disk are made to misbehave, and its limits. Everything else
// of it is tested in test/sim and test/interop.
#include "zk-ensemble/server/test_server.h"

using namespace ottla;
using namespace ottla::zk;
using namespace ottla::zk::testing;

namespace {

// Counts frames, and how many had come when the turn of the loop ended in which the first did.
struct CountingHost final : ClientPort::Host {
  explicit CountingHost(rt::Loop& on) : loop(on) {}
  void on_client_open(ConnId, const std::string&) override {}
  void on_client_frame(ConnId, Bytes, int64_t) override {
    if (++frames == 1) loop.post([this] { in_first_turn = frames; });
  }
  void on_client_closed(ConnId) override {}
  std::string on_word(ConnId, std::string_view, Bytes) override { return {}; }
  bool accepts_frames(ConnId) override { return true; }
  bool accepts_length(size_t) override { return true; }
  void on_frames_done() override {}
  std::vector<ConnId> without_session() const override { return {}; }
  rt::Loop& loop;
  int frames = 0, in_first_turn = 0;
};

}  // namespace

TEST_CASE("who asks for much at once leaves the others their part of each turn") {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  CountingHost host(world.loop);
  ClientPort port(world, {.listen_at = {"127.0.0.1", 0}}, host);
  REQUIRE(port.start());
  std::unique_ptr<rt::Connection> connection;
  auto attempt = world.net.connect({"127.0.0.1", port.port()}, [&](auto result) {
    REQUIRE(result);
    connection = std::move(*result);
    wire::Writer frames;
    for (int i = 0; i < 300; ++i) {
      frames.i32(1);
      frames.i8(0);
    }
    connection->send(frames.take());
  });
  REQUIRE(runtime.run_until([&] { return host.frames == 300; }, kPatienceMs));
  CHECK(host.in_first_turn > 0);
  CHECK(host.in_first_turn <= 64);
  port.close_all();
}

TEST_CASE("over globalOutstandingLimit who waits for answers does not hold back who does not") {
  ServerConfig config;
  config.global_outstanding_limit = 0;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client busy(port, 30000), other(port, 30000);
    CHECK((busy.ok && other.ok));
    f.real.loop.post([&] { f.disk.freeze(); });
    busy.create(1, "/a");
    busy.create(2, "/b");  // waits in its socket's buffer: one is in process
    wait_ms(50);
    other.send(1, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(other.receive() > 0);
    CHECK(other.xid() == 1);
    f.real.loop.post([&] { f.disk.thaw(); });
    for (int32_t xid : {1, 2}) {
      CHECK(busy.receive() > 0);
      CHECK(busy.xid() == xid);
    }
  });
}

TEST_CASE("a client that asks for much at once, and reads it, is served and not dropped") {
  Fixture f;
  uint16_t port = f.server->client_port();
  constexpr int32_t kChildren = 30'000;
  constexpr int32_t kAsks = 63;  // fewer than are handed over at once
  f.run([&] {
    Client client(port, 30000);
    client.create(1, "/d");
    CHECK(client.receive() > 0);
    std::string name(170, 'n');
    for (int32_t i = 0; i < kChildren; ++i) {
      client.create(i, "/d/" + name + std::to_string(i));
      if (i >= 500) (void)client.receive();
    }
    for (int32_t i = 0; i < 500; ++i) (void)client.receive();
    CHECK(client.ok);
    for (int32_t i = 0; i < kAsks; ++i)
      client.send(i, OpCode::get_children, "/d", std::string_view("\0", 1));
    uint64_t total = 0;
    for (int32_t i = 0; i < kAsks; ++i) total += client.receive();
    CHECK(client.ok);
    CHECK(total > uint64_t{300} << 20);  // more than may pile up
  });
}

TEST_CASE(
    "reads behind a write are answered together, but no more of them than a client takes in") {
  Fixture f;
  uint16_t port = f.server->client_port();
  constexpr int32_t kAsks = 300;
  f.run([&] {
    Client client(port, 30000);
    client.create(1, "/w");
    CHECK(client.receive() > 0);
    client.create(2, "/big");
    CHECK(client.receive() > 0);
    wire::Writer data;
    data.i32(1'000'000);
    data.raw(std::string(1'000'000, 'd'));
    data.i32(-1);
    f.real.loop.post([&] { f.disk.freeze(); });
    client.send(3, OpCode::set_data, "/big", as_text(data.bytes()));  // the reads see it
    client.send(4, OpCode::set_data, "/w", std::string_view("\0\0\0\0\xff\xff\xff\xff", 8));
    for (int32_t i = 0; i < kAsks; ++i)
      client.send(5 + i, OpCode::get_data, "/big", std::string_view("\0", 1));
    wait_ms(50);
    f.real.loop.post([&] { f.disk.thaw(); });
    uint64_t total = 0;
    for (int32_t xid = 3; xid < 5 + kAsks && client.ok; ++xid) {
      total += client.receive();
      CHECK(client.xid() == xid);
    }
    CHECK(client.ok);
    CHECK(total > uint64_t{kAsks} * 1'000'000);  // more than may pile up
  });
}

TEST_CASE("a server that stood still hears its sessions before it expires them") {
  ServerConfig config;
  config.tick_time_ms = 100;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client client(port, 200);
    f.real.loop.post([] { wait_ms(900); });
    wait_ms(50);
    client.send(7, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(client.receive() > 0);
    CHECK(client.xid() == 7);
    client.send(8, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(client.receive() > 0);
  });
  // Who says nothing dies as ever.
  f.run([&] {
    Client client(port, 200);
    CHECK(client.ok);
    CHECK(client.receive() == 0);
  });
}

// The log holds an ephemeral of a session that it does not know: removed at the start, by no transaction.
TEST_CASE("what is made where an orphan was survives the next start") {
  Fixture f;
  REQUIRE(f.runtime.run_until([&] { return std::filesystem::exists(f.root + "/version-2/snapshot.0"); }, kPatienceMs));
  f.server.reset();
  Txn orphan;
  orphan.header = {7, 1, 1, 1000, OpCode::create};
  orphan.body = CreateTxn{.path = "/x", .data = "old", .acls = open_acl(), .ephemeral = true, .parent_cversion = 1};
  wire::Writer entry;
  orphan.encode(entry);
  bool durable = false;
  LogWriter log(f.world, f.root + "/version-2", {.preallocate_bytes = 0},
                {[&](int64_t) { durable = true; }, [](const Error& error) { FAIL(error.context); }});
  log.append(1, entry.bytes());
  REQUIRE(f.runtime.run_until([&] { return durable; }, kPatienceMs));

  f.disk.set_full(true);
  Error fatal;
  f.server = std::make_unique<Server>(f.world, f.config);
  f.server->on_fatal([&](Error error) { fatal = std::move(error); });
  REQUIRE(f.server->start());
  CHECK(f.server->tree().find("/x") == nullptr);
  CHECK(f.runtime.run_until([&] { return fatal.code == Errc::no_space; }, kPatienceMs));

  f.disk.set_full(false);
  f.restart();
  f.run([&] {
    Client client(f.server->client_port(), 30000);
    client.create(1, "/x");
    CHECK(client.receive() > 0);
    CHECK(client.error() == 0);
  });
  int64_t made = f.server->tree().last_zxid();
  f.restart();
  CHECK(f.server->tree().last_zxid() == made);
  CHECK(f.server->tree().find("/x") != nullptr);
}

TEST_CASE("request_throttle_max_requests holds requests back, and those that waited long are told so") {
  ServerConfig config;
  config.throttle_max_requests = 1;
  config.throttled_op_wait_ms = 100;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client busy(port, 30000), other(port, 30000);
    f.real.loop.post([&] { f.disk.freeze(); });
    busy.create(1, "/a");
    wait_ms(50);
    other.create(1, "/b");
    wait_ms(250);
    f.real.loop.post([&] { f.disk.thaw(); });
    CHECK(busy.receive() > 0);
    CHECK(busy.error() == 0);
    CHECK(other.receive() > 0);
    CHECK(other.error() == -127);
    other.create(2, "/c");
    CHECK(other.receive() > 0);
    CHECK(other.error() == 0);
  });
  CHECK(f.server->tree().find("/b") == nullptr);
}

TEST_CASE("largeRequestMaxBytes, enforce.auth and connection_throttle turn clients away") {
  ServerConfig config;
  config.large_request_threshold = 1000;
  config.large_request_max_bytes = 5000;
  config.enforce_schemes = {"digest"};
  config.connect_tokens = 3;
  config.connect_fill_time_ms = 1'000'000;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client stranger(port, 30000);
    stranger.send(-2, OpCode::ping, "", "");
    CHECK(stranger.receive() > 0);
    CHECK(stranger.error() == -124);
    CHECK(stranger.receive() == 0);
    Client known(port, 30000);
    known.auth(-4, "digest", "a:b");
    CHECK(known.receive() > 0);
    known.create(1, "/a");
    CHECK(known.receive() > 0);
    CHECK(known.error() == 0);
    known.create(2, "/" + std::string(4000, 'x'));
    CHECK(known.receive() > 0);
    CHECK(known.error() == 0);
    known.create(3, "/" + std::string(6000, 'x'));
    CHECK(known.receive() == 0);
    Client third(port, 30000), fourth(port, 30000);
    third.auth(-4, "digest", "a:b");
    CHECK(third.receive() > 0);
    CHECK_FALSE(fourth.ok);
  });
}
