// How Java writes numbers as text, where C++ writes them in another way.
#pragma once

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <string>

namespace ottla::tools {

// Double.toString and Float.toString: 1.0, 1.0E10, NaN.
template <class Floating>
std::string java_text(Floating value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  Floating size = std::fabs(value);
  bool plain = value == 0 || (size >= Floating(1e-3) && size < Floating(1e7));
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                           plain ? std::chars_format::fixed : std::chars_format::scientific)
                 .ptr;
  std::string text(buffer, end);
  size_t e = plain ? text.size() : text.find('e');
  std::string digits = text.substr(0, e);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return plain ? digits : fmt::format("{}E{}", digits, std::stoi(text.substr(e + 1)));
}

}  // namespace ottla::tools
