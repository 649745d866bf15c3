// The loop on real threads and clocks, and the signals that arrive on it. What both runtimes
// promise is in test/sim.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "common/rt_asio/runtime.h"
#include "common/rt_asio/test_support.h"

namespace ottla::rt_asio {
namespace {

TEST_CASE("timers fire in order, re-arm, cancel, and may destroy themselves") {
  AsioRuntime runtime;
  rt::Loop& loop = runtime.world().loop;
  std::string order;
  Instant start = loop.now();
  auto a = loop.make_timer([&] { order += 'a'; });
  auto b = loop.make_timer([&] { order += 'b'; });
  std::unique_ptr<rt::Timer> c = loop.make_timer([&] {
    order += 'c';
    c.reset();
  });
  auto never = loop.make_timer([&] { order += '!'; });
  int repeats = 0;
  std::unique_ptr<rt::Timer> again = loop.make_timer([&] {
    if (++repeats < 3) again->arm_at(loop.now());
  });
  a->arm_at(after_ms(start, 1));
  b->arm_at(after_ms(start, 10));
  c->arm_at(after_ms(start, 5));
  never->arm_at(after_ms(start, 2));
  a->arm_at(after_ms(start, 15));  // later than before
  never->cancel();
  CHECK(!never->armed());
  again->arm_at(start);
  REQUIRE(runtime.run_until([&] { return order.size() == 3; }, kPatienceMs));
  CHECK(order == "cba");
  CHECK(loop.now() - start >= ms_to_ns(15));
  CHECK(repeats == 3);
  CHECK(!a->armed());
}

TEST_CASE("many timers, re-armed at random, fire in the order of their times") {
  AsioRuntime runtime;
  rt::Loop& loop = runtime.world().loop;
  std::vector<std::unique_ptr<rt::Timer>> timers;
  std::vector<Instant> due(300);
  std::vector<Instant> fired;
  for (size_t i = 0; i < due.size(); ++i)
    timers.push_back(loop.make_timer([&, i] { fired.push_back(due[i]); }));
  Instant start = loop.now();
  uint64_t random = 12345;
  for (int round = 0; round < 5; ++round)
    for (size_t i = 0; i < due.size(); ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      due[i] = start + static_cast<int64_t>((random >> 33) % 30'000'000);
      timers[i]->arm_at(due[i]);
      if (random % 7 == 0 && round < 4) timers[i]->cancel();
    }
  REQUIRE(runtime.run_until([&] { return fired.size() == due.size(); }, kPatienceMs));
  CHECK(std::is_sorted(fired.begin(), fired.end()));
}

TEST_CASE("posts of many threads all run on the loop, each thread's in order") {
  AsioRuntime runtime;
  rt::Loop& loop = runtime.world().loop;
  constexpr int kThreads = 4, kEach = 5000;
  std::vector<int> last(kThreads, -1);
  int total = 0;
  bool in_order = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        loop.post([&, t, i] {
          in_order = in_order && last[t] == i - 1;
          last[t] = i;
          if (++total == kThreads * kEach) runtime.stop();
        });
    });
  runtime.run();
  for (auto& thread : threads) thread.join();
  CHECK(in_order);
  CHECK(total == kThreads * kEach);
  // Posted by the loop itself: after the callback, not within it.
  std::string order;
  loop.post([&] {
    loop.post([&] {
      order += "2";
      runtime.stop();
    });
    order += "1";
  });
  runtime.run();
  CHECK(order == "12");
}

TEST_CASE("signals arrive on the loop") {
  AsioRuntime runtime;
  std::vector<int> seen;
  runtime.on_signal({SIGUSR1, SIGUSR2}, [&](int number) { seen.push_back(number); });
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(runtime.run_until([&] { return seen.size() == 1; }, kPatienceMs));
  // Out of an idle wait too.
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::kill(::getpid(), SIGUSR2);
  }).detach();
  REQUIRE(runtime.run_until([&] { return seen.size() == 2; }, kPatienceMs));
  CHECK(seen == std::vector<int>{SIGUSR1, SIGUSR2});
}

TEST_CASE("an ignored signal stays ignored") {
  ::signal(SIGUSR1, SIG_IGN);
  AsioRuntime runtime;
  std::vector<int> seen;
  runtime.on_signal({SIGUSR1, SIGUSR2}, [&](int number) { seen.push_back(number); });
  ::kill(::getpid(), SIGUSR1);
  ::kill(::getpid(), SIGUSR2);
  REQUIRE(runtime.run_until([&] { return !seen.empty(); }, kPatienceMs));
  CHECK(seen == std::vector<int>{SIGUSR2});
  ::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE("entropy differs") {
  AsioRuntime runtime;
  CHECK(runtime.world().entropy.u64() != runtime.world().entropy.u64());
}

}  // namespace
}  // namespace ottla::rt_asio
