#include "common/base/crc32c.h"

#include <zlib.h>

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ottla {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bit-reflected

consteval std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t i = 0; i < 256; ++i)
      tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
  return tables;
}
constexpr auto kTables = make_tables();

uint32_t update_table(uint32_t crc, const uint8_t* at, size_t size) {
  while (size >= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
    at += 8;
    size -= 8;
  }
  for (; size > 0; --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *at++) & 0xff];
  return crc;
}

#if defined(__x86_64__)
// Advances a CRC over kLane zero bytes: linear, so four table look-ups do it.
constexpr size_t kLane = 1024;
consteval std::array<std::array<uint32_t, 256>, 4> make_shift() {
  std::array<std::array<uint32_t, 256>, 4> shift{};
  for (size_t byte = 0; byte < 4; ++byte) {
    std::array<uint32_t, 8> bits{};
    for (size_t bit = 0; bit < 8; ++bit) {
      uint32_t crc = uint32_t{1} << (8 * byte + bit);
      for (size_t i = 0; i < kLane; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
      bits[bit] = crc;
    }
    for (size_t value = 0; value < 256; ++value)
      for (size_t bit = 0; bit < 8; ++bit)
        if (value & (size_t{1} << bit)) shift[byte][value] ^= bits[bit];
  }
  return shift;
}
constexpr auto kShift = make_shift();
uint32_t shift_lane(uint32_t crc) {
  return kShift[0][crc & 0xff] ^ kShift[1][(crc >> 8) & 0xff] ^ kShift[2][(crc >> 16) & 0xff] ^
         kShift[3][crc >> 24];
}

// Three lanes at once hide the three-cycle latency of the crc32 instruction.
__attribute__((target("sse4.2"))) uint32_t update_hw(uint32_t crc, const uint8_t* at, size_t size) {
  while (size >= 3 * kLane) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      uint64_t x, y, z;
      std::memcpy(&x, at + i, 8);
      std::memcpy(&y, at + kLane + i, 8);
      std::memcpy(&z, at + 2 * kLane + i, 8);
      a = _mm_crc32_u64(a, x);
      b = _mm_crc32_u64(b, y);
      c = _mm_crc32_u64(c, z);
    }
    crc = shift_lane(static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
    crc = shift_lane(crc) ^ static_cast<uint32_t>(c);
    at += 3 * kLane;
    size -= 3 * kLane;
  }
  uint64_t wide = crc;
  for (; size >= 8; size -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; --size) crc = _mm_crc32_u8(crc, *at++);
  return crc;
}
const bool kHardware = __builtin_cpu_supports("sse4.2");
#endif

}  // namespace

uint32_t crc32c(Bytes bytes, uint32_t seed) {
#if defined(__x86_64__)
  if (kHardware) return ~update_hw(~seed, bytes.data(), bytes.size());
#endif
  return crc32c_by_tables(bytes, seed);
}
uint32_t crc32c_by_tables(Bytes bytes, uint32_t seed) {
  return ~update_table(~seed, bytes.data(), bytes.size());
}

uint32_t crc32(Bytes bytes, uint32_t seed) {
  return static_cast<uint32_t>(::crc32_z(seed, bytes.data(), bytes.size()));
}

uint32_t adler32(Bytes bytes, uint32_t seed) {
  return static_cast<uint32_t>(::adler32_z(seed, bytes.data(), bytes.size()));
}

}  // namespace ottla
