// The controller core against an ensemble in memory and brokers that answer everything: what it
// writes is compared with what live Kafka 3.9.1 controllers wrote in the same situation.
#include "broker/controller/controller.h"

#include <catch2/catch.hpp>

#include "broker/zk/memory_zk.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

// Keeps requests as one line each; answers at the next turn.
class FakeBrokers final : public BrokerChannel {
 public:
  std::vector<std::string> lines;
  std::vector<Fn<void()>> answers;
  std::vector<kmsg::LeaderAndIsrRequest> leader_and_isrs;
  std::vector<kmsg::UpdateMetadataRequest> update_metadatas;
  kmsg::ErrorCode stop_error = kmsg::ErrorCode::none;

  void add_broker(const BrokerRegistration& broker, int64_t) override {
    lines.push_back("add " + std::to_string(broker.id));
  }
  void remove_broker(int32_t id) override { lines.push_back("remove " + std::to_string(id)); }

  void leader_and_isr(int32_t id, kmsg::LeaderAndIsrRequest request,
                      Fn<void(kmsg::LeaderAndIsrResponse)> done) override {
    std::string line = "leader_and_isr " + std::to_string(id);
    for (const auto& topic : request.topic_states)
      for (const auto& p : topic.partition_states)
        line += " " + topic.topic_name + "-" + std::to_string(p.partition_index) + ":" +
                std::to_string(p.leader) + "e" + std::to_string(p.leader_epoch) +
                (p.is_new ? "+" : "");
    lines.push_back(line);
    leader_and_isrs.push_back(std::move(request));
    answers.push_back([done = std::move(done)]() mutable { done({}); });
  }
  void update_metadata(int32_t id, kmsg::UpdateMetadataRequest request,
                       Fn<void(kmsg::UpdateMetadataResponse)> done) override {
    std::string line = "update_metadata " + std::to_string(id) + " brokers";
    for (const auto& broker : request.live_brokers) line += " " + std::to_string(broker.id);
    for (const auto& topic : request.topic_states)
      for (const auto& p : topic.partition_states)
        line += " " + topic.topic_name + "-" + std::to_string(p.partition_index) + ":" +
                std::to_string(p.leader);
    lines.push_back(line);
    update_metadatas.push_back(std::move(request));
    answers.push_back([done = std::move(done)]() mutable { done({}); });
  }
  void stop_replica(int32_t id, kmsg::StopReplicaRequest request,
                    Fn<void(kmsg::StopReplicaResponse)> done) override {
    std::string line = "stop_replica " + std::to_string(id);
    kmsg::StopReplicaResponse response;
    for (const auto& topic : request.topic_states)
      for (const auto& p : topic.partition_states) {
        line += " " + topic.topic_name + "-" + std::to_string(p.partition_index) +
                (p.delete_partition ? " delete" : "") + " e" + std::to_string(p.leader_epoch);
        auto& error = response.partition_errors.emplace_back();
        error.topic_name = topic.topic_name;
        error.partition_index = p.partition_index;
        error.error_code = p.delete_partition ? stop_error : kmsg::ErrorCode::none;
      }
    lines.push_back(line);
    answers.push_back([done = std::move(done), response]() mutable { done(std::move(response)); });
  }
};

struct Scene {
  MemoryEnsemble zk;
  std::map<int32_t, std::unique_ptr<MemoryZkClient>> sessions;
  std::unique_ptr<MemoryZkClient> admin = std::make_unique<MemoryZkClient>(zk);
  FakeBrokers brokers;
  std::vector<std::string> notes;
  std::map<int32_t, std::unique_ptr<Controller>> controllers;

  Scene() {
    for (const std::string& path : zpath::persistent())
      zk.apply(ZkRequest::create(path, std::nullopt));
    zk.clear_journal();
  }
  void broker(int32_t id) {
    auto& session = sessions[id];
    if (!session) session = std::make_unique<MemoryZkClient>(zk);
    BrokerRegistration registration;
    registration.id = id;
    registration.endpoints = {{"PLAINTEXT", "127.0.0.1", 9090 + id, 0}};
    zk.apply(
        ZkRequest::create(zpath::broker(id), encode_broker(registration), CreateMode::ephemeral),
        session->session().session_id);
  }
  Controller& controller(int32_t id, ControllerOptions options = {}) {
    options.broker_id = id;
    ControllerEnvironment environment;
    environment.wall_ms = [] { return 1795334687617; };
    environment.new_topic_id = [] { return *kmsg::Uuid::from_string("AAAAAAAAAAAAAAAAAAAAAQ"); };
    environment.note = [this](const std::string& line) { notes.push_back(line); };
    auto& made = controllers[id];
    made = std::make_unique<Controller>(*sessions.at(id), brokers, options, std::move(environment));
    return *made;
  }
  void run() {
    for (;;) {
      size_t did = zk.run();
      auto answers = std::move(brokers.answers);
      brokers.answers.clear();
      for (auto& answer : answers) answer();
      for (auto& [id, controller] : controllers) controller->check_invariants();
      if (did == 0 && answers.empty()) return;
    }
  }
  std::vector<std::string> take_journal() {
    auto out = zk.journal();
    zk.clear_journal();
    return out;
  }
  std::vector<std::string> take_lines() { return std::exchange(brokers.lines, {}); }
  void create_topic(const std::string& name, const std::string& json) {
    zk.apply(ZkRequest::create(zpath::config("topics", name), encode_config({})));
    zk.apply(ZkRequest::create(zpath::topic(name), json));
    zk.clear_journal();
  }
};

using Lines = std::vector<std::string>;
constexpr const char* kTopicT =
    R"({"partitions":{"0":[1,3,2],"1":[2,1,3],"2":[3,2,1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})";

TEST_CASE("the first controller: epoch node, election in a multi, feature node, brokers told") {
  Scene scene;
  scene.broker(1);
  scene.zk.clear_journal();
  Controller& controller = scene.controller(1);
  controller.start();
  scene.run();
  CHECK(controller.active());
  CHECK(controller.epoch() == 1);
  CHECK(
      scene.take_journal() ==
      Lines{
          "create /controller_epoch 0",
          R"(multi[create /controller ephemeral {"version":2,"brokerid":1,"timestamp":"1795334687617","kraftControllerEpoch":-1} | set /controller_epoch v1 1])",
          R"(create /feature {"features":{},"version":2,"status":1})"});
  CHECK(scene.take_lines() == Lines{"add 1", "update_metadata 1 brokers 1"});
}

TEST_CASE("topic creation writes what Kafka writes and tells the brokers") {
  Scene scene;
  for (int32_t id : {1, 2, 3}) scene.broker(id);
  Controller& controller = scene.controller(1);
  controller.start();
  scene.run();
  scene.take_lines();
  scene.create_topic("t", kTopicT);
  scene.run();
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
  Scene scene;
  for (int32_t id : {1, 2, 3}) scene.broker(id);
  scene.controller(2).start();
  scene.run();
  scene.create_topic(
      "r",
      R"({"partitions":{"0":[3,2],"1":[1,3]},"topic_id":"0eqJJ08zQLKXUeJwNGR20g","adding_replicas":{},"removing_replicas":{},"version":3})");
  scene.run();
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
  Scene scene;
  scene.broker(1);
  scene.controller(1, {.delete_topic_enable = false}).start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("t"), std::nullopt));
  scene.run();
  CHECK(scene.zk.exists(zpath::topic("t")));
  CHECK_FALSE(scene.zk.exists(zpath::delete_topic("t")));
}

TEST_CASE("a broker that cannot delete keeps the topic until it comes back") {
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  scene.controller(1).start();
  scene.run();
  scene.create_topic(
      "t", R"({"version":3,"partitions":{"0":[1,2]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
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

TEST_CASE(
    "restart of a lone broker: nothing is written, its partitions are handed back as they were") {
  Scene scene;
  scene.broker(1);
  scene.controller(1).start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
  scene.take_lines();
  scene.zk.expire(*scene.sessions.at(1));  // the controller hears of it and stops
  CHECK_FALSE(scene.controllers.at(1)->active());
  scene.broker(1);
  scene.take_journal();
  scene.controllers.at(1)->start();
  scene.run();
  CHECK(scene.controllers.at(1)->epoch() == 2);
  auto journal = scene.take_journal();
  REQUIRE(journal.size() == 1);
  CHECK(journal[0].find("set /controller_epoch v2 2") != std::string::npos);
  CHECK(scene.take_lines() == Lines{"remove 1", "add 1", "update_metadata 1 brokers 1",
                                    "leader_and_isr 1 t-0:1e0",
                                    "update_metadata 1 brokers 1 t-0:1"});
}

TEST_CASE("two brokers: one controller; when it goes the other takes over and elects leaders") {
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  scene.controller(1).start();
  scene.run();
  scene.controller(2).start();
  scene.run();
  CHECK(scene.controllers.at(1)->active());
  CHECK_FALSE(scene.controllers.at(2)->active());
  CHECK(scene.controllers.at(2)->controller_id() == 1);
  scene.create_topic(
      "t", R"({"version":3,"partitions":{"0":[1,2]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
  scene.zk.expire(*scene.sessions.at(1));
  scene.run();
  CHECK(scene.controllers.at(2)->active());
  CHECK(scene.controllers.at(2)->epoch() == 2);
  // +1 when its dead leader left the ISR, +1 by the election: as Kafka at a fail-over.
  CHECK(scene.zk.data(zpath::partition_state("t", 0)) ==
        R"({"controller_epoch":2,"leader":2,"version":1,"leader_epoch":2,"isr":[2]})");
}

TEST_CASE("the reply of the election was lost: the retry finds itself elected") {
  Scene scene;
  scene.broker(1);
  bool lost = false;
  scene.sessions.at(1)->lose_reply = [&](const ZkRequest& request) {
    if (lost || request.op != OpCode::multi) return false;
    return lost = true;
  };
  scene.controller(1).start();
  scene.run();
  CHECK(lost);
  CHECK(scene.controllers.at(1)->active());
  CHECK(scene.controllers.at(1)->epoch() == 1);
}

TEST_CASE("a fenced controller resigns without a trace") {
  Scene scene;
  scene.broker(1);
  scene.controller(1).start();
  scene.run();
  scene.zk.apply(ZkRequest::set(zpath::kControllerEpoch, "7"));
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
  // It resigned at the first guarded write, gave up its own /controller, and was elected anew.
  CHECK(scene.controllers.at(1)->epoch() == 8);
  CHECK(scene.zk.data(zpath::partition_state("t", 0)) ==
        R"({"controller_epoch":8,"leader":1,"version":1,"leader_epoch":0,"isr":[1]})");
}

TEST_CASE("no live replica: no state znode until one comes") {
  Scene scene;
  scene.broker(1);
  scene.controller(1).start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[5]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
  CHECK_FALSE(scene.zk.exists(zpath::partition_state("t", 0)));
  scene.broker(5);
  scene.run();
  CHECK(scene.zk.exists(zpath::partition_state("t", 0)));
}

TEST_CASE("a topic without id gets one; foreign nodes are passed over") {
  Scene scene;
  scene.broker(1);
  scene.create_topic("old", R"({"version":1,"partitions":{"0":[1]}})");
  scene.create_topic("junk", "not json");
  scene.controller(1).start();
  scene.run();
  CHECK(
      scene.zk.data(zpath::topic("old")) ==
      R"({"partitions":{"0":[1]},"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","adding_replicas":{},"removing_replicas":{},"version":3})");
  CHECK(scene.zk.exists(zpath::partition_state("old", 0)));
  CHECK(scene.controllers.at(1)->idle());
}

// --------------------------------------------------------------------------- what others ask of it

struct Asked {
  PartitionOutcomes outcomes;
  int answers = 0;
  Fn<void(PartitionOutcomes)> done() {
    return [this](PartitionOutcomes out) {
      outcomes = std::move(out);
      ++answers;
    };
  }
};
std::string state_of(Scene& scene, const std::string& topic, int32_t partition) {
  return scene.zk.data(zpath::partition_state(topic, partition));
}
constexpr const char* kTwoReplicas =
    R"({"version":3,"partitions":{"0":[1,2]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})";

TEST_CASE("a preferred election gives the leadership back, and says where there is nothing to do") {
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  Controller& controller = scene.controller(2);
  controller.start();
  scene.run();
  scene.create_topic("t", kTwoReplicas);
  scene.run();
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
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  Controller& controller = scene.controller(2);
  controller.start();
  scene.run();
  scene.create_topic("t", kTwoReplicas);
  scene.run();
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

TEST_CASE("who is no controller says so, also to those who wait when it ceases to be it") {
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  scene.controller(1).start();
  scene.run();
  Controller& other = scene.controller(2);
  Asked before, follower, caught;
  other.elect({{"t", 0}}, ElectionType::preferred, before.done());
  CHECK(before.outcomes[{"t", 0}].error == ErrorCode::not_controller);
  other.start();
  scene.run();
  other.elect({{"t", 0}}, ElectionType::preferred, follower.done());
  CHECK(follower.outcomes[{"t", 0}].error == ErrorCode::not_controller);
  scene.create_topic("t", kTwoReplicas);
  scene.run();
  scene.zk.apply(ZkRequest::set(zpath::kControllerEpoch, "7"));
  scene.controllers.at(1)->reassign({{{"t", 0}, std::vector<int32_t>{2, 1}}}, caught.done());
  scene.run();
  CHECK(caught.answers == 1);
  CHECK(caught.outcomes[{"t", 0}].error == ErrorCode::not_controller);
}

TEST_CASE("the election node of old tools is carried out and taken away, again and again") {
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  scene.controller(1).start();
  scene.run();
  scene.create_topic("t", kTwoReplicas);
  scene.run();
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
  Scene scene;
  scene.broker(1);
  scene.broker(2);
  Controller& controller = scene.controller(1);
  controller.start();
  scene.run();
  scene.create_topic("t", kTwoReplicas);
  scene.run();
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

TEST_CASE("a partition assigned to where it lies gets a new epoch and nothing else") {
  Scene scene;
  scene.broker(1);
  Controller& controller = scene.controller(1);
  controller.start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
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
  Scene scene;
  scene.broker(0);
  Controller& controller = scene.controller(0);
  controller.start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[0]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
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
  Scene scene;
  for (int32_t id : {1, 2, 3}) scene.broker(id);
  Controller& controller = scene.controller(3);
  controller.start();
  scene.run();
  scene.create_topic("t", kTwoReplicas);
  scene.run();
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
  Scene scene;
  scene.broker(1);
  scene.controller(1).start();
  scene.run();
  scene.create_topic("t",
                     R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})");
  scene.run();
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
