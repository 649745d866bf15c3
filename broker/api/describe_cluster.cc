// DescribeCluster. Source: KIP-700, KIP-919.
#include "proto/kafka/describe_cluster.h"

#include <fmt/core.h>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {
constexpr int8_t kBrokers = 1, kControllers = 2;
}

void handle_describe_cluster(ApiContext& context, RequestPtr request) {
  kmsg::DescribeClusterRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DescribeClusterResponse response;
  if (asked.endpoint_type == kControllers) {
    response.error_code = ErrorCode::mismatched_endpoint_type;
    response.error_message =
        "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type "
        "CONTROLLER";
    return request->reply(response);
  }
  if (asked.endpoint_type != kBrokers) {
    response.error_code = ErrorCode::unsupported_endpoint_type;
    response.error_message = fmt::format("Unsupported endpoint type {}", asked.endpoint_type);
    return request->reply(response);
  }
  const MetadataImage& image = context.metadata();
  response.cluster_id = image.cluster_id();
  response.controller_id = image.controller_id();
  if (asked.include_cluster_authorized_operations)
    response.cluster_authorized_operations = kAllClusterOperations;
  for (const auto& [id, broker] : image.brokers()) {
    const BrokerEndpoint* endpoint = broker.endpoint(request->client().listener_name);
    if (endpoint == nullptr) continue;
    kmsg::DescribeClusterResponse::DescribeClusterBroker entry;
    entry.broker_id = id;
    entry.host = endpoint->host;
    entry.port = endpoint->port;
    entry.rack = broker.rack;
    response.brokers.push_back(std::move(entry));
  }
  request->reply(response);
}

}  // namespace ottla::broker
