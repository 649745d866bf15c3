// BatchView: the header of one magic-2 batch over borrowed bytes; no copies, no checks but sizes.
// BatchCursor: walks the batches (any magic) of a record set by their length fields.
#pragma once

#include <optional>
#include <string>

#include "broker/record/batch_format.h"
#include "broker/record/refusal.h"
#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/wrapping.h"
#include "common/compress/codec.h"

namespace ottla::broker {

class BatchView {
 public:
  // `bytes` begins with at least kBatchHeaderSize bytes; for crc_ok() and records() it holds all.
  explicit BatchView(Bytes bytes) : bytes_(bytes) { OTTLA_CHECK(bytes.size() >= kBatchHeaderSize); }

  Bytes bytes() const { return bytes_; }
  int64_t base_offset() const { return at<int64_t>(kBaseOffsetAt); }
  int32_t length() const { return at<int32_t>(kLengthAt); }
  uint64_t size_in_bytes() const { return static_cast<uint64_t>(length()) + kLogOverhead; }
  int32_t leader_epoch() const { return at<int32_t>(kLeaderEpochAt); }
  int8_t magic() const { return static_cast<int8_t>(bytes_[kMagicAt]); }
  uint32_t crc() const { return at<uint32_t>(kCrcAt); }
  int16_t attributes() const { return at<int16_t>(kAttributesAt); }
  int32_t last_offset_delta() const { return at<int32_t>(kLastOffsetDeltaAt); }
  int64_t last_offset() const { return wrapping_add(base_offset(), last_offset_delta()); }
  int64_t next_offset() const { return wrapping_add(last_offset(), 1); }
  int64_t base_timestamp() const { return at<int64_t>(kBaseTimestampAt); }
  int64_t max_timestamp() const { return at<int64_t>(kMaxTimestampAt); }
  int64_t producer_id() const { return at<int64_t>(kProducerIdAt); }
  int16_t producer_epoch() const { return at<int16_t>(kProducerEpochAt); }
  int32_t base_sequence() const { return at<int32_t>(kBaseSequenceAt); }
  int32_t last_sequence() const {
    return base_sequence() == kNoSequence ? kNoSequence
                                          : sequence_plus(base_sequence(), last_offset_delta());
  }
  int32_t record_count() const { return at<int32_t>(kRecordCountAt); }

  bool has_producer_id() const { return producer_id() > kNoProducerId; }
  bool transactional() const { return attributes() & kTransactionalBit; }
  bool control() const { return attributes() & kControlBit; }
  bool has_delete_horizon() const { return attributes() & kDeleteHorizonBit; }
  TimestampType timestamp_type() const {
    return attributes() & kLogAppendTimeBit ? TimestampType::log_append_time
                                            : TimestampType::create_time;
  }
  int codec_id() const { return attributes() & kCodecMask; }  // 5..7 name no codec
  std::optional<compress::Codec> codec() const {
    if (codec_id() >= compress::kCodecCount) return std::nullopt;
    return static_cast<compress::Codec>(codec_id());
  }

  // The record block: compressed unless codec() is none.
  Bytes records() const {
    return bytes_.subspan(kBatchHeaderSize, size_in_bytes() - kBatchHeaderSize);
  }
  uint32_t computed_crc() const {
    return crc32c(bytes_.subspan(kAttributesAt, size_in_bytes() - kAttributesAt));
  }
  bool crc_ok() const { return crc() == computed_crc(); }

 private:
  template <class T>
  T at(size_t position) const {
    return load_be<T>(bytes_.data() + position);
  }
  Bytes bytes_;
};

// In-place edits of a batch's header. Offsets and leader epoch lie outside the checksum.
inline void set_base_offset(MutBytes batch, int64_t offset) { store_be(batch.data(), offset); }
inline void set_leader_epoch(MutBytes batch, int32_t epoch) {
  store_be(batch.data() + kLeaderEpochAt, epoch);
}
// Sets timestamp type and max timestamp; recomputes the checksum when either changes.
void set_max_timestamp(MutBytes batch, TimestampType type, int64_t max_timestamp);

// One entry of a record set, of any magic.
struct RawBatch {
  Bytes bytes;
  int8_t magic = 0;
  int64_t base_offset() const { return load_be<int64_t>(bytes.data()); }  // a v0/v1 wrapper's: last
};

class BatchCursor {
 public:
  // With `heads_may_be_short` a batch is whole as soon as its length says so, however little of a
  // header it has: 26 bytes of it are sure.
  explicit BatchCursor(Bytes set, bool heads_may_be_short = false)
      : set_(set), heads_may_be_short_(heads_may_be_short) {}
  // The next whole batch; nullopt at the end, at an incomplete tail, or on a structural error.
  std::optional<RawBatch> next();
  bool corrupt() const { return corrupt_; }  // a length or magic that no batch can have
  std::string corruption() const;            // which, in Apache's words (Produce answers them)
  size_t position() const { return at_; }    // bytes of whole batches so far
  bool at_end() const { return at_ == set_.size(); }

 private:
  Bytes set_;
  size_t at_ = 0;
  bool heads_may_be_short_ = false;
  bool corrupt_ = false;
};

}  // namespace ottla::broker
