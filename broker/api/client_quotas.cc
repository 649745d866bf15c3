// DescribeClientQuotas and AlterClientQuotas: quotas stand as configs of users, client ids, both
// together, and addresses. They are stored and shown; nothing is throttled yet.
// Source: KIP-546, KIP-612; what a live 3.9 broker answers.
#include <fmt/core.h>

#include <map>

#include "broker/api/entities.h"
#include "broker/api/handlers.h"
#include "broker/api/one_by_one.h"
#include "broker/controller/config_store.h"
#include "common/base/log.h"
#include "proto/kafka/alter_client_quotas.h"
#include "proto/kafka/describe_client_quotas.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr log::Room kLog{"broker.api"};
using Configs = std::map<std::string, ConfigMap>;
using Name = std::optional<std::string>;

// ------------------------------------------------------------------------------------- describe

// What a filter asks of one part of an entity.
struct Match {
  bool asked = false;
  bool any = false;  // of that type, whatever its name
  Name name;         // null: the default
};

struct Filter {
  Match user, client, ip;
  bool strict = false;
};

struct Described {
  ApiContext& context;
  RequestPtr request;
  Filter filter;
  kmsg::DescribeClientQuotasResponse response;
};
using DescribedPtr = std::shared_ptr<Described>;

AdminRefusal read_filter(const kmsg::DescribeClientQuotasRequest& asked, Filter& filter) {
  filter.strict = asked.strict;
  for (const auto& part : asked.components)
    if (part.match_type < 0 || part.match_type > 2 || (part.match_type == 0 && !part.match))
      return {ErrorCode::unknown_server_error, std::nullopt};
  for (const auto& part : asked.components) {
    const char* word = "user";
    Match* match = &filter.user;
    if (part.entity_type == "client-id") {
      word = "client", match = &filter.client;
    } else if (part.entity_type == "ip") {
      word = "ip", match = &filter.ip;
    } else if (part.entity_type.empty()) {
      return {ErrorCode::invalid_request, "Unexpected empty filter component entity type"};
    } else if (part.entity_type != "user") {
      return {ErrorCode::unsupported_version,
              fmt::format("Custom entity type '{}' not supported", part.entity_type)};
    }
    if (match->asked)
      return {ErrorCode::invalid_request,
              fmt::format("Duplicate {} filter component entity type", word)};
    *match = {true, part.match_type == 2,
              part.match_type == 0 ? part.match : std::optional<std::string>()};
  }
  if (filter.ip.asked && (filter.user.asked || filter.client.asked))
    return {ErrorCode::invalid_request,
            "Invalid entity filter component combination, IP filter component should not be used "
            "with user or clientId filter component."};
  // A name of no letters has no znode that could be looked for.
  auto exact = [](const Match& match) { return match.asked && !match.any; };
  auto nameless = [&](const Match& match) {
    return exact(match) && match.name && match.name->empty();
  };
  bool user_alone = filter.strict && !filter.client.asked,
       client_alone = filter.strict && !filter.user.asked;
  bool both = exact(filter.user) && exact(filter.client);
  if (nameless(filter.ip) || (nameless(filter.user) && (user_alone || both)) ||
      (nameless(filter.client) && (client_alone || both)))
    return {ErrorCode::unknown_server_error, std::nullopt};
  return {};
}

// `part`: nothing when the entity has no such part at all.
bool is_match(const Match& match, const std::optional<Name>& part, bool strict) {
  if (!match.asked) return !part || !strict;
  if (!part) return false;
  return match.any || *part == match.name;
}

void add_entry(Described& call, const std::vector<std::pair<const char*, Name>>& entity,
               const ConfigMap& config, bool of_address) {
  kmsg::DescribeClientQuotasResponse::EntryData entry;
  for (const auto& [key, text] : config) {
    if (!quota_type(key, of_address)) continue;
    auto& value = entry.values.emplace_back();
    value.key = key;
    value.value = std::strtod(text.c_str(), nullptr);
  }
  if (entry.values.empty()) return;
  for (const auto& [type, name] : entity) {
    auto& part = entry.entity.emplace_back();
    part.entity_type = type;
    part.entity_name = name;
  }
  call.response.entries->push_back(std::move(entry));
}

void refuse(Described& call, const AdminRefusal& refusal) {
  call.response.error_code = refusal.error;
  call.response.error_message = refusal.message;
  call.response.entries = std::nullopt;
  call.request->reply(call.response);
}

void describe_ips(const DescribedPtr& call) {
  const Filter& filter = call->filter;
  if (filter.user.asked || filter.client.asked || (!filter.ip.asked && filter.strict))
    return call->request->reply(call->response);
  call->context.control.configs().read_all("ips", "", [call](Result<Configs> all) {
    if (!all) return refuse(*call, {ErrorCode::unknown_server_error, std::nullopt});
    for (const auto& [part, config] : *all)
      if (is_match(call->filter.ip, entity_name(part), call->filter.strict))
        add_entry(*call, {{"ip", entity_name(part)}}, config, true);
    call->request->reply(call->response);
  });
}

void describe_both(const DescribedPtr& call) {
  call->context.control.configs().read_all("users", "clients", [call](Result<Configs> all) {
    if (!all) return refuse(*call, {ErrorCode::unknown_server_error, std::nullopt});
    for (const auto& [path, config] : *all) {
      size_t middle = path.find("/clients/");
      Name user = entity_name(path.substr(0, middle));
      Name client = entity_name(path.substr(middle + 9));
      if (is_match(call->filter.user, user, call->filter.strict) &&
          is_match(call->filter.client, client, call->filter.strict))
        add_entry(*call, {{"user", user}, {"client-id", client}}, config, false);
    }
    describe_ips(call);
  });
}

void describe_clients(const DescribedPtr& call) {
  call->context.control.configs().read_all("clients", "", [call](Result<Configs> all) {
    if (!all) return refuse(*call, {ErrorCode::unknown_server_error, std::nullopt});
    for (const auto& [part, config] : *all)
      if (is_match(call->filter.user, std::nullopt, call->filter.strict) &&
          is_match(call->filter.client, entity_name(part), call->filter.strict))
        add_entry(*call, {{"client-id", entity_name(part)}}, config, false);
    describe_both(call);
  });
}

void describe_users(const DescribedPtr& call) {
  if (call->filter.ip.asked) return describe_ips(call);
  call->context.control.configs().read_all("users", "", [call](Result<Configs> all) {
    if (!all) return refuse(*call, {ErrorCode::unknown_server_error, std::nullopt});
    for (const auto& [part, config] : *all)
      if (is_match(call->filter.user, entity_name(part), call->filter.strict) &&
          is_match(call->filter.client, std::nullopt, call->filter.strict))
        add_entry(*call, {{"user", entity_name(part)}}, config, false);
    describe_clients(call);
  });
}

// ---------------------------------------------------------------------------------------- alter

using AlterRequest = kmsg::AlterClientQuotasRequest;
using AlterResponse = kmsg::AlterClientQuotasResponse;

struct Entity {
  std::map<std::string, Name> parts;  // by type; a type given twice counts as last given
  // Where it is stored.
  std::string type, path;
  bool of_address = false;
};

struct Altered {
  ApiContext& context;
  RequestPtr request;
  AlterRequest asked;
  AlterResponse response;
  size_t next = 0;
  std::map<std::map<std::string, Name>, size_t> answered;  // which entry answers for an entity
  OneByOne steps;
};
using AlteredPtr = std::shared_ptr<Altered>;

AdminRefusal invalid(std::string text) { return {ErrorCode::invalid_request, std::move(text)}; }

AdminRefusal place(Entity& entity) {
  if (entity.parts.empty()) return invalid("Invalid empty client quota entity");
  std::optional<std::string> user, client, ip;
  for (const auto& [type, name] : entity.parts) {
    auto* part = type == "user"        ? &user
                 : type == "client-id" ? &client
                 : type == "ip"        ? &ip
                                       : nullptr;
    if (part == nullptr) return invalid("Unhandled client quota entity type: " + type);
    if (name && name->empty()) return invalid(fmt::format("Empty {} not supported", type));
    *part = entity_path_part(name);
  }
  if (ip && (user || client))
    return invalid(
        "Invalid quota entity combination, IP entity should not be used with "
        "user/client ID entity.");
  if (ip) {
    if (*ip != kDefaultEntity && !is_address(*ip))
      return invalid(*ip + " is not a valid IP or resolvable host.");
    entity.type = "ips", entity.path = *ip, entity.of_address = true;
  } else if (user) {
    entity.type = "users", entity.path = client ? *user + "/clients/" + *client : *user;
  } else {
    entity.type = "clients", entity.path = *client;
  }
  return {};
}

AdminRefusal apply(const std::vector<AlterRequest::OpData>& ops, bool of_address,
                   ConfigMap& config) {
  for (const auto& op : ops) {
    if (op.remove) {
      config.erase(op.key);
      continue;
    }
    auto type = quota_type(op.key, of_address);
    if (!type) return invalid("Invalid configuration key " + op.key);
    auto text = quota_text(*type, op.value);
    if (!text)
      return invalid(
          fmt::format("Configuration {} must be a {} value", op.key, quota_type_name(*type)));
    config[op.key] = std::move(*text);
  }
  return {};
}

void step(AlteredPtr call);

// One answer an entity: the last word on it counts.
void finish(AlteredPtr call, const Entity& entity, AdminRefusal outcome) {
  AlterResponse::EntryData entry;
  entry.error_code = outcome.error;
  entry.error_message = std::move(outcome.message);
  for (const auto& [type, name] : entity.parts) {
    auto& part = entry.entity.emplace_back();
    part.entity_type = type;
    part.entity_name = name;
  }
  auto& entries = call->response.entries;
  auto [at, is_new] = call->answered.try_emplace(entity.parts, entries.size());
  if (is_new)
    entries.push_back(std::move(entry));
  else
    entries[at->second] = std::move(entry);
  step(std::move(call));
}

void write(AlteredPtr call, const Entity& entity, const ConfigMap& config) {
  call->context.control.configs().write(
      entity.type, entity.path, config, [call, entity](Result<void> written) mutable {
        if (written) {
          log::info(kLog, "quota changed by request", "entity={}/{}", entity.type, entity.path);
          return finish(std::move(call), entity, {});
        }
        log::warn(kLog, "a quota was not written", "entity={}/{} why=\"{}\"", entity.type,
                  entity.path, written.error().context);
        finish(std::move(call), entity, {ErrorCode::unknown_server_error, std::nullopt});
      });
}

void next_entry(AlteredPtr call) {
  if (call->next == call->asked.entries.size()) return call->request->reply(call->response);
  const AlterRequest::EntryData& asked = call->asked.entries[call->next++];
  Entity entity;
  for (const auto& part : asked.entity) entity.parts[part.entity_type] = part.entity_name;
  if (AdminRefusal refusal = place(entity); !refusal.ok())
    return finish(std::move(call), entity, std::move(refusal));
  call->context.control.configs().read(
      entity.type, entity.path, [call, &asked, entity](Result<ConfigMap> stored) mutable {
        if (!stored)
          return finish(std::move(call), entity, {ErrorCode::unknown_server_error, std::nullopt});
        AdminRefusal refusal = apply(asked.ops, entity.of_address, *stored);
        if (!refusal.ok() || call->asked.validate_only)
          return finish(std::move(call), entity, std::move(refusal));
        write(std::move(call), entity, *stored);
      });
}

void step(AlteredPtr call) {
  call->steps.run([&call] { next_entry(call); });
}

}  // namespace

void handle_describe_client_quotas(ApiContext& context, RequestPtr request) {
  kmsg::DescribeClientQuotasRequest asked;
  if (!decode(*request, asked)) return;
  auto call = std::make_shared<Described>(Described{context, std::move(request), {}, {}});
  if (AdminRefusal refusal = read_filter(asked, call->filter); !refusal.ok())
    return refuse(*call, refusal);
  describe_users(call);
}

void handle_alter_client_quotas(ApiContext& context, RequestPtr request) {
  AlterRequest asked;
  if (!decode(*request, asked)) return;
  step(std::make_shared<Altered>(Altered{context, std::move(request), std::move(asked), {}, 0, {}, {}}));
}

}  // namespace ottla::broker
