// Transactions: the only thing that changes a tree. Prepared by the leader (prepare.h), logged,
// replicated, replayed everywhere. Encoded as Apache's log entries and proposals are.
// Source: ZooKeeper internals, "Transaction log"; zookeeper.jute, module org.apache.zookeeper.txn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "zk-ensemble/tree/acl.h"
#include "zk-ensemble/tree/protocol.h"

namespace ottla::zk {

using NodeData = std::optional<std::string>;  // null and empty differ on the wire

// create 1, create2 15, create_container 19, create_ttl 21: the type decides the layout and the
// owner.
struct CreateTxn {
  std::string path;
  NodeData data;
  AclRef acls;
  bool ephemeral = false;       // 1 and 15 only
  int32_t parent_cversion = 0;  // cversion of the parent after it; -1: count up (old logs)
  int64_t ttl_ms = 0;           // 21 only
};
struct DeleteTxn {
  std::string path;
};  // 2, 20
struct SetDataTxn {
  std::string path;
  NodeData data;
  int32_t version = 0;
};  // 5, 16
struct SetAclTxn {
  std::string path;
  AclRef acls;
  int32_t version = 0;
};  // 7
struct CheckVersionTxn {
  std::string path;
  int32_t version = 0;
};  // 13
struct CreateSessionTxn {
  int32_t timeout_ms = 0;
};  // -10
struct CloseSessionTxn {
  std::optional<std::vector<std::string>> paths;
};  // -11; null: old form
struct ErrorTxn {
  ZkError error = ZkError::ok;
};  // -1
struct SubTxn;
struct MultiTxn {
  std::vector<SubTxn> txns;
};  // 14
using TxnBody = std::variant<ErrorTxn, CreateTxn, DeleteTxn, SetDataTxn, SetAclTxn, CheckVersionTxn,
                             CreateSessionTxn, CloseSessionTxn, MultiTxn>;
struct SubTxn {
  OpCode type = OpCode::error;
  TxnBody body;
};

struct TxnHeader {
  int64_t client_id = 0;
  int32_t cxid = 0;
  int64_t zxid = 0;
  int64_t time_ms = 0;
  OpCode type = OpCode::error;
  bool operator==(const TxnHeader&) const = default;
};

struct TxnDigest {
  int32_t version = 2;
  uint64_t tree = 0;
  bool operator==(const TxnDigest&) const = default;
};

struct Txn {
  TxnHeader header;
  TxnBody body;
  std::optional<TxnDigest> digest;  // of the tree after it; absent on errors and with digests off

  // Header, record, digest: the entry of the log, and the payload of a proposal.
  void encode(wire::Writer& out) const;
  // Errc::corrupt on bytes that do not decode, on unknown types and on a ttl no server can apply.
  static Result<Txn> decode(Bytes entry);
};

}  // namespace ottla::zk
