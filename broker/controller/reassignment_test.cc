// Reassignments, asked for by request or through the node of old tools.
#include "broker/controller/test_scene.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

TEST_CASE("a partition assigned to where it lies gets a new epoch and nothing else") {
  Scene scene({1});
  Controller& controller = scene.start(1);
  scene.create_topic("t", kOneReplica);
  scene.take_lines();
  scene.take_journal();
  Asked asked;
  controller.reassign({{{"t", 0}, std::vector<int32_t>{1}}}, asked.done());
  scene.run();
  CHECK(asked.outcomes[{"t", 0}].error == ErrorCode::none);
  CHECK(state_of(scene, "t", 0) ==
        R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":1,"isr":[1]})");
  CHECK(
      scene.zk.data(zpath::topic("t")) ==
      R"({"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})");
  CHECK(scene.take_lines() == Lines{"leader_and_isr 1 t-0:1e1", "update_metadata 1 brokers 1 t-0:1",
                                    "update_metadata 1 brokers 1 t-0:1"});
}

TEST_CASE("reassignments that cannot be are refused with Kafka's words") {
  Scene scene({0});
  Controller& controller = scene.start(0);
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[0]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  auto ask = [&](TopicPartition tp, TargetReplicas target) {
    Asked asked;
    controller.reassign({{tp, std::move(target)}}, asked.done());
    scene.run();
    REQUIRE(asked.answers == 1);
    return std::pair(asked.outcomes[tp].error, asked.outcomes[tp].message.value_or(""));
  };
  auto invalid = ErrorCode::invalid_replica_assignment;
  CHECK(ask({"t", 0}, std::vector<int32_t>{}) ==
        std::pair(invalid, std::string("Empty replica list specified in partition reassignment.")));
  CHECK(ask({"t", 0}, std::vector<int32_t>{0, 1}) ==
        std::pair(invalid, std::string("Replica assignment has brokers that are not alive. Replica "
                                       "list: ArrayBuffer(1), live broker list: Set(0)")));
  CHECK(ask({"t", 0}, std::vector<int32_t>{-1}).second ==
        "Invalid broker id in replica list: ArrayBuffer(-1)");
  CHECK(ask({"t", 0}, std::vector<int32_t>{0, 0}).second ==
        "Duplicate replica ids in partition reassignment replica list: ArrayBuffer(0, 0)");
  CHECK(ask({"t", 0}, std::nullopt).first == ErrorCode::no_reassignment_in_progress);
  CHECK(ask({"t", 9}, std::nullopt).first == ErrorCode::no_reassignment_in_progress);
  CHECK(ask({"t", 9}, std::vector<int32_t>{0}).first == ErrorCode::unknown_topic_or_partition);
  CHECK(state_of(scene, "t", 0).find(R"("leader_epoch":0)") != std::string::npos);
}

TEST_CASE("a move to other brokers: told, waited for, ended; or given up") {
  Scene scene({1, 2, 3});
  Controller& controller = scene.start(3);
  scene.create_topic("t", kTwoReplicas);
  scene.take_lines();
  Asked asked;
  controller.reassign({{{"t", 0}, std::vector<int32_t>{3, 2}}}, asked.done());
  scene.run();
  CHECK(asked.outcomes[{"t", 0}].error == ErrorCode::none);
  auto moving =
      R"({"partitions":{"0":[3,2,1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{"0":[3]},"removing_replicas":{"0":[1]},"version":3})";
  CHECK(scene.zk.data(zpath::topic("t")) == moving);
  auto all = controller.reassignments();
  REQUIRE(all.size() == 1);
  CHECK(all.begin()->second == Reassignment{{3, 2, 1}, {3}, {1}});
  auto lines = scene.take_lines();
  CHECK(std::count(lines.begin(), lines.end(), "leader_and_isr 3 t-0:1e1+") == 2);
  CHECK(std::count(lines.begin(), lines.end(), "leader_and_isr 1 t-0:1e1") == 1);

  SECTION("given up: the replicas of before, in the order that came of it") {
    Asked cancelled;
    controller.reassign({{{"t", 0}, std::nullopt}}, cancelled.done());
    scene.run();
    CHECK(cancelled.outcomes[{"t", 0}].error == ErrorCode::none);
    CHECK(controller.reassignments().empty());
    CHECK(scene.zk.data(zpath::topic("t")).find(R"({"0":[2,1]})") != std::string::npos);
    auto told = scene.take_lines();
    CHECK(std::count(told.begin(), told.end(), "stop_replica 3 t-0 delete e1") == 1);
  }
  SECTION("ended when the new replica is in sync") {
    int32_t epoch = controller.state().find({"t", 0})->zk_version;
    controller.alter_isr({{{"t", 0}, 1, {1, 2, 3}, false, epoch}}, 1, 3,
                         [](ErrorCode, std::vector<IsrOutcome>) {});
    scene.run();
    CHECK(controller.reassignments().empty());
    CHECK(
        scene.zk.data(zpath::topic("t")) ==
        R"({"partitions":{"0":[3,2]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})");
    // A new leader (+1), then broker 1 leaves the ISR (+1).
    CHECK(state_of(scene, "t", 0) ==
          R"({"controller_epoch":1,"leader":3,"version":1,"leader_epoch":3,"isr":[2,3]})");
    auto told = scene.take_lines();
    CHECK(std::count(told.begin(), told.end(), "stop_replica 1 t-0 delete e3") == 1);
  }
  SECTION("a later controller goes on with it") {
    scene.zk.expire(*scene.sessions.at(3));
    scene.controller(2).start();
    scene.run();
    CHECK(scene.zk.data(zpath::topic("t")) == moving);
    CHECK(scene.controllers.at(2)->reassignments().size() == 1);
  }
  SECTION("a deletion waits for it") {
    scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
    scene.run();
    CHECK(scene.zk.exists(zpath::topic("t")));
  }
}

TEST_CASE("the reassignment node of old tools: what cannot be is struck out, what is done goes") {
  Scene scene({1});
  scene.start(1);
  scene.create_topic("t", kOneReplica);
  for (int round = 1; round <= 2; ++round) {
    scene.zk.apply(ZkRequest::create(
        zpath::kReassign,
        R"({"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]},{"topic":"x","partition":0,"replicas":[1]},{"topic":"t","partition":0,"replicas":[]}]})"));
    scene.run();
    CHECK_FALSE(scene.zk.exists(zpath::kReassign));
    CHECK(state_of(scene, "t", 0).find("\"leader_epoch\":" + std::to_string(round)) !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace ottla::broker
