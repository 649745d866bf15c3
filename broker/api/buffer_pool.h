// BufferPool: request frames are taken from here and come back, so that a stream of large produce
// requests touches the same warm memory instead of mapping and unmapping fresh pages.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "common/base/bytes.h"

namespace ottla::broker {

class BufferPool {
 public:
  // Bytes kept at rest; what exceeds them is freed.
  explicit BufferPool(size_t keep_bytes = 32u << 20) : keep_bytes_(keep_bytes) {}

  Buffer take(size_t size);  // of exactly that size, content indeterminate
  void give(Buffer buffer);

  size_t kept_bytes() const { return kept_bytes_; }

 private:
  static constexpr size_t kSmallest = 10, kLargest = 24;  // powers of two: 1 KB to 16 MB
  static size_t class_for(size_t size);                   // the class whose buffers hold `size`

  size_t keep_bytes_;
  size_t kept_bytes_ = 0;
  std::array<std::vector<Buffer>, kLargest - kSmallest + 1> free_;
};

}  // namespace ottla::broker
