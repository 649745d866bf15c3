// What goes into the group coordinator beside requests, and what comes out of it. The core does
// nothing itself: the shell appends, replies and keeps the one timer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/fn.h"
#include "common/base/time.h"
#include "proto/kafka/join_group.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/sync_group.h"
#include "proto/kafka/txn_offset_commit.h"

namespace ottla::broker {

struct GroupClock {
  Instant now;          // for deadlines
  int64_t wall_ms = 0;  // for what is stored: commit and state timestamps
};

// One request's surroundings.
struct GroupContext {
  GroupClock clock;
  int16_t api_version = 0;
  std::string_view client_id;    // empty for a null one
  std::string_view client_host;  // as Kafka prints an address: "/127.0.0.1"
};

// Chosen by the shell, one for each request that may be parked; comes back in the Reply, once.
using ReplyTicket = uint64_t;
// Chosen by the core, one for each append whose outcome it wants to hear; 0: it does not.
using AppendTicket = uint64_t;

// A record of __consumer_offsets, version prefix included. Null value: a tombstone.
struct GroupRecord {
  Buffer key;
  std::optional<Buffer> value;
};

struct GroupEffects {
  // To be appended to partition `partition` of __consumer_offsets as one uncompressed magic 2 batch
  // (origin: coordinator) with CreateTime timestamp_ms in every record. Then, if ticket != 0,
  // on_appended() once: after required_acks is satisfied, or with the error that prevented it.
  // Batches of one partition are appended in the order of the effects.
  struct Append {
    int32_t partition = 0;
    AppendTicket ticket = 0;
    int16_t required_acks = -1;
    int64_t timestamp_ms = 0;
    int64_t producer_id = -1;
    int16_t producer_epoch = -1;
    int32_t base_sequence = -1;  // 0 for offset commits, as Kafka writes them
    bool is_transactional = false;
    std::vector<GroupRecord> records;
  };
  struct Reply {
    ReplyTicket ticket = 0;
    std::variant<kmsg::JoinGroupResponse, kmsg::SyncGroupResponse, kmsg::OffsetCommitResponse,
                 kmsg::TxnOffsetCommitResponse>
        response;
  };

  std::vector<Append> appends;
  std::vector<Reply> replies;
  // The earliest deadline after the call, if any: the shell keeps one timer, set to this, and calls
  // on_time() when it is due. Early calls are harmless.
  std::optional<Instant> timer;
  // Sentences for the operator's log, at info level: rebalances, members lost, groups loaded.
  std::vector<std::string> notes;
};

// Reads that the coordinator may do at any time; they must not call back into it.
struct GroupHooks {
  std::function<uint64_t()> random;  // for member ids
  std::function<bool(std::string_view topic, int32_t partition)> partition_exists;
};

// A record of __consumer_offsets as found while loading. batch_base_offset orders commits.
struct LoadedRecord {
  Bytes key;
  std::optional<Bytes> value;
  int64_t batch_base_offset = 0;
  bool is_transactional = false;
  int64_t producer_id = -1;
};

}  // namespace ottla::broker
