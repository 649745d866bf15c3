// kafka-consumer-groups.sh --describe: offsets and lag, members, states.
#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tools/consumer_groups.h"
#include "tools/java_order.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

// What is to be said of a group's state first; false if there is nothing more to say.
bool introduce(const std::string& group_id, const std::string& state, size_t rows) {
  std::fflush(stdout);
  if (state == "Dead")
    print_error(fmt::format("Consumer group '{}' does not exist.", group_id));
  else if (state == "Empty")
    fmt::print(stderr, "\nConsumer group '{}' has no active members.\n", group_id);
  else if (state == "PreparingRebalance" || state == "CompletingRebalance")
    fmt::print(stderr, "\nWarning: Consumer group '{}' is rebalancing.\n", group_id);
  return state != "Dead" && rows > 0;
}

struct Row {
  TopicPartition partition;
  bool has_partition = true;
  std::string consumer = "-", host = "-", client = "-";
};

Outcome<void> describe_offsets(AdminClient& client, const std::string& group_id) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  auto committed = committed_offsets(client, group_id);
  if (!committed) return std::unexpected(committed.error());

  auto by_hash = [](const Row& row) {
    return topic_partition_hash(row.partition.first, row.partition.second);
  };
  auto add = [&](std::vector<Row> part, std::vector<Row>& rows) {
    std::sort(part.begin(), part.end(),
              [](const Row& a, const Row& b) { return a.partition.second < b.partition.second; });
    java_map_order(part, 0, by_hash);
    rows.insert(rows.end(), part.begin(), part.end());
  };
  std::vector<Row> rows;
  std::set<TopicPartition> assigned;
  // Members with more partitions first, else as the broker listed them.
  std::multimap<size_t, const kmsg::DescribeGroupsResponse::DescribedGroupMember*,
                std::greater<size_t>>
      by_size;
  for (const auto& member : group->members) by_size.emplace(assignment_of(member).size(), &member);
  for (const auto& [size, listed] : by_size) {
    const auto& member = *listed;
    std::vector<Row> part;
    for (const TopicPartition& partition : assignment_of(member)) {
      part.push_back({partition, true, member.member_id, member.client_host, member.client_id});
      assigned.insert(partition);
    }
    add(std::move(part), rows);
  }
  std::vector<Row> unassigned;
  for (const auto& [partition, offset] : *committed)
    if (!assigned.contains(partition)) unassigned.push_back({partition});
  add(std::move(unassigned), rows);

  std::vector<TopicPartition> partitions;
  for (const Row& row : rows) partitions.push_back(row.partition);
  auto ends = log_offsets(client, partitions, kLatest);
  if (!ends) return std::unexpected(ends.error());
  if (!introduce(group_id, group->group_state, rows.size())) return {};

  size_t group_width = std::max<size_t>(15, group_id.size());
  size_t topic_width = 15, consumer_width = 15, host_width = 15;
  for (const Row& row : rows) {
    topic_width = std::max(topic_width, row.partition.first.size());
    consumer_width = std::max(consumer_width, row.consumer.size());
    host_width = std::max(host_width, row.host.size());
  }
  auto line = [&](std::string_view topic, std::string_view partition, std::string_view current,
                  std::string_view end, std::string_view lag, std::string_view consumer,
                  std::string_view host, std::string_view client_id, std::string_view id) {
    fmt::print("\n{} {} {} {} {} {} {} {} {}", pad(id, group_width), pad(topic, topic_width),
               pad(partition, 10), pad(current, 15), pad(end, 15), pad(lag, 15),
               pad(consumer, consumer_width), pad(host, host_width), client_id);
  };
  line("TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST",
       "CLIENT-ID", "GROUP");
  for (const Row& row : rows) {
    auto current = committed->find(row.partition);
    auto end = ends->find(row.partition);
    bool has_both = current != committed->end() && end != ends->end();
    line(row.partition.first, std::to_string(row.partition.second),
         current == committed->end() ? "-" : std::to_string(current->second),
         end == ends->end() ? "-" : std::to_string(end->second),
         has_both ? std::to_string(end->second - current->second) : "-", row.consumer, row.host,
         row.client, group_id);
  }
  return {};
}

Outcome<void> describe_members(AdminClient& client, const std::string& group_id, bool verbose) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  size_t group_width = 15, consumer_width = 15, instance_width = 17, host_width = 15,
         client_width = 15;
  bool has_instances = false;
  if (introduce(group_id, group->group_state, group->members.size())) {
    group_width = std::max(group_width, group_id.size());
    for (const auto& member : group->members) {
      consumer_width = std::max(consumer_width, member.member_id.size());
      instance_width = std::max(instance_width, member.group_instance_id.value_or("").size());
      host_width = std::max(host_width, member.client_host.size());
      client_width = std::max(client_width, member.client_id.size());
      has_instances = has_instances || member.group_instance_id.has_value();
    }
  }
  auto line = [&](std::string_view id, std::string_view consumer, std::string_view instance,
                  std::string_view host, std::string_view client_id, std::string_view partitions) {
    fmt::print("{} {} {}{} {} {} ", pad(id, group_width), pad(consumer, consumer_width),
               has_instances ? pad(instance, instance_width) + " " : "", pad(host, host_width),
               pad(client_id, client_width), pad(partitions, 15));
  };
  fmt::print("\n");
  line("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS");
  fmt::print("{}\n", verbose ? "ASSIGNMENT" : "");
  for (const auto& member : group->members) {
    auto partitions = assignment_of(member);
    line(group_id, member.member_id, member.group_instance_id.value_or(""), member.client_host,
         member.client_id, std::to_string(partitions.size()));
    if (verbose) {
      std::map<std::string, std::vector<std::string>> by_topic;
      for (const auto& [topic, partition] : partitions)
        by_topic[topic].push_back(std::to_string(partition));
      std::vector<std::string> texts;
      for (auto& [topic, numbers] : by_topic) {
        std::sort(numbers.begin(), numbers.end());
        std::string text;
        for (const std::string& number : numbers) text += (text.empty() ? "" : ",") + number;
        texts.push_back("(" + text + ")");
      }
      std::sort(texts.begin(), texts.end());
      std::string all;
      for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
      fmt::print("{}", all.empty() ? "-" : all);
    }
    fmt::print("\n");
  }
  return {};
}

Outcome<void> describe_state(AdminClient& client, const std::string& group_id) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  auto node = client.coordinator_node("describeConsumerGroups", group_id);
  if (!node) return std::unexpected(node.error());
  if (!introduce(group_id, group->group_state, 1)) return {};
  std::string coordinator =
      fmt::format("{}:{}  ({})", node->address.host, node->address.port, node->id);
  size_t width = std::max<size_t>(25, coordinator.size());
  auto line = [&](std::string_view id, std::string_view at, std::string_view strategy,
                  std::string_view state, std::string_view members) {
    fmt::print("\n{} {} {} {} {}", pad(id, width), pad(at, 25), pad(strategy, 20), pad(state, 15),
               members);
  };
  line("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS");
  line(group_id, coordinator, group->protocol_data, group->group_state,
       std::to_string(group->members.size()));
  fmt::print("\n");
  return {};
}

}  // namespace

Outcome<void> describe(AdminClient& client, const Options& options,
                       std::vector<std::string> group_ids) {
  std::sort(group_ids.begin(), group_ids.end());
  for (const std::string& group_id : group_ids) {
    Outcome<void> done = options.has("members")
                             ? describe_members(client, group_id, options.has("verbose"))
                         : options.has("state") ? describe_state(client, group_id)
                                                : describe_offsets(client, group_id);
    if (!done) return done;
  }
  if (!options.has("members") && !options.has("state")) fmt::print("\n");
  return {};
}

}  // namespace ottla::tools::consumer_groups
