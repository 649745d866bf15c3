// kafka-topics.sh: the command line, and what of it does not go together.
#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "tools/report.h"
#include "tools/topics.h"

namespace ottla::tools::topics {
namespace {

using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;

constexpr std::string_view kUseConfigs =
    " (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)";

}  // namespace

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

}  // namespace ottla::tools::topics
