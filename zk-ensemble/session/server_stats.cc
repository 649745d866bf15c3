#include "zk-ensemble/session/server_stats.h"

namespace ottla::zk {

namespace {

constexpr size_t kStatBytes = 68;  // what Apache adds to a read for its Stat

std::string_view namespace_of(std::string_view path) {
  if (!path.starts_with('/')) return {};
  path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

void add(std::map<std::string, LatencyStats, std::less<>>& into, std::string_view path, size_t bytes) {
  std::string_view name = namespace_of(path);
  if (name.empty() || name.size() > ServerStats::kMaxNamespaceBytes) return;
  auto found = into.find(name);
  if (found == into.end()) {
    if (into.size() >= ServerStats::kMaxNamespaces) return;
    found = into.emplace(name, LatencyStats()).first;
  }
  found->second.add(static_cast<int64_t>(bytes));
}

}  // namespace

void LatencyStats::add(int64_t ms) {
  ++count;
  total_ms += ms;
  max_ms = std::max(max_ms, ms);
  min_ms = min_ms < 0 ? ms : std::min(min_ms, ms);
}

void ServerStats::add_read(std::string_view path, size_t bytes) {
  add(read_bytes, path, path.size() + bytes + kStatBytes);
}

void ServerStats::add_write(std::string_view path, size_t bytes) {
  add(write_bytes, path, path.size() + bytes);
}

}  // namespace ottla::zk
