// LogManager: what happens by itself.
#include "broker/log/log_dir.h"

namespace ottla::broker {

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
  add_task(delay, options_.producer_id_expiration_check_interval_ms, [this] {
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
  for (auto& [tp, loaded] : logs_) loaded.log->apply_retention(now);
}

std::vector<std::pair<std::string, std::string>> LogManager::checkpoints_of(Dir& dir) {
  OffsetCheckpoint recovery, starts, watermarks;
  for (auto& [tp, loaded] : logs_) {
    if (loaded.dir != &dir) continue;
    PartitionLog& log = *loaded.log;
    recovery[tp] = log.durable_offset();
    watermarks[tp] = log.hw();
    if (log.log_start_offset() > log.first_segment_base_offset())
      starts[tp] = log.log_start_offset();
  }
  return {{kRecoveryPointFile, encode_checkpoint(recovery)},
          {kLogStartOffsetFile, encode_checkpoint(starts)},
          {kHighWatermarkFile, encode_checkpoint(watermarks)}};
}

void LogManager::checkpoint(size_t which) {
  if (stopped_) return;
  for (auto& dir : dirs_) {
    if (!dir->online) continue;
    auto [name, text] = std::move(checkpoints_of(*dir)[which]);
    auto [slot, idle] = dir->writing.try_emplace(name);
    if (idle)
      write_checkpoint(*dir, name, std::move(text));
    else
      slot->second = std::move(text);
  }
}

void LogManager::write_checkpoint(Dir& dir, const std::string& name, std::string text) {
  auto outcome = std::make_shared<Result<void>>();
  world_.disk.run_blocking(
      [outcome, path = dir.path + "/" + name, text = std::move(text), &disk = world_.disk] {
        *outcome = rt::replace_file(disk, path, as_bytes(text));
      },
      [this, &dir, name, outcome, alive = std::weak_ptr<int>(alive_)] {
        if (alive.expired()) return;
        auto next = std::move(dir.writing[name]);
        dir.writing.erase(name);
        if (!*outcome && !stopped_) {
          take_offline(dir, outcome->error());
        } else if (next && !stopped_ && dir.online) {
          dir.writing.try_emplace(name);
          write_checkpoint(dir, name, std::move(*next));
        }
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
  raw->timer = world_.loop.make_timer([&disk = world_.disk, path = std::move(path)] {
    disk.run_blocking([&disk, path] { (void)disk.remove_tree(path); }, [] {});
  });
  raw->timer->arm_at(after_ms(world_.loop.now(), delay_ms));
  std::erase_if(removals_, [](const auto& old) { return !old->timer->armed(); });
  removals_.push_back(std::move(task));
}

}  // namespace ottla::broker
