// Incremental fetch sessions (KIP-227): a client names its partitions once, later requests carry
// only changes, answers only what is new. Core: no clock, no log. The cache is bounded; a session
// that is pushed out makes its client start over with a full fetch.
//
// Shape of one fetch: begin() gives a Context; the caller reads context.partitions() in order, and
// passes the outcome of each to finish(), which says what goes into the answer.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/wire_types.h"

namespace ottla::broker {

// One partition of a fetch: what the client asks, and what a session remembers of the last answer.
struct FetchPartition {
  kmsg::Uuid topic_id;  // zero before version 13
  std::string topic;    // empty: the id is unknown here
  int32_t partition = 0;
  int32_t current_leader_epoch = -1;
  int64_t fetch_offset = 0;
  int32_t last_fetched_epoch = -1;
  int64_t log_start_offset = -1;  // of the follower that asks
  int32_t max_bytes = 0;

  int64_t told_hw = -1;
  int64_t told_log_start_offset = -1;
};

// What one partition's answer holds, as far as sessions care.
struct FetchOutcome {
  bool has_records = false;
  bool error = false;
  bool must_tell = false;  // a diverging epoch or a preferred replica
  int64_t hw = -1;
  int64_t log_start_offset = -1;
  // Nobody here knows the partition: the answer, and a new session, end with it.
  bool unknown = false;
};

struct FetchSessionRequest {
  int32_t session_id = 0;
  int32_t epoch = -1;
  bool topic_ids = false;
  bool follower = false;
  std::vector<FetchPartition> partitions;
  struct Forgotten {
    kmsg::Uuid topic_id;
    std::string topic;
    int32_t partition = 0;
  };
  std::vector<Forgotten> forgotten;
};

class FetchSessionCache;

class FetchContext {
 public:
  kmsg::ErrorCode error() const { return error_; }  // of the whole request
  // In the order in which they are to be read. Fixed until finish().
  const std::vector<FetchPartition>& partitions() const { return partitions_; }

 private:
  friend class FetchSessionCache;
  enum class Kind { sessionless, full, incremental, failed };
  Kind kind_ = Kind::sessionless;
  kmsg::ErrorCode error_ = kmsg::ErrorCode::none;
  int32_t session_id_ = 0;
  int32_t epoch_ = 0;  // of the session when this request was taken in
  bool topic_ids_ = false;
  bool follower_ = false;
  std::vector<FetchPartition> partitions_;
};

class FetchSessionCache {
 public:
  static constexpr int kShards = 8;
  static constexpr int64_t kEvictionMs = 120'000;
  static constexpr int32_t kFinalEpoch = -1;

  FetchSessionCache(int32_t slots, uint64_t seed);

  FetchContext begin(FetchSessionRequest request, int64_t now_ms);
  struct Finished {
    kmsg::ErrorCode error = kmsg::ErrorCode::none;  // the session moved on meanwhile
    int32_t session_id = 0;
    std::vector<bool> include;  // one for each of context.partitions()
  };
  // `outcomes`: one for each of context.partitions().
  Finished finish(const FetchContext& context, const std::vector<FetchOutcome>& outcomes,
                  int64_t now_ms);

  size_t session_count() const;
  size_t partition_count() const;
  uint64_t evictions() const { return evictions_; }

 private:
  using Key = std::pair<std::string, int32_t>;  // raw topic id or name, partition
  struct Session {
    int32_t id = 0;
    bool privileged = false;  // a follower's
    bool topic_ids = false;
    int32_t epoch = 1;  // what the next request must carry
    int64_t created_ms = 0;
    int64_t used_ms = 0;
    size_t cached_size = 0;  // under which it stands in the eviction order
    std::list<FetchPartition> partitions;
    std::map<Key, std::list<FetchPartition>::iterator> index;
  };
  // Least valuable first: consumers before followers, small before large.
  struct Rank {
    bool privileged;
    size_t size;
    int32_t id;
    auto operator<=>(const Rank&) const = default;
  };
  struct Shard {
    size_t slots = 0;
    std::map<int32_t, std::unique_ptr<Session>> sessions;
    std::set<std::pair<int64_t, int32_t>> by_use;  // (used_ms, id)
    std::set<Rank> evictable;                      // those that lived kEvictionMs
  };

  Shard& shard_of(int32_t id) { return shards_[static_cast<size_t>(id / (INT32_MAX / kShards))]; }
  Session* find(int32_t id);
  void remove(int32_t id);
  void remove(Shard& shard, Session& session);
  void touch(Session& session, int64_t now_ms);
  bool make_room(Shard& shard, bool privileged, size_t size, int64_t now_ms);
  int32_t create(const FetchContext& context, const std::vector<FetchOutcome>& outcomes,
                 int64_t now_ms);
  static Key key_of(const kmsg::Uuid& id, const std::string& topic, int32_t partition);

  std::vector<Shard> shards_;
  size_t next_shard_ = 0;
  Prng prng_;
  uint64_t evictions_ = 0;
};

}  // namespace ottla::broker
