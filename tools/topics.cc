// kafka-topics: create, list, describe, alter and delete topics.
#include "tools/topics.h"

#include <fmt/core.h>

#include <algorithm>
#include <regex>

#include "proto/kafka/create_partitions.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace topics {
namespace {

using kmsg::ErrorCode;

constexpr std::string_view kLogger = "org.apache.kafka.tools.TopicCommand";

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

}  // namespace

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

namespace {

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

}  // namespace
}  // namespace topics

int topics_main(std::span<const std::string> args) {
  using namespace topics;
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
