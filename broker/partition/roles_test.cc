// What a controller asks of a broker's replicas: to lead, to follow, to stop, and where they lie.
#include "broker/partition/test_host.h"

namespace ottla::broker {
namespace {

const kmsg::Uuid kId = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
const kmsg::Uuid kOtherId = *kmsg::Uuid::from_string("AAAAAAAAAAAAAAAAAAAAAQ");

}  // namespace

TEST_CASE("a partition is not made anew, empty, while a directory that may hold it is offline") {
  Host host;
  CHECK_FALSE(host.logs->has_offline_dir());
  host.lead(0);
  host.lead(1);
  std::string home = host.logs->dir_of({"t", 0});
  host.kill();
  sim::DiskFault fault;
  fault.path_part = home;
  host.simulator.inject("b", fault);
  host.restart();
  CHECK(host.logs->has_offline_dir());
  CHECK(host.apply(state_of(0, 1)) == ErrorCode::kafka_storage_error);
  CHECK(host.logs->find({"t", 0}) == nullptr);
  host.lead(2);  // one that is new cannot lie there
  host.kill();
  host.simulator.clear_faults("b");
  host.restart();  // the directory is back, and the partition with it
  CHECK(host.apply(state_of(0, 2)) == ErrorCode::none);
  CHECK(host.logs->dir_of({"t", 0}) == home);
}

TEST_CASE("the controller's requests: which are applied, which refused, and who hears of it") {
  Host host;
  CHECK(host.apply(state_of(0, -1)) == ErrorCode::stale_controller_epoch);
  LeaderAndIsr foreign = state_of(0, 0);
  foreign.replicas = {7};
  CHECK(host.apply(foreign) == ErrorCode::unknown_topic_or_partition);
  for (const char* name : {"", ".", "..", "a/b", "a b"}) {
    LeaderAndIsr bad = state_of(0, 0);
    bad.topic_name = name;
    CHECK(host.apply(bad) == ErrorCode::invalid_topic_exception);
  }
  CHECK(host.apply(state_of(-1, 0)) == ErrorCode::invalid_topic_exception);
  CHECK(host.apply(state_of(0, 3)) == ErrorCode::none);
  CHECK(host.apply(state_of(0, 3)) == ErrorCode::stale_controller_epoch);
  CHECK(host.apply(state_of(0, 2)) == ErrorCode::stale_controller_epoch);
  CHECK(host.apply(state_of(0, 4, 7)) == ErrorCode::none);  // follows broker 7 now
  CHECK(host.apply(state_of(1, 0, 7)) == ErrorCode::none);  // never led it
  CHECK(host.told.lines == std::vector<std::string>{"leader t-0 3", "resigned t-0 4"});
  CHECK(host.replicas->partition_count() == 2);

  kmsg::LeaderAndIsrRequest stale;
  stale.controller_epoch = 0;
  stale.ungrouped_partition_states.push_back(state_of(0, 9));
  auto refused = host.replicas->apply(stale);
  CHECK(refused.error_code == ErrorCode::stale_controller_epoch);
  CHECK(refused.partition_errors.at(0).error_code == ErrorCode::stale_controller_epoch);
  host.replicas->set_broker_epoch(50);
  CHECK(host.replicas->check_controller(1, 49) == ErrorCode::stale_broker_epoch);
  CHECK(host.replicas->check_controller(1, 50) == ErrorCode::none);
  kmsg::StopReplicaRequest old_stop;
  old_stop.controller_epoch = 0;
  CHECK(host.replicas->apply(old_stop).error_code == ErrorCode::stale_controller_epoch);
}

TEST_CASE("a topic's id is learnt once and then demanded") {
  Host host;
  host.lead(0);
  CHECK(host.logs->find({"t", 0})->topic_id().empty());
  CHECK(host.apply_with_id(state_of(0, 0), kId) == ErrorCode::none);  // nothing but the id is new
  CHECK(host.logs->find({"t", 0})->topic_id() == kId.to_string());
  CHECK(host.apply_with_id(state_of(0, 1), kOtherId) == ErrorCode::inconsistent_topic_id);
  CHECK(host.apply_with_id(state_of(0, 1), kId) == ErrorCode::none);
  host.know(1);
  ReadTarget named = host.target(0, 0);
  named.topic_id = kOtherId;
  CHECK(host.read_now(named).error == ErrorCode::inconsistent_topic_id);
  named.topic_id = kId;
  CHECK(host.read_now(named).error == ErrorCode::none);
  host.run_ms(1000);  // partition.metadata is written beside
  // After a start the log alone knows it.
  host.kill();
  host.restart();
  CHECK(host.apply_with_id(state_of(0, 2), kOtherId) == ErrorCode::inconsistent_topic_id);
}

TEST_CASE("stopping a replica: kept or removed, unless the request is older than its leader") {
  Host host;
  for (int32_t partition : {0, 1, 2, 3}) host.lead(partition, 5);
  host.told.lines.clear();
  CHECK(host.stop(0, 4, true) == ErrorCode::fenced_leader_epoch);
  CHECK(host.stop(0, 5, false) == ErrorCode::none);
  CHECK(host.logs->find({"t", 0}) != nullptr);
  CHECK(host.stop(0, 6, true) == ErrorCode::none);
  CHECK(host.stop(1, -2, true) == ErrorCode::none);  // the topic is being deleted
  CHECK(host.stop(9, -2, true) == ErrorCode::none);  // not here: gone already
  CHECK(host.logs->find({"t", 0}) == nullptr);
  CHECK(host.told.lines == std::vector<std::string>{"resigned t-0 6", "resigned t-1 -"});
  // Requests of old controllers name partitions without epochs.
  kmsg::StopReplicaRequest old;
  old.controller_epoch = 1;
  old.delete_partitions = true;
  auto& ungrouped = old.ungrouped_partitions.emplace_back();
  ungrouped.topic_name = "t";
  ungrouped.partition_index = 2;
  auto& topic = old.topics.emplace_back();
  topic.name = "t";
  topic.partition_indexes = {3};
  CHECK(host.replicas->apply(old).partition_errors.size() == 2);
  CHECK(host.replicas->partition_count() == 0);
}

TEST_CASE("a removal that is not durable is not answered as done") {
  Host host;
  host.lead(0);
  sim::DiskFault fault;
  fault.call = sim::DiskCall::sync_dir;
  host.simulator.inject("b", fault);
  CHECK(host.stop(0, -2, true) == ErrorCode::kafka_storage_error);
}

TEST_CASE("which directory a replica shall lie in") {
  Host host;
  host.know(2);
  host.lead(0);
  std::string here = host.logs->dir_of({"t", 0}), there = here == "/one" ? "/two" : "/one";
  CHECK(host.replicas->alter_dir({"t", 0}, "/three") == ErrorCode::log_dir_not_found);
  CHECK(host.replicas->alter_dir({"t", 0}, here) == ErrorCode::none);
  CHECK(host.replicas->alter_dir({"t", 0}, there) ==
        ErrorCode::kafka_storage_error);  // no moves yet
  CHECK(host.replicas->alter_dir({std::string(240, 'x'), 0}, here) ==
        ErrorCode::invalid_topic_exception);
  CHECK(host.replicas->alter_dir({"u", 0}, there) == ErrorCode::unknown_topic_or_partition);
  CHECK(host.replicas->alter_dir({"t", 1}, here) == ErrorCode::replica_not_available);
  host.lead(1);
  CHECK(host.logs->dir_of({"t", 1}) == here);  // where it was asked for, not where there is room
}

}  // namespace ottla::broker
