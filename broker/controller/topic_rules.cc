// Room broker/controller: rules of topic creation. Pure; see the header.
#include "broker/controller/topic_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

std::string joined(const std::vector<int32_t>& values) {
  std::string out;
  for (int32_t value : values) out += (out.empty() ? "" : ", ") + std::to_string(value);
  return out;
}
bool repeats(const std::vector<int32_t>& values) {
  return std::set<int32_t>(values.begin(), values.end()).size() != values.size();
}
AssignmentOutcome refused(ErrorCode error, std::string message) {
  AssignmentOutcome out;
  out.error = error;
  out.message = std::move(message);
  return out;
}

}  // namespace

std::optional<std::string> topic_name_fault(std::string_view name) {
  if (name.empty()) return "the empty string is not allowed";
  if (name == "." || name == "..") return fmt::format("'{}' is not allowed", name);
  if (name.size() > kMaxTopicNameLength)
    return fmt::format("the length of '{}' is longer than the max allowed length {}", name,
                       kMaxTopicNameLength);
  for (char c : name) {
    bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '-';
    if (!legal)
      return fmt::format(
          "'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
          name);
  }
  return std::nullopt;
}

bool is_internal_topic(std::string_view name) {
  return name == "__consumer_offsets" || name == "__transaction_state" ||
         name == "__share_group_state";
}

bool has_collision_chars(std::string_view name) {
  return name.find_first_of("._") != std::string_view::npos;
}
bool names_collide(std::string_view a, std::string_view b) {
  auto unified = [](std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '.', '_');
    return out;
  };
  return unified(a) == unified(b);
}

AssignmentOutcome plan_topic(const kmsg::CreateTopicsRequest::CreatableTopic& topic,
                             const TopicAdminOptions& options,
                             const std::vector<BrokerRack>& brokers, Prng& prng) {
  if (topic.assignments.empty())
    return assign_replicas(
        brokers,
        topic.num_partitions == kNoPartitions ? options.num_partitions : topic.num_partitions,
        topic.replication_factor == kNoReplicationFactor ? options.default_replication_factor
                                                         : topic.replication_factor,
        prng);
  if (topic.num_partitions != kNoPartitions || topic.replication_factor != kNoReplicationFactor)
    return refused(ErrorCode::invalid_request,
                   "Both numPartitions or replicationFactor and replicasAssignments were set. Both "
                   "cannot be used at the same time.");
  AssignmentOutcome out;
  for (const auto& assignment : topic.assignments)
    out.assignment[assignment.partition_index] = assignment.broker_ids;
  return out;
}

AdminRefusal check_assignment(const Assignment& assignment) {
  std::set<size_t> sizes;
  for (const auto& [partition, replicas] : assignment) sizes.insert(replicas.size());
  if (sizes.size() != 1)
    return {ErrorCode::invalid_replica_assignment,
            "All partitions should have the same number of replicas"};
  for (const auto& [partition, replicas] : assignment) {
    if (!repeats(replicas)) continue;
    // Kafka prints the Scala map that it holds.
    std::string text;
    for (const auto& [index, list] : assignment)
      text += fmt::format("{}{} -> ArrayBuffer({})", text.empty() ? "" : ", ", index, joined(list));
    return {ErrorCode::invalid_replica_assignment,
            fmt::format("Duplicate replica assignment found: HashMap({})", text)};
  }
  int64_t sum = 0;
  for (const auto& [partition, replicas] : assignment) sum += std::max(partition, 0);
  auto count = static_cast<int64_t>(assignment.size());
  if (sum != count * (count - 1) / 2)
    return {ErrorCode::invalid_replica_assignment,
            "partitions should be a consecutive 0-based integer sequence"};
  return {};
}

AssignmentOutcome plan_new_partitions(
    const kmsg::CreatePartitionsRequest::CreatePartitionsTopic& topic, const TopicNode& existing,
    const std::vector<BrokerRack>& brokers, Prng& prng) {
  if (existing.reassigning())
    return refused(
        ErrorCode::reassignment_in_progress,
        fmt::format("A partition reassignment is in progress for the topic '{}'.", topic.name));
  auto count = static_cast<int32_t>(existing.partitions.size());
  int64_t added = int64_t{topic.count} - count;
  if (added < 0)
    return refused(ErrorCode::invalid_partitions,
                   fmt::format("Topic currently has {} partitions, which is higher than the "
                               "requested {}.",
                               count, topic.count));
  if (added == 0)
    return refused(ErrorCode::invalid_partitions,
                   fmt::format("Topic already has {} partitions.", count));
  auto first = existing.partitions.find(0);
  if (first == existing.partitions.end() || first->second.empty())
    return refused(
        ErrorCode::unknown_server_error,
        fmt::format("Unexpected existing replica assignment for topic '{}', partition id "
                    "0 is missing.",
                    topic.name));
  size_t factor = first->second.size();
  if (!topic.assignments) {
    auto start = std::find_if(brokers.begin(), brokers.end(), [&](const BrokerRack& broker) {
      return broker.id >= first->second.front();
    });
    auto index = start == brokers.end() ? 0 : static_cast<int32_t>(start - brokers.begin());
    return assign_replicas(brokers, static_cast<int32_t>(added), static_cast<int32_t>(factor), prng,
                           index, count);
  }
  std::vector<int32_t> unknown;
  std::set<int32_t> seen;
  for (const auto& assignment : *topic.assignments)
    for (int32_t id : assignment.broker_ids)
      if (std::none_of(brokers.begin(), brokers.end(),
                       [&](const BrokerRack& b) { return b.id == id; }) &&
          seen.insert(id).second)
        unknown.push_back(id);
  if (!unknown.empty())
    return refused(ErrorCode::invalid_replica_assignment,
                   fmt::format("Unknown broker(s) in replica assignment: {}.", joined(unknown)));
  if (topic.assignments->size() != static_cast<size_t>(added))
    return refused(ErrorCode::invalid_replica_assignment,
                   fmt::format("Increasing the number of partitions by {} but {} assignments "
                               "provided.",
                               added, topic.assignments->size()));
  AssignmentOutcome out;
  std::vector<int32_t> odd, odd_factors;
  for (size_t i = 0; i < topic.assignments->size(); ++i) {
    const auto& replicas = (*topic.assignments)[i].broker_ids;
    int32_t partition = count + static_cast<int32_t>(i);
    if (replicas.empty())
      return refused(
          ErrorCode::invalid_replica_assignment,
          fmt::format("Cannot have replication factor of 0 for partition id {}.", partition));
    if (repeats(replicas))
      return refused(ErrorCode::invalid_replica_assignment,
                     fmt::format("Duplicate brokers not allowed in replica assignment: {} for "
                                 "partition id {}.",
                                 joined(replicas), partition));
    if (replicas.size() != factor) {
      odd.push_back(partition);
      odd_factors.push_back(static_cast<int32_t>(replicas.size()));
    }
    out.assignment[partition] = replicas;
  }
  if (!odd.empty())
    return refused(
        ErrorCode::invalid_replica_assignment,
        fmt::format("Inconsistent replication factor between partitions, partition 0 has "
                    "{} while partitions [{}] have replication factors [{}], "
                    "respectively.",
                    factor, joined(odd), joined(odd_factors)));
  return out;
}

}  // namespace ottla::broker
