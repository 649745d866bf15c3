#include "zk-ensemble/tree/path.h"

#include <cstdio>

namespace ottla::zk {

namespace {

// One UTF-16 code unit's worth of UTF-8, or 0 when it is not allowed in a name. Sequences of four
// bytes are surrogate pairs to the servers that defined the rule, and bytes that are not UTF-8
// become U+FFFD: both are forbidden, so the answer is the same.
size_t allowed_unit(std::string_view text, size_t at) {
  auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  uint8_t first = byte(at);
  if (first < 0x80) return first > 0x1f && first != 0x7f ? 1 : 0;
  if (first >= 0xc2 && first < 0xe0) {
    if (!follows(at + 1)) return 0;
    uint32_t unit = (first & 0x1fu) << 6 | (byte(at + 1) & 0x3fu);
    return unit > 0x9f ? 2 : 0;
  }
  if (first >= 0xe0 && first < 0xf0) {
    if (!follows(at + 1) || !follows(at + 2)) return 0;
    uint32_t unit = (first & 0x0fu) << 12 | (byte(at + 1) & 0x3fu) << 6 | (byte(at + 2) & 0x3fu);
    if (unit < 0x800 || (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0) return 0;
    return 3;
  }
  return 0;
}

}  // namespace

bool valid_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  if (path.size() == 1) return true;
  if (path.back() == '/') return false;
  size_t segment = 1;
  for (size_t i = 1; i <= path.size();) {
    if (i == path.size() || path[i] == '/') {
      std::string_view name = path.substr(segment, i - segment);
      if (name.empty() || name == "." || name == "..") return false;
      segment = ++i;
      continue;
    }
    size_t width = allowed_unit(path, i);
    if (width == 0) return false;
    i += width;
  }
  return true;
}

bool special_path(std::string_view path) {
  return path == "/" || path == "/zookeeper" || path == "/zookeeper/quota" ||
         path == "/zookeeper/config";
}

std::string sequential_path(std::string_view path, int32_t counter) {
  char digits[16];
  int length = std::snprintf(digits, sizeof(digits), "%010d", counter);
  std::string name(path);
  name.append(digits, static_cast<size_t>(length));
  return name;
}

}  // namespace ottla::zk
