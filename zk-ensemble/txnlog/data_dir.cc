#include "zk-ensemble/txnlog/data_dir.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "zk-ensemble/txnlog/snapshot_reader.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {
namespace {

Result<std::vector<ZxidFile>> files_of(rt::Disk& disk, const std::string& dir, std::string_view prefix) {
  OTTLA_ASSIGN(std::vector<std::string> names, disk.list(dir));
  std::vector<ZxidFile> found;
  for (std::string& name : names) {
    auto zxid = prefix == "snapshot" ? zxid_of_snapshot(name) : zxid_of_name(name, prefix);
    if (zxid) found.push_back({*zxid, std::move(name)});
  }
  std::ranges::sort(found, {}, [](const ZxidFile& file) { return std::tie(file.zxid, file.name); });
  return found;
}

// The directories that a path names, deepest first, that do not exist.
size_t count_missing(rt::Disk& disk, std::string path) {
  size_t missing = 0;
  while (!disk.stat(path)) {
    ++missing;
    std::string parent = rt::parent_of(path);
    if (parent == path || parent.empty()) break;
    path = parent;
  }
  return missing;
}

// What a log holds is durable only when every directory above it is. At least version-2 and its parent:
// an earlier start may have been killed between making and syncing them.
Result<void> sync_names(rt::Disk& disk, std::string path, size_t made) {
  for (size_t level = 0; level < std::max<size_t>(made, 2); ++level) {
    std::string parent = rt::parent_of(path);
    if (parent == path) break;
    if (auto synced = disk.sync_dir(parent); !synced) {
      // A parent that this user may not open was there before, made durable by whoever made it.
      if (level < made) return synced;
    }
    path = parent;
  }
  return {};
}

Result<void> make_version_dir(rt::Disk& disk, const std::string& key, const std::string& base,
                              const std::string& version_dir, bool autocreate) {
  if (!autocreate && !disk.stat(version_dir)) {
    return fail(Errc::not_found,
                fmt::format("{}={}: {} is missing and datadir.autocreate=false; create it or set "
                            "datadir.autocreate=true", key, base, version_dir));
  }
  size_t missing = count_missing(disk, version_dir);
  if (auto made = disk.make_dirs(version_dir); !made) {
    return fail(made.error().code,
                fmt::format("{}={}: cannot create {} ({}); give this user write access or set {} to "
                            "another directory", key, base, version_dir, made.error().context, key));
  }
  return sync_names(disk, version_dir, missing);
}

Result<void> refuse_foreign(rt::Disk& disk, const std::string& key, const std::string& base) {
  if (disk.stat(base + "/meta.properties")) {
    return fail(Errc::invalid,
                fmt::format("{}={}: holds meta.properties, so it is a broker's log directory; set {} "
                            "to a directory of its own", key, base, key));
  }
  return {};
}

Result<std::unique_ptr<rt::DirLock>> take_lock(rt::Disk& disk, const std::string& key,
                                               const std::string& base) {
  auto lock = disk.lock(base + "/.lock");
  if (lock) return lock;
  if (lock.error().code == Errc::in_use) {
    return fail(Errc::in_use, fmt::format("{}={}: another server is running on this directory; stop "
                                          "it or set {} to another directory", key, base, key));
  }
  return fail(lock.error().code,
              fmt::format("{}={}: not writable ({}); give this user write access or set {} to another "
                          "directory", key, base, lock.error().context, key));
}

}  // namespace

Result<DataDir> DataDir::open(rt::Disk& disk, const std::string& data_dir,
                              const std::string& data_log_dir, bool autocreate) {
  DataDir dir(disk);
  std::string log_base = data_log_dir.empty() ? data_dir : data_log_dir;
  bool separate = log_base != data_dir;
  dir.data_dir_ = data_dir;
  dir.snapshot_dir_ = data_dir + "/version-2";
  dir.log_dir_ = log_base + "/version-2";
  OTTLA_TRY(refuse_foreign(disk, "dataDir", data_dir));
  OTTLA_TRY(make_version_dir(disk, "dataDir", data_dir, dir.snapshot_dir_, autocreate));
  OTTLA_ASSIGN(dir.lock_, take_lock(disk, "dataDir", data_dir));
  if (separate) {
    OTTLA_TRY(refuse_foreign(disk, "dataLogDir", log_base));
    OTTLA_TRY(make_version_dir(disk, "dataLogDir", log_base, dir.log_dir_, autocreate));
    OTTLA_ASSIGN(dir.log_lock_, take_lock(disk, "dataLogDir", log_base));
    OTTLA_ASSIGN(auto misplaced_logs, files_of(disk, dir.snapshot_dir_, "log"));
    OTTLA_ASSIGN(auto misplaced_snapshots, files_of(disk, dir.log_dir_, "snapshot"));
    if (!misplaced_logs.empty()) {
      return fail(Errc::invalid, fmt::format("{} holds {}, a transaction log, but dataLogDir={}; move "
                                             "the logs to {}", dir.snapshot_dir_,
                                             misplaced_logs.front().name, log_base, dir.log_dir_));
    }
    if (!misplaced_snapshots.empty()) {
      return fail(Errc::invalid, fmt::format("{} holds {}, a snapshot, but dataDir={}; move the "
                                             "snapshots to {}", dir.log_dir_,
                                             misplaced_snapshots.front().name, data_dir,
                                             dir.snapshot_dir_));
    }
  }
  return dir;
}

Result<std::optional<int64_t>> DataDir::my_id() const {
  std::string path = data_dir_ + "/myid";
  if (!disk_->stat(path)) return std::optional<int64_t>();
  OTTLA_ASSIGN(std::string text, rt::read_file(*disk_, path, 4096));
  std::string line = text.substr(0, text.find_first_of("\r\n"));
  int64_t id = 0;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), id);
  if (error != std::errc() || end != line.data() + line.size()) {
    return fail(Errc::invalid, fmt::format("{}: \"{}\" is not a server id; write a number from 1 to 255",
                                           path, line));
  }
  return std::optional<int64_t>(id);
}

Result<std::vector<ZxidFile>> DataDir::snapshots() const {
  OTTLA_ASSIGN(auto found, files_of(*disk_, snapshot_dir_, "snapshot"));
  std::reverse(found.begin(), found.end());
  return found;
}

Result<std::vector<ZxidFile>> DataDir::logs() const { return files_of(*disk_, log_dir_, "log"); }

uint64_t DataDir::size_of(rt::Disk& disk, const std::string& directory) {
  uint64_t sum = 0;
  auto names = disk.list(directory);
  if (!names) return 0;
  for (const std::string& name : *names) {
    auto info = disk.stat(directory + "/" + name);
    if (info && !info->is_directory) sum += info->size;
  }
  return sum;
}

Result<PurgeResult> purge(rt::Disk& disk, const std::string& snapshot_dir, const std::string& log_dir,
                          size_t retain) {
  PurgeResult result;
  OTTLA_ASSIGN(auto snapshots, files_of(disk, snapshot_dir, "snapshot"));
  std::reverse(snapshots.begin(), snapshots.end());
  size_t kept = 0;
  size_t next = 0;
  for (; next < snapshots.size() && kept < retain; ++next) {
    OTTLA_ASSIGN(bool whole, snapshot_seems_whole(disk, snapshot_dir + "/" + snapshots[next].name));
    if (whole) ++kept;
  }
  if (kept < retain || next == 0) return result;
  int64_t oldest_kept = snapshots[next - 1].zxid;
  for (; next < snapshots.size(); ++next) {
    OTTLA_TRY(disk.remove(snapshot_dir + "/" + snapshots[next].name));
    ++result.snapshots;
  }
  // The newest log that begins at or before the oldest kept snapshot may hold what follows it.
  OTTLA_ASSIGN(auto logs, files_of(disk, log_dir, "log"));
  size_t needed = 0;
  while (needed + 1 < logs.size() && logs[needed + 1].zxid <= oldest_kept) ++needed;
  for (size_t i = 0; i < needed; ++i) {
    OTTLA_TRY(disk.remove(log_dir + "/" + logs[i].name));
    ++result.logs;
  }
  return result;
}

}  // namespace ottla::zk
