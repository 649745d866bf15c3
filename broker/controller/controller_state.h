// What the active controller knows: a cache of znodes and the phases of partitions and replicas.
// Data only; controller.h says who changes it. Source: Kafka's ControllerContext and state
// machines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/zk/znodes.h"

namespace ottla::broker {

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

enum class PartitionPhase {
  fresh,    // assignment known, no state znode yet
  online,   // has a leader that lives
  offline,  // its leader died, or has none
};
enum class ReplicaPhase {
  fresh,                // just assigned
  online,               // its broker lives
  offline,              // its broker or log dir died, or it was stopped for deletion
  deletion_started,     // told to delete, not answered
  deleted,              // answered
  deletion_ineligible,  // cannot be deleted now
};

struct PartitionContext {
  std::vector<int32_t> replicas;
  std::vector<int32_t> adding, removing;  // of `replicas`, while it is being reassigned
  PartitionPhase phase = PartitionPhase::fresh;
  std::optional<PartitionState> state;  // as in the znode
  int32_t zk_version = -1;              // of the znode
  std::map<int32_t, ReplicaPhase> replica_phases;
};
struct TopicContext {
  kmsg::Uuid id;
  std::map<int32_t, PartitionContext> partitions;
};
struct LiveBroker {
  BrokerRegistration registration;
  int64_t epoch = -1;
};

struct ControllerState {
  int32_t epoch = 0;              // content of /controller_epoch; 0: not the controller
  int32_t epoch_zk_version = -1;  // guards every write
  bool loaded = false;            // the rest is what ZooKeeper held
  std::map<int32_t, LiveBroker> brokers;
  std::map<int32_t, std::set<TopicPartition>> offline_replicas;  // on failed log dirs, by broker
  std::map<std::string, TopicContext> topics;
  std::set<std::string> to_delete;
  std::set<std::string> deletion_ineligible;

  bool live(int32_t broker) const { return brokers.contains(broker); }
  bool online(int32_t broker, const TopicPartition& tp) const {
    auto failed = offline_replicas.find(broker);
    return live(broker) && (failed == offline_replicas.end() || !failed->second.contains(tp));
  }
  bool deleting(const std::string& topic) const { return to_delete.contains(topic); }
  PartitionContext* find(const TopicPartition& tp) {
    auto topic = topics.find(tp.topic);
    if (topic == topics.end()) return nullptr;
    auto partition = topic->second.partitions.find(tp.partition);
    return partition == topic->second.partitions.end() ? nullptr : &partition->second;
  }
  const PartitionContext* find(const TopicPartition& tp) const {
    return const_cast<ControllerState*>(this)->find(tp);
  }
  std::vector<int32_t> broker_ids() const {
    std::vector<int32_t> out;
    for (const auto& [id, broker] : brokers) out.push_back(id);
    return out;
  }
  std::vector<TopicPartition> partitions_of(const std::string& topic) const {
    std::vector<TopicPartition> out;
    auto it = topics.find(topic);
    if (it == topics.end()) return out;
    for (const auto& [index, partition] : it->second.partitions) out.push_back({topic, index});
    return out;
  }
};

}  // namespace ottla::broker
