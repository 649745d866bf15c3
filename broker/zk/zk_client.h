// ZkClient: what the broker asks of a ZooKeeper session. Paths are relative to the chroot; results
// come in the order of the requests. Implementations: wire_client.h (sockets, real or simulated)
// and memory_zk.h (tests). Everything runs on one loop; no call completes from inside submit().
//
// Lost connections: a request with `retry` (the default) stays queued and is sent again after the
// session reconnects, so that its caller sees session_expired once, and connection_loss only for a
// request that is longer than servers take unless told otherwise (1 MiB, their jute.maxbuffer). A
// write whose reply was lost may thus be executed twice: callers treat node_exists, no_node and
// bad_version after a retry by reading who owns the node. Source: ZooKeeper Programmer's Guide,
// "Handling Errors".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/fn.h"
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/records.h"
#include "proto/zookeeper/zk_error.h"

namespace ottla::broker {

using jute::OpCode;
using jute::ZkError;
using ZkStat = jute::Stat;

enum class CreateMode : int32_t {
  persistent = 0,
  ephemeral = 1,
  persistent_sequential = 2,
  ephemeral_sequential = 3,
};

inline constexpr int32_t kAnyVersion = -1;

// One operation; `ops` only for multi, where create, delete, set and check may stand.
struct ZkRequest {
  OpCode op = OpCode::error;
  std::string path;
  std::optional<std::string> data;  // nullopt: the null value (getData length -1)
  int32_t version = kAnyVersion;
  CreateMode mode = CreateMode::persistent;
  bool watch = false;
  bool retry = true;
  std::vector<jute::ACL> acl;  // empty for a create: open to the world
  std::vector<ZkRequest> ops;
  std::string scheme;  // add_auth alone

  static ZkRequest create(std::string path, std::optional<std::string> data,
                          CreateMode mode = CreateMode::persistent);
  static ZkRequest remove(std::string path, int32_t version = kAnyVersion);
  static ZkRequest exists(std::string path, bool watch = false);
  static ZkRequest get(std::string path, bool watch = false);
  static ZkRequest set(std::string path, std::optional<std::string> data,
                       int32_t version = kAnyVersion);
  static ZkRequest children(std::string path, bool watch = false);
  static ZkRequest check(std::string path, int32_t version);
  static ZkRequest multi(std::vector<ZkRequest> ops);
  static ZkRequest get_acl(std::string path);
  static ZkRequest set_acl(std::string path, std::vector<jute::ACL> acl,
                           int32_t version = kAnyVersion);
  static ZkRequest sync(std::string path);
  static ZkRequest add_auth(std::string scheme, std::string auth);
};

struct ZkOpResult {
  ZkError error = ZkError::ok;
  std::string path;
  ZkStat stat;
};

struct ZkReply {
  ZkError error = ZkError::ok;  // of a multi: the first that is not ok
  bool retried = false;         // the connection was lost once under this request
  std::string path;             // create
  std::optional<std::string> data;
  ZkStat stat;                        // create, get, set, exists, children, get_acl, set_acl
  std::vector<std::string> children;  // sorted
  std::vector<jute::ACL> acl;
  std::vector<ZkOpResult> ops;
  bool ok() const { return error == ZkError::ok; }
};
using ZkDone = Fn<void(ZkReply)>;

enum class ZkEventType : int32_t {
  created = 1,
  deleted = 2,
  data_changed = 3,
  children_changed = 4
};
struct ZkEvent {
  ZkEventType type;
  std::string path;
};

enum class ZkSessionEvent {
  connected,     // a new session; its id differs from the last one's
  reconnected,   // the same session, on another connection; watches are set again
  disconnected,  // trying other servers
  expired,       // the session is gone with its ephemerals; a new one is tried at once
  auth_failed,
};

// Events come in the order in which the server sent them, each before any reply that shows its
// effect.
class ZkListener {
 public:
  virtual ~ZkListener() = default;
  virtual void on_zk_event(const ZkEvent& event) = 0;
  virtual void on_zk_session(ZkSessionEvent event) = 0;
};

// What a later run needs to take this session over, or to end it.
struct ZkSessionCredentials {
  int64_t session_id = 0;
  std::string password;
};

class ZkClient {
 public:
  virtual ~ZkClient() = default;
  virtual void submit(ZkRequest request, ZkDone done) = 0;
  // Replies in the order of the requests, in one call.
  void submit_all(std::vector<ZkRequest> requests, Fn<void(std::vector<ZkReply>)> done);
  virtual void add_listener(ZkListener* listener) = 0;
  virtual void remove_listener(ZkListener* listener) = 0;
  virtual bool connected() const = 0;
  virtual ZkSessionCredentials session()
      const = 0;  // id 0 before the first connect and after expiry
};

}  // namespace ottla::broker
