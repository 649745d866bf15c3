#include "broker/config/valid.h"

#include <charconv>
#include <cstdlib>
#include <string>

namespace ottla::broker {
namespace {

// Every version of Kafka's protocol and batch format up to 3.9 and the two of 4.0 that its parser
// knows; a number without -IVn stands for the last of its line.
constexpr std::string_view kVersions[] = {
    "0.8.0",      "0.8.1",      "0.8.2",      "0.9.0",      "0.10.0-IV0", "0.10.0-IV1",
    "0.10.1-IV0", "0.10.1-IV1", "0.10.1-IV2", "0.10.2-IV0", "0.11.0-IV0", "0.11.0-IV1",
    "0.11.0-IV2", "1.0-IV0",    "1.1-IV0",    "2.0-IV0",    "2.0-IV1",    "2.1-IV0",
    "2.1-IV1",    "2.1-IV2",    "2.2-IV0",    "2.2-IV1",    "2.3-IV0",    "2.3-IV1",
    "2.4-IV0",    "2.4-IV1",    "2.5-IV0",    "2.6-IV0",    "2.7-IV0",    "2.7-IV1",
    "2.7-IV2",    "2.8-IV0",    "2.8-IV1",    "3.0-IV0",    "3.0-IV1",    "3.1-IV0",
    "3.2-IV0",    "3.3-IV0",    "3.3-IV1",    "3.3-IV2",    "3.3-IV3",    "3.4-IV0",
    "3.5-IV0",    "3.5-IV1",    "3.5-IV2",    "3.6-IV0",    "3.6-IV1",    "3.6-IV2",
    "3.7-IV0",    "3.7-IV1",    "3.7-IV2",    "3.7-IV3",    "3.7-IV4",    "3.8-IV0",
    "3.9-IV0",    "4.0-IV0",    "4.0-IV1"};

bool all_digits(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text)
    if (c < '0' || c > '9') return false;
  return true;
}

}  // namespace

bool is_api_version(std::string_view text) {
  // Only the first two numbers count from 1.0 on, the first three before: "2.8.1" is "2.8".
  std::string_view number = text.substr(0, text.find('-'));
  size_t parts = number.starts_with("0.") ? 3 : 2, end = 0;
  for (size_t i = 0; i < parts && end != std::string_view::npos; ++i)
    end = number.find('.', i == 0 ? 0 : end + 1);
  std::string line(number.substr(0, end));
  for (std::string_view known : kVersions) {
    if (text == known) return true;
    if (text.find('-') == std::string_view::npos && known.substr(0, known.find('-')) == line)
      return true;
  }
  return false;
}

bool is_throttled_replicas(std::string_view text) {
  if (text.empty() || text == "*") return true;
  while (true) {
    size_t comma = text.find(',');
    std::string_view pair = text.substr(0, comma);
    while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
    while (!pair.empty() && pair.back() == ' ') pair.remove_suffix(1);
    size_t colon = pair.find(':');
    if (colon == std::string_view::npos) return false;
    if (!all_digits(pair.substr(0, colon)) || !all_digits(pair.substr(colon + 1))) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

bool is_gzip_level(std::string_view text) {
  int level = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  return error == std::errc() && end == text.data() + text.size() &&
         (level == -1 || (level >= 1 && level <= 9));
}

bool is_jitter(std::string_view text) {
  double value = std::strtod(std::string(text).c_str(), nullptr);
  return value >= 0 && value <= 0.5;
}

bool is_not_empty(std::string_view text) { return !text.empty(); }

}  // namespace ottla::broker
