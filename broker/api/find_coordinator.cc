// FindCoordinator: which broker leads the partition that stores a group. The internal topic is made
// when somebody asks for the first time. Source: KIP-98, KIP-699 (several keys).
#include "proto/kafka/find_coordinator.h"

#include <algorithm>

#include "broker/api/group_service.h"
#include "broker/api/handlers.h"
#include "proto/kafka/java_string.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::FindCoordinatorResponse;

namespace {

constexpr int8_t kGroup = 0, kTransaction = 1, kShare = 2;
constexpr int16_t kFirstWithSeveral = 4;
constexpr std::string_view kTransactionsTopic = "__transaction_state";

Response::Coordinator refused(ErrorCode error) {
  Response::Coordinator entry;
  entry.error_code = error;
  entry.node_id = -1;
  entry.port = -1;
  entry.error_message = std::string(kmsg::error_message(error));
  return entry;
}

// The leader of the partition that keeps the key; the topic is made if it is not there.
Response::Coordinator find_leader(ApiContext& context, const std::string& listener,
                                  std::string_view topic_name, int32_t partition_of_key) {
  const MetadataImage& image = context.metadata();
  const TopicView* topic = image.topic(topic_name);
  if (topic == nullptr) {
    context.control.topics().auto_create(std::string(topic_name));
    return refused(ErrorCode::coordinator_not_available);
  }
  auto partition = topic->partitions.find(partition_of_key);
  if (partition == topic->partitions.end()) return refused(ErrorCode::coordinator_not_available);
  const BrokerView* broker = image.broker(partition->second.leader);
  const BrokerEndpoint* endpoint = broker ? broker->endpoint(listener) : nullptr;
  if (endpoint == nullptr) return refused(ErrorCode::coordinator_not_available);
  Response::Coordinator entry;
  entry.node_id = broker->id;
  entry.host = endpoint->host;
  entry.port = endpoint->port;
  return entry;
}

int32_t partition_of_transaction(const ApiContext& context, const std::string& key) {
  const TopicView* topic = context.metadata().topic(kTransactionsTopic);
  auto count = topic != nullptr ? static_cast<int32_t>(topic->partitions.size())
                                : context.config.transaction_state_log_num_partitions;
  return kmsg::java_abs(kmsg::java_string_hash(key)) % std::max(count, 1);
}

Response::Coordinator find(ApiContext& context, Request& request, int8_t type,
                           const std::string& key) {
  const std::string& listener = request.client().listener_name;
  switch (type) {
    case kGroup:
      return find_leader(context, listener, kOffsetsTopic, context.groups.partition_for(key));
    // Whoever keeps the id is found; what it does not do yet, InitProducerId says.
    case kTransaction: {
      Response::Coordinator entry = find_leader(context, listener, kTransactionsTopic,
                                                partition_of_transaction(context, key));
      // A topic that can never be made here would have clients ask again until they give up.
      bool hopeless = context.metadata().topic(kTransactionsTopic) == nullptr &&
                      context.config.transaction_state_log_replication_factor >
                          static_cast<int32_t>(context.metadata().brokers().size());
      return hopeless ? refused(ErrorCode::unsupported_version) : entry;
    }
    case kShare: {
      Response::Coordinator entry =
          refused(request.version() >= 6 ? ErrorCode::coordinator_not_available
                                         : ErrorCode::invalid_request);
      if (request.version() >= kFirstWithSeveral) entry.error_message = "";
      return entry;
    }
    default:
      return refused(ErrorCode::invalid_request);
  }
}

}  // namespace

void handle_find_coordinator(ApiContext& context, RequestPtr request) {
  kmsg::FindCoordinatorRequest asked;
  if (!decode(*request, asked)) return;
  MetadataPtr held = context.replicas.metadata();
  Response response;
  if (request->version() < kFirstWithSeveral) {
    Response::Coordinator found = find(context, *request, asked.key_type, asked.key);
    response.error_code = found.error_code;
    response.error_message = found.error_message;
    if (found.error_code == ErrorCode::none) response.error_message = "NONE";
    response.node_id = found.node_id;
    response.host = found.host;
    response.port = found.port;
    return request->reply(response);
  }
  for (const std::string& key : asked.coordinator_keys) {
    Response::Coordinator found = find(context, *request, asked.key_type, key);
    found.key = key;
    // Only a type that nobody knows is told in words from here on.
    if (asked.key_type >= kGroup && asked.key_type <= kShare) found.error_message = "";
    response.coordinators.push_back(std::move(found));
  }
  request->reply(response);
}

}  // namespace ottla::broker
