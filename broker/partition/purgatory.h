// Purgatory: operations that wait until something happens on their partitions, or for their time if
// they have one. One timer serves all. Nothing here knows what waits: produce, fetch, delete
// records. Source: Kafka's "purgatory" design; our own structure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "broker/log/topic_partition.h"
#include "common/base/time.h"
#include "common/rt/world.h"

namespace ottla::broker {

class DelayedOperation {
 public:
  virtual ~DelayedOperation() = default;
  // Something happened on `tp`, one of those watched. True: done and answered.
  virtual bool try_complete(const TopicPartition& tp) = 0;
  virtual void expire() = 0;  // its time is over, or the broker's: answers
};

class Purgatory {
 public:
  explicit Purgatory(rt::Loop& loop);

  using Id = uint64_t;
  Id park(std::unique_ptr<DelayedOperation> operation, const std::vector<TopicPartition>& watch,
          std::optional<Instant> deadline);
  // Gives an operation up without an answer, for a connection that is gone. Unknown ids are fine.
  void cancel(Id id);
  // Something happened on `tp`: tries what watches it. Operations answer from inside.
  void check(const TopicPartition& tp);
  void expire_all();  // at the end of the broker

  size_t size() const { return operations_.size(); }
  uint64_t expirations() const { return expirations_; }

 private:
  struct Parked {
    std::unique_ptr<DelayedOperation> operation;
    std::vector<TopicPartition> watch;
    std::optional<Instant> deadline;
  };
  std::unique_ptr<DelayedOperation> take(Id id);
  void arm();
  void on_timer();

  rt::Loop& loop_;
  std::map<Id, Parked> operations_;
  std::map<TopicPartition, std::set<Id>> watchers_;
  std::set<std::pair<Instant, Id>> deadlines_;
  Id next_id_ = 1;
  uint64_t expirations_ = 0;
  Instant armed_for_;
  std::unique_ptr<rt::Timer> timer_;
};

}  // namespace ottla::broker
