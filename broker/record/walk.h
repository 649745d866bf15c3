// walk_plain_records: steps over the records of an uncompressed magic-2 batch, checking that every
// length adds up, without building anything. The produce path pays this per record, so it decodes
// its varints by hand.
#pragma once

#include "broker/record/batch_view.h"

namespace ottla::broker {

class PlainWalk {
 public:
  PlainWalk(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}
  bool ok() const { return ok_; }
  const uint8_t* at() const { return at_; }

  int64_t varint(int max_bytes) {
    if (at_ != end_ && *at_ < 0x80) [[likely]] {
      uint64_t raw = *at_++;
      return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
    }
    uint64_t raw = 0;
    for (int i = 0; i < max_bytes; ++i) {
      if (at_ == end_) break;
      uint8_t byte = *at_++;
      raw |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
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
  // A nullable field; false when it is null.
  bool skip_field() {
    int64_t size = varint(5);
    if (size < 0) return false;
    skip(size);
    return true;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

// Calls see(offset, timestamp, has_key) for each record; offset counts from the batch's base
// offset. False when lengths, header counts or the record count do not add up.
template <class See>
bool walk_plain_records(const BatchView& batch, See&& see) {
  Bytes block = batch.records();
  const uint8_t* end = block.data() + block.size();
  const uint8_t* at = block.data();
  bool append_time = batch.timestamp_type() == TimestampType::log_append_time;
  for (int32_t i = 0; i < batch.record_count(); ++i) {
    PlainWalk outer(at, end);
    int64_t size = outer.varint(5);
    if (!outer.ok() || size < 0 || size > end - outer.at()) return false;
    const uint8_t* body_end = outer.at() + size;
    PlainWalk body(outer.at(), body_end);
    body.skip(1);
    int64_t timestamp_delta = body.varint(10);
    int64_t offset_delta = body.varint(5);
    bool has_key = body.skip_field();
    (void)body.skip_field();
    int64_t headers = body.varint(5);
    if (!body.ok() || headers < 0 || headers > body_end - body.at()) return false;
    for (int64_t h = 0; h < headers && body.ok(); ++h) {
      if (!body.skip_field()) return false;
      (void)body.skip_field();
    }
    if (!body.ok() || body.at() != body_end) return false;
    int64_t timestamp =
        append_time ? batch.max_timestamp() : wrapping_add(batch.base_timestamp(), timestamp_delta);
    see(wrapping_add(batch.base_offset(), offset_delta), timestamp, has_key);
    at = body_end;
  }
  return at == end;
}

}  // namespace ottla::broker
