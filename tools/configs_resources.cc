// kafka-configs.sh of topics, brokers and their loggers. Source: KIP-226, KIP-339, KIP-412.
#include <fmt/core.h>

#include <algorithm>

#include "proto/kafka/alter_configs.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/incremental_alter_configs.h"
#include "tools/configs.h"
#include "tools/java_order.h"
#include "tools/report.h"

namespace ottla::tools::configs {
namespace {

using kmsg::ErrorCode;

using Entry = kmsg::DescribeConfigsResponse::DescribeConfigsResourceResult;

struct ResourceKind {
  int8_t type;
  int8_t dynamic_source;  // 0: every source counts
};

Outcome<ResourceKind> kind_of(const std::string& type, const std::string& name) {
  if (type == "topics") return ResourceKind{2, 1};
  bool logger = type == "broker-loggers";
  if (logger || type == "brokers") {
    if (!name.empty() && !to_int(name))
      return std::unexpected(illegal(fmt::format(
          "The entity name for {} must be a valid integer broker id, found: {}", type, name)));
    if (logger) return ResourceKind{8, 0};
    return ResourceKind{4, static_cast<int8_t>(name.empty() ? 3 : 2)};
  }
  if (type == "client-metrics") return ResourceKind{16, 7};
  return ResourceKind{32, 8};
}

template <class Response, class Request>
Outcome<Response> ask(AdminClient& client, std::string_view call, const ResourceKind& kind,
                      const std::string& name, const Request& request) {
  auto id = to_int(name);
  if ((kind.type == 4 || kind.type == 8) && id) return client.broker<Response>(call, *id, request);
  return client.any<Response>(call, request);
}

Outcome<std::vector<Entry>> read_configs(AdminClient& client, const std::string& type,
                                         const std::string& name, bool all) {
  auto kind = kind_of(type, name);
  if (!kind) return std::unexpected(kind.error());
  kmsg::DescribeConfigsRequest request;
  request.include_synonyms = true;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = kind->type;
  resource.resource_name = name;
  resource.configuration_keys.reset();
  auto response =
      ask<kmsg::DescribeConfigsResponse>(client, "describeConfigs", *kind, name, request);
  if (!response) return std::unexpected(response.error());
  std::vector<Entry> entries;
  for (auto& result : response->results) {
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
    for (Entry& entry : result.configs)
      if (all || kind->dynamic_source == 0 || entry.config_source == kind->dynamic_source)
        entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

const char* source_name(int8_t source) {
  constexpr const char* kNames[] = {"UNKNOWN",
                                    "DYNAMIC_TOPIC_CONFIG",
                                    "DYNAMIC_BROKER_CONFIG",
                                    "DYNAMIC_DEFAULT_BROKER_CONFIG",
                                    "STATIC_BROKER_CONFIG",
                                    "DEFAULT_CONFIG",
                                    "DYNAMIC_BROKER_LOGGER_CONFIG",
                                    "DYNAMIC_CLIENT_METRICS_CONFIG",
                                    "DYNAMIC_GROUP_CONFIG"};
  return source >= 0 && source < 9 ? kNames[source] : "UNKNOWN";
}

Outcome<std::vector<std::string>> names_to_show(AdminClient& client, const Entities& entities) {
  if (!entities.names.empty()) return std::vector<std::string>{entities.names.front()};
  std::vector<std::string> names;
  if (entities.type() == "topics") {
    auto metadata = client.metadata("listTopics", std::nullopt);
    if (!metadata) return std::unexpected(metadata.error());
    for (const auto& topic : metadata->topics) names.push_back(topic.name.value_or(""));
    java_map_order(names);
    return names;
  }
  if (entities.type() == "brokers" || entities.type() == "broker-loggers") {
    auto nodes = client.nodes("describeCluster");
    if (!nodes) return std::unexpected(nodes.error());
    for (const auto& [id, node] : *nodes) names.push_back(std::to_string(id));
    names.emplace_back();
  }
  return names;
}

Outcome<void> refuse_unknown(const std::vector<Entry>& present,
                             const std::vector<std::string>& deleted) {
  std::vector<std::string> unknown;
  for (const std::string& name : deleted)
    if (std::none_of(present.begin(), present.end(),
                     [&](const Entry& e) { return e.name == name; }))
      unknown.push_back(name);
  if (unknown.empty()) return {};
  return std::unexpected(illegal("Invalid config(s): " + joined(unknown, ",")));
}

Outcome<void> alter_incrementally(AdminClient& client, const Entities& entities, const Pairs& added,
                                  const std::vector<std::string>& deleted) {
  const std::string& name = entities.names.front();
  auto kind = kind_of(entities.type(), name);
  if (!kind) return std::unexpected(kind.error());
  kmsg::IncrementalAlterConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = kind->type;
  resource.resource_name = name;
  auto add = [&](const std::string& key, int8_t op, const std::string& value) {
    auto& config = resource.configs.emplace_back();
    config.name = key;
    config.config_operation = op;
    config.value = value;
  };
  for (const auto& [key, value] : added) add(key, 0, value);
  for (const std::string& key : deleted) add(key, 1, "");
  auto response = ask<kmsg::IncrementalAlterConfigsResponse>(client, "incrementalAlterConfigs",
                                                             *kind, name, request);
  if (!response) return std::unexpected(response.error());
  for (const auto& result : response->responses)
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
  return {};
}

// A broker's dynamic configs are replaced as a whole, as Apache's tool does.
Outcome<void> alter_broker(AdminClient& client, const Entities& entities, const Pairs& added,
                           const std::vector<std::string>& deleted) {
  const std::string& name = entities.names.front();
  auto present = read_configs(client, entities.type(), name, false);
  if (!present) return std::unexpected(present.error());
  if (auto known = refuse_unknown(*present, deleted); !known) return known;
  std::map<std::string, std::optional<std::string>> wanted;
  for (const Entry& entry : *present) wanted[entry.name] = entry.value;
  for (const auto& [key, value] : added) wanted[key] = value;
  for (const std::string& key : deleted) wanted.erase(key);
  std::vector<std::string> secrets;
  for (const auto& [key, value] : wanted)
    if (!value) secrets.push_back(key);
  if (!secrets.empty())
    return std::unexpected(
        illegal(fmt::format("All sensitive broker config entries must be specified for --alter, "
                            "missing entries: Set({})",
                            joined(secrets, ", "))));
  kmsg::AlterConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = 4;
  resource.resource_name = name;
  for (const auto& [key, value] : wanted) {
    auto& config = resource.configs.emplace_back();
    config.name = key;
    config.value = value;
  }
  auto response = ask<kmsg::AlterConfigsResponse>(client, "alterConfigs", {4, 0}, name, request);
  if (!response) return std::unexpected(response.error());
  for (const auto& result : response->responses)
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
  return {};
}

}  // namespace

Outcome<void> describe_resources(AdminClient& client, const Entities& entities, bool all) {
  auto names = names_to_show(client, entities);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    if (name.empty())
      fmt::print("Default configs for {} in the cluster are:\n", entities.type());
    else
      fmt::print("{} configs for {} {} are:\n", all ? "All" : "Dynamic", entities.singular(), name);
    auto entries = read_configs(client, entities.type(), name, all);
    if (!entries) return std::unexpected(entries.error());
    for (const Entry& entry : *entries) {
      std::vector<std::string> synonyms;
      for (const auto& one : entry.synonyms)
        synonyms.push_back(
            fmt::format("{}:{}={}", source_name(one.source), one.name, one.value.value_or("null")));
      fmt::print("  {}={} sensitive={} synonyms={{{}}}\n", entry.name, entry.value.value_or("null"),
                 entry.is_sensitive, joined(synonyms, ", "));
    }
  }
  return {};
}

Outcome<void> alter_resource(AdminClient& client, const Entities& entities, const Pairs& added,
                             const std::vector<std::string>& deleted) {
  if (entities.type() == "brokers") return alter_broker(client, entities, added, deleted);
  auto present = read_configs(client, entities.type(), entities.names.front(), false);
  if (!present) return std::unexpected(present.error());
  if (entities.type() == "broker-loggers") {
    std::vector<std::string> unknown;
    auto look = [&](const std::string& key) {
      if (std::none_of(present->begin(), present->end(),
                       [&](const Entry& e) { return e.name == key; }))
        unknown.push_back(key);
    };
    for (const std::string& key : deleted) look(key);
    for (const auto& [key, value] : added) look(key);
    if (!unknown.empty())
      return std::unexpected(illegal("Invalid broker logger(s): " + joined(unknown, ",")));
  } else if (auto known = refuse_unknown(*present, deleted); !known) {
    return known;
  }
  return alter_incrementally(client, entities, added, deleted);
}

}  // namespace ottla::tools::configs
