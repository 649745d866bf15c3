// LogManager: all log directories of a broker. Locks them, checks whose they are, loads every
// partition, creates and deletes partitions, runs the background work (retention, flush.ms,
// checkpoints, delayed deletion), and takes a directory offline when its disk fails. Loop thread.
//
// Source: Kafka documentation (log.dirs, log.retention.check.interval.ms and its kin); KIP-112
// (handling disk failure for JBOD), KIP-631 for meta.properties.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/log_config.h"
#include "broker/log/partition_log.h"
#include "broker/log/topic_partition.h"
#include "common/rt/world.h"

namespace ottla::broker {

struct MetaProperties {
  std::optional<std::string> cluster_id;
  std::optional<int32_t> broker_id;
};

struct LogManagerOptions {
  std::vector<std::string> log_dirs;  // made when missing
  std::string cluster_id;
  int32_t broker_id = 0;
  // The configuration of a topic's logs, asked for when a partition is loaded or created.
  std::function<LogConfig(const std::string& topic)> config_for;
  int64_t retention_check_interval_ms = 300000;
  int64_t flush_scheduler_interval_ms = INT64_MAX;
  int64_t recovery_point_checkpoint_interval_ms = 60000;
  int64_t log_start_offset_checkpoint_interval_ms = 60000;
  int64_t hw_checkpoint_interval_ms = 5000;
  int64_t initial_task_delay_ms = 30000;
  int64_t producer_id_expiration_ms = 86400000;
  int64_t producer_id_expiration_check_interval_ms = 600000;
  // Called on the loop once a directory went offline, after its partitions were dropped.
  std::function<void(const std::string& dir, const std::vector<TopicPartition>& lost)>
      on_dir_offline;
};

struct LogDirInfo {
  std::string path;
  bool online = true;
  Error error{Errc::io, ""};  // why, when offline
  uint32_t partitions = 0;
};

class LogManager {
 public:
  // The meta.properties of each directory that has one: to be read before the broker id is chosen.
  // Errc::invalid with one line and remedy when a file does not parse or is of a KRaft directory.
  static Result<std::vector<MetaProperties>> read_meta(rt::Disk& disk,
                                                       const std::vector<std::string>& log_dirs);

  // Locks, verifies, loads. Blocking. An error is one line with its remedy: a directory in use, of
  // another cluster or broker, or unwritable; with several directories one that cannot be read or
  // written only goes offline, and it is an error when none is left.
  static Result<std::unique_ptr<LogManager>> open(rt::World world, LogManagerOptions options);
  ~LogManager();  // no IO

  void start_tasks();  // arms the background timers

  PartitionLog* find(const TopicPartition& tp);  // null when not here or offline
  // True when the partition lies in a directory that went offline: answer kafka_storage_error.
  bool is_offline(const TopicPartition& tp) const;
  // A directory that could not be read at the start may hold partitions that nobody knows of.
  bool has_offline_dir() const;
  enum class DirState { unknown, offline, online };
  static constexpr size_t kMaxPreferred = 100'000;  // wishes for partitions that may never come
  DirState dir_state(const std::string& path) const;
  std::string dir_of(const TopicPartition& tp) const;  // where its log lies; "" when not here
  // Where get_or_create() shall make the partition when it comes; forgotten once it came.
  void prefer_dir(const TopicPartition& tp, const std::string& path) {
    if (preferred_.size() < kMaxPreferred || preferred_.contains(tp)) preferred_[tp] = path;
  }
  // The existing log, or a new one in the preferred directory or in the online one with the fewest
  // partitions. Errors:
  // Errc::io and kin, after which that directory is offline.
  Result<PartitionLog*> get_or_create(const TopicPartition& tp, const std::string& topic_id = {});
  // Takes the partition away at once (its directory is renamed) and removes its files later.
  Result<void> remove(const TopicPartition& tp);
  // After it no removed partition comes back with a power failure. Blocks for one sync a directory.
  Result<void> sync_removals();
  void update_config(const std::string& topic, const LogConfig& config);
  void set_producer_id_expiration(int64_t ms) { options_.producer_id_expiration_ms = ms; }
  void for_each(const std::function<void(PartitionLog&)>& visit);  // in order of TopicPartition
  size_t partition_count() const { return logs_.size(); }
  std::vector<LogDirInfo> dirs() const;

  // For tests and operators; the timers call these.
  void run_retention();
  void checkpoint_recovery_points();
  void checkpoint_log_start_offsets();
  void checkpoint_high_watermarks();

  // Clean end: flushes and closes every log, writes the checkpoints and the clean-shutdown markers,
  // releases the locks; all logs at once, off the loop. Then calls `done`, with false when some
  // directory could not be finished (it will be recovered). Call it once.
  void shutdown(Fn<void(bool)> done);

 private:
  struct Dir;
  struct Loaded {
    std::unique_ptr<PartitionLog> log;
    Dir* dir = nullptr;
  };
  LogManager(rt::World world, LogManagerOptions options);
  Result<void> prepare_dir(Dir& dir);
  Result<void> load_dir(Dir& dir);
  Result<void> load_partition(Dir& dir, const std::string& name, const TopicPartition& tp);
  void take_offline(Dir& dir, const Error& error);
  PartitionLog::Options log_options(Dir& dir, const TopicPartition& tp);
  std::string checkpoint_text(const Dir& dir, size_t which) const;
  void checkpoint(size_t which);
  void write_checkpoint(Dir& dir, size_t which);
  Result<void> place_checkpoint(Dir& dir, size_t which, std::string text, uint64_t removals);
  Result<void> replace_checkpoint(Dir& dir, size_t which);
  Result<void> forget_gone(Dir& dir, const TopicPartition& tp);
  void prune_gone(Dir& dir);
  void checkpoint_soon();
  void close_logs(Dir& dir);
  void finish_dir(Dir& dir, const Result<void>& closed);
  void dir_done();
  Dir* pick_dir(const TopicPartition& tp);
  void remove_later(Dir& dir, std::string path, int64_t delay_ms);
  struct Task;
  void add_task(int64_t first_ms, int64_t every_ms, std::function<void()> run);

  rt::World world_;
  LogManagerOptions options_;
  std::shared_ptr<compress::Decompressor> decompressor_ =
      std::make_shared<compress::Decompressor>();
  std::shared_ptr<Remover> remover_;
  std::vector<std::unique_ptr<Dir>> dirs_;
  std::map<TopicPartition, Loaded> logs_;
  std::map<TopicPartition, Dir*> offline_;
  std::map<TopicPartition, std::string> preferred_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<std::unique_ptr<Task>> removals_;
  std::vector<std::unique_ptr<PartitionLog>> retired_;  // failed logs whose caller may be above us
  bool stopped_ = false;
  bool checkpoint_posted_ = false;
  Fn<void(bool)> shut_down_;
  size_t closing_dirs_ = 0;
  bool closed_well_ = true;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace ottla::broker
