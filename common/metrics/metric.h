// Metrics: each is declared once, as a Row; its values live in plain structs of the room that
// counts, one for each loop, and are incremented without locks or look-ups. Registry (registry.h)
// joins both. Does not measure: who counts decides when, in which unit.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace ottla::metrics {

enum class Type { counter, gauge, histogram };

// The name that operators of Apache's servers know (a Kafka MBean, or a key of ZooKeeper's mntr),
// and the name that Prometheus gets: as the usual rules of its JMX exporter give it, so that
// dashboards live on.
struct Row {
  const char* source;
  const char* name;
  Type type;
  const char* unit;  // "", "bytes", "ms", ...
  const char* help;
};

struct Counter {
  uint64_t value = 0;
  void add(uint64_t count = 1) { value += count; }
};

// Distribution of non-negative integers in fixed buckets, four for each power of two: a quantile is
// at most a quarter too high, and never above the greatest value seen. Adding is a few
// instructions.
class Histogram {
 public:
  void add(uint64_t value) {
    ++buckets_[bucket_of(value)];
    ++count_;
    sum_ += value;
    if (value > max_) max_ = value;
    if (value < min_) min_ = value;
  }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t max() const { return max_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  // The value that a share `q` (0..1) of all values does not exceed; 0 when there are none.
  uint64_t quantile(double q) const;
  void reset() { *this = Histogram(); }

 private:
  static constexpr unsigned kSubBits = 2;
  static size_t bucket_of(uint64_t value) {
    if (value < 4) return value;
    unsigned exponent = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (static_cast<size_t>(exponent) << kSubBits) + (value >> exponent);
  }
  static uint64_t upper_bound(size_t bucket);

  std::array<uint64_t, 256> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
  uint64_t min_ = UINT64_MAX;
};

}  // namespace ottla::metrics
