// Reader: bounded, sticky-error decoding of big-endian wire data. Read on and check ok() once:
// after the first failure every read yields zero or empty and the position stays. Nothing is
// allocated on the strength of a count alone: claim_count() refuses a count that the bytes left
// cannot hold.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/endian.h"

namespace ottla::wire {

class Reader {
 public:
  // What decoding may allocate for elements: generous for real messages, small against an attack in
  // which a few wire bytes stand for a large struct.
  static constexpr size_t kMemoryPerByte = 32;
  static constexpr size_t kMemoryAlways = 64 * 1024;

  explicit Reader(Bytes bytes)
      : bytes_(bytes), memory_left_(bytes.size() * kMemoryPerByte + kMemoryAlways) {}

  bool ok() const { return ok_; }
  size_t position() const { return at_; }
  size_t remaining() const { return ok_ ? bytes_.size() - at_ : 0; }
  bool at_end() const { return ok_ && at_ == bytes_.size(); }
  void set_failed() { ok_ = false; }

  uint8_t u8() { return fixed<uint8_t>(); }
  int8_t i8() { return fixed<int8_t>(); }
  bool boolean() { return u8() != 0; }
  uint16_t u16() { return fixed<uint16_t>(); }
  int16_t i16() { return fixed<int16_t>(); }
  uint32_t u32() { return fixed<uint32_t>(); }
  int32_t i32() { return fixed<int32_t>(); }
  uint64_t u64() { return fixed<uint64_t>(); }
  int64_t i64() { return fixed<int64_t>(); }
  double f64() { return std::bit_cast<double>(fixed<uint64_t>()); }

  // Unsigned and zig-zag varints of at most 5 (32-bit) or 10 (64-bit) bytes.
  uint32_t uvarint() {
    uint64_t value = raw_varint(5);
    if (value > UINT32_MAX) ok_ = false;
    return ok_ ? static_cast<uint32_t>(value) : 0;
  }
  int32_t varint() {
    uint32_t raw = uvarint();
    return static_cast<int32_t>((raw >> 1) ^ (~(raw & 1) + 1));
  }
  int64_t varlong() {
    uint64_t raw = raw_varint(10);
    return static_cast<int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
  }

  // The next `count` bytes, borrowed.
  Bytes take(size_t count) {
    if (!ok_ || count > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    Bytes taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  std::string_view text(size_t count) { return as_text(take(count)); }
  void skip(size_t count) { (void)take(count); }

  // True when `count` elements of at least `element_min_bytes` (counted as 1 when 0) may follow.
  bool claim_count(int64_t count, size_t element_min_bytes) {
    if (element_min_bytes == 0) element_min_bytes = 1;
    if (!ok_ || count < 0 || static_cast<uint64_t>(count) > elements_left_ ||
        static_cast<uint64_t>(count) > (bytes_.size() - at_) / element_min_bytes)
      ok_ = false;
    else
      elements_left_ -= static_cast<size_t>(count);
    return ok_;
  }

  // From here on at most so many elements, of all claim_count() together. For who computes
  // something for each: bytes alone would allow millions.
  void limit_elements(size_t count) { elements_left_ = count; }

  // Takes `bytes` from what this message may allocate; fails the reader when it is used up.
  bool claim_memory(size_t bytes) {
    if (!ok_ || bytes > memory_left_) {
      ok_ = false;
      return false;
    }
    memory_left_ -= bytes;
    return true;
  }

 private:
  template <class T>
  T fixed() {
    Bytes taken = take(sizeof(T));
    if (!ok_) return 0;
    if constexpr (sizeof(T) == 1)
      return static_cast<T>(taken[0]);
    else
      return load_be<T>(taken.data());
  }
  uint64_t raw_varint(int max_bytes) {
    uint64_t value = 0;
    for (int i = 0; i < max_bytes; ++i) {
      uint8_t byte = u8();
      if (!ok_) return 0;
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }

  Bytes bytes_;
  size_t at_ = 0;
  size_t memory_left_;
  size_t elements_left_ = SIZE_MAX;
  bool ok_ = true;
};

}  // namespace ottla::wire
