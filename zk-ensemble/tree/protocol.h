// The numbers of the ZooKeeper client protocol that the cores speak in, and the core's options.
// Codes themselves are declared once, in proto/zookeeper.
// Source: ZooKeeper programmer's guide; admin guide (extendedTypesEnabled, enforceQuota, skipACL).
#pragma once

#include <cstdint>
#include <string>

#if __has_include("proto/zookeeper/opcodes.h")
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/zk_error.h"
namespace ottla::zk {
using jute::OpCode;
using jute::ZkError;
}  // namespace ottla::zk
#else
namespace ottla::zk {
enum class OpCode : int32_t {
  notification = 0, create = 1, delete_ = 2, exists = 3, get_data = 4, set_data = 5, get_acl = 6, set_acl = 7,
  get_children = 8, sync = 9, ping = 11, get_children2 = 12, check = 13, multi = 14, create2 = 15,
  reconfig = 16, check_watches = 17, remove_watches = 18, create_container = 19, delete_container = 20,
  create_ttl = 21, multi_read = 22, auth = 100, set_watches = 101, sasl = 102, get_ephemerals = 103,
  get_all_children_number = 104, set_watches2 = 105, add_watch = 106, who_am_i = 107,
  create_session = -10, close_session = -11, error = -1,
};
enum class ZkError : int32_t {
  ok = 0, system_error = -1, runtime_inconsistency = -2, data_inconsistency = -3, connection_loss = -4,
  marshalling_error = -5, unimplemented = -6, operation_timeout = -7, bad_arguments = -8,
  unknown_session = -12, new_config_no_quorum = -13, reconfig_in_progress = -14, api_error = -100,
  no_node = -101, no_auth = -102, bad_version = -103, no_children_for_ephemerals = -108,
  node_exists = -110, not_empty = -111, session_expired = -112, invalid_callback = -113,
  invalid_acl = -114, auth_failed = -115, session_moved = -118, not_read_only = -119,
  ephemeral_on_local_session = -120, no_watcher = -121, request_timeout = -122,
  reconfig_disabled = -123, session_closed_require_sasl_auth = -124, quota_exceeded = -125,
  throttled_op = -127,
};
}  // namespace ottla::zk
#endif

namespace ottla::zk {

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
  int64_t server_id = 1;            // top byte of session ids
  int64_t tick_time_ms = 2000;      // width of the expiry buckets
  int64_t min_session_timeout_ms = 4000;
  int64_t max_session_timeout_ms = 40000;
  bool digest_enabled = true;       // txns carry the tree's digest after them
  bool extended_types = false;      // TTL nodes
  bool emulate_353_ttl = false;     // owners below 0 are TTLs of 3.5.3
  bool enforce_quota = false;       // hard limits refuse
  bool skip_acl = false;
  bool close_session_txn = true;    // closeSession txns list the paths they delete
  bool reconfig_enabled = false;
  bool digest_auth_enabled = true;
  std::string super_digest;         // "super:..."; empty: nobody is super
  int64_t container_check_interval_ms = 60000;
  int64_t container_max_per_minute = 10000;
  int64_t container_max_never_used_ms = 0;
};

}  // namespace ottla::zk
