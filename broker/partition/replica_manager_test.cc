#include <catch2/catch.hpp>
#include <optional>

#include "broker/partition/replica_manager.h"
#include "broker/record/batch_builder.h"
#include "common/rt_sim/simulator.h"

using namespace ottla;
using namespace ottla::broker;
using kmsg::ErrorCode;

namespace {

struct Deaf : ReplicaListener {
  void on_became_leader(const TopicPartition&, int32_t) override {}
  void on_resigned(const TopicPartition&, std::optional<int32_t>) override {}
};

ErrorCode become_leader(ReplicaManager& replicas, int32_t partition, bool is_new,
                        int32_t leader_epoch) {
  kmsg::LeaderAndIsrRequest request;
  request.controller_epoch = 1;
  request.broker_epoch = -1;
  kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState state;
  state.topic_name = "t";
  state.partition_index = partition;
  state.controller_epoch = 1;
  state.leader_epoch = leader_epoch;
  state.isr = state.replicas = {0};
  state.is_new = is_new;
  request.ungrouped_partition_states.push_back(state);
  auto response = replicas.apply(request);
  REQUIRE(response.partition_errors.size() == 1);
  return static_cast<ErrorCode>(response.partition_errors[0].error_code);
}

MetadataPtr metadata_of_t(int32_t partitions) {
  kmsg::UpdateMetadataRequest request;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "t";
  for (int32_t i = 0; i < partitions; ++i) {
    auto& state = topic.partition_states.emplace_back();
    state.partition_index = i;
    state.isr = state.replicas = {0};
  }
  return MetadataImage::apply(MetadataImage::empty("c"), request).image;
}

Buffer batch_of_zeros(size_t bytes) {
  BatchBuilder builder({.codec = compress::Codec::zstd});
  std::string value(bytes, '\0');
  builder.append(1, std::nullopt, as_bytes(value));
  Buffer out;
  REQUIRE(builder.finish(out));
  return out;
}

// A broker's replicas that lead t-0 and t-1, in the simulator.
struct Leading {
  sim::Simulator simulator{1};
  rt::World world{simulator.add_node("b")};
  Deaf deaf;
  std::unique_ptr<LogManager> logs;
  std::unique_ptr<ReplicaManager> replicas;

  Leading() {
    LogManagerOptions options;
    options.log_dirs = {"/logs"};
    options.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    auto opened = LogManager::open(world, options);
    REQUIRE(opened);
    logs = std::move(*opened);
    replicas = std::make_unique<ReplicaManager>(world, 0, *logs, deaf);
    for (int32_t i : {0, 1}) REQUIRE(become_leader(*replicas, i, true, 0) == ErrorCode::none);
    replicas->set_metadata(metadata_of_t(2));
  }
  void append(std::vector<std::pair<int32_t, Buffer*>> sets, std::vector<AppendOutcome>& into) {
    std::vector<AppendTarget> targets;
    for (auto& [partition, set] : sets) targets.push_back({{"t", partition}, set->mutable_bytes()});
    replicas->append(std::move(targets), -1, 1000, Origin::client,
                     [&into](std::vector<AppendOutcome> outcomes) { into = std::move(outcomes); });
  }
};

}  // namespace

TEST_CASE("a set that opens to many times its size holds up its own request alone") {
  Leading leading;
  Buffer large = batch_of_zeros(16 << 20), small = batch_of_zeros(10), next = batch_of_zeros(10);
  CHECK(large.size() < 10'000);
  std::vector<AppendOutcome> first, second;
  leading.append({{1, &small}, {0, &large}}, first);
  CHECK(first.empty());
  // What came beside it is there, and others go on.
  CHECK(leading.logs->find({"t", 1})->leo() == 1);
  leading.append({{0, &next}}, second);
  REQUIRE(second.size() == 1);
  CHECK(second[0].base_offset == 0);
  REQUIRE(leading.simulator.run_until([&] { return !first.empty(); }, 1'000'000'000));
  REQUIRE(first.size() == 2);
  CHECK(first[0].base_offset == 0);
  CHECK(first[1].error == ErrorCode::none);
  CHECK(first[1].base_offset == 1);
  CHECK(leading.logs->find({"t", 0})->leo() == 2);
  CHECK(leading.logs->find({"t", 0})->hw() == 2);
}

TEST_CASE("a partition that goes while its set is opened answers that, and a broker may go too") {
  Leading leading;
  Buffer large = batch_of_zeros(16 << 20), other = batch_of_zeros(16 << 20);
  std::vector<AppendOutcome> first, second;
  leading.append({{0, &large}}, first);
  leading.append({{1, &other}}, second);
  leading.replicas->set_metadata(metadata_of_t(0));
  REQUIRE(leading.simulator.run_until([&] { return !first.empty(); }, 1'000'000'000));
  CHECK(first[0].error == ErrorCode::unknown_topic_or_partition);
  CHECK(second.empty());
  leading.replicas.reset();
  leading.simulator.run_for(1'000'000'000);
  CHECK(second.empty());
}

TEST_CASE("a partition is not made anew, empty, while a directory that may hold it is offline") {
  sim::Simulator simulator(1);
  std::optional<rt::World> world(simulator.add_node("b"));
  Deaf deaf;
  LogManagerOptions options;
  options.log_dirs = {"/one", "/two"};
  options.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
  std::string home;
  for (bool broken : {false, true}) {
    auto logs = LogManager::open(*world, options);
    REQUIRE(logs);
    CHECK((*logs)->has_offline_dir() == broken);
    ReplicaManager replicas(*world, 0, **logs, deaf);
    CHECK(become_leader(replicas, 0, !broken, broken ? 1 : 0) ==
          (broken ? ErrorCode::kafka_storage_error : ErrorCode::none));
    CHECK(((*logs)->find({"t", 0}) == nullptr) == broken);
    // One that is new cannot lie there.
    CHECK(become_leader(replicas, broken ? 2 : 1, true, 0) == ErrorCode::none);
    if (broken) continue;
    home = (*logs)->dir_of({"t", 0});
    simulator.kill("b");
    logs->reset();
    world.emplace(simulator.restart("b"));
    sim::DiskFault fault;
    fault.path_part = home;
    simulator.inject("b", fault);
  }
  // The directory is back, and the partition with it.
  simulator.kill("b");
  simulator.clear_faults("b");
  world.emplace(simulator.restart("b"));
  auto logs = LogManager::open(*world, options);
  REQUIRE(logs);
  ReplicaManager replicas(*world, 0, **logs, deaf);
  CHECK(become_leader(replicas, 0, false, 2) == ErrorCode::none);
  CHECK((*logs)->dir_of({"t", 0}) == home);
}
