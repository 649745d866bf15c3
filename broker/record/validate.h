// What a leader demands of a record set before it appends it, and what it changes in it. Hot path:
// checksum, header checks, and one walk over the record lengths. Compressed batches are
// decompressed for that walk piece by piece, into memory that is used again, and stored as they
// came.
//
// Source: Kafka documentation (topic configs message.timestamp.*, compression.type); KIP-32,
// KIP-98, KIP-467 (record errors); what a live 3.9 broker answers.
#pragma once

#include <string>
#include <vector>

#include "broker/record/record_reader.h"

namespace ottla::broker {

struct RecordError {
  int32_t batch_index = 0;
  std::string message;
};

// Kafka's AppendOrigin: what is demanded of clients is not demanded of our own coordinators.
enum class Origin { client, coordinator, replication };

// What one batch may decompress to. Kafka has no such bound; this one stands between a bomb and
// everybody's time. What has to be written anew stands decompressed in memory: less of that.
constexpr size_t kMaxOpenedBytes = kMaxOpenedBatchBytes;
constexpr size_t kMaxRebuiltBytes = 64u << 20;
// What one request may have decompressed in one turn of the loop: some ten milliseconds at most.
constexpr size_t kOpenAtOnceBytes = 4u << 20;
// Record errors that one answer carries; the count in its text is of all.
constexpr size_t kMaxRecordErrors = 100'000;

struct ValidateRules {
  std::optional<compress::Codec> target_codec;  // nullopt: compression.type=producer
  compress::Levels levels;
  TimestampType timestamp_type = TimestampType::create_time;
  int64_t timestamp_before_max_ms = INT64_MAX;
  int64_t timestamp_after_max_ms = INT64_MAX;
  int32_t max_message_bytes = 1048588;
  bool compacted = false;
};

struct ValidateInput {
  Origin origin = Origin::client;
  int64_t first_offset = 0;  // the log's leo
  int32_t leader_epoch = 0;
  int64_t now_wall_ms = 0;
  std::string_view topic_partition;                // "topic-0", for messages
  compress::Decompressor* decompressor = nullptr;  // whose memory is used; null: one for this call
  // A set that decompresses to more, or whose records take as long to be written anew, is left
  // `unfinished`.
  size_t open_max_bytes = SIZE_MAX;
};

struct Validated {
  Refusal refusal = Refusal::none;
  std::string message;  // why, for the operator; Produce's ErrorMessage when client_message
  bool client_message = false;
  std::vector<RecordError> record_errors;

  // On success: the bytes to append. `replaced` holds them when records had to be rewritten,
  // otherwise they are the first `valid_bytes` of the input, edited in place.
  std::optional<Buffer> replaced;
  size_t valid_bytes = 0;
  int64_t first_offset = -1;
  int64_t last_offset = -1;  // first_offset - 1 when the set is empty
  int64_t max_timestamp = kNoTimestamp;
  int64_t offset_of_max_timestamp = -1;  // the last offset of the batch that holds it
  int64_t log_append_time_ms = -1;
  int64_t record_count = 0;
  bool converted = false;  // records were written anew: another format or codec
  // open_max_bytes do not suffice: nothing was decided, and nothing of the set changed.
  bool unfinished = false;
  size_t opened_bytes = 0;  // what was decompressed for this, or what writing anew counts as
};

// Checks that do not need a log, made when a Produce request arrives: exactly one v2 batch from
// version 3 on, zstd from version 7 on. Their answers carry log start offset -1.
struct SetCheck {
  Refusal refusal = Refusal::none;
  std::string message;  // empty: Produce's ErrorMessage is null
};
SetCheck check_produce_set(int16_t produce_version, Bytes set);

// Validates, assigns offsets and leader epoch in place, and converts or recompresses where the
// topic demands it (magic 0 and 1 always become magic 2).
Validated validate_and_assign(MutBytes set, const ValidateRules& rules, const ValidateInput& input);

// What an unfinished set needs to be validated elsewhere, by any thread: run() does it all, with
// offsets from 0 on; reassign() gives the accepted set the offsets and the epoch of its moment.
struct Validation {
  ValidateRules rules;
  Origin origin = Origin::client;
  int64_t now_wall_ms = 0;
  std::string topic_partition;
  Validated run(MutBytes set) const;
};
void reassign(Validated& validated, MutBytes set, int64_t first_offset, int32_t leader_epoch);

}  // namespace ottla::broker
