// Big-endian (network order) and little-endian access to unaligned bytes.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace ottla {

template <std::integral T>
T load_be(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return std::byteswap(value);
}
template <std::integral T>
void store_be(uint8_t* to, T value) {
  value = std::byteswap(value);
  std::memcpy(to, &value, sizeof(T));
}
template <std::integral T>
T load_le(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <std::integral T>
void store_le(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}
static_assert(std::endian::native == std::endian::little, "only little-endian machines are built for");

}  // namespace ottla
