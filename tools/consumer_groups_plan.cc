// kafka-consumer-groups.sh --reset-offsets: times, durations and plans as they are written.
#include <fmt/core.h>
#include <time.h>

#include <charconv>
#include <regex>
#include <sstream>

#include "tools/consumer_groups.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

// The whole text, digits and a leading minus.
template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const char* end = text.data() + text.size();
  auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// As many digits as there are, taken off the text; a number too large is none.
std::optional<int64_t> take_digits(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && is_digit(text[size])) ++size;
  auto value = number_of<int64_t>(text.substr(0, size));
  text.remove_prefix(size);
  return value;
}

// "Z", "+05", "+05:30" in milliseconds to the east; "+0530", too, of which Apache's tool drops the
// minutes. Nothing is UTC, as with Apache's tool.
std::optional<int64_t> parse_zone(std::string_view text) {
  if (text.empty() || text == "Z") return 0;
  if (text[0] != '+' && text[0] != '-') return std::nullopt;
  std::string digits(text.substr(1));
  if (digits.size() == 5 && digits[2] == ':') digits.erase(2, 1);
  if (digits.size() == 2) digits += "00";
  auto number = number_of<uint32_t>(digits);
  if (digits.size() != 4 || !number || *number / 100 > 23 || *number % 100 > 59)
    return std::nullopt;
  int64_t shift_ms = (*number / 100 * 60 + *number % 100) * 60'000LL;
  return text[0] == '+' ? shift_ms : -shift_ms;
}

}  // namespace

std::optional<int64_t> parse_datetime(const std::string& text) {
  tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) return std::nullopt;
  tm normal = parts;
  int64_t seconds = ::timegm(&normal);
  // A day or a second that there is not, as of 30 February, would become another.
  if (normal.tm_mday != parts.tm_mday || normal.tm_sec != parts.tm_sec) return std::nullopt;
  std::string_view rest = end;
  int64_t ms = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    auto given = take_digits(rest);
    if (!given || *given > 999) return std::nullopt;
    ms = *given;
  }
  auto zone_ms = parse_zone(rest);
  if (!zone_ms) return std::nullopt;
  return seconds * 1000 + ms - *zone_ms;
}

std::optional<int64_t> parse_duration(const std::string& text) {
  static const std::regex form(
      "([-+]?)P(?:([-+]?\\d+)D)?(T(?:([-+]?\\d+)H)?(?:([-+]?\\d+)M)?"
      "(?:([-+]?\\d+)(?:[.,](\\d{0,9}))?S)?)?",
      std::regex::icase);
  std::smatch parts;
  if (!std::regex_match(text, parts, form) || parts.length(3) == 1) return std::nullopt;
  constexpr std::pair<size_t, int64_t> kUnits[] = {
      {2, 86'400'000}, {4, 3'600'000}, {5, 60'000}, {6, 1000}};
  int64_t ms = 0;
  bool is_empty = true;
  for (auto [part, unit_ms] : kUnits) {
    if (!parts[part].matched) continue;
    is_empty = false;
    std::string count = parts[part].str();
    if (count.starts_with('+')) count.erase(0, 1);
    auto number = number_of<int64_t>(count);
    int64_t in_ms = 0;
    if (!number || __builtin_mul_overflow(*number, unit_ms, &in_ms) ||
        __builtin_add_overflow(ms, in_ms, &ms))
      return std::nullopt;
  }
  if (is_empty) return std::nullopt;
  std::string fraction = (parts[7].str() + "000").substr(0, 3);
  int64_t fraction_ms = *number_of<int64_t>(fraction);
  ms += parts[6].str().starts_with('-') ? -fraction_ms : fraction_ms;
  return parts[1] == "-" ? -ms : ms;
}

Outcome<Offsets> parse_plan(const std::string& text, const std::string& group_id, bool is_only) {
  Offsets offsets;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    std::vector<std::string> fields = split(line, ',');
    for (std::string& field : fields) std::erase(field, '"');
    // The group is left out where there is but one.
    if (is_only && fields.size() == 3) fields.insert(fields.begin(), group_id);
    auto partition = fields.size() == 4 ? number_of<int32_t>(fields[2]) : std::nullopt;
    auto offset = fields.size() == 4 ? number_of<int64_t>(fields[3]) : std::nullopt;
    if (!partition || !offset || *partition < 0 || *offset < 0)
      return std::unexpected(Failure{"java.lang.RuntimeException",
                                     fmt::format("Not a line of a reset plan: '{}'", line)});
    if (fields[0] == group_id) offsets[{fields[1], *partition}] = *offset;
  }
  return offsets;
}

}  // namespace ottla::tools::consumer_groups
