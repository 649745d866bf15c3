#include "broker/log/checkpoint.h"

#include <fmt/core.h>

#include <charconv>

namespace ottla::broker {

bool parse_i64(std::string_view text, int64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string encode_checkpoint(const OffsetCheckpoint& offsets) {
  std::string text = fmt::format("0\n{}\n", offsets.size());
  for (const auto& [tp, offset] : offsets)
    text += fmt::format("{} {} {}\n", tp.topic, tp.partition, offset);
  return text;
}

Result<OffsetCheckpoint> decode_checkpoint(std::string_view text) {
  LineReader lines(text);
  std::string_view line;
  int64_t version = -1, count = -1;
  if (text.empty()) return OffsetCheckpoint();  // made at the start, never written
  if (!lines.next(line) || !parse_i64(line, version) || version != 0)
    return fail(Errc::corrupt, "unknown checkpoint version");
  if (!lines.next(line) || !parse_i64(line, count) || count < 0)
    return fail(Errc::corrupt, "no entry count");
  OffsetCheckpoint offsets;
  while (lines.next(line)) {
    size_t second = line.rfind(' ');
    size_t first = second == std::string_view::npos ? second : line.rfind(' ', second - 1);
    int64_t partition = 0, offset = 0;
    if (first == std::string_view::npos || second == 0 ||
        !parse_i64(line.substr(first + 1, second - first - 1), partition) ||
        !parse_i64(line.substr(second + 1), offset))
      return fail(Errc::corrupt, "malformed line: " + std::string(line.substr(0, 100)));
    offsets[{std::string(line.substr(0, first)), static_cast<int32_t>(partition)}] = offset;
  }
  if (static_cast<int64_t>(offsets.size()) != count)
    return fail(Errc::corrupt,
                fmt::format("{} entries where {} were promised", offsets.size(), count));
  return offsets;
}

}  // namespace ottla::broker
