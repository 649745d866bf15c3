#include "broker/record/batch_builder.h"

#include "broker/record/batch_view.h"

namespace ottla::broker {
namespace {

size_t varlong_size(int64_t value) {
  uint64_t raw = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  size_t size = 1;
  for (; raw >= 0x80; raw >>= 7) ++size;
  return size;
}
size_t bytes_size(const std::optional<Bytes>& bytes) {
  if (!bytes) return varlong_size(-1);
  return varlong_size(static_cast<int64_t>(bytes->size())) + bytes->size();
}
void put_bytes(wire::Writer& writer, const std::optional<Bytes>& bytes) {
  writer.varint(bytes ? static_cast<int32_t>(bytes->size()) : -1);
  if (bytes) writer.raw(*bytes);
}

}  // namespace

void BatchBuilder::append(int64_t timestamp, std::optional<Bytes> key, std::optional<Bytes> value,
                          std::span<const HeaderIn> headers) {
  append_at(options_.base_offset + last_offset_delta_ + 1, timestamp, key, value, headers);
}

void BatchBuilder::append_at(int64_t offset, int64_t timestamp, std::optional<Bytes> key,
                             std::optional<Bytes> value, std::span<const HeaderIn> headers) {
  auto offset_delta = static_cast<int32_t>(offset - options_.base_offset);
  OTTLA_CHECK(offset_delta > last_offset_delta_);
  if (count_ == 0) base_timestamp_ = timestamp;
  max_timestamp_ = std::max(max_timestamp_, timestamp);
  int64_t timestamp_delta = wrapping_sub(timestamp, base_timestamp_);

  size_t size = 1 + varlong_size(timestamp_delta) + varlong_size(offset_delta) + bytes_size(key) +
                bytes_size(value) + varlong_size(static_cast<int64_t>(headers.size()));
  for (const auto& [name, content] : headers)
    size += bytes_size(as_bytes(name)) + bytes_size(content);

  records_.varint(static_cast<int32_t>(size));
  records_.i8(0);
  records_.varlong(timestamp_delta);
  records_.varint(offset_delta);
  put_bytes(records_, key);
  put_bytes(records_, value);
  records_.varint(static_cast<int32_t>(headers.size()));
  for (const auto& [name, content] : headers) {
    put_bytes(records_, as_bytes(name));
    put_bytes(records_, content);
  }
  last_offset_delta_ = offset_delta;
  ++count_;
}

Result<void> BatchBuilder::finish(Buffer& out) {
  size_t start = out.size();
  out.resize_uninitialized(start + kBatchHeaderSize);
  OTTLA_TRY(compress::compress(options_.codec, records_.bytes(), out, options_.levels));
  bool append_time = options_.timestamp_type == TimestampType::log_append_time;
  auto attributes = static_cast<int16_t>(options_.codec);
  if (append_time) attributes |= kLogAppendTimeBit;
  if (options_.transactional) attributes |= kTransactionalBit;
  if (options_.control) attributes |= kControlBit;

  uint8_t* head = out.data() + start;
  store_be(head + kBaseOffsetAt, options_.base_offset);
  store_be(head + kLengthAt, static_cast<int32_t>(out.size() - start - kLogOverhead));
  store_be(head + kLeaderEpochAt, options_.leader_epoch);
  store_be(head + kMagicAt, kMagicV2);
  store_be(head + kAttributesAt, attributes);
  store_be(head + kLastOffsetDeltaAt, last_offset_delta_);
  store_be(head + kBaseTimestampAt, base_timestamp_);
  store_be(head + kMaxTimestampAt, append_time ? options_.log_append_time_ms : max_timestamp_);
  store_be(head + kProducerIdAt, options_.producer_id);
  store_be(head + kProducerEpochAt, options_.producer_epoch);
  store_be(head + kBaseSequenceAt, options_.base_sequence);
  store_be(head + kRecordCountAt, count_);
  store_be(head + kCrcAt, BatchView(out.bytes().subspan(start)).computed_crc());
  return {};
}

Buffer BatchBuilder::finish() {
  OTTLA_CHECK(options_.codec == compress::Codec::none);
  Buffer out;
  auto finished = finish(out);
  OTTLA_CHECK(finished.has_value());
  return out;
}

Buffer build_end_txn_marker(int64_t timestamp, int64_t producer_id, int16_t producer_epoch,
                            ControlType type, int32_t coordinator_epoch) {
  BatchBuilder::Options options;
  options.producer_id = producer_id;
  options.producer_epoch = producer_epoch;
  options.transactional = true;
  options.control = true;
  BatchBuilder builder(options);
  uint8_t key[4], value[6];
  store_be<int16_t>(key, 0);
  store_be(key + 2, static_cast<int16_t>(type));
  store_be<int16_t>(value, 0);
  store_be(value + 2, coordinator_epoch);
  builder.append(timestamp, Bytes(key), Bytes(value));
  return builder.finish();
}

}  // namespace ottla::broker
