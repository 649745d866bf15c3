#include "broker/log/epoch_cache.h"

#include <fmt/core.h>

#include <algorithm>

#include "broker/log/checkpoint.h"

namespace ottla::broker {

bool EpochCache::assign(int32_t epoch, int64_t start_offset) {
  if (epoch < 0 || start_offset < 0) return false;
  if (!entries_.empty()) {
    const EpochEntry& last = entries_.back();
    if (last.epoch == epoch && start_offset >= last.start_offset) return false;
  }
  while (!entries_.empty() &&
         (entries_.back().epoch >= epoch || entries_.back().start_offset >= start_offset))
    entries_.pop_back();
  entries_.push_back({epoch, start_offset});
  return true;
}

std::optional<EpochEntry> EpochCache::latest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back();
}

std::optional<EpochEntry> EpochCache::earliest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front();
}

std::optional<int32_t> EpochCache::epoch_for_offset(int64_t offset) const {
  auto above =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](int64_t at, const EpochEntry& entry) { return at < entry.start_offset; });
  if (above == entries_.begin()) return std::nullopt;
  return std::prev(above)->epoch;
}

EpochEnd EpochCache::end_offset_for(int32_t epoch, int64_t leo) const {
  // Only -1 says "no epoch"; any other number below the first is answered as such.
  if (epoch == -1 || entries_.empty()) return {};
  if (epoch == entries_.back().epoch) return {epoch, leo};
  auto higher =
      std::upper_bound(entries_.begin(), entries_.end(), epoch,
                       [](int32_t want, const EpochEntry& entry) { return want < entry.epoch; });
  if (higher == entries_.end()) return {};
  if (higher == entries_.begin()) return {epoch, higher->start_offset};
  return {std::prev(higher)->epoch, higher->start_offset};
}

bool EpochCache::truncate_from_end(int64_t end_offset) {
  size_t before = entries_.size();
  while (!entries_.empty() && entries_.back().start_offset >= end_offset) entries_.pop_back();
  return entries_.size() != before;
}

bool EpochCache::truncate_from_start(int64_t start_offset) {
  size_t below = 0;
  while (below < entries_.size() && entries_[below].start_offset <= start_offset) ++below;
  if (below == 0) return false;
  EpochEntry& kept = entries_[below - 1];
  if (below == 1 && kept.start_offset == start_offset) return false;
  kept.start_offset = start_offset;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(below) - 1);
  return true;
}

std::string EpochCache::encode() const {
  std::string text = fmt::format("0\n{}\n", entries_.size());
  for (const EpochEntry& entry : entries_)
    text += fmt::format("{} {}\n", entry.epoch, entry.start_offset);
  return text;
}

Result<EpochCache> EpochCache::decode(std::string_view text) {
  LineReader lines(text);
  std::string_view line;
  int64_t version = -1, count = -1;
  if (!lines.next(line) || !parse_i64(line, version) || version != 0 || !lines.next(line) ||
      !parse_i64(line, count))
    return fail(Errc::corrupt,
                "the leader epoch checkpoint does not begin with a version and a count");
  EpochCache cache;
  int64_t read = 0;
  for (; lines.next(line); ++read) {
    size_t space = line.find(' ');
    int64_t epoch = 0, offset = 0;
    if (space == std::string_view::npos || !parse_i64(line.substr(0, space), epoch) ||
        !parse_i64(line.substr(space + 1), offset) || epoch > INT32_MAX)
      return fail(Errc::corrupt, "the leader epoch checkpoint has a malformed line");
    cache.assign(static_cast<int32_t>(epoch), offset);
  }
  // A tear may fall inside the last number.
  if (read != count || !text.ends_with('\n'))
    return fail(Errc::corrupt, "the leader epoch checkpoint is cut short");
  return cache;
}

}  // namespace ottla::broker
