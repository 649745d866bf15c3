// PartitionLog: truncation, log start offset, retention.
#include <algorithm>

#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {
constexpr log::Room kLog{"broker.log"};
}

Result<void> PartitionLog::truncate_to(int64_t offset) {
  if (offset >= leo_) {
    if (epochs_.truncate_from_end(leo_ + 1)) epochs_changed();
    return {};
  }
  if (offset < segments_.begin()->first) return truncate_fully_and_start_at(offset);
  auto cut = truncate_segments(offset);
  if (!cut) {
    fail_log(cut.error());
    return cut;
  }
  log::info(kLog, "log truncated", "partition={} leo={}", tp_text_, leo_);
  return {};
}

Result<void> PartitionLog::lower_recovery_point(int64_t offset) {
  flush_ceiling_ = std::min(flush_ceiling_, offset);
  synced_at_start_ = std::min(synced_at_start_, offset);
  if (recovery_point_ <= offset) return {};
  recovery_point_ = offset;
  return on_lowered_ ? on_lowered_() : Result<void>();
}

Result<void> PartitionLog::truncate_segments(int64_t offset) {
  OTTLA_TRY(lower_recovery_point(offset));
  // The newest first. A segment that begins at `offset` becomes the empty active one.
  std::vector<int64_t> above;
  for (auto at = segments_.rbegin(); at != segments_.rend() && at->first > offset; ++at)
    above.push_back(at->first);
  OTTLA_TRY(remove_segments(above));
  Segment& segment = active();
  OTTLA_ASSIGN(uint64_t position, segment.position_of(offset));
  if (position < segment.size()) OTTLA_TRY(segment.truncate(position, offset));
  // What was cut must not come back behind what is appended next.
  OTTLA_ASSIGN(auto file, segment.file());
  OTTLA_TRY(file->sync_now());
  OTTLA_TRY(world_.disk.sync_dir(dir_));
  recent_.clear();
  leo_ = offset;
  hw_ = std::min(hw_, leo_);
  log_start_offset_ = std::min(log_start_offset_, leo_);
  if (epochs_.truncate_from_end(offset)) epochs_changed();
  OTTLA_TRY(delete_snapshots(offset + 1, INT64_MAX));
  return rebuild_producers(offset, offset);
}

Result<void> PartitionLog::truncate_fully_and_start_at(int64_t offset) {
  auto restart = [&]() -> Result<void> {
    OTTLA_TRY(lower_recovery_point(offset));
    std::vector<int64_t> all;
    for (const auto& [base, segment] : segments_) all.push_back(base);
    auto fresh = std::make_shared<Segment>(world_.disk, dir_, offset, 0, world_.loop.wall_ms());
    OTTLA_TRY(remove_segments(all));
    OTTLA_TRY(fresh->create());
    segments_[offset] = std::move(fresh);
    OTTLA_TRY(delete_snapshots(0, INT64_MAX));
    OTTLA_TRY(world_.disk.sync_dir(dir_));
    return {};
  };
  auto done = restart();
  if (!done) {
    fail_log(done.error());
    return done;
  }
  recent_.clear();
  producers_.clear();
  producers_.set_end_offset(offset);
  leo_ = hw_ = log_start_offset_ = recovery_point_ = flush_ceiling_ = offset;
  epochs_.clear();
  epochs_changed();
  log::info(kLog, "log restarted", "partition={} offset={}", tp_text_, offset);
  return {};
}

void PartitionLog::set_log_start(int64_t offset) {
  log_start_offset_ = offset;
  hw_ = std::max(hw_, offset);
  if (epochs_.truncate_from_start(offset)) epochs_changed();
  producers_.truncate_start(offset);
}

Refusal PartitionLog::delete_records(int64_t offset) {
  if (failed_ || closed_) return Refusal::kafka_storage_error;
  if (!config_.cleanup_delete) return Refusal::policy_violation;
  if (offset == -1) offset = hw_;
  if (offset < 0 || offset > hw_) return Refusal::offset_out_of_range;
  if (offset > log_start_offset_) set_log_start(offset);
  return Refusal::none;
}

void PartitionLog::raise_log_start_offset(int64_t offset) {
  if (offset > log_start_offset_ && offset <= leo_) set_log_start(offset);
}

// --------------------------------------------------------------------------------------- retention

// Base offsets of segments that may go, oldest first without a gap: below the log start offset,
// over the size, over the age; all of them wholly below hw. Compacted topics lose only the first
// kind.
std::vector<int64_t> PartitionLog::retention_victims(int64_t now_wall_ms) {
  uint64_t total = stats().size_bytes;
  std::vector<int64_t> victims;
  for (auto& [base, segment] : segments_) {
    bool last = segment == segments_.rbegin()->second;
    int64_t end = end_of(*segment);
    if (last && segment->size() == 0) break;
    bool below_start = !last && end <= log_start_offset_;
    bool over_size = config_.cleanup_delete && config_.retention_bytes >= 0 &&
                     total >= static_cast<uint64_t>(config_.retention_bytes) + segment->size();
    bool over_age = false;
    if (config_.cleanup_delete && config_.retention_ms >= 0) {
      auto newest = segment->max_timestamp();
      if (!newest) {
        if (newest.error().code == Errc::corrupt)
          log::error(kLog, "no retention by time over a damaged segment", "partition={} why={}",
                     tp_text_, newest.error().context);
        else
          fail_log(newest.error());
        return victims;
      }
      int64_t stamp = *newest;
      if (stamp < 0) {
        auto info = world_.disk.stat(segment->path(kLogSuffix));
        stamp = info ? info->modified_wall_ms : now_wall_ms;
      }
      over_age = now_wall_ms - stamp > config_.retention_ms;
    }
    if (end > hw_ || !(below_start || over_size || over_age)) break;
    victims.push_back(base);
    total -= segment->size();
  }
  return victims;
}

uint32_t PartitionLog::apply_retention(int64_t now_wall_ms) {
  if (failed_ || closed_) return 0;
  std::vector<int64_t> victims = retention_victims(now_wall_ms);
  if (victims.empty()) return 0;
  if (victims.back() == active().base_offset() && !roll()) return 0;
  int64_t start = segments_.upper_bound(victims.back())->first;
  if (start > log_start_offset_) set_log_start(start);
  auto remove = [&]() -> Result<void> {
    OTTLA_TRY(remove_segments(victims));
    return delete_snapshots(0, start);
  };
  if (auto removed = remove(); !removed) {
    fail_log(removed.error());
    return 0;
  }
  log::info(kLog, "segments deleted", "partition={} count={} log_start_offset={}", tp_text_,
            victims.size(), log_start_offset_);
  return static_cast<uint32_t>(victims.size());
}

// Out of the map at once, renamed to .deleted, and removed later: slices already handed out stay
// readable for as long as they are held. In the order given, from an end of the log inwards, and
// none behind one that cannot be renamed: what is left has no hole.
Result<void> PartitionLog::remove_segments(const std::vector<int64_t>& bases) {
  std::vector<std::string> doomed;
  auto rename = [&](const std::string& path) -> Result<void> {
    auto renamed = world_.disk.rename(path, path + kDeletedSuffix);
    if (renamed) doomed.push_back(path + kDeletedSuffix);
    if (!renamed && renamed.error().code != Errc::not_found) return renamed;
    return {};
  };
  auto remove = [&]() -> Result<void> {
    for (int64_t base : bases) {
      segments_.erase(base);
      for (const char* suffix : {kLogSuffix, kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix})
        OTTLA_TRY(rename(dir_ + "/" + file_name(base, suffix)));
    }
    return {};
  };
  auto removed = remove();
  remove_files_later(std::move(doomed));
  return removed;
}

void PartitionLog::remove_files_later(std::vector<std::string> paths) {
  if (paths.empty()) return;
  std::erase_if(removals_, [](const auto& timer) { return !timer->armed(); });
  removals_.push_back(world_.loop.make_timer(
      [remover = remover_, paths = std::move(paths)] { remover->remove(paths); }));
  removals_.back()->arm_at(after_ms(world_.loop.now(), config_.file_delete_delay_ms));
}

}  // namespace ottla::broker
