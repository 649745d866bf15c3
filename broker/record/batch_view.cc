#include "broker/record/batch_view.h"

namespace ottla::broker {

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::unknown_server_error:
      return "UNKNOWN_SERVER_ERROR";
    case Refusal::none:
      return "NONE";
    case Refusal::offset_out_of_range:
      return "OFFSET_OUT_OF_RANGE";
    case Refusal::corrupt_message:
      return "CORRUPT_MESSAGE";
    case Refusal::unknown_topic_or_partition:
      return "UNKNOWN_TOPIC_OR_PARTITION";
    case Refusal::not_leader_or_follower:
      return "NOT_LEADER_OR_FOLLOWER";
    case Refusal::message_too_large:
      return "MESSAGE_TOO_LARGE";
    case Refusal::record_list_too_large:
      return "RECORD_LIST_TOO_LARGE";
    case Refusal::invalid_timestamp:
      return "INVALID_TIMESTAMP";
    case Refusal::unsupported_version:
      return "UNSUPPORTED_VERSION";
    case Refusal::unsupported_for_message_format:
      return "UNSUPPORTED_FOR_MESSAGE_FORMAT";
    case Refusal::policy_violation:
      return "POLICY_VIOLATION";
    case Refusal::out_of_order_sequence_number:
      return "OUT_OF_ORDER_SEQUENCE_NUMBER";
    case Refusal::invalid_producer_epoch:
      return "INVALID_PRODUCER_EPOCH";
    case Refusal::invalid_txn_state:
      return "INVALID_TXN_STATE";
    case Refusal::transaction_coordinator_fenced:
      return "TRANSACTION_COORDINATOR_FENCED";
    case Refusal::kafka_storage_error:
      return "KAFKA_STORAGE_ERROR";
    case Refusal::unsupported_compression_type:
      return "UNSUPPORTED_COMPRESSION_TYPE";
    case Refusal::invalid_record:
      return "INVALID_RECORD";
  }
  return "?";
}

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
