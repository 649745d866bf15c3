// Instant: monotonic nanoseconds since an arbitrary origin, from rt::Loop::now() alone. Wall-clock
// time is a plain int64_t wall_ms (Unix milliseconds); the two never mix.
#pragma once

#include <compare>
#include <cstdint>

namespace ottla {

struct Instant {
  int64_t ns = 0;
  auto operator<=>(const Instant&) const = default;
  int64_t ms() const { return ns / 1'000'000; }
};
// Both stop at the ends of what an int64_t holds: a time limit that means "never" (2^63 - 1 ms)
// must not become one that is over.
constexpr Instant operator+(Instant at, int64_t delta_ns) {
  int64_t sum = 0;
  if (__builtin_add_overflow(at.ns, delta_ns, &sum)) sum = delta_ns < 0 ? INT64_MIN : INT64_MAX;
  return {sum};
}
constexpr int64_t ms_to_ns(int64_t ms) {
  int64_t ns = 0;
  if (__builtin_mul_overflow(ms, int64_t{1'000'000}, &ns)) ns = ms < 0 ? INT64_MIN : INT64_MAX;
  return ns;
}
constexpr int64_t operator-(Instant later, Instant earlier) { return later.ns - earlier.ns; }
constexpr Instant after_ms(Instant at, int64_t ms) { return at + ms_to_ns(ms); }

}  // namespace ottla
