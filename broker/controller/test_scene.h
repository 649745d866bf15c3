// For the tests of this room: a controller on an ensemble in memory, with brokers that answer
// everything and keep each request as one line.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/controller/controller.h"
#include "broker/zk/memory_zk.h"

namespace ottla::broker {

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

  explicit Scene(std::initializer_list<int32_t> broker_ids = {}) {
    for (const std::string& path : zpath::persistent())
      zk.apply(ZkRequest::create(path, std::nullopt));
    for (int32_t id : broker_ids) broker(id);
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
  Controller& start(int32_t id, ControllerOptions options = {}) {
    Controller& made = controller(id, options);
    made.start();
    run();
    return made;
  }
  // Until nobody has anything to do.
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
    run();
  }
};

constexpr const char* kOneReplica =
    R"({"version":3,"partitions":{"0":[1]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})";
constexpr const char* kTwoReplicas =
    R"({"version":3,"partitions":{"0":[1,2]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q"})";
using Lines = std::vector<std::string>;

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
inline std::string state_of(Scene& scene, const std::string& topic, int32_t partition) {
  return scene.zk.data(zpath::partition_state(topic, partition));
}

}  // namespace ottla::broker
