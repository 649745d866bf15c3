// Refusals of topic administration, with the codes and texts that live Kafka 3.9.1 brokers gave,
// and replica assignment.
#include "broker/controller/topic_rules.h"

#include <catch2/catch.hpp>

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;
using Creatable = kmsg::CreateTopicsRequest::CreatableTopic;
using Growing = kmsg::CreatePartitionsRequest::CreatePartitionsTopic;

Creatable topic(int32_t partitions, int16_t factor,
                std::vector<std::vector<int32_t>> assigned = {}) {
  Creatable out;
  out.name = "e1";
  out.num_partitions = partitions;
  out.replication_factor = factor;
  for (size_t i = 0; i < assigned.size(); ++i) {
    auto& entry = out.assignments.emplace_back();
    entry.partition_index = static_cast<int32_t>(i);
    entry.broker_ids = assigned[i];
  }
  return out;
}

TEST_CASE("names") {
  CHECK(topic_name_fault("") == "the empty string is not allowed");
  CHECK(topic_name_fault(".") == "'.' is not allowed");
  CHECK(topic_name_fault("..") == "'..' is not allowed");
  CHECK(topic_name_fault("a b") ==
        "'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'");
  CHECK_FALSE(topic_name_fault(std::string(249, 'y')));
  CHECK(topic_name_fault(std::string(250, 'y')) ==
        "the length of '" + std::string(250, 'y') + "' is longer than the max allowed length 249");
  CHECK_FALSE(topic_name_fault("a.b_c-9"));
  CHECK(names_collide("a.b", "a_b"));
  CHECK_FALSE(names_collide("a.b", "a-b"));
  CHECK(is_internal_topic("__consumer_offsets"));
}

TEST_CASE("counts and explicit assignments of new topics") {
  Prng prng(1);
  std::vector<BrokerRack> one = {{0, std::nullopt}};
  TopicAdminOptions options;
  auto plan = [&](const Creatable& asked) { return plan_topic(asked, options, one, prng); };
  CHECK(plan(topic(-2, 1)).error == ErrorCode::invalid_partitions);
  CHECK(plan(topic(INT32_MAX, 1)).error == ErrorCode::invalid_partitions);
  CHECK(plan(topic(kMaxPlannedPartitions, 1)).error == ErrorCode::none);
  CHECK(plan(topic(0, 0)).message == "Number of partitions must be larger than 0.");
  CHECK(plan(topic(1, -2)).message == "Replication factor must be larger than 0.");
  CHECK(plan(topic(1, 3)).error == ErrorCode::invalid_replication_factor);
  CHECK(plan(topic(1, 3)).message == "Replication factor: 3 larger than available brokers: 1.");
  CHECK(plan(topic(1, 1, {{0}})).error == ErrorCode::invalid_request);
  CHECK(plan(topic(-1, 1, {{0}})).message ==
        "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be "
        "used "
        "at the same time.");
  CHECK(plan(topic(-1, -1, {{7}})).assignment == Assignment{{0, {7}}});
  CHECK(plan(topic(-1, -1)).assignment == Assignment{{0, {0}}});

  CHECK(check_assignment({{0, {}}}).ok());
  CHECK(check_assignment({{1, {0}}}).message ==
        "partitions should be a consecutive 0-based integer sequence");
  CHECK_FALSE(check_assignment({{0, {0}}, {2, {0}}}).ok());
  CHECK(check_assignment({{-5, {0}}, {1, {0}}}).ok());
  CHECK(check_assignment({{0, {0, 0}}}).message ==
        "Duplicate replica assignment found: HashMap(0 -> ArrayBuffer(0, 0))");
  CHECK(check_assignment({{0, {0}}, {1, {0, 1}}}).message ==
        "All partitions should have the same number of replicas");
}

TEST_CASE("new partitions") {
  Prng prng(1);
  std::vector<BrokerRack> one = {{0, std::nullopt}};
  TopicNode five;
  for (int32_t i = 0; i < 5; ++i) five.partitions[i] = {0};
  auto plan = [&](int32_t count, std::optional<std::vector<std::vector<int32_t>>> lists = {}) {
    Growing asked;
    asked.name = "t";
    asked.count = count;
    asked.assignments = std::nullopt;
    if (lists) {
      asked.assignments.emplace();
      for (const auto& list : *lists) asked.assignments->emplace_back().broker_ids = list;
    }
    return plan_new_partitions(asked, five, one, prng);
  };
  using Lists = std::vector<std::vector<int32_t>>;
  CHECK(plan(5).message == "Topic already has 5 partitions.");
  CHECK(plan(0).message ==
        "Topic currently has 5 partitions, which is higher than the requested 0.");
  CHECK(plan(-1).error == ErrorCode::invalid_partitions);
  CHECK(plan(INT32_MAX).error == ErrorCode::invalid_partitions);
  CHECK(plan(7).assignment == Assignment{{5, {0}}, {6, {0}}});
  CHECK(plan(6, Lists{}).message ==
        "Increasing the number of partitions by 1 but 0 assignments provided.");
  CHECK(plan(6, Lists{{0}, {0}}).message ==
        "Increasing the number of partitions by 1 but 2 assignments provided.");
  CHECK(plan(6, Lists{{7}}).message == "Unknown broker(s) in replica assignment: 7.");
  CHECK(plan(6, Lists{{}}).message == "Cannot have replication factor of 0 for partition id 5.");
  CHECK(plan(6, Lists{{0, 0}}).message ==
        "Duplicate brokers not allowed in replica assignment: 0, 0 for partition id 5.");
  CHECK(plan(6, Lists{{0, 1}}).message == "Unknown broker(s) in replica assignment: 1.");
  five.adding[0] = {1};
  CHECK(plan(6).error == ErrorCode::reassignment_in_progress);
}

TEST_CASE("assignment: leaders in turn, followers shifted, racks apart") {
  Prng prng(1);
  std::vector<BrokerRack> five;
  for (int32_t id = 0; id < 5; ++id) five.push_back({id, std::nullopt});
  // The figure in Kafka's own description of the rule: ten partitions, three replicas, start 0.
  auto plan = assign_replicas(five, 10, 3, prng, 0);
  CHECK(plan.assignment[0] == std::vector<int32_t>{0, 1, 2});
  CHECK(plan.assignment[4] == std::vector<int32_t>{4, 0, 1});
  CHECK(plan.assignment[5] == std::vector<int32_t>{0, 2, 3});
  CHECK(plan.assignment[9] == std::vector<int32_t>{4, 1, 2});

  std::vector<BrokerRack> racks = {{0, "r1"}, {1, "r3"}, {2, "r3"},
                                   {3, "r2"}, {4, "r2"}, {5, "r1"}};
  auto aware = assign_replicas(racks, 7, 3, prng, 0);
  CHECK(aware.assignment[0] == std::vector<int32_t>{0, 3, 1});
  CHECK(aware.assignment[1] == std::vector<int32_t>{3, 1, 5});
  CHECK(aware.assignment[6] == std::vector<int32_t>{0, 4, 2});
  racks[0].rack = std::nullopt;
  CHECK(assign_replicas(racks, 1, 1, prng).message ==
        "Not all brokers have rack information for replica rack aware assignment.");
}

}  // namespace
}  // namespace ottla::broker
