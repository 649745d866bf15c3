#include "broker/api/fetch_convert.h"

#include <algorithm>

#include "broker/record/convert.h"
#include "common/wire/writer.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr size_t kChunkBytes = 128 * 1024;  // Kafka converts that much at a time

// What is over the promised size is cut; what is missing is filled with the head of a message that
// cannot be whole, which clients leave out.
void fit(Buffer& converted, size_t size) {
  if (converted.size() >= size) return converted.resize_uninitialized(size);
  size_t gap = size - converted.size();
  constexpr size_t kLeastMessage = 61;
  wire::Writer filler;
  filler.i64(-1);
  filler.i32(static_cast<int32_t>(std::max(gap + 1, kLeastMessage)));
  while (filler.size() < gap) filler.u8(0);
  converted.append(filler.bytes().first(gap));
}

// The next batches of together at most kChunkBytes, but at least one.
Bytes next_chunk(Bytes set, BatchCursor& cursor) {
  size_t from = cursor.position(), to = from;
  while (true) {
    BatchCursor ahead = cursor;
    if (!ahead.next() || (to > from && ahead.position() - from > kChunkBytes)) break;
    cursor = ahead;
    to = cursor.position();
  }
  return set.subspan(from, to - from);
}

}  // namespace

ConvertedRecords Conversion::run() const {
  int8_t magic = fetch_version <= 1 ? kMagicV0 : kMagicV1;
  Buffer bytes(static_cast<size_t>(slice.length));
  auto got = slice.file->read_at(slice.offset, bytes.mutable_bytes());
  if (!got) return {ErrorCode::kafka_storage_error, std::nullopt, 0};
  Bytes set = bytes.bytes().first(*got);
  BatchCursor cursor(set);
  if (!cursor.next()) {
    // A part of one batch: of use only to a client that can read its format.
    bool readable = set.size() > kMagicAt && static_cast<int8_t>(set[kMagicAt]) <= magic;
    if (readable) return {};
    return {ErrorCode::none, Buffer(), 0};
  }
  if (!needs_down_conversion(set, magic)) return {};
  if (!allowed) return {ErrorCode::unsupported_version, std::nullopt, 0};
  uint64_t count = 0;
  // The first batch of which something is left is promised whole.
  size_t from = 0;
  auto first = down_convert(set.first(cursor.position()), magic, fetch_offset, &count);
  while (first && first->size() == 0) {
    from = cursor.position();
    if (!cursor.next()) {
      Buffer nothing;
      fit(nothing, kLogOverhead);
      return {ErrorCode::none, std::move(nothing), 0};
    }
    first = down_convert(set.subspan(from, cursor.position() - from), magic, fetch_offset, &count);
  }
  if (!first)
    return {first.error().code == Errc::unsupported ? ErrorCode::unsupported_compression_type
                                                    : ErrorCode::unknown_server_error,
            std::nullopt, 0};
  size_t promised = std::max<size_t>(slice.length, first->size());
  Buffer converted = std::move(*first);
  while (converted.size() < promised) {
    Bytes chunk = next_chunk(set, cursor);
    if (chunk.empty()) break;
    auto more = down_convert(chunk, magic, fetch_offset, &count);
    if (!more) break;  // a codec that the client cannot know: the rest is left out
    converted.append(more->bytes());
  }
  fit(converted, promised);
  return {ErrorCode::none, std::move(converted), count};
}

}  // namespace ottla::broker
