// kafka-topics.sh --describe: topics with their settings, partitions with their replicas.
#include <fmt/core.h>

#include <algorithm>

#include "proto/kafka/describe_configs.h"
#include "proto/kafka/list_partition_reassignments.h"
#include "tools/java_order.h"
#include "tools/report.h"
#include "tools/topics.h"

namespace ottla::tools::topics {
namespace {

using kmsg::ErrorCode;
using Topic = kmsg::MetadataResponse::MetadataResponseTopic;
using Partition = kmsg::MetadataResponse::MetadataResponsePartition;

constexpr int8_t kTopicResource = 2;
constexpr int8_t kDefaultSource = 5;

struct Reassignment {
  size_t replicas = 0;
  std::vector<int32_t> adding;
  std::vector<int32_t> removing;
};

struct Description {
  std::map<std::string, std::map<std::string, std::pair<std::string, bool>>> configs;
  std::map<std::pair<std::string, int32_t>, Reassignment> reassignments;
  std::map<int32_t, AdminClient::Node> nodes;
};

std::string join(const std::vector<int32_t>& ids) {
  std::string text;
  for (int32_t id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id);
  return text;
}

Outcome<void> fetch_configs(AdminClient& client, const std::vector<std::string>& names,
                            Description& description) {
  kmsg::DescribeConfigsRequest request;
  for (const std::string& name : names) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = kTopicResource;
    resource.resource_name = name;
    resource.configuration_keys.reset();
  }
  auto response = client.any<kmsg::DescribeConfigsResponse>("describeConfigs", request);
  if (!response) return std::unexpected(response.error());
  for (const auto& result : response->results) {
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
    auto& configs = description.configs[result.resource_name];
    for (const auto& config : result.configs) {
      // Version 0 had a flag for what the source says since.
      bool is_default = config.is_default || config.config_source == kDefaultSource;
      configs[config.name] = {config.value.value_or("null"), is_default};
    }
  }
  return {};
}

// A broker that has no reassignments to tell of, or may not, is no obstacle to the rest.
void fetch_reassignments(AdminClient& client, Description& description) {
  kmsg::ListPartitionReassignmentsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  request.topics.reset();
  auto response = client.controller<kmsg::ListPartitionReassignmentsResponse>(
      "listPartitionReassignments", request);
  if (!response) return;
  for (const auto& topic : response->topics)
    for (const auto& partition : topic.partitions)
      description.reassignments[{topic.name, partition.partition_index}] = {
          partition.replicas.size(), partition.adding_replicas, partition.removing_replicas};
}

size_t replication_factor(const Partition& partition, const Reassignment* moving) {
  if (moving == nullptr) return partition.replica_nodes.size();
  auto among = [&](const std::vector<int32_t>& ids) {
    return std::any_of(ids.begin(), ids.end(), [&](int32_t id) {
      return std::find(partition.replica_nodes.begin(), partition.replica_nodes.end(), id) !=
             partition.replica_nodes.end();
    });
  };
  return among(moving->adding) || among(moving->removing) ? moving->replicas - moving->adding.size()
                                                          : partition.replica_nodes.size();
}

void print_partition(const std::string& name, const Partition& partition,
                     const Reassignment* moving, const Description& description) {
  std::string line =
      fmt::format("\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}", name,
                  partition.partition_index,
                  partition.leader_id < 0 ? "none" : std::to_string(partition.leader_id),
                  join(partition.replica_nodes), join(partition.isr_nodes));
  if (moving != nullptr) {
    auto nodes = [&](const std::vector<int32_t>& ids) {
      std::string text;
      for (int32_t id : ids) {
        auto node = description.nodes.find(id);
        HostPort at = node == description.nodes.end() ? HostPort{} : node->second.address;
        text += fmt::format("{}{}:{} (id: {} rack: null)", text.empty() ? "" : ",", at.host,
                            at.port, id);
      }
      return text;
    };
    line += fmt::format("\tAdding Replicas: {}\tRemoving Replicas: {}", nodes(moving->adding),
                        nodes(moving->removing));
  }
  fmt::print("{}\tElr: N/A\tLastKnownElr: N/A\n", line);
}

void print_topic(const Options& options, const Topic& topic, const Description& description) {
  const std::string& name = *topic.name;
  static const std::map<std::string, std::pair<std::string, bool>> kNone;
  auto found = description.configs.find(name);
  const auto& configs = found == description.configs.end() ? kNone : found->second;
  auto moving = [&](const Partition& partition) -> const Reassignment* {
    auto at = description.reassignments.find({name, partition.partition_index});
    return at == description.reassignments.end() ? nullptr : &at->second;
  };
  std::vector<Partition> partitions = topic.partitions;
  std::sort(partitions.begin(), partitions.end(), [](const Partition& a, const Partition& b) {
    return a.partition_index < b.partition_index;
  });

  bool only_bad = false;
  for (std::string_view report : {"under-replicated-partitions", "unavailable-partitions",
                                  "under-min-isr-partitions", "at-min-isr-partitions"})
    only_bad = only_bad || options.has(report);
  if (!only_bad && !partitions.empty()) {
    std::vector<std::string> own;
    for (const auto& [key, value] : configs) own.push_back(key);
    java_map_order(own);
    std::erase_if(own, [&](const std::string& key) { return configs.at(key).second; });
    std::string text;
    for (const std::string& key : own)
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, configs.at(key).first);
    if (!options.has("topics-with-overrides") || !own.empty())
      fmt::print("Topic: {}{}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}\n", name,
                 topic.topic_id.is_zero() ? "" : "\tTopicId: " + topic.topic_id.to_string(),
                 partitions.size(), replication_factor(partitions[0], moving(partitions[0])), text);
  }
  if (options.has("topics-with-overrides")) return;
  auto min_isr_config = configs.find("min.insync.replicas");
  size_t min_isr = min_isr_config == configs.end()
                       ? 1
                       : std::strtoul(min_isr_config->second.first.c_str(), nullptr, 10);
  for (const Partition& partition : partitions) {
    bool has_leader = partition.leader_id >= 0;
    size_t isr = partition.isr_nodes.size();
    bool shown = !only_bad ||
                 (options.has("under-replicated-partitions") &&
                  replication_factor(partition, moving(partition)) > isr) ||
                 (options.has("unavailable-partitions") &&
                  (!has_leader || !description.nodes.contains(partition.leader_id))) ||
                 (options.has("under-min-isr-partitions") && (!has_leader || isr < min_isr)) ||
                 (options.has("at-min-isr-partitions") && isr == min_isr);
    if (shown) print_partition(name, partition, moving(partition), description);
  }
}

}  // namespace

Outcome<void> describe(AdminClient& client, const Options& options) {
  auto topics = find_topics(client, options);
  if (!topics) return std::unexpected(topics.error());
  std::vector<std::string> names = topics->names;
  std::optional<kmsg::Uuid> wanted;
  if (auto text = options.given("topic-id")) {
    wanted = kmsg::Uuid::from_string(*text);
    if (!wanted)
      return std::unexpected(
          illegal(fmt::format("Input string with prefix `{}` is no topic id", *text)));
    if (wanted->is_zero()) wanted.reset();
  }
  if (wanted) {
    names.clear();
    for (const auto& topic : topics->metadata.topics)
      if (topic.topic_id == *wanted) names.push_back(*topic.name);
    if (names.empty() && !options.has("if-exists"))
      return std::unexpected(
          illegal(fmt::format("TopicId '{}' does not exist as expected", wanted->to_string())));
  } else if (auto found = ensure_found(*topics, options); !found) {
    return found;
  }
  Description description;
  if (!names.empty())
    if (auto got = fetch_configs(client, names, description); !got) return got;
  auto nodes = client.nodes("listNodes");
  if (!nodes) return std::unexpected(nodes.error());
  description.nodes = std::move(*nodes);
  if (!names.empty()) fetch_reassignments(client, description);
  // Apache's client passes the answers through three maps of these sizes.
  for (size_t expected : {names.size(), names.size() * 4 / 3 + 1, names.size()})
    java_map_order(names, expected);
  for (const std::string& name : names)
    print_topic(options, *find(topics->metadata, name), description);
  return {};
}

}  // namespace ottla::tools::topics
