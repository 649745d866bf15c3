// The controller core and topics: creation, deletion, nodes that others wrote.
#include "broker/controller/test_scene.h"

namespace ottla::broker {
namespace {

constexpr const char* kTopicT =
    R"({"partitions":{"0":[1,3,2],"1":[2,1,3],"2":[3,2,1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})";

TEST_CASE("topic creation writes what Kafka writes and tells the brokers") {
  Scene scene({1, 2, 3});
  scene.start(1);
  scene.take_lines();
  scene.create_topic("t", kTopicT);
  auto guarded = [](const std::string& op) {
    return "multi[check /controller_epoch v1 | " + op + "]";
  };
  CHECK(
      scene.take_journal() ==
      Lines{
          guarded("create /brokers/topics/t/partitions"),
          guarded("create /brokers/topics/t/partitions/0"),
          guarded("create /brokers/topics/t/partitions/1"),
          guarded("create /brokers/topics/t/partitions/2"),
          guarded(
              R"(create /brokers/topics/t/partitions/0/state {"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1,3,2]})"),
          guarded(
              R"(create /brokers/topics/t/partitions/1/state {"controller_epoch":1,"leader":2,"version":1,"leader_epoch":0,"isr":[2,1,3]})"),
          guarded(
              R"(create /brokers/topics/t/partitions/2/state {"controller_epoch":1,"leader":3,"version":1,"leader_epoch":0,"isr":[3,2,1]})")});
  CHECK(scene.take_lines() == Lines{"leader_and_isr 1 t-0:1e0+ t-1:2e0+ t-2:3e0+",
                                    "leader_and_isr 2 t-0:1e0+ t-1:2e0+ t-2:3e0+",
                                    "leader_and_isr 3 t-0:1e0+ t-1:2e0+ t-2:3e0+",
                                    "update_metadata 1 brokers 1 2 3 t-0:1 t-1:2 t-2:3",
                                    "update_metadata 2 brokers 1 2 3 t-0:1 t-1:2 t-2:3",
                                    "update_metadata 3 brokers 1 2 3 t-0:1 t-1:2 t-2:3"});
  const auto& request = scene.brokers.leader_and_isrs.front();
  CHECK(request.controller_id == 1);
  CHECK(request.controller_epoch == 1);
  CHECK(request.topic_states.front().topic_id.to_string() == "yrHP8pdTTl-15EDiMQmS5Q");
  CHECK(request.live_leaders.size() == 3);
  CHECK(request.broker_epoch > 0);

  // Two partitions more: `partitions` exists, only the new ones are told.
  scene.zk.apply(ZkRequest::set(
      zpath::topic("t"),
      R"({"partitions":{"0":[1,3,2],"1":[2,1,3],"2":[3,2,1],"3":[1,3,2],"4":[2,1,3]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})"));
  scene.zk.clear_journal();
  scene.run();
  auto journal = scene.take_journal();
  REQUIRE(journal.size() == 5);
  CHECK(journal[0] == "multi[check /controller_epoch v1 | error -110]");
  CHECK(
      journal[4] ==
      guarded(
          R"(create /brokers/topics/t/partitions/4/state {"controller_epoch":1,"leader":2,"version":1,"leader_epoch":0,"isr":[2,1,3]})"));
  CHECK(scene.take_lines().front() == "leader_and_isr 1 t-3:1e0+ t-4:2e0+");
}

TEST_CASE("topic deletion: the order of requests and of the last writes is Kafka's") {
  Scene scene({1, 2, 3});
  scene.start(2);
  scene.create_topic(
      "r",
      R"({"partitions":{"0":[3,2],"1":[1,3]},"topic_id":"0eqJJ08zQLKXUeJwNGR20g","adding_replicas":{},"removing_replicas":{},"version":3})");
  scene.take_journal();
  scene.take_lines();
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("r"), std::nullopt));
  scene.zk.clear_journal();
  scene.run();
  auto lines = scene.take_lines();
  REQUIRE(lines.size() == 9);
  CHECK(lines[0] == "update_metadata 1 brokers 1 2 3 r-0:-2 r-1:-2");
  CHECK(lines[3] == "stop_replica 1 r-1 e-2");
  CHECK(lines[6] == "stop_replica 1 r-1 delete e-2");
  CHECK(lines[8] == "stop_replica 3 r-0 delete e-2 r-1 delete e-2");
  auto journal = scene.take_journal();
  auto guarded = [](const std::string& op) {
    return "multi[check /controller_epoch v1 | delete " + op + "]";
  };
  REQUIRE(journal.size() >= 8);
  Lines last(journal.end() - 8, journal.end());
  CHECK(last == Lines{guarded("/brokers/topics/r/partitions/0/state"),
                      guarded("/brokers/topics/r/partitions/0"),
                      guarded("/brokers/topics/r/partitions/1/state"),
                      guarded("/brokers/topics/r/partitions/1"),
                      guarded("/brokers/topics/r/partitions"), guarded("/brokers/topics/r"),
                      guarded("/config/topics/r"), guarded("/admin/delete_topics/r")});
  // Before that each replica left its ISR, down to the last one, and the leader went.
  CHECK(journal[0].find(R"("leader":-1)") != std::string::npos);
  CHECK(scene.controllers.at(2)->state().topics.empty());
  CHECK_FALSE(scene.controllers.at(2)->queued_for_deletion("r"));
}

TEST_CASE("deletion disabled, or of nothing: the mark goes, the topic stays") {
  Scene scene({1});
  scene.start(1, {.delete_topic_enable = false});
  scene.create_topic("t", kOneReplica);
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
  scene.run();
  CHECK(scene.zk.exists(zpath::topic("t")));
  CHECK_FALSE(scene.zk.exists(zpath::delete_topic("t")));
}

TEST_CASE("marks that a new controller finds: the topic stays where deletion is disabled") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kOneReplica);
  scene.zk.expire(*scene.sessions.at(1));
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
  scene.start(2, {.delete_topic_enable = false});
  CHECK(scene.zk.exists(zpath::topic("t")));
  CHECK_FALSE(scene.zk.exists(zpath::delete_topic("t")));
}

TEST_CASE("marks that a new controller finds: a deletion that was cut is completed") {
  Scene scene({1});
  scene.zk.apply(ZkRequest::create(zpath::config("topics", "ghost"), "{}"));
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("ghost"), std::nullopt));
  scene.start(1);
  CHECK_FALSE(scene.zk.exists(zpath::config("topics", "ghost")));
  CHECK_FALSE(scene.zk.exists(zpath::delete_topic("ghost")));
  CHECK_FALSE(scene.controllers.at(1)->queued_for_deletion("ghost"));
}

TEST_CASE("a broker that cannot delete keeps the topic until it comes back") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  scene.zk.expire(*scene.sessions.at(2));
  scene.run();
  CHECK(scene.zk.data(zpath::partition_state("t", 0)) ==
        R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":1,"isr":[1]})");
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
  scene.run();
  CHECK(scene.zk.exists(zpath::topic("t")));
  CHECK(scene.controllers.at(1)->queued_for_deletion("t"));
  scene.broker(2);
  scene.run();
  CHECK_FALSE(scene.zk.exists(zpath::topic("t")));
}

TEST_CASE("no live replica: no state znode until one comes") {
  Scene scene({1});
  scene.start(1);
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[5]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  CHECK_FALSE(scene.zk.exists(zpath::partition_state("t", 0)));
  scene.broker(5);
  scene.run();
  CHECK(scene.zk.exists(zpath::partition_state("t", 0)));
}

TEST_CASE("a topic without id gets one; foreign nodes are passed over") {
  Scene scene({1});
  scene.create_topic("old", R"({"version":1,"partitions":{"0":[1]}})");
  scene.create_topic("junk", "not json");
  scene.start(1);
  CHECK(
      scene.zk.data(zpath::topic("old")) ==
      R"({"partitions":{"0":[1]},"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","adding_replicas":{},"removing_replicas":{},"version":3})");
  CHECK(scene.zk.exists(zpath::partition_state("old", 0)));
  CHECK(scene.controllers.at(1)->idle());
}

}  // namespace
}  // namespace ottla::broker
