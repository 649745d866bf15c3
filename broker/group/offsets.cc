#include "broker/group/offsets.h"

#include <algorithm>

#include "common/base/check.h"

namespace ottla::broker {

void GroupOffsets::prepare(const GroupTopicPartition& partition, const CommittedOffset& value) {
  pending_[partition] = value;
}

void GroupOffsets::appended(const GroupTopicPartition& partition, const CommittedOffset& value,
                            int64_t log_offset) {
  auto pending = pending_.find(partition);
  if (pending == pending_.end()) return;  // removed meanwhile
  restore(partition, {value, log_offset});
  if (pending->second == value) pending_.erase(pending);
}

void GroupOffsets::failed(const GroupTopicPartition& partition, const CommittedOffset& value) {
  auto pending = pending_.find(partition);
  if (pending != pending_.end() && pending->second == value) pending_.erase(pending);
}

void GroupOffsets::prepare_txn(int64_t producer_id, const GroupTopicPartition& partition,
                               const CommittedOffset& value) {
  pending_txn_[producer_id][partition] = {value, -1};
}

void GroupOffsets::appended_txn(int64_t producer_id, const GroupTopicPartition& partition,
                                const CommittedOffset& value, int64_t log_offset) {
  auto txn = pending_txn_.find(producer_id);
  if (txn == pending_txn_.end()) return;
  auto pending = txn->second.find(partition);
  if (pending != txn->second.end() && pending->second.value == value)
    pending->second.log_offset = log_offset;
}

void GroupOffsets::failed_txn(int64_t producer_id, const GroupTopicPartition& partition) {
  auto txn = pending_txn_.find(producer_id);
  if (txn == pending_txn_.end()) return;
  txn->second.erase(partition);
  if (txn->second.empty()) pending_txn_.erase(txn);
}

void GroupOffsets::complete_txn(int64_t producer_id, bool commit) {
  auto txn = pending_txn_.find(producer_id);
  if (txn == pending_txn_.end()) return;
  // A commit whose record the log has not acknowledged cannot be under the marker.
  if (commit)
    for (const auto& [partition, logged] : txn->second)
      if (logged.log_offset >= 0) restore(partition, logged);
  pending_txn_.erase(txn);
}

void GroupOffsets::restore(Offsets offsets) {
  OTTLA_DCHECK(empty());
  committed_ = std::move(offsets);
}

void GroupOffsets::restore(const GroupTopicPartition& partition, Logged logged) {
  auto [committed, inserted] = committed_.try_emplace(partition, logged);
  if (!inserted && committed->second.log_offset <= logged.log_offset)
    committed->second = std::move(logged);
}

void GroupOffsets::restore_txn(int64_t producer_id, const GroupTopicPartition& partition,
                               Logged logged) {
  pending_txn_[producer_id][partition] = std::move(logged);
}

bool GroupOffsets::remove(const GroupTopicPartition& partition) {
  bool was_pending = pending_.erase(partition) != 0;
  for (auto txn = pending_txn_.begin(); txn != pending_txn_.end();) {
    txn->second.erase(partition);
    txn = txn->second.empty() ? pending_txn_.erase(txn) : std::next(txn);
  }
  return committed_.erase(partition) != 0 || was_pending;
}

std::vector<GroupTopicPartition> GroupOffsets::remove_all() {
  std::set<GroupTopicPartition> removed;
  for (const auto& [partition, unused] : committed_) removed.insert(partition);
  for (const auto& [partition, unused] : pending_) removed.insert(partition);
  *this = {};
  return {removed.begin(), removed.end()};
}

std::vector<GroupTopicPartition> GroupOffsets::remove_if(
    const std::function<bool(const GroupTopicPartition&, const CommittedOffset&)>& expired) {
  std::vector<GroupTopicPartition> removed;
  for (auto at = committed_.begin(); at != committed_.end();) {
    if (!pending_.contains(at->first) && expired(at->first, at->second.value)) {
      removed.push_back(at->first);
      at = committed_.erase(at);
    } else {
      ++at;
    }
  }
  return removed;
}

const CommittedOffset* GroupOffsets::find(const GroupTopicPartition& partition) const {
  auto at = committed_.find(partition);
  return at == committed_.end() ? nullptr : &at->second.value;
}

bool GroupOffsets::has_pending(const GroupTopicPartition& partition) const {
  if (pending_.contains(partition)) return true;
  for (const auto& [producer_id, offsets] : pending_txn_)
    if (offsets.contains(partition)) return true;
  return false;
}

bool GroupOffsets::knows(const std::string& topic) const {
  auto in = [&](const auto& offsets) {
    auto at = offsets.lower_bound({topic, INT32_MIN});
    return at != offsets.end() && at->first.first == topic;
  };
  return in(committed_) || in(pending_) ||
         std::any_of(pending_txn_.begin(), pending_txn_.end(),
                     [&](const auto& txn) { return in(txn.second); });
}

std::vector<int64_t> GroupOffsets::producers() const {
  std::vector<int64_t> ids;
  for (const auto& [producer_id, offsets] : pending_txn_) ids.push_back(producer_id);
  return ids;
}

}  // namespace ottla::broker
