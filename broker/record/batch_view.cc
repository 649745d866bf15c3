#include "broker/record/batch_view.h"

namespace ottla::broker {

void set_max_timestamp(MutBytes batch, TimestampType type, int64_t max_timestamp) {
  BatchView view(batch);
  if (view.timestamp_type() == type && view.max_timestamp() == max_timestamp) return;
  // Only the attribute bits that have a meaning survive a rewrite of the header.
  auto attributes = static_cast<int16_t>(
      view.attributes() & (kCodecMask | kTransactionalBit | kControlBit | kDeleteHorizonBit));
  if (type == TimestampType::log_append_time) attributes |= kLogAppendTimeBit;
  store_be(batch.data() + kAttributesAt, attributes);
  store_be(batch.data() + kMaxTimestampAt, max_timestamp);
  store_be(batch.data() + kCrcAt, BatchView(batch).computed_crc());
}

std::optional<RawBatch> BatchCursor::next() {
  if (corrupt_ || set_.size() - at_ < kLogOverhead) return std::nullopt;
  const uint8_t* from = set_.data() + at_;
  int32_t length = load_be<int32_t>(from + kLengthAt);
  if (length < static_cast<int32_t>(kLegacyMinSizeV0)) {
    corrupt_ = true;
    return std::nullopt;
  }
  if (set_.size() - at_ < kHeaderUpToMagic) return std::nullopt;
  auto magic = static_cast<int8_t>(from[kMagicAt]);
  if (magic < kMagicV0 || magic > kMagicV2) {
    corrupt_ = true;
    return std::nullopt;
  }
  size_t size = static_cast<size_t>(length) + kLogOverhead;
  if (set_.size() - at_ < size) return std::nullopt;
  size_t least = magic == kMagicV2   ? kBatchHeaderSize
                 : magic == kMagicV1 ? kLogOverhead + kLegacyMinSizeV1
                                     : kLogOverhead + kLegacyMinSizeV0;
  if (size < least && !heads_may_be_short_) {
    corrupt_ = true;
    return std::nullopt;
  }
  RawBatch batch{set_.subspan(at_, size), magic};
  at_ += size;
  return batch;
}

std::string BatchCursor::corruption() const {
  if (!corrupt_) return {};
  int32_t length = load_be<int32_t>(set_.data() + at_ + kLengthAt);
  if (length < static_cast<int32_t>(kLegacyMinSizeV0))
    return "Record size " + std::to_string(length) +
           " is less than the minimum record overhead (14)";
  auto magic = static_cast<int8_t>(set_[at_ + kMagicAt]);
  if (magic < kMagicV0 || magic > kMagicV2)
    return "Invalid magic found in record: " + std::to_string(magic);
  return {};
}

}  // namespace ottla::broker
