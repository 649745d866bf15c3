// The simulator's promises: order, faults, and what a crash may do to a disk.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "common/rt_sim/simulator.h"

using namespace ottla;
using sim::Simulator;

namespace {
constexpr int64_t kSecond = 1'000'000'000;

struct Reader {
  explicit Reader(rt::Connection& from) : connection(from) { next(); }
  void next() {
    connection.read(buffer.mutable_bytes(), [this](Result<size_t> got) {
      if (!got) {
        error = got.error().code;
      } else if (*got == 0) {
        ended = true;
      } else {
        text += as_text(buffer.bytes().first(*got));
        next();
      }
    });
  }
  rt::Connection& connection;
  Buffer buffer{1000};
  std::string text;
  bool ended = false;
  std::optional<Errc> error;
};

struct Net {
  explicit Net(uint64_t seed, sim::Options options = {}) : sim(seed, options) {
    rt::World at_a = sim.add_node("a"), at_b = sim.add_node("b");
    listener = *at_b.net.listen({"", 80}, [this](auto c) { server = std::move(c); });
    attempt = at_a.net.connect({"b", 80}, [this](auto c) {
      if (c) client = std::move(*c);
    });
    sim.run_until([this] { return client && server; }, kSecond);
  }
  Simulator sim;
  std::unique_ptr<rt::Listener> listener;
  std::unique_ptr<rt::Net::Attempt> attempt;
  std::unique_ptr<rt::Connection> client, server;
};

std::string content(Simulator& sim, const std::string& path) {
  auto text = rt::read_file(sim.world("n").disk, path);
  return text ? *text : "(missing)";
}

}  // namespace

TEST_CASE("time is virtual; a node's events keep their order") {
  Simulator sim(1);
  rt::World world = sim.add_node("n");
  std::string order;
  auto late = world.loop.make_timer([&] { order += "t"; });
  late->arm_at(after_ms(world.loop.now(), 3'600'000));
  std::unique_ptr<rt::Timer> self = world.loop.make_timer([&] {
    order += "s";
    self.reset();
  });
  self->arm_at(world.loop.now());
  for (char c : {'1', '2', '3'}) world.loop.post([&, c] { order += c; });
  int64_t wall = world.loop.wall_ms();
  REQUIRE(sim.run_until([&] { return !late->armed(); }, 7200 * kSecond));
  CHECK(order == "s123t");
  CHECK(world.loop.wall_ms() - wall == 3'600'000);
  CHECK(!sim.run_until([] { return false; }, kSecond));
}

TEST_CASE("the seed decides the order among nodes at one instant") {
  std::set<std::string> orders;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Simulator sim(seed);
    std::string order;
    rt::World a = sim.add_node("a"), b = sim.add_node("b");
    for (rt::World* world : {&a, &b})
      for (int i = 0; i < 2; ++i)
        world->loop.post([&order, c = world == &a ? 'a' : 'b'] { order += c; });
    sim.run_for(1);
    orders.insert(order);
  }
  CHECK(orders.size() > 3);
}

TEST_CASE("bytes arrive whole and in order, in pieces, with backpressure") {
  sim::Options options;
  options.net.partial_read = 0.9;
  options.net.buffer_bytes = 10'000;
  Net net(3, options);
  REQUIRE(net.client);
  std::string sent;
  int drained = 0;
  net.client->on_drained([&] { ++drained; });
  for (int i = 0; i < 20'000; ++i) sent += std::to_string(i) + ",";
  net.client->send(Buffer(as_bytes(sent)));
  net.sim.run_for(kSecond);
  CHECK(net.client->unsent_bytes() == sent.size() - 10'000);
  Reader reader(*net.server);
  REQUIRE(net.sim.run_until([&] { return reader.text.size() == sent.size(); }, 100 * kSecond));
  CHECK((reader.text == sent));
  CHECK(drained == 1);
  CHECK(net.server->peer().host == "10.0.0.1");
  net.client->send(Buffer(as_bytes("bye")));
  net.client->close_after_send();
  REQUIRE(net.sim.run_until([&] { return reader.ended; }, kSecond));
  CHECK(reader.text.ends_with("bye"));
}

TEST_CASE("a file slice is sent by its content") {
  Net net(4);
  rt::Disk& disk = net.sim.world("a").disk;
  auto file = *disk.open("/f", rt::OpenMode::create);
  REQUIRE(file->write_at(0, as_bytes("0123456789")));
  std::vector<rt::OutPiece> pieces;
  pieces.emplace_back(Buffer(as_bytes("<")));
  pieces.emplace_back(rt::FileSlice{file, 2, 3});
  pieces.emplace_back(Buffer(as_bytes(">")));
  net.client->send(std::move(pieces));
  Reader reader(*net.server);
  net.sim.run_for(kSecond);
  CHECK(reader.text == "<234>");
}

TEST_CASE("refused, unknown, cut off") {
  Net net(5);
  rt::World world = net.sim.world("a");
  std::map<std::string, Errc> failures;
  std::vector<std::unique_ptr<rt::Net::Attempt>> attempts;
  auto try_connect = [&](const std::string& name, rt::Endpoint to) {
    attempts.push_back(world.net.connect(to, [&, name](Result<std::unique_ptr<rt::Connection>> c) {
      if (!c) failures.emplace(name, c.error().code);
    }));
  };
  try_connect("refused", {"b", 81});
  try_connect("unknown", {"nobody", 80});
  net.sim.run_for(kSecond);
  net.sim.partition("a", "b");
  try_connect("cut", {"b", 80});
  net.sim.run_for(30 * kSecond);
  CHECK(failures == std::map<std::string, Errc>{{"refused", Errc::refused},
                                                {"unknown", Errc::not_found},
                                                {"cut", Errc::timed_out}});
  CHECK(net.sim.world("b").net.listen({"", 80}, [](auto) {}).error().code == Errc::in_use);
}

TEST_CASE("a cut holds bytes until it is healed; one direction may be cut alone") {
  Net net(6);
  Reader at_server(*net.server), at_client(*net.client);
  net.sim.cut("a", "b");
  net.client->send(Buffer(as_bytes("one")));
  net.server->send(Buffer(as_bytes("two")));
  net.sim.run_for(10 * kSecond);
  CHECK(at_server.text.empty());
  CHECK(at_client.text == "two");
  net.sim.heal();
  net.client->send(Buffer(as_bytes(" three")));
  net.sim.run_for(kSecond);
  CHECK(at_server.text == "one three");
}

TEST_CASE("a crashed node's connections are reset, its events dropped, its objects inert") {
  Net net(7);
  Reader at_client(*net.client);
  rt::World old = net.sim.world("b");
  bool ran = false;
  auto timer = old.loop.make_timer([&] { ran = true; });
  timer->arm_at(old.loop.now());
  old.loop.post([&] { ran = true; });
  net.sim.crash("b");
  net.sim.run_for(kSecond);
  CHECK(!ran);
  CHECK(at_client.error == Errc::closed);
  CHECK(old.disk.open("/x", rt::OpenMode::create).error().code == Errc::closed);
  rt::World fresh = net.sim.restart("b");
  auto again = fresh.net.listen({"", 80}, [](auto) {});
  CHECK(again);
  net.server.reset();  // late destruction of the dead node's objects
  net.listener.reset();
  timer.reset();
  bool failed = false;
  net.client->on_send_error([&](Error) { failed = true; });
  net.client->send(Buffer(as_bytes("x")));
  net.sim.run_for(kSecond);
  CHECK(failed);
}

TEST_CASE("sending to a connection that the peer closed ends in an error") {
  Net net(8);
  Reader at_client(*net.client);
  net.server.reset();
  net.sim.run_for(kSecond);
  CHECK(at_client.ended);
  bool failed = false;
  net.client->on_send_error([&](Error) { failed = true; });
  net.client->send(Buffer(as_bytes("x")));
  net.sim.run_for(kSecond);
  net.client->send(Buffer(as_bytes("x")));
  net.sim.run_for(kSecond);
  CHECK(failed);
}

// --------------------------------------------------------------------------------------- the disk

TEST_CASE("what was synced survives; what was not may be anything") {
  std::set<std::string> fates;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Simulator sim(seed);
    rt::World world = sim.add_node("n");
    auto file = *world.disk.open("/f", rt::OpenMode::create);
    REQUIRE(world.disk.sync_dir("/"));
    std::string synced(5000, 's');
    REQUIRE(file->write_at(0, as_bytes(synced)));
    bool done = false;
    file->sync([&](Result<void> result) { done = result.has_value(); });
    // Written while the sync runs: not covered by it.
    REQUIRE(file->write_at(5000, as_bytes(std::string(3000, 'u'))));
    REQUIRE(file->write_at(100, as_bytes("uuuu")));
    REQUIRE(sim.run_until([&] { return done; }, kSecond));
    sim.crash("n");
    sim.restart("n");
    std::string after = content(sim, "/f");
    REQUIRE(after.size() >= 5000);
    REQUIRE(after.size() <= 8000);
    CHECK(after.substr(0, 100) == synced.substr(0, 100));
    CHECK(after.substr(104, 5000 - 104) == synced.substr(104));
    std::string tail = after.substr(5000);
    if (tail.empty()) fates.insert("cut");
    if (tail == std::string(3000, 'u')) fates.insert("kept");
    if (tail.find('\0') != std::string::npos) fates.insert("zeros");
    if (tail.find('u') > 0 && tail.find('u') != std::string::npos) fates.insert("reordered");
    if (tail.find_first_not_of(std::string_view("u\0", 2)) != std::string::npos)
      fates.insert("garbage");
    if (after.substr(100, 4) == "uuuu") fates.insert("overwrite kept");
    if (after.substr(100, 4) == "ssss") fates.insert("overwrite lost");
  }
  for (const char* fate :
       {"cut", "kept", "zeros", "reordered", "garbage", "overwrite kept", "overwrite lost"}) {
    INFO(fate);
    CHECK(fates.contains(fate));
  }
}

TEST_CASE("names survive only after a sync of their directory, renames are whole") {
  std::set<std::string> fates;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Simulator sim(seed);
    rt::World world = sim.add_node("n");
    REQUIRE(world.disk.make_dirs("/d/e"));
    REQUIRE(world.disk.sync_dir("/"));
    REQUIRE(world.disk.sync_dir("/d"));
    REQUIRE(rt::replace_file(world.disk, "/d/kept", as_bytes("old")));
    {
      auto file = *world.disk.open("/d/new", rt::OpenMode::create);
      REQUIRE(file->write_at(0, as_bytes("new")));
      REQUIRE(file->sync_now());
    }
    REQUIRE(world.disk.rename("/d/new", "/d/kept"));
    REQUIRE(world.disk.remove_tree("/d/e"));
    sim.crash("n");
    rt::World again = sim.restart("n");
    std::string after = content(sim, "/d/kept");
    CHECK((after == "old" || after == "new"));
    bool both = again.disk.stat("/d/new").has_value();
    CHECK(!(both && after == "new"));
    fates.insert(after + (both ? "+new" : "") + (again.disk.stat("/d/e") ? "+e" : ""));
  }
  CHECK(fates == std::set<std::string>{"old+e", "old+new+e", "new+e", "new"});
}

TEST_CASE("replace_file leaves the old content or the new, whole") {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Simulator sim(seed);
    rt::World world = sim.add_node("n");
    std::string one(3000, '1'), two(2000, '2');
    REQUIRE(rt::replace_file(world.disk, "/f", as_bytes(one)));
    sim.inject("n", {.call = sim::DiskCall::sync_dir});
    CHECK(!rt::replace_file(world.disk, "/f", as_bytes(two)));
    sim.crash("n");
    sim.restart("n");
    std::string after = content(sim, "/f");
    CHECK((after == one || after == two));
  }
}

TEST_CASE("a kill leaves all that was written") {
  Simulator sim(1);
  rt::World world = sim.add_node("n");
  auto file = *world.disk.open("/f", rt::OpenMode::create);
  REQUIRE(file->write_at(0, as_bytes("unsynced")));
  auto lock = world.disk.lock("/lock");
  CHECK(world.disk.lock("/lock").error().code == Errc::in_use);
  sim.kill("n");
  rt::World again = sim.restart("n");
  CHECK(content(sim, "/f") == "unsynced");
  CHECK(again.disk.lock("/lock"));
  CHECK(file->write_at(0, as_bytes("x")).error().code == Errc::closed);
}

TEST_CASE("the fault plan: the n-th call, by path; a full disk; a failed sync is never made good") {
  Simulator sim(1);
  rt::World world = sim.add_node("n");
  auto file = *world.disk.open("/f", rt::OpenMode::create);
  auto other = *world.disk.open("/other", rt::OpenMode::create);
  REQUIRE(world.disk.sync_dir("/"));
  sim.inject("n", {.call = sim::DiskCall::write, .path_part = "/f", .skip = 1, .count = 1});
  CHECK(file->write_at(0, as_bytes("1")));
  CHECK(other->write_at(0, as_bytes("1")));
  CHECK(file->write_at(0, as_bytes("2")).error().code == Errc::io);
  CHECK(file->write_at(0, as_bytes("3")));
  sim.clear_faults("n");

  sim.disk_options("n").capacity = 10;
  CHECK(other->write_at(0, as_bytes("123456789")));
  CHECK(other->write_at(9, as_bytes("0")).error().code == Errc::no_space);
  CHECK(world.disk.space("/")->free_bytes == 0);
  sim.disk_options("n").capacity = UINT64_MAX;

  REQUIRE(file->sync_now());
  REQUIRE(file->write_at(0, as_bytes("lost")));
  sim.inject("n", {.call = sim::DiskCall::sync, .count = 1});
  CHECK(file->sync_now().error().code == Errc::io);
  CHECK(file->sync_now());  // reports success, as kernels did
  sim.disk_options("n").sector_lost = 1;
  sim.crash("n");
  sim.restart("n");
  CHECK(content(sim, "/f").substr(0, 1) == "3");
}

TEST_CASE("a paused process runs nothing until it goes on, its machine accepts") {
  Net net(1);
  int64_t fired_ms = 0;
  rt::World b = net.sim.world("b");
  int64_t began_ms = b.loop.now().ms();
  auto timer = b.loop.make_timer([&] { fired_ms = b.loop.now().ms() - began_ms; });
  timer->arm_at(after_ms(b.loop.now(), 100));
  net.sim.pause("b", 5 * kSecond);
  Reader at_b(*net.server);
  net.client->send(Buffer(as_bytes("hello")));
  net.sim.run_for(4 * kSecond);
  CHECK(fired_ms == 0);
  CHECK(at_b.text.empty());
  net.sim.run_for(2 * kSecond);
  CHECK(fired_ms == 5000);
  CHECK(at_b.text == "hello");
}

TEST_CASE("a drifting clock shows what its timers keep") {
  for (int64_t ppm : {-200'000, -100, 100, 300'000}) {
    Simulator sim(1);
    rt::World n = sim.add_node("n");
    sim.run_for(kSecond);
    Instant before = n.loop.now();
    sim.set_clock_drift("n", ppm);
    CHECK(n.loop.now() == before);
    int64_t early = 0, fired = 0;
    Instant due = after_ms(before, 10'000);
    auto timer = n.loop.make_timer([&] {
      fired = sim.now().ns;
      early = due - n.loop.now();
    });
    timer->arm_at(due);
    sim.run_for(20 * kSecond);
    CHECK(early <= 0);
    CHECK(early > -10);
    CHECK(std::abs((fired - kSecond) - 10 * kSecond * 1'000'000 / (1'000'000 + ppm)) < 1000);
  }
}

TEST_CASE("disk: a failed write leaves any part of it; a misdirected one succeeds elsewhere") {
  std::set<size_t> parts;
  bool elsewhere = false;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Simulator sim(seed);
    rt::World n = sim.add_node("n");
    auto file = *n.disk.open("/f", rt::OpenMode::create);
    auto other = *n.disk.open("/g", rt::OpenMode::create);
    REQUIRE(other->write_at(0, as_bytes(std::string(4096, '.'))));
    bool fails = seed % 2 == 0;
    sim.inject("n", {.call = sim::DiskCall::write,
                     .count = 1,
                     .defect = fails ? sim::DiskFault::Defect::fail
                                     : sim::DiskFault::Defect::misdirect});
    CHECK(file->write_at(0, as_bytes("0123456789")).has_value() == !fails);
    CHECK(sim.disk_faults_hit("n") == 1);
    std::string here = content(sim, "/f");
    if (fails) {
      CHECK(std::string("0123456789").starts_with(here));
      parts.insert(here.size());
    } else {
      CHECK(here.size() == 10);
      elsewhere |= content(sim, "/g").find("0123456789") != std::string::npos;
      CHECK(content(sim, "/g").size() == 4096);
    }
  }
  CHECK(parts.size() > 3);
  CHECK(elsewhere);
}

TEST_CASE("disk: decay changes one synced byte, for good") {
  Simulator sim(3);
  rt::World n = sim.add_node("n");
  CHECK_FALSE(sim.decay("n", "f"));
  auto file = *n.disk.open("/f", rt::OpenMode::create);
  REQUIRE(file->write_at(0, as_bytes(std::string(1000, 'a'))));
  CHECK_FALSE(sim.decay("n", "f"));  // not synced: a crash may lose it anyway
  REQUIRE(file->sync_now());
  REQUIRE(n.disk.sync_dir("/"));
  auto decayed = sim.decay("n", "f");
  REQUIRE(decayed);
  sim.crash("n");
  sim.restart("n");
  std::string now = content(sim, "/f");
  CHECK(std::count(now.begin(), now.end(), 'a') == 999);
  CHECK(now[decayed->offset] != 'a');
}
