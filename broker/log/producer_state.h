// Idempotent producers and open transactions of one partition: a core without IO. check() decides
// about a batch before it is appended, update() learns it afterwards; recovery calls update()
// alone. Source: KIP-98, KIP-360; Kafka's .snapshot file format (version 1).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/record/batch_view.h"
#include "broker/record/record_reader.h"
#include "broker/record/validate.h"
#include "common/base/result.h"

namespace ottla::broker {

struct ProducerBatch {
  int32_t first_sequence = kNoSequence;
  int32_t last_sequence = kNoSequence;
  int64_t first_offset = -1;
  int64_t last_offset = -1;
  int64_t timestamp = kNoTimestamp;
};

struct ProducerEntry {
  int64_t producer_id = kNoProducerId;
  int16_t producer_epoch = kNoProducerEpoch;
  int32_t coordinator_epoch = -1;
  int64_t last_timestamp = kNoTimestamp;
  int64_t txn_first_offset = -1;      // of the open transaction
  std::deque<ProducerBatch> batches;  // at most the last five, oldest first

  int32_t last_sequence() const {
    return batches.empty() ? kNoSequence : batches.back().last_sequence;
  }
  int64_t last_offset() const { return batches.empty() ? -1 : batches.back().last_offset; }
};

struct AbortedTxn {
  int64_t producer_id = 0;
  int64_t first_offset = 0;
  int64_t last_offset = 0;  // of the marker
  int64_t last_stable_offset = 0;
  bool operator==(const AbortedTxn&) const = default;
};

class ProducerState {
 public:
  struct Verdict {
    Refusal refusal = Refusal::none;
    std::string message;
    std::optional<ProducerBatch> duplicate;  // already there: answer its offsets, append nothing
  };
  // May `batch` (offsets assigned) be appended? `marker` for control batches.
  Verdict check(const BatchView& batch, Origin origin,
                const std::optional<ControlRecord>& marker) const;
  // Takes an appended batch in; gives the transaction an ABORT marker ended.
  std::optional<AbortedTxn> update(const BatchView& batch,
                                   const std::optional<ControlRecord>& marker);

  // The first offset of the earliest open transaction, or of one whose marker is not below `hw`.
  std::optional<int64_t> first_unstable_offset() const;
  void on_high_watermark(int64_t hw);  // forgets ended transactions whose markers are below it

  void expire(int64_t now_wall_ms, int64_t expiration_ms);
  void clear();
  bool empty() const { return producers_.empty(); }
  const std::map<int64_t, ProducerEntry>& producers() const { return producers_; }
  int64_t end_offset() const { return end_offset_; }  // the state covers offsets below it
  void set_end_offset(int64_t offset) { end_offset_ = offset; }
  // Ends of open transactions that a log start offset has passed are dropped.
  void truncate_start(int64_t log_start_offset);

  std::string encode_snapshot() const;
  // Entries expired at `now_wall_ms` are dropped.
  static Result<ProducerState> decode_snapshot(Bytes file, int64_t now_wall_ms,
                                               int64_t expiration_ms);

 private:
  struct OngoingTxn {
    int64_t producer_id = 0;
    std::optional<int64_t> last_offset;  // of its marker, once ended
  };
  std::map<int64_t, ProducerEntry> producers_;
  std::map<int64_t, OngoingTxn> txns_;  // by first offset: open, or ended with marker not below hw
  int64_t end_offset_ = 0;
};

}  // namespace ottla::broker
