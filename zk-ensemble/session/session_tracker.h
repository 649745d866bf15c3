// SessionTracker: who is alive. Deadlines are rounded up to ticks, so that a touch is one
// comparison and expiry looks at one bucket: a session dies between its timeout and a tick later.
// The applied session table (what a snapshot holds) is DataTree::sessions(); this is its volatile
// half. Source: ZooKeeper programmer's guide, "ZooKeeper sessions".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/base/time.h"
#include "zk-ensemble/tree/protocol.h"

namespace ottla::zk {

// Who speaks for a session: a connection's server (0 = this one), or, on a leader, a follower's
// link.
using SessionOwner = uint64_t;

// Invariants: a session that is not closing is in exactly the bucket of its deadline; one that is
// closing is in none; deadlines are multiples of the tick.
class SessionTracker {
 public:
  explicit SessionTracker(int64_t tick_ms);

  // Adds the session, or touches it with the new timeout. False when it was known.
  bool track(int64_t session, int64_t timeout_ms, Instant now);
  // False: unknown or closing. With a shorter timeout the deadline comes nearer.
  bool touch(int64_t session, int64_t timeout_ms, Instant now);
  void set_closing(int64_t session);
  void remove(int64_t session);
  void set_owner(int64_t session, SessionOwner owner);
  // ok; unknown_session; session_expired (closing); session_moved (another owner). Adopts the first
  // asker.
  ZkError check(int64_t session, SessionOwner owner);
  bool known(int64_t session) const { return sessions_.contains(session); }
  bool alive(int64_t session) const;  // known and not closing

  // Sessions past their deadline, now marked closing, in the order of deadline and id.
  std::vector<int64_t> expire(Instant now);
  // When expire() has something to do; nothing when no session lives.
  std::optional<Instant> next_expiry() const;

  size_t size() const { return sessions_.size(); }
  const std::map<int64_t, std::set<int64_t>>& buckets() const {
    return buckets_;
  }  // deadline_ms -> sessions
  std::optional<int64_t> timeout_ms(int64_t session) const;
  void check_invariants() const;

 private:
  struct Session {
    int64_t timeout_ms = 0;
    int64_t deadline_ms = 0;
    SessionOwner owner = 0;
    bool owned = false;
    bool closing = false;
  };
  void leave_bucket(int64_t session, const Session& entry);
  int64_t bucket_of(int64_t at_ms) const { return (at_ms / tick_ms_ + 1) * tick_ms_; }

  int64_t tick_ms_;
  std::unordered_map<int64_t, Session> sessions_;
  std::map<int64_t, std::set<int64_t>> buckets_;
};

}  // namespace ottla::zk
