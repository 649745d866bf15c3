// DataDir: the two version-2 directories, who may use them, and what lies in them. Blocking; start
// and purge only. Says in one line what is wrong with a directory and what to do.
// Source: ZooKeeper Administrator's Guide (dataDir, dataLogDir, autopurge).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/rt/world.h"

namespace ottla::zk {

struct ZxidFile {
  int64_t zxid = 0;
  std::string name;
};

class DataDir {
 public:
  // Makes what is missing (unless `autocreate` is false), takes the lock that keeps a second server
  // out, and refuses directories that are mixed up, foreign or not writable.
  static Result<DataDir> open(rt::Disk& disk, const std::string& data_dir,
                              const std::string& data_log_dir, bool autocreate = true);

  const std::string& snapshot_dir() const { return snapshot_dir_; }  // dataDir/version-2
  const std::string& log_dir() const { return log_dir_; }            // dataLogDir/version-2
  // The number in dataDir/myid; none when the file is missing. Errc::invalid when it is no number.
  Result<std::optional<int64_t>> my_id() const;

  Result<std::vector<ZxidFile>> snapshots() const;  // newest first
  Result<std::vector<ZxidFile>> logs() const;       // oldest first
  // Sum of the sizes of all files, as conf and dirs show it.
  static uint64_t size_of(rt::Disk& disk, const std::string& directory);

 private:
  DataDir(rt::Disk& disk) : disk_(&disk) {}

  rt::Disk* disk_;
  std::string data_dir_;
  std::string snapshot_dir_;
  std::string log_dir_;
  std::unique_ptr<rt::DirLock> lock_;
  std::unique_ptr<rt::DirLock> log_lock_;
};

struct PurgeResult {
  size_t snapshots = 0;
  size_t logs = 0;
};
// Keeps the `retain` newest snapshots that end as whole ones do, and every log that one of them needs; removes
// the rest.
Result<PurgeResult> purge(rt::Disk& disk, const std::string& snapshot_dir, const std::string& log_dir,
                          size_t retain);

}  // namespace ottla::zk
