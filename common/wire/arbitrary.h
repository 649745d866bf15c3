// fill(): random values for generated messages, for round-trip and fuzz tests. Sizes stay small,
// but extremes (0, -1, minimum, maximum, empty, long) come often.
#pragma once

#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/base/prng.h"

namespace ottla::wire {

template <std::integral T>
void fill(Prng& prng, T& value, int16_t) {
  if constexpr (std::same_as<T, bool>) {
    value = prng.chance(0.5);
  } else {
    switch (prng.below(6)) {
      case 0:
        value = 0;
        break;
      case 1:
        value = static_cast<T>(-1);
        break;
      case 2:
        value = std::numeric_limits<T>::min();
        break;
      case 3:
        value = std::numeric_limits<T>::max();
        break;
      case 4:
        value = static_cast<T>(prng.below(100));
        break;
      default:
        value = static_cast<T>(prng.next());
        break;
    }
  }
}
template <class T>
  requires std::is_enum_v<T>
void fill(Prng& prng, T& value, int16_t version) {
  std::underlying_type_t<T> number{};
  fill(prng, number, version);
  value = static_cast<T>(number);
}
inline void fill(Prng& prng, double& value, int16_t) {
  value = static_cast<double>(prng.between(-1'000'000, 1'000'000)) / 64;
}
inline void fill(Prng& prng, std::string& value, int16_t) {
  size_t size = prng.chance(0.02) ? prng.below(1000) : prng.below(12);
  value.clear();
  for (size_t i = 0; i < size; ++i) value += static_cast<char>(prng.between('0', 'z'));
}
template <class T>
  requires requires(T& message, Prng& prng) { message.fill(prng, int16_t{}); }
void fill(Prng& prng, T& value, int16_t version) {
  value.fill(prng, version);
}
template <class T>
void fill(Prng& prng, std::vector<T>& values, int16_t version) {
  values.resize(prng.below(4));
  for (T& each : values) fill(prng, each, version);
}
// `nullable`: null is legal at this version.
template <class T>
void fill_nullable(Prng& prng, std::optional<T>& value, int16_t version, bool nullable) {
  value.reset();
  if (nullable && prng.chance(0.3)) return;
  fill(prng, value.emplace(), version);
}

}  // namespace ottla::wire
