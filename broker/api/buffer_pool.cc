#include "broker/api/buffer_pool.h"

#include <bit>

namespace ottla::broker {

size_t BufferPool::class_for(size_t size) {
  size_t power = static_cast<size_t>(std::bit_width(size == 0 ? 0 : size - 1));
  return power < kSmallest ? 0 : power - kSmallest;
}

Buffer BufferPool::take(size_t size) {
  size_t index = class_for(size);
  if (index >= free_.size()) return Buffer(size);
  std::vector<Buffer>& bin = free_[index];
  Buffer buffer;
  if (!bin.empty()) {
    buffer = std::move(bin.back());
    bin.pop_back();
    kept_bytes_ -= buffer.capacity();
  } else {
    buffer.reserve(size_t{1} << (index + kSmallest));
  }
  buffer.resize_uninitialized(size);
  return buffer;
}

void BufferPool::give(Buffer buffer) {
  size_t capacity = buffer.capacity();
  if (capacity == 0 || kept_bytes_ + capacity > keep_bytes_) return;
  // A buffer belongs to the largest class that it can serve whole.
  auto power = static_cast<size_t>(std::bit_width(capacity)) - 1;
  if (power < kSmallest || power > kLargest) return;
  kept_bytes_ += capacity;
  free_[power - kSmallest].push_back(std::move(buffer));
}

}  // namespace ottla::broker
