// kafka-configs.sh: shows and changes the configs of topics, brokers and their loggers, the quotas
// of users, clients and addresses, and users' SCRAM credentials. Source: KIP-21, KIP-226, KIP-412,
// KIP-546, KIP-554; texts as Apache's ConfigCommand prints them.
#include "tools/configs.h"

#include <fmt/core.h>

#include <cstdio>

#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace configs {
namespace {

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
}  // namespace configs

int configs_main(std::span<const std::string> args) {
  using namespace configs;
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
