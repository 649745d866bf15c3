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
constexpr Instant operator+(Instant at, int64_t delta_ns) { return {at.ns + delta_ns}; }
constexpr int64_t operator-(Instant later, Instant earlier) { return later.ns - earlier.ns; }
constexpr int64_t ms_to_ns(int64_t ms) { return ms * 1'000'000; }
constexpr Instant after_ms(Instant at, int64_t ms) { return {at.ns + ms_to_ns(ms)}; }

}  // namespace ottla
