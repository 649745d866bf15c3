// The toy server and client in both worlds, and in the simulated one under faults.
#include <catch2/catch.hpp>
#include <memory>
#include <optional>

#include "common/rt_asio/runtime.h"
#include "common/rt_sim/simulator.h"
#include "test/support/echo.h"
#include "test/support/temp_dir.h"

using namespace ottla;
using support::EchoClient;
using support::EchoServer;

namespace {
constexpr int64_t kSecond = 1'000'000'000;

struct Outcome {
  bool finished = false;
  int lost = 0;  // acknowledged, and not in the log
  uint64_t hash = 0;
};

// Two clients write through a server that loses power three times, over a network with faults.
Outcome run_under_faults(uint64_t seed, bool lying_sync) {
  sim::Options options;
  options.disk.lying_sync = lying_sync;
  options.net.reset = 0.002;
  sim::Simulator sim(seed, options);
  std::optional<EchoServer> server;
  auto boot = [&](rt::World world) {
    REQUIRE(rt::make_dirs_durable(world.disk, "/data"));
    server.emplace(world, "/data/log");
    REQUIRE(server->start({"", 7}));
  };
  boot(sim.add_node("server"));
  EchoClient a(sim.add_node("a"), {"server", 7}, "a", 60);
  EchoClient b(sim.add_node("b"), {"10.0.0.1", 7}, "b", 60);
  for (int i = 1; i <= 3; ++i) {
    sim.after(i * kSecond / 20 + sim.prng().between(0, kSecond / 20), [&] {
      sim.crash("server");
      server.reset();
      boot(sim.restart("server"));
    });
  }
  sim.after(kSecond / 40, [&] { sim.partition("a", "server"); });
  sim.after(kSecond * 3, [&] { sim.heal(); });
  Outcome outcome;
  outcome.finished = sim.run_until([&] { return a.done() && b.done(); }, 120 * kSecond);
  std::string log = *rt::read_file(sim.world("server").disk, "/data/log");
  for (const EchoClient* client : {&a, &b})
    for (int i = 0; i < client->acknowledged(); ++i)
      if (("\n" + log).find(client->line(i)) == std::string::npos) ++outcome.lost;
  outcome.hash = sim.trace_hash();
  return outcome;
}
}  // namespace

TEST_CASE("echo on the real runtime") {
  support::TempDir dir;
  rt_asio::AsioRuntime runtime;
  EchoServer server(runtime.world(), dir.path() + "/log");
  REQUIRE(server.start({"127.0.0.1", 0}));
  EchoClient a(runtime.world(), {"127.0.0.1", server.port()}, "a", 100);
  EchoClient b(runtime.world(), {"localhost", server.port()}, "b", 100);
  REQUIRE(runtime.run_until([&] { return a.done() && b.done(); }, 30'000));
  CHECK(rt::read_file(runtime.world().disk, dir.path() + "/log")->size() == 2 * (10 * 4 + 90 * 5));
}

TEST_CASE("echo in the simulator: nothing acknowledged is lost, whatever fails") {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Outcome outcome = run_under_faults(seed, false);
    INFO("seed " << seed);
    CHECK(outcome.finished);
    CHECK(outcome.lost == 0);
  }
}

TEST_CASE("the same seed gives the same trace, another seed another") {
  CHECK(run_under_faults(7, false).hash == run_under_faults(7, false).hash);
  CHECK(run_under_faults(7, false).hash != run_under_faults(8, false).hash);
}

TEST_CASE("a disk that lies about syncs is found out") {
  int caught = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) caught += run_under_faults(seed, true).lost > 0;
  CHECK(caught > 10);
}
