// Overlay: what the tree will be once everything proposed is applied. Requests are validated
// against it, so that a create of /a and a create of /a/b may follow each other in one TCP segment.
// A record is kept until the transaction that made it is applied. Source: ZooKeeper internals,
// "Active messaging"; ZOOKEEPER-1624 (rollback of a failed multi).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "zk-ensemble/tree/data_tree.h"

namespace ottla::zk {

struct ChangeRecord {
  int64_t zxid = -1;    // of the txn that makes it; -1: as applied
  std::string path;     // "" for the root
  bool exists = false;  // false: deleted
  StatPersisted stat;
  int32_t children = 0;
  int32_t data_size = 0;  // 0 for null
  int32_t data_peak = 0;  // Overlay's: at least the data_size of this and of all that it hides
  uint32_t digest_prefix = 0;
  AclRef acls;
  size_t hidden = SIZE_MAX;  // Overlay's: number of the record of the same path that this one hides
};

// Invariant: latest_[p] is the last record of p in records_; zxids in records_ never fall.
class Overlay {
 public:
  explicit Overlay(const DataTree& tree) : tree_(tree) {}

  // The node as it will be; false when it will not exist. "/" is the root too.
  bool lookup(std::string_view path, ChangeRecord& into) const;
  // The last pending change of it, or null.
  const ChangeRecord* find(std::string_view path) const;
  void add(ChangeRecord record);
  // Digest of the tree as it will be.
  uint64_t digest() const { return records_.empty() ? tree_.digest() : digest_; }
  void set_digest(uint64_t digest) { digest_ = digest; }
  // Drops what `zxid` and earlier transactions made: they are applied.
  void applied(int64_t zxid);
  // Drops the records of `zxid`, the last transaction, and brings back what they hid.
  void roll_back(int64_t zxid);

  // Paths that `session` will own and that no transaction applied so far made, in the order of their
  // creation.
  std::vector<std::string> created_by(int64_t session) const;
  size_t size() const { return records_.size(); }
  void check_invariants() const;

 private:
  static bool is_created(const ChangeRecord& record) {
    return record.exists && record.stat.ephemeral_owner != 0 && record.stat.czxid == record.zxid;
  }
  void set_latest(std::string_view path, size_t number);

  const DataTree& tree_;
  std::deque<ChangeRecord> records_;
  std::unordered_map<std::string_view, size_t> latest_;  // path (of that record) -> its number
  size_t first_number_ = 0;                              // number of records_.front()
  // Owner -> numbers of the records of nodes that are new: the end of a session must not look at all
  // that is pending, or the end of many at once would take minutes.
  std::unordered_map<int64_t, std::deque<size_t>> created_;
  uint64_t digest_ = 0;
};

}  // namespace ottla::zk
