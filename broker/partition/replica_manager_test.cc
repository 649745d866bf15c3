#include <catch2/catch.hpp>
#include <optional>

#include "broker/partition/replica_manager.h"
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

}  // namespace

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
