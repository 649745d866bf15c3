#include "common/wire/utf8.h"

namespace ottla::wire {

size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  size_t length = lead < 0x80   ? 1
                  : lead < 0xc2 ? 0
                  : lead < 0xe0 ? 2
                  : lead < 0xf0 ? 3
                  : lead < 0xf5 ? 4
                                : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (length == 3 && lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (length == 3 && lead == 0xed && byte(1) > 0x9f) return 0;  // surrogates
  if (length == 4 && lead == 0xf0 && byte(1) < 0x90) return 0;
  if (length == 4 && lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = utf8_length(text);
    out += length == 0 ? "\xef\xbf\xbd" : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace ottla::wire
