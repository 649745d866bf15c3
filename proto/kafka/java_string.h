// What Java's String knows of a text: its UTF-16 units, and the hash over them by which every Kafka
// finds a group's partition. Texts are UTF-8 here; bytes that are not count as U+FFFD each.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace ottla::kmsg {

template <class Visit>
void for_each_utf16(std::string_view text, Visit&& visit) {
  size_t i = 0;
  while (i < text.size()) {
    auto byte = static_cast<uint8_t>(text[i]);
    size_t extra = byte < 0x80                   ? 0
                   : byte >= 0xc2 && byte < 0xe0 ? 1
                   : byte >= 0xe0 && byte < 0xf0 ? 2
                   : byte >= 0xf0 && byte < 0xf5 ? 3
                                                 : 4;
    uint32_t point = extra == 0 ? byte : byte & (0x3fu >> extra);
    bool valid = extra < 4 && i + extra < text.size();
    for (size_t k = 1; valid && k <= extra; ++k) {
      auto next = static_cast<uint8_t>(text[i + k]);
      valid = (next & 0xc0) == 0x80;
      point = point << 6 | (next & 0x3fu);
    }
    if (!valid) {
      visit(uint16_t{0xfffd});
      ++i;
      continue;
    }
    if (point >= 0x10000) {
      visit(static_cast<uint16_t>(0xd800 + ((point - 0x10000) >> 10)));
      visit(static_cast<uint16_t>(0xdc00 + ((point - 0x10000) & 0x3ff)));
    } else {
      visit(static_cast<uint16_t>(point));
    }
    i += extra + 1;
  }
}

inline size_t utf16_length(std::string_view text) {
  size_t length = 0;
  for_each_utf16(text, [&](uint16_t) { ++length; });
  return length;
}

inline int32_t java_string_hash(std::string_view text) {
  uint32_t hash = 0;
  for_each_utf16(text, [&](uint16_t unit) { hash = 31 * hash + unit; });
  return static_cast<int32_t>(hash);
}

// Kafka's Utils.abs: the absolute value, 0 for the one int that has none.
inline int32_t java_abs(int32_t value) {
  return value == std::numeric_limits<int32_t>::min() ? 0 : std::abs(value);
}

}  // namespace ottla::kmsg
