#include "zk-ensemble/session/session_tracker.h"

#include <algorithm>

#include "common/base/check.h"

namespace ottla::zk {

SessionTracker::SessionTracker(int64_t tick_ms) : tick_ms_(tick_ms) { OTTLA_CHECK(tick_ms > 0); }

bool SessionTracker::track(int64_t session, int64_t timeout_ms, Instant now) {
  auto [it, fresh] = sessions_.try_emplace(session);
  if (fresh) it->second.timeout_ms = timeout_ms;
  touch(session, timeout_ms, now);
  return fresh;
}

bool SessionTracker::touch(int64_t session, int64_t timeout_ms, Instant now) {
  auto it = sessions_.find(session);
  if (it == sessions_.end() || it->second.closing) return false;
  Session& entry = it->second;
  // A client may have asked for a negative one, and a log may say so: it would be in no bucket, and
  // never expire.
  timeout_ms = std::max<int64_t>(timeout_ms, 0);
  entry.timeout_ms = timeout_ms;
  int64_t deadline_ms = bucket_of(now.ms() + timeout_ms);
  if (deadline_ms == entry.deadline_ms) return true;
  leave_bucket(session, entry);
  entry.deadline_ms = deadline_ms;
  buckets_[deadline_ms].insert(session);
  return true;
}

void SessionTracker::leave_bucket(int64_t session, const Session& entry) {
  auto bucket = buckets_.find(entry.deadline_ms);
  if (bucket == buckets_.end()) return;
  bucket->second.erase(session);
  if (bucket->second.empty()) buckets_.erase(bucket);
}

void SessionTracker::set_closing(int64_t session) {
  auto it = sessions_.find(session);
  if (it == sessions_.end() || it->second.closing) return;
  leave_bucket(session, it->second);
  it->second.closing = true;
}

void SessionTracker::remove(int64_t session) {
  set_closing(session);
  sessions_.erase(session);
}

void SessionTracker::set_owner(int64_t session, SessionOwner owner) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  it->second.owner = owner;
  it->second.owned = true;
}

ZkError SessionTracker::check(int64_t session, SessionOwner owner) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return ZkError::unknown_session;
  Session& entry = it->second;
  if (entry.closing) return ZkError::session_expired;
  if (!entry.owned) {
    entry.owner = owner;
    entry.owned = true;
  }
  return entry.owner == owner ? ZkError::ok : ZkError::session_moved;
}

bool SessionTracker::alive(int64_t session) const {
  auto it = sessions_.find(session);
  return it != sessions_.end() && !it->second.closing;
}

std::vector<int64_t> SessionTracker::expire(Instant now) {
  std::vector<int64_t> expired;
  while (!buckets_.empty() && buckets_.begin()->first <= now.ms()) {
    for (int64_t session : buckets_.begin()->second) {
      sessions_.find(session)->second.closing = true;
      expired.push_back(session);
    }
    buckets_.erase(buckets_.begin());
  }
  return expired;
}

std::optional<Instant> SessionTracker::next_expiry() const {
  if (buckets_.empty()) return std::nullopt;
  return Instant{ms_to_ns(buckets_.begin()->first)};
}

std::optional<int64_t> SessionTracker::timeout_ms(int64_t session) const {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return std::nullopt;
  return it->second.timeout_ms;
}

void SessionTracker::check_invariants() const {
  size_t in_buckets = 0, alive_count = 0;
  for (const auto& [deadline_ms, bucket] : buckets_) {
    OTTLA_CHECK(deadline_ms % tick_ms_ == 0 && !bucket.empty());
    for (int64_t session : bucket) {
      auto it = sessions_.find(session);
      OTTLA_CHECK(it != sessions_.end() && !it->second.closing &&
                  it->second.deadline_ms == deadline_ms);
      ++in_buckets;
    }
  }
  for (const auto& [session, entry] : sessions_) alive_count += entry.closing ? 0 : 1;
  OTTLA_CHECK(in_buckets == alive_count);
}

}  // namespace ottla::zk
