// LogManager: what happens by itself.
#include <algorithm>
#include <utility>

#include "broker/log/log_dir.h"

namespace ottla::broker {
namespace {

constexpr const char* kNewSuffix = ".new";

Result<void> write_synced(rt::Disk& disk, const std::string& path, const std::string& text) {
  OTTLA_ASSIGN(auto file, disk.open(path, rt::OpenMode::create));
  OTTLA_TRY(file->truncate(0));
  OTTLA_TRY(file->write_at(0, as_bytes(text)));
  return file->sync_now();
}

}  // namespace

void LogManager::add_task(int64_t first_ms, int64_t every_ms, std::function<void()> run) {
  if (every_ms == INT64_MAX || every_ms <= 0) return;
  auto task = std::make_unique<Task>();
  Task* raw = task.get();
  raw->every_ms = every_ms;
  raw->run = std::move(run);
  raw->timer = world_.loop.make_timer([this, raw] {
    raw->run();
    raw->timer->arm_at(after_ms(world_.loop.now(), raw->every_ms));
  });
  raw->timer->arm_at(after_ms(world_.loop.now(), first_ms));
  tasks_.push_back(std::move(task));
}

void LogManager::start_tasks() {
  int64_t delay = options_.initial_task_delay_ms;
  add_task(delay, options_.retention_check_interval_ms, [this] { run_retention(); });
  add_task(delay, options_.recovery_point_checkpoint_interval_ms,
           [this] { checkpoint_recovery_points(); });
  add_task(delay, options_.log_start_offset_checkpoint_interval_ms,
           [this] { checkpoint_log_start_offsets(); });
  add_task(options_.hw_checkpoint_interval_ms, options_.hw_checkpoint_interval_ms,
           [this] { checkpoint_high_watermarks(); });
  int64_t expiry_check = options_.producer_id_expiration_check_interval_ms;
  add_task(expiry_check, expiry_check, [this] {
    for (auto& [tp, loaded] : logs_) loaded.log->expire_producers(world_.loop.wall_ms());
  });
  // flush.ms is looked at as often as Kafka's scheduler would, or each second when a topic sets it.
  int64_t flush_check = std::min<int64_t>(options_.flush_scheduler_interval_ms, 1000);
  add_task(flush_check, flush_check, [this] {
    for (auto& [tp, loaded] : logs_) loaded.log->flush_if_due(world_.loop.wall_ms());
  });
}

void LogManager::run_retention() {
  int64_t now = world_.loop.wall_ms();
  for (auto& [tp, loaded] : logs_) {
    loaded.log->apply_retention(now);
    loaded.log->release_files();  // also those that retention looked into
  }
}

std::string LogManager::checkpoint_text(const Dir& dir, size_t which) const {
  OffsetCheckpoint offsets;
  for (auto& [tp, loaded] : logs_) {
    if (loaded.dir != &dir) continue;
    const PartitionLog& log = *loaded.log;
    if (which == 0) offsets[tp] = log.durable_offset();
    if (which == 1 && log.log_start_offset() > log.first_segment_base_offset())
      offsets[tp] = log.log_start_offset();
    if (which == 2) offsets[tp] = log.hw();
  }
  return encode_checkpoint(offsets);
}

void LogManager::checkpoint(size_t which) {
  if (stopped_) return;
  for (auto& dir : dirs_) {
    if (!dir->online) continue;
    if (auto& running = dir->checkpoints[which].running)
      running->again = true;
    else
      write_checkpoint(*dir, which);
  }
}

void LogManager::write_checkpoint(Dir& dir, size_t which) {
  std::string text = checkpoint_text(dir, which);
  Dir::Checkpoint& file = dir.checkpoints[which];
  if (text == file.text) {
    file.removals = dir.removals;
    return prune_gone(dir);
  }
  auto write = file.running = std::make_shared<Dir::Checkpoint::Write>();
  auto outcome = std::make_shared<Result<void>>();
  rt::Disk& disk = world_.disk;
  world_.disk.run_blocking(
      [outcome, &disk, text, path = dir.path + "/" + kCheckpointNames[which] + kNewSuffix] {
        *outcome = write_synced(disk, path, text);
      },
      [this, &dir, which, write, outcome, text, removals = dir.removals,
       alive = std::weak_ptr<int>(alive_)] {
        if (alive.expired()) return;
        dir.checkpoints[which].running = nullptr;
        if (stopped_ || !dir.online) return;
        if (*outcome && !write->overtaken) *outcome = place_checkpoint(dir, which, text, removals);
        if (!*outcome) return take_offline(dir, outcome->error());
        if (write->again) write_checkpoint(dir, which);
      });
}

// The rename on the loop, in the order of the texts; the sync of the directory off it: until that
// is over a power failure may bring the older file back, but then also the older names of
// partitions.
Result<void> LogManager::place_checkpoint(Dir& dir, size_t which, std::string text,
                                          uint64_t removals) {
  std::string path = dir.path + "/" + kCheckpointNames[which];
  OTTLA_TRY(world_.disk.rename(path + kNewSuffix, path));
  dir.checkpoints[which].text = std::move(text);
  dir.checkpoints[which].removals = removals;
  prune_gone(dir);
  auto outcome = std::make_shared<Result<void>>();
  world_.disk.run_blocking(
      [outcome, &disk = world_.disk, path = dir.path] { *outcome = disk.sync_dir(path); },
      [this, &dir, outcome, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired() && !stopped_ && !*outcome) take_offline(dir, outcome->error());
      });
  return {};
}

// Now and durably, whatever is on its way; the next that goes off the loop waits for that, since
// they share a file. Blocking.
Result<void> LogManager::replace_checkpoint(Dir& dir, size_t which) {
  Dir::Checkpoint& file = dir.checkpoints[which];
  if (file.running) file.running->overtaken = true;
  std::string text = checkpoint_text(dir, which);
  OTTLA_TRY(
      rt::replace_file(world_.disk, dir.path + "/" + kCheckpointNames[which], as_bytes(text)));
  file.text = std::move(text);
  file.removals = dir.removals;
  return {};
}

// Before a partition is made whose name another had: no checkpoint may still speak of that one.
// Blocking, and rare: checkpoints are written soon after a removal.
Result<void> LogManager::forget_gone(Dir& dir, const TopicPartition& tp) {
  auto found = dir.gone.find(tp);
  if (found == dir.gone.end()) return {};
  for (size_t which = 0; which < kCheckpointFiles; ++which) {
    if (dir.checkpoints[which].removals < found->second) OTTLA_TRY(replace_checkpoint(dir, which));
  }
  prune_gone(dir);
  return {};
}

// What every checkpoint in place knows to be gone need not be remembered.
void LogManager::prune_gone(Dir& dir) {
  uint64_t known = dir.removals;
  for (const Dir::Checkpoint& file : dir.checkpoints) known = std::min(known, file.removals);
  std::erase_if(dir.gone, [known](const auto& one) { return one.second <= known; });
}

void LogManager::checkpoint_soon() {
  if (std::exchange(checkpoint_posted_, true)) return;
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    checkpoint_posted_ = false;
    for (size_t which = 0; which < kCheckpointFiles; ++which) checkpoint(which);
  });
}

void LogManager::checkpoint_recovery_points() { checkpoint(0); }
void LogManager::checkpoint_log_start_offsets() { checkpoint(1); }
void LogManager::checkpoint_high_watermarks() { checkpoint(2); }

// Names are unique, so a removal that a restart cuts short is finished by the next start.
void LogManager::remove_later(Dir& dir, std::string path, int64_t delay_ms) {
  (void)dir;
  auto task = std::make_unique<Task>();
  Task* raw = task.get();
  raw->timer = world_.loop.make_timer(
      [remover = remover_, path = std::move(path)] { remover->remove({path}); });
  raw->timer->arm_at(after_ms(world_.loop.now(), delay_ms));
  std::erase_if(removals_, [](const auto& old) { return !old->timer->armed(); });
  removals_.push_back(std::move(task));
}

}  // namespace ottla::broker
