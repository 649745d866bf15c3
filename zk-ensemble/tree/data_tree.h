// DataTree: the applied state of the service: znodes, ACL lists, sessions. replay() is the only
// mutator besides the loading of a snapshot; what a client asked is decided in prepare.h, never
// here. In memory, single-threaded, no clock. Replaying a transaction that a fuzzy snapshot already
// holds is harmless (the rules are in replay.cc). Source: ZooKeeper internals; programmer's guide,
// "ZooKeeper stat structure".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "zk-ensemble/tree/acl.h"
#include "zk-ensemble/tree/digest.h"
#include "zk-ensemble/tree/node.h"
#include "zk-ensemble/tree/node_table.h"
#include "zk-ensemble/tree/quota.h"
#include "zk-ensemble/tree/stat.h"
#include "zk-ensemble/tree/txn.h"

namespace ottla::zk {

enum class OwnerKind { none, session, container, ttl };
OwnerKind owner_kind(int64_t ephemeral_owner, const CoreOptions& options);

// Hears of changes while they are replayed, in the order in which watches must fire. Paths and
// lists are borrowed for the call.
class TreeListener {
 public:
  virtual ~TreeListener() = default;
  virtual void node_created(std::string_view path, const AclList& acls, std::string_view parent,
                            const AclList& parent_acls, int64_t zxid) = 0;
  virtual void node_deleted(std::string_view path, const AclList& acls, std::string_view parent,
                            const AclList& parent_acls, int64_t zxid) = 0;
  virtual void data_changed(std::string_view path, const AclList& acls, int64_t zxid) = 0;
};

struct OpResult {
  OpCode type = OpCode::error;
  ZkError error = ZkError::ok;
  std::string_view path;  // of the txn, which must outlive the result
  Stat stat;              // creates and set_data, set_acl
};
struct ApplyResult : OpResult {
  std::vector<OpResult> multi;
};

class SnapshotCursor;

class DataTree {
 public:
  explicit DataTree(
      const CoreOptions& options);  // the empty tree of a new server; options must outlive it
  ~DataTree();
  DataTree(const DataTree&) = delete;
  DataTree& operator=(const DataTree&) = delete;

  // Watches, during service; none during recovery.
  void set_listener(TreeListener* listener) { listener_ = listener; }

  // Applies `txn`; its data is moved out of it, its paths stay. `result` is overwritten.
  void replay(Txn& txn, ApplyResult& result);
  void replay(Txn&& txn) {
    ApplyResult ignored;
    replay(txn, ignored);
  }

  // --- reading
  const Node* find(std::string_view path) const;  // "" and "/" are the root
  Stat stat_of(const Node& node) const;
  const AclRef& acls_of(const Node& node) const { return acls_.list(node.acl_ref()); }
  int64_t descendants(const Node& node) const;
  // Paths owned by `session`, oldest first.
  std::vector<std::string> ephemerals_of(int64_t session) const;
  std::vector<int64_t> sessions_with_ephemerals() const;
  const std::map<int64_t, int32_t>& sessions() const { return sessions_; }  // id -> timeout_ms
  int64_t last_zxid() const { return last_zxid_; }
  uint64_t digest() const { return digest_; }
  const QuotaTrie& quotas() const { return quotas_; }
  const CoreOptions& options() const { return options_; }
  // True for a container that had children and lost them, and for a TTL node past its time.
  bool is_due(const StatPersisted& stat, int32_t children, int64_t wall_ms) const;
  // All that are, oldest first, containers before TTL nodes.
  std::vector<std::string> expired_containers(int64_t wall_ms) const;

  // --- figures
  int64_t node_count() const { return static_cast<int64_t>(table_.size()) + 2; }  // "" and "/"
  int64_t approximate_data_size() const { return data_size_; }
  int64_t ephemeral_count() const { return ephemeral_count_; }
  size_t acl_count() const { return acls_.size(); }
  const AclCache& acl_cache() const { return acls_; }
  // Transactions whose digest differed from this tree's after them. Each is a replica gone wrong,
  // or a writer with a known quirk (op 1 with container flags); Apache only logs it, so do we.
  int64_t digest_mismatches() const { return digest_mismatches_; }
  // zxid and digest of the last mismatch, for the log.
  struct Mismatch {
    int64_t zxid = 0;
    uint64_t expected = 0, actual = 0;
  };
  const Mismatch& last_mismatch() const { return last_mismatch_; }
  struct DigestAt {
    int64_t zxid = 0;
    int32_t version = kDigestVersion;
    uint64_t digest = 0;
  };
  // Every 128th transaction's digest, oldest first, at most 1024: the `hash` word.
  const std::vector<DigestAt>& digest_ring() const { return digest_ring_; }

  // --- loading a snapshot: begin, then sessions, lists and nodes as they come, then end.
  // Nodes: parents before children; the first is "" (the root). A second record of a path replaces.
  void load_begin();
  void load_session(int64_t id, int32_t timeout_ms) { sessions_[id] = timeout_ms; }
  void load_acl(int64_t ref, AclList acls) { acls_.load(ref, std::move(acls)); }
  Result<void> load_node(std::string_view path, std::optional<Bytes> data, int64_t acl_ref,
                         const StatPersisted& stat);
  // `zxid` of the file's name. `digest`: the snapshot's digest section if it has one to compare
  // with; until its zxid is replayed, digests of transactions are not compared (the tree may be
  // ahead).
  void load_end(int64_t zxid, std::optional<DigestAt> digest);
  // After recovery: removes ephemerals of sessions that do not exist, as of last_zxid(). Gives
  // their paths.
  std::vector<std::string> drop_orphans();
  void set_last_zxid(int64_t zxid) { last_zxid_ = zxid; }

  void check_invariants() const;  // O(nodes)

 private:
  friend class SnapshotCursor;
  struct OldestFirst {
    bool operator()(const Node* a, const Node* b) const;
  };
  using NodeSet = std::set<Node*, OldestFirst>;

  void apply(OpCode type, TxnBody& body, const TxnHeader& header, OpResult& result);
  void apply_multi(MultiTxn& multi, const TxnHeader& header, ApplyResult& result);
  ZkError apply_create(OpCode type, CreateTxn& txn, const TxnHeader& header, Stat& stat);
  ZkError apply_delete(std::string_view path, int64_t zxid);
  void fire_deleted(std::string_view path, const AclList& acls, const Node& parent, int64_t zxid);
  ZkError apply_set_data(SetDataTxn& txn, const TxnHeader& header, Stat& stat);
  ZkError apply_set_acl(const SetAclTxn& txn, Stat& stat);
  void apply_close_session(const CloseSessionTxn& txn, const TxnHeader& header);
  void raise_parent(Node& parent, int32_t parent_cversion, int64_t zxid);
  void finish(const Txn& txn);

  Node* find_mutable(std::string_view path) const;
  Node* parent_of(std::string_view path) const;
  void make_builtin(std::string_view path, const AclRef& acls, int32_t aversion);
  Node* make_node(Node& parent, std::string_view path, uint64_t hash);
  void remove_node(Node* node, std::string_view path);  // and all below it
  void remove_leaf(Node* node, std::string_view path);
  void set_node_data(Node& node, std::string_view path, std::optional<Bytes> data);
  void own(Node* node);  // into the set of its owner kind
  void disown(Node* node);
  void digest_remove(const Node& node, std::string_view path);
  void digest_add(const Node& node, std::string_view path);
  void clear();

  void quota_on_create(std::string_view path, int64_t bytes);
  void quota_on_delete(std::string_view path, int64_t bytes);
  void quota_add(std::string_view path, int64_t bytes, int64_t count);
  void quota_recount(std::string_view path);
  void quota_rebuild();

  const CoreOptions& options_;
  TreeListener* listener_ = nullptr;
  NodeTable table_;
  Node* root_ = nullptr;
  AclCache acls_;
  std::map<int64_t, int32_t> sessions_;
  std::map<int64_t, NodeSet> ephemerals_;  // by session
  NodeSet containers_, ttls_;
  QuotaTrie quotas_;
  std::vector<SnapshotCursor*> cursors_;
  int64_t last_zxid_ = 0;
  uint64_t digest_ = 0;
  int64_t data_size_ = 0;
  int64_t ephemeral_count_ = 0;
  std::optional<DigestAt> pending_snapshot_digest_;
  int64_t digest_mismatches_ = 0;
  Mismatch last_mismatch_;
  std::vector<DigestAt> digest_ring_;
};

// Walks the nodes of a live tree a piece at a time, parents first, while the tree goes on changing:
// a fuzzy snapshot. Nodes created after its construction are left out; replay brings them. The tree
// must outlive it.
class SnapshotCursor {
 public:
  explicit SnapshotCursor(DataTree& tree);
  ~SnapshotCursor();
  SnapshotCursor(const SnapshotCursor&) = delete;
  SnapshotCursor& operator=(const SnapshotCursor&) = delete;

  int64_t start_zxid() const { return start_zxid_; }
  // Sessions and ACL map as of now: call once, before the first node.
  void write_header(wire::Writer& out) const;
  // Node records {path, data, acl, stat} until `out` grew by `budget_bytes` or all are written.
  // True while more remain. The terminator "/" is the caller's.
  bool write_nodes(wire::Writer& out, size_t budget_bytes);
  bool done() const { return next_ == nullptr; }

 private:
  friend class DataTree;
  void node_unlinked(const Node* node);

  DataTree& tree_;
  int64_t start_zxid_;
  const Node* next_;
};

}  // namespace ottla::zk
