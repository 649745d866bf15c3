// kafka-configs.sh: shows and changes the configs of topics, brokers and their loggers, the quotas
// of users, clients and addresses, and users' SCRAM credentials. Source: KIP-21, KIP-226, KIP-412,
// KIP-546, KIP-554; texts as Apache's ConfigCommand prints them.
#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <random>
#include <set>

#include "proto/kafka/alter_client_quotas.h"
#include "proto/kafka/alter_configs.h"
#include "proto/kafka/alter_user_scram_credentials.h"
#include "proto/kafka/describe_client_quotas.h"
#include "proto/kafka/describe_cluster.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/describe_user_scram_credentials.h"
#include "proto/kafka/incremental_alter_configs.h"
#include "tools/admin_client.h"
#include "tools/java_order.h"
#include "tools/options.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using kmsg::ErrorCode;
using Argument = OptionSpec::Argument;
using Pairs = std::map<std::string, std::string>;

constexpr const char* kIllegal = "java.lang.IllegalArgumentException";
constexpr int32_t kDefaultIterations = 4096;

const OptionParser& parser() {
  static const OptionParser instance({
      {"add-config",
       "Settings to change: 'k1=v1,k2=[v1,v2],k3=v3', where brackets hold values with commas.",
       Argument::required},
      {"add-config-file", "A properties file with settings to change.", Argument::required},
      {"all", "With --describe: all settings, not only those that were changed."},
      {"alter", "Change the settings of an entity."},
      {"bootstrap-controller", "Not used with ZooKeeper.", Argument::required,
       "controller to connect to"},
      {"bootstrap-server", "Brokers to ask first: host:port,host:port.", Argument::required,
       "server to connect to"},
      {"broker", "The id of a broker.", Argument::required},
      {"broker-defaults", "The defaults of all brokers."},
      {"broker-logger", "The id of a broker whose loggers are meant.", Argument::required},
      {"client", "A client id.", Argument::required},
      {"client-defaults", "The defaults of all clients."},
      {"client-metrics", "Not there in ZooKeeper mode.", Argument::required},
      {"command-config", "A properties file for this client.", Argument::required,
       "command config property file"},
      {"delete-config", "Names of settings to take back: 'k1,k2'.", Argument::required},
      {"describe", "Show the settings of an entity."},
      {"entity-default", "The default entity of the type."},
      {"entity-name", "The name of the entity.", Argument::required},
      {"entity-type",
       "topics, clients, users, brokers, broker-loggers, ips; users and clients may be given "
       "together.",
       Argument::required},
      {"force", "Accepted; nothing is asked."},
      {"group", "Not there in ZooKeeper mode.", Argument::required},
      {"ip", "An address.", Argument::required},
      {"ip-defaults", "The defaults of all addresses."},
      {"topic", "The name of a topic.", Argument::required},
      {"user", "The name of a user.", Argument::required},
      {"user-defaults", "The defaults of all users."},
      {"zk-tls-config-file", "Not supported: use --bootstrap-server.", Argument::required,
       "ZooKeeper TLS configuration"},
      {"zookeeper", "Not supported: use --bootstrap-server.", Argument::required, "urls"},
  });
  return instance;
}

Failure illegal(std::string message) { return {kIllegal, std::move(message)}; }
// Found by this tool itself; what a broker finds invalid is told like its other refusals.
Failure invalid(std::string message) { return illegal(std::move(message)); }

std::string joined(const std::vector<std::string>& items, const char* between) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : between) + items[i];
  return text;
}

bool contains(const std::vector<std::string>& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::string trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::optional<int32_t> to_int(std::string_view text) {
  int32_t value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// As Java prints a Double.
std::string double_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  double size = std::fabs(value);
  bool plain = value == 0 || (size >= 1e-3 && size < 1e7);
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                           plain ? std::chars_format::fixed : std::chars_format::scientific)
                 .ptr;
  std::string text(buffer, end);
  size_t e = plain ? text.size() : text.find('e');
  std::string digits = text.substr(0, e);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return plain ? digits : fmt::format("{}E{}", digits, std::stoi(text.substr(e + 1)));
}

// -- The entities meant
// ------------------------------------------------------------------------------

struct Entities {
  std::vector<std::string> types;
  std::vector<std::string> names;  // empty: the default
  const std::string& type() const { return types.front(); }
  std::string singular() const { return type().substr(0, type().size() - 1); }
};

struct Flag {
  const char* name;
  const char* type;
};
constexpr Flag kNamed[] = {{"topic", "topics"},
                           {"client", "clients"},
                           {"user", "users"},
                           {"broker", "brokers"},
                           {"broker-logger", "broker-loggers"},
                           {"ip", "ips"},
                           {"client-metrics", "client-metrics"},
                           {"group", "groups"}};
constexpr Flag kDefaults[] = {{"client-defaults", "clients"},
                              {"user-defaults", "users"},
                              {"broker-defaults", "brokers"},
                              {"ip-defaults", "ips"}};

Entities entities_of(std::span<const std::string> args, const Options& options) {
  Entities entities;
  entities.types = options.values("entity-type");
  std::vector<std::string> names = options.values("entity-name");
  size_t next = 0;
  // Names and defaults count in the order of the command line.
  for (const std::string& arg : args) {
    std::string_view name = std::string_view(arg).substr(0, arg.find('='));
    if (name.size() >= 10 && std::string_view("--entity-name").starts_with(name)) {
      if (next < names.size()) entities.names.push_back(names[next++]);
    } else if (name.size() >= 10 && std::string_view("--entity-default").starts_with(name)) {
      entities.names.emplace_back();
    }
  }
  for (const Flag& flag : kNamed) {
    if (!options.has(flag.name)) continue;
    entities.types.emplace_back(flag.type);
    entities.names.push_back(options.value(flag.name));
  }
  for (const Flag& flag : kDefaults) {
    if (!options.has(flag.name)) continue;
    entities.types.emplace_back(flag.type);
    entities.names.emplace_back();
  }
  return entities;
}

// -- Arguments
// -------------------------------------------------------------------------------------

std::optional<std::string> conflict(const Options& options, std::string_view name,
                                    const std::vector<std::string_view>& others) {
  if (!options.has(name)) return std::nullopt;
  for (std::string_view other : others)
    if (options.has(other))
      return fmt::format("Option \"{}\" can't be used with option \"{}\"", bracketed(name),
                         bracketed(other));
  return std::nullopt;
}

Outcome<void> check_types(const Options& options, const Entities& entities) {
  const auto& types = entities.types;
  std::set<std::string> distinct(types.begin(), types.end());
  if (distinct.size() != types.size()) {
    std::vector<std::string> again = types;
    for (const std::string& type : distinct)
      again.erase(std::find(again.begin(), again.end(), type));
    return std::unexpected(illegal("Duplicate entity type(s) specified: " + joined(again, ",")));
  }
  bool on_brokers = options.has("bootstrap-server") || options.has("bootstrap-controller");
  std::vector<std::string> allowed = {"users", "brokers"};
  if (on_brokers)
    allowed = {"topics", "clients",        "users",          "brokers",
               "ips",    "broker-loggers", "client-metrics", "groups"};
  for (const std::string& type : types)
    if (!contains(allowed, type))
      return std::unexpected(illegal(fmt::format(
          "Invalid entity type {}, the entity type must be one of {} with a {} argument", type,
          joined(allowed, ", "),
          on_brokers ? "--bootstrap-server or --bootstrap-controller" : "--zookeeper")));
  if (types.empty()) return std::unexpected(illegal("At least one entity type must be specified"));
  if (types.size() > 1 && distinct != std::set<std::string>{"users", "clients"})
    return std::unexpected(
        illegal("Only 'users' and 'clients' entity types may be specified together"));
  bool general =
      options.has("entity-name") || options.has("entity-type") || options.has("entity-default");
  bool specific = false;
  for (const Flag& flag : kNamed) specific |= options.has(flag.name);
  for (const Flag& flag : kDefaults) specific |= options.has(flag.name);
  if (general && specific)
    return std::unexpected(
        illegal("--entity-{type,name,default} should not be used in conjunction with specific "
                "entity flags"));
  return {};
}

Outcome<void> check_connection(const Options& options) {
  int count = 0;
  for (const char* name : {"bootstrap-server", "bootstrap-controller", "zookeeper"})
    count += options.has(name) ? 1 : 0;
  if (count == 0)
    return std::unexpected(
        illegal("One of the required --bootstrap-server, --boostrap-controller, or --zookeeper "
                "arguments must be specified"));
  if (count > 1)
    return std::unexpected(
        illegal("Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be "
                "specified"));
  if (options.has("all") && options.has("zookeeper"))
    return std::unexpected(illegal("--bootstrap-server must be specified for --all"));
  if (options.has("zk-tls-config-file") && !options.has("zookeeper"))
    return std::unexpected(
        illegal("Only the --zookeeper option can be used with the --zk-tls-config-file option."));
  if (!options.has("bootstrap-server"))
    return std::unexpected(illegal("this tool speaks to brokers: use --bootstrap-server"));
  return {};
}

Outcome<void> check_verbs(const Options& options, const Entities& entities) {
  bool has_name = false, has_default = false;
  for (const std::string& name : entities.names) (name.empty() ? has_default : has_name) = true;
  auto is = [&](const char* type) { return contains(entities.types, type); };
  if (has_name && (is("brokers") || is("broker-loggers")))
    for (const char* option : {"entity-name", "broker", "broker-logger"})
      if (auto id = options.given(option); id && !to_int(*id))
        return std::unexpected(illegal(
            fmt::format("The entity name for {} must be a valid integer broker id, but it is: {}",
                        entities.type(), *id)));
  bool may_default = is("users") || is("clients") || is("brokers") || is("ips");
  if (options.has("describe")) {
    if (!may_default && options.has("entity-default"))
      return std::unexpected(illegal("--entity-default must not be specified with --describe of " +
                                     joined(entities.types, ",")));
    if (is("broker-loggers") && !has_name)
      return std::unexpected(illegal("An entity name must be specified with --describe of " +
                                     joined(entities.types, ",")));
    return {};
  }
  if (may_default && !has_name && !has_default)
    return std::unexpected(
        illegal("An entity-name or default entity must be specified with --alter of users, "
                "clients, brokers or ips"));
  if (!may_default && !has_name)
    return std::unexpected(
        illegal("An entity name must be specified with --alter of " + joined(entities.types, ",")));
  if (options.has("add-config") && options.has("add-config-file"))
    return std::unexpected(
        illegal("Only one of --add-config or --add-config-file must be specified"));
  if (!options.has("add-config") && !options.has("add-config-file") &&
      !options.has("delete-config"))
    return std::unexpected(
        illegal("At least one of --add-config, --add-config-file, or --delete-config must be "
                "specified with --alter"));
  return {};
}

// Cuts at each `mark` that is not inside brackets: none opens between it and the next closing one.
std::vector<std::string> cut(const std::string& text, char mark) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == mark) {
      size_t bracket = text.find_first_of("[]", i + 1);
      if (bracket == std::string::npos || text[bracket] == '[') {
        parts.emplace_back();
        continue;
      }
    }
    parts.back() += text[i];
  }
  return parts;
}

Outcome<Pairs> added_configs(const Options& options) {
  Pairs pairs;
  if (options.has("add-config-file")) {
    auto file = load_properties(options.value("add-config-file"));
    if (!file) return std::unexpected(Failure{"java.io.IOException", file.error()});
    pairs = std::move(*file);
  }
  if (options.has("add-config")) {
    std::vector<std::string> items = cut(options.value("add-config"), ',');
    while (items.size() > 1 && items.back().empty()) items.pop_back();
    for (const std::string& item : items) {
      std::vector<std::string> pair = cut(item, '=');
      if (pair.size() != 2)
        return std::unexpected(
            illegal("requirement failed: Invalid entity config: all configs to be added must be in "
                    "the format \"key=val\"."));
      std::erase_if(pair[1], [](char c) { return c == '[' || c == ']'; });
      pairs[trim(pair[0])] = trim(pair[1]);
    }
  }
  if (auto format = pairs.find("message.format.version"); format != pairs.end())
    fmt::print(
        "WARNING: The configuration message.format.version={} is specified. This "
        "configuration will be ignored if the version is newer than the "
        "inter.broker.protocol.version specified in the broker or if the "
        "inter.broker.protocol.version is 3.0 or newer. This configuration is deprecated "
        "and it will be removed in Apache Kafka 4.0.\n",
        format->second);
  for (const auto& [key, value] : pairs)
    for (char c : key)
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-')
        return std::unexpected(illegal("Invalid character found for config key: " + key));
  return pairs;
}

std::vector<std::string> deleted_configs(const Options& options) {
  std::vector<std::string> names;
  for (const std::string& value : options.values("delete-config")) {
    for (size_t from = 0; from <= value.size();) {
      size_t comma = std::min(value.find(',', from), value.size());
      names.push_back(trim(value.substr(from, comma - from)));
      from = comma + 1;
    }
  }
  return names;
}

// -- Resources: topics, brokers, loggers
// -------------------------------------------------------------

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

Outcome<void> refuse_unknown(const std::vector<Entry>& present,
                             const std::vector<std::string>& deleted) {
  std::vector<std::string> unknown;
  for (const std::string& name : deleted)
    if (std::none_of(present.begin(), present.end(),
                     [&](const Entry& e) { return e.name == name; }))
      unknown.push_back(name);
  if (unknown.empty()) return {};
  return std::unexpected(invalid("Invalid config(s): " + joined(unknown, ",")));
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
        invalid(fmt::format("All sensitive broker config entries must be specified for --alter, "
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
      return std::unexpected(invalid("Invalid broker logger(s): " + joined(unknown, ",")));
  } else if (auto known = refuse_unknown(*present, deleted); !known) {
    return known;
  }
  return alter_incrementally(client, entities, added, deleted);
}

// -- Quotas and credentials
// --------------------------------------------------------------------------

using QuotaEntry = kmsg::DescribeClientQuotasResponse::EntryData;

const char* quota_type(const std::string& type) {
  return type == "users" ? "user" : type == "clients" ? "client-id" : "ip";
}

bool is_quota(std::string_view key) {
  return key == "producer_byte_rate" || key == "consumer_byte_rate" ||
         key == "request_percentage" || key == "controller_mutation_rate";
}
int8_t scram_mechanism(std::string_view key) {
  return key == "SCRAM-SHA-256" ? 1 : key == "SCRAM-SHA-512" ? 2 : 0;
}

Outcome<std::vector<QuotaEntry>> read_quotas(AdminClient& client, const Entities& entities) {
  if (entities.names.size() > entities.types.size())
    return std::unexpected(illegal("More entity names specified than entity types"));
  kmsg::DescribeClientQuotasRequest request;
  request.strict = true;
  for (size_t i = 0; i < entities.types.size(); ++i) {
    auto& part = request.components.emplace_back();
    part.entity_type = quota_type(entities.types[i]);
    part.match_type = 2;
    part.match.reset();
    if (i >= entities.names.size()) continue;
    part.match_type = entities.names[i].empty() ? 1 : 0;
    if (part.match_type == 0) part.match = entities.names[i];
  }
  auto response = client.any<kmsg::DescribeClientQuotasResponse>("describeClientQuotas", request);
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code, response->error_message));
  return response->entries ? std::move(*response->entries) : std::vector<QuotaEntry>();
}

Outcome<void> describe_quotas(AdminClient& client, const Entities& entities) {
  auto entries = read_quotas(client, entities);
  if (!entries) return std::unexpected(entries.error());
  for (QuotaEntry& entry : *entries) {
    std::vector<std::string> parts;
    for (auto [type, shown] : {std::pair{"user", "user-principal"},
                               std::pair{"client-id", "client-id"}, std::pair{"ip", "ip"}})
      for (const auto& part : entry.entity)
        if (part.entity_type == type)
          parts.push_back(part.entity_name ? fmt::format("{} '{}'", shown, *part.entity_name)
                                           : fmt::format("the default {}", shown));
    java_map_order(entry.values, 0, [](const auto& v) { return kmsg::java_string_hash(v.key); });
    std::vector<std::string> values;
    for (const auto& value : entry.values)
      values.push_back(fmt::format("{}={}", value.key, double_text(value.value)));
    fmt::print("Quota configs for {} are {}\n", joined(parts, ", "), joined(values, ", "));
  }
  return {};
}

Outcome<void> describe_users_and_clients(AdminClient& client, const Entities& entities) {
  if (auto quotas = describe_quotas(client, entities); !quotas) return quotas;
  if (contains(entities.types, "clients") || contains(entities.names, "")) return {};
  kmsg::DescribeUserScramCredentialsRequest request;
  for (const std::string& name : entities.names) request.users->emplace_back().name = name;
  auto response = client.any<kmsg::DescribeUserScramCredentialsResponse>(
      "describeUserScramCredentials", request);
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code, response->error_message));
  for (const auto& result : response->results) {
    // A user without credentials is none that was described.
    if (result.error_code == ErrorCode::resource_not_found) continue;
    if (result.error_code != ErrorCode::none) {
      std::string exception = exception_of(result.error_code);
      fmt::print("Error retrieving SCRAM credential configs for user-principal '{}': {}: {}\n",
                 result.user, exception.substr(exception.rfind('.') + 1),
                 result.error_message.value_or(""));
      continue;
    }
    std::vector<std::string> infos;
    for (const auto& info : result.credential_infos)
      infos.push_back(fmt::format("{}=iterations={}",
                                  info.mechanism == 1 ? "SCRAM-SHA-256" : "SCRAM-SHA-512",
                                  info.iterations));
    fmt::print("SCRAM credential configs for user-principal '{}' are {}\n", result.user,
               joined(infos, ", "));
  }
  return {};
}

Outcome<void> alter_quotas(AdminClient& client, const Entities& entities, const Pairs& added,
                           const std::vector<std::string>& deleted) {
  auto present = read_quotas(client, entities);
  if (!present) return std::unexpected(present.error());
  std::vector<std::string> unknown;
  for (const std::string& key : deleted) {
    bool there = false;
    if (!present->empty())
      for (const auto& value : present->front().values) there |= value.key == key;
    if (!there) unknown.push_back(key);
  }
  if (!unknown.empty())
    return std::unexpected(invalid("Invalid config(s): " + joined(unknown, ",")));
  kmsg::AlterClientQuotasRequest request;
  auto& entry = request.entries.emplace_back();
  for (size_t i = 0; i < entities.types.size(); ++i) {
    auto& part = entry.entity.emplace_back();
    part.entity_type = quota_type(entities.types[i]);
    part.entity_name.reset();
    if (!entities.names[i].empty()) part.entity_name = entities.names[i];
  }
  for (const auto& [key, value] : added) {
    auto& op = entry.ops.emplace_back();
    op.key = key;
    char* end = nullptr;
    op.value = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0')
      return std::unexpected(
          illegal(fmt::format("Cannot parse quota configuration value for {}: {}", key, value)));
  }
  for (const std::string& key : deleted) {
    auto& op = entry.ops.emplace_back();
    op.key = key;
    op.remove = true;
  }
  auto response = client.any<kmsg::AlterClientQuotasResponse>("alterClientQuotas", request);
  if (!response) return std::unexpected(response.error());
  for (const auto& result : response->entries)
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
  return {};
}

// "iterations=N,password=P" or "password=P".
Outcome<std::pair<int32_t, std::string>> parse_credential(const std::string& mechanism,
                                                          const std::string& text) {
  auto bad = [&] {
    return std::unexpected(illegal(
        fmt::format("Invalid credential property {}={}",
                    mechanism == "SCRAM-SHA-256" ? "SCRAM_SHA_256" : "SCRAM_SHA_512", text)));
  };
  std::string rest = text;
  int32_t iterations = kDefaultIterations;
  if (rest.starts_with("iterations=")) {
    size_t comma = rest.find(',');
    if (comma == std::string::npos) return bad();
    auto given = to_int(std::string_view(rest).substr(11, comma - 11));
    if (!given) return bad();
    if (*given != -1) iterations = *given;
    rest = rest.substr(comma + 1);
  }
  if (!rest.starts_with("password=")) return bad();
  if (iterations < kDefaultIterations)
    return std::unexpected(illegal(fmt::format(
        "Iterations {} is less than the minimum 4096 required for {}", iterations, mechanism)));
  return std::pair(iterations, rest.substr(9));
}

Outcome<void> alter_credentials(AdminClient& client, const std::string& user, const Pairs& added,
                                const std::vector<std::string>& deleted) {
  kmsg::AlterUserScramCredentialsRequest request;
  for (const std::string& key : deleted) {
    auto& deletion = request.deletions.emplace_back();
    deletion.name = user;
    deletion.mechanism = scram_mechanism(key);
  }
  for (const auto& [key, value] : added) {
    auto credential = parse_credential(key, value);
    if (!credential) return std::unexpected(credential.error());
    auto& upsertion = request.upsertions.emplace_back();
    upsertion.name = user;
    upsertion.mechanism = scram_mechanism(key);
    upsertion.iterations = credential->first;
    std::random_device random;
    for (int i = 0; i < 26; ++i)
      upsertion.salt += "0123456789abcdefghijklmnopqrstuvwxyz"[random() % 36];
    const EVP_MD* hash = upsertion.mechanism == 1 ? EVP_sha256() : EVP_sha512();
    upsertion.salted_password.resize(static_cast<size_t>(EVP_MD_get_size(hash)));
    const std::string& password = credential->second;
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const uint8_t*>(upsertion.salt.data()),
                      static_cast<int>(upsertion.salt.size()), upsertion.iterations, hash,
                      EVP_MD_get_size(hash),
                      reinterpret_cast<uint8_t*>(upsertion.salted_password.data()));
  }
  int64_t deadline = client.deadline_ms();
  for (;;) {
    auto response = client.controller<kmsg::AlterUserScramCredentialsResponse>(
        "alterUserScramCredentials", request);
    if (!response) return std::unexpected(response.error());
    bool again = false;
    for (const auto& result : response->results) {
      if (result.error_code == ErrorCode::none) continue;
      if (result.error_code != ErrorCode::not_controller || !client.back_off(deadline))
        return std::unexpected(failure_of(result.error_code, result.error_message));
      again = true;
    }
    if (!again) return {};
  }
}

// What is neither a quota nor, where it may be, a credential.
Outcome<void> alter_user_or_client(AdminClient& client, const Entities& entities,
                                   const Pairs& added, const std::vector<std::string>& deleted) {
  bool of_client = entities.type() == "clients" || entities.types.size() == 2;
  bool quotas = false;
  std::vector<std::string> unknown[2], credentials[2];
  auto sort_out = [&](const std::string& key, size_t where) {
    if (is_quota(key))
      quotas = true;
    else
      (scram_mechanism(key) != 0 ? credentials : unknown)[where].push_back(key);
  };
  for (const auto& [key, value] : added) sort_out(key, 0);
  for (const std::string& key : deleted) sort_out(key, 1);
  for (size_t where : {0u, 1u}) {
    std::vector<std::string> bad = unknown[where];
    if (of_client) bad.insert(bad.end(), credentials[where].begin(), credentials[where].end());
    if (bad.empty()) continue;
    return std::unexpected(illegal(fmt::format(
        "Only {} configs can be {} for '{}' using --bootstrap-server. Unexpected config names: "
        "{}({})",
        of_client ? "quota" : "quota and SCRAM credential", where == 0 ? "added" : "deleted",
        of_client ? "clients" : "users", where == 0 ? "Set" : "ArrayBuffer", joined(bad, ", "))));
  }
  bool scram = !credentials[0].empty() || !credentials[1].empty();
  if (scram && contains(entities.names, ""))
    return std::unexpected(
        illegal("The use of --entity-default or --user-defaults is not allowed with User SCRAM "
                "Credentials using --bootstrap-server."));
  if (scram && quotas)
    return std::unexpected(
        illegal("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' "
                "using --bootstrap-server."));
  if (scram) return alter_credentials(client, entities.names.front(), added, deleted);
  return alter_quotas(client, entities, added, deleted);
}

// -- Verbs
// -------------------------------------------------------------------------------------------

Outcome<void> alter(AdminClient& client, const Options& options, const Entities& entities) {
  if (entities.types.size() != entities.names.size())
    return std::unexpected(illegal("An entity name must be specified for every entity type"));
  auto added = added_configs(options);
  if (!added) return std::unexpected(added.error());
  std::vector<std::string> deleted = deleted_configs(options);
  Outcome<void> done;
  if (entities.type() == "users" || entities.type() == "clients") {
    done = alter_user_or_client(client, entities, *added, deleted);
  } else if (entities.type() == "ips") {
    std::vector<std::string> unknown;
    for (const auto& [key, value] : *added)
      if (key != "connection_creation_rate") unknown.push_back(key);
    for (const std::string& key : deleted)
      if (key != "connection_creation_rate") unknown.push_back(key);
    if (!unknown.empty())
      return std::unexpected(
          illegal("Only connection quota configs can be added for 'ips' using --bootstrap-server. "
                  "Unexpected config names: " +
                  joined(unknown, ",")));
    done = alter_quotas(client, entities, *added, deleted);
  } else {
    done = alter_resource(client, entities, *added, deleted);
  }
  if (!done) return done;
  if (entities.names.front().empty())
    fmt::print("Completed updating default config for {} in the cluster.\n", entities.type());
  else
    fmt::print("Completed updating config for {} {}.\n", entities.singular(),
               entities.names.front());
  return {};
}

Outcome<void> describe(AdminClient& client, const Options& options, const Entities& entities) {
  if (entities.type() == "users" || entities.type() == "clients")
    return describe_users_and_clients(client, entities);
  if (entities.type() == "ips") return describe_quotas(client, entities);
  return describe_resources(client, entities, options.has("all"));
}

// Refusals of arguments are one line; what a broker refused comes with the command.
int fail_with(const Failure& failure, std::span<const std::string> args) {
  std::fflush(stdout);
  if (failure.exception == kIllegal) {
    fmt::print(stderr, "{}\n", failure.message);
    return 1;
  }
  fmt::print(stderr, "Error while executing config command with args '{}'\n",
             joined({args.begin(), args.end()}, " "));
  fmt::print(stderr, "java.util.concurrent.ExecutionException: {}: {}\n", failure.exception,
             failure.message);
  return 1;
}

}  // namespace

int configs_main(std::span<const std::string> args) {
  auto parsed = parser().parse(args);
  if (!parsed) {
    fmt::print(stderr, "{}\n", parsed.error());
    return 1;
  }
  const Options& options = *parsed;
  if (auto done = help_or_version(parser(), options, args.empty(),
                                  "This tool helps to manipulate and describe entity config for a "
                                  "topic, client, user, broker, ip, client-metrics or group"))
    return *done;
  if (options.has("alter") == options.has("describe"))
    return usage(parser(), "Command must include exactly one action: --describe, --alter");
  if (auto message = conflict(options, "describe", {"add-config", "delete-config"}))
    return usage(parser(), *message);
  Entities entities = entities_of(args, options);
  for (const Outcome<void>& checked :
       {check_types(options, entities), check_connection(options),
        entities.types.empty() ? Outcome<void>() : check_verbs(options, entities)})
    if (!checked) return fail_with(checked.error(), args);
  auto config = client_config(options);
  if (!config) return fail_with(config.error(), args);
  AdminClient client(std::move(*config));
  Outcome<void> done =
      options.has("alter") ? alter(client, options, entities) : describe(client, options, entities);
  if (!done) return fail_with(done.error(), args);
  return 0;
}

}  // namespace ottla::tools
