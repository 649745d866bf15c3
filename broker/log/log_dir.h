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

struct LogManager::Dir {
  std::string path;
  std::unique_ptr<rt::DirLock> lock;
  bool online = true;
  bool clean = false;
  Error error{Errc::io, ""};
  uint32_t partitions = 0;
  OffsetCheckpoint recovery_points, log_starts, high_watermarks;  // as read at the start
  // A checkpoint file is written by one task at a time; what is asked for meanwhile follows.
  std::map<std::string, std::optional<std::string>> writing;
};

struct LogManager::Task {
  std::unique_ptr<rt::Timer> timer;
  int64_t every_ms = 0;
  std::function<void()> run;
};

}  // namespace ottla::broker
