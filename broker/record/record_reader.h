// Opens batches: the records of one batch of any magic, decompressed within a bound. Off the hot
// path but for uncompressed v2 batches, which check_v2_records() walks without building anything.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/record/batch_view.h"
#include "common/base/result.h"

namespace ottla::broker {

struct Header {
  Bytes key;
  std::optional<Bytes> value;
};

// Borrows from the batch, or from the decompressed block while each_record() runs.
struct Record {
  int64_t offset = 0;
  int64_t timestamp = kNoTimestamp;
  int32_t sequence = kNoSequence;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::vector<Header> headers;
};

constexpr size_t kMaxOpenedBatchBytes = 256u << 20;  // a batch that decompresses to more is refused

// Calls `visit` for each record, in order, until it gives false. Errc::corrupt: the records do not
// decode. Errc::invalid: what they are compressed in does not. Errc::unsupported: an unknown codec.
// Errc::too_large: more than `max_bytes`.
Result<void> each_record(const RawBatch& batch, const std::function<bool(const Record&)>& visit,
                         size_t max_bytes = kMaxOpenedBatchBytes);

// The same for who looks for a time: a batch of magic 2 never stands decompressed whole, and is
// opened no further than `visit` wants.
Result<void> each_timestamp(const RawBatch& batch,
                            const std::function<bool(int64_t offset, int64_t timestamp)>& visit,
                            size_t max_bytes = kMaxOpenedBatchBytes);

// What Kafka answers when a batch cannot be opened.
Refusal refusal_of(const Error& error);

// An owned copy of each record; for tests, tools and coordinators replaying their partition.
struct OwnedRecord {
  int64_t offset = 0;
  int64_t timestamp = kNoTimestamp;
  int32_t sequence = kNoSequence;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  bool operator==(const OwnedRecord&) const = default;
};
Result<std::vector<OwnedRecord>> read_records(const RawBatch& batch);

// A control batch's marker. nullopt when `batch` is no control batch or does not decode.
struct ControlRecord {
  ControlType type = ControlType::unknown;
  int32_t coordinator_epoch = 0;
};
std::optional<ControlRecord> read_control(const BatchView& batch);

}  // namespace ottla::broker
