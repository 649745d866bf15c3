#include "zk-ensemble/session/connection_throttle.h"

#include <algorithm>
#include <cmath>

namespace ottla::zk {

namespace {

// Weights of zero or less are the defaults; none is below that of a local session.
ConnectionThrottleOptions sound(ConnectionThrottleOptions options) {
  if (options.local_weight <= 0) options.local_weight = 1;
  if (options.global_weight <= 0) options.global_weight = 3;
  if (options.renew_weight <= 0) options.renew_weight = 2;
  options.global_weight = std::max(options.global_weight, options.local_weight);
  options.renew_weight = std::max(options.renew_weight, options.local_weight);
  options.fill_time_ms = std::max<int64_t>(options.fill_time_ms, 1);
  return options;
}

}  // namespace

ConnectionThrottle::ConnectionThrottle(const ConnectionThrottleOptions& options, uint64_t seed, Instant now)
    : options_(sound(options)),
      max_(options_.weighted ? options_.tokens * options_.global_weight : options_.tokens),
      fill_count_(options_.weighted ? options_.fill_count * options_.global_weight : options_.fill_count),
      tokens_(max_),
      filled_(now),
      froze_(now),
      prng_(seed) {}

bool ConnectionThrottle::admit(bool renews, Instant now) {
  if (max_ == 0) return true;
  int64_t need = !options_.weighted ? 1 : renews ? options_.renew_weight : options_.global_weight;
  int64_t passed_ms = (now - filled_) / 1'000'000;
  if (passed_ms > options_.fill_time_ms) {
    double fill = static_cast<double>(passed_ms) * static_cast<double>(fill_count_) /
                  static_cast<double>(options_.fill_time_ms);
    tokens_ += static_cast<int64_t>(std::min(fill, static_cast<double>(max_ - tokens_)));
    filled_ = now;
  }
  if (options_.freeze_time_ms != -1 && !spared(now)) return false;
  if (tokens_ < need) return false;
  tokens_ -= need;
  return true;
}

// While the bucket is empty the chance to be refused grows, while it is full enough it shrinks; at
// most once in a freeze time.
bool ConnectionThrottle::spared(Instant now) {
  int64_t missing = max_ - tokens_;
  auto threshold = static_cast<int64_t>(std::llround(static_cast<double>(max_) * options_.decrease_ratio));
  if ((now - froze_) / 1'000'000 > options_.freeze_time_ms) {
    if (missing == max_ && drop_ < 1) {
      drop_ = std::min(drop_ + options_.drop_increase, 1.0);
    } else if (missing <= threshold && drop_ > 0) {
      drop_ = std::max(drop_ - options_.drop_decrease, 0.0);
    }
    froze_ = now;
  }
  return !prng_.chance(drop_);
}

}  // namespace ottla::zk
