// For the tests of this room: the partitions of one broker in two directories of a simulated disk,
// what a controller asks of them, and clients that append and read.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/log/log_manager.h"
#include "broker/partition/replica_manager.h"
#include "broker/record/batch_builder.h"
#include "common/rt_sim/simulator.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using LeaderAndIsr = kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState;

inline constexpr int32_t kMe = 0;

struct Told final : ReplicaListener {
  std::vector<std::string> lines;
  void on_became_leader(const TopicPartition& tp, int32_t epoch) override {
    lines.push_back("leader " + tp.to_string() + " " + std::to_string(epoch));
  }
  void on_resigned(const TopicPartition& tp, std::optional<int32_t> epoch) override {
    lines.push_back("resigned " + tp.to_string() + " " + (epoch ? std::to_string(*epoch) : "-"));
  }
};

inline LeaderAndIsr state_of(int32_t partition, int32_t leader_epoch, int32_t leader = kMe) {
  LeaderAndIsr state;
  state.topic_name = "t";
  state.partition_index = partition;
  state.controller_epoch = 1;
  state.leader = leader;
  state.leader_epoch = leader_epoch;
  state.isr = state.replicas = {kMe};
  return state;
}

// One broker on one simulated node, with partitions in two directories.
struct Host {
  sim::Simulator simulator{1};
  std::optional<rt::World> world{simulator.add_node("b")};
  LogConfig config;
  Told told;
  std::unique_ptr<LogManager> logs;
  std::optional<ReplicaManager> replicas;
  MetadataPtr metadata = MetadataImage::empty("c");

  Host() { start(); }
  void start() {
    LogManagerOptions options;
    options.log_dirs = {"/one", "/two"};
    options.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    options.config_for = [this](const std::string&) { return config; };
    options.on_dir_offline = [this](const std::string&, const std::vector<TopicPartition>& lost) {
      if (replicas) replicas->on_dir_offline(lost);
    };
    auto opened = LogManager::open(*world, options);
    REQUIRE(opened);
    logs = std::move(*opened);
    replicas.emplace(*world, kMe, *logs, told);
    replicas->set_metadata(metadata);
  }
  void kill() {
    replicas.reset();
    simulator.kill("b");
    logs.reset();
  }
  void restart() {
    world.emplace(simulator.restart("b"));
    start();
  }
  // What the controller tells all brokers of t-0, t-1, ...
  void know(int partitions) {
    kmsg::UpdateMetadataRequest request;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    for (int i = 0; i < partitions; ++i) {
      auto& one = topic.partition_states.emplace_back();
      one.partition_index = i;
      one.leader = kMe;
    }
    metadata = MetadataImage::apply(metadata, request).image;
    replicas->set_metadata(metadata);
  }
  ErrorCode apply(LeaderAndIsr state) {
    kmsg::LeaderAndIsrRequest request;
    request.controller_epoch = 1;
    request.broker_epoch = -1;
    request.ungrouped_partition_states.push_back(std::move(state));
    auto response = replicas->apply(request);
    REQUIRE(response.partition_errors.size() == 1);
    replicas->check_invariants();
    return response.partition_errors[0].error_code;
  }
  // With the topic's id, as controllers of today send it.
  ErrorCode apply_with_id(LeaderAndIsr state, const kmsg::Uuid& id) {
    kmsg::LeaderAndIsrRequest request;
    request.controller_epoch = 1;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    topic.topic_id = id;
    topic.partition_states.push_back(std::move(state));
    auto response = replicas->apply(request);
    REQUIRE(response.topics.size() == 1);
    CHECK(response.topics[0].topic_id == id);
    return response.topics[0].partition_errors.at(0).error_code;
  }
  ErrorCode stop(int32_t partition, int32_t leader_epoch, bool remove) {
    kmsg::StopReplicaRequest request;
    request.controller_epoch = 1;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    auto& one = topic.partition_states.emplace_back();
    one.partition_index = partition;
    one.leader_epoch = leader_epoch;
    one.delete_partition = remove;
    auto response = replicas->apply(request);
    REQUIRE(response.partition_errors.size() == 1);
    return response.partition_errors[0].error_code;
  }
  void lead(int32_t partition, int32_t leader_epoch = 0) {
    LeaderAndIsr state = state_of(partition, leader_epoch);
    state.is_new = true;
    REQUIRE(apply(std::move(state)) == ErrorCode::none);
  }

  // Answers come at once or later: the last one, and how many there were.
  std::vector<AppendOutcome> appended;
  std::vector<ReadOutcome> read;
  int append_answers = 0, read_answers = 0;
  void append(int32_t partition, int16_t acks = -1, int32_t timeout_ms = 1000,
              Origin origin = Origin::client, std::string_view value = "v") {
    BatchBuilder builder;
    builder.append(1000, as_bytes("k"), as_bytes(value));
    Buffer bytes = builder.finish();
    replicas->append({{{"t", partition}, bytes.mutable_bytes()}}, acks, timeout_ms, origin,
                     [this](std::vector<AppendOutcome> outcomes) {
                       appended = std::move(outcomes);
                       ++append_answers;
                     });
  }
  // Whole sets; they must live until they are answered.
  void append_sets(std::vector<std::pair<int32_t, Buffer*>> sets,
                   std::vector<AppendOutcome>& into) {
    std::vector<AppendTarget> targets;
    for (auto& [partition, set] : sets) targets.push_back({{"t", partition}, set->mutable_bytes()});
    replicas->append(std::move(targets), -1, 1000, Origin::client,
                     [&into](std::vector<AppendOutcome> outcomes) { into = std::move(outcomes); });
  }
  ErrorCode append_error(int32_t partition, int16_t acks = -1) {
    int before = append_answers;
    append(partition, acks);
    REQUIRE(append_answers == before + 1);
    return appended.at(0).error;
  }
  ReadTarget target(int32_t partition, int64_t offset) const {
    ReadTarget one;
    one.tp = {"t", partition};
    one.offset = offset;
    one.max_bytes = 1 << 20;
    return one;
  }
  ReadParams wait_for(int32_t min_bytes, int32_t max_wait_ms) const {
    ReadParams params;
    params.max_bytes = 1 << 20;
    params.min_bytes = min_bytes;
    params.max_wait_ms = max_wait_ms;
    return params;
  }
  Purgatory::Id fetch(std::vector<ReadTarget> targets, const ReadParams& params) {
    return replicas->read(std::move(targets), params, [this](std::vector<ReadOutcome> outcomes) {
      read = std::move(outcomes);
      ++read_answers;
    });
  }
  ReadOutcome read_now(ReadTarget one, std::optional<ReadParams> params = std::nullopt) {
    fetch({std::move(one)}, params.value_or(wait_for(0, 0)));
    return read.at(0);
  }
  void run_ms(int64_t ms) { simulator.run_for(ms_to_ns(ms)); }
};

}  // namespace ottla::broker
