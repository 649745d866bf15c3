// What clients were promised, and the invariants that are judged on it. Each invariant is a class with a
// name; a broken one stops the run with that name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

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
  struct Node {
    std::optional<std::string> data;
    int32_t version = 0, cversion = 0, aversion = 0;
    int64_t czxid = 0, mzxid = 0, pzxid = 0, owner = 0;
  };
  void apply(const zk::Txn& txn);
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<int64_t, int32_t>& sessions() const { return sessions_; }
  int64_t last_zxid = 0;

 private:
  void apply(zk::OpCode type, const zk::TxnBody& body, const zk::TxnHeader& header);
  void remove(const std::string& path, int64_t zxid);
  std::map<std::string, Node> nodes_ = {{"", {}}, {"/zookeeper", {}}};
  std::map<int64_t, int32_t> sessions_;
};

// The invariants. `log`: every transaction that the server's logs hold, in order.
struct AcknowledgedWritesSurvive {
  static void judge(const std::vector<zk::Txn>& log, History& history);
};
struct TreeEqualsModel {
  static void judge(const std::vector<zk::Txn>& log, const zk::DataTree& tree, History& history);
};
struct SessionOrder {
  static void judge(const std::vector<zk::Txn>& log, History& history);
};
struct EphemeralsFollowSessions {
  static void judge(const zk::DataTree& tree, History& history);
};

}  // namespace ottla::test
