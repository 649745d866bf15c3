// Messages of magic 0 and 1: one record each, or a wrapper whose value is a compressed message set.
// Source: Kafka documentation, "Old Message Format"; KIP-31 (relative inner offsets), KIP-32.
#pragma once

#include <expected>

#include "broker/record/record_reader.h"

namespace ottla::broker {

class LegacyView {
 public:
  // `bytes` is one whole message as BatchCursor gives it: its size field fits.
  explicit LegacyView(const RawBatch& batch) : bytes_(batch.bytes), magic_(batch.magic) {}
  int64_t offset() const { return load_be<int64_t>(bytes_.data()); }
  int8_t magic() const { return magic_; }
  uint32_t crc() const { return load_be<uint32_t>(bytes_.data() + kLegacyCrcAt); }
  bool crc_ok() const { return crc() == crc32(bytes_.subspan(kMagicAt)); }
  int8_t attributes() const { return static_cast<int8_t>(bytes_[kLegacyAttributesAt]); }
  int codec_id() const { return attributes() & kCodecMask; }
  TimestampType timestamp_type() const {
    if (magic_ == kMagicV0) return TimestampType::none;
    return attributes() & kLogAppendTimeBit ? TimestampType::log_append_time
                                            : TimestampType::create_time;
  }
  int64_t timestamp() const {
    return magic_ == kMagicV0 ? kNoTimestamp : load_be<int64_t>(bytes_.data() + kLegacyTimestampAt);
  }
  // False when the sizes of key and value reach beyond the message.
  bool key_and_value(std::optional<Bytes>& key, std::optional<Bytes>& value) const;

 private:
  Bytes bytes_;
  int8_t magic_;
};

struct LegacyMessage {
  int64_t offset = 0;
  int64_t timestamp = kNoTimestamp;
  TimestampType timestamp_type = TimestampType::create_time;  // ignored for magic 0
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  compress::Codec codec = compress::Codec::none;  // of a wrapper
};
void append_legacy(int8_t magic, const LegacyMessage& message, Buffer& out);

// What is wrong with a message, as Kafka answers it.
struct RecordFault {
  Refusal refusal = Refusal::none;
  std::string why;
};

// The messages inside a wrapper, not looked into: of any magic, with any checksum.
struct InnerMessages {
  Buffer bytes;
  std::vector<LegacyView> messages;
  int64_t base_offset = 0;  // to be added to their offsets
};
std::expected<InnerMessages, RecordFault> open_wrapper(const LegacyView& wrapper, size_t max_bytes);
// One message as a record: `message` itself, or one inside `wrapper`. nullopt: its sizes are wrong.
std::optional<Record> legacy_record(const LegacyView& message, int64_t base_offset = 0,
                                    const LegacyView* wrapper = nullptr);

// Records of one message; a wrapper's inner messages are checked too.
Result<void> each_legacy_record(const RawBatch& batch,
                                const std::function<bool(const Record&)>& visit, size_t max_bytes);

}  // namespace ottla::broker
