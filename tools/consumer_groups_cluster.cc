// kafka-consumer-groups.sh: what is asked of the cluster.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "proto/kafka/consumer_protocol.h"
#include "proto/kafka/list_groups.h"
#include "proto/kafka/list_offsets.h"
#include "proto/kafka/offset_fetch.h"
#include "tools/consumer_groups.h"
#include "tools/java_order.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

using kmsg::ErrorCode;

}  // namespace

Outcome<std::vector<Listed>> list_groups(AdminClient& client, std::vector<std::string> states,
                                         std::vector<std::string> types) {
  auto nodes = client.nodes("listNodes");
  if (!nodes) return std::unexpected(nodes.error());
  kmsg::ListGroupsRequest request;
  request.states_filter = std::move(states);
  request.types_filter = std::move(types);
  std::map<std::string, Listed> found;
  for (const auto& [id, node] : *nodes) {
    auto response = client.broker<kmsg::ListGroupsResponse>("listConsumerGroups", id, request);
    if (!response) return std::unexpected(response.error());
    if (response->error_code != ErrorCode::none &&
        response->error_code != ErrorCode::coordinator_load_in_progress)
      return std::unexpected(failure_of(response->error_code));
    for (const auto& group : response->groups) {
      if (!group.protocol_type.empty() && group.protocol_type != "consumer") continue;
      found[group.group_id] = {group.group_id, group.group_state, group.group_type};
    }
  }
  std::vector<Listed> groups;
  for (auto& [id, group] : found) groups.push_back(std::move(group));
  java_map_order(groups, 0, [](const Listed& group) { return kmsg::java_string_hash(group.id); });
  return groups;
}

Outcome<Described> describe_group(AdminClient& client, const std::string& group_id) {
  kmsg::DescribeGroupsRequest request;
  request.groups = {group_id};
  auto response = ask<kmsg::DescribeGroupsResponse>(
      client, "describeConsumerGroups", group_id, request, request.kMaxVersion,
      [](const auto& answer) {
        return answer.groups.empty() ? ErrorCode::none : answer.groups[0].error_code;
      });
  if (!response) return std::unexpected(response.error());
  if (response->groups.empty()) return std::unexpected(failure_of(ErrorCode::unknown_server_error));
  Described& group = response->groups[0];
  if (group.error_code != ErrorCode::none) return std::unexpected(failure_of(group.error_code));
  return std::move(group);
}

Outcome<Offsets> committed_offsets(AdminClient& client, const std::string& group_id) {
  kmsg::OffsetFetchRequest request;
  request.group_id = group_id;
  request.topics.reset();
  auto response =
      ask<kmsg::OffsetFetchResponse>(client, "listConsumerGroupOffsets", group_id, request, 7,
                                     [](const auto& answer) { return answer.error_code; });
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code));
  Offsets offsets;
  for (const auto& topic : response->topics)
    for (const auto& partition : topic.partitions)
      if (partition.error_code == ErrorCode::none && partition.committed_offset >= 0)
        offsets[{topic.name, partition.partition_index}] = partition.committed_offset;
  return offsets;
}

// Offsets for a time (or kLatest, kEarliest); partitions that cannot be asked are left out.
Outcome<Offsets> log_offsets(AdminClient& client, const std::vector<TopicPartition>& partitions,
                             int64_t timestamp) {
  Offsets offsets;
  if (partitions.empty()) return offsets;
  int64_t deadline = client.deadline_ms();
  std::set<TopicPartition> missing(partitions.begin(), partitions.end());
  for (;;) {
    std::set<std::string> names;
    for (const auto& [topic, partition] : missing) names.insert(topic);
    auto metadata = client.metadata("listOffsets", std::vector(names.begin(), names.end()));
    if (!metadata) return std::unexpected(metadata.error());
    std::map<int32_t, std::vector<TopicPartition>> by_leader;
    for (const auto& topic : metadata->topics)
      for (const auto& partition : topic.partitions)
        if (partition.leader_id >= 0 && missing.contains({*topic.name, partition.partition_index}))
          by_leader[partition.leader_id].emplace_back(*topic.name, partition.partition_index);
    bool may_come = !by_leader.empty();
    for (const auto& [leader, wanted] : by_leader) {
      kmsg::ListOffsetsRequest request;
      request.replica_id = -1;
      for (const auto& [topic, partition] : wanted) {
        if (request.topics.empty() || request.topics.back().name != topic)
          request.topics.emplace_back().name = topic;
        auto& asked = request.topics.back().partitions.emplace_back();
        asked.partition_index = partition;
        asked.timestamp = timestamp;
      }
      auto response = client.broker<kmsg::ListOffsetsResponse>("listOffsets", leader, request, 7);
      if (!response) return std::unexpected(response.error());
      for (const auto& topic : response->topics) {
        for (const auto& partition : topic.partitions) {
          if (partition.error_code != ErrorCode::none) continue;
          offsets[{topic.name, partition.partition_index}] = partition.offset;
          missing.erase({topic.name, partition.partition_index});
        }
      }
    }
    if (missing.empty() || !may_come || !client.back_off(deadline)) return offsets;
  }
}

std::vector<TopicPartition> assignment_of(
    const kmsg::DescribeGroupsResponse::DescribedGroupMember& member) {
  std::vector<TopicPartition> partitions;
  wire::Reader reader(as_bytes(member.member_assignment));
  int16_t version = reader.i16();
  kmsg::ConsumerProtocolAssignment assignment;
  version = std::min<int16_t>(version, kmsg::ConsumerProtocolAssignment::kMaxVersion);
  if (!reader.ok() || version < 0 || !assignment.decode(reader, version)) return partitions;
  for (const auto& topic : assignment.assigned_partitions)
    for (int32_t partition : topic.partitions) partitions.emplace_back(topic.topic, partition);
  return partitions;
}

Outcome<std::vector<TopicPartition>> parse_topic(AdminClient& client, const std::string& arg) {
  std::vector<TopicPartition> partitions;
  size_t colon = arg.find(':');
  if (colon != std::string::npos) {
    for (const std::string& number : split(arg.substr(colon + 1), ',')) {
      char* end = nullptr;
      long partition = std::strtol(number.c_str(), &end, 10);
      if (number.empty() || *end != '\0')
        return std::unexpected(illegal(
            fmt::format("Invalid partition '{}' specified in topic arg '{}''", number, arg)));
      partitions.emplace_back(arg.substr(0, colon), static_cast<int32_t>(partition));
    }
    return partitions;
  }
  auto metadata = client.metadata("describeTopics", std::vector<std::string>{arg});
  if (!metadata) return std::unexpected(metadata.error());
  for (const auto& topic : metadata->topics) {
    if (topic.error_code != ErrorCode::none) return std::unexpected(failure_of(topic.error_code));
    for (const auto& partition : topic.partitions)
      partitions.emplace_back(arg, partition.partition_index);
  }
  std::sort(partitions.begin(), partitions.end());
  return partitions;
}

}  // namespace ottla::tools::consumer_groups
