// What clients were told, and the invariants judged on it. Each invariant is a class with a name; a
// broken one stops the run with that name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/log/topic_partition.h"
#include "common/base/bytes.h"
#include "common/base/fn.h"

namespace ottla::test {

using broker::TopicPartition;

struct Violation {
  std::string invariant;
  std::string what;
};

struct Acked {
  int64_t offset = 0;
  std::string value;
};

class History {
 public:
  // The first one counts.
  void violated(std::string invariant, std::string what);
  const std::optional<Violation>& violation() const { return violation_; }
  // What happened, into the trace and its hash.
  Fn<void(std::string_view)> note = [](std::string_view) {};
  // As ZooKeeper has it at this moment; true when that cannot be known.
  Fn<bool(const std::string&)> is_being_deleted = [](const std::string&) { return true; };

  std::map<std::string, int32_t> traffic;  // topics with records, and their partitions
  std::map<std::string, int32_t> created;  // acknowledged, not asked to be deleted
  std::set<std::string> deleted;           // acknowledged
  std::map<TopicPartition, std::vector<Acked>> acked;
  std::map<TopicPartition, std::map<int64_t, std::string>> seen;  // offset -> value, as first read
  std::map<TopicPartition, int64_t> committed;                    // highest acknowledged
  std::map<TopicPartition, int64_t> hw;                           // highest that an answer told
  std::map<int32_t, std::map<TopicPartition, std::string>> owners;  // generation -> who has what
  std::set<int> idempotent;                                         // producers
  uint64_t produced = 0, fetched = 0, commits = 0, generations = 0, lost_answers = 0;

  std::vector<TopicPartition> partitions() const;

 private:
  std::optional<Violation> violation_;
};

// The value of a record: "producer/sequence/padding", sequence counted per producer and partition.
std::string make_value(int producer, int64_t sequence, size_t padding);

// Fetched bytes hold whole batches with right checksums and dense offsets from `offset` on, each
// record is what it was when it was first read, and every producer's records are in the order in
// which they were sent: each once of an idempotent producer, again at most as a repetition of
// others.
struct NoCorruptOrReordered {
  // The offset after the last record, or `offset` when there is none.
  static int64_t judge_fetch(const TopicPartition& tp, int64_t offset, Bytes records,
                             History& history);
  static void judge_order(History& history);  // at the end, on whole partitions
};
struct AckedRecordsSurvive {
  static void judge(History& history);  // after every partition was read whole
};
// A commit that was acknowledged is what later readers get, or a later one.
struct CommittedOffsetNeverRegresses {
  static void judge(const TopicPartition& tp, int64_t floor, int64_t got, const char* how,
                    History& history);
};
struct OneOwnerPerGeneration {
  static void judge(int32_t generation, const std::string& member, const TopicPartition& tp,
                    History& history);
};
// Consumers never see less confirmed than they saw.
struct HwMonotonic {
  static void judge(const TopicPartition& tp, int64_t floor, int64_t got, History& history);
};

}  // namespace ottla::test
