// FindCoordinator: which broker leads the partition that stores a group. The internal topic is made
// when somebody asks for the first time. Source: KIP-98, KIP-699 (several keys).
#include "proto/kafka/find_coordinator.h"

#include "broker/api/group_service.h"
#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::FindCoordinatorResponse;

namespace {

constexpr int8_t kGroup = 0, kTransaction = 1, kShare = 2;
constexpr int16_t kFirstWithSeveral = 4;

Response::Coordinator refused(ErrorCode error) {
  Response::Coordinator entry;
  entry.error_code = error;
  entry.node_id = -1;
  entry.port = -1;
  entry.error_message = std::string(kmsg::error_message(error));
  return entry;
}

Response::Coordinator find_group(ApiContext& context, const std::string& listener,
                                 const std::string& key) {
  const MetadataImage& image = context.metadata();
  const TopicView* topic = image.topic(kOffsetsTopic);
  if (topic == nullptr) {
    context.control.topics().auto_create(std::string(kOffsetsTopic));
    return refused(ErrorCode::coordinator_not_available);
  }
  auto partition = topic->partitions.find(context.groups.partition_for(key));
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

Response::Coordinator find(ApiContext& context, Request& request, int8_t type,
                           const std::string& key) {
  switch (type) {
    case kGroup:
      return find_group(context, request.client().listener_name, key);
    // The transaction coordinator is not built yet; clients take this as final.
    case kTransaction:
      return refused(ErrorCode::unsupported_version);
    case kShare:
      return refused(request.version() >= 6 ? ErrorCode::coordinator_not_available
                                            : ErrorCode::invalid_request);
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
    response.coordinators.push_back(std::move(found));
  }
  request->reply(response);
}

}  // namespace ottla::broker
