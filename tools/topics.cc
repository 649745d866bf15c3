// kafka-topics: create, list, describe, alter and delete topics.
#include <fmt/core.h>

#include <regex>
#include <set>
#include <sstream>

#include "proto/kafka/create_partitions.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/list_partition_reassignments.h"
#include "tools/java_order.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using kmsg::ErrorCode;
using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;

constexpr std::string_view kLogger = "org.apache.kafka.tools.TopicCommand";
constexpr std::string_view kUseConfigs =
    " (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)";
constexpr int8_t kTopicResource = 2;
constexpr int8_t kDefaultSource = 5;
constexpr int32_t kRequestTimeoutMs = 30'000;

const OptionParser& parser() {
  static const OptionParser instance({
      {"alter", "Change how many partitions the topics have, and where new ones go."},
      {"at-min-isr-partitions",
       "With --describe: only partitions whose ISR is exactly as large as required."},
      {"bootstrap-server", "REQUIRED: where to reach the cluster, as host:port,host:port.",
       Argument::required, "server to connect to"},
      {"command-config", "A properties file with settings of the client.", Argument::required,
       "command config property file"},
      {"config", "With --create: a setting of the new topic. May be repeated.", Argument::required,
       "name=value"},
      {"create", "Create a topic."},
      {"delete", "Delete topics."},
      {"delete-config", "No longer supported; use kafka-configs.", Argument::required, "name"},
      {"describe", "Show topics and their partitions."},
      {"exclude-internal", "With --list or --describe: leave internal topics out."},
      {"if-exists", "With --alter, --delete or --describe: no topic is no error."},
      {"if-not-exists", "With --create: an existing topic is no error."},
      {"list", "List the names of topics."},
      {"partition-size-limit-per-response", "Accepted for compatibility.", Argument::required,
       "maximum number of partitions in one response.", Type::integer},
      {"partitions",
       "How many partitions the topic is to have. Without it a new topic has the cluster's "
       "default. "
       "Adding partitions changes which partition a key belongs to.",
       Argument::required, "# of partitions", Type::integer},
      {"replica-assignment", "Brokers by hand: replicas joined by ':', partitions by ','.",
       Argument::required, "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , ..."},
      {"replication-factor",
       "How many replicas each partition of a new topic has. Without it: the cluster's default.",
       Argument::required, "replication factor", Type::integer},
      {"topic",
       "The topic; a regular expression everywhere but with --create (escape '.' as \"\\.\").",
       Argument::required, "topic"},
      {"topic-id", "With --describe: a topic by its id.", Argument::required, "topic-id"},
      {"topics-with-overrides", "With --describe: only topics with settings of their own."},
      {"unavailable-partitions", "With --describe: only partitions without a live leader."},
      {"under-min-isr-partitions", "With --describe: only partitions with too small an ISR."},
      {"under-replicated-partitions", "With --describe: only partitions with replicas behind."},
  });
  return instance;
}

// -- Arguments
// -------------------------------------------------------------------------------------

// A message if the options do not go together, to be shown with the usage.
std::optional<std::string> check(const Options& options) {
  if (options.has("describe") && options.has("if-exists") && !options.has("topic") &&
      !options.has("topic-id"))
    return "--topic or --topic-id is required to describe a topic";
  bool needs_topic = !options.has("list") && !options.has("describe");
  if (needs_topic && !options.has("topic"))
    return fmt::format("Missing required argument \"{}\"", bracketed("topic"));
  if (options.has("alter")) {
    if (options.has("config"))
      return fmt::format("Option combination \"[{}, {}]\" can't be used with option \"{}\"{}",
                         bracketed("bootstrap-server"), bracketed("config"), bracketed("alter"),
                         kUseConfigs);
    if (!options.has("partitions"))
      return fmt::format("Missing required argument \"{}\"", bracketed("partitions"));
  }
  using List = std::vector<std::string_view>;
  const std::pair<std::string_view, List> rules[] = {
      {"config", {"describe", "list", "delete"}},
      {"delete-config", {"bootstrap-server", "create", "describe", "list", "delete"}},
      {"partitions", {"describe", "list", "delete"}},
      {"replication-factor", {"alter", "describe", "list", "delete"}},
      {"replica-assignment", {"describe", "list", "delete"}},
      {"under-replicated-partitions",
       {"alter", "create", "list", "delete", "topics-with-overrides"}},
      {"under-min-isr-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
      {"at-min-isr-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
      {"unavailable-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
      {"topics-with-overrides",
       {"alter", "create", "list", "delete", "under-replicated-partitions",
        "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions"}},
      {"if-exists", {"create", "list"}},
      {"if-not-exists", {"alter", "describe", "list", "delete"}},
      {"exclude-internal", {"alter", "create", "delete"}},
  };
  for (const auto& [name, others] : rules)
    if (auto message = conflict(options, name, others)) return message;
  if (options.has("create"))
    return conflict(options, "replica-assignment", {"partitions", "replication-factor"});
  return std::nullopt;
}

Outcome<std::vector<std::vector<int32_t>>> parse_assignment(const std::string& text) {
  std::vector<std::vector<int32_t>> partitions;
  std::istringstream input(text);
  std::string partition;
  while (std::getline(input, partition, ',')) {
    std::vector<int32_t>& replicas = partitions.emplace_back();
    std::istringstream brokers(partition);
    std::string broker;
    std::vector<int32_t> duplicates;
    while (std::getline(brokers, broker, ':')) {
      char* end = nullptr;
      long id = std::strtol(broker.c_str(), &end, 10);
      while (*end == ' ') ++end;
      if (broker.empty() || *end != '\0')
        return std::unexpected(Failure{"java.lang.NumberFormatException",
                                       fmt::format("For input string: \"{}\"", broker)});
      if (std::find(replicas.begin(), replicas.end(), id) != replicas.end())
        duplicates.push_back(static_cast<int32_t>(id));
      replicas.push_back(static_cast<int32_t>(id));
    }
    if (!duplicates.empty())
      return std::unexpected(
          Failure{"org.apache.kafka.server.common.AdminCommandFailedException",
                  fmt::format("Partition replica lists may not contain duplicate entries: {}",
                              duplicates[0])});
    if (replicas.size() != partitions[0].size())
      return std::unexpected(
          Failure{"org.apache.kafka.server.common.AdminOperationException",
                  fmt::format("Partition {} has different replication factor: {}",
                              partitions.size() - 1, partition)});
  }
  return partitions;
}

Outcome<std::map<std::string, std::string>> parse_configs(const Options& options) {
  std::map<std::string, std::string> configs;
  auto trim = [](std::string text) {
    size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return std::string();
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
  };
  for (const std::string& config : options.values("config")) {
    size_t equals = config.find('=');
    bool is_pair = equals != std::string::npos && equals + 1 < config.size() &&
                   config.find('=', equals + 1) == std::string::npos;
    if (!is_pair)
      return std::unexpected(
          illegal("requirement failed: Invalid topic config: all configs to be added must be in "
                  "the format \"key=val\"."));
    configs[trim(config.substr(0, equals))] = trim(config.substr(equals + 1));
  }
  return configs;
}

// -- The topics meant
// --------------------------------------------------------------------------------

bool is_internal(const std::string& topic) {
  return topic == "__consumer_offsets" || topic == "__transaction_state";
}

// The pattern of --topic: commas are alternatives, blanks and quotes mean nothing.
Outcome<std::regex> topic_pattern(std::string text) {
  std::string cleaned;
  for (char c : text)
    if (c != ' ') cleaned += c == ',' ? '|' : c;
  while (!cleaned.empty() && (cleaned.front() == '"' || cleaned.front() == '\''))
    cleaned.erase(0, 1);
  while (!cleaned.empty() && (cleaned.back() == '"' || cleaned.back() == '\'')) cleaned.pop_back();
  try {
    return std::regex(cleaned);
  } catch (const std::regex_error&) {
    return std::unexpected(
        Failure{"java.lang.RuntimeException", fmt::format("{} is an invalid regex.", cleaned)});
  }
}

struct Topics {
  kmsg::MetadataResponse metadata;
  std::vector<std::string> names;  // those meant, sorted
};

Outcome<Topics> find_topics(AdminClient& client, const Options& options) {
  auto metadata = client.metadata("listTopics", std::nullopt);
  if (!metadata) return std::unexpected(metadata.error());
  Topics topics{std::move(*metadata), {}};
  std::optional<std::regex> pattern;
  if (auto text = options.given("topic")) {
    auto compiled = topic_pattern(*text);
    if (!compiled) return std::unexpected(compiled.error());
    pattern = std::move(*compiled);
  }
  for (const auto& topic : topics.metadata.topics) {
    const std::string& name = topic.name.value_or("");
    if (options.has("exclude-internal") && is_internal(name)) continue;
    if (!pattern || std::regex_match(name, *pattern)) topics.names.push_back(name);
  }
  std::sort(topics.names.begin(), topics.names.end());
  return topics;
}

Outcome<void> ensure_found(const Topics& topics, const Options& options) {
  std::string topic = options.value("topic");
  if (!topic.empty() && topics.names.empty() && !options.has("if-exists"))
    return std::unexpected(
        illegal(fmt::format("Topic 'Optional[{}]' does not exist as expected", topic)));
  return {};
}

const kmsg::MetadataResponse::MetadataResponseTopic* find(const kmsg::MetadataResponse& metadata,
                                                          std::string_view name) {
  for (const auto& topic : metadata.topics)
    if (topic.name == name) return &topic;
  return nullptr;
}

// -- Verbs
// -------------------------------------------------------------------------------------------

Outcome<void> create(AdminClient& client, const Options& options) {
  std::vector<std::vector<int32_t>> assignment;
  if (!options.value("replica-assignment").empty()) {
    auto parsed = parse_assignment(options.value("replica-assignment"));
    if (!parsed) return std::unexpected(parsed.error());
    assignment = std::move(*parsed);
  }
  auto configs = parse_configs(options);
  if (!configs) return std::unexpected(configs.error());
  std::string name = options.value("topic");
  if (name.find_first_of("._") != std::string::npos)
    fmt::print(
        "WARNING: Due to limitations in metric names, topics with a period ('.') or "
        "underscore ('_') could collide. To avoid issues it is best to use either, but not "
        "both.\n");
  int64_t replication_factor =
      options.has("replication-factor") ? options.number("replication-factor") : -1;
  int64_t partitions = options.has("partitions") ? options.number("partitions") : -1;
  if (options.has("replication-factor") &&
      (replication_factor < 1 || replication_factor > INT16_MAX))
    return std::unexpected(illegal("The replication factor must be between 1 and 32767 inclusive"));
  if (options.has("partitions") && partitions < 1)
    return std::unexpected(illegal("The partitions must be greater than 0"));
  if (name.empty())
    return std::unexpected(
        failure_of(ErrorCode::invalid_topic_exception,
                   "The given topic name '' cannot be represented in a request."));

  kmsg::CreateTopicsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = static_cast<int32_t>(partitions);
  topic.replication_factor = static_cast<int16_t>(replication_factor);
  for (size_t i = 0; i < assignment.size(); ++i) {
    auto& placed = topic.assignments.emplace_back();
    placed.partition_index = static_cast<int32_t>(i);
    placed.broker_ids = assignment[i];
  }
  for (const auto& [key, value] : *configs) {
    auto& config = topic.configs.emplace_back();
    config.name = key;
    config.value = value;
  }
  int64_t deadline = client.deadline_ms();
  for (;;) {
    auto response = client.controller<kmsg::CreateTopicsResponse>("createTopics", request);
    if (!response) return std::unexpected(response.error());
    if (response->topics.empty())
      return std::unexpected(failure_of(ErrorCode::unknown_server_error));
    const auto& result = response->topics[0];
    if (result.error_code == ErrorCode::none) break;
    if (result.error_code == ErrorCode::not_controller && client.back_off(deadline)) continue;
    if (result.error_code == ErrorCode::topic_already_exists && options.has("if-not-exists"))
      return {};
    return std::unexpected(failure_of(result.error_code, result.error_message));
  }
  fmt::print("Created topic {}.\n", name);
  return {};
}

Outcome<void> list(AdminClient& client, const Options& options) {
  auto topics = find_topics(client, options);
  if (!topics) return std::unexpected(topics.error());
  std::string lines;
  for (const std::string& name : topics->names) lines += (lines.empty() ? "" : "\n") + name;
  fmt::print("{}\n", lines);
  return {};
}

Outcome<void> alter(AdminClient& client, const Options& options) {
  std::vector<std::vector<int32_t>> assignment;
  if (!options.value("replica-assignment").empty()) {
    auto parsed = parse_assignment(options.value("replica-assignment"));
    if (!parsed) return std::unexpected(parsed.error());
    assignment = std::move(*parsed);
  }
  auto topics = find_topics(client, options);
  if (!topics) return std::unexpected(topics.error());
  if (auto found = ensure_found(*topics, options); !found) return found;
  if (topics->names.empty()) return {};
  kmsg::CreatePartitionsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  for (const std::string& name : topics->names) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.count = static_cast<int32_t>(options.number("partitions"));
    topic.assignments.reset();
    if (assignment.empty()) continue;
    topic.assignments.emplace();
    size_t present = find(topics->metadata, name)->partitions.size();
    for (size_t i = present; i < assignment.size(); ++i)
      topic.assignments->emplace_back().broker_ids = assignment[i];
  }
  auto done = client.settle("createPartitions", request, &kmsg::CreatePartitionsResponse::results);
  if (!done) return std::unexpected(done.error());
  return {};
}

Outcome<void> erase(AdminClient& client, const Options& options) {
  auto topics = find_topics(client, options);
  if (!topics) return std::unexpected(topics.error());
  if (auto found = ensure_found(*topics, options); !found) return found;
  if (topics->names.empty()) return {};
  kmsg::DeleteTopicsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  request.topic_names = topics->names;
  // Version 5: topics by name; later ones say the same in another form.
  auto done = client.settle("deleteTopics", request, &kmsg::DeleteTopicsResponse::responses, 5);
  if (!done) return std::unexpected(done.error());
  return {};
}

// -- Describe
// ----------------------------------------------------------------------------------------

using Topic = kmsg::MetadataResponse::MetadataResponseTopic;
using Partition = kmsg::MetadataResponse::MetadataResponsePartition;

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

}  // namespace

int topics_main(std::span<const std::string> args) {
  auto parsed = parser().parse(args);
  if (!parsed) {
    fmt::print(stderr, "{}\n", parsed.error());
    return 1;
  }
  const Options& options = *parsed;
  if (args.empty()) return usage(parser(), "Create, delete, describe, or change a topic.");
  if (auto done =
          help_or_version(parser(), options, false,
                          "This tool helps to create, delete, describe, or change a topic."))
    return *done;
  int actions = 0;
  for (std::string_view action : {"create", "list", "alter", "describe", "delete"})
    actions += options.has(action) ? 1 : 0;
  if (actions != 1)
    return usage(
        parser(),
        "Command must include exactly one action: --list, --describe, --create, --alter or "
        "--delete");
  if (!options.has("bootstrap-server")) {
    fmt::print(stderr, "--bootstrap-server must be specified\n");
    return 1;
  }
  if (auto message = check(options)) return usage(parser(), *message);
  if (options.has("topic") && options.has("topic-id"))
    fmt::print(
        "Only topic id will be used when both --topic and --topic-id are specified and topicId "
        "is not Uuid.ZERO_UUID\n");

  auto config = client_config(options);
  if (!config) {
    fmt::print(stderr, "{}\n", config.error().message);
    return 1;
  }
  AdminClient client(std::move(*config));
  Outcome<void> done;
  if (options.has("create"))
    done = create(client, options);
  else if (options.has("alter"))
    done = alter(client, options);
  else if (options.has("list"))
    done = list(client, options);
  else if (options.has("describe"))
    done = describe(client, options);
  else
    done = erase(client, options);
  if (done) return 0;
  fmt::print("Error while executing topic command : {}\n", done.error().message);
  std::fflush(stdout);
  log_failure(done.error(), kLogger);
  return 1;
}

}  // namespace ottla::tools
