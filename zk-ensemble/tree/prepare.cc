#include "zk-ensemble/tree/prepare.h"

#include "common/base/check.h"
#include "common/base/wrapping.h"
#include "zk-ensemble/tree/jute_io.h"
#include "zk-ensemble/tree/path.h"

namespace ottla::zk {

struct Preparer::Op {
  OpCode type = OpCode::error;
  std::optional<std::string> path;
  NodeData data;
  std::vector<RawAcl> acls;
  bool acls_are_null = false;
  int32_t flags = 0;
  int32_t version = -1;
  int64_t ttl_ms = -1;
};

struct Preparer::Context {
  int64_t session;
  int32_t cxid;
  int64_t zxid;
  int64_t wall_ms;
  const AuthInfo& auth;
  ZkError session_error;
};

namespace {

// Create flags: bit patterns are not meaningful, the numbers are.
constexpr int32_t kFlagMax = 6;
constexpr int32_t kFlagContainer = 4;
bool is_ephemeral(int32_t flags) { return flags == 1 || flags == 3; }
bool is_sequential(int32_t flags) { return flags == 2 || flags == 3 || flags == 6; }
bool is_ttl(int32_t flags) { return flags == 5 || flags == 6; }
bool valid_flags(int32_t flags) { return flags >= 0 && flags <= kFlagMax; }

bool is_create(OpCode type) {
  return type == OpCode::create || type == OpCode::create2 || type == OpCode::create_container ||
         type == OpCode::create_ttl;
}

bool has_parent_syntax(std::string_view path) {
  return path.find('/') != std::string_view::npos && path.find('\0') == std::string_view::npos;
}

int32_t next(int32_t counter) { return static_cast<int32_t>(static_cast<uint32_t>(counter) + 1); }

int64_t size_of(const NodeData& data) { return data ? static_cast<int64_t>(data->size()) : 0; }

}  // namespace

bool Preparer::is_write(OpCode type) {
  switch (type) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
    case OpCode::remove:
    case OpCode::delete_container:
    case OpCode::set_data:
    case OpCode::set_acl:
    case OpCode::multi:
    case OpCode::reconfig:
      return true;
    default:
      return false;
  }
}

// --------------------------------------------------------------------------------- decoding

bool Preparer::decode_op(OpCode type, wire::Reader& in, Op& op) {
  op.type = type;
  switch (type) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      op.path = get_nullable(in);
      op.data = get_nullable(in);
      op.acls_are_null = wire::Reader(in).i32() == -1;
      decode_raw_acls(in, op.acls);
      op.flags = in.i32();
      if (type == OpCode::create_ttl) op.ttl_ms = in.i64();
      return in.ok();
    case OpCode::remove:
    case OpCode::check:
      op.path = get_nullable(in);
      op.version = in.i32();
      return in.ok();
    case OpCode::delete_container:
      op.path = get_nullable(in);
      return in.ok() && op.path;  // bytes, not a string: null does not decode
    case OpCode::set_data:
      op.path = get_nullable(in);
      op.data = get_nullable(in);
      op.version = in.i32();
      return in.ok();
    case OpCode::set_acl:
      op.path = get_nullable(in);
      decode_raw_acls(in, op.acls);
      op.version = in.i32();
      return in.ok();
    case OpCode::reconfig:
      for (int i = 0; i < 3; ++i) (void)get_view(in);
      (void)in.i64();
      return in.ok();
    default:
      return false;
  }
}

// A multi's creates are promoted by their flags: 4 makes a container, 5 and 6 a TTL node, whatever
// the operation's own type; and a createTTL without a TTL flag is a plain create.
Preparer::Multi Preparer::decode_multi(wire::Reader& in, std::vector<Op>& ops) {
  bool reads = false;  // decode like the rest, and do not mix
  for (;;) {
    auto type = static_cast<OpCode>(in.i32());
    bool done = in.boolean();
    (void)in.i32();
    if (!in.ok()) return Multi::malformed;
    if (done) return reads ? Multi::malformed : Multi::good;
    if (type == OpCode::get_data || type == OpCode::get_children) {
      (void)get_view(in);
      (void)in.boolean();
      reads = true;
      if (!in.ok() || !ops.empty()) return Multi::malformed;
      continue;
    }
    bool allowed = is_create(type) || type == OpCode::remove || type == OpCode::set_data ||
                   type == OpCode::check;
    Op& op = ops.emplace_back();
    if (!allowed || !decode_op(type, in, op)) return Multi::malformed;
    if (!is_create(type)) {
      if (reads) return Multi::malformed;
      continue;
    }
    if (type == OpCode::create_ttl) {
      if (reads) return Multi::malformed;
      if (!is_ttl(op.flags)) op.ttl_ms = -1;
      op.type = is_ttl(op.flags)             ? OpCode::create_ttl
                : op.flags == kFlagContainer ? OpCode::create_container
                                             : OpCode::create;
      continue;
    }
    if (!valid_flags(op.flags)) return Multi::malformed;
    if (op.acls_are_null) return Multi::not_proposed;
    if (is_ttl(op.flags) || reads) return Multi::malformed;
    if (op.flags == kFlagContainer) op.type = OpCode::create_container;
  }
}

bool Preparer::is_well_formed_multi(Bytes body) {
  wire::Reader in(body);
  std::vector<Op> ops;
  return decode_multi(in, ops) == Multi::good;
}

// --------------------------------------------------------------------------------- requests

Preparer::Context Preparer::begin(int64_t session, int32_t cxid, const AuthInfo* auth,
                                  ZkError session_error, int64_t wall_ms) {
  static const AuthInfo nobody;
  auth_room_ = options_.request_max_bytes;
  return {session, cxid, ++last_zxid_, wall_ms, auth == nullptr ? nobody : *auth, session_error};
}

std::optional<Txn> Preparer::prepare(const WriteRequest& request, int64_t wall_ms) {
  OTTLA_CHECK(is_write(request.type));
  wire::Reader in(request.body);
  Op op;
  if (request.type == OpCode::multi) return prepare_multi(request, wall_ms);
  if (!decode_op(request.type, in, op)) return std::nullopt;
  Context context =
      begin(request.session, request.cxid, request.auth, request.session_error, wall_ms);
  TxnBody body;
  ZkError error = prepare_op(op, context, body);
  return error == ZkError::ok ? finish(context, request.type, std::move(body))
                              : refuse(context, error);
}

std::optional<Txn> Preparer::prepare_multi(const WriteRequest& request, int64_t wall_ms) {
  wire::Reader in(request.body);
  std::vector<Op> ops;
  Multi decoded = decode_multi(in, ops);
  if (decoded == Multi::not_proposed) return std::nullopt;
  Context context =
      begin(request.session, request.cxid, request.auth, request.session_error, wall_ms);
  if (decoded == Multi::malformed) return refuse(context, ZkError::marshalling_error);
  for (const Op& op : ops)
    if (!op.path) return refuse(context, ZkError::marshalling_error);
  uint64_t digest_before = overlay_.digest();
  auto roll_back = [&] {
    overlay_.roll_back(context.zxid);
    overlay_.set_digest(digest_before);
  };
  MultiTxn multi;
  multi.txns.reserve(ops.size());
  bool failed = false;
  for (Op& op : ops) {
    SubTxn& sub = multi.txns.emplace_back();
    ZkError error = failed ? ZkError::runtime_inconsistency : prepare_op(op, context, sub.body);
    if (error == ZkError::marshalling_error) {
      roll_back();
      return refuse(context, error);
    }
    if (error == ZkError::ok) {
      sub.type = op.type;
      continue;
    }
    if (!failed) roll_back();
    failed = true;
    sub.type = OpCode::error;
    sub.body = ErrorTxn{error};
  }
  return finish(context, OpCode::multi, std::move(multi));
}

Txn Preparer::finish(const Context& context, OpCode type, TxnBody body) {
  Txn txn;
  txn.header = {context.session, context.cxid, context.zxid, context.wall_ms, type};
  txn.body = std::move(body);
  if (options_.digest_enabled) txn.digest = TxnDigest{kDigestVersion, overlay_.digest()};
  return txn;
}

Txn Preparer::refuse(const Context& context, ZkError error) {
  Txn txn;
  txn.header = {context.session, context.cxid, context.zxid, context.wall_ms, OpCode::error};
  txn.body = ErrorTxn{error};
  return txn;
}

Txn Preparer::prepare_create_session(int64_t session, int32_t cxid, int32_t timeout_ms,
                                     int64_t wall_ms) {
  Context context = begin(session, cxid, nullptr, ZkError::ok, wall_ms);
  return finish(context, OpCode::create_session, CreateSessionTxn{timeout_ms});
}

Txn Preparer::prepare_close_session(int64_t session, int32_t cxid, int64_t wall_ms) {
  Context context = begin(session, cxid, nullptr, ZkError::ok, wall_ms);
  // What the session will own: what it owns, with pending deletes and creates played over it.
  std::vector<std::string> paths = tree_.ephemerals_of(session);
  if (overlay_.size() > 0) {
    std::erase_if(paths, [&](const std::string& path) {
      ChangeRecord node;
      return !overlay_.lookup(path, node) || node.stat.ephemeral_owner != session ||
             node.stat.czxid != tree_.find(path)->persisted().czxid;
    });
    for (std::string& path : overlay_.created_by(session)) paths.push_back(std::move(path));
  }
  for (const std::string& path : paths) {
    ChangeRecord parent, node;
    if (overlay_.lookup(path, node) && overlay_.lookup(parent_path(path), parent))
      remove_pending(parent, node, context.zxid);
  }
  CloseSessionTxn body;
  if (options_.close_session_txn) body.paths = std::move(paths);
  return finish(context, OpCode::close_session, std::move(body));
}

std::optional<Txn> Preparer::prepare_delete_container(std::string_view path, int64_t wall_ms) {
  ChangeRecord node;
  if (!overlay_.lookup(path, node) || !tree_.is_due(node.stat, node.children, wall_ms))
    return std::nullopt;
  Context context = begin(0, 0, nullptr, ZkError::ok, wall_ms);
  Op op;
  op.type = OpCode::delete_container;
  op.path = std::string(path);
  TxnBody body;
  ZkError error = prepare_remove_container(op, context, body);
  return error == ZkError::ok ? finish(context, op.type, std::move(body)) : refuse(context, error);
}

void Preparer::set_last_zxid(int64_t zxid) {
  OTTLA_CHECK(overlay_.size() == 0 && zxid >= last_zxid_);
  last_zxid_ = zxid;
}

// ------------------------------------------------------------------------------- operations

ZkError Preparer::prepare_op(Op& op, const Context& context, TxnBody& into) {
  switch (op.type) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      return prepare_create(op, context, into);
    case OpCode::remove:
      return prepare_remove(op, context, into);
    case OpCode::delete_container:
      return prepare_remove_container(op, context, into);
    case OpCode::set_data:
      return prepare_set_data(op, context, into);
    case OpCode::set_acl:
      return prepare_set_acl(op, context, into);
    case OpCode::check:
      return prepare_check(op, context, into);
    case OpCode::reconfig:
      if (!options_.reconfig_enabled) return ZkError::reconfig_disabled;
      if (context.session_error != ZkError::ok) return context.session_error;
      return ZkError::unimplemented;  // a standalone server has nothing to reconfigure
    default:
      return ZkError::unimplemented;
  }
}

bool Preparer::allows(const ChangeRecord& record, int32_t perms, const Context& context) const {
  return acl_allows(*record.acls, perms, context.auth, options_);
}

void Preparer::change(const ChangeRecord* before, ChangeRecord after) {
  uint64_t digest = overlay_.digest();
  if (options_.digest_enabled && digest_covers(after.path)) {
    if (before != nullptr) digest -= digest_node(before->digest_prefix, before->stat);
    if (after.exists) digest += digest_node(after.digest_prefix, after.stat);
  }
  overlay_.add(std::move(after));
  overlay_.set_digest(digest);
}

// Flags and ttl, in the order in which Apache finds fault with them.
static ZkError check_mode(OpCode type, int32_t flags, int64_t ttl_ms, const CoreOptions& options) {
  if (!valid_flags(flags)) return ZkError::bad_arguments;
  if (is_ttl(flags)) {
    if (!options.extended_types) return ZkError::unimplemented;
    return ttl_ms > 0 && ttl_ms <= kTtlMaxMs ? ZkError::ok : ZkError::bad_arguments;
  }
  // Apache lets createTTL through with a plain flag and a negative ttl, and dies of applying it.
  return ttl_ms >= 0 || type == OpCode::create_ttl ? ZkError::bad_arguments : ZkError::ok;
}

ZkError Preparer::prepare_create(Op& op, const Context& context, TxnBody& into) {
  if (ZkError error = check_mode(op.type, op.flags, op.ttl_ms, options_); error != ZkError::ok)
    return error;
  if (context.session_error != ZkError::ok) return context.session_error;
  if (!op.path) return ZkError::marshalling_error;
  if (!has_parent_syntax(*op.path)) return ZkError::bad_arguments;
  AclRef acls;
  if (ZkError error = normalize_acls(op.acls, context.auth, options_, auth_room_, acls); error != ZkError::ok)
    return error;
  ChangeRecord parent, existing;
  if (!overlay_.lookup(parent_path(*op.path), parent)) return ZkError::no_node;
  if (!allows(parent, kPermCreate, context)) return ZkError::no_auth;
  std::string path = is_sequential(op.flags) ? sequential_path(*op.path, parent.stat.cversion)
                                             : std::move(*op.path);
  if (!valid_path(path)) return ZkError::bad_arguments;
  if (overlay_.lookup(path, existing)) return ZkError::node_exists;
  if (owner_kind(parent.stat.ephemeral_owner, options_) == OwnerKind::session)
    return ZkError::no_children_for_ephemerals;
  if (ZkError error = check_quota(path, size_of(op.data), 1); error != ZkError::ok) return error;

  CreateTxn txn;
  txn.parent_cversion = next(parent.stat.cversion);
  txn.ephemeral = is_ephemeral(op.flags);
  txn.ttl_ms = op.ttl_ms;
  txn.acls = acls;

  ChangeRecord after = parent;
  after.zxid = context.zxid;
  ++after.children;
  after.stat.cversion = txn.parent_cversion;
  after.stat.pzxid = context.zxid;
  change(&parent, std::move(after));

  ChangeRecord node;
  node.zxid = context.zxid;
  node.path = path;
  node.exists = true;
  node.stat.czxid = node.stat.mzxid = node.stat.pzxid = context.zxid;
  node.stat.ctime = node.stat.mtime = context.wall_ms;
  // By the type, as replay does it: the flags only say how the name and the ephemeral bit come
  // about.
  node.stat.ephemeral_owner = op.type == OpCode::create_container ? kContainerOwner
                              : op.type == OpCode::create_ttl     ? kTtlOwnerMask | op.ttl_ms
                              : txn.ephemeral                     ? context.session
                                                                  : 0;
  node.data_size = static_cast<int32_t>(size_of(op.data));
  if (options_.digest_enabled && digest_covers(path))
    node.digest_prefix = digest_prefix(path, op.data ? as_bytes(*op.data) : Bytes());
  node.acls = std::move(acls);
  change(nullptr, std::move(node));

  txn.path = std::move(path);
  txn.data = std::move(op.data);
  into = std::move(txn);
  return ZkError::ok;
}

void Preparer::remove_pending(const ChangeRecord& parent, const ChangeRecord& node, int64_t zxid) {
  ChangeRecord after = parent;
  after.zxid = zxid;
  --after.children;
  after.stat.pzxid = zxid;
  change(&parent, std::move(after));
  ChangeRecord gone;
  gone.zxid = zxid;
  gone.path = node.path;
  change(&node, std::move(gone));
}

ZkError Preparer::prepare_remove(Op& op, const Context& context, TxnBody& into) {
  if (context.session_error != ZkError::ok) return context.session_error;
  if (!op.path) return ZkError::marshalling_error;
  if (!has_parent_syntax(*op.path) || special_path(*op.path)) return ZkError::bad_arguments;
  ChangeRecord parent, node;
  if (!overlay_.lookup(parent_path(*op.path), parent)) return ZkError::no_node;
  if (!allows(parent, kPermDelete, context)) return ZkError::no_auth;
  if (!overlay_.lookup(*op.path, node)) return ZkError::no_node;
  if (op.version != -1 && op.version != node.stat.version) return ZkError::bad_version;
  if (node.children > 0) return ZkError::not_empty;
  remove_pending(parent, node, context.zxid);
  into = DeleteTxn{std::move(*op.path)};
  return ZkError::ok;
}

// No session, permission or version is asked for: this is how the server itself removes what is
// due.
ZkError Preparer::prepare_remove_container(Op& op, const Context& context, TxnBody& into) {
  if (!has_parent_syntax(*op.path) || special_path(*op.path)) return ZkError::bad_arguments;
  ChangeRecord parent, node;
  if (!overlay_.lookup(*op.path, node)) return ZkError::no_node;
  if (node.children > 0) return ZkError::not_empty;
  if (owner_kind(node.stat.ephemeral_owner, options_) == OwnerKind::session)
    return ZkError::bad_version;
  if (!overlay_.lookup(parent_path(*op.path), parent)) return ZkError::no_node;
  remove_pending(parent, node, context.zxid);
  into = DeleteTxn{std::move(*op.path)};
  return ZkError::ok;
}

ZkError Preparer::prepare_set_data(Op& op, const Context& context, TxnBody& into) {
  if (context.session_error != ZkError::ok) return context.session_error;
  if (!op.path || !valid_path(*op.path)) return ZkError::bad_arguments;
  ChangeRecord node;
  if (!overlay_.lookup(*op.path, node)) return ZkError::no_node;
  if (!allows(node, kPermWrite, context)) return ZkError::no_auth;
  if (ZkError error = check_quota(*op.path, size_of(op.data) - node.data_size, 0);
      error != ZkError::ok)
    return error;
  if (op.version != -1 && op.version != node.stat.version) return ZkError::bad_version;
  ChangeRecord after = node;
  after.zxid = context.zxid;
  after.stat.version = next(node.stat.version);
  after.stat.mtime = context.wall_ms;
  after.stat.mzxid = context.zxid;
  after.data_size = static_cast<int32_t>(size_of(op.data));
  if (options_.digest_enabled && digest_covers(after.path))
    after.digest_prefix = digest_prefix(after.path, op.data ? as_bytes(*op.data) : Bytes());
  SetDataTxn txn{std::move(*op.path), std::move(op.data), after.stat.version};
  change(&node, std::move(after));
  into = std::move(txn);
  return ZkError::ok;
}

ZkError Preparer::prepare_set_acl(Op& op, const Context& context, TxnBody& into) {
  if (context.session_error != ZkError::ok) return context.session_error;
  if (!op.path || !valid_path(*op.path)) return ZkError::bad_arguments;
  AclRef acls;
  if (ZkError error = normalize_acls(op.acls, context.auth, options_, auth_room_, acls); error != ZkError::ok)
    return error;
  ChangeRecord node;
  if (!overlay_.lookup(*op.path, node)) return ZkError::no_node;
  if (!allows(node, kPermAdmin, context)) return ZkError::no_auth;
  if (op.version != -1 && op.version != node.stat.aversion) return ZkError::bad_version;
  // The record keeps the old list, as Apache's does: writes behind this one are judged by it until
  // it is applied.
  ChangeRecord after = node;
  after.zxid = context.zxid;
  after.stat.aversion = next(node.stat.aversion);
  SetAclTxn txn{std::move(*op.path), std::move(acls), after.stat.aversion};
  change(&node, std::move(after));
  into = std::move(txn);
  return ZkError::ok;
}

ZkError Preparer::prepare_check(Op& op, const Context& context, TxnBody& into) {
  if (context.session_error != ZkError::ok) return context.session_error;
  if (!op.path || !valid_path(*op.path)) return ZkError::bad_arguments;
  ChangeRecord node;
  if (!overlay_.lookup(*op.path, node)) return ZkError::no_node;
  if (!allows(node, kPermRead, context)) return ZkError::no_auth;
  if (op.version != -1 && op.version != node.stat.version) return ZkError::bad_version;
  into = CheckVersionTxn{std::move(*op.path), next(node.stat.version)};
  return ZkError::ok;
}

// By the applied tree alone, as Apache does: creates in one flight may overshoot a limit.
ZkError Preparer::check_quota(std::string_view path, int64_t bytes, int64_t count) const {
  if (!options_.enforce_quota || tree_.quotas().empty()) return ZkError::ok;
  std::string covering = tree_.quotas().covering(path);
  if (covering.empty()) return ZkError::ok;
  auto track_at = [&](const std::string& at, bool& found) {
    const Node* node = tree_.find(at);
    found = node != nullptr;
    if (!found || node->data_is_null()) return std::optional<QuotaTrack>();
    return QuotaTrack::parse(as_text(node->data()));
  };
  bool found = false;
  std::optional<QuotaTrack> limit = track_at(quota_limit_path(covering), found);
  if (!found) return ZkError::ok;
  if (!limit) return ZkError::marshalling_error;
  bool check_count = count != 0 && limit->count_hard_limit() > -1;
  bool check_bytes = bytes != 0 && limit->byte_hard_limit() > -1;
  if (!check_count && !check_bytes) return ZkError::ok;
  std::optional<QuotaTrack> now = track_at(quota_stats_path(covering), found);
  if (!found) return ZkError::ok;
  if (!now) return ZkError::marshalling_error;
  if (check_count && wrapping_add(now->count(), count) > limit->count_hard_limit())
    return ZkError::quota_exceeded;
  if (check_bytes && wrapping_add(now->bytes(), bytes) > limit->byte_hard_limit())
    return ZkError::quota_exceeded;
  return ZkError::ok;
}

void Preparer::check_invariants() const { overlay_.check_invariants(); }

}  // namespace ottla::zk
