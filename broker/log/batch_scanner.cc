#include "broker/log/batch_scanner.h"

#include <algorithm>

#include "broker/record/legacy.h"

namespace ottla::broker {
namespace {
constexpr size_t kHeaderWindow = 8 * 1024;
constexpr size_t kVerifyWindow = 1024 * 1024;
}  // namespace

// Bytes [from, from + size), from the window or read into it; shorter only at the end.
Result<Bytes> BatchScanner::view(uint64_t from, size_t size, size_t read_ahead) {
  if (from < window_from_ || from + size > window_from_ + window_.size()) {
    size_t want = static_cast<size_t>(std::min<uint64_t>(std::max(size, read_ahead), end_ - from));
    window_.resize_uninitialized(want);
    OTTLA_ASSIGN(size_t got, file_.read_at(from, window_.mutable_bytes()));
    window_.resize_uninitialized(got);
    window_from_ = from;
  }
  size_t skip = static_cast<size_t>(from - window_from_);
  return window_.bytes().subspan(skip, std::min(size, window_.size() - skip));
}

Result<std::optional<ScannedBatch>> BatchScanner::next() {
  std::optional<ScannedBatch> none;
  if (end_ - at_ < kLogOverhead + kLegacyMinSizeV0) return none;
  OTTLA_ASSIGN(Bytes head,
               view(at_, std::min<size_t>(kBatchHeaderSize, end_ - at_), kHeaderWindow));
  if (head.size() < kLogOverhead + kLegacyMinSizeV0) return none;
  int32_t length = load_be<int32_t>(head.data() + kLengthAt);
  ScannedBatch batch;
  batch.position = at_;
  batch.magic = static_cast<int8_t>(head[kMagicAt]);
  batch.size = static_cast<uint64_t>(length) + kLogOverhead;
  batch.base_offset = load_be<int64_t>(head.data());
  size_t least = batch.magic == kMagicV2 ? kBatchHeaderSize : kLogOverhead + kLegacyMinSizeV0;
  if (batch.magic == kMagicV1) least = kLogOverhead + kLegacyMinSizeV1;
  bool sane = length > 0 && batch.magic >= kMagicV0 && batch.magic <= kMagicV2 &&
              batch.size >= least && batch.size <= end_ - at_ && batch.base_offset >= 0 &&
              batch.base_offset < INT64_MAX - INT32_MAX;
  if (!sane || head.size() < std::min(least, kBatchHeaderSize)) return none;
  if (batch.magic == kMagicV2) {
    BatchView view(head);
    if (view.last_offset_delta() < 0) return none;
    batch.last_offset = view.last_offset();
    batch.max_timestamp = view.max_timestamp();
    batch.leader_epoch = view.leader_epoch();
    batch.header = head;
  } else {
    batch.last_offset = batch.base_offset;
    if (batch.magic == kMagicV1)
      batch.max_timestamp = load_be<int64_t>(head.data() + kLegacyTimestampAt);
  }
  at_ += batch.size;
  return batch;
}

Result<std::optional<ScannedBatch>> BatchScanner::next_verified() {
  uint64_t from = at_;
  if (end_ > from) {
    size_t ahead = static_cast<size_t>(std::min<uint64_t>(kVerifyWindow, end_ - from));
    OTTLA_TRY(view(from, std::min<size_t>(ahead, kBatchHeaderSize), ahead));
  }
  OTTLA_ASSIGN(auto batch, next());
  if (!batch) return batch;
  std::optional<ScannedBatch> none;
  OTTLA_ASSIGN(whole_, view(from, static_cast<size_t>(batch->size), kVerifyWindow));
  bool ok = whole_.size() == batch->size;
  if (ok && batch->magic == kMagicV2) {
    ok = BatchView(whole_).crc_ok();
    batch->header = whole_.first(kBatchHeaderSize);
  } else if (ok) {
    ok = LegacyView({whole_, batch->magic}).crc_ok();
  }
  if (!ok) {
    at_ = from;
    return none;
  }
  return batch;
}

Result<Buffer> read_batch(rt::File& file, const ScannedBatch& batch) {
  Buffer bytes(static_cast<size_t>(batch.size));
  OTTLA_ASSIGN(size_t got, file.read_at(batch.position, bytes.mutable_bytes()));
  if (got != batch.size) return fail(Errc::corrupt, file.path() + " ends inside a batch");
  return bytes;
}

}  // namespace ottla::broker
