// walk_records: steps over the records of a magic-2 batch, checking that every length adds up,
// without building anything. The block comes in pieces: one for an uncompressed batch, what the
// decompressor has ready for others, so that no batch ever stands decompressed in memory whole. The
// produce path pays this per record, so it decodes its varints by hand.
#pragma once

#include <type_traits>

#include "broker/record/batch_view.h"

namespace ottla::broker {

// Of a varint of at most `max_bytes`: five hold 32 bits, and what they hold beyond is not looked
// at.
inline int64_t unzigzag(uint64_t raw, int max_bytes = 10) {
  if (max_bytes == 5) raw = static_cast<uint32_t>(raw);
  return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
}

// One record's body that lies in one piece.
class PlainBody {
 public:
  PlainBody(const uint8_t* at, int64_t size) : at_(at), end_(at + size) {}
  bool ok() const { return ok_; }
  int64_t left() const { return end_ - at_; }

  int64_t varint(int max_bytes) {
    if (at_ != end_ && *at_ < 0x80) [[likely]]
      return unzigzag(*at_++);
    uint64_t raw = 0;
    for (int i = 0; i < max_bytes; ++i) {
      if (at_ == end_) break;
      uint8_t byte = *at_++;
      raw |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) return unzigzag(raw, max_bytes);
    }
    ok_ = false;
    return 0;
  }
  void skip(int64_t count) {
    if (count < 0 || count > end_ - at_) {
      ok_ = false;
      return;
    }
    at_ += count;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

// Where the walk stands in the block. `More` gives the next piece, empty at the end.
template <class More>
struct Pieces {
  More more;
  const uint8_t* at = nullptr;
  const uint8_t* end = nullptr;
  bool fill() {
    Bytes piece = more();
    at = piece.data();
    end = at + piece.size();
    return !piece.empty();
  }
  int64_t here() const { return end - at; }
};

// A body, or a record's size, that may cross from piece to piece.
template <class More>
class PiecewiseBody {
 public:
  PiecewiseBody(Pieces<More>& pieces, int64_t size) : pieces_(pieces), left_(size) {}
  bool ok() const { return ok_; }
  int64_t left() const { return left_; }

  int64_t varint(int max_bytes) {
    uint64_t raw = 0;
    for (int i = 0; i < max_bytes; ++i) {
      if (left_ == 0 || (pieces_.here() == 0 && !pieces_.fill())) break;
      uint8_t byte = *pieces_.at++;
      --left_;
      raw |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) return unzigzag(raw, max_bytes);
    }
    ok_ = false;
    return 0;
  }
  void skip(int64_t count) {
    if (count < 0 || count > left_) {
      ok_ = false;
      return;
    }
    left_ -= count;
    while (count > 0) {
      if (pieces_.here() == 0 && !pieces_.fill()) {
        ok_ = false;
        return;
      }
      int64_t step = std::min(count, pieces_.here());
      pieces_.at += step;
      count -= step;
    }
  }

 private:
  Pieces<More>& pieces_;
  int64_t left_;
  bool ok_ = true;
};

struct RecordHead {
  int64_t timestamp_delta = 0;
  int64_t offset_delta = 0;
  bool has_key = false;
};

// A nullable field; false when it is null.
template <class Body>
bool skip_field(Body& body) {
  int64_t size = body.varint(5);
  if (size < 0) return false;
  body.skip(size);
  return true;
}

// False when the lengths and counts inside reach beyond the body.
template <class Body>
bool walk_fields(Body& body, RecordHead& head) {
  body.skip(1);  // attributes: none are defined
  head.timestamp_delta = body.varint(10);
  head.offset_delta = body.varint(5);
  head.has_key = skip_field(body);
  (void)skip_field(body);
  int64_t headers = body.varint(5);
  if (!body.ok() || headers < 0 || headers > body.left()) return false;
  for (int64_t h = 0; h < headers && body.ok(); ++h) {
    if (!skip_field(body)) return false;
    (void)skip_field(body);
  }
  return body.ok();
}
inline bool walk_body(PlainBody body, RecordHead& head) {
  return walk_fields(body, head) && body.left() == 0;
}

// What a walk found. `agree` is false when some record's size is not that of its fields: Kafka
// skims compressed records by their fields alone, and what it answers then depends on where that
// ends.
struct Walked {
  bool sound = true;
  bool agree = true;
};

// One record; false when it does not decode. Without `strict` it ends where its fields end.
template <class More>
bool walk_one(Pieces<More>& pieces, bool strict, RecordHead& head, bool& agree) {
  int64_t size = -1;
  if (pieces.here() > 0 && *pieces.at < 0x80) [[likely]] {
    size = unzigzag(*pieces.at++);
  } else {
    PiecewiseBody<More> outer(pieces, INT64_MAX);
    size = outer.varint(5);
    if (!outer.ok()) return false;
  }
  if (size >= 0 && size <= pieces.here() && walk_body(PlainBody(pieces.at, size), head))
      [[likely]] {
    pieces.at += size;
    return true;
  }
  if (strict) return false;
  PiecewiseBody<More> body(pieces, INT64_MAX);
  if (!walk_fields(body, head)) return false;
  agree = agree && INT64_MAX - body.left() == size;
  return true;
}

// Calls see(offset, timestamp, has_key) for each record, until it gives false (if it gives
// anything); offset counts from the batch's base offset. Not sound when lengths, header counts or
// the record count do not add up, or when the pieces end too early: `more` knows whether that was a
// fault of theirs.
template <class More, class See>
Walked walk_records(const BatchView& batch, More more, See&& see) {
  Pieces<More> pieces{std::move(more)};
  Walked walked;
  bool append_time = batch.timestamp_type() == TimestampType::log_append_time;
  bool strict = batch.codec_id() == 0;
  if (strict) (void)pieces.fill();
  for (int32_t i = 0; i < batch.record_count() && walked.sound; ++i) {
    RecordHead head;
    walked.sound = walk_one(pieces, strict, head, walked.agree);
    if (!walked.sound) break;
    int64_t timestamp = append_time ? batch.max_timestamp()
                                    : wrapping_add(batch.base_timestamp(), head.timestamp_delta);
    int64_t offset = wrapping_add(batch.base_offset(), head.offset_delta);
    if constexpr (std::is_void_v<decltype(see(offset, timestamp, head.has_key))>) {
      see(offset, timestamp, head.has_key);
    } else if (!see(offset, timestamp, head.has_key)) {
      return walked;
    }
  }
  walked.sound = walked.sound && pieces.here() == 0 && !pieces.fill();
  return walked;
}

}  // namespace ottla::broker
