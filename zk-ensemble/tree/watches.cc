#include "zk-ensemble/tree/watches.h"

#include <algorithm>

#include "common/base/check.h"

namespace ottla::zk {

namespace {
constexpr uint8_t bit(WatchMode mode) { return static_cast<uint8_t>(mode); }
}  // namespace

void WatchTable::add(std::string_view path, ConnId watcher, WatchMode mode) {
  auto it = by_path_.find(path);
  if (it == by_path_.end()) it = by_path_.emplace(std::string(path), std::vector<Entry>()).first;
  std::vector<Entry>& entries = it->second;
  auto entry = std::ranges::find(entries, watcher, &Entry::watcher);
  if (entry == entries.end()) {
    entries.push_back({watcher, 0});
    entry = entries.end() - 1;
    by_watcher_[watcher].paths.insert(&it->first);
    ++count_;
  }
  if (mode == WatchMode::recursive && (entry->modes & bit(mode)) == 0) ++recursive_;
  entry->modes |= bit(mode);
}

void WatchTable::forget(const std::string& path, ConnId watcher) {
  auto it = by_watcher_.find(watcher);
  it->second.paths.erase(&path);
  if (it->second.paths.empty()) by_watcher_.erase(it);
  --count_;
}

void WatchTable::trigger(std::string_view path, std::vector<ConnId>& fired) {
  if (by_path_.empty()) return;
  size_t before = fired.size();
  if (auto it = by_path_.find(path); it != by_path_.end()) {
    std::erase_if(it->second, [&](Entry& entry) {
      fired.push_back(entry.watcher);
      entry.modes &= static_cast<uint8_t>(~bit(WatchMode::standard));
      if (entry.modes == 0) forget(it->first, entry.watcher);
      return entry.modes == 0;
    });
    if (it->second.empty()) by_path_.erase(it);
  }
  if (recursive_ == 0) return;
  for (std::string_view above = path; above.size() > 1;) {
    above = above.substr(0, above.rfind('/'));
    if (above.empty()) above = "/";
    auto it = by_path_.find(above);
    if (it == by_path_.end()) continue;
    for (const Entry& entry : it->second)
      if ((entry.modes & bit(WatchMode::recursive)) != 0 &&
          std::find(fired.begin() + static_cast<ptrdiff_t>(before), fired.end(), entry.watcher) ==
              fired.end())
        fired.push_back(entry.watcher);
  }
}

bool WatchTable::contains(std::string_view path, ConnId watcher,
                          std::optional<WatchMode> mode) const {
  auto it = by_path_.find(path);
  if (it == by_path_.end()) return false;
  auto entry = std::ranges::find(it->second, watcher, &Entry::watcher);
  return entry != it->second.end() && (!mode || (entry->modes & bit(*mode)) != 0);
}

bool WatchTable::remove(std::string_view path, ConnId watcher, std::optional<WatchMode> mode) {
  auto it = by_path_.find(path);
  if (it == by_path_.end()) return false;
  auto entry = std::ranges::find(it->second, watcher, &Entry::watcher);
  if (entry == it->second.end()) return false;
  uint8_t gone = mode ? entry->modes & bit(*mode) : entry->modes;
  if (gone == 0) return false;
  if ((gone & bit(WatchMode::recursive)) != 0) --recursive_;
  entry->modes &= static_cast<uint8_t>(~gone);
  if (entry->modes == 0) {
    forget(it->first, watcher);
    it->second.erase(entry);
    if (it->second.empty()) by_path_.erase(it);
  }
  return true;
}

void WatchTable::remove_watcher(ConnId watcher) {
  auto it = by_watcher_.find(watcher);
  if (it == by_watcher_.end()) return;
  for (const std::string* path : it->second.paths) {
    auto at = by_path_.find(*path);
    std::erase_if(at->second, [&](const Entry& entry) {
      if (entry.watcher != watcher) return false;
      if ((entry.modes & bit(WatchMode::recursive)) != 0) --recursive_;
      return true;
    });
    --count_;
    if (at->second.empty()) by_path_.erase(at);
  }
  by_watcher_.erase(it);
}

std::map<std::string, std::vector<ConnId>> WatchTable::by_path() const {
  std::map<std::string, std::vector<ConnId>> sorted;
  for (const auto& [path, entries] : by_path_) {
    std::vector<ConnId>& watchers = sorted[path];
    for (const Entry& entry : entries) watchers.push_back(entry.watcher);
    std::ranges::sort(watchers);
  }
  return sorted;
}

std::map<ConnId, std::vector<std::string>> WatchTable::by_watcher() const {
  std::map<ConnId, std::vector<std::string>> sorted;
  for (const auto& [path, watchers] : by_path())
    for (ConnId watcher : watchers) sorted[watcher].push_back(path);
  return sorted;
}

void WatchTable::check_invariants() const {
  size_t pairs = 0, recursive = 0;
  for (const auto& [path, entries] : by_path_) {
    OTTLA_CHECK(!entries.empty());
    for (const Entry& entry : entries) {
      OTTLA_CHECK(entry.modes != 0);
      auto it = by_watcher_.find(entry.watcher);
      OTTLA_CHECK(it != by_watcher_.end() && it->second.paths.contains(&path));
      ++pairs;
      if ((entry.modes & bit(WatchMode::recursive)) != 0) ++recursive;
    }
  }
  size_t reverse = 0;
  for (const auto& [watcher, set] : by_watcher_) reverse += set.paths.size();
  OTTLA_CHECK(pairs == count_ && pairs == reverse && recursive == recursive_);
}

// ------------------------------------------------------------------------------------ both tables

void Watches::add_persistent(std::string_view path, ConnId watcher, bool recursive) {
  data_.add(path, watcher, recursive ? WatchMode::recursive : WatchMode::persistent);
  if (!recursive) children_.add(path, watcher, WatchMode::persistent);
}

ZkError Watches::check(std::string_view path, ConnId watcher, int32_t type) const {
  bool there = false;
  switch (type) {
    case 1:
      there = children_.contains(path, watcher, WatchMode::standard);
      break;
    case 2:
      there = data_.contains(path, watcher, WatchMode::standard);
      break;
    case 3:
      there = children_.contains(path, watcher, std::nullopt) ||
              data_.contains(path, watcher, std::nullopt);
      break;
    case 4:
      there = data_.contains(path, watcher, WatchMode::persistent);
      break;
    case 5:
      there = data_.contains(path, watcher, WatchMode::recursive);
      break;
    default:
      return ZkError::marshalling_error;
  }
  return there ? ZkError::ok : ZkError::no_watcher;
}

ZkError Watches::remove(std::string_view path, ConnId watcher, int32_t type) {
  bool there = false;
  switch (type) {
    case 1:
      there = children_.remove(path, watcher, WatchMode::standard);
      break;
    case 2:
      there = data_.remove(path, watcher, WatchMode::standard);
      break;
    case 3:
      there = children_.remove(path, watcher, std::nullopt);
      there = data_.remove(path, watcher, std::nullopt) || there;
      break;
    case 4:
      there = children_.remove(path, watcher, WatchMode::persistent);
      there = data_.remove(path, watcher, WatchMode::persistent) || there;
      break;
    case 5:
      there = data_.remove(path, watcher, WatchMode::recursive);
      break;
    default:
      return ZkError::marshalling_error;
  }
  return there ? ZkError::ok : ZkError::no_watcher;
}

void Watches::remove_watcher(ConnId watcher) {
  data_.remove_watcher(watcher);
  children_.remove_watcher(watcher);
}

void Watches::fire(WatchTable& table, EventType type, std::string_view path, int64_t zxid,
                   const AclList& acls) {
  fired_.clear();
  table.trigger(path, fired_);
  if (!fired_.empty()) sink_.notify(fired_, type, path, zxid, acls);
}

void Watches::node_created(std::string_view path, const AclList& acls, std::string_view parent,
                           const AclList& parent_acls, int64_t zxid) {
  fire(data_, EventType::node_created, path, zxid, acls);
  fire(children_, EventType::node_children_changed, parent, zxid, parent_acls);
}

void Watches::node_deleted(std::string_view path, const AclList& acls, std::string_view parent,
                           const AclList& parent_acls, int64_t zxid) {
  fire(data_, EventType::node_deleted, path, zxid, acls);
  fired_children_.clear();
  children_.trigger(path, fired_children_);
  // Who has heard of the deletion as a data watcher does not hear of it again.
  std::erase_if(fired_children_,
                [&](ConnId watcher) { return std::ranges::find(fired_, watcher) != fired_.end(); });
  if (!fired_children_.empty())
    sink_.notify(fired_children_, EventType::node_deleted, path, zxid, acls);
  fire(children_, EventType::node_children_changed, parent, zxid, parent_acls);
}

void Watches::data_changed(std::string_view path, const AclList& acls, int64_t zxid) {
  fire(data_, EventType::node_data_changed, path, zxid, acls);
}

}  // namespace ottla::zk
