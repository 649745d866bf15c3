#include "broker/log/segment.h"

#include "broker/log/names.h"

namespace ottla::broker {
namespace {
constexpr size_t kOffsetEntry = 8;
constexpr size_t kTimeEntry = 12;

struct OffsetEntry {
  int32_t relative;
  uint32_t position;
};
Result<OffsetEntry> offset_entry(SparseIndex& index, uint64_t at) {
  uint8_t raw[kOffsetEntry];
  OTTLA_TRY(index.get(at, raw));
  return OffsetEntry{load_be<int32_t>(raw), load_be<uint32_t>(raw + 4)};
}
struct TimeEntry {
  int64_t timestamp;
  int32_t relative;
};
Result<TimeEntry> time_entry(SparseIndex& index, uint64_t at) {
  uint8_t raw[kTimeEntry];
  OTTLA_TRY(index.get(at, raw));
  return TimeEntry{load_be<int64_t>(raw), load_be<int32_t>(raw + 8)};
}
}  // namespace

Segment::Segment(rt::Disk& disk, std::string dir, int64_t base_offset, uint64_t size,
                 int64_t created_wall_ms)
    : disk_(disk),
      dir_(std::move(dir)),
      base_offset_(base_offset),
      size_(size),
      created_wall_ms_(created_wall_ms),
      offset_index_(disk, path(kIndexSuffix), kOffsetEntry),
      time_index_(disk, path(kTimeIndexSuffix), kTimeEntry) {}

std::string Segment::path(const char* suffix) const {
  return dir_ + "/" + file_name(base_offset_, suffix);
}

void Segment::moved(std::string dir) {
  dir_ = std::move(dir);
  offset_index_.moved(path(kIndexSuffix));
  time_index_.moved(path(kTimeIndexSuffix));
}

Result<void> Segment::create() {
  OTTLA_ASSIGN(file_, disk_.open(path(kLogSuffix), rt::OpenMode::create));
  if (file_->size() > 0) OTTLA_TRY(file_->truncate(0));
  size_ = 0;
  name_dirty = true;
  max_loaded_ = true;
  return reset_indexes();
}

Result<std::shared_ptr<rt::File>> Segment::file() {
  if (!file_) {
    OTTLA_ASSIGN(file_, disk_.open(path(kLogSuffix), rt::OpenMode::read_write));
  }
  return file_;
}

void Segment::release() {
  offset_index_.release();
  time_index_.release();
  if (!log_dirty) file_ = nullptr;
}

void Segment::abandon() {
  log_dirty = false;
  aborted_file = nullptr;
  release();
}

// ----------------------------------------------------------------------------------------- writing

Result<void> Segment::write_chunk(Bytes bytes) {
  OTTLA_TRY(load_max_timestamp());
  OTTLA_ASSIGN(auto log, file());
  OTTLA_TRY(log->write_at(size_, bytes));
  size_ += bytes.size();
  log_dirty = true;
  return {};
}

Result<void> Segment::note_batch(uint64_t position, uint64_t size, int64_t last_offset,
                                 int64_t max_timestamp, int32_t index_interval_bytes) {
  if (position == 0) first_timestamp_ = max_timestamp;
  if (max_timestamp > max_timestamp_) {
    max_timestamp_ = max_timestamp;
    offset_of_max_ = last_offset;
  }
  if (bytes_since_index_ > static_cast<uint64_t>(index_interval_bytes)) {
    uint8_t entry[kOffsetEntry];
    store_be(entry, static_cast<int32_t>(last_offset - base_offset_));
    store_be(entry + 4, static_cast<uint32_t>(position));
    OTTLA_TRY(offset_index_.append(entry));
    OTTLA_TRY(index_max_timestamp());
    bytes_since_index_ = 0;
  }
  bytes_since_index_ += size;
  return {};
}

// The time index grows when the largest timestamp has.
Result<void> Segment::index_max_timestamp() {
  OTTLA_ASSIGN(uint64_t count, time_index_.count());
  int64_t indexed = -1;
  if (count > 0) {
    OTTLA_ASSIGN(TimeEntry last, time_entry(time_index_, count - 1));
    indexed = last.timestamp;
  }
  if (max_timestamp_ <= indexed) return {};
  uint8_t stamp[kTimeEntry];
  store_be(stamp, max_timestamp_);
  store_be(stamp + 8, static_cast<int32_t>(offset_of_max_ - base_offset_));
  return time_index_.append(stamp);
}

Result<bool> Segment::index_full(int32_t index_bytes_max) {
  OTTLA_ASSIGN(uint64_t offsets, offset_index_.count());
  if (offsets >= static_cast<uint64_t>(index_bytes_max) / kOffsetEntry) return true;
  OTTLA_ASSIGN(uint64_t times, time_index_.count());
  return times + 1 >= static_cast<uint64_t>(index_bytes_max) / kTimeEntry;
}

Result<void> Segment::finish_indexes() {
  OTTLA_TRY(load_max_timestamp());
  OTTLA_TRY(index_max_timestamp());
  OTTLA_TRY(offset_index_.save());
  return time_index_.save();
}

Result<void> Segment::truncate(uint64_t position, int64_t offset) {
  OTTLA_ASSIGN(auto log, file());
  OTTLA_TRY(log->truncate(position));
  size_ = position;
  log_dirty = true;
  auto relative = static_cast<int32_t>(offset - base_offset_ - 1);  // of the last offset kept
  OTTLA_ASSIGN(uint64_t offsets, offset_index_.count_not_above<int32_t>(relative));
  OTTLA_TRY(offset_index_.truncate(offsets));
  OTTLA_ASSIGN(uint64_t times, time_index_.count());
  while (times > 0) {
    OTTLA_ASSIGN(TimeEntry last, time_entry(time_index_, times - 1));
    if (last.relative <= relative) break;
    --times;
  }
  OTTLA_TRY(time_index_.truncate(times));
  bytes_since_index_ = 0;
  if (position == 0) first_timestamp_.reset();
  max_loaded_ = false;
  return load_max_timestamp();
}

// ----------------------------------------------------------------------------------------- finding

Result<uint64_t> Segment::position_of(int64_t offset) {
  if (offset <= base_offset_ || size_ == 0) return 0;
  int64_t distance = std::min<int64_t>(offset - base_offset_, INT32_MAX);
  OTTLA_ASSIGN(uint64_t below, offset_index_.count_not_above(static_cast<int32_t>(distance)));
  uint64_t from = 0;
  if (below > 0) {
    // The entry's batch ends at its offset; one that ends exactly at `offset` is the one wanted.
    OTTLA_ASSIGN(OffsetEntry entry, offset_entry(offset_index_, below - 1));
    from = entry.position;
  }
  OTTLA_ASSIGN(auto log, file());
  for (bool from_index = from > 0;; from_index = false) {
    BatchScanner scanner(*log, from, size_);
    OTTLA_ASSIGN(auto first, scanner.next());
    // An index entry that points into the middle of a batch, or too far, is not believed.
    if (from_index &&
        (!first || first->base_offset < base_offset_ || first->base_offset > offset)) {
      from = 0;
      continue;
    }
    for (; first;) {
      if (first->last_offset >= offset) return first->position;
      OTTLA_ASSIGN(first, scanner.next());
    }
    if (scanner.position() < size_)
      return fail(Errc::corrupt,
                  fmt::format("{} holds no batch at {}", path(kLogSuffix), scanner.position()));
    return size_;
  }
}

Result<int64_t> Segment::next_offset() {
  if (size_ == 0) return base_offset_;
  OTTLA_ASSIGN(uint64_t count, offset_index_.count());
  uint64_t from = 0;
  if (count > 0) {
    OTTLA_ASSIGN(OffsetEntry entry, offset_entry(offset_index_, count - 1));
    if (entry.position < size_) from = entry.position;
  }
  OTTLA_ASSIGN(auto log, file());
  int64_t next = base_offset_;
  BatchScanner scanner(*log, from, size_);
  OTTLA_ASSIGN(auto batch, scanner.next());
  while (batch) {
    next = batch->last_offset + 1;
    OTTLA_ASSIGN(batch, scanner.next());
  }
  if (scanner.position() != size_)
    return fail(Errc::corrupt,
                fmt::format("{} holds no batch at {}", path(kLogSuffix), scanner.position()));
  return next;
}

Result<uint64_t> Segment::position_for_timestamp(int64_t timestamp) {
  OTTLA_ASSIGN(uint64_t below, time_index_.count_not_above<int64_t>(timestamp));
  if (below == 0) return 0;
  OTTLA_ASSIGN(TimeEntry entry, time_entry(time_index_, below - 1));
  return position_of(base_offset_ + entry.relative);
}

// The last time index entry holds it when the segment was closed in order; what was appended behind
// the entry by a process that did not close is seen by recovery.
Result<void> Segment::load_max_timestamp() {
  if (max_loaded_) return {};
  max_timestamp_ = kNoTimestamp;
  offset_of_max_ = -1;
  uint64_t from = 0;
  OTTLA_ASSIGN(uint64_t count, time_index_.count());
  if (count > 0) {
    OTTLA_ASSIGN(TimeEntry last, time_entry(time_index_, count - 1));
    max_timestamp_ = last.timestamp;
    offset_of_max_ = base_offset_ + last.relative;
    OTTLA_ASSIGN(from, position_of(offset_of_max_));
  }
  if (size_ > 0) {
    OTTLA_ASSIGN(uint64_t indexed, offset_index_.count());
    if (indexed > 0) {
      OTTLA_ASSIGN(OffsetEntry entry, offset_entry(offset_index_, indexed - 1));
      from = std::max<uint64_t>(from, entry.position);
    }
    OTTLA_ASSIGN(auto log, file());
    BatchScanner scanner(*log, from, size_);
    OTTLA_ASSIGN(auto batch, scanner.next());
    while (batch) {
      if (batch->max_timestamp > max_timestamp_) {
        max_timestamp_ = batch->max_timestamp;
        offset_of_max_ = batch->last_offset;
      }
      OTTLA_ASSIGN(batch, scanner.next());
    }
  }
  max_loaded_ = true;
  return {};
}

Result<int64_t> Segment::max_timestamp() {
  OTTLA_TRY(load_max_timestamp());
  return max_timestamp_;
}
Result<int64_t> Segment::offset_of_max_timestamp() {
  OTTLA_TRY(load_max_timestamp());
  return offset_of_max_;
}

Result<std::optional<int64_t>> Segment::first_timestamp() {
  if (!first_timestamp_ && size_ > 0) {
    OTTLA_ASSIGN(auto log, file());
    BatchScanner scanner(*log, 0, size_);
    OTTLA_ASSIGN(auto batch, scanner.next());
    if (batch) first_timestamp_ = batch->max_timestamp;
  }
  return first_timestamp_;
}

// ---------------------------------------------------------------------------------------- recovery

Result<void> Segment::reset_indexes() {
  OTTLA_TRY(offset_index_.truncate(0));
  OTTLA_TRY(time_index_.truncate(0));
  bytes_since_index_ = 0;
  max_loaded_ = true;
  max_timestamp_ = kNoTimestamp;
  offset_of_max_ = -1;
  return {};
}

Result<Segment::Recovered> Segment::recover(int64_t trusted_offset, int32_t index_interval_bytes,
                                            bool dense,
                                            const std::function<void(const ScannedBatch&)>& see) {
  Recovered recovered{0, base_offset_};
  OTTLA_TRY(reset_indexes());
  OTTLA_ASSIGN(auto log, file());
  int64_t last_offset = base_offset_ - 1;
  BatchScanner scanner(*log, 0, size_);
  uint64_t good_end = 0;
  std::optional<uint64_t> untrusted;  // position of the first batch that may not be durable
  while (true) {
    // Below the trusted offset all was synced: headers suffice to index it, and gaps are those that
    // a compaction left, whatever the topic's policy is now.
    bool trusted = last_offset + 1 < trusted_offset;
    auto read = trusted ? scanner.next() : scanner.next_verified();
    OTTLA_ASSIGN(auto batch, std::move(read));
    // A batch's base offset is outside its checksum: it must be the one that is due, but where
    // compaction leaves gaps (and inside old messages' wrappers, which carry their last).
    if (!batch || batch->base_offset <= last_offset || !fits(batch->last_offset)) break;
    bool due = batch->magic != kMagicV2 || batch->base_offset == last_offset + 1;
    if (dense && !trusted && !due) break;
    OTTLA_TRY(note_batch(batch->position, batch->size, batch->last_offset, batch->max_timestamp,
                         index_interval_bytes));
    see(*batch);
    last_offset = batch->last_offset;
    if (last_offset >= trusted_offset && !untrusted) untrusted = batch->position;
    good_end = scanner.position();
  }
  recovered.next_offset = last_offset + 1;
  recovered.untrusted_position = untrusted.value_or(good_end);
  recovered.truncated_bytes = size_ - good_end;
  if (recovered.truncated_bytes > 0) {
    OTTLA_TRY(log->truncate(good_end));
    size_ = good_end;
    // Bytes that were cut must not come back behind what is written next.
    OTTLA_TRY(log->sync_now());
  }
  log_dirty = true;
  return recovered;
}

Result<void> Segment::write_again(uint64_t from) {
  constexpr uint64_t kChunk = 1 << 20;
  OTTLA_ASSIGN(auto log, file());
  Buffer chunk(kChunk);
  for (uint64_t at = from; at < size_;) {
    MutBytes room = chunk.mutable_bytes().first(std::min(kChunk, size_ - at));
    OTTLA_ASSIGN(size_t got, log->read_at(at, room));
    if (got == 0) return fail(Errc::corrupt, path(kLogSuffix) + " is shorter than it was");
    OTTLA_TRY(log->write_at(at, Bytes(room.first(got))));
    at += got;
  }
  log_dirty = true;
  return {};
}

Result<void> Segment::check_indexes(int32_t index_interval_bytes) {
  OTTLA_ASSIGN(uint64_t count, offset_index_.count());
  bool sound = true;
  if (count > 0) {
    OTTLA_ASSIGN(OffsetEntry entry, offset_entry(offset_index_, count - 1));
    sound = entry.relative > 0 && entry.position < size_;
    if (!sound && entry.relative == 0 && count == 1) sound = entry.position == 0;
  }
  OTTLA_ASSIGN(uint64_t times, time_index_.count());
  if (sound && times > 1) {
    OTTLA_ASSIGN(TimeEntry entry, time_entry(time_index_, times - 1));
    sound = entry.timestamp > 0;
  }
  if (sound) return {};
  OTTLA_ASSIGN(auto recovered,
               recover(base_offset_, index_interval_bytes, false, [](const ScannedBatch&) {}));
  (void)recovered;
  return {};
}

}  // namespace ottla::broker
