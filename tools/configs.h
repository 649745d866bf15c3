// Parts of kafka-configs.sh that its files share: what the command line means, and the verbs by
// kind of entity. Source: KIP-21, KIP-226, KIP-412, KIP-546, KIP-554.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/admin_client.h"
#include "tools/options.h"

namespace ottla::tools::configs {

using Pairs = std::map<std::string, std::string>;

std::string joined(const std::vector<std::string>& items, const char* between);
bool contains(const std::vector<std::string>& items, std::string_view item);
std::optional<int32_t> to_int(std::string_view text);

struct Entities {
  std::vector<std::string> types;
  std::vector<std::string> names;  // empty: the default
  const std::string& type() const { return types.front(); }
  std::string singular() const { return type().substr(0, type().size() - 1); }
};

// -- configs_arguments.cc: the command line
const OptionParser& parser();
Entities entities_of(std::span<const std::string> args, const Options& options);
Outcome<void> check_types(const Options& options, const Entities& entities);
Outcome<void> check_connection(const Options& options);
Outcome<void> check_verbs(const Options& options, const Entities& entities);
// --add-config and --add-config-file; prints a warning for message.format.version.
Outcome<Pairs> added_configs(const Options& options);
std::vector<std::string> deleted_configs(const Options& options);

// -- configs_resources.cc: topics, brokers, loggers
Outcome<void> describe_resources(AdminClient& client, const Entities& entities, bool all);
Outcome<void> alter_resource(AdminClient& client, const Entities& entities, const Pairs& added,
                             const std::vector<std::string>& deleted);

// -- configs_users.cc: quotas of users, clients and addresses; credentials of users
Outcome<void> describe_quotas(AdminClient& client, const Entities& entities);
Outcome<void> describe_users_and_clients(AdminClient& client, const Entities& entities);
Outcome<void> alter_quotas(AdminClient& client, const Entities& entities, const Pairs& added,
                           const std::vector<std::string>& deleted);
Outcome<void> alter_user_or_client(AdminClient& client, const Entities& entities,
                                   const Pairs& added, const std::vector<std::string>& deleted);

}  // namespace ottla::tools::configs
