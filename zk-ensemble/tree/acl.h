// Access control: entries, the schemes world, auth, digest and ip, and the cache that lets a
// million nodes share one list. Pure functions and one table; nothing here mutates the tree.
// Source: ZooKeeper programmer's guide, "ZooKeeper access control using ACLs".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "zk-ensemble/tree/protocol.h"

namespace ottla::zk {

struct AuthId {
  std::string scheme;
  std::string id;
  auto operator<=>(const AuthId&) const = default;
};

struct Acl {
  int32_t perms = 0;
  AuthId id;
  auto operator<=>(const Acl&) const = default;
};
using AclList = std::vector<Acl>;
// Never null: "no list" is an empty one. Lists are immutable and shared.
using AclRef = std::shared_ptr<const AclList>;

const AclRef& open_acl();  // world:anyone:ALL
const AclRef& read_acl();  // world:anyone:READ

void encode_acls(wire::Writer& out, const AclList& acls);
// Null and negative counts yield an empty list; null strings fail the reader.
bool decode_acls(wire::Reader& in, AclList& acls);

// An entry as a client sent it: strings may be null on the wire.
struct RawAcl {
  int32_t perms = 0;
  std::optional<std::string> scheme, id;
  bool operator==(const RawAcl&) const = default;
};
bool decode_raw_acls(wire::Reader& in, std::vector<RawAcl>& acls);  // null vector: empty

// The ids of one connection, in the order in which they were added, without duplicates. Shared and
// immutable, so that a queued request keeps the ids it was sent with.
using AuthInfo = std::vector<AuthId>;
using AuthRef = std::shared_ptr<const AuthInfo>;
AuthRef with_auth(const AuthRef& auth, AuthId id);

// True when one of `perms` is granted: skipACL, an empty list, an id of scheme super, or an entry
// that matches.
bool acl_allows(const AclList& acls, int32_t perms, const AuthInfo& auth,
                const CoreOptions& options);

// What a client gave as ACL, made into what is stored: duplicates removed, "auth" expanded, schemes
// and ids validated. Gives ok, invalid_acl, or marshalling_error (a null id of a known scheme).
// `room`: bytes that "auth" may still stand for in this request; invalid_acl when they do not suffice.
// Sixteen bytes of a request may stand for all ids of its client, in each operation of a multi anew.
ZkError normalize_acls(const std::vector<RawAcl>& raw, const AuthInfo& auth,
                       const CoreOptions& options, size_t& room, AclRef& into);

// "user:base64(hash(user:password))" of "user:password".
std::string digest_id(std::string_view user_and_password, const std::string& algorithm = "SHA1");
bool digest_available(const std::string& algorithm);
// Auth packet of `scheme`: the ids it grants, or nothing when refused or unknown (then: -115).
std::optional<AuthInfo> authenticate(std::string_view scheme, Bytes data,
                                     std::string_view remote_address, const CoreOptions& options);
// user part of an id as whoAmI shows it.
std::string user_of(const AuthId& id);

// "address" or "address/bits"; with `v6` of either family.
bool ip_expression_valid(std::string_view expression, bool v6);
bool ip_matches(std::string_view address, std::string_view expression, bool v6);

// Lists by reference number, counted. Numbers start at 1 and are never reused while the process
// lives; -1 is open_acl() and is not in the table. Invariants: every entry has uses > 0 outside of
// a snapshot load; by_list_ is the inverse of by_ref_.
class AclCache {
 public:
  static constexpr int64_t kOpenRef = -1;

  // The number of `acls`, with one more use.
  int64_t acquire(const AclRef& acls);
  void add_use(int64_t ref);  // unknown ones (of a fuzzy snapshot) have no entry, and are not given out
  void release(int64_t ref);
  const AclRef& list(int64_t ref) const;  // unknown: an empty list that grants nothing
  size_t size() const { return by_ref_.size(); }

  // Loading a snapshot: entries come in without uses, then nodes add theirs, then the rest goes.
  void load(int64_t ref, AclList acls);
  void purge_unused();
  void clear();

  struct Entry {
    AclRef acls;
    int64_t uses = 0;
  };
  const std::map<int64_t, Entry>& entries() const { return by_ref_; }
  void check_invariants() const;

 private:
  struct Less {
    bool operator()(const AclRef& a, const AclRef& b) const { return *a < *b; }
  };
  std::map<int64_t, Entry> by_ref_;
  std::map<AclRef, int64_t, Less> by_list_;
  int64_t last_ref_ = 0;
};

}  // namespace ottla::zk
