// Room broker/controller: requests to brokers, built from the controller's state. No I/O of its
// own.
#include "broker/controller/request_batch.h"

#include <algorithm>

namespace ottla::broker {
namespace {

constexpr int32_t kEpochDuringDelete = -2;
constexpr int32_t kNoEpoch = -1;

// Entries come sorted by topic: a topic's partitions stand together.
template <class Request, class TopicState>
TopicState& topic_entry(Request& request, std::vector<TopicState>& topics,
                        const std::string& name) {
  (void)request;
  if (topics.empty() || topics.back().topic_name != name) {
    topics.emplace_back();
    topics.back().topic_name = name;
  }
  return topics.back();
}

kmsg::Uuid topic_id(const ControllerState& state, const std::string& topic) {
  auto it = state.topics.find(topic);
  return it == state.topics.end() ? kmsg::Uuid{} : it->second.id;
}

const BrokerEndpoint* endpoint_of(const LiveBroker& broker, const std::string& listener) {
  for (const BrokerEndpoint& endpoint : broker.registration.endpoints)
    if (endpoint.listener == listener) return &endpoint;
  return broker.registration.endpoints.empty() ? nullptr : &broker.registration.endpoints.front();
}

kmsg::LeaderAndIsrRequest leader_and_isr_request(const ControllerState& state,
                                                 const std::map<TopicPartition, bool>& entries,
                                                 const RequestBatch::Sender& sender) {
  kmsg::LeaderAndIsrRequest request;
  request.controller_id = sender.controller_id;
  request.controller_epoch = state.epoch;
  std::set<int32_t> leaders;
  for (const auto& [tp, is_new] : entries) {
    const PartitionContext* partition = state.find(tp);
    if (partition == nullptr || !partition->state) continue;
    auto& topic = topic_entry(request, request.topic_states, tp.topic);
    topic.topic_id = topic_id(state, tp.topic);
    auto& out = topic.partition_states.emplace_back();
    out.partition_index = tp.partition;
    out.controller_epoch = partition->state->controller_epoch;
    out.leader = partition->state->leader;
    out.leader_epoch = partition->state->leader_epoch;
    out.isr = partition->state->isr;
    out.partition_epoch = partition->zk_version;
    out.replicas = partition->replicas;
    out.adding_replicas = partition->adding;
    out.removing_replicas = partition->removing;
    out.is_new = is_new;
    out.leader_recovery_state = partition->state->recovering ? 1 : 0;
    if (state.live(out.leader)) leaders.insert(out.leader);
  }
  for (int32_t id : leaders) {
    const BrokerEndpoint* endpoint =
        endpoint_of(state.brokers.at(id), sender.inter_broker_listener);
    if (endpoint == nullptr) continue;
    auto& leader = request.live_leaders.emplace_back();
    leader.broker_id = id;
    leader.host_name = endpoint->host;
    leader.port = endpoint->port;
  }
  return request;
}

kmsg::UpdateMetadataRequest update_metadata_request(const ControllerState& state,
                                                    const std::set<TopicPartition>& entries,
                                                    const RequestBatch::Sender& sender) {
  kmsg::UpdateMetadataRequest request;
  request.controller_id = sender.controller_id;
  request.controller_epoch = state.epoch;
  for (const TopicPartition& tp : entries) {
    const PartitionContext* partition = state.find(tp);
    if (partition == nullptr || !partition->state) continue;
    bool deleting = state.deleting(tp.topic);
    auto& topic = topic_entry(request, request.topic_states, tp.topic);
    topic.topic_id = topic_id(state, tp.topic);
    auto& out = topic.partition_states.emplace_back();
    out.partition_index = tp.partition;
    out.controller_epoch = deleting ? state.epoch : partition->state->controller_epoch;
    out.leader = deleting ? kLeaderDuringDelete : partition->state->leader;
    out.leader_epoch = deleting ? 0 : partition->state->leader_epoch;
    out.isr = partition->state->isr;
    out.zk_version = deleting ? 0 : partition->zk_version;
    out.replicas = partition->replicas;
    for (int32_t replica : partition->replicas)
      if (!state.online(replica, tp)) out.offline_replicas.push_back(replica);
  }
  for (const auto& [id, broker] : state.brokers) {
    auto& live = request.live_brokers.emplace_back();
    live.id = id;
    live.rack = broker.registration.rack;
    for (const BrokerEndpoint& endpoint : broker.registration.endpoints) {
      auto& out = live.endpoints.emplace_back();
      out.host = endpoint.host;
      out.port = endpoint.port;
      out.listener = endpoint.listener;
      out.security_protocol = endpoint.security_protocol;
    }
  }
  return request;
}

kmsg::StopReplicaRequest stop_replica_request(const ControllerState& state,
                                              const std::map<TopicPartition, bool>& entries,
                                              bool remove, const RequestBatch::Sender& sender) {
  kmsg::StopReplicaRequest request;
  request.controller_id = sender.controller_id;
  request.controller_epoch = state.epoch;
  for (const auto& [tp, is_remove] : entries) {
    if (is_remove != remove) continue;
    auto& topic = topic_entry(request, request.topic_states, tp.topic);
    auto& out = topic.partition_states.emplace_back();
    const PartitionContext* partition = state.find(tp);
    out.partition_index = tp.partition;
    out.delete_partition = remove;
    if (state.deleting(tp.topic))
      out.leader_epoch = kEpochDuringDelete;
    else
      out.leader_epoch =
          partition != nullptr && partition->state ? partition->state->leader_epoch : kNoEpoch;
  }
  return request;
}

}  // namespace

void RequestBatch::leader_and_isr(int32_t broker, const TopicPartition& tp, bool is_new) {
  bool& entry = leader_and_isr_[broker][tp];
  entry = entry || is_new;
}

void RequestBatch::update_metadata(const std::vector<int32_t>& brokers,
                                   const std::vector<TopicPartition>& tps) {
  update_metadata_brokers_.insert(brokers.begin(), brokers.end());
  update_metadata_partitions_.insert(tps.begin(), tps.end());
}

void RequestBatch::stop_replica(int32_t broker, const TopicPartition& tp, bool remove) {
  bool& entry = stop_replica_[broker][tp];
  entry = entry || remove;
}

void RequestBatch::send(const ControllerState& state, const Sender& sender) {
  for (const auto& [id, entries] : leader_and_isr_) {
    if (!state.live(id)) continue;
    kmsg::LeaderAndIsrRequest request = leader_and_isr_request(state, entries, sender);
    if (request.topic_states.empty()) continue;
    request.broker_epoch = state.brokers.at(id).epoch;
    sender.channel.leader_and_isr(
        id, std::move(request),
        [to = id, told = sender.on_leader_and_isr](kmsg::LeaderAndIsrResponse response) {
          told(to, std::move(response));
        });
  }
  if (!update_metadata_brokers_.empty()) {
    kmsg::UpdateMetadataRequest request =
        update_metadata_request(state, update_metadata_partitions_, sender);
    for (int32_t id : update_metadata_brokers_) {
      if (!state.live(id)) continue;
      request.broker_epoch = state.brokers.at(id).epoch;
      sender.channel.update_metadata(id, request, [](kmsg::UpdateMetadataResponse) {});
    }
  }
  for (const auto& [id, entries] : stop_replica_) {
    if (!state.live(id)) continue;
    for (bool remove : {false, true}) {
      kmsg::StopReplicaRequest request = stop_replica_request(state, entries, remove, sender);
      if (request.topic_states.empty()) continue;
      request.broker_epoch = state.brokers.at(id).epoch;
      sender.channel.stop_replica(id, std::move(request),
                                  [to = id, remove, told = sender.on_stop_replica_delete](
                                      kmsg::StopReplicaResponse response) {
                                    if (remove) told(to, std::move(response));
                                  });
    }
  }
  *this = {};
}

}  // namespace ottla::broker
