// Partition: one partition as this broker plays it: leader or follower, in which epochs, with which
// in-sync replicas, over which log. Decides the high watermark. Loop thread; no IO of its own.
// Followers have a seat here already (isr, replicas, leo of each), though nothing fetches as one
// yet. Source: KIP-101, KIP-497 (ISR), KIP-679 and the Kafka 3.7 notes (no progress below min ISR).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/partition_log.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/wire_types.h"

namespace ottla::broker {

enum class PartitionRole : uint8_t {
  none,      // known, no LeaderAndIsr for it yet
  leader,    //
  follower,  // of leader_id, which may be -1: nobody
};

// What a LeaderAndIsr request says of one partition.
struct LeaderAndIsrState {
  int32_t controller_epoch = -1;
  int32_t leader_id = -1;
  int32_t leader_epoch = -1;
  int32_t partition_epoch = -1;
  std::vector<int32_t> isr;
  std::vector<int32_t> replicas;
};

class Partition {
 public:
  Partition(TopicPartition tp, int32_t broker_id) : tp_(std::move(tp)), broker_id_(broker_id) {}

  const TopicPartition& tp() const { return tp_; }
  PartitionLog* log() const { return log_; }  // null while its directory is offline
  void set_log(PartitionLog* log) { log_ = log; }
  bool is_leader() const { return role_ == PartitionRole::leader; }
  const LeaderAndIsrState& state() const { return state_; }
  int32_t leader_epoch() const { return state_.leader_epoch; }
  // Where the present leadership began; offsets below the hw of that moment may be unconfirmed.
  int64_t epoch_start_offset() const { return epoch_start_offset_; }

  // The epochs in `state` are newer than ours: the caller checked.
  void become_leader(const LeaderAndIsrState& state);
  void become_follower(const LeaderAndIsrState& state);

  // Appends as leader; the caller then calls advance_hw() when what it waits for is durable.
  Appended append(MutBytes set, Origin origin, size_t* open_budget);
  Appended append_validated(MutBytes set, Validated validated, Origin origin);
  // Raises the high watermark to what every in-sync replica has; true when it moved.
  bool advance_hw();
  // Is the smallest in-sync set that acks=all asks for there?
  bool has_min_isr() const;
  size_t effective_min_isr() const;

  // none: may be read and written here under `current_leader_epoch` (-1: not checked).
  kmsg::ErrorCode check_leader(int32_t current_leader_epoch) const;
  // Offset that a reader of this isolation may see up to (exclusive).
  int64_t read_limit(bool read_committed) const {
    return read_committed ? log_->lso() : log_->hw();
  }
  // Is what consumers see settled in this epoch? Not until the hw reached the epoch's start.
  bool hw_is_settled() const { return log_->hw() >= hw_at_election_; }

  std::string describe() const;
  void check_invariants() const;

 private:
  // Fixed after construction.
  TopicPartition tp_;
  int32_t broker_id_;

  PartitionLog* log_ = nullptr;
  PartitionRole role_ = PartitionRole::none;
  LeaderAndIsrState state_;
  int64_t epoch_start_offset_ = -1;
  int64_t hw_at_election_ = 0;
  std::map<int32_t, int64_t> follower_leo_;  // of the other replicas, while leader; -1: not heard
};

}  // namespace ottla::broker
