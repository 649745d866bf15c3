// What others ask of the controller: elections of leaders, changes of an ISR.
#include "broker/controller/test_scene.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

TEST_CASE("a preferred election gives the leadership back, and says where there is nothing to do") {
  Scene scene({1, 2});
  Controller& controller = scene.start(2);
  scene.create_topic("t", kTwoReplicas);
  // Broker 1 was away: 2 leads, and has taken 1 into the ISR again.
  scene.zk.expire(*scene.sessions.at(1));
  scene.run();
  scene.broker(1);
  scene.run();
  Asked early;
  controller.elect({{"t", 0}}, ElectionType::preferred, early.done());
  scene.run();
  CHECK(early.outcomes[{"t", 0}].error == kmsg::ErrorCode::preferred_leader_not_available);
  CHECK(early.outcomes[{"t", 0}].message ==
        "Failed to elect leader for partition t-0 under strategy "
        "PreferredReplicaPartitionLeaderElectionStrategy");
  ErrorCode top = kmsg::ErrorCode::unknown_server_error;
  std::vector<IsrOutcome> isr;
  controller.alter_isr({{{"t", 0}, 1, {2, 1}, false, 1}}, 2, 3,
                       [&](ErrorCode error, std::vector<IsrOutcome> out) {
                         top = error;
                         isr = std::move(out);
                       });
  scene.run();
  CHECK(top == ErrorCode::none);
  REQUIRE(isr.size() == 1);
  CHECK(isr[0].error == ErrorCode::none);
  CHECK(isr[0].partition_epoch == 2);
  scene.take_lines();
  scene.take_journal();
  Asked asked;
  controller.elect({{"t", 0}, {"t", 7}, {"x", 0}}, ElectionType::preferred, asked.done());
  scene.run();
  CHECK(asked.answers == 1);
  CHECK(asked.outcomes[{"t", 0}].error == ErrorCode::none);
  CHECK(asked.outcomes[{"t", 0}].leader == 1);
  CHECK(asked.outcomes[{"t", 7}].error == ErrorCode::unknown_topic_or_partition);
  CHECK(asked.outcomes[{"x", 0}].message == "The partition does not exist.");
  CHECK(scene.take_journal() ==
        Lines{R"(multi[check /controller_epoch v1 | set /brokers/topics/t/partitions/0/state v3 )"
              R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":2,"isr":[2,1]}])"});
  CHECK(scene.take_lines() == Lines{"leader_and_isr 1 t-0:1e2", "leader_and_isr 2 t-0:1e2",
                                    "update_metadata 1 brokers 1 2 t-0:1",
                                    "update_metadata 2 brokers 1 2 t-0:1"});
  Asked again;
  controller.elect({{"t", 0}}, ElectionType::preferred, again.done());
  scene.run();
  CHECK(again.outcomes[{"t", 0}].error == ErrorCode::election_not_needed);
  CHECK(again.outcomes[{"t", 0}].message == "Leader election not needed for topic partition.");
}

TEST_CASE("an unclean election takes whoever lives, on demand alone") {
  Scene scene({1, 2});
  Controller& controller = scene.start(2);
  scene.create_topic("t", kTwoReplicas);
  scene.zk.apply(ZkRequest::set(
      zpath::partition_state("t", 0),
      R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1]})"));
  scene.zk.expire(*scene.sessions.at(1));
  scene.run();
  CHECK(controller.state().find({"t", 0})->phase == PartitionPhase::offline);
  Asked preferred, unclean, needless;
  controller.elect({{"t", 0}}, ElectionType::preferred, preferred.done());
  controller.elect({{"t", 0}}, ElectionType::unclean, unclean.done());
  controller.elect({{"t", 0}}, ElectionType::unclean, needless.done());
  scene.run();
  CHECK(preferred.outcomes[{"t", 0}].error == ErrorCode::preferred_leader_not_available);
  CHECK(unclean.outcomes[{"t", 0}].error == ErrorCode::none);
  CHECK(unclean.outcomes[{"t", 0}].leader == 2);
  CHECK(needless.outcomes[{"t", 0}].error == ErrorCode::election_not_needed);
  CHECK(state_of(scene, "t", 0).find(R"("isr":[2])") != std::string::npos);
  CHECK(state_of(scene, "t", 0).find("leader_recovery_state") != std::string::npos);
}

// t-0 has replicas 1 and 2, its ISR is broker 1 alone, and broker 1 is gone.
struct WithoutIsr : Scene {
  Controller& controller;
  explicit WithoutIsr(const ConfigMap& own, ControllerOptions options = {})
      : Scene({1, 2}), controller(start(2, options)) {
    create_topic("t", kTwoReplicas);
    set_config(own);
    zk.apply(ZkRequest::set(
        zpath::partition_state("t", 0),
        R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1]})"));
    zk.apply(ZkRequest::create(std::string(zpath::kIsrChanges) + "/isr_change_0",
                               R"({"version":1,"partitions":[{"topic":"t","partition":0}]})"));
    run();
    zk.expire(*sessions.at(1));
    run();
  }
  void set_config(const ConfigMap& own) {
    zk.apply(ZkRequest::set(zpath::config("topics", "t"), encode_config(own)));
  }
  int32_t leader() const { return controller.state().find({"t", 0})->state->leader; }
};

TEST_CASE("a topic's own word on unclean elections counts, before the broker's default") {
  const char* kKey = "unclean.leader.election.enable";
  CHECK(WithoutIsr({}).leader() == kNoLeader);
  CHECK(WithoutIsr({{kKey, "false"}}).leader() == kNoLeader);
  CHECK(WithoutIsr({{kKey, "maybe"}}).leader() == kNoLeader);
  CHECK(WithoutIsr({{kKey, "True"}}).leader() == 2);
  ControllerOptions available{.unclean_leader_election = true};
  CHECK(WithoutIsr({}, available).leader() == 2);
  CHECK(WithoutIsr({{kKey, "false"}}, available).leader() == kNoLeader);
}

TEST_CASE("unclean elections turned on, for a topic or for all, elect where nobody leads") {
  const ConfigMap kOn = {{"unclean.leader.election.enable", "true"}};
  WithoutIsr topic({});
  topic.controller.on_unclean_topic("t");  // its znode says otherwise, and that counts
  topic.run();
  CHECK(topic.leader() == kNoLeader);
  topic.set_config(kOn);
  topic.controller.on_unclean_topic("u");
  topic.run();
  CHECK(topic.leader() == kNoLeader);
  topic.take_lines();
  topic.controller.on_unclean_topic("t");
  topic.run();
  CHECK(topic.leader() == 2);
  CHECK(state_of(topic, "t", 0).find("leader_recovery_state") != std::string::npos);
  CHECK(topic.take_lines() ==
        Lines{"leader_and_isr 2 t-0:2e2", "update_metadata 2 brokers 2 t-0:2"});

  WithoutIsr all({});
  all.controller.set_unclean_election(false);
  all.run();
  CHECK(all.leader() == kNoLeader);
  all.controller.set_unclean_election(true);
  all.run();
  CHECK(all.leader() == 2);
}

TEST_CASE("a config that cannot be read prefers records to availability") {
  WithoutIsr scene({}, {.unclean_leader_election = true});
  CHECK(scene.leader() == 2);
  WithoutIsr odd({});
  odd.zk.apply(ZkRequest::set(zpath::config("topics", "t"), "not json"));
  odd.notes.clear();
  odd.controller.set_unclean_election(true);
  odd.run();
  CHECK(odd.leader() == kNoLeader);
  REQUIRE(odd.notes.size() == 1);
  CHECK(odd.notes[0].find("config not read") != std::string::npos);
}

TEST_CASE("who is no controller says so, also to those who wait when it ceases to be it") {
  Scene scene({1, 2});
  scene.start(1);
  Controller& other = scene.controller(2);
  Asked before, follower, caught;
  other.elect({{"t", 0}}, ElectionType::preferred, before.done());
  CHECK(before.outcomes[{"t", 0}].error == ErrorCode::not_controller);
  other.start();
  scene.run();
  other.elect({{"t", 0}}, ElectionType::preferred, follower.done());
  CHECK(follower.outcomes[{"t", 0}].error == ErrorCode::not_controller);
  scene.create_topic("t", kTwoReplicas);
  scene.zk.apply(ZkRequest::set(zpath::kControllerEpoch, "7"));
  scene.controllers.at(1)->reassign({{{"t", 0}, std::vector<int32_t>{2, 1}}}, caught.done());
  scene.run();
  CHECK(caught.answers == 1);
  CHECK(caught.outcomes[{"t", 0}].error == ErrorCode::not_controller);
}

TEST_CASE("the election node of old tools is carried out and taken away, again and again") {
  Scene scene({1, 2});
  scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  auto leader_2 = R"({"controller_epoch":1,"leader":2,"version":1,"leader_epoch":5,"isr":[2,1]})";
  for (int round = 0; round < 2; ++round) {
    scene.zk.apply(ZkRequest::set(zpath::partition_state("t", 0), leader_2));
    scene.zk.apply(
        ZkRequest::create(std::string(zpath::kIsrChanges) + "/isr_change_" + std::to_string(round),
                          R"({"version":1,"partitions":[{"topic":"t","partition":0}]})"));
    scene.run();
    scene.zk.apply(
        ZkRequest::create(zpath::kPreferredElection,
                          round == 0 ? R"({"version":1,"partitions":[{"topic":"t","partition":0}]})"
                                     : R"({"partitions":[{"topic":"t","partition":0}]})"));
    scene.run();
    CHECK_FALSE(scene.zk.exists(zpath::kPreferredElection));
    CHECK(state_of(scene, "t", 0) ==
          R"({"controller_epoch":1,"leader":1,"version":1,"leader_epoch":6,"isr":[2,1]})");
  }
  scene.zk.apply(ZkRequest::create(zpath::kPreferredElection, "not json"));
  scene.run();
  CHECK_FALSE(scene.zk.exists(zpath::kPreferredElection));
}

TEST_CASE("changes of an ISR are refused in Kafka's order") {
  Scene scene({1, 2});
  Controller& controller = scene.start(1);
  scene.create_topic("t", kTwoReplicas);
  auto ask = [&](IsrChange change, int16_t version = 3) {
    ErrorCode out = ErrorCode::unknown_server_error;
    controller.alter_isr({std::move(change)}, 1, version,
                         [&](ErrorCode, std::vector<IsrOutcome> all) { out = all[0].error; });
    scene.run();
    return out;
  };
  CHECK(ask({{"x", 0}, 0, {1}, false, 0}) == ErrorCode::unknown_topic_or_partition);
  CHECK(ask({{"t", 0}, 1, {1}, false, 0}) == ErrorCode::not_controller);
  CHECK(ask({{"t", 0}, 0, {1}, false, 1}) == ErrorCode::not_controller);
  CHECK(ask({{"t", 0}, -1, {1}, false, 0}) == ErrorCode::fenced_leader_epoch);
  CHECK(ask({{"t", 0}, 0, {1, 2}, false, -1}) == ErrorCode::none);  // as it is already
  CHECK(ask({{"t", 0}, 0, {1}, false, -1}) == ErrorCode::invalid_update_version);
  CHECK(ask({{"t", 0}, 0, {1, 2}, true, 0}) == ErrorCode::invalid_request);
  CHECK(ask({{"t", 0}, 0, {1}, true, 0}) == ErrorCode::invalid_request);
  CHECK(ask({{"t", 0}, 0, {1, 9}, false, 0}) == ErrorCode::ineligible_replica);
  CHECK(ask({{"t", 0}, 0, {1, 9}, false, 0}, 1) == ErrorCode::operation_not_attempted);
  CHECK(ask({{"t", 0}, 0, {1}, false, 0}) == ErrorCode::none);
  CHECK(state_of(scene, "t", 0).find(R"("isr":[1])") != std::string::npos);
}

}  // namespace
}  // namespace ottla::broker
