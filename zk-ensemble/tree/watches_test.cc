#include "zk-ensemble/tree/watches.h"

#include <catch2/catch.hpp>

#include "fmt/core.h"
#include "zk-ensemble/tree/test_requests.h"

namespace ottla::zk {

namespace {

struct Heard : WatchSink {
  std::vector<std::string> events;  // "watcher type path"
  void notify(const std::vector<ConnId>& watchers, EventType type, std::string_view path, int64_t,
              const AclList&) override {
    for (ConnId watcher : watchers)
      events.push_back(fmt::format("{} {} {}", watcher, static_cast<int>(type), path));
  }
  std::vector<std::string> take() { return std::exchange(events, {}); }
};
using Events = std::vector<std::string>;

struct Fixture {
  Heard heard;
  Watches watches{heard};
  testing::TreeHarness h;
  Fixture() { h.tree.set_listener(&watches); }
  Events run(OpCode type, const Buffer& body) {
    h.run(type, body);
    watches.data().check_invariants();
    watches.children().check_invariants();
    return heard.take();
  }
  Events create(std::string_view path) { return run(OpCode::create, testing::create_body(path)); }
  Events remove(std::string_view path) {
    return run(OpCode::remove, testing::path_version_body(path, -1));
  }
  Events set(std::string_view path) {
    return run(OpCode::set_data, testing::set_data_body(path, "x"));
  }
};

}  // namespace

TEST_CASE("one-shot watches, in their order") {
  Fixture f;
  f.watches.data().add("/a", 1, WatchMode::standard);
  f.watches.children().add("/", 1, WatchMode::standard);
  CHECK(f.create("/a") == Events{"1 1 /a", "1 4 /"});
  CHECK(f.set("/a").empty());
  f.watches.data().add("/a", 1, WatchMode::standard);
  f.watches.data().add("/a", 1, WatchMode::standard);
  CHECK(f.watches.data().watch_count() == 1);
  CHECK(f.set("/a") == Events{"1 3 /a"});
  // Data and child watch on a node that goes: told once. Another child watcher is told too.
  f.watches.data().add("/a", 1, WatchMode::standard);
  f.watches.children().add("/a", 1, WatchMode::standard);
  f.watches.children().add("/a", 2, WatchMode::standard);
  f.watches.children().add("/", 2, WatchMode::standard);
  CHECK(f.remove("/a") == Events{"1 2 /a", "2 2 /a", "2 4 /"});
  CHECK(f.watches.data().empty());
  CHECK(f.watches.children().empty());
}

TEST_CASE("persistent and recursive watches stay") {
  Fixture f;
  f.watches.add_persistent("/p", 1, false);
  f.watches.add_persistent("/", 2, true);
  CHECK(f.create("/p") == Events{"1 1 /p", "2 1 /p"});
  CHECK(f.create("/p/c") == Events{"2 1 /p/c", "1 4 /p"});
  CHECK(f.set("/p/c") == Events{"2 3 /p/c"});
  // Two modes of one watcher on one path: one event.
  f.watches.data().add("/p/c", 2, WatchMode::standard);
  CHECK(f.set("/p/c") == Events{"2 3 /p/c"});
  CHECK(f.remove("/p/c") == Events{"2 2 /p/c", "1 4 /p"});
  CHECK(f.remove("/p") == Events{"1 2 /p", "2 2 /p"});
  CHECK(f.watches.check("/", 2, 5) == ZkError::ok);
  CHECK(f.watches.remove("/", 2, 4) == ZkError::no_watcher);
  CHECK(f.watches.remove("/", 2, 5) == ZkError::ok);
  CHECK(f.watches.remove("/p", 1, 3) == ZkError::ok);
  CHECK(f.watches.check("/p", 1, 3) == ZkError::no_watcher);
  CHECK(f.watches.check("/p", 1, 6) == ZkError::marshalling_error);
  CHECK(f.create("/p").empty());
}

TEST_CASE("a standard watch on a persistent path is consumed, the persistent one stays") {
  Fixture f;
  f.create("/m");
  f.watches.add_persistent("/m", 1, false);
  f.watches.data().add("/m", 1, WatchMode::standard);
  CHECK(f.watches.check("/m", 1, 2) == ZkError::ok);
  CHECK(f.set("/m") == Events{"1 3 /m"});
  CHECK(f.watches.check("/m", 1, 2) == ZkError::no_watcher);
  CHECK(f.set("/m") == Events{"1 3 /m"});
}

TEST_CASE("a connection that goes takes its watches along") {
  Fixture f;
  for (ConnId id = 1; id <= 3; ++id) {
    f.watches.data().add("/x", id, WatchMode::standard);
    f.watches.children().add("/x", id, WatchMode::standard);
    f.watches.add_persistent("/y", id, true);
  }
  f.watches.remove_watcher(2);
  CHECK(f.create("/x") == Events{"1 1 /x", "3 1 /x"});
  CHECK(f.create("/y") == Events{"1 1 /y", "3 1 /y"});
  f.watches.remove_watcher(1);
  f.watches.remove_watcher(3);
  CHECK((f.watches.data().empty() && f.watches.children().empty()));
  f.watches.data().check_invariants();
}

}  // namespace ottla::zk
