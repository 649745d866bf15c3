// Writer: big-endian encoding into one growing Buffer. Payloads that must not be copied (file
// slices of a fetch answer, a borrowed record batch) are left out by mark_external(): the caller
// splits the buffer at the marks and sends its own piece there.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/endian.h"

namespace ottla::wire {

class Writer {
 public:
  struct ExternalMark {
    size_t position;  // in the buffer: the external piece goes before this byte
    uint32_t id;      // the caller's own number for the piece
    uint64_t size;    // bytes of the piece, already counted in lengths written around it
  };

  Writer() = default;
  explicit Writer(size_t capacity) { buffer_.reserve(capacity); }

  size_t size() const { return buffer_.size(); }
  Bytes bytes() const { return buffer_.bytes(); }
  Buffer take() { return std::move(buffer_); }

  void u8(uint8_t value) { buffer_.push_back(value); }
  void i8(int8_t value) { u8(static_cast<uint8_t>(value)); }
  void boolean(bool value) { u8(value ? 1 : 0); }
  void u16(uint16_t value) { fixed(value); }
  void i16(int16_t value) { fixed(value); }
  void u32(uint32_t value) { fixed(value); }
  void i32(int32_t value) { fixed(value); }
  void u64(uint64_t value) { fixed(value); }
  void i64(int64_t value) { fixed(value); }
  void f64(double value) { fixed(std::bit_cast<uint64_t>(value)); }
  void uvarint(uint32_t value) { raw_varint(value); }
  void varint(int32_t value) {
    raw_varint((static_cast<uint32_t>(value) << 1) ^ static_cast<uint32_t>(value >> 31));
  }
  void varlong(int64_t value) {
    raw_varint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void raw(Bytes bytes) { buffer_.append(bytes); }
  void raw(std::string_view text) { buffer_.append(text); }

  void patch_i32(size_t position, int32_t value) { store_be(buffer_.data() + position, value); }
  void patch_u32(size_t position, uint32_t value) { store_be(buffer_.data() + position, value); }

  void mark_external(uint32_t id, uint64_t size) {
    marks_.push_back({buffer_.size(), id, size});
    external_bytes_ += size;
  }
  const std::vector<ExternalMark>& external_marks() const { return marks_; }
  uint64_t external_bytes() const { return external_bytes_; }

 private:
  template <class T>
  void fixed(T value) {
    size_t at = buffer_.size();
    buffer_.resize_uninitialized(at + sizeof(T));
    store_be(buffer_.data() + at, value);
  }
  void raw_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) u8(static_cast<uint8_t>(value | 0x80));
    u8(static_cast<uint8_t>(value));
  }

  Buffer buffer_;
  std::vector<ExternalMark> marks_;
  uint64_t external_bytes_ = 0;
};

}  // namespace ottla::wire
