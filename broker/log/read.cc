// PartitionLog: finding and reading.
#include <algorithm>

#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"
#include "broker/record/record_reader.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {
constexpr log::Room kLog{"broker.log"};
// The time index has no entries while the largest timestamp stands still: behind the last of them
// may lie a whole segment.
constexpr size_t kBatchesAtOnce = 1000;
}  // namespace

int64_t PartitionLog::end_of(const Segment& segment) const {
  auto next = segments_.upper_bound(segment.base_offset());
  return next == segments_.end() ? leo_ : next->first;
}

std::shared_ptr<Segment> PartitionLog::segment_for(int64_t offset) {
  auto above = segments_.upper_bound(offset);
  return above == segments_.begin() ? above->second : std::prev(above)->second;
}

Result<uint64_t> PartitionLog::position_of(Segment& segment, int64_t offset) {
  if (&segment == &active() && !recent_.empty() && offset >= recent_.front().base_offset) {
    auto holds =
        std::lower_bound(recent_.begin(), recent_.end(), offset,
                         [](const Boundary& at, int64_t want) { return at.last_offset < want; });
    return holds == recent_.end() ? segment.size() : holds->position;
  }
  return segment.position_of(offset);
}

ReadResult PartitionLog::read(int64_t start, uint64_t max_bytes, int64_t upper_bound,
                              bool min_one_batch) {
  ReadResult out;
  auto failed = [&](const Error& error) {
    ReadResult refused;
    // Damaged bytes are this read's trouble; the directory's disk does what it is told.
    if (error.code == Errc::corrupt)
      log::error(kLog, "a damaged batch cannot be read", "partition={} offset={} why={}", tp_text_,
                 start, error.context);
    refused.refusal = error.code == Errc::corrupt ? Refusal::corrupt_message : fail_log(error);
    return refused;
  };
  if (failed_) {
    out.refusal = Refusal::kafka_storage_error;
    return out;
  }
  if (start < log_start_offset_ || start > leo_) {
    out.refusal = Refusal::offset_out_of_range;
    return out;
  }
  int64_t upper = std::min(upper_bound, leo_);
  if (start >= upper) return out;

  std::shared_ptr<Segment> segment = segment_for(start);
  uint64_t from = 0, end = 0;
  while (true) {
    auto found = position_of(*segment, start);
    if (!found) return failed(found.error());
    from = *found;
    if (from < segment->size()) break;
    auto next = segments_.upper_bound(segment->base_offset());  // a gap that compaction left
    if (next == segments_.end()) return out;
    segment = next->second;
  }
  end = segment->size();
  out.in_older_segment = upper > end_of(*segment);
  out.upper_bound = std::min(upper, end_of(*segment));
  if (upper < end_of(*segment)) {
    auto found = position_of(*segment, upper);
    if (!found) return failed(found.error());
    end = *found;
  }
  if (from >= end) return out;

  auto file = segment->file();
  if (!file) return failed(file.error());
  uint64_t length = end - from;
  if (length > max_bytes) {
    BatchScanner scanner(**file, from, segment->size());
    auto first = scanner.next();
    if (!first) return failed(first.error());
    if (!*first)
      return failed(
          {Errc::corrupt, fmt::format("{} holds no batch at {}", segment->path(kLogSuffix), from)});
    uint64_t first_size = (*first)->size;
    out.first_batch_offset = (*first)->base_offset;
    out.first_batch_incomplete = first_size > max_bytes && !min_one_batch;
    length = std::min(length, min_one_batch ? std::max(max_bytes, first_size) : max_bytes);
  }
  out.slice = {*file, from, length};
  return out;
}

Result<Buffer> PartitionLog::read_bytes(const rt::FileSlice& slice) {
  Buffer bytes(static_cast<size_t>(slice.length));
  if (slice.length == 0) return bytes;
  OTTLA_ASSIGN(size_t got, slice.file->read_at(slice.offset, bytes.mutable_bytes()));
  bytes.resize_uninitialized(got);
  return bytes;
}

// ------------------------------------------------------------------------------------ by timestamp

Result<std::optional<TimestampOffset>> TimestampSearch::run(size_t open_max_bytes,
                                                            size_t max_batches) {
  std::optional<TimestampOffset> found;
  BatchScanner scanner(*file, from, end);
  for (size_t looked = 0; !found; ++looked) {
    from = scanner.position();
    if (looked == max_batches)
      return fail(Errc::too_large, fmt::format("{} has more batches to look at", file->path()));
    OTTLA_ASSIGN(auto batch, scanner.next());
    if (!batch) return found;
    if (batch->max_timestamp < timestamp || batch->last_offset < log_start_offset) continue;
    OTTLA_ASSIGN(Buffer bytes, read_batch(*file, *batch));
    auto see = [&](int64_t offset, int64_t of_record) {
      if (of_record < timestamp || offset < log_start_offset) return true;
      found = TimestampOffset{of_record, offset, batch->leader_epoch};
      return false;
    };
    OTTLA_TRY(each_timestamp({bytes, batch->magic}, see, open_max_bytes));
  }
  return found;
}

Result<std::optional<TimestampOffset>> PartitionLog::search_segment(
    Segment& segment, uint64_t from, int64_t timestamp, int64_t first_offset, int64_t next_offset,
    std::optional<TimestampSearch>* left) {
  OTTLA_ASSIGN(auto file, segment.file());
  TimestampSearch search{file, from, segment.size(), timestamp, first_offset, next_offset};
  if (!left) return search.run(kMaxOpenedBatchBytes);
  auto found = search.run(kOpenAtOnceBytes, kBatchesAtOnce);
  if (!found && found.error().code == Errc::too_large) *left = std::move(search);
  return found;
}

Result<std::optional<TimestampOffset>> PartitionLog::offset_for_timestamp(
    int64_t timestamp, std::optional<TimestampSearch>* left, int64_t from_offset) {
  for (auto at = segments_.lower_bound(from_offset); at != segments_.end(); ++at) {
    Segment& segment = *at->second;
    OTTLA_ASSIGN(int64_t newest, segment.max_timestamp());
    int64_t end = end_of(segment);
    if (newest < timestamp || end <= log_start_offset_) continue;
    OTTLA_ASSIGN(uint64_t from, segment.position_for_timestamp(timestamp));
    OTTLA_ASSIGN(auto found,
                 search_segment(segment, from, timestamp, log_start_offset_, end, left));
    if (found) return found;
  }
  return std::optional<TimestampOffset>();
}

Result<std::optional<TimestampOffset>> PartitionLog::offset_of_max_timestamp(
    std::optional<TimestampSearch>* left) {
  std::shared_ptr<Segment> best;
  int64_t newest = kNoTimestamp;
  for (auto& [base, segment] : segments_) {
    OTTLA_ASSIGN(int64_t timestamp, segment->max_timestamp());
    if (timestamp > newest) {
      newest = timestamp;
      best = segment;
    }
  }
  if (!best) return std::optional<TimestampOffset>();
  OTTLA_ASSIGN(int64_t offset, best->offset_of_max_timestamp());
  OTTLA_ASSIGN(uint64_t from, best->position_of(offset));
  // Also where DeleteRecords has removed it, as Kafka does: to look for another would mean to read
  // what is left of the segment.
  return search_segment(*best, from, newest, 0, INT64_MAX, left);
}

std::vector<int64_t> PartitionLog::legacy_offsets_before(int64_t timestamp, int32_t max_count) {
  constexpr int64_t kLatest = -1, kEarliest = -2;
  std::vector<int64_t> offsets;
  if (max_count <= 0) return offsets;
  if (timestamp == kEarliest) return {log_start_offset_};
  // Candidates newest first: leo stands behind the active segment when that holds anything.
  if (active().size() > 0) {
    bool old_enough = timestamp == kLatest || world_.loop.wall_ms() <= timestamp;
    if (old_enough) offsets.push_back(leo_);
  }
  for (auto at = segments_.rbegin(); at != segments_.rend(); ++at) {
    if (timestamp != kLatest) {
      auto info = world_.disk.stat(at->second->path(kLogSuffix));
      if (!info || info->modified_wall_ms > timestamp) continue;
    }
    offsets.push_back(std::max(at->first, log_start_offset_));
  }
  if (offsets.size() > static_cast<size_t>(max_count))
    offsets.resize(static_cast<size_t>(max_count));
  return offsets;
}

// --------------------------------------------------------------------------------------- offsets

void PartitionLog::set_hw(int64_t hw) {
  hw_ = std::clamp(hw, log_start_offset_, leo_);
  producers_.on_high_watermark(hw_);
}

int64_t PartitionLog::lso() const {
  auto unstable = producers_.first_unstable_offset();
  return unstable ? std::clamp(*unstable, log_start_offset_, hw_) : hw_;
}

int64_t PartitionLog::first_segment_base_offset() const { return segments_.begin()->first; }

LogStats PartitionLog::stats() const {
  LogStats stats;
  for (const auto& [base, segment] : segments_) stats.size_bytes += segment->size();
  stats.segments = static_cast<uint32_t>(segments_.size());
  stats.unflushed_records = leo_ - recovery_point_;
  return stats;
}

std::string PartitionLog::describe() const {
  return fmt::format("{} [{}, {}) hw={} lso={} durable={} segments={} epoch={}", tp_text_,
                     log_start_offset_, leo_, hw_, lso(), recovery_point_, segments_.size(),
                     latest_epoch().value_or(-1));
}

Result<void> PartitionLog::check_invariants() {
  auto wrong = [this](const std::string& what) {
    return fail(Errc::corrupt, tp_text_ + ": " + what);
  };
  if (!(log_start_offset_ <= hw_ && hw_ <= leo_ && recovery_point_ <= leo_))
    return wrong("offsets are out of order: " + describe());
  int64_t next = segments_.begin()->first;
  for (auto& [base, segment] : segments_) {
    if (base < next) return wrong(fmt::format("segment {} begins before {}", base, next));
    std::map<int64_t, uint64_t> batches;  // last offset -> position
    OTTLA_ASSIGN(auto file, segment->file());
    BatchScanner scanner(*file, 0, segment->size());
    next = base;
    while (scanner.position() < segment->size()) {
      OTTLA_ASSIGN(auto batch, scanner.next_verified());
      if (!batch) return wrong(fmt::format("no sound batch at {} of {}", scanner.position(), base));
      if (batch->base_offset < next)
        return wrong(fmt::format("offset {} comes after {}", batch->base_offset, next));
      next = batch->last_offset + 1;
      batches[batch->last_offset] = batch->position;
    }
    OTTLA_ASSIGN(Buffer offsets, segment->offset_index().all());
    for (size_t at = 0; at + 8 <= offsets.size(); at += 8) {
      auto found = batches.find(base + load_be<int32_t>(offsets.data() + at));
      if (found == batches.end() || found->second != load_be<uint32_t>(offsets.data() + at + 4))
        return wrong(fmt::format("index entry {} of segment {} points nowhere", at / 8, base));
    }
    OTTLA_ASSIGN(Buffer times, segment->time_index().all());
    int64_t newest = -1;
    for (size_t at = 0; at + 12 <= times.size(); at += 12) {
      int64_t timestamp = load_be<int64_t>(times.data() + at);
      if (timestamp <= newest || !batches.contains(base + load_be<int32_t>(times.data() + at + 8)))
        return wrong(fmt::format("time index entry {} of segment {} is wrong", at / 12, base));
      newest = timestamp;
    }
  }
  if (next > leo_) return wrong(fmt::format("the last batch ends at {}, leo is {}", next, leo_));
  return {};
}

}  // namespace ottla::broker
