#include "common/config/key.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

namespace ottla::config {
namespace {

std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n\f");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n\f") - first + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
  return true;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  if (trim(text).empty()) return out;
  for (;;) {
    size_t comma = text.find(',');
    out.emplace_back(trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

bool is_one_of(const char* allowed, std::string_view value) {
  for (const std::string& candidate : split_list(allowed))
    if (candidate == value) return true;
  return false;
}

struct Bounds {
  int64_t min, max;
};
Bounds bounds_of(const KeyInfo& key) {
  Bounds type{INT64_MIN, INT64_MAX};
  if (key.type == Type::int16) type = {INT16_MIN, INT16_MAX};
  if (key.type == Type::int32) type = {INT32_MIN, INT32_MAX};
  return {std::max(type.min, key.min), std::min(type.max, key.max)};
}

std::string range_text(const KeyInfo& key) {
  Bounds bounds = bounds_of(key);
  bool has_min = key.min != INT64_MIN, has_max = key.max != INT64_MAX;
  if (has_min && has_max) return fmt::format(" from {} to {}", bounds.min, bounds.max);
  if (has_min) return fmt::format(" of at least {}", bounds.min);
  if (has_max) return fmt::format(" of at most {}", bounds.max);
  return {};
}

std::unexpected<Error> not_allowed(const KeyInfo& key) {
  return fail(Errc::invalid, "must be " + allowed_text(key));
}

Result<Value> parse_integer(const KeyInfo& key, std::string_view text) {
  int64_t value = 0;
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  Bounds bounds = bounds_of(key);
  if (error != std::errc() || end != text.data() + text.size() || value < bounds.min ||
      value > bounds.max)
    return not_allowed(key);
  return Value(value);
}

Result<Value> parse_float(const KeyInfo& key, std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      (key.min != INT64_MIN && value < static_cast<double>(key.min)) ||
      (key.max != INT64_MAX && value > static_cast<double>(key.max)))
    return not_allowed(key);
  return Value(value);
}

}  // namespace

std::string_view type_name(Type type) {
  switch (type) {
    case Type::boolean: return "BOOLEAN";
    case Type::int16: return "SHORT";
    case Type::int32: return "INT";
    case Type::int64: return "LONG";
    case Type::float64: return "DOUBLE";
    case Type::string: return "STRING";
    case Type::list: return "LIST";
    case Type::password: return "PASSWORD";
    case Type::class_name: return "CLASS";
  }
  return "?";
}

std::string allowed_text(const KeyInfo& key) {
  if (key.valid_text != nullptr) return key.valid_text;
  if (key.one_of != nullptr)
    return fmt::format("{}one of {}", key.type == Type::list ? "a comma-separated list, each " : "",
                       key.one_of);
  switch (key.type) {
    case Type::boolean: return "true or false";
    case Type::int16:
    case Type::int32:
    case Type::int64: {
      std::string range = range_text(key);
      Bounds bounds = bounds_of(key);
      return range.empty() && key.type != Type::int64
                 ? fmt::format("an integer from {} to {}", bounds.min, bounds.max)
                 : "an integer" + range;
    }
    case Type::float64: return "a number" + range_text(key);
    case Type::list: return "a comma-separated list";
    default: return "a string";
  }
}

Result<Value> parse_value(const KeyInfo& key, std::string_view raw) {
  std::string_view text = trim(raw);
  if (key.valid != nullptr && !key.valid(text)) return not_allowed(key);
  switch (key.type) {
    case Type::boolean:
      if (equal_ignoring_case(text, "true")) return Value(true);
      if (equal_ignoring_case(text, "false")) return Value(false);
      return not_allowed(key);
    case Type::int16:
    case Type::int32:
    case Type::int64: return parse_integer(key, text);
    case Type::float64: return parse_float(key, text);
    case Type::list: {
      std::vector<std::string> elements = split_list(text);
      if (key.one_of != nullptr)
        for (const std::string& element : elements)
          if (!is_one_of(key.one_of, element)) return not_allowed(key);
      return Value(std::move(elements));
    }
    case Type::password: return Value(std::string(raw));
    case Type::string:
    case Type::class_name:
      if (key.one_of != nullptr && !is_one_of(key.one_of, text)) return not_allowed(key);
      return Value(std::string(text));
  }
  return not_allowed(key);
}

}  // namespace ottla::config
