// The controller core against an ensemble in memory and brokers that answer everything: what it
// writes is compared with what live Kafka 3.9.1 controllers wrote in the same situation.
#include "broker/controller/controller.h"

#include <catch2/catch.hpp>

#include "broker/zk/memory_zk.h"

namespace ottla::broker {
namespace {

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

}  // namespace
}  // namespace ottla::broker
