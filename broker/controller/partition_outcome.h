// What the active controller answers to those who ask it to elect leaders, reassign partitions or
// change an ISR: values between the controller and PartitionAdmin. Source: KIP-455, KIP-460.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/controller/controller_state.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

enum class ElectionType : int8_t { preferred = 0, unclean = 1 };

struct PartitionOutcome {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<std::string> message;
  int32_t leader = kNoLeader;  // of an election that took place
};
using PartitionOutcomes = std::map<TopicPartition, PartitionOutcome>;

// The replicas that a partition shall have; nothing: what is under way is to be given up.
using TargetReplicas = std::optional<std::vector<int32_t>>;

// A partition's replicas while they change: those to come and those to go are among `replicas`.
struct Reassignment {
  std::vector<int32_t> replicas, adding, removing;
  bool under_way() const { return !adding.empty() || !removing.empty(); }
  std::vector<int32_t> origin() const;  // before it began
  std::vector<int32_t> target() const;  // when it is over
  Reassignment towards(const std::vector<int32_t>& target) const;
  bool operator==(const Reassignment&) const = default;
};

// A leader's wish for an ISR, and what became of it.
struct IsrChange {
  TopicPartition tp;
  int32_t leader_epoch = -1;
  std::vector<int32_t> isr;
  bool recovering = false;
  int32_t partition_epoch = -1;
};
struct IsrOutcome {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  PartitionState state;  // as it is now, without error
  int32_t partition_epoch = -1;
};

}  // namespace ottla::broker
