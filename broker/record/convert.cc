#include "broker/record/convert.h"

#include "broker/record/legacy.h"

namespace ottla::broker {
namespace {

// Room a decompressed batch may take while it is converted for an old consumer; it takes it twice.
constexpr size_t kMaxConvertedBytes = 64u << 20;

struct BatchFacts {
  compress::Codec codec;
  TimestampType type;
  int64_t max_timestamp;
};

Result<BatchFacts> facts_of(const RawBatch& batch) {
  if (batch.magic == kMagicV2) {
    BatchView view(batch.bytes);
    if (!view.codec()) return fail(Errc::corrupt, "unknown compression type");
    return BatchFacts{*view.codec(), view.timestamp_type(), view.max_timestamp()};
  }
  LegacyView view(batch);
  if (view.codec_id() >= compress::kCodecCount)
    return fail(Errc::corrupt, "unknown compression type");
  return BatchFacts{static_cast<compress::Codec>(view.codec_id()), view.timestamp_type(),
                    view.timestamp()};
}

Result<void> convert_batch(const RawBatch& batch, int8_t to_magic, int64_t first_offset,
                           Buffer& out, uint64_t& converted) {
  OTTLA_ASSIGN(BatchFacts facts, facts_of(batch));
  if (facts.codec == compress::Codec::zstd)
    return fail(Errc::unsupported, "zstd batches cannot be converted to an older format");
  bool packed = facts.codec != compress::Codec::none;
  Buffer plain;
  int64_t base = -1, last = -1, max_timestamp = kNoTimestamp;
  OTTLA_TRY(each_record(
      batch,
      [&](const Record& record) {
        if (!packed && record.offset < first_offset) return true;
        if (base < 0) base = record.offset;
        last = record.offset;
        ++converted;
        max_timestamp = std::max(max_timestamp, record.timestamp);
        LegacyMessage message;
        // Inside a wrapper of magic 1, offsets count from its first message.
        message.offset =
            packed && to_magic == kMagicV1 ? wrapping_sub(record.offset, base) : record.offset;
        message.timestamp = record.timestamp;
        message.timestamp_type = facts.type;
        message.key = record.key;
        message.value = record.value;
        append_legacy(to_magic, message, packed ? plain : out);
        return true;
      },
      kMaxConvertedBytes));
  if (!packed || last < 0) return {};
  Buffer squeezed;
  OTTLA_TRY(compress::compress(facts.codec, plain, squeezed, {}, {to_magic == kMagicV0}));
  LegacyMessage wrapper;
  wrapper.offset = last;
  wrapper.timestamp =
      facts.type == TimestampType::log_append_time ? facts.max_timestamp : max_timestamp;
  wrapper.timestamp_type = facts.type;
  wrapper.value = squeezed.bytes();
  wrapper.codec = facts.codec;
  append_legacy(to_magic, wrapper, out);
  return {};
}

}  // namespace

bool needs_down_conversion(Bytes set, int8_t max_magic) {
  BatchCursor cursor(set);
  while (auto batch = cursor.next())
    if (batch->magic > max_magic) return true;
  return false;
}

Result<Buffer> down_convert(Bytes set, int8_t to_magic, int64_t first_offset, uint64_t* converted) {
  uint64_t uncounted = 0;
  Buffer out;
  BatchCursor cursor(set);
  while (auto batch = cursor.next()) {
    if (batch->magic <= to_magic) {
      out.append(batch->bytes);
      continue;
    }
    if (batch->magic == kMagicV2 && BatchView(batch->bytes).control()) continue;
    OTTLA_TRY(
        convert_batch(*batch, to_magic, first_offset, out, converted ? *converted : uncounted));
  }
  return out;
}

}  // namespace ottla::broker
