#include "zk-ensemble/tree/quota.h"

#include <charconv>
#include <utility>
#include <vector>

#include "fmt/core.h"

namespace ottla::zk {

namespace {

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

std::optional<QuotaTrack> QuotaTrack::parse(std::string_view text) {
  QuotaTrack track;
  // Separators at the end mean nothing; one at the start is a pair without a value.
  while (!text.empty() && (text.back() == ',' || text.back() == ';')) text.remove_suffix(1);
  while (!text.empty()) {
    size_t end = std::min(text.find_first_of(",;"), text.size());
    std::string_view pair = text.substr(0, end);
    text.remove_prefix(end);
    while (!text.empty() && (text.front() == ',' || text.front() == ';')) text.remove_prefix(1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::string_view key = pair.substr(0, equals), value = pair.substr(equals + 1);
    // "bytes=5=" is how old parsers are kept happy; "bytes=" and "bytes==" have no value at all,
    // "bytes==5" has an empty one.
    if (value.find_first_not_of('=') == std::string_view::npos) return std::nullopt;
    value = value.substr(0, value.find('='));
    int64_t number = -1;
    if (!value.empty()) {
      if (value.front() == '+' && value.size() > 1 && value[1] != '-') value.remove_prefix(1);
      auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || stop != value.data() + value.size()) return std::nullopt;
    }
    track.values_.insert_or_assign(std::string(key), number);
  }
  return track;
}

std::string QuotaTrack::text() const {
  std::string text = fmt::format("count={},bytes={}", count(), bytes());
  bool first = true;
  for (const auto& [key, value] : values_) {
    if (key == "count" || key == "bytes") continue;
    if (first) text += "=";
    first = false;
    text += fmt::format(";{}={}", key, value);
  }
  return text;
}

std::string quota_limit_path(std::string_view path) {
  return fmt::format("{}{}/{}", kQuotaRoot, path, kLimitName);
}
std::string quota_stats_path(std::string_view path) {
  return fmt::format("{}{}/{}", kQuotaRoot, path, kStatsName);
}

void QuotaTrie::add(std::string_view path) {
  Part* part = &root_;
  for (std::string_view name : parts_of(path)) {
    auto it = part->children.find(name);
    if (it == part->children.end())
      it = part->children.emplace(std::string(name), std::make_unique<Part>()).first;
    part = it->second.get();
  }
  if (part != &root_) part->limited = true;
}

void QuotaTrie::remove(std::string_view path) {
  Part* parent = nullptr;
  Part* part = &root_;
  std::string_view last;
  for (std::string_view name : parts_of(path)) {
    auto it = part->children.find(name);
    if (it == part->children.end()) return;
    parent = part;
    part = it->second.get();
    last = name;
  }
  if (parent == nullptr) return;
  if (part->children.empty())
    parent->children.erase(parent->children.find(last));
  else
    part->limited = false;
}

// Piece by piece: a destructor that descends needs stack for the deepest path.
void QuotaTrie::clear() {
  std::vector<decltype(Part::children)> left;
  left.push_back(std::exchange(root_.children, {}));
  while (!left.empty()) {
    auto children = std::move(left.back());
    left.pop_back();
    for (auto& [name, part] : children) left.push_back(std::move(part->children));
  }
}

std::string QuotaTrie::covering(std::string_view path) const {
  const Part* part = &root_;
  std::string walked, found;
  for (std::string_view name : parts_of(path)) {
    auto it = part->children.find(name);
    if (it == part->children.end()) break;
    part = it->second.get();
    walked += '/';
    walked += name;
    if (part->limited) found = walked;
  }
  return found;
}

}  // namespace ottla::zk
