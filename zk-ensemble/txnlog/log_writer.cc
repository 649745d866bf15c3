#include "zk-ensemble/txnlog/log_writer.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::zk {
namespace {
constexpr int64_t kGatherMaxNs = 1'000'000;
}  // namespace

LogWriter::LogWriter(rt::World world, std::string directory, const LogOptions& options,
                     Listener listener)
    : world_(world),
      directory_(std::move(directory)),
      options_(options),
      listener_(std::move(listener)) {
  gather_timer_ = world_.loop.make_timer([this] { commit_next(); });
}

LogWriter::~LogWriter() { *alive_ = false; }

void LogWriter::append(int64_t zxid, std::span<const Bytes> pieces) {
  size_t length = 0;
  for (Bytes piece : pieces) length += piece.size();
  if (options_.size_limit_bytes != 0 && queued_file_end_ > options_.size_limit_bytes)
    roll_next_ = true;
  // The front batch belongs to the sync that runs; a batch that is full, or ends its file, is closed.
  bool front_only = busy_ && queue_.size() == 1;
  if (queue_.empty() || front_only || roll_next_ || queue_.back().bytes.size() >= kMaxCommitBytes) {
    queue_.emplace_back();
    queue_.back().begins_file = roll_next_;
    queue_.back().first_zxid = zxid;
    if (roll_next_) queued_file_end_ = kFileHeaderBytes;
    roll_next_ = false;
  }
  Batch& batch = queue_.back();
  size_t at = batch.bytes.size();
  batch.bytes.resize_uninitialized(at + kRecordPrefixBytes + length + 1);
  uint8_t* to = batch.bytes.data() + at + kRecordPrefixBytes;
  for (Bytes piece : pieces) {
    if (piece.empty()) continue;
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  *to = kRecordEnd;
  uint8_t* prefix = batch.bytes.data() + at;
  store_be<uint64_t>(prefix, adler32(Bytes(prefix + kRecordPrefixBytes, length)));
  store_be<uint32_t>(prefix + 8, static_cast<uint32_t>(length));
  batch.last_zxid = zxid;
  ++batch.records;
  ++queued_records_;
  size_t added = batch.bytes.size() - at;
  queued_bytes_ += added;
  queued_file_end_ += added;
  schedule();
}

void LogWriter::release() {
  held_ = false;
  schedule();
}

void LogWriter::schedule() {
  if (scheduled_ || busy_ || held_ || failed_ || queue_.empty()) return;
  scheduled_ = true;
  world_.loop.post([this, alive = alive_] {
    if (!*alive) return;
    scheduled_ = false;
    commit_next();
  });
}

void LogWriter::commit_next() {
  if (busy_ || held_ || failed_ || queue_.empty() || worth_waiting()) return;
  busy_ = true;
  if (queue_.front().begins_file) {
    open_file(queue_.front().first_zxid);
  } else {
    write_and_sync();
  }
}

bool LogWriter::worth_waiting() {
  if (queued_records_ >= gather_records_ || world_.loop.now() >= gather_until_) {
    gather_timer_->cancel();
    return false;
  }
  if (!gather_timer_->armed()) gather_timer_->arm_at(gather_until_);
  return true;
}

// Name and header are durable before the first record is written: recovery takes a file without a
// good header for one that never held a record. A file that has this name already holds no record
// that recovery kept: it is what a crash left of one begun before.
void LogWriter::open_file(int64_t first_zxid) {
  struct Opened {
    Result<std::shared_ptr<rt::File>> file = nullptr;
    uint64_t allocated = 0;
  };
  auto opened = std::make_shared<Opened>();
  std::string path = directory_ + "/" + log_name(first_zxid);
  uint64_t wanted = kFileHeaderBytes + options_.preallocate_bytes;
  if (options_.preallocate_bytes == 0) wanted = 0;
  auto work = [&disk = world_.disk, directory = directory_, path, wanted, opened,
               before = std::exchange(file_, nullptr), before_end = file_end_] {
    opened->file = disk.open(path, rt::OpenMode::create);
    if (!opened->file) return;
    auto fail_with = [&](Error error) { opened->file = std::unexpected(std::move(error)); };
    rt::File& file = **opened->file;
    if (file.size() != 0) {
      if (auto done = file.truncate(0); !done) return fail_with(std::move(done).error());
    }
    if (wanted != 0) {
      auto done = file.allocate(wanted);
      if (!done && done.error().code != Errc::no_space) return fail_with(std::move(done).error());
      if (done) opened->allocated = wanted;  // else there may still be room for the records themselves
    }
    uint8_t header[kFileHeaderBytes];
    store_be<uint32_t>(header, kLogMagic);
    store_be<uint32_t>(header + 4, kFormatVersion);
    store_be<uint64_t>(header + 8, kLogDbId);
    Result<void> done = file.write_at(0, Bytes(header));
    if (done) done = file.sync_now();
    if (done) done = disk.sync_dir(directory);
    if (!done) return fail_with(std::move(done).error());
    // Padding takes room, and a busy server begins files often. Where it stays, nothing but room is lost.
    if (before && before_end < before->size()) (void)before->truncate(before_end);
  };
  auto done = [this, alive = alive_, opened] {
    if (!*alive) return;
    if (!opened->file) return fail_for_good(std::move(opened->file).error());
    file_ = std::move(*opened->file);
    file_end_ = kFileHeaderBytes;
    file_allocated_ = opened->allocated;
    write_and_sync();
  };
  world_.disk.run_blocking(std::move(work), std::move(done));
}

void LogWriter::write_and_sync() {
  if (auto written = write_front(); !written) return fail_for_good(std::move(written).error());
  if (!options_.force_sync) {
    world_.loop.post([this, alive = alive_] {
      if (*alive) committed();
    });
    return;
  }
  sync_began_ = world_.loop.now();
  file_->sync([this, alive = alive_](Result<void> synced) {
    if (!*alive) return;
    if (!synced) return fail_for_good(std::move(synced).error());
    committed();
  });
}

Result<void> LogWriter::write_front() {
  Batch& batch = queue_.front();
  uint64_t end = file_end_ + batch.bytes.size();
  if (options_.preallocate_bytes != 0) {
    uint64_t allocated = std::max<uint64_t>(file_allocated_, kFileHeaderBytes);
    while (end + kGrowMarginBytes >= allocated) allocated += options_.preallocate_bytes;
    if (allocated > file_allocated_) {
      auto done = file_->allocate(allocated);
      if (!done && done.error().code != Errc::no_space) return done;
      if (done) file_allocated_ = allocated;
    }
  }
  OTTLA_TRY(file_->write_at(file_end_, batch.bytes.bytes()));
  file_end_ = end;
  return {};
}

void LogWriter::committed() {
  if (options_.force_sync) {
    uint64_t took_ns = static_cast<uint64_t>(world_.loop.now() - sync_began_);
    stats_.sync_ns_last = took_ns;
    stats_.sync_ms.add(took_ns / 1'000'000);
    if (static_cast<int64_t>(took_ns) > slow_sync_ns_) ++stats_.slow_syncs;
    sync_ns_usual_ = (sync_ns_usual_ * 7 + static_cast<int64_t>(took_ns)) / 8;
  }
  Batch batch = std::move(queue_.front());
  queue_.pop_front();
  busy_ = false;
  queued_bytes_ -= batch.bytes.size();
  ++stats_.commits;
  stats_.commit_records.add(batch.records);
  stats_.records += batch.records;
  stats_.bytes += batch.bytes.size();
  gather_records_ = queued_records_;  // what was in flight, this batch included
  queued_records_ -= batch.records;
  gather_until_ = world_.loop.now() + std::min(sync_ns_usual_ / 4, kGatherMaxNs);
  std::shared_ptr<bool> alive = alive_;
  listener_.on_durable(batch.last_zxid);
  if (*alive) schedule();
}

void LogWriter::fail_for_good(Error error) {
  if (failed_) return;
  failed_ = true;
  file_.reset();
  listener_.on_failed(std::move(error));
}

}  // namespace ottla::zk
