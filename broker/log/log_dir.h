// One log directory of a LogManager, and the names in it.
#pragma once

#include "broker/log/checkpoint.h"
#include "broker/log/log_manager.h"

namespace ottla::broker {

inline const std::string kLockFile = ".lock";
inline const std::string kMetaFile = "meta.properties";
inline const std::string kCleanShutdownFile = ".kafka_cleanshutdown";
constexpr const char* kDeleteDirSuffix = "-delete";
constexpr const char* kFutureDirSuffix = "-future";
constexpr const char* kStrayDirSuffix = "-stray";
constexpr size_t kMaxDirName = 255;
constexpr size_t kCheckpointFiles = 3;

struct LogManager::Dir {
  std::string path;
  std::unique_ptr<rt::DirLock> lock;
  bool online = true;
  bool clean = false;
  Error error{Errc::io, ""};
  uint32_t partitions = 0;
  OffsetCheckpoint recovery_points, log_starts, high_watermarks;  // as read at the start

  // One of the checkpoint files. It is written beside its place off the loop, and renamed on it, so
  // that a text which was overtaken meanwhile never takes the place of a newer one.
  struct Checkpoint {
    struct Write {
      bool overtaken = false;
      bool again = false;  // asked for once more meanwhile
    };
    std::shared_ptr<Write> running;
    std::string text;       // in place
    uint64_t removals = 0;  // the text in place knows of so many
  };
  Checkpoint checkpoints[kCheckpointFiles];
  // Partitions that went, and which removal that was: a checkpoint in place that does not know of
  // it would speak, after a crash, of a new partition of the same name.
  std::map<TopicPartition, uint64_t> gone;
  uint64_t removals = 0;
  bool has_unsynced_removals = false;
};

struct LogManager::Task {
  std::unique_ptr<rt::Timer> timer;
  int64_t every_ms = 0;
  std::function<void()> run;
};

}  // namespace ottla::broker
