// Deadlines of groups and members in one lazy queue: moving a deadline later, which every heartbeat
// does, writes one field; the queue learns of it when the old entry comes due.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace ottla::broker {

struct TimerKey {
  enum class Kind : uint8_t { session, pending_member, join, sync };
  Kind kind = Kind::session;
  uint64_t incarnation = 0;  // of the group: a deadline never hits a namesake created later
  std::string group_id;
  std::string member_id;  // session, pending_member
};

constexpr Instant kNever{std::numeric_limits<int64_t>::max()};

// Lives beside what it watches. at: when it is due, if at all; queued: its entry in the queue.
struct Deadline {
  Instant at = kNever;
  Instant queued = kNever;
  void disarm() { at = kNever; }
  bool armed() const { return at != kNever; }
};

class TimerQueue {
 public:
  void push(Instant at, TimerKey key) { queue_.push({at, next_++, std::move(key)}); }
  std::optional<Instant> earliest() const {
    if (queue_.empty()) return std::nullopt;
    return queue_.top().at;
  }
  // The next entry due at `now`; its instant tells whether it is still the one its Deadline queued.
  std::optional<std::pair<Instant, TimerKey>> pop_due(Instant now) {
    if (queue_.empty() || queue_.top().at > now) return std::nullopt;
    std::pair<Instant, TimerKey> due{queue_.top().at, queue_.top().key};
    queue_.pop();
    return due;
  }
  size_t size() const { return queue_.size(); }

 private:
  struct Entry {
    Instant at;
    uint64_t order;  // equal instants fire in the order they were armed
    TimerKey key;
    bool operator<(const Entry& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  std::priority_queue<Entry> queue_;
  uint64_t next_ = 0;
};

}  // namespace ottla::broker
