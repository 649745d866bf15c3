// PartitionLog: making appended bytes durable without blocking the loop, and failing.
#include <utility>

#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"

namespace ottla::broker {

void PartitionLog::flush() {
  if (failed_ || closed_ || leo_ <= recovery_point_) return;
  flush_wanted_ = leo_;
  if (flushing_ || flush_posted_) return;
  // What else this turn of the loop appends shares the sync.
  flush_posted_ = true;
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    flush_posted_ = false;
    if (!flushing_ && !failed_ && !closed_) start_flush();
  });
}

void PartitionLog::flush_if_due(int64_t now_wall_ms) {
  if (config_.flush_ms == INT64_MAX || now_wall_ms - last_flush_wall_ms_ < config_.flush_ms) return;
  flush();
}

// Segments with unsynced bytes or names, oldest first. One that was only written to is synced by
// itself; otherwise one trip to the disk pool does all of them and the directories.
void PartitionLog::start_flush() {
  struct Step {
    std::shared_ptr<Segment> segment;
    std::vector<std::shared_ptr<rt::File>> files;
  };
  int64_t target = flush_ceiling_ = leo_;
  flushing_bytes_ = std::exchange(unflushed_bytes_, 0);
  std::vector<Step> steps;
  auto add = [this](auto& files, Result<std::shared_ptr<rt::File>> file) {
    if (!file) fail_log(file.error());
    if (file) files.push_back(std::move(*file));
    return file.has_value();
  };
  bool names = false;
  for (auto& [base, segment] : segments_) {
    bool sealed = segment != segments_.rbegin()->second;
    bool indexes = sealed && (segment->offset_index().dirty() || segment->time_index().dirty());
    if (!segment->log_dirty && !segment->name_dirty && !indexes && !segment->aborted_file) continue;
    Step step{segment, {}};
    if (!add(step.files, segment->file())) return;
    for (SparseIndex* index : {&segment->offset_index(), &segment->time_index()}) {
      if (!sealed || !index->dirty()) continue;
      if (!add(step.files, index->file())) return;
      index->mark_synced();
    }
    names |= segment->name_dirty || segment->aborted_file != nullptr;
    if (segment->aborted_file) step.files.push_back(std::exchange(segment->aborted_file, nullptr));
    // Writes from here on are another flush's.
    segment->log_dirty = false;
    segment->name_dirty = false;
    steps.push_back(std::move(step));
  }
  if (std::exchange(epochs_dirty_, false)) {
    steps.emplace_back();
    if (!add(steps.back().files, epochs_file())) return;
    names = true;
  }
  flushing_ = true;
  last_flush_wall_ms_ = world_.loop.wall_ms();
  auto alive = std::weak_ptr<int>(alive_);
  if (steps.size() == 1 && steps[0].files.size() == 1 && !names) {
    flushing_file_ = steps[0].files[0];
    flushing_file_->sync([this, alive, target](Result<void> result) {
      if (!alive.expired()) flush_done(target, std::move(result));
    });
    return;
  }
  auto outcome = std::make_shared<Result<void>>();
  auto work = [outcome, names, steps = std::move(steps), dir = dir_,
               &disk = world_.disk]() -> void {
    auto all = [&]() -> Result<void> {
      for (const Step& step : steps)
        for (const auto& file : step.files) OTTLA_TRY(file->sync_now());
      if (names) {
        OTTLA_TRY(disk.sync_dir(dir));
        OTTLA_TRY(disk.sync_dir(rt::parent_of(dir)));
      }
      return {};
    };
    *outcome = all();
  };
  world_.disk.run_blocking(std::move(work), [this, alive, target, outcome] {
    if (!alive.expired()) flush_done(target, std::move(*outcome));
  });
}

void PartitionLog::flush_done(int64_t target, Result<void> result) {
  flushing_ = false;
  flushing_file_.reset();
  if (closed_) {
    if (!result && closing_) closing_->result = std::move(result);
    close_if_idle();
    return;
  }
  if (!result) {
    // A directory renamed for deletion under the flush is no failing disk.
    if (result.error().code == Errc::not_found) return;
    fail_log(result.error());
    return;
  }
  target = std::min(target, flush_ceiling_);
  if (target > recovery_point_) recovery_point_ = target;
  uncheckpointed_bytes_ += std::exchange(flushing_bytes_, 0);
  if (uncheckpointed_bytes_ >= kCheckpointBytes) {
    uncheckpointed_bytes_ = 0;
    if (on_flushed_) on_flushed_();
  }
  fire_waiters();
  if (flush_wanted_ > recovery_point_ && !failed_ && !closed_) {
    flush_wanted_ = std::min(flush_wanted_, leo_);
    if (flush_wanted_ > recovery_point_) start_flush();
  }
}

void PartitionLog::when_durable(int64_t offset, Fn<void(bool)> done) {
  waiters_.emplace(offset, std::move(done));
  if (failed_ || recovery_point_ >= offset)
    world_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) fire_waiters();
    });
}

void PartitionLog::fire_waiters() {
  auto alive = std::weak_ptr<int>(alive_);
  while (!waiters_.empty() && (failed_ || waiters_.begin()->first <= recovery_point_)) {
    auto done = std::move(waiters_.extract(waiters_.begin()).mapped());
    done(!failed_);
    if (alive.expired()) return;  // the callback ended us
  }
}

void PartitionLog::close(std::function<void(const Result<void>&)> done) {
  OTTLA_CHECK(!closed_);
  closed_ = true;
  closing_ = std::make_unique<Closing>();
  closing_->done = std::move(done);
  if (failed_) closing_->result = fail(Errc::io, dir_ + ": the log's disk had failed");
  // What a flush in flight took on itself is sure only when that has ended, and ended well.
  close_if_idle();
}

void PartitionLog::close_if_idle() {
  if (!closing_ || closing_->begun || flushing_ || !naming_.empty()) return;
  closing_->begun = true;
  close_now();
}

void PartitionLog::close_now() {
  auto files =
      closing_->result ? files_to_close() : Result<std::vector<std::shared_ptr<rt::File>>>();
  if (!files) closing_->result = std::unexpected(files.error());
  if (files) closing_->files = std::move(*files);
  closing_->left = closing_->files.size() + 1;
  for (auto& file : closing_->files)
    file->sync([this, alive = std::weak_ptr<int>(alive_)](const Result<void>& result) {
      if (!alive.expired()) close_synced(result);
    });
  close_synced({});
}

Result<std::vector<std::shared_ptr<rt::File>>> PartitionLog::files_to_close() {
  std::vector<std::shared_ptr<rt::File>> files;
  closing_->names = epochs_dirty_;
  if (std::exchange(epochs_dirty_, false)) {
    OTTLA_ASSIGN(auto file, epochs_file());
    files.push_back(std::move(file));
  }
  if (active().size() > 0) {
    OTTLA_TRY(active().finish_indexes());
  } else {
    // Apache's broker reads a segment without an index file again, and logs an error for it.
    OTTLA_TRY(active().offset_index().create_missing());
    OTTLA_TRY(active().time_index().create_missing());
    closing_->names = true;
  }
  for (auto& [base, segment] : segments_) {
    for (SparseIndex* index : {&segment->offset_index(), &segment->time_index()})
      if (index->dirty()) {
        OTTLA_ASSIGN(auto file, index->file());
        files.push_back(std::move(file));
        closing_->names = true;  // it may be new, and a clean start would miss it
      }
    closing_->names |= segment->name_dirty || segment->aborted_file != nullptr;
    if (segment->aborted_file) files.push_back(std::exchange(segment->aborted_file, nullptr));
    if (!segment->log_dirty) continue;
    OTTLA_ASSIGN(auto file, segment->file());
    files.push_back(std::move(file));
  }
  producers_.set_end_offset(leo_);
  OTTLA_TRY(write_producer_snapshot());
  return files;
}

// The manager syncs the names of the directories themselves.
void PartitionLog::close_synced(const Result<void>& result) {
  if (!result && closing_->result) closing_->result = result;
  if (--closing_->left > 0) return;
  auto finish = [this](const Result<void>& closed) {
    if (closed) recovery_point_ = leo_;
    auto closing = std::move(closing_);
    closing->done(closed);
  };
  if (!closing_->result || !closing_->names) return finish(Result<void>(closing_->result));
  auto outcome = std::make_shared<Result<void>>();
  world_.disk.run_blocking(
      [outcome, dir = dir_, &disk = world_.disk] { *outcome = disk.sync_dir(dir); },
      [outcome, finish, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) finish(*outcome);
      });
}

// Never called from inside the caller's call: the manager drops logs in on_failure.
Refusal PartitionLog::fail_log(const Error& error) {
  if (failed_) return Refusal::kafka_storage_error;
  failed_ = true;
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), error] {
    if (alive.expired()) return;
    fire_waiters();
    if (!alive.expired() && on_failure_) on_failure_(error);
  });
  return Refusal::kafka_storage_error;
}

void PartitionLog::give_up() {
  on_failure_ = nullptr;
  fail_log({Errc::io, "the log directory is offline"});
  for (auto& [base, segment] : segments_) segment->abandon();
}

void PartitionLog::release_files() {
  for (auto& [base, segment] : segments_) segment->release();
}

// Written and renamed, not synced: the next flush does that, before durable_offset() covers what
// the epoch wrote. A file that a crash tears is made again from the batches. It is not kept open
// until then, which for an idle partition would be for ever: the sync of another descriptor covers
// the same file, and is told of an error from before when nobody was. Were that forgotten, the
// short file would be torn at worst.
void PartitionLog::epochs_changed() {
  auto write = [&]() -> Result<void> {
    std::string path = dir_ + "/" + kEpochFile, temporary = path + ".tmp";
    OTTLA_ASSIGN(auto file, world_.disk.open(temporary, rt::OpenMode::create));
    OTTLA_TRY(file->truncate(0));
    OTTLA_TRY(file->write_at(0, as_bytes(epochs_.encode())));
    return world_.disk.rename(temporary, path);
  };
  if (auto written = write(); !written) fail_log(written.error());
  epochs_dirty_ = true;
}

Result<std::shared_ptr<rt::File>> PartitionLog::epochs_file() {
  return world_.disk.open(dir_ + "/" + kEpochFile, rt::OpenMode::read_write);
}

}  // namespace ottla::broker
