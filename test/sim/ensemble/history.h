// What clients were promised, and the invariants that are judged on it. Each invariant is a class with a
// name; a broken one stops the run with that name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/rt/world.h"
#include "zk-ensemble/tree/data_tree.h"
#include "zk-ensemble/tree/txn.h"

namespace ottla::test {

// A write that a client has an answer to.
struct Promise {
  int client = 0;
  int64_t session = 0;
  int32_t xid = 0;
  int32_t type = 0;
  int64_t zxid = 0;
  int32_t error = 0;
  std::string path;  // as created, for sequential nodes
  std::string data;
};

struct Violation {
  std::string invariant;
  std::string what;
};

class History {
 public:
  void promised(Promise promise);
  void session_opened(int64_t session, int client) { sessions_[session] = client; }
  void session_closed(int64_t session) { closed_.push_back(session); }
  // The first one counts.
  void violated(std::string invariant, std::string what);

  const std::vector<Promise>& promises() const { return promises_; }
  int64_t max_zxid() const { return max_zxid_; }
  const std::optional<Violation>& violation() const { return violation_; }
  const std::vector<int64_t>& closed_sessions() const { return closed_; }
  // What is above `zxid` was lost, and said to be: nobody can ask for it any more.
  void forget_above(int64_t zxid);
  uint64_t reads = 0, events = 0, reconnects = 0, expirations = 0;

 private:
  std::vector<Promise> promises_;
  std::map<int64_t, int> sessions_;
  std::vector<int64_t> closed_;
  int64_t max_zxid_ = 0;
  std::optional<Violation> violation_;
};

// A second, simple-minded implementation of the tree, fed with the log from its first record on.
class Model {
 public:
  explicit Model(int64_t base_zxid = 0) : last_zxid(base_zxid) {}
  struct Node {
    std::optional<std::string> data;
    int32_t version = 0, cversion = 0, aversion = 0;
    int64_t czxid = 0, mzxid = 0, pzxid = 0, owner = 0;
  };
  void apply(const zk::Txn& txn);
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<int64_t, int32_t>& sessions() const { return sessions_; }
  int64_t last_zxid;

 private:
  void apply(zk::OpCode type, const zk::TxnBody& body, const zk::TxnHeader& header);
  void remove(const std::string& path, int64_t zxid);
  std::map<std::string, Node> nodes_ = {{"", {}}, {"/zookeeper", {}}};
  std::map<int64_t, int32_t> sessions_;
};

// Every transaction that the server's logs ever held, by zxid: what was purged is still here.
class Ledger {
 public:
  explicit Ledger(int64_t base_zxid = 0) : base_zxid_(base_zxid) {}
  // Reads the logs of `directory` again. HistoryNeverRewritten: a record stays what it was.
  Result<void> collect(rt::Disk& disk, const std::string& directory, History& history);
  int64_t base_zxid() const { return base_zxid_; }
  int64_t last_zxid() const { return entries_.empty() ? base_zxid_ : entries_.rbegin()->first; }
  // Every record up to `zxid` is there, and none above.
  bool is_whole(int64_t zxid) const {
    return last_zxid() == zxid && entries_.size() == static_cast<size_t>(zxid - base_zxid_);
  }
  void forget_above(int64_t zxid) { entries_.erase(entries_.upper_bound(zxid), entries_.end()); }
  std::vector<zk::Txn> txns() const;

 private:
  int64_t base_zxid_;
  std::map<int64_t, std::string> entries_;
};

// The invariants. First those that are looked at after every event of the simulation.

// A server's zxid never goes back, not over a power failure either: it applies what is durable alone.
struct ZxidMonotone {
  void judge(const zk::DataTree& tree, History& history);
  int64_t seen = 0;
};
// Nobody was answered with a zxid that the tree has not reached.
struct RepliesAreApplied {
  static void judge(const zk::DataTree& tree, History& history);
};
struct EphemeralsHaveOwners {
  static void judge(const zk::DataTree& tree, History& history);
};
// A session that is gone from the tree never comes back.
struct SessionsStayDead {
  void judge(const zk::DataTree& tree, History& history);
  std::set<int64_t> alive, dead;
};
// Then those of every start and of the end.
struct AcknowledgedWritesSurvive {
  static void judge(const std::vector<zk::Txn>& log, History& history);
};
struct TreeEqualsModel {
  static void judge(const Ledger& ledger, const std::vector<zk::Txn>& log, const zk::DataTree& tree,
                    History& history);
};
struct SessionOrder {
  static void judge(const std::vector<zk::Txn>& log, History& history);
};
struct EphemeralsFollowSessions {
  static void judge(const zk::DataTree& tree, History& history);
};

}  // namespace ottla::test
