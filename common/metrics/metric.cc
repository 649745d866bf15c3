#include "common/metrics/metric.h"

#include <algorithm>
#include <cmath>

namespace ottla::metrics {

uint64_t Histogram::upper_bound(size_t bucket) {
  if (bucket < 4) return bucket;
  size_t exponent = (bucket >> kSubBits) - 1;
  uint64_t base = (bucket & 3) + 4;  // the leading bits of the bucket's values
  return ((base + 1) << exponent) - 1;
}

uint64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(upper_bound(i), min_, max_);
  }
  return max_;
}

}  // namespace ottla::metrics
