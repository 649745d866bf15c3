// Brokers that come, go, change their address or lose a directory, as the controller sees it.
#include <algorithm>

#include "broker/controller/test_scene.h"

namespace ottla::broker {
namespace {

constexpr const char* kLedBy2 =
    R"({"version":3,"partitions":{"0":[2,1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})";

bool has(const Lines& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

TEST_CASE("a broker that goes loses its leaderships, one that comes back gets its replicas told") {
  Scene scene({1, 2, 3});
  scene.start(1);
  scene.create_topic("t", kLedBy2);
  CHECK(state_of(scene, "t", 0) ==
        R"({"controller_epoch":1,"leader":2,"version":1,"leader_epoch":0,"isr":[2,1]})");
  scene.take_lines();
  scene.zk.expire(*scene.sessions.at(2));
  scene.run();
  CHECK(state_of(scene, "t", 0) ==
        R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":1,"isr":[1]})");
  auto lines = scene.take_lines();
  CHECK(has(lines, "remove 2"));
  CHECK(has(lines, "leader_and_isr 1 t-0:1e1"));
  CHECK(scene.brokers.update_metadatas.back().live_brokers.size() == 2);
  scene.broker(2);
  scene.run();
  lines = scene.take_lines();
  CHECK(has(lines, "add 2"));
  CHECK(has(lines, "leader_and_isr 2 t-0:1e1"));
  CHECK(scene.brokers.update_metadatas.back().live_brokers.size() == 3);
}

TEST_CASE("a follower that goes leaves the ISR, a broker without replicas the list of brokers") {
  Scene scene({1, 2, 3});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  scene.take_lines();
  scene.zk.expire(*scene.sessions.at(3));
  scene.run();
  auto lines = scene.take_lines();
  CHECK(has(lines, "remove 3"));
  CHECK(has(lines, "update_metadata 1 brokers 1 2"));
  CHECK(state_of(scene, "t", 0).find(R"("isr":[1,2])") != std::string::npos);
  scene.zk.expire(*scene.sessions.at(2));
  scene.run();
  CHECK(state_of(scene, "t", 0).find(R"("leader":1)") != std::string::npos);
  CHECK(state_of(scene, "t", 0).find(R"("isr":[1])") != std::string::npos);
}

TEST_CASE("a broker that was away for a moment is told everything anew") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  int64_t before = *scene.controllers.at(1)->broker_epoch(2);
  scene.take_lines();
  scene.zk.expire(*scene.sessions.at(2));
  scene.broker(2);  // before the controller looked
  scene.run();
  CHECK(*scene.controllers.at(1)->broker_epoch(2) > before);
  auto lines = scene.take_lines();
  CHECK(has(lines, "remove 2"));
  CHECK(has(lines, "add 2"));
}

TEST_CASE("a broker that changes its address is shown with the new one, a stranger not at all") {
  Scene scene({1, 2});
  scene.start(1);
  BrokerRegistration moved;
  moved.id = 2;
  moved.endpoints = {{"PLAINTEXT", "elsewhere", 7777, 0}};
  scene.take_lines();
  scene.zk.apply(ZkRequest::set(zpath::broker(2), encode_broker(moved)));
  scene.run();
  CHECK(scene.take_lines() ==
        Lines{"update_metadata 1 brokers 1 2", "update_metadata 2 brokers 1 2"});
  const auto& shown = scene.brokers.update_metadatas.back().live_brokers;
  REQUIRE(shown.size() == 2);
  CHECK(shown[1].endpoints.at(0).port == 7777);
  scene.zk.apply(ZkRequest::set(zpath::broker(2), encode_broker(moved)));  // nothing is new
  scene.run();
  CHECK(scene.take_lines().empty());
  scene.zk.apply(ZkRequest::set(zpath::broker(2), "not json"));
  scene.run();
  CHECK(scene.take_lines().empty());
  MemoryZkClient stranger(scene.zk);
  scene.notes.clear();
  scene.zk.apply(ZkRequest::create(zpath::broker(9), "not json", CreateMode::ephemeral),
                 stranger.session().session_id);
  scene.run();
  CHECK_FALSE(scene.controllers.at(1)->broker_epoch(9));
  REQUIRE_FALSE(scene.notes.empty());
  CHECK(scene.notes[0].find("is not what Kafka writes") != std::string::npos);
}

TEST_CASE("a directory that was lost makes the controller ask every broker for its replicas") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  scene.take_lines();
  std::string event = std::string(zpath::kLogDirEvents) + "/log_dir_event_0000000000";
  for (int round = 0; round < 2; ++round) {
    scene.zk.apply(ZkRequest::create(event, R"({"version":1,"broker":2,"event":1})"));
    scene.run();
    CHECK_FALSE(scene.zk.exists(event));
    auto lines = scene.take_lines();
    CHECK(has(lines, "leader_and_isr 1 t-0:1e0"));
    CHECK(has(lines, "leader_and_isr 2 t-0:1e0"));
  }
}

TEST_CASE("a topic that is deleted while a replica is away waits for it") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  scene.zk.expire(*scene.sessions.at(2));
  scene.run();
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
  scene.run();
  CHECK(scene.zk.exists(zpath::topic("t")));
  scene.broker(2);
  scene.run();
  CHECK_FALSE(scene.zk.exists(zpath::topic("t")));
  CHECK_FALSE(scene.zk.exists(zpath::delete_topic("t")));
}

}  // namespace ottla::broker
