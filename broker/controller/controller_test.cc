// The controller core against an ensemble in memory and brokers that answer everything: elections
// of controllers, fail-over, brokers that come and go. What it writes is compared with what live
// Kafka 3.9.1 controllers wrote in the same situation.
#include "broker/controller/test_scene.h"

namespace ottla::broker {
namespace {

TEST_CASE("the first controller: epoch node, election in a multi, feature node, brokers told") {
  Scene scene({1});
  scene.zk.clear_journal();
  Controller& controller = scene.start(1);
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

TEST_CASE(
    "restart of a lone broker: nothing is written, its partitions are handed back as they were") {
  Scene scene({1});
  scene.start(1);
  scene.create_topic("t", kOneReplica);
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
  Scene scene({1, 2});
  scene.start(1);
  scene.start(2);
  CHECK(scene.controllers.at(1)->active());
  CHECK_FALSE(scene.controllers.at(2)->active());
  CHECK(scene.controllers.at(2)->controller_id() == 1);
  scene.create_topic("t", kTwoReplicas);
  scene.zk.expire(*scene.sessions.at(1));
  scene.run();
  CHECK(scene.controllers.at(2)->active());
  CHECK(scene.controllers.at(2)->epoch() == 2);
  // +1 when its dead leader left the ISR, +1 by the election: as Kafka at a fail-over.
  CHECK(scene.zk.data(zpath::partition_state("t", 0)) ==
        R"({"controller_epoch":2,"leader":2,"version":1,"leader_epoch":2,"isr":[2]})");
}

TEST_CASE("the reply of the election was lost: the retry finds itself elected") {
  Scene scene({1});
  bool lost = false;
  scene.sessions.at(1)->lose_reply = [&](const ZkRequest& request) {
    if (lost || request.op != OpCode::multi) return false;
    return lost = true;
  };
  scene.start(1);
  CHECK(lost);
  CHECK(scene.controllers.at(1)->active());
  CHECK(scene.controllers.at(1)->epoch() == 1);
}

TEST_CASE("a fenced controller resigns without a trace") {
  Scene scene({1});
  scene.start(1);
  scene.zk.apply(ZkRequest::set(zpath::kControllerEpoch, "7"));
  scene.create_topic("t", kOneReplica);
  // It resigned at the first guarded write, gave up its own /controller, and was elected anew.
  CHECK(scene.controllers.at(1)->epoch() == 8);
  CHECK(scene.zk.data(zpath::partition_state("t", 0)) ==
        R"({"controller_epoch":8,"leader":1,"version":1,"leader_epoch":0,"isr":[1]})");
}

}  // namespace
}  // namespace ottla::broker
