// For the tests of this room and of session: request bodies as clients encode them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zk-ensemble/tree/jute_io.h"
#include "zk-ensemble/tree/prepare.h"

namespace ottla::zk::testing {

inline void put_create(wire::Writer& out, std::string_view path, const NodeData& data,
                       const AclList& acls, int32_t flags) {
  put_string(out, path);
  put_nullable(out, data);
  encode_acls(out, acls);
  out.i32(flags);
}
inline Buffer create_body(std::string_view path, std::string_view data = "", int32_t flags = 0,
                          const AclList& acls = *open_acl()) {
  wire::Writer out;
  put_create(out, path, std::string(data), acls, flags);
  return out.take();
}
inline Buffer path_version_body(std::string_view path, int32_t version) {
  wire::Writer out;
  put_string(out, path);
  out.i32(version);
  return out.take();
}
inline Buffer set_data_body(std::string_view path, std::string_view data, int32_t version = -1) {
  wire::Writer out;
  put_string(out, path);
  put_string(out, data);
  out.i32(version);
  return out.take();
}
inline Buffer set_acl_body(std::string_view path, const AclList& acls, int32_t version = -1) {
  wire::Writer out;
  put_string(out, path);
  encode_acls(out, acls);
  out.i32(version);
  return out.take();
}

// Builds the body of a multi.
class MultiBody {
 public:
  MultiBody& add(OpCode type, const Buffer& body) {
    header(type, false);
    out_.raw(body.bytes());
    return *this;
  }
  Buffer take() {
    header(OpCode::error, true);
    return out_.take();
  }

 private:
  void header(OpCode type, bool done) {
    out_.i32(static_cast<int32_t>(type));
    out_.boolean(done);
    out_.i32(-1);
  }
  wire::Writer out_;
};

// A tree and its preparer, with writes applied at once or held back.
struct TreeHarness {
  explicit TreeHarness(CoreOptions with = {}) : options(std::move(with)) {}
  CoreOptions options;
  DataTree tree{options};
  Preparer preparer{tree, options, 0};
  int64_t wall_ms = 1000;
  std::vector<Txn> held;

  // Prepares and holds back; the error of the transaction.
  ZkError prepare(OpCode type, const Buffer& body, int64_t session = 1,
                  const AuthInfo* auth = nullptr) {
    std::optional<Txn> txn =
        preparer.prepare({session, 7, type, body.bytes(), auth, ZkError::ok}, wall_ms++);
    if (!txn) return ZkError::marshalling_error;
    held.push_back(std::move(*txn));
    const auto* error = std::get_if<ErrorTxn>(&held.back().body);
    return error == nullptr ? ZkError::ok : error->error;
  }
  // Applies what is held, through the bytes of the log; the last result's error.
  ZkError apply() {
    ZkError last = ZkError::ok;
    for (Txn& txn : held) {
      wire::Writer bytes;
      txn.encode(bytes);
      Txn decoded = *Txn::decode(bytes.bytes());
      ApplyResult result;
      tree.replay(decoded, result);
      preparer.applied(txn.header.zxid);
      last = result.error;
    }
    held.clear();
    preparer.check_invariants();
    return last;
  }
  ZkError run(OpCode type, const Buffer& body, int64_t session = 1,
              const AuthInfo* auth = nullptr) {
    (void)prepare(type, body, session, auth);
    return apply();
  }
  Stat stat(std::string_view path) const {
    const Node* node = tree.find(path);
    return node == nullptr ? Stat() : tree.stat_of(*node);
  }
};

}  // namespace ottla::zk::testing
