// A session against a server that answers out of order, with what does not decode, or refuses: the
// client leaves it, comes back, and asks again what may be asked again.
#include "broker/zk/wire_client.h"

#include <catch2/catch.hpp>
#include <functional>
#include <list>

#include "common/rt_sim/simulator.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::broker {
namespace {

std::string framed(const wire::Writer& w) {
  wire::Writer out;
  out.i32(static_cast<int32_t>(w.size()));
  out.raw(as_text(w.bytes()));
  return to_string(out.bytes());
}
std::string reply(int32_t xid, ZkError error, std::string_view body = "") {
  wire::Writer w;
  w.i32(xid);
  w.i64(1);
  w.i32(static_cast<int32_t>(error));
  w.raw(body);
  return framed(w);
}
std::string data_reply(int32_t xid, const std::string& data) {
  jute::GetDataResponse body;
  body.data = data;
  wire::Writer w;
  body.encode(w);
  return reply(xid, ZkError::ok, as_text(w.bytes()));
}
std::string greeting(int32_t timeout_ms = 6000, int64_t session = 0x77) {
  jute::ConnectResponse response;
  response.time_out = timeout_ms;
  response.session_id = session;
  response.passwd = std::string(16, 'p');
  response.read_only = false;
  wire::Writer w;
  response.encode(w);
  return framed(w);
}

// Answers each frame of each connection as the test says.
struct Server {
  struct Link {
    std::unique_ptr<rt::Connection> connection;
    std::string in;
    uint8_t chunk[4096];
    bool greeted = false;
  };
  rt::World world;
  std::list<Link> links;
  std::unique_ptr<rt::Listener> listener;
  std::vector<std::string> requests;  // "2 getData /a", connection and operation
  size_t max_frame = SIZE_MAX;        // it hangs up on longer ones
  std::function<std::string(int connection)> greet = [](int) { return greeting(); };
  std::function<std::string(int connection, int32_t xid, OpCode op)> answer = [](int, int32_t xid,
                                                                                 OpCode op) {
    return op == OpCode::get_data ? data_reply(xid, "x") : reply(xid, ZkError::ok);
  };

  explicit Server(rt::World w) : world(w) {
    auto made = world.net.listen({"", 2181}, [this](std::unique_ptr<rt::Connection> connection) {
      links.emplace_back().connection = std::move(connection);
      read(links.back(), static_cast<int>(links.size()));
    });
    REQUIRE(made);
    listener = std::move(*made);
  }
  void read(Link& link, int number) {
    link.connection->read(link.chunk, [this, &link, number](Result<size_t> got) {
      if (!got || *got == 0) return;
      link.in.append(reinterpret_cast<const char*>(link.chunk), *got);
      while (link.in.size() >= 4) {
        size_t length = load_be<uint32_t>(reinterpret_cast<const uint8_t*>(link.in.data()));
        if (length > max_frame) return link.connection->close();
        if (link.in.size() < 4 + length) break;
        on_frame(link, number, link.in.substr(4, length));
        link.in.erase(0, 4 + length);
      }
      read(link, number);
    });
  }
  void on_frame(Link& link, int number, const std::string& frame) {
    if (!std::exchange(link.greeted, true)) return send(link, greet(number));
    wire::Reader r(as_bytes(frame));
    int32_t xid = r.i32();
    auto op = static_cast<OpCode>(r.i32());
    requests.push_back(std::to_string(number) + " " + std::string(jute::op_name(op)));
    send(link, answer(number, xid, op));
  }
  static void send(Link& link, const std::string& bytes) {
    if (!bytes.empty()) link.connection->send(Buffer(as_bytes(bytes)));
  }
};

struct Fixture : ZkListener {
  sim::Simulator simulator{1};
  Server server{simulator.add_node("zk")};
  rt::World world{simulator.add_node("b")};
  std::vector<ZkSessionEvent> events;
  std::optional<WireClient> client;

  void on_zk_event(const ZkEvent&) override {}
  void on_zk_session(ZkSessionEvent event) override { events.push_back(event); }

  std::string start(const std::string& chroot = "") {
    WireClientOptions options;
    options.servers.servers = {{"10.0.0.1", 2181}};
    options.servers.chroot = chroot;
    options.session_timeout_ms = 6000;
    options.connection_timeout_ms = 5000;
    client.emplace(world, options);
    client->add_listener(this);
    std::optional<std::string> started;
    client->start([&](Result<void> ready) { started = ready ? "" : ready.error().context; });
    REQUIRE(simulator.run_until([&] { return started.has_value(); }, 20'000'000'000));
    return *started;
  }
  ZkReply ask(ZkRequest request) {
    std::optional<ZkReply> out;
    client->submit(std::move(request), [&](ZkReply answered) { out = std::move(answered); });
    REQUIRE(simulator.run_until([&] { return out.has_value(); }, 60'000'000'000));
    return *out;
  }
};

}  // namespace

TEST_CASE("a server that answers what nobody asked, or what does not decode, is left") {
  std::string header_alone(7, '\0');
  wire::Writer short_frame;
  short_frame.raw(header_alone);
  wire::Writer huge;
  huge.i32(INT32_MAX);
  wire::Writer notification;
  notification.i32(-1);
  notification.i64(-1);
  notification.i32(0);
  notification.i32(3);
  notification.i32(3);
  notification.i32(1000);  // a path that is not there
  using Bad = std::function<std::string(int32_t)>;
  const std::pair<const char*, Bad> answers[] = {
      {"out of order", [](int32_t xid) { return data_reply(xid + 1, "y"); }},
      {"cut", [](int32_t xid) { return reply(xid, ZkError::ok, "\x7f\xff\xff\xff"); }},
      {"no header", [&](int32_t) { return framed(short_frame); }},
      {"huge", [&](int32_t) { return to_string(huge.bytes()); }},
      {"notification", [&](int32_t) { return framed(notification); }},
  };
  for (const auto& [name, bad] : answers) {
    INFO(name);
    Fixture fixture;
    fixture.server.answer = [&](int connection, int32_t xid, OpCode) {
      return connection == 1 ? bad(xid) : data_reply(xid, "x");
    };
    REQUIRE(fixture.start().empty());
    ZkReply got = fixture.ask(ZkRequest::get("/a"));
    CHECK(got.ok());
    CHECK(got.data == "x");
    CHECK(got.retried);
    CHECK(fixture.server.links.size() == 2);
    CHECK(fixture.events == std::vector{ZkSessionEvent::connected, ZkSessionEvent::disconnected,
                                        ZkSessionEvent::reconnected});
    // What may not be asked twice hears of the loss.
    Fixture once;
    once.server.answer = fixture.server.answer;
    REQUIRE(once.start().empty());
    ZkRequest request = ZkRequest::get("/a");
    request.retry = false;
    CHECK(once.ask(std::move(request)).error == ZkError::connection_loss);
  }
}

TEST_CASE("an answer to the connect request that does not decode is tried elsewhere") {
  Fixture fixture;
  fixture.server.greet = [](int connection) {
    wire::Writer bad;
    bad.i32(0);
    bad.i32(6000);
    bad.i64(1);
    bad.i32(connection == 1 ? 1000 : -5);  // bytes of a password
    return connection < 3 ? framed(bad) : greeting();
  };
  CHECK(fixture.start().empty());
  CHECK(fixture.server.links.size() == 3);
  CHECK(fixture.client->session().session_id == 0x77);
}

TEST_CASE("a request that is too long for the server fails, and those behind it are answered") {
  Fixture fixture;
  fixture.server.max_frame = 0xfffff;
  REQUIRE(fixture.start() == "");
  std::optional<ZkReply> large;
  fixture.client->submit(ZkRequest::create("/large", std::string(1 << 20, 'x')),
                         [&](ZkReply reply) { large = std::move(reply); });
  CHECK(fixture.ask(ZkRequest::get("/a")).ok());
  REQUIRE(large);
  CHECK(large->error == ZkError::connection_loss);
  CHECK(fixture.server.links.size() == 2);
}

TEST_CASE("a session outlives a server that takes its connection and never answers") {
  Fixture fixture;
  fixture.server.greet = [](int connection) { return connection == 2 ? "" : greeting(); };
  REQUIRE(fixture.start() == "");
  fixture.client->drop_connection();
  fixture.simulator.run_for(5'000'000'000);  // of 6 s that the session has
  CHECK(fixture.server.links.size() == 3);
  CHECK(fixture.client->connected());
  CHECK(fixture.events == std::vector{ZkSessionEvent::connected, ZkSessionEvent::disconnected,
                                      ZkSessionEvent::reconnected});
}

TEST_CASE("an identity is given again on each connection, and a refused one is told") {
  Fixture fixture;
  REQUIRE(fixture.start().empty());
  CHECK(fixture.ask(ZkRequest::add_auth("digest", "u:p")).ok());
  fixture.client->drop_connection();
  CHECK(fixture.ask(ZkRequest::get("/a")).ok());
  CHECK(fixture.server.requests == std::vector<std::string>{"1 auth", "2 auth", "2 getData"});
  fixture.server.answer = [](int, int32_t xid, OpCode op) {
    return op == OpCode::auth ? reply(xid, ZkError::auth_failed) : data_reply(xid, "x");
  };
  CHECK(fixture.ask(ZkRequest::add_auth("none", "")).error == ZkError::auth_failed);
  CHECK(fixture.events.back() == ZkSessionEvent::auth_failed);
}

TEST_CASE("a chroot that cannot be made ends the start with its reason") {
  Fixture fixture;
  fixture.server.answer = [](int, int32_t xid, OpCode op) {
    return reply(xid, op == OpCode::exists ? ZkError::no_node : ZkError::no_auth);
  };
  std::string said = fixture.start("/k/x");
  INFO(said);
  CHECK(said.find("no ZooKeeper server of 10.0.0.1:2181") != std::string::npos);
  CHECK(said.find("the chroot /k/x cannot be made: NoAuth") != std::string::npos);
  CHECK(fixture.server.requests.at(0) == "1 exists");
}

TEST_CASE("who is closed while the chroot is looked for hears of no session") {
  Fixture fixture;
  int32_t asked = 0;
  fixture.server.answer = [&](int, int32_t xid, OpCode op) -> std::string {
    if (op == OpCode::exists) {
      asked = xid;
      return "";
    }
    return reply(asked, ZkError::ok, std::string(68, '\0')) + reply(xid, ZkError::ok);
  };
  WireClientOptions options;
  options.servers.servers = {{"10.0.0.1", 2181}};
  options.servers.chroot = "/k";
  WireClient client(fixture.world, options);
  client.add_listener(&fixture);
  client.start([](Result<void>) { FAIL("closed before"); });
  REQUIRE(fixture.simulator.run_until([&] { return asked != 0; }, 20'000'000'000));
  std::optional<bool> gone;
  client.close(2000, [&](bool is_gone) { gone = is_gone; });
  REQUIRE(fixture.simulator.run_until([&] { return gone.has_value(); }, 20'000'000'000));
  CHECK(*gone);
  CHECK(fixture.events.empty());
}

TEST_CASE("a session that ended fails what waits, and a new one begins") {
  Fixture fixture;
  REQUIRE(fixture.start().empty());
  fixture.server.greet = [](int connection) {
    return connection == 2 ? greeting(0, 0) : greeting(6000, 0x88);
  };
  fixture.client->drop_connection();
  CHECK(fixture.ask(ZkRequest::get("/a")).error == ZkError::session_expired);
  CHECK(fixture.ask(ZkRequest::get("/a")).ok());
  CHECK(fixture.client->session().session_id == 0x88);
  CHECK(fixture.events == std::vector{ZkSessionEvent::connected, ZkSessionEvent::disconnected,
                                      ZkSessionEvent::expired, ZkSessionEvent::connected});
}

}  // namespace ottla::broker
