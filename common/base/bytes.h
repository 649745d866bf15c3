// Views of bytes and the one owning byte buffer. Buffer never zeroes what it grows by, so that a
// megabyte read from a socket is touched once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/check.h"

namespace ottla {

using Bytes = std::span<const uint8_t>;
using MutBytes = std::span<uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string to_string(Bytes bytes) { return std::string(as_text(bytes)); }

// Lower-case hex, and back; from_hex gives an empty string on an odd length or a foreign character.
std::string to_hex(Bytes bytes);
std::string from_hex(std::string_view hex);

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size) { resize_uninitialized(size); }
  explicit Buffer(Bytes bytes) { append(bytes); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  Bytes bytes() const { return {data_, size_}; }
  MutBytes mutable_bytes() { return {data_, size_}; }
  operator Bytes() const { return bytes(); }  // NOLINT: a buffer is its bytes

  void clear() { size_ = 0; }
  void reserve(size_t capacity);
  // New bytes, when growing, are indeterminate.
  void resize_uninitialized(size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }
  void append(Bytes bytes) {
    if (bytes.empty()) return;
    size_t at = size_;
    resize_uninitialized(at + bytes.size());
    std::memcpy(data_ + at, bytes.data(), bytes.size());
  }
  void append(std::string_view text) { append(as_bytes(text)); }
  void push_back(uint8_t byte) {
    resize_uninitialized(size_ + 1);
    data_[size_ - 1] = byte;
  }
  // Drops the first `count` bytes by moving the rest down.
  void consume(size_t count) {
    OTTLA_CHECK(count <= size_);
    std::memmove(data_, data_ + count, size_ - count);
    size_ -= count;
  }
  Buffer clone() const { return Buffer(bytes()); }

 private:
  void grow(size_t at_least);

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace ottla
