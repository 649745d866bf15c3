#include "broker/record/legacy.h"

#include "common/wire/reader.h"

namespace ottla::broker {
namespace {

std::unexpected<RecordFault> fault(Refusal refusal, std::string why) {
  return std::unexpected(RecordFault{refusal, std::move(why)});
}

// Any negative size reads as null.
bool take_field(wire::Reader& reader, std::optional<Bytes>& field) {
  int32_t size = reader.i32();
  if (size >= 0) field = reader.take(static_cast<size_t>(size));
  return reader.ok();
}

// A wrapper's value as it is decompressed: only as far as the messages in it are read.
class InnerBytes {
 public:
  InnerBytes(Buffer& bytes, size_t max_bytes) : bytes_(bytes), max_bytes_(max_bytes) {}
  Result<void> begin(compress::Codec codec, Bytes value, bool lz4_broken_checksum) {
    return decompressor_.begin(codec, value, {lz4_broken_checksum});
  }
  // Whether there are `count` bytes from `at` on.
  Result<bool> reach(size_t at, size_t count) {
    while (bytes_.size() - at < count) {
      OTTLA_ASSIGN(Bytes piece, decompressor_.next());
      if (piece.empty()) return false;
      if (piece.size() > max_bytes_ - bytes_.size())
        return fail(Errc::too_large, "a compressed message opens to too much");
      bytes_.append(piece);
    }
    return true;
  }

 private:
  compress::Decompressor decompressor_;
  Buffer& bytes_;
  size_t max_bytes_;
};

struct Place {
  size_t at = 0, size = 0;
};

// Where the messages lie; what is cut short at the end is left out, as Kafka does.
std::expected<std::vector<Place>, RecordFault> inner_places(InnerBytes& source,
                                                            const Buffer& bytes) {
  std::vector<Place> places;
  auto opening = [](const Error& error) { return fault(refusal_of(error), error.context); };
  for (size_t at = 0;;) {
    auto head = source.reach(at, kLogOverhead);
    if (!head) return opening(head.error());
    if (!*head) return places;
    int32_t length = load_be<int32_t>(bytes.data() + at + kLengthAt);
    if (length < static_cast<int32_t>(kLegacyMinSizeV0))
      return fault(Refusal::corrupt_message, "an inner message is too small");
    size_t size = kLogOverhead + static_cast<size_t>(length);
    auto whole = source.reach(at, size);
    if (!whole) return opening(whole.error());
    if (!*whole) return places;
    places.push_back({at, size});
    at += size;
  }
}

}  // namespace

bool LegacyView::key_and_value(std::optional<Bytes>& key, std::optional<Bytes>& value) const {
  wire::Reader reader(bytes_.subspan(kLegacyTimestampAt + (magic_ == kMagicV1 ? 8 : 0)));
  return take_field(reader, key) && take_field(reader, value);
}

std::expected<InnerMessages, RecordFault> open_wrapper(const LegacyView& wrapper,
                                                       size_t max_bytes) {
  // zstd came with magic 2; what is above it names nothing.
  if (wrapper.codec_id() == static_cast<int>(compress::Codec::zstd))
    return fault(Refusal::invalid_record, "zstd in a message of an old format");
  if (wrapper.codec_id() > static_cast<int>(compress::Codec::zstd))
    return fault(Refusal::unknown_server_error,
                 "unknown compression type id " + std::to_string(wrapper.codec_id()));
  std::optional<Bytes> key, value;
  if (!wrapper.key_and_value(key, value))
    return fault(Refusal::unknown_server_error, "a message's sizes do not add up");
  if (!value) return fault(Refusal::invalid_record, "a compressed message has no value");
  InnerMessages inner;
  InnerBytes source(inner.bytes, max_bytes);
  auto codec = static_cast<compress::Codec>(wrapper.codec_id());
  if (auto begun = source.begin(codec, *value, wrapper.magic() == kMagicV0); !begun)
    return fault(refusal_of(begun.error()), begun.error().context);
  auto places = inner_places(source, inner.bytes);
  if (!places) return std::unexpected(std::move(places.error()));
  if (places->empty())
    return fault(Refusal::invalid_record, "a compressed message holds no message");
  for (const Place& place : *places) {
    Bytes message = inner.bytes.bytes().subspan(place.at, place.size);
    inner.messages.emplace_back(RawBatch{message, static_cast<int8_t>(message[kMagicAt])});
  }
  // Offsets of magic 1 count from the first inner message; the wrapper's own is that of the last. A
  // producer may leave it 0.
  if (wrapper.magic() == kMagicV1 && wrapper.offset() != 0) {
    int64_t last = inner.messages.back().offset();
    if (wrapper.offset() < last)
      return fault(Refusal::invalid_record, "a wrapper's offset is below its last message's");
    inner.base_offset = wrapping_sub(wrapper.offset(), last);
  }
  return inner;
}

std::optional<Record> legacy_record(const LegacyView& message, int64_t base_offset,
                                    const LegacyView* wrapper) {
  Record record;
  if (!message.key_and_value(record.key, record.value)) return std::nullopt;
  record.offset = wrapping_add(message.offset(), base_offset);
  bool append_time = wrapper && wrapper->timestamp_type() == TimestampType::log_append_time;
  record.timestamp = append_time ? wrapper->timestamp() : message.timestamp();
  return record;
}

Result<void> each_legacy_record(const RawBatch& batch,
                                const std::function<bool(const Record&)>& visit, size_t max_bytes) {
  LegacyView view(batch);
  if (view.codec_id() == 0) {
    auto record = legacy_record(view);
    if (!record) return fail(Errc::corrupt, "a message's sizes do not add up");
    (void)visit(*record);
    return {};
  }
  auto inner = open_wrapper(view, max_bytes);
  if (!inner) {
    Refusal refusal = inner.error().refusal;
    Errc code = refusal == Refusal::unknown_server_error ? Errc::invalid
                : refusal == Refusal::message_too_large  ? Errc::too_large
                                                         : Errc::corrupt;
    return fail(code, inner.error().why);
  }
  for (const LegacyView& message : inner->messages) {
    if (message.magic() != view.magic() || message.codec_id() != 0)
      return fail(Errc::corrupt,
                  "a compressed message holds one of another magic or a compressed one");
    if (!message.crc_ok()) return fail(Errc::corrupt, "an inner message fails its checksum");
    auto record = legacy_record(message, inner->base_offset, &view);
    if (!record) return fail(Errc::corrupt, "an inner message's sizes do not add up");
    if (!visit(*record)) break;
  }
  return {};
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
