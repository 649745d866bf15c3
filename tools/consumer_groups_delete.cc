// kafka-consumer-groups.sh --delete and --delete-offsets.
#include <fmt/core.h>

#include "proto/kafka/delete_groups.h"
#include "proto/kafka/offset_delete.h"
#include "tools/consumer_groups.h"
#include "tools/java_order.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

using kmsg::ErrorCode;

}  // namespace

Outcome<void> delete_groups(AdminClient& client, const std::vector<std::string>& group_ids) {
  std::vector<std::string> done;
  std::map<std::string, Failure> failed;
  for (const std::string& group_id : group_ids) {
    kmsg::DeleteGroupsRequest request;
    request.groups_names = {group_id};
    auto response = ask<kmsg::DeleteGroupsResponse>(
        client, "deleteConsumerGroups", group_id, request, request.kMaxVersion,
        [](const auto& answer) {
          return answer.results.empty() ? ErrorCode::none : answer.results[0].error_code;
        });
    if (!response)
      failed[group_id] = response.error();
    else if (!response->results.empty() && response->results[0].error_code != ErrorCode::none)
      failed[group_id] = failure_of(response->results[0].error_code);
    else
      done.push_back(group_id);
  }
  java_map_order(done);
  std::string names;
  for (const std::string& group_id : done) names += (names.empty() ? "" : ", ") + group_id;
  if (failed.empty()) {
    fmt::print("Deletion of requested consumer groups ('{}') was successful.\n", names);
    return {};
  }
  print_error("Deletion of some consumer groups failed:");
  for (const auto& [group_id, failure] : failed)
    fmt::print(
        "* Group '{}' could not be deleted due to: java.util.concurrent.ExecutionException: "
        "{}: {}\n",
        group_id, failure.exception, failure.message);
  if (!done.empty())
    fmt::print("\nThese consumer groups were deleted successfully: '{}', '\n", names);
  return {};
}

Outcome<void> delete_offsets(AdminClient& client, const Options& options) {
  std::string group_id = options.value("group");
  std::map<TopicPartition, std::string> status;
  kmsg::OffsetDeleteRequest request;
  request.group_id = group_id;
  std::string topics;
  for (const std::string& arg : options.values("topic")) {
    topics += (topics.empty() ? "" : ", ") + arg;
    auto partitions = parse_topic(client, arg);
    if (!partitions) {
      status[{arg, -1}] = "Error: :" + partitions.error().message;
      continue;
    }
    auto& topic = request.topics.emplace_back();
    topic.name = partitions->empty() ? arg : partitions->front().first;
    for (const auto& [name, partition] : *partitions) {
      topic.partitions.emplace_back().partition_index = partition;
      status[{name, partition}] = "Successful";
    }
  }
  auto response =
      ask<kmsg::OffsetDeleteResponse>(client, "deleteConsumerGroupOffsets", group_id, request, 0,
                                      [](const auto& answer) { return answer.error_code; });
  if (!response) return std::unexpected(response.error());
  ErrorCode error = response->error_code;
  bool any_failed = false;
  for (const auto& topic : response->topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code == ErrorCode::none) continue;
      any_failed = true;
      status[{topic.name, partition.partition_index}] =
          "Error: :" + exception_of(partition.error_code) + ": " +
          std::string(kmsg::error_message(partition.error_code));
    }
  }
  if (error == ErrorCode::none && !any_failed)
    fmt::print("Request succeed for deleting offsets with topic {} group {}\n", topics, group_id);
  else if (error == ErrorCode::none)
    print_error("Encounter some partition level error, see the follow-up details:");
  else if (error == ErrorCode::invalid_group_id)
    print_error(fmt::format("'{}' is not valid.", group_id));
  else if (error == ErrorCode::group_id_not_found)
    print_error(fmt::format("'{}' does not exist.", group_id));
  else if (error == ErrorCode::non_empty_group)
    print_error(
        fmt::format("Deleting offsets of a consumer group '{}' is forbidden if the group is "
                    "not empty.",
                    group_id));
  else
    print_error(fmt::format("Encounter some unknown error: {}", kmsg::error_name(error)));
  fmt::print("\n{} {} {}\n", pad("TOPIC", 30), pad("PARTITION", 15), pad("STATUS", 15));
  for (const auto& [partition, text] : status) {
    std::string shown = error == ErrorCode::none ? text
                                                 : "Error: :" + exception_of(error) + ": " +
                                                       std::string(kmsg::error_message(error));
    fmt::print("{} {} {}\n", pad(partition.first, 30),
               pad(partition.second < 0 ? "Not Provided" : std::to_string(partition.second), 15),
               pad(shown, 15));
  }
  return {};
}

}  // namespace ottla::tools::consumer_groups
