// The tree as a structure: nodes made, found, removed, loaded and checked. What transactions do to
// it is in replay.cc.
#include "zk-ensemble/tree/data_tree.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "common/base/check.h"
#include "fmt/core.h"
#include "zk-ensemble/tree/path.h"

namespace ottla::zk {

static_assert(sizeof(Node) == 128, "a node's memory is counted in bytes; see node.h");

OwnerKind owner_kind(int64_t owner, const CoreOptions& options) {
  if (owner == 0) return OwnerKind::none;
  if (options.extended_types) {
    if (options.emulate_353_ttl && owner < 0 && owner != kContainerOwner) return OwnerKind::ttl;
    if ((owner & kTtlOwnerMask) == kTtlOwnerMask) return OwnerKind::ttl;
  }
  return owner == kContainerOwner ? OwnerKind::container : OwnerKind::session;
}

namespace {

int64_t ttl_of(int64_t owner) {
  return (owner & kTtlOwnerMask) == kTtlOwnerMask ? owner & kTtlMaxMs : owner & INT64_MAX;
}

void free_node(Node* node, uint8_t* data) {
  std::free(data);
  node->~Node();
  ::operator delete(node);
}

int64_t path_size(std::string_view path) { return static_cast<int64_t>(path.size()); }

}  // namespace

std::string Node::path() const {
  size_t size = 0;
  for (const Node* node = this; node->parent_ != nullptr; node = node->parent_)
    size += node->name_size_ + 1;
  std::string path(size, '/');
  for (const Node* node = this; node->parent_ != nullptr; node = node->parent_) {
    size -= node->name_size_;
    std::memcpy(path.data() + size, node->name().data(), node->name_size_);
    --size;
  }
  return path;
}

bool DataTree::OldestFirst::operator()(const Node* a, const Node* b) const {
  if (a->persisted().czxid != b->persisted().czxid)
    return a->persisted().czxid < b->persisted().czxid;
  return a != b && a->path() < b->path();
}

DataTree::DataTree(const CoreOptions& options) : options_(options) {
  load_begin();
  make_builtin("/zookeeper", open_acl(), 0);
  make_builtin("/zookeeper/config", read_acl(), -1);
  make_builtin("/zookeeper/quota", open_acl(), 0);
}

DataTree::~DataTree() {
  OTTLA_CHECK(cursors_.empty());
  clear();
}

void DataTree::make_builtin(std::string_view path, const AclRef& acls, int32_t aversion) {
  Node* node = make_node(*find_mutable(parent_path(path)), path, hash_path(path));
  node->stat_.aversion = aversion;
  node->acl_ref_ = acls_.acquire(acls);
  set_node_data(*node, path, Bytes());
  data_size_ += path_size(path);
  digest_add(*node, path);
}

void DataTree::clear() {
  // Children go before what is left behind their parent.
  for (Node* node = std::exchange(root_, nullptr); node != nullptr;) {
    Node* next = node->next_;
    if (Node* first = node->first_child_; first != nullptr) {
      first->previous_->next_ = next;
      next = first;
    }
    free_node(node, node->data_);
    node = next;
  }
  table_.clear();
  acls_.clear();
  sessions_.clear();
  ephemerals_.clear();
  containers_.clear();
  ttls_.clear();
  quotas_.clear();
  digest_ring_.clear();
  pending_snapshot_digest_.reset();
  digest_ = 0;
  data_size_ = 0;
  ephemeral_count_ = 0;
  last_zxid_ = 0;
}

// ---------------------------------------------------------------------------------------- nodes

Node* DataTree::find_mutable(std::string_view path) const {
  if (path.empty() || path == "/") return root_;
  return table_.find(path, hash_path(path));
}

// The root is asked for as "/", but no path has that in front of its name: "//x" has no parent.
Node* DataTree::parent_of(std::string_view path) const {
  std::string_view parent = parent_path(path);
  return parent == "/" ? nullptr : find_mutable(parent);
}

const Node* DataTree::find(std::string_view path) const { return find_mutable(path); }

Node* DataTree::make_node(Node& parent, std::string_view path, uint64_t hash) {
  std::string_view name = base_name(path);
  Node* node = new (::operator new(sizeof(Node) + name.size())) Node;
  node->name_size_ = static_cast<uint32_t>(name.size());
  std::memcpy(node + 1, name.data(), name.size());
  node->parent_ = &parent;
  if (Node* first = parent.first_child_; first != nullptr) {
    node->next_ = first;
    node->previous_ = first->previous_;
    first->previous_->next_ = node;
    first->previous_ = node;
  } else {
    parent.first_child_ = node->next_ = node->previous_ = node;
  }
  ++parent.children_;
  table_.insert(node, hash);
  return node;
}

void DataTree::remove_node(Node* node, std::string_view path) {
  // Only a log that a fuzzy snapshot ran ahead of deletes a node with children; it makes them anew
  // later.
  for (Node* leaf = node; node->first_child_ != nullptr;) {
    while (leaf->first_child_ != nullptr) leaf = leaf->first_child_;
    Node* parent = leaf->parent_;
    remove_leaf(leaf, leaf->path());
    leaf = parent;
  }
  remove_leaf(node, path);
}

void DataTree::remove_leaf(Node* node, std::string_view path) {
  for (SnapshotCursor* cursor : cursors_) cursor->node_unlinked(node);
  digest_remove(*node, path);
  disown(node);
  acls_.release(node->acl_ref_);
  data_size_ -= path_size(path) + static_cast<int64_t>(node->data().size());
  table_.remove(node, hash_path(path));
  Node* parent = node->parent_;
  if (--parent->children_ == 0) {
    parent->first_child_ = nullptr;
  } else {
    node->previous_->next_ = node->next_;
    node->next_->previous_ = node->previous_;
    if (parent->first_child_ == node) parent->first_child_ = node->next_;
  }
  free_node(node, node->data_);
}

void DataTree::set_node_data(Node& node, std::string_view path, std::optional<Bytes> data) {
  size_t size = data ? data->size() : 0;
  if (size != node.data().size()) {
    data_size_ += static_cast<int64_t>(size) - static_cast<int64_t>(node.data().size());
    std::free(node.data_);
    node.data_ = size == 0 ? nullptr : static_cast<uint8_t*>(std::malloc(size));
    OTTLA_CHECK(size == 0 || node.data_ != nullptr, "out of memory");
  }
  if (size > 0) std::memcpy(node.data_, data->data(), size);
  node.data_size_ = data ? static_cast<int32_t>(size) : -1;
  if (options_.digest_enabled && digest_covers(path))
    node.digest_prefix_ = digest_prefix(path, node.data());
}

void DataTree::own(Node* node) {
  switch (owner_kind(node->stat_.ephemeral_owner, options_)) {
    case OwnerKind::none:
      break;
    case OwnerKind::container:
      containers_.insert(node);
      break;
    case OwnerKind::ttl:
      ttls_.insert(node);
      break;
    case OwnerKind::session:
      ephemerals_[node->stat_.ephemeral_owner].insert(node);
      ++ephemeral_count_;
      break;
  }
}

void DataTree::disown(Node* node) {
  switch (owner_kind(node->stat_.ephemeral_owner, options_)) {
    case OwnerKind::none:
      break;
    case OwnerKind::container:
      containers_.erase(node);
      break;
    case OwnerKind::ttl:
      ttls_.erase(node);
      break;
    case OwnerKind::session: {
      auto owned = ephemerals_.find(node->stat_.ephemeral_owner);
      if (owned == ephemerals_.end()) break;
      ephemeral_count_ -= static_cast<int64_t>(owned->second.erase(node));
      if (owned->second.empty()) ephemerals_.erase(owned);
      break;
    }
  }
}

void DataTree::digest_remove(const Node& node, std::string_view path) {
  if (options_.digest_enabled && digest_covers(path))
    digest_ -= digest_node(node.digest_prefix_, node.stat_);
}

void DataTree::digest_add(const Node& node, std::string_view path) {
  if (options_.digest_enabled && digest_covers(path))
    digest_ += digest_node(node.digest_prefix_, node.stat_);
}

// -------------------------------------------------------------------------------------- reading

Stat DataTree::stat_of(const Node& node) const {
  const StatPersisted& kept = node.persisted();
  Stat stat;
  stat.czxid = kept.czxid;
  stat.mzxid = kept.mzxid;
  stat.ctime = kept.ctime;
  stat.mtime = kept.mtime;
  stat.version = kept.version;
  // Unsigned, because the counter wraps at its maximum and clients are shown what Java would.
  stat.cversion = static_cast<int32_t>(2u * static_cast<uint32_t>(kept.cversion) -
                                       static_cast<uint32_t>(node.children()));
  stat.aversion = kept.aversion;
  stat.ephemeral_owner =
      owner_kind(kept.ephemeral_owner, options_) == OwnerKind::session ? kept.ephemeral_owner : 0;
  stat.data_length = static_cast<int32_t>(node.data().size());
  stat.num_children = node.children();
  stat.pzxid = kept.pzxid;
  return stat;
}

int64_t DataTree::descendants(const Node& node) const {
  if (&node == root_) return static_cast<int64_t>(table_.size());
  int64_t count = -1;  // itself
  for (const Node* at = &node; at != nullptr; at = at->next_in(node)) ++count;
  return count;
}

std::vector<std::string> DataTree::ephemerals_of(int64_t session) const {
  std::vector<std::string> paths;
  auto owned = ephemerals_.find(session);
  if (owned == ephemerals_.end()) return paths;
  for (const Node* node : owned->second) paths.push_back(node->path());
  return paths;
}

std::vector<int64_t> DataTree::sessions_with_ephemerals() const {
  std::vector<int64_t> sessions;
  for (const auto& [session, nodes] : ephemerals_) sessions.push_back(session);
  return sessions;
}

bool DataTree::is_due(const StatPersisted& stat, int32_t children, int64_t wall_ms) const {
  if (children != 0) return false;
  int64_t age_ms = wall_ms - stat.mtime;
  switch (owner_kind(stat.ephemeral_owner, options_)) {
    case OwnerKind::container:
      return stat.cversion > 0 || (options_.container_max_never_used_ms > 0 &&
                                   age_ms > options_.container_max_never_used_ms);
    case OwnerKind::ttl:
      return age_ms > ttl_of(stat.ephemeral_owner);
    case OwnerKind::none:
    case OwnerKind::session:
      return false;
  }
  return false;
}

std::vector<std::string> DataTree::expired_containers(int64_t wall_ms) const {
  std::vector<std::string> paths;
  for (const NodeSet* nodes : {&containers_, &ttls_})
    for (const Node* node : *nodes)
      if (is_due(node->persisted(), node->children(), wall_ms)) paths.push_back(node->path());
  return paths;
}

// -------------------------------------------------------------------------------------- loading

void DataTree::load_begin() {
  clear();
  root_ = new (::operator new(sizeof(Node))) Node;
  root_->data_size_ = 0;
  if (options_.digest_enabled) root_->digest_prefix_ = digest_prefix("", {});
  data_size_ = 1;  // the name "/"
  digest_add(*root_, "");
}

Result<void> DataTree::load_node(std::string_view path, std::optional<Bytes> data, int64_t acl_ref,
                                 const StatPersisted& stat) {
  Node* node = find_mutable(path);
  if (path == "/" || (node == nullptr && (path.empty() || path.front() != '/')))
    return fail(Errc::corrupt, fmt::format("snapshot has a node with the path '{}'", path));
  if (node == nullptr) {
    Node* parent = parent_of(path);
    if (parent == nullptr)
      return fail(Errc::corrupt, fmt::format("snapshot has node {} before its parent", path));
    node = make_node(*parent, path, hash_path(path));
    data_size_ += path_size(path);
  } else {
    digest_remove(*node, path);
    disown(node);
    acls_.release(node->acl_ref_);
  }
  node->stat_ = stat;
  node->acl_ref_ = acl_ref;
  acls_.add_use(acl_ref);
  set_node_data(*node, path, data);
  if (node != root_) own(node);
  digest_add(*node, path);
  return {};
}

void DataTree::load_end(int64_t zxid, std::optional<DigestAt> digest) {
  acls_.purge_unused();
  quota_rebuild();
  last_zxid_ = zxid;
  pending_snapshot_digest_ = digest;
}

std::vector<std::string> DataTree::drop_orphans() {
  std::vector<std::string> dropped;
  for (int64_t session : sessions_with_ephemerals()) {
    if (sessions_.contains(session)) continue;
    for (std::string& path : ephemerals_of(session)) {
      (void)apply_delete(path, last_zxid_);
      dropped.push_back(std::move(path));
    }
  }
  return dropped;
}

// ------------------------------------------------------------------------------------- checking

void DataTree::check_invariants() const {
  OTTLA_CHECK(root_ != nullptr && root_->parent_ == nullptr);
  size_t nodes = 0, owned = 0;
  int64_t size = 1 + static_cast<int64_t>(root_->data().size());
  uint64_t digest = options_.digest_enabled ? digest_node(root_->digest_prefix_, root_->stat_) : 0;
  std::map<int64_t, int64_t> acl_uses;
  for (const Node* node = root_; node != nullptr; node = node->next_in(*root_)) {
    int32_t children = 0;
    for (const Node* child = node->first_child(); child != nullptr; child = child->next_sibling()) {
      OTTLA_CHECK(child->parent() == node && child->next_->previous_ == child);
      ++children;
    }
    OTTLA_CHECK(children == node->children());
    if (node != root_) {
      std::string path = node->path();
      ++nodes;
      size += path_size(path) + static_cast<int64_t>(node->data().size());
      OTTLA_CHECK(find(path) == node);
      if (options_.digest_enabled && digest_covers(path)) {
        OTTLA_CHECK(node->digest_prefix_ == digest_prefix(path, node->data()));
        digest += digest_node(node->digest_prefix_, node->stat_);
      }
      if (node->stat_.ephemeral_owner != 0) ++owned;
    }
    if (node->acl_ref() != AclCache::kOpenRef) ++acl_uses[node->acl_ref()];
  }
  OTTLA_CHECK(nodes == table_.size() && size == data_size_ && digest == digest_);
  size_t in_sets = containers_.size() + ttls_.size();
  for (const auto& [session, set] : ephemerals_) {
    OTTLA_CHECK(!set.empty());
    in_sets += set.size();
  }
  OTTLA_CHECK(in_sets == owned);
  acls_.check_invariants();
  for (const auto& [ref, entry] : acls_.entries()) OTTLA_CHECK(acl_uses[ref] == entry.uses);
}

// ------------------------------------------------------------------------------------- snapshot

SnapshotCursor::SnapshotCursor(DataTree& tree)
    : tree_(tree), start_zxid_(tree.last_zxid()), next_(tree.root_) {
  tree_.cursors_.push_back(this);
}

SnapshotCursor::~SnapshotCursor() { std::erase(tree_.cursors_, this); }

void SnapshotCursor::node_unlinked(const Node* node) {
  if (next_ == node) next_ = node->next_in(*tree_.root_);
}

void SnapshotCursor::write_header(wire::Writer& out) const {
  out.i32(static_cast<int32_t>(tree_.sessions_.size()));
  for (const auto& [id, timeout_ms] : tree_.sessions_) {
    out.i64(id);
    out.i32(timeout_ms);
  }
  out.i32(static_cast<int32_t>(tree_.acls_.size()));
  for (const auto& [ref, entry] : tree_.acls_.entries()) {
    out.i64(ref);
    encode_acls(out, *entry.acls);
  }
}

bool SnapshotCursor::write_nodes(wire::Writer& out, size_t budget_bytes) {
  size_t stop = out.size() + budget_bytes;
  for (; next_ != nullptr && out.size() < stop; next_ = next_->next_in(*tree_.root_)) {
    const Node& node = *next_;
    if (node.persisted().czxid > start_zxid_) continue;
    std::string path = node.path();
    out.i32(static_cast<int32_t>(path.size()));
    out.raw(path);
    out.i32(node.data_is_null() ? -1 : static_cast<int32_t>(node.data().size()));
    out.raw(node.data());
    out.i64(node.acl_ref());
    node.persisted().encode(out);
  }
  return next_ != nullptr;
}

}  // namespace ottla::zk
