#include "broker/record/legacy.h"

#include "common/wire/reader.h"

namespace ottla::broker {
namespace {

Result<compress::Codec> legacy_codec(const LegacyView& view) {
  // zstd came with magic 2: here its number names nothing.
  if (view.codec_id() > static_cast<int>(compress::Codec::lz4))
    return fail(Errc::unsupported,
                "unknown compression type id " + std::to_string(view.codec_id()));
  return static_cast<compress::Codec>(view.codec_id());
}

bool take_field(wire::Reader& reader, std::optional<Bytes>& field) {
  int32_t size = reader.i32();
  if (size < -1) reader.set_failed();
  if (size >= 0) field = reader.take(static_cast<size_t>(size));
  return reader.ok();
}

Record to_record(const LegacyView& view, std::optional<Bytes> key, std::optional<Bytes> value) {
  Record record;
  record.offset = view.offset();
  record.timestamp = view.timestamp();
  record.key = key;
  record.value = value;
  return record;
}

// Inner messages of a wrapper, in order. Offsets of magic 1 count from the first inner message; the
// wrapper's own offset is that of the last.
Result<void> each_inner(const LegacyView& wrapper, Bytes inner_set,
                        const std::function<bool(const Record&)>& visit) {
  std::vector<RawBatch> inner;
  BatchCursor cursor(inner_set);
  while (auto message = cursor.next()) inner.push_back(*message);
  if (cursor.corrupt() || inner.empty())
    return fail(Errc::corrupt, "a compressed message holds no message set");
  int64_t base =
      wrapper.magic() == kMagicV1 ? wrapping_sub(wrapper.offset(), inner.back().base_offset()) : 0;
  for (const RawBatch& message : inner) {
    LegacyView view(message);
    if (view.magic() != wrapper.magic() || view.codec_id() != 0)
      return fail(Errc::corrupt,
                  "a compressed message holds one of another magic or a compressed one");
    if (!view.crc_ok()) return fail(Errc::corrupt, "an inner message fails its checksum");
    std::optional<Bytes> key, value;
    if (!view.key_and_value(key, value))
      return fail(Errc::corrupt, "an inner message's sizes do not add up");
    Record record = to_record(view, key, value);
    record.offset = wrapping_add(record.offset, base);
    if (wrapper.timestamp_type() == TimestampType::log_append_time)
      record.timestamp = wrapper.timestamp();
    if (!visit(record)) break;
  }
  return {};
}

}  // namespace

bool LegacyView::key_and_value(std::optional<Bytes>& key, std::optional<Bytes>& value) const {
  wire::Reader reader(bytes_.subspan(kLegacyTimestampAt + (magic_ == kMagicV1 ? 8 : 0)));
  return take_field(reader, key) && take_field(reader, value) && reader.at_end();
}

Result<void> each_legacy_record(const RawBatch& batch,
                                const std::function<bool(const Record&)>& visit, size_t max_bytes) {
  LegacyView view(batch);
  std::optional<Bytes> key, value;
  if (!view.key_and_value(key, value))
    return fail(Errc::corrupt, "a message's sizes do not add up");
  OTTLA_ASSIGN(compress::Codec codec, legacy_codec(view));
  if (codec == compress::Codec::none) {
    (void)visit(to_record(view, key, value));
    return {};
  }
  if (!value) return fail(Errc::corrupt, "a compressed message has no value");
  OTTLA_ASSIGN(Buffer inner,
               compress::decompress(codec, *value, max_bytes,
                                    {.lz4_broken_checksum = view.magic() == kMagicV0}));
  return each_inner(view, inner, visit);
}

void append_legacy(int8_t magic, const LegacyMessage& message, Buffer& out) {
  size_t start = out.size();
  size_t size = (magic == kMagicV1 ? kLegacyMinSizeV1 : kLegacyMinSizeV0) + kLogOverhead +
                (message.key ? message.key->size() : 0) +
                (message.value ? message.value->size() : 0);
  out.resize_uninitialized(start + size);
  uint8_t* at = out.data() + start;
  store_be(at, message.offset);
  store_be(at + kLengthAt, static_cast<int32_t>(size - kLogOverhead));
  at[kMagicAt] = static_cast<uint8_t>(magic);
  auto attributes = static_cast<uint8_t>(message.codec);
  if (magic == kMagicV1 && message.timestamp_type == TimestampType::log_append_time)
    attributes |= kLogAppendTimeBit;
  at[kLegacyAttributesAt] = attributes;
  uint8_t* field = at + kLegacyTimestampAt;
  if (magic == kMagicV1) {
    store_be(field, message.timestamp);
    field += 8;
  }
  for (const auto& bytes : {message.key, message.value}) {
    store_be<int32_t>(field, bytes ? static_cast<int32_t>(bytes->size()) : -1);
    field += 4;
    if (bytes && !bytes->empty()) std::memcpy(field, bytes->data(), bytes->size());
    if (bytes) field += bytes->size();
  }
  store_be(at + kLegacyCrcAt, crc32(Bytes(at + kMagicAt, size - kMagicAt)));
}

}  // namespace ottla::broker
