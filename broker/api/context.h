// ApiContext: what handlers may use of their broker. One per broker; outlives every request.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "broker/config/describe.h"
#include "broker/controller/broker_channel.h"
#include "broker/controller/control_plane.h"
#include "broker/partition/fetch_session.h"
#include "broker/partition/replica_manager.h"
#include "common/rt/world.h"

namespace ottla::broker {

class GroupService;
class ProducerIds;

struct ApiContext {
  rt::World& world;
  const BrokerConfig& config;  // as it is now: dynamic configs included
  const int32_t broker_id;
  ReplicaManager& replicas;
  ControlPlane& control;
  FetchSessionCache& sessions;
  GroupService& groups;
  ProducerIds& producer_ids;
  const DynamicConfigs& dynamic;
  const BrokerConfig& file_config;  // as the broker was started
  RequestExecutor& executor;  // what controllers ask of this broker
  // Gone when the broker is: for what a handler posts.
  std::shared_ptr<int> alive = std::make_shared<int>(0);

  const MetadataImage& metadata() const { return *replicas.metadata(); }
};

// Bits of "authorized operations" where everything is allowed: no authorizer is configured.
constexpr int32_t kAllTopicOperations = 3576;
constexpr int32_t kAllClusterOperations = 8096;

}  // namespace ottla::broker
