// Watches: who wants to hear of which path. Two tables, data (and existence) and children; an entry
// holds a set of modes. Belongs to the server the client is connected to; never logged. Source:
// ZooKeeper programmer's guide, "ZooKeeper watches"; ZOOKEEPER-1416 (persistent, recursive).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "zk-ensemble/tree/data_tree.h"

namespace ottla::zk {

using ConnId = uint64_t;  // a client connection; 0 is none

enum class EventType : int32_t {
  none = -1,
  node_created = 1,
  node_deleted = 2,
  node_data_changed = 3,
  node_children_changed = 4,
};
enum class WatchMode : uint8_t { standard = 1, persistent = 2, recursive = 4 };

// Invariants: by_path_ and by_watcher_ hold the same (path, watcher) pairs, none with an empty mode
// set; recursive_ counts the entries with the recursive mode.
class WatchTable {
 public:
  void add(std::string_view path, ConnId watcher, WatchMode mode);
  // Appends to `fired` who is to be told of a change at `path`, each once, and consumes standard
  // modes.
  void trigger(std::string_view path, std::vector<ConnId>& fired);
  bool contains(std::string_view path, ConnId watcher, std::optional<WatchMode> mode) const;
  bool remove(std::string_view path, ConnId watcher, std::optional<WatchMode> mode);
  void remove_watcher(ConnId watcher);

  bool empty() const { return by_path_.empty(); }
  size_t path_count() const { return by_path_.size(); }
  size_t watcher_count() const { return by_watcher_.size(); }
  size_t watch_count() const { return count_; }
  // Sorted, for the operator's words.
  std::map<std::string, std::vector<ConnId>> by_path() const;
  std::map<ConnId, std::vector<std::string>> by_watcher() const;
  void check_invariants() const;

 private:
  struct Entry {
    ConnId watcher;
    uint8_t modes;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return hash_path(text); }
  };
  using Paths = std::unordered_map<std::string, std::vector<Entry>, Hash, std::equal_to<>>;
  struct PathSet {  // of one watcher: the keys of by_path_ themselves, which never move
    std::unordered_set<const std::string*> paths;
  };
  void forget(const std::string& path, ConnId watcher);

  Paths by_path_;
  std::unordered_map<ConnId, PathSet> by_watcher_;
  size_t count_ = 0;
  size_t recursive_ = 0;
};

class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // `acls`: the watcher must have READ by it, else the event is dropped.
  virtual void notify(const std::vector<ConnId>& watchers, EventType type, std::string_view path,
                      int64_t zxid, const AclList& acls) = 0;
};

class Watches final : public TreeListener {
 public:
  explicit Watches(WatchSink& sink) : sink_(sink) {}

  WatchTable& data() { return data_; }
  WatchTable& children() { return children_; }
  const WatchTable& data() const { return data_; }
  const WatchTable& children() const { return children_; }
  void add_persistent(std::string_view path, ConnId watcher, bool recursive);
  // checkWatches and removeWatches: type 1 children, 2 data, 3 any, 4 persistent, 5 recursive.
  // marshalling_error for another type, no_watcher when there is none.
  ZkError check(std::string_view path, ConnId watcher, int32_t type) const;
  ZkError remove(std::string_view path, ConnId watcher, int32_t type);
  void remove_watcher(ConnId watcher);

  void node_created(std::string_view path, const AclList& acls, std::string_view parent,
                    const AclList& parent_acls, int64_t zxid) override;
  void node_deleted(std::string_view path, const AclList& acls, std::string_view parent,
                    const AclList& parent_acls, int64_t zxid) override;
  void data_changed(std::string_view path, const AclList& acls, int64_t zxid) override;

 private:
  void fire(WatchTable& table, EventType type, std::string_view path, int64_t zxid,
            const AclList& acls);

  WatchSink& sink_;
  WatchTable data_, children_;
  std::vector<ConnId> fired_, fired_children_;  // kept for their capacity
};

}  // namespace ottla::zk
