#include "common/wire/describer.h"

#include <fmt/core.h>

namespace ottla::wire {

void Describer::separate() {
  if (!first_) text_ += ' ';
  first_ = false;
}
void Describer::open(std::string_view name) {
  text_ += name;
  text_ += '{';
  first_ = true;
}
void Describer::close() {
  if (full() && !text_.ends_with("...")) text_ += "...";
  text_ += '}';
  first_ = false;
}
void Describer::open_list() {
  text_ += '[';
  first_ = true;
}
void Describer::close_list() {
  text_ += ']';
  first_ = false;
}
void Describer::key(std::string_view name) {
  separate();
  text_ += name;
  text_ += '=';
}
void Describer::integer(int64_t number) { text_ += fmt::format("{}", number); }
void Describer::real(double number) { text_ += fmt::format("{}", number); }
void Describer::word(std::string_view word) { text_ += word; }
void Describer::bytes(size_t count) { text_ += fmt::format("<{} bytes>", count); }

void Describer::text(std::string_view string) {
  constexpr size_t kShown = 256;
  text_ += '"';
  for (char c : string.substr(0, kShown)) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      text_ += fmt::format("\\x{:02x}", byte);
    } else {
      text_ += c;
    }
  }
  text_ += '"';
  if (string.size() > kShown) text_ += fmt::format("..({})", string.size());
}

}  // namespace ottla::wire
