// Quotas: the text of limit and statistics nodes, and the set of paths that have limits.
// Source: ZooKeeper quota guide; ZOOKEEPER-3301 (enforcement).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ottla::zk {

inline constexpr std::string_view kQuotaRoot = "/zookeeper/quota";
inline constexpr std::string_view kLimitName = "zookeeper_limits";
inline constexpr std::string_view kStatsName = "zookeeper_stats";

// "count=4,bytes=5=;byteHardLimit=7;countHardLimit=9"; -1 is unlimited. Text that does not parse is
// nullopt (Apache throws there).
class QuotaTrack {
 public:
  static std::optional<QuotaTrack> parse(std::string_view text);
  std::string text() const;
  int64_t count() const { return get("count"); }
  int64_t bytes() const { return get("bytes"); }
  int64_t count_hard_limit() const { return get("countHardLimit"); }
  int64_t byte_hard_limit() const { return get("byteHardLimit"); }
  void set_count(int64_t value) { values_["count"] = value; }
  void set_bytes(int64_t value) { values_["bytes"] = value; }

 private:
  int64_t get(const char* key) const {
    auto it = values_.find(key);
    return it == values_.end() ? -1 : it->second;
  }
  std::map<std::string, int64_t, std::less<>> values_;
};

std::string quota_limit_path(std::string_view path);
std::string quota_stats_path(std::string_view path);

class QuotaTrie {
 public:
  ~QuotaTrie() { clear(); }
  bool empty() const { return root_.children.empty(); }
  void add(std::string_view path);
  void remove(std::string_view path);  // with everything below it, as Apache's does
  void clear();
  // The longest path with limits that is `path` or above it; empty when none.
  std::string covering(std::string_view path) const;

 private:
  struct Part {
    std::map<std::string, std::unique_ptr<Part>, std::less<>> children;
    bool limited = false;
  };
  Part root_;
};

}  // namespace ottla::zk
