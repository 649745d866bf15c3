// Which brokers get the replicas of which partition. Pure; randomness comes in as start and shift.
// Source: Kafka's AdminUtils (rack-unaware and rack-aware rules), KIP-36.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/metadata/metadata_image.h"
#include "common/base/prng.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

struct BrokerRack {
  int32_t id;
  std::optional<std::string> rack;
};
std::vector<BrokerRack> broker_racks(const MetadataImage& image);  // sorted by id

using Assignment = std::map<int32_t, std::vector<int32_t>>;  // partition -> replicas, leader first

// More partitions than this are refused, of a topic and of all topics in one CreateTopics: the znode
// of such a topic is longer than an ensemble takes by default (jute.maxbuffer, 1 MB), and no request
// may take the broker's memory by a number. Ours; Apache's broker plans them and then fails.
inline constexpr int32_t kMaxPlannedPartitions = 100'000;

struct AssignmentOutcome {
  Assignment assignment;
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::string message;
};

// fixed_start: where partition 0 begins in the list; drawn from `prng` with the shift when absent.
// start_partition: the first new partition's number.
AssignmentOutcome assign_replicas(const std::vector<BrokerRack>& brokers, int32_t partitions,
                                  int32_t replication_factor, Prng& prng,
                                  std::optional<int32_t> fixed_start = {},
                                  int32_t start_partition = 0);

}  // namespace ottla::broker
