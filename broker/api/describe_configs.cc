// DescribeConfigs: from the tables of broker/config and what ZooKeeper stores.
// Source: KIP-133, KIP-226, KIP-412 (loggers), KIP-569.
#include "proto/kafka/describe_configs.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "broker/api/handlers.h"
#include "broker/api/loggers.h"
#include "broker/api/one_by_one.h"
#include "common/wire/repeats.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::DescribeConfigsResponse;
using Resource = kmsg::DescribeConfigsRequest::DescribeConfigsResource;

namespace {

constexpr int8_t kTopic = 2, kBroker = 4, kBrokerLogger = 8, kClientMetrics = 16;

struct Call {
  ApiContext& context;
  RequestPtr request;
  kmsg::DescribeConfigsRequest asked;
  Response response;
  size_t next = 0;
  OneByOne steps;
  wire::Repeats<std::pair<int8_t, std::string>> repeats;

  void tell(Response::DescribeConfigsResult result) {
    repeats.told(result, request->version());
    response.results.push_back(std::move(result));
  }
};

// The names that a resource was asked for: a set, since there may be as many as a request holds.
class Wanted {
 public:
  explicit Wanted(const Resource& resource) {
    if (const auto& keys = resource.configuration_keys) names_.insert(keys->begin(), keys->end());
  }
  bool contains(std::string_view name) const { return names_.empty() || names_.contains(name); }

 private:
  std::set<std::string_view> names_;  // none: all that there is
};

void add_configs(const Call& call, const Resource& resource, std::vector<DescribedConfig> described,
                 Response::DescribeConfigsResult& result) {
  Wanted wanted(resource);
  for (DescribedConfig& one : described) {
    if (!wanted.contains(one.name)) continue;
    auto& entry = result.configs.emplace_back();
    entry.name = std::move(one.name);
    entry.value = std::move(one.value);
    entry.read_only = one.read_only;
    entry.config_source = static_cast<int8_t>(one.source);
    entry.is_sensitive = one.sensitive;
    entry.config_type = one.type;
    entry.documentation = std::nullopt;
    if (call.asked.include_documentation && one.doc[0] != '\0') entry.documentation = one.doc;
    if (!call.asked.include_synonyms) continue;
    for (DescribedConfig::Synonym& synonym : one.synonyms) {
      auto& place = entry.synonyms.emplace_back();
      place.name = std::move(synonym.name);
      place.value = std::move(synonym.value);
      place.source = static_cast<int8_t>(synonym.source);
    }
  }
}

void refuse(Response::DescribeConfigsResult& result, ErrorCode error,
            std::optional<std::string> message) {
  result.error_code = error;
  result.error_message = std::move(message);
}

// "Is this me?": the id of a broker resource, or the refusal that Kafka's text goes with.
bool is_this_broker(const Call& call, const std::string& name, const char* or_empty,
                    Response::DescribeConfigsResult& result) {
  int32_t id = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size()) {
    refuse(result, ErrorCode::invalid_request, "Broker id must be an integer, but it is: " + name);
    return false;
  }
  if (id == call.context.broker_id) return true;
  refuse(result, ErrorCode::invalid_request,
         fmt::format("Unexpected broker id, expected {}{} but received {}", call.context.broker_id,
                     or_empty, name));
  return false;
}

void describe_broker_resource(const Call& call, const Resource& resource,
                              Response::DescribeConfigsResult& result) {
  if (resource.resource_name.empty())
    return add_configs(call, resource, describe_cluster_default(call.context.dynamic), result);
  if (is_this_broker(call, resource.resource_name, " or empty string,", result))
    add_configs(call, resource, describe_broker(call.context.config, call.context.dynamic), result);
}

void describe_logger(const Call& call, const Resource& resource,
                     Response::DescribeConfigsResult& result) {
  if (resource.resource_name.empty())
    return refuse(result, ErrorCode::invalid_request, "Broker id must not be empty");
  if (!is_this_broker(call, resource.resource_name, "", result)) return;
  Wanted wanted(resource);
  for (const LoggerName& logger : logger_names()) {
    if (!wanted.contains(logger.name)) continue;
    auto& entry = result.configs.emplace_back();
    entry.name = logger.name;
    entry.value = logger_level(logger);
    entry.config_source = 6;  // dynamic broker logger
    entry.documentation = std::nullopt;
  }
}

void step(std::shared_ptr<Call> call);

void describe_topic_resource(std::shared_ptr<Call> call, const Resource& resource,
                             Response::DescribeConfigsResult result) {
  const std::string& name = resource.resource_name;
  if (auto fault = topic_name_fault(name)) {
    refuse(result, ErrorCode::invalid_topic_exception, "Topic name is invalid: " + *fault);
  } else if (call->context.metadata().topic(name) == nullptr) {
    refuse(result, ErrorCode::unknown_topic_or_partition, std::nullopt);
    result.error_message = "";
  } else {
    call->context.control.read_config(
        "topics", name,
        [call, &resource, result = std::move(result)](Result<ConfigMap> stored) mutable {
          if (!stored)
            refuse(result, ErrorCode::unknown_server_error, stored.error().context);
          else
            add_configs(*call, resource,
                        describe_topic(call->context.config, call->context.dynamic, *stored),
                        result);
          call->tell(std::move(result));
          step(std::move(call));
        });
    return;
  }
  call->tell(std::move(result));
  step(std::move(call));
}

// Topics are read from ZooKeeper one after the other.
void next_resource(std::shared_ptr<Call> call) {
  if (call->next == call->asked.resources.size()) return call->request->reply(call->response);
  const Resource& resource = call->asked.resources[call->next++];
  if (!call->repeats.admits({resource.resource_type, resource.resource_name}))
    return step(std::move(call));
  Response::DescribeConfigsResult result;
  result.resource_type = resource.resource_type;
  result.resource_name = resource.resource_name;
  switch (resource.resource_type) {
    case kTopic:
      return describe_topic_resource(std::move(call), resource, std::move(result));
    case kBroker:
      describe_broker_resource(*call, resource, result);
      call->tell(std::move(result));
      // They are many: the loop's others come between a broker and the next.
      return call->context.world.loop.post([call, alive = std::weak_ptr<int>(call->context.alive)] {
        if (!alive.expired()) step(call);
      });
    case kBrokerLogger:
      describe_logger(*call, resource, result);
      break;
    case kClientMetrics:
      refuse(result, ErrorCode::invalid_request,
             resource.resource_name.empty()
                 ? "Client metrics subscription name must not be empty"
                 : "Config type client-metrics is only supported on KRaft clusters");
      break;
    default:  // refuses_all() left none
      break;
  }
  call->tell(std::move(result));
  step(std::move(call));
}

void step(std::shared_ptr<Call> call) {
  call->steps.run([&call] { next_resource(call); });
}

// A kind of resource that cannot be described fails the whole request.
bool refuses_all(const kmsg::DescribeConfigsRequest& asked, Response& response) {
  auto is_known = [](const Resource& resource) {
    int8_t type = resource.resource_type;
    return type == kTopic || type == kBroker || type == kBrokerLogger || type == kClientMetrics;
  };
  if (std::all_of(asked.resources.begin(), asked.resources.end(), is_known)) return false;
  for (const Resource& resource : asked.resources) {
    auto& result = response.results.emplace_back();
    result.resource_type = resource.resource_type;
    result.resource_name = resource.resource_name;
    refuse(result, ErrorCode::invalid_request,
           std::string(kmsg::error_message(ErrorCode::invalid_request)));
  }
  return true;
}

}  // namespace

void handle_describe_configs(ApiContext& context, RequestPtr request) {
  auto call = std::make_shared<Call>(Call{context, nullptr, {}, {}, 0, {}});
  if (!decode(*request, call->asked)) return;
  call->request = std::move(request);
  if (refuses_all(call->asked, call->response)) return call->request->reply(call->response);
  step(std::move(call));
}

}  // namespace ottla::broker
