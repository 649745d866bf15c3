// The numbers of the ZooKeeper client protocol that the cores speak in, and the core's options.
// Codes themselves are declared once, in proto/zookeeper.
// Source: ZooKeeper programmer's guide; admin guide (extendedTypesEnabled, enforceQuota, skipACL).
#pragma once

#include <cstdint>
#include <string>

#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/zk_error.h"

namespace ottla::zk {

using jute::OpCode;
using jute::ZkError;

// Permission bits of an ACL entry.
inline constexpr int32_t kPermRead = 1;
inline constexpr int32_t kPermWrite = 2;
inline constexpr int32_t kPermCreate = 4;
inline constexpr int32_t kPermDelete = 8;
inline constexpr int32_t kPermAdmin = 16;
inline constexpr int32_t kPermAll = 31;

// ephemeralOwner of nodes that no session owns.
inline constexpr int64_t kContainerOwner = INT64_MIN;
inline constexpr int64_t kTtlOwnerMask = static_cast<int64_t>(0xff00'0000'0000'0000u);
inline constexpr int64_t kTtlMaxMs = 0xff'ffff'ffff;

// What the cores need to know of the configuration. Fixed after construction.
struct CoreOptions {
  int64_t server_id = 1;        // top byte of session ids
  int64_t tick_time_ms = 2000;  // width of the expiry buckets
  int64_t min_session_timeout_ms = 4000;
  int64_t max_session_timeout_ms = 40000;
  bool digest_enabled = true;    // txns carry the tree's digest after them
  bool extended_types = false;   // TTL nodes
  bool emulate_353_ttl = false;  // owners below 0 are TTLs of 3.5.3
  bool enforce_quota = false;    // hard limits refuse
  bool skip_acl = false;
  // jute.maxbuffer. No request is longer, and what "auth" in its ACLs stands for is not either: its record
  // stays one that Apache reads.
  size_t request_max_bytes = 1'048'575;
  bool close_session_txn = true;  // closeSession txns list the paths they delete
  bool reconfig_enabled = false;
  bool digest_auth_enabled = true;
  bool ip_v6_acls = false;   // Apache takes IPv6 expressions from 3.9.4 on; before: invalid ACL
  std::string super_digest;  // "super:..."; empty: nobody is super
  std::string digest_algorithm = "SHA1";  // of the digest scheme; one that digest_available()
  int64_t container_check_interval_ms = 60000;
  int64_t container_max_per_minute = 10000;
  int64_t container_max_never_used_ms = 0;
};

}  // namespace ottla::zk
