// Preparer: a write request and the state to come (overlay.h) make a transaction. It decides
// everything: permissions, versions, names, errors. A refused write is a transaction too, of type
// error, and takes a zxid. Runs at the leader (standalone: here); replicas only replay. Source:
// ZooKeeper programmer's guide; order of checks as Apache 3.9's, see README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "zk-ensemble/tree/overlay.h"
#include "zk-ensemble/tree/txn.h"

namespace ottla::zk {

struct WriteRequest {
  int64_t session = 0;
  int32_t cxid = 0;
  OpCode type = OpCode::error;
  Bytes body;                           // after the request header
  const AuthInfo* auth = nullptr;       // the connection's ids; null: none
  ZkError session_error = ZkError::ok;  // what the session tracker says of this session and owner
};

class Preparer {
 public:
  // The first transaction gets zxid `last_zxid` + 1.
  Preparer(const DataTree& tree, const CoreOptions& options, int64_t last_zxid)
      : tree_(tree), options_(options), overlay_(tree), last_zxid_(last_zxid) {}

  // The transaction for `request`, or nullopt when its body does not decode: answer
  // marshalling_error, nothing is proposed. (But a multi that does not decode is an error
  // transaction, as Apache has it.)
  std::optional<Txn> prepare(const WriteRequest& request, int64_t wall_ms);
  Txn prepare_create_session(int64_t session, int32_t cxid, int32_t timeout_ms, int64_t wall_ms);
  Txn prepare_close_session(int64_t session, int32_t cxid, int64_t wall_ms);
  // For containers and TTL nodes; session and cxid 0. Nothing when the node is not due any more.
  std::optional<Txn> prepare_delete_container(std::string_view path, int64_t wall_ms);

  // `zxid` and all before it are applied.
  void applied(int64_t zxid) { overlay_.applied(zxid); }
  int64_t last_zxid() const { return last_zxid_; }
  // A new leader's first zxid (epoch << 32). Only with nothing pending.
  void set_last_zxid(int64_t zxid);
  size_t pending_changes() const { return overlay_.size(); }
  // The last change of `path` that is not applied, or null.
  const ChangeRecord* pending_change(std::string_view path) const { return overlay_.find(path); }
  static bool is_write(OpCode type);
  // True when `body` is a multi of write operations, whatever they ask.
  static bool is_well_formed_multi(Bytes body);
  void check_invariants() const;

 private:
  struct Op;       // one operation as it was sent
  struct Context;  // what all operations of a request share
  static bool decode_op(OpCode type, wire::Reader& in, Op& op);
  // What does not decode is an error transaction, but for a create with a null ACL list, which
  // Apache trips over before it takes a zxid.
  enum class Multi { good, malformed, not_proposed };
  static Multi decode_multi(wire::Reader& in, std::vector<Op>& ops);

  ZkError prepare_op(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_create(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_remove(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_remove_container(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_set_data(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_set_acl(Op& op, const Context& context, TxnBody& into);
  ZkError prepare_check(Op& op, const Context& context, TxnBody& into);
  std::optional<Txn> prepare_multi(const WriteRequest& request, int64_t wall_ms);

  bool allows(const ChangeRecord& record, int32_t perms, const Context& context) const;
  ZkError check_quota(std::string_view path, int64_t bytes, int64_t count) const;
  Context begin(int64_t session, int32_t cxid, const AuthInfo* auth, ZkError session_error,
                int64_t wall_ms);
  // Makes `after` the pending state of its path and moves the digest along; `before` is what it
  // replaces.
  void change(const ChangeRecord* before, ChangeRecord after);
  void remove_pending(const ChangeRecord& parent, const ChangeRecord& node, int64_t zxid);
  Txn finish(const Context& context, OpCode type, TxnBody body);
  Txn refuse(const Context& context, ZkError error);

  const DataTree& tree_;
  const CoreOptions& options_;
  Overlay overlay_;
  int64_t last_zxid_;
  size_t auth_room_ = 0;  // of the request that is prepared
};

}  // namespace ottla::zk
