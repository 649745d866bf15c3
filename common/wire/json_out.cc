#include "common/wire/json_out.h"

#include <cmath>

#include <fmt/core.h>

#include "common/base/bytes.h"
#include "common/wire/utf8.h"

namespace ottla::wire {
std::string to_base64(std::string_view raw) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < raw.size(); i += 3) {
    uint32_t word = 0;
    size_t count = raw.size() - i < 3 ? raw.size() - i : 3;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<unsigned char>(raw[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

void JsonOut::separate() {
  if (!first_) text_ += ',';
  first_ = false;
}
void JsonOut::open() {
  text_ += '{';
  first_ = true;
}
void JsonOut::close() {
  text_ += '}';
  first_ = false;
}
void JsonOut::open_list() {
  text_ += '[';
  first_ = true;
}
void JsonOut::close_list() {
  text_ += ']';
  first_ = false;
}
void JsonOut::key(std::string_view name) {
  separate();
  text_ += fmt::format("\"{}\":", name);
}
void JsonOut::null() { text_ += "null"; }
void JsonOut::integer(int64_t number) { text_ += fmt::format("{}", number); }
void JsonOut::boolean(bool value) { text_ += value ? "true" : "false"; }
void JsonOut::real(double number) {
  if (std::isfinite(number))
    text_ += fmt::format("{}", number);
  else
    text_ += std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}
void JsonOut::bytes(const std::string& raw) {
  text(binary_ == BinaryAs::hex ? to_hex(as_bytes(raw)) : to_base64(raw));
}
void JsonOut::text(std::string_view utf8) {
  text_ += '"';
  while (!utf8.empty()) {
    size_t length = utf8_length(utf8);
    auto byte = static_cast<unsigned char>(utf8[0]);
    if (length == 0) {
      text_ += "\xef\xbf\xbd";
      length = 1;
    } else if (byte == '"' || byte == '\\') {
      text_ += '\\';
      text_ += utf8[0];
    } else if (byte < 0x20) {
      text_ += fmt::format("\\u{:04x}", byte);
    } else {
      text_ += utf8.substr(0, length);
    }
    utf8.remove_prefix(length);
  }
  text_ += '"';
}

}  // namespace ottla::wire
