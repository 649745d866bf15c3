// DataTree::replay: what each transaction does to the tree.
//
// Replay is idempotent as a whole: a snapshot taken while the tree changed may already hold the
// effects of transactions after its zxid, and the log brings the tree to the same state all the
// same.
//   create, node there     the ACL is taken over; for type 1 the parent's cversion and pzxid are
//   raised create, node missing   parent's cversion and pzxid move only forward delete, node
//   missing   the parent's pzxid still moves forward set_data, set_acl      version is stored as
//   the transaction says multi                  op by op; nothing when one of them is an error
//   sessions               created again: the timeout is replaced; closed: what is left of it goes
#include <algorithm>

#include "common/base/check.h"
#include "common/base/wrapping.h"
#include "zk-ensemble/tree/data_tree.h"
#include "zk-ensemble/tree/path.h"

namespace ottla::zk {

namespace {

constexpr size_t kDigestRing = 1024;
constexpr int64_t kDigestEvery = 128;

std::string_view watched_parent(std::string_view path) {
  std::string_view parent = parent_path(path);
  return parent.empty() ? std::string_view("/") : parent;
}

std::optional<Bytes> bytes_of(const NodeData& data) {
  if (!data) return std::nullopt;
  return as_bytes(*data);
}

int64_t size_of(const NodeData& data) { return data ? static_cast<int64_t>(data->size()) : 0; }

}  // namespace

void DataTree::replay(Txn& txn, ApplyResult& result) {
  result.type = txn.header.type;
  result.error = ZkError::ok;
  result.path = {};
  result.stat = {};
  result.multi.clear();
  if (auto* multi = std::get_if<MultiTxn>(&txn.body);
      multi != nullptr && txn.header.type == OpCode::multi)
    apply_multi(*multi, txn.header, result);
  else
    apply(txn.header.type, txn.body, txn.header, result);
  finish(txn);
}

void DataTree::finish(const Txn& txn) {
  int64_t zxid = txn.header.zxid;
  last_zxid_ = std::max(last_zxid_, zxid);
  if (!options_.digest_enabled) return;
  auto compare = [&](int64_t at, uint64_t expected) {
    if (expected == digest_) return;
    ++digest_mismatches_;
    last_mismatch_ = {at, expected, digest_};
  };
  if (pending_snapshot_digest_) {
    if (zxid < pending_snapshot_digest_->zxid) return;
    if (zxid == pending_snapshot_digest_->zxid &&
        pending_snapshot_digest_->version == kDigestVersion)
      compare(zxid, pending_snapshot_digest_->digest);
    pending_snapshot_digest_.reset();
    return;
  }
  if (txn.digest && txn.digest->version == kDigestVersion) compare(zxid, txn.digest->tree);
  if (zxid % kDigestEvery != 0) return;
  if (digest_ring_.size() == kDigestRing) digest_ring_.erase(digest_ring_.begin());
  digest_ring_.push_back({zxid, kDigestVersion, digest_});
}

void DataTree::apply(OpCode type, TxnBody& body, const TxnHeader& header, OpResult& result) {
  struct Visitor {
    DataTree& tree;
    OpCode type;
    const TxnHeader& header;
    OpResult& result;
    void operator()(ErrorTxn& txn) const { result.error = txn.error; }
    void operator()(CreateTxn& txn) const {
      result.path = txn.path;
      result.error = tree.apply_create(type, txn, header, result.stat);
    }
    void operator()(DeleteTxn& txn) const {
      result.path = txn.path;
      result.error = tree.apply_delete(txn.path, header.zxid);
    }
    void operator()(SetDataTxn& txn) const {
      result.path = txn.path;
      result.error = tree.apply_set_data(txn, header, result.stat);
    }
    void operator()(SetAclTxn& txn) const {
      result.path = txn.path;
      result.error = tree.apply_set_acl(txn, result.stat);
    }
    void operator()(CheckVersionTxn& txn) const { result.path = txn.path; }
    void operator()(CreateSessionTxn& txn) const {
      tree.sessions_[header.client_id] = txn.timeout_ms;
    }
    void operator()(CloseSessionTxn& txn) const { tree.apply_close_session(txn, header); }
    void operator()(MultiTxn&) const {}  // never inside another
  };
  std::visit(Visitor{*this, type, header, result}, body);
}

void DataTree::apply_multi(MultiTxn& multi, const TxnHeader& header, ApplyResult& result) {
  bool failed =
      std::ranges::any_of(multi.txns, [](const SubTxn& sub) { return sub.type == OpCode::error; });
  bool after_failure = false;
  result.multi.reserve(multi.txns.size());
  for (SubTxn& sub : multi.txns) {
    OpResult& one = result.multi.emplace_back();
    one.type = sub.type;
    if (sub.type == OpCode::error) {
      after_failure = true;
      one.error = std::get<ErrorTxn>(sub.body).error;
    } else if (failed) {
      one.type = OpCode::error;
      one.error = after_failure ? ZkError::runtime_inconsistency : ZkError::ok;
    } else {
      apply(sub.type, sub.body, header, one);
    }
    if (result.error == ZkError::ok) result.error = one.error;
  }
}

// ------------------------------------------------------------------------------------------ nodes

void DataTree::raise_parent(Node& parent, int32_t parent_cversion, int64_t zxid) {
  if (parent_cversion == -1)
    parent_cversion = static_cast<int32_t>(static_cast<uint32_t>(parent.stat_.cversion) + 1);
  if (parent_cversion <= parent.stat_.cversion) return;
  parent.stat_.cversion = parent_cversion;
  parent.stat_.pzxid = zxid;
}

ZkError DataTree::apply_create(OpCode type, CreateTxn& txn, const TxnHeader& header, Stat& stat) {
  std::string_view path = txn.path;
  if (path.empty() || path.find('/') == std::string_view::npos) return ZkError::no_node;
  std::string_view parent_name = parent_path(path);
  Node* parent = parent_of(path);
  if (parent == nullptr) return ZkError::no_node;
  uint64_t hash = hash_path(path);
  int64_t acl_ref = acls_.acquire(txn.acls);
  Node* node = path == "/" ? root_ : table_.find(path, hash);
  if (node != nullptr) {
    acls_.release(node->acl_ref_);
    node->acl_ref_ = acl_ref;
    if (type == OpCode::create) {
      digest_remove(*parent, parent_name);
      raise_parent(*parent, txn.parent_cversion, header.zxid);
      digest_add(*parent, parent_name);
    }
    return ZkError::node_exists;
  }
  digest_remove(*parent, parent_name);
  raise_parent(*parent, txn.parent_cversion, header.zxid);
  digest_add(*parent, parent_name);

  node = make_node(*parent, path, hash);
  node->stat_.czxid = node->stat_.mzxid = node->stat_.pzxid = header.zxid;
  node->stat_.ctime = node->stat_.mtime = header.time_ms;
  node->stat_.ephemeral_owner = type == OpCode::create_container ? kContainerOwner
                                : type == OpCode::create_ttl     ? kTtlOwnerMask | txn.ttl_ms
                                : txn.ephemeral                  ? header.client_id
                                                                 : 0;
  node->acl_ref_ = acl_ref;
  int64_t bytes = size_of(txn.data);
  set_node_data(*node, path, bytes_of(txn.data));
  data_size_ += static_cast<int64_t>(path.size());
  own(node);
  digest_add(*node, path);
  stat = stat_of(*node);
  txn.data.reset();

  quota_on_create(path, bytes);
  if (listener_ != nullptr)
    listener_->node_created(path, *txn.acls, watched_parent(path), *acls_of(*parent), header.zxid);
  return ZkError::ok;
}

ZkError DataTree::apply_delete(std::string_view path, int64_t zxid) {
  if (path.size() < 2 || path.find('/') == std::string_view::npos) return ZkError::no_node;
  std::string_view parent_name = parent_path(path);
  Node* parent = find_mutable(parent_name);
  if (parent == nullptr) return ZkError::no_node;
  // Before the node is looked for: a snapshot that ran ahead may miss it, and the parent must still
  // learn.
  if (zxid > parent->stat_.pzxid) {
    digest_remove(*parent, parent_name);
    parent->stat_.pzxid = zxid;
    digest_add(*parent, parent_name);
  }
  Node* node = find_mutable(path);
  if (node == nullptr) return ZkError::no_node;
  AclRef acls = acls_of(*node);
  auto bytes = static_cast<int64_t>(node->data().size());
  remove_node(node, path);
  quota_on_delete(path, bytes);
  if (listener_ != nullptr)
    listener_->node_deleted(path, *acls, watched_parent(path), *acls_of(*parent), zxid);
  return ZkError::ok;
}

ZkError DataTree::apply_set_data(SetDataTxn& txn, const TxnHeader& header, Stat& stat) {
  Node* node = find_mutable(txn.path);
  if (node == nullptr) return ZkError::no_node;
  digest_remove(*node, txn.path);
  int64_t grown = size_of(txn.data) - static_cast<int64_t>(node->data().size());
  set_node_data(*node, txn.path, bytes_of(txn.data));
  node->stat_.mtime = header.time_ms;
  node->stat_.mzxid = header.zxid;
  node->stat_.version = txn.version;
  digest_add(*node, txn.path);
  stat = stat_of(*node);
  txn.data.reset();
  quota_add(txn.path, grown, 0);
  if (listener_ != nullptr) listener_->data_changed(txn.path, *acls_of(*node), header.zxid);
  return ZkError::ok;
}

ZkError DataTree::apply_set_acl(const SetAclTxn& txn, Stat& stat) {
  Node* node = find_mutable(txn.path);
  if (node == nullptr) return ZkError::no_node;
  digest_remove(*node, txn.path);
  int64_t acl_ref = acls_.acquire(txn.acls);
  acls_.release(node->acl_ref_);
  node->acl_ref_ = acl_ref;
  node->stat_.aversion = txn.version;
  digest_add(*node, txn.path);
  stat = stat_of(*node);
  return ZkError::ok;
}

// Listed paths first, in the order of the list; then whatever else the session owns here.
void DataTree::apply_close_session(const CloseSessionTxn& txn, const TxnHeader& header) {
  if (txn.paths)
    for (const std::string& path : *txn.paths) (void)apply_delete(path, header.zxid);
  for (const std::string& path : ephemerals_of(header.client_id))
    (void)apply_delete(path, header.zxid);
  sessions_.erase(header.client_id);
}

// ------------------------------------------------------------------------------------------ quota

void DataTree::quota_add(std::string_view path, int64_t bytes, int64_t count) {
  if (quotas_.empty()) return;
  std::string covering = quotas_.covering(path);
  if (covering.empty()) return;
  std::string stats_path = quota_stats_path(covering);
  Node* stats = find_mutable(stats_path);
  if (stats == nullptr) return;
  QuotaTrack track = QuotaTrack::parse(as_text(stats->data())).value_or(QuotaTrack());
  track.set_count(wrapping_add(track.count(), count));  // a client may have written any
  track.set_bytes(wrapping_add(track.bytes(), bytes));
  set_node_data(*stats, stats_path, as_bytes(track.text()));
}

void DataTree::quota_on_create(std::string_view path, int64_t bytes) {
  std::string_view parent = parent_path(path);
  if (parent.starts_with(kQuotaRoot)) {
    std::string_view limited = parent.substr(kQuotaRoot.size());
    if (base_name(path) == kLimitName) quotas_.add(limited);
    if (base_name(path) == kStatsName) quota_recount(limited);
  }
  quota_add(path, bytes, 1);
}

void DataTree::quota_on_delete(std::string_view path, int64_t bytes) {
  std::string_view parent = parent_path(path);
  if (parent.starts_with(kQuotaRoot) && base_name(path) == kLimitName)
    quotas_.remove(parent.substr(kQuotaRoot.size()));
  quota_add(path, -bytes, -1);
}

void DataTree::quota_recount(std::string_view path) {
  std::string stats_path = quota_stats_path(path);
  Node* stats = find_mutable(stats_path);
  if (stats == nullptr) return;
  int64_t bytes = 0, count = 0;
  const Node* top = find(path);
  for (const Node* node = top; node != nullptr; node = node->next_in(*top)) {
    ++count;
    bytes += static_cast<int64_t>(node->data().size());
  }
  QuotaTrack track;
  track.set_count(count);
  track.set_bytes(bytes);
  set_node_data(*stats, stats_path, as_bytes(track.text()));
}

// After a snapshot: every zookeeper_limits node below /zookeeper/quota.
void DataTree::quota_rebuild() {
  quotas_.clear();
  const Node* top = find(kQuotaRoot);
  for (const Node* node = top; node != nullptr; node = node->next_in(*top)) {
    if (node == top || node->first_child() != nullptr || node->name() != kLimitName) continue;
    std::string limited = node->parent()->path().substr(kQuotaRoot.size());
    quota_recount(limited);
    quotas_.add(limited);
  }
}

}  // namespace ottla::zk
