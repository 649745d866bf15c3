// The znodes of a Kafka cluster: their paths, and their JSON, written byte for byte as Kafka 3.9
// does (fields in Scala's hash order where an object has five or more) and read with tolerance for
// unknown fields and older versions. Pure functions. Source: Kafka's ZooKeeper layout (zk/ZkData),
// KIP-516.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/metadata/metadata_image.h"
#include "common/base/result.h"
#include "proto/kafka/wire_types.h"

namespace ottla::broker {

namespace zpath {
inline constexpr const char* kController = "/controller";
inline constexpr const char* kControllerEpoch = "/controller_epoch";
inline constexpr const char* kClusterId = "/cluster/id";
inline constexpr const char* kFeature = "/feature";
inline constexpr const char* kBrokerIds = "/brokers/ids";
inline constexpr const char* kBrokerSeqId = "/brokers/seqid";
inline constexpr const char* kTopics = "/brokers/topics";
inline constexpr const char* kDeleteTopics = "/admin/delete_topics";
inline constexpr const char* kPreferredElection = "/admin/preferred_replica_election";
inline constexpr const char* kReassign = "/admin/reassign_partitions";
inline constexpr const char* kIsrChanges = "/isr_change_notification";
inline constexpr const char* kLogDirEvents = "/log_dir_event_notification";
inline constexpr const char* kConfigChanges = "/config/changes";
inline constexpr const char* kProducerIds = "/latest_producer_id_block";

std::string broker(int32_t id);
std::string topic(std::string_view topic);
std::string partitions(std::string_view topic);
std::string partition(std::string_view topic, int32_t index);
std::string partition_state(std::string_view topic, int32_t index);
std::string delete_topic(std::string_view topic);
std::string consumer_offset(std::string_view group, std::string_view topic, int32_t partition);
// entity_type: "topics", "brokers", "clients", "users", "ips"; name "<default>" for the default.
std::string config(std::string_view entity_type, std::string_view name);
// Every path that a broker makes at its start, parents before children.
const std::vector<std::string>& persistent();
}  // namespace zpath

inline constexpr const char* kDefaultEntity = "<default>";

// /brokers/ids/N
struct BrokerRegistration {
  int32_t id = -1;
  std::vector<BrokerEndpoint> endpoints;  // advertised
  std::optional<std::string> rack;
  int32_t jmx_port = -1;
  int64_t timestamp_ms = 0;
  bool operator==(const BrokerRegistration&) const = default;
};
std::string encode_broker(const BrokerRegistration& broker);
Result<BrokerRegistration> decode_broker(int32_t id, std::string_view json);
// "PLAINTEXT" -> 0 and back; -1 and "" for a stranger.
int16_t security_protocol_id(std::string_view name);
std::string_view security_protocol_name(int16_t id);
// What Kafka's ZooKeeper client says of a path before it sends anything; empty: nothing. Bytes
// outside ASCII are let through.
std::string path_fault(std::string_view path);

// /controller
struct ControllerNode {
  int32_t broker_id = -1;
  int64_t timestamp_ms = 0;
  int32_t kraft_epoch = -1;
};
std::string encode_controller(const ControllerNode& node);
Result<ControllerNode> decode_controller(std::string_view json);

// /cluster/id
std::string encode_cluster_id(std::string_view id);
Result<std::string> decode_cluster_id(std::string_view json);

// /brokers/topics/T
struct TopicNode {
  std::optional<kmsg::Uuid> id;
  std::map<int32_t, std::vector<int32_t>> partitions;
  std::map<int32_t, std::vector<int32_t>> adding;
  std::map<int32_t, std::vector<int32_t>> removing;
  bool reassigning() const { return !adding.empty() || !removing.empty(); }
  bool operator==(const TopicNode&) const = default;
};
std::string encode_topic(const TopicNode& topic);
Result<TopicNode> decode_topic(std::string_view json);

// /brokers/topics/T/partitions/P/state
struct PartitionState {
  int32_t leader = kNoLeader;
  int32_t leader_epoch = 0;
  int32_t controller_epoch = 0;
  std::vector<int32_t> isr;
  bool recovering = false;  // elected uncleanly, not yet recovered
  bool operator==(const PartitionState&) const = default;
};
std::string encode_partition_state(const PartitionState& state);
Result<PartitionState> decode_partition_state(std::string_view json);

// /config/<type>/<name>; keys sorted when written
using ConfigMap = std::map<std::string, std::string>;
std::string encode_config(const ConfigMap& config);
Result<ConfigMap> decode_config(std::string_view json);

// /config/changes/config_change_*: "topics/T", "brokers/1", ...
std::string encode_config_change(std::string_view entity_path);
Result<std::string> decode_config_change(std::string_view json);

// /log_dir_event_notification/log_dir_event_*: a log directory of that broker failed
std::string encode_log_dir_event(int32_t broker_id);

// /latest_producer_id_block
struct ProducerIdBlock {
  int32_t broker_id = -1;
  int64_t first = 0;
  int64_t last = 0;  // inclusive
  bool operator==(const ProducerIdBlock&) const = default;
};
std::string encode_producer_id_block(const ProducerIdBlock& block);
Result<ProducerIdBlock> decode_producer_id_block(std::string_view json);

// /feature at inter-broker protocol 3.3 and later
std::string encode_feature_node();

// /admin/reassign_partitions, as tools before 2.4 write it: which replicas each shall have
using ReassignmentList =
    std::vector<std::pair<std::pair<std::string, int32_t>, std::vector<int32_t>>>;
std::string encode_reassignments(const ReassignmentList& list);
Result<ReassignmentList> decode_reassignments(std::string_view json);

// /isr_change_notification/*, /admin/preferred_replica_election, {topic, partition} lists
Result<std::vector<std::pair<std::string, int32_t>>> decode_partition_list(std::string_view json);

}  // namespace ottla::broker
