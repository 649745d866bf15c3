#include "zk-ensemble/tree/txn.h"

#include "fmt/core.h"
#include "zk-ensemble/tree/digest.h"
#include "zk-ensemble/tree/jute_io.h"

namespace ottla::zk {

namespace {

constexpr size_t kMaxDepth = 1;  // a multi holds no multi

void encode_create(wire::Writer& out, OpCode type, const CreateTxn& txn) {
  put_string(out, txn.path);
  put_nullable(out, txn.data);
  encode_acls(out, *txn.acls);
  if (type == OpCode::create || type == OpCode::create2) out.boolean(txn.ephemeral);
  out.i32(txn.parent_cversion);
  if (type == OpCode::create_ttl) out.i64(txn.ttl_ms);
}

void encode_body(wire::Writer& out, OpCode type, const TxnBody& body);

struct Encoder {
  wire::Writer& out;
  OpCode type;
  void operator()(const ErrorTxn& txn) const { out.i32(static_cast<int32_t>(txn.error)); }
  void operator()(const CreateTxn& txn) const { encode_create(out, type, txn); }
  void operator()(const DeleteTxn& txn) const { put_string(out, txn.path); }
  void operator()(const SetDataTxn& txn) const {
    put_string(out, txn.path);
    put_nullable(out, txn.data);
    out.i32(txn.version);
  }
  void operator()(const SetAclTxn& txn) const {
    put_string(out, txn.path);
    encode_acls(out, *txn.acls);
    out.i32(txn.version);
  }
  void operator()(const CheckVersionTxn& txn) const {
    put_string(out, txn.path);
    out.i32(txn.version);
  }
  void operator()(const CreateSessionTxn& txn) const { out.i32(txn.timeout_ms); }
  void operator()(const CloseSessionTxn& txn) const {
    if (!txn.paths) return;
    out.i32(static_cast<int32_t>(txn.paths->size()));
    for (const std::string& path : *txn.paths) put_string(out, path);
  }
  void operator()(const MultiTxn& txn) const {
    out.i32(static_cast<int32_t>(txn.txns.size()));
    for (const SubTxn& sub : txn.txns) {
      out.i32(static_cast<int32_t>(sub.type));
      size_t length_at = out.size();
      out.i32(0);
      encode_body(out, sub.type, sub.body);
      out.patch_i32(length_at, static_cast<int32_t>(out.size() - length_at - 4));
    }
  }
};

void encode_body(wire::Writer& out, OpCode type, const TxnBody& body) {
  std::visit(Encoder{out, type}, body);
}

bool decode_create(wire::Reader& in, OpCode type, CreateTxn& txn) {
  txn.path = get_string(in);
  txn.data = get_nullable(in);
  AclList acls;
  decode_acls(in, acls);
  txn.acls = acls == *open_acl() ? open_acl() : std::make_shared<const AclList>(std::move(acls));
  if (type == OpCode::create || type == OpCode::create2) {
    txn.ephemeral = in.boolean();
    txn.parent_cversion = in.at_end() ? -1 : in.i32();  // the oldest logs end here
    return in.ok();
  }
  txn.parent_cversion = in.i32();
  if (type == OpCode::create_ttl) {
    txn.ttl_ms = in.i64();
    if (txn.ttl_ms <= 0 || txn.ttl_ms > kTtlMaxMs) in.set_failed();
  }
  return in.ok();
}

// The list is absent in older logs, and with closeSessionTxn.enabled=false; only a digest may follow
// then. A list and a digest are longer, and no list is 12 bytes and begins as a digest does.
bool decode_close_session(wire::Reader& in, CloseSessionTxn& txn) {
  if (in.at_end()) return true;
  constexpr size_t kDigestBytes = 12;
  wire::Reader ahead = in;
  if (in.remaining() == kDigestBytes && ahead.i32() == kDigestVersion) return true;
  int32_t count = in.i32();
  if (count == -1) return in.ok();
  if (!in.claim_count(count, 4)) return false;
  txn.paths.emplace(static_cast<size_t>(count));
  for (std::string& path : *txn.paths) path = get_string(in);
  return in.ok();
}

bool decode_body(wire::Reader& in, OpCode type, TxnBody& body, size_t depth);

bool decode_multi(wire::Reader& in, MultiTxn& txn, size_t depth) {
  int32_t count = in.i32();
  if (depth >= kMaxDepth || !in.claim_count(count, 8)) return false;
  txn.txns.resize(static_cast<size_t>(count));
  for (SubTxn& sub : txn.txns) {
    sub.type = static_cast<OpCode>(in.i32());
    std::optional<std::string_view> bytes = get_view(in);
    if (!bytes) return false;
    wire::Reader record{as_bytes(*bytes)};
    if (!decode_body(record, sub.type, sub.body, depth + 1)) return false;
  }
  return in.ok();
}

bool decode_body(wire::Reader& in, OpCode type, TxnBody& body, size_t depth) {
  switch (type) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      return decode_create(in, type, body.emplace<CreateTxn>());
    case OpCode::remove:
    case OpCode::delete_container:
      body.emplace<DeleteTxn>().path = get_string(in);
      return in.ok();
    case OpCode::set_data:
    case OpCode::reconfig: {
      auto& txn = body.emplace<SetDataTxn>();
      txn.path = get_string(in);
      txn.data = get_nullable(in);
      txn.version = in.i32();
      return in.ok();
    }
    case OpCode::set_acl: {
      auto& txn = body.emplace<SetAclTxn>();
      txn.path = get_string(in);
      AclList acls;
      decode_acls(in, acls);
      txn.acls = std::make_shared<const AclList>(std::move(acls));
      txn.version = in.i32();
      return in.ok();
    }
    case OpCode::check: {
      auto& txn = body.emplace<CheckVersionTxn>();
      txn.path = get_string(in);
      txn.version = in.i32();
      return in.ok();
    }
    case OpCode::create_session:
      body.emplace<CreateSessionTxn>().timeout_ms = in.i32();
      return in.ok();
    case OpCode::close_session:
      return decode_close_session(in, body.emplace<CloseSessionTxn>());
    case OpCode::error:
      body.emplace<ErrorTxn>().error = static_cast<ZkError>(in.i32());
      return in.ok();
    case OpCode::multi:
      return decode_multi(in, body.emplace<MultiTxn>(), depth);
    default:
      return false;
  }
}

}  // namespace

void Txn::encode(wire::Writer& out) const {
  out.i64(header.client_id);
  out.i32(header.cxid);
  out.i64(header.zxid);
  out.i64(header.time_ms);
  out.i32(static_cast<int32_t>(header.type));
  encode_body(out, header.type, body);
  if (!digest) return;
  out.i32(digest->version);
  out.u64(digest->tree);
}

Result<Txn> Txn::decode(Bytes entry) {
  wire::Reader in(entry);
  Txn txn;
  txn.header.client_id = in.i64();
  txn.header.cxid = in.i32();
  txn.header.zxid = in.i64();
  txn.header.time_ms = in.i64();
  txn.header.type = static_cast<OpCode>(in.i32());
  if (!in.ok() || !decode_body(in, txn.header.type, txn.body, 0))
    return fail(Errc::corrupt, fmt::format("transaction 0x{:x} of type {} does not decode",
                                           txn.header.zxid, static_cast<int>(txn.header.type)));
  if (in.remaining() >= 12) {
    TxnDigest digest;
    digest.version = in.i32();
    digest.tree = in.u64();
    txn.digest = digest;
  }
  return txn;
}

}  // namespace ottla::zk
