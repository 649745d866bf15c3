// The committed offsets of one group: what is committed, what is on its way to the log, and what
// waits for a transaction's marker. A commit counts from the acknowledgement of its record; of two
// commits the one later in the log wins, in whatever order they are acknowledged.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla::broker {

using GroupTopicPartition = std::pair<std::string, int32_t>;

struct CommittedOffset {
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata;
  int64_t commit_timestamp_ms = -1;
  std::optional<int64_t> expire_timestamp_ms;  // only where the client asked for a retention
  bool operator==(const CommittedOffset&) const = default;
};

class GroupOffsets {
 public:
  struct Logged {
    CommittedOffset value;
    int64_t log_offset = -1;  // base offset of the batch that carries it; -1: not yet appended
  };
  using Offsets = std::map<GroupTopicPartition, Logged>;

  // -- Commits of consumers -----------------------------------------------------------------------
  void prepare(const GroupTopicPartition& partition, const CommittedOffset& value);
  void appended(const GroupTopicPartition& partition, const CommittedOffset& value,
                int64_t log_offset);
  void failed(const GroupTopicPartition& partition, const CommittedOffset& value);

  // -- Commits inside transactions
  // -----------------------------------------------------------------
  void prepare_txn(int64_t producer_id, const GroupTopicPartition& partition,
                   const CommittedOffset& value);
  void appended_txn(int64_t producer_id, const GroupTopicPartition& partition,
                    const CommittedOffset& value, int64_t log_offset);
  void failed_txn(int64_t producer_id, const GroupTopicPartition& partition);
  void complete_txn(int64_t producer_id, bool commit);
  bool has_txn(int64_t producer_id) const { return pending_txn_.contains(producer_id); }

  // -- Loading
  // ---------------------------------------------------------------------------------------
  void restore(Offsets offsets);  // all of a group's, before any other
  void restore(const GroupTopicPartition& partition, Logged logged);
  void restore_txn(int64_t producer_id, const GroupTopicPartition& partition, Logged logged);

  // True if it was committed or is about to be: what is on its way to the log has its place there
  // before whatever is appended from now on.
  bool remove(const GroupTopicPartition& partition);
  std::vector<GroupTopicPartition> remove_all();  // those for which remove() would be true
  // Removes and returns those committed for which `expired` holds and nothing is on its way.
  std::vector<GroupTopicPartition> remove_if(
      const std::function<bool(const GroupTopicPartition&, const CommittedOffset&)>& expired);

  const CommittedOffset* find(const GroupTopicPartition& partition) const;
  bool has_pending(const GroupTopicPartition& partition) const;
  bool knows(const std::string& topic) const;  // anything of it, committed or on its way
  const Offsets& committed() const { return committed_; }
  bool empty() const { return committed_.empty() && pending_.empty() && pending_txn_.empty(); }
  std::vector<int64_t> producers() const;

 private:
  Offsets committed_;
  std::map<GroupTopicPartition, CommittedOffset> pending_;
  std::map<int64_t, Offsets> pending_txn_;
};

}  // namespace ottla::broker
