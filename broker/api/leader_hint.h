// Who leads now, beside a refusal by a broker that does not: the client need not ask for metadata.
// Source: KIP-951.
#pragma once

#include <string>

#include "broker/api/context.h"
#include "broker/api/request.h"

namespace ottla::broker {

// `entry` is a partition's part of `response`; its endpoint is named once in a response.
template <class Entry, class Response>
void add_leader_hint(ApiContext& context, Request& request, const std::string& topic,
                     int32_t partition, Entry& entry, Response& response) {
  if (entry.error_code != kmsg::ErrorCode::not_leader_or_follower &&
      entry.error_code != kmsg::ErrorCode::fenced_leader_epoch)
    return;
  const PartitionView* view = context.metadata().partition(topic, partition);
  if (view == nullptr) return;
  entry.current_leader.leader_id = view->leader;
  entry.current_leader.leader_epoch = view->leader_epoch;
  const BrokerView* broker = context.metadata().broker(view->leader);
  const BrokerEndpoint* endpoint =
      broker ? broker->endpoint(request.client().listener_name) : nullptr;
  if (endpoint == nullptr) return;
  for (const auto& known : response.node_endpoints)
    if (known.node_id == view->leader) return;
  auto& node = response.node_endpoints.emplace_back();
  node.node_id = view->leader;
  node.host = endpoint->host;
  node.port = endpoint->port;
  node.rack = broker->rack;
}

}  // namespace ottla::broker
