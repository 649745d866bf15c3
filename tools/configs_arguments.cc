// The command line of kafka-configs.sh: its options, the entities they mean, and what Apache's
// ConfigCommand refuses, in its order and words.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "tools/configs.h"
#include "tools/report.h"

namespace ottla::tools::configs {
namespace {

using Argument = OptionSpec::Argument;

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

std::string trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
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

}  // namespace

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

std::string joined(const std::vector<std::string>& items, const char* between) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : between) + items[i];
  return text;
}

bool contains(const std::vector<std::string>& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::optional<int32_t> to_int(std::string_view text) {
  int32_t value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

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

}  // namespace ottla::tools::configs
