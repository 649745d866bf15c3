// RequestBatch: what one step of the controller tells the brokers, gathered by broker and sent as
// LeaderAndIsr, then UpdateMetadata, then StopReplica. Contents are taken from the state at send().
// Source: Kafka's ControllerChannelManager (order and content of the batches).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/controller/broker_channel.h"
#include "broker/controller/controller_state.h"

namespace ottla::broker {

class RequestBatch {
 public:
  struct Sender {
    BrokerChannel& channel;
    int32_t controller_id;
    std::string inter_broker_listener;
    std::function<void(int32_t broker, kmsg::LeaderAndIsrResponse)> on_leader_and_isr;
    std::function<void(int32_t broker, kmsg::StopReplicaResponse)> on_stop_replica_delete;
  };

  void leader_and_isr(int32_t broker, const TopicPartition& tp, bool is_new);
  void update_metadata(const std::vector<int32_t>& brokers, const std::vector<TopicPartition>& tps);
  void stop_replica(int32_t broker, const TopicPartition& tp, bool remove);

  void send(const ControllerState& state, const Sender& sender);

 private:
  std::map<int32_t, std::map<TopicPartition, bool>> leader_and_isr_;  // tp -> is_new
  std::set<int32_t> update_metadata_brokers_;
  std::set<TopicPartition> update_metadata_partitions_;
  std::map<int32_t, std::map<TopicPartition, bool>> stop_replica_;  // tp -> delete
};

}  // namespace ottla::broker
