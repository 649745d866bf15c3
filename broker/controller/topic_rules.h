// What a topic may be called, and what CreateTopics and CreatePartitions refuse, with Kafka's codes
// and texts. Pure functions. Source: Kafka's Topic, AdminZkClient and ZkAdminManager (behaviour).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/controller/assignment.h"
#include "broker/controller/topic_admin.h"

namespace ottla::broker {

inline constexpr int32_t kNoPartitions = -1;  // "the broker's default"
inline constexpr int16_t kNoReplicationFactor = -1;
inline constexpr size_t kMaxTopicNameLength = 249;

// Metrics turn '.' into '_': two names that differ only there collide.
bool names_collide(std::string_view a, std::string_view b);
bool has_collision_chars(std::string_view name);

// The assignment that a topic of the request is to get, explicit or drawn.
AssignmentOutcome plan_topic(const kmsg::CreateTopicsRequest::CreatableTopic& topic,
                             const TopicAdminOptions& options,
                             const std::vector<BrokerRack>& brokers, Prng& prng);
// Rules over a whole assignment, after the name and existence were checked.
AdminRefusal check_assignment(const Assignment& assignment);
// New partitions of an existing topic: their assignment, or why not.
AssignmentOutcome plan_new_partitions(
    const kmsg::CreatePartitionsRequest::CreatePartitionsTopic& topic, const TopicNode& existing,
    const std::vector<BrokerRack>& brokers, Prng& prng);

}  // namespace ottla::broker
