// kafka-consumer-groups.sh --reset-offsets: a plan for each group, shown, exported or committed.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <fstream>

#include "proto/kafka/offset_commit.h"
#include "tools/consumer_groups.h"
#include "tools/java_order.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

using kmsg::ErrorCode;

constexpr std::string_view kLogger = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

Failure no_offset(const TopicPartition& partition) {
  return illegal(fmt::format("Error getting offset of topic partition: {}-{}", partition.first,
                             partition.second));
}

// Brings offsets into what the logs have.
Outcome<Offsets> within_logs(AdminClient& client, Offsets wanted) {
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, offset] : wanted) partitions.push_back(partition);
  auto starts = log_offsets(client, partitions, kEarliest);
  if (!starts) return starts;
  auto ends = log_offsets(client, partitions, kLatest);
  if (!ends) return ends;
  for (auto& [partition, offset] : wanted) {
    auto start = starts->find(partition);
    auto end = ends->find(partition);
    if (start == starts->end() || end == ends->end()) return std::unexpected(no_offset(partition));
    bool above = offset > end->second;
    bool below = offset < start->second;
    if (!above && !below) continue;
    int64_t bound = above ? end->second : start->second;
    log_line(
        "WARN",
        fmt::format("New offset ({}) is {} offset for topic partition {}-{}. Value will be set "
                    "to {}",
                    offset, above ? "higher than latest" : "lower than earliest", partition.first,
                    partition.second, bound),
        kLogger);
    offset = bound;
  }
  return wanted;
}

Outcome<Offsets> offsets_of_file(const Options& options, const std::string& group_id) {
  std::ifstream file(options.value("from-file"));
  if (!file)
    return std::unexpected(
        Failure{"java.nio.file.NoSuchFileException", options.value("from-file")});
  std::string text(std::istreambuf_iterator<char>(file), {});
  auto offsets = parse_plan(text, group_id, options.values("group").size() == 1);
  if (offsets && offsets->empty())
    print_error(fmt::format("No reset plan for group {} found", group_id));
  return offsets;
}

Outcome<Offsets> offsets_at(AdminClient& client, const std::vector<TopicPartition>& partitions,
                            int64_t timestamp) {
  auto found = log_offsets(client, partitions, timestamp);
  if (!found) return found;
  std::vector<TopicPartition> later;
  for (const TopicPartition& partition : partitions) {
    auto at = found->find(partition);
    if (at == found->end()) return std::unexpected(no_offset(partition));
    if (at->second < 0) later.push_back(partition);
  }
  for (const auto& [topic, partition] : later)
    fmt::print(
        "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.\n",
        partition, topic);
  auto ends = log_offsets(client, later, kLatest);
  if (!ends) return ends;
  for (const auto& [partition, offset] : *ends) (*found)[partition] = offset;
  return found;
}

Outcome<Offsets> plan_reset(AdminClient& client, const Options& options,
                            const std::string& group_id) {
  auto committed = committed_offsets(client, group_id);
  if (!committed) return committed;
  if (options.has("from-file")) {
    auto wanted = offsets_of_file(options, group_id);
    return wanted ? within_logs(client, std::move(*wanted)) : wanted;
  }
  std::vector<TopicPartition> partitions;
  if (options.has("all-topics")) {
    for (const auto& [partition, offset] : *committed) partitions.push_back(partition);
  } else if (options.has("topic")) {
    for (const std::string& arg : options.values("topic")) {
      auto parsed = parse_topic(client, arg);
      if (!parsed) return std::unexpected(parsed.error());
      partitions.insert(partitions.end(), parsed->begin(), parsed->end());
    }
  } else {
    return std::unexpected(
        illegal("One of the reset scopes should be defined: --all-topics, --topic."));
  }
  if (options.has("to-earliest")) return offsets_at(client, partitions, kEarliest);
  if (options.has("to-latest")) return offsets_at(client, partitions, kLatest);
  if (options.has("to-datetime")) {
    auto at = parse_datetime(options.value("to-datetime"));
    if (!at)
      return std::unexpected(
          Failure{"java.text.ParseException",
                  fmt::format("Error parsing timestamp {}", options.value("to-datetime"))});
    return offsets_at(client, partitions, *at);
  }
  if (options.has("by-duration")) {
    auto duration_ms = parse_duration(options.value("by-duration"));
    if (!duration_ms)
      return std::unexpected(Failure{"java.time.format.DateTimeParseException",
                                     "Text cannot be parsed to a Duration"});
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return offsets_at(client, partitions, static_cast<int64_t>(now.tv_sec) * 1000 - *duration_ms);
  }
  Offsets wanted;
  if (options.has("to-current")) {
    std::vector<TopicPartition> never;
    for (const TopicPartition& partition : partitions) {
      auto at = committed->find(partition);
      if (at == committed->end())
        never.push_back(partition);
      else
        wanted[partition] = at->second;
    }
    auto ends = log_offsets(client, never, kLatest);
    if (!ends) return ends;
    wanted.insert(ends->begin(), ends->end());
    return wanted;
  }
  for (const TopicPartition& partition : partitions) {
    if (options.has("to-offset")) {
      wanted[partition] = options.number("to-offset");
      continue;
    }
    auto at = committed->find(partition);
    if (at == committed->end())
      return std::unexpected(illegal(
          fmt::format("Cannot shift offset for partition {}-{} since there is no current committed "
                      "offset",
                      partition.first, partition.second)));
    wanted[partition] = at->second + options.number("shift-by");
  }
  return within_logs(client, std::move(wanted));
}

Outcome<void> commit(AdminClient& client, const std::string& group_id, const Offsets& offsets) {
  kmsg::OffsetCommitRequest request;
  request.group_id = group_id;
  for (const auto& [partition, offset] : offsets) {
    if (request.topics.empty() || request.topics.back().name != partition.first)
      request.topics.emplace_back().name = partition.first;
    auto& committed = request.topics.back().partitions.emplace_back();
    committed.partition_index = partition.second;
    committed.committed_offset = offset;
    committed.committed_metadata = "";
  }
  auto first_error = [](const kmsg::OffsetCommitResponse& response) {
    for (const auto& topic : response.topics)
      for (const auto& partition : topic.partitions)
        if (partition.error_code != ErrorCode::none) return partition.error_code;
    return ErrorCode::none;
  };
  auto response = ask<kmsg::OffsetCommitResponse>(client, "alterConsumerGroupOffsets", group_id,
                                                  request, request.kMaxVersion, first_error);
  if (!response) return std::unexpected(response.error());
  if (ErrorCode error = first_error(*response); error != ErrorCode::none)
    return std::unexpected(failure_of(error));
  return {};
}

std::vector<std::pair<TopicPartition, int64_t>> in_java_order(const Offsets& offsets) {
  std::vector<std::pair<TopicPartition, int64_t>> ordered(offsets.begin(), offsets.end());
  java_map_order(ordered, 0, [](const auto& entry) {
    return topic_partition_hash(entry.first.first, entry.first.second);
  });
  return ordered;
}

}  // namespace

Outcome<void> reset(AdminClient& client, const Options& options,
                    const std::vector<std::string>& group_ids) {
  std::map<std::string, Offsets> plans;
  for (const std::string& group_id : group_ids) {
    auto group = describe_group(client, group_id);
    if (!group) return std::unexpected(group.error());
    if (group->group_state != "Empty" && group->group_state != "Dead") {
      print_error(fmt::format(
          "Assignments can only be reset if the group '{}' is inactive, but the current "
          "state is {}.",
          group_id, group->group_state));
      plans[group_id] = {};
      continue;
    }
    auto plan = plan_reset(client, options, group_id);
    if (!plan) return std::unexpected(plan.error());
    if (options.has("execute"))
      if (auto done = commit(client, group_id, *plan); !done) return done;
    plans[group_id] = std::move(*plan);
  }
  if (options.has("export")) {
    for (const auto& [group_id, offsets] : plans)
      for (const auto& [partition, offset] : in_java_order(offsets))
        fmt::print("{}{},{},{}\n", group_ids.size() == 1 ? "" : group_id + ",", partition.first,
                   partition.second, offset);
    fmt::print("\n");
    return {};
  }
  // Apache 3.9 puts all of this on one line; earlier releases, and this, a line for each.
  auto line = [](std::string_view group, std::string_view topic, std::string_view partition,
                 std::string_view offset) {
    fmt::print("{} {} {} {}\n", pad(group, 30), pad(topic, 30), pad(partition, 10),
               pad(offset, 15));
  };
  fmt::print("\n");
  line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
  for (const auto& [group_id, offsets] : plans)
    for (const auto& [partition, offset] : in_java_order(offsets))
      line(group_id, partition.first, std::to_string(partition.second), std::to_string(offset));
  return {};
}

}  // namespace ottla::tools::consumer_groups
