// AlterConfigs and IncrementalAlterConfigs: one resource after the other is checked, changed and
// written to ZooKeeper; what is written holds here before the answer. Any broker answers for topics
// and for the cluster's default, each for itself alone. Source: KIP-133, KIP-226, KIP-339, KIP-412.
#include "proto/kafka/alter_configs.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "broker/api/handlers.h"
#include "broker/api/loggers.h"
#include "broker/api/one_by_one.h"
#include "broker/config/broker_keys.h"
#include "broker/config/topic_keys.h"
#include "broker/controller/config_store.h"
#include "common/base/log.h"
#include "proto/kafka/incremental_alter_configs.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr log::Room kLog{"broker.api"};
constexpr int8_t kTopic = 2, kBroker = 4, kBrokerLogger = 8, kClientMetrics = 16;

struct Resource {
  int8_t type = 0;
  std::string name;
  std::vector<Alteration> alterations;
  AdminRefusal outcome;
};

struct Call {
  ApiContext& context;
  RequestPtr request;
  bool incremental = false;
  bool validate_only = false;
  std::vector<Resource> resources;
  size_t next = 0;
  OneByOne steps;
};
using CallPtr = std::shared_ptr<Call>;

void step(CallPtr call);

void refuse(Resource& resource, ErrorCode error, std::optional<std::string> text) {
  resource.outcome = {error, std::move(text)};
}

const char* type_name(int8_t type) {
  return type == kTopic ? "TOPIC" : type == kBroker ? "BROKER" : "?";
}

void refuse(Resource& resource, ConfigRefusal refusal) {
  switch (refusal.kind) {
    case RefusalKind::invalid_config:
      return refuse(resource, ErrorCode::invalid_config, std::move(refusal.text));
    case RefusalKind::bad_value:
      return refuse(resource, ErrorCode::invalid_config,
                    fmt::format("Invalid config value for resource ConfigResource(type={}, "
                                "name='{}'): {}",
                                type_name(resource.type), resource.name, refusal.text));
    case RefusalKind::invalid_request:
      return refuse(resource, ErrorCode::invalid_request, std::move(refusal.text));
    case RefusalKind::server_error:
      return refuse(resource, ErrorCode::unknown_server_error, std::nullopt);
  }
}

// What is wrong with a resource whatever its type.
bool is_malformed(Resource& resource, bool incremental) {
  std::set<std::string_view> names;
  std::vector<std::string_view> nulls;
  for (const Alteration& one : resource.alterations) {
    if (!names.insert(one.name).second) {
      refuse(resource, ErrorCode::invalid_request, "Error due to duplicate config keys");
      return true;
    }
    bool needs_value = !incremental || static_cast<AlterOp>(one.op) != AlterOp::remove;
    if (needs_value && !one.value) nulls.push_back(one.name);
  }
  if (nulls.empty()) return false;
  refuse(resource, ErrorCode::invalid_request,
         fmt::format("Null value not supported for : {}", fmt::join(nulls, ", ")));
  return true;
}

// The id of a broker or logger resource must be this broker's.
bool is_elsewhere(const Call& call, Resource& resource) {
  const std::string& name = resource.name;
  int32_t id = 0, self = call.context.broker_id;
  const char* digits = name.data() + (name.starts_with('+') ? 1 : 0);
  auto [end, error] = std::from_chars(digits, name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size()) {
    refuse(resource, ErrorCode::invalid_request, "Node id must be an integer, but it is: " + name);
    return true;
  }
  if (id == self) return false;
  // The text for loggers names this broker twice, as Kafka's does.
  refuse(resource, ErrorCode::invalid_request,
         resource.type == kBrokerLogger
             ? fmt::format("Unexpected node id. Expected {}, but received {}", self, self)
             : fmt::format("Unexpected broker id, expected {}, but received {}", self, name));
  return true;
}

void write(CallPtr call, Resource& resource, const std::string& type, const std::string& name,
           const ConfigOverrides& config) {
  if (call->validate_only) return step(std::move(call));
  call->context.control.configs().write(
      type, name, config, [call, &resource, type, name](Result<void> written) mutable {
        if (!written) {
          log::warn(kLog, "a config was not written", "entity={}/{} why=\"{}\"", type, name,
                    written.error().context);
          refuse(resource, ErrorCode::unknown_server_error, std::nullopt);
        } else {
          log::info(kLog, "config changed by request", "entity={}/{}", type, name);
        }
        step(std::move(call));
      });
}

// `config`: what stands stored, or nothing where all of it is replaced.
void alter_topic(CallPtr call, Resource& resource, ConfigOverrides config) {
  if (call->incremental) {
    if (auto refusal = alter_config(resource.alterations, find_topic_key, config)) {
      refuse(resource, std::move(*refusal));
      return step(std::move(call));
    }
  } else {
    for (const Alteration& one : resource.alterations) config[one.name] = *one.value;
  }
  if (call->context.metadata().topic(resource.name) == nullptr) {
    refuse(resource, ErrorCode::unknown_topic_or_partition,
           fmt::format("The topic '{}' does not exist.", resource.name));
    return step(std::move(call));
  }
  bool bad_value = false;
  std::string fault = topic_config_fault(call->context.config, config, &bad_value);
  if (!fault.empty()) {
    refuse(resource, {bad_value ? RefusalKind::bad_value : RefusalKind::invalid_config, fault});
    return step(std::move(call));
  }
  write(std::move(call), resource, "topics", resource.name, config);
}

void alter_broker(CallPtr call, Resource& resource, const ConfigOverrides& stored) {
  bool per_broker = !resource.name.empty();
  ConfigOverrides config;
  if (call->incremental) {
    config = usable_dynamic(stored, per_broker);
    for (const Alteration& one : resource.alterations)
      if (one.op < 0 || one.op > 3) {
        refuse(resource, ErrorCode::invalid_request,
               fmt::format("Unknown operations type {}", static_cast<int>(one.op)));
        return step(std::move(call));
      }
    if (auto refusal = alter_config(resource.alterations, find_static_broker_key, config)) {
      refuse(resource, std::move(*refusal));
      return step(std::move(call));
    }
  } else {
    for (const Alteration& one : resource.alterations) config[one.name] = *one.value;
  }
  std::string fault =
      dynamic_config_fault(call->context.file_config, call->context.dynamic, config, per_broker);
  if (!fault.empty()) {
    refuse(resource, ErrorCode::invalid_request, std::move(fault));
    return step(std::move(call));
  }
  for (const auto& [name, value] : config)
    if (!call->validate_only && is_password_key(name)) {
      refuse(resource, {RefusalKind::bad_value,
                        per_broker ? "Password encoder secret not configured"
                                   : "Password config can be defined only at broker level"});
      return step(std::move(call));
    }
  std::string entity = per_broker ? std::to_string(call->context.broker_id) : kDefaultEntity;
  write(std::move(call), resource, "brokers", entity, config);
}

void with_stored(CallPtr call, Resource& resource, const std::string& type, const std::string& name,
                 void (*then)(CallPtr, Resource&, ConfigOverrides)) {
  if (!call->incremental) return then(std::move(call), resource, {});
  call->context.control.configs().read(
      type, name, [call, &resource, then](Result<ConfigMap> stored) mutable {
        if (stored) return then(std::move(call), resource, std::move(*stored));
        refuse(resource, ErrorCode::unknown_server_error, std::nullopt);
        step(std::move(call));
      });
}

void start(CallPtr call, Resource& resource) {
  if (!resource.outcome.ok() || is_malformed(resource, call->incremental))
    return step(std::move(call));
  switch (resource.type) {
    case kTopic:
      if (resource.name.empty()) {
        refuse(resource, ErrorCode::invalid_request, "Default topic resources are not allowed.");
        return step(std::move(call));
      }
      if (call->incremental)
        if (std::string fault = path_fault("/config/topics/" + resource.name); !fault.empty()) {
          refuse(resource, {RefusalKind::bad_value, std::move(fault)});
          return step(std::move(call));
        }
      return with_stored(std::move(call), resource, "topics", resource.name, alter_topic);
    case kBroker: {
      if (!resource.name.empty() && is_elsewhere(*call, resource)) return step(std::move(call));
      std::string entity =
          resource.name.empty() ? kDefaultEntity : std::to_string(call->context.broker_id);
      return with_stored(std::move(call), resource, "brokers", entity,
                         [](CallPtr c, Resource& r, ConfigOverrides stored) {
                           alter_broker(std::move(c), r, stored);
                         });
    }
    case kBrokerLogger:
      if (!call->incremental) break;
      if (is_elsewhere(*call, resource)) return step(std::move(call));
      if (auto refusal = logger_refusal(resource.alterations))
        refuse(resource, std::move(*refusal));
      else if (!call->validate_only)
        alter_loggers(resource.alterations);
      return step(std::move(call));
    case kClientMetrics:
      refuse(resource, ErrorCode::invalid_request,
             "AlterConfigs is only supported for topics and brokers, but resource type is "
             "CLIENT_METRICS");
      return step(std::move(call));
    default:
      break;
  }
  refuse(resource, ErrorCode::invalid_request,
         fmt::format("Unknown resource type {}", static_cast<int>(resource.type)));
  step(std::move(call));
}

template <class Response>
void answer(Call& call) {
  Response response;
  for (Resource& resource : call.resources) {
    auto& entry = response.responses.emplace_back();
    entry.error_code = resource.outcome.error;
    entry.error_message = std::move(resource.outcome.message);
    entry.resource_type = resource.type;
    entry.resource_name = std::move(resource.name);
  }
  call.request->reply(response);
}

void next_resource_or_answer(CallPtr call) {
  if (call->next < call->resources.size()) {
    Resource& resource = call->resources[call->next++];
    return start(std::move(call), resource);
  }
  if (call->incremental)
    answer<kmsg::IncrementalAlterConfigsResponse>(*call);
  else
    answer<kmsg::AlterConfigsResponse>(*call);
}

void step(CallPtr call) {
  call->steps.run([&call] { next_resource_or_answer(call); });
}

template <class Message>
void handle(ApiContext& context, RequestPtr request, bool incremental) {
  Message asked;
  if (!decode(*request, asked)) return;
  auto call = std::make_shared<Call>(
      Call{context, std::move(request), incremental, asked.validate_only, {}, 0, {}});
  std::map<std::pair<int8_t, std::string>, size_t> first;
  for (auto& asked_resource : asked.resources) {
    Resource& resource = call->resources.emplace_back();
    resource.type = asked_resource.resource_type;
    resource.name = std::move(asked_resource.resource_name);
    for (auto& config : asked_resource.configs) {
      Alteration& one = resource.alterations.emplace_back();
      one.name = std::move(config.name);
      one.value = std::move(config.value);
      if constexpr (requires { config.config_operation; }) one.op = config.config_operation;
    }
    auto [at, is_new] =
        first.try_emplace({resource.type, resource.name}, call->resources.size() - 1);
    if (is_new) continue;
    for (Resource* twice : {&call->resources[at->second], &resource})
      refuse(*twice, ErrorCode::invalid_request, "Each resource must appear at most once.");
  }
  step(std::move(call));
}

}  // namespace

void handle_alter_configs(ApiContext& context, RequestPtr request) {
  handle<kmsg::AlterConfigsRequest>(context, std::move(request), false);
}

void handle_incremental_alter_configs(ApiContext& context, RequestPtr request) {
  handle<kmsg::IncrementalAlterConfigsRequest>(context, std::move(request), true);
}

}  // namespace ottla::broker
