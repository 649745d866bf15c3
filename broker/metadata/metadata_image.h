// MetadataImage: what one broker knows of its cluster: live brokers, topics, partition leaders.
// Immutable; each UpdateMetadata request makes a new one from the last, sharing the topics that did
// not change. Readers hold a shared_ptr and need no lock. It tells nothing about logs here.
// Source: KIP-84 (UpdateMetadata), KIP-516 (topic ids).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/kafka/update_metadata.h"
#include "proto/kafka/wire_types.h"

namespace ottla::broker {

inline constexpr int32_t kNoLeader = -1;
inline constexpr int32_t kLeaderDuringDelete = -2;

struct BrokerEndpoint {
  std::string listener;  // "PLAINTEXT", or the operator's own name
  std::string host;
  int32_t port = 0;
  int16_t security_protocol = 0;  // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
  bool operator==(const BrokerEndpoint&) const = default;
};

struct BrokerView {
  int32_t id = -1;
  std::vector<BrokerEndpoint> endpoints;
  std::optional<std::string> rack;
  const BrokerEndpoint* endpoint(std::string_view listener) const;  // null: does not listen there
  bool operator==(const BrokerView&) const = default;
};

struct PartitionView {
  int32_t leader = kNoLeader;
  int32_t leader_epoch = -1;
  int32_t partition_epoch = -1;  // the zkVersion of the state znode
  int32_t controller_epoch = -1;
  std::vector<int32_t> isr;
  std::vector<int32_t> replicas;
  std::vector<int32_t> offline_replicas;
  bool operator==(const PartitionView&) const = default;
};

struct TopicView {
  std::string name;
  kmsg::Uuid id;  // zero: not known (inter-broker protocol before 2.8)
  std::map<int32_t, PartitionView> partitions;
};

class MetadataImage;
using MetadataPtr = std::shared_ptr<const MetadataImage>;

class MetadataImage {
 public:
  // Which topics and partitions the request took away (leader -2): their coordinators and logs
  // care.
  struct Change {
    MetadataPtr image;
    std::vector<std::pair<std::string, int32_t>> deleted_partitions;
    std::vector<std::string> updated_topics;  // named in the request, sorted
  };

  static MetadataPtr empty(std::string cluster_id);
  // Brokers are replaced by the request's, partition states merged, leader -2 removed.
  static Change apply(const MetadataPtr& base, const kmsg::UpdateMetadataRequest& request);

  const std::string& cluster_id() const { return cluster_id_; }
  int32_t controller_id() const { return controller_id_; }  // -1: unknown
  int32_t controller_epoch() const { return controller_epoch_; }
  const std::map<int32_t, BrokerView>& brokers() const { return brokers_; }  // the live ones
  const BrokerView* broker(int32_t id) const;
  const std::map<std::string, std::shared_ptr<const TopicView>, std::less<>>& topics() const {
    return topics_;
  }
  const TopicView* topic(std::string_view name) const;  // null: unknown
  const TopicView* topic(const kmsg::Uuid& id) const;   // null: unknown
  const PartitionView* partition(std::string_view topic, int32_t index) const;

 private:
  std::string cluster_id_;
  int32_t controller_id_ = -1;
  int32_t controller_epoch_ = -1;
  std::map<int32_t, BrokerView> brokers_;
  std::map<std::string, std::shared_ptr<const TopicView>, std::less<>> topics_;
  std::map<std::string, std::string> names_by_id_;  // 16 raw bytes -> name
};

}  // namespace ottla::broker
