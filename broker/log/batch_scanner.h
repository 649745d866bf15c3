// BatchScanner: walks the batch headers of a stretch of a segment file, reading ahead in windows
// that many small batches share and that big ones cost little. Verifies checksums when asked to.
#pragma once

#include <optional>

#include "broker/record/batch_view.h"
#include "common/rt/world.h"

namespace ottla::broker {

struct ScannedBatch {
  uint64_t position = 0;
  uint64_t size = 0;
  int8_t magic = 0;
  int64_t base_offset = 0;  // a v0/v1 wrapper's is that of its last record
  int64_t last_offset = 0;
  int64_t max_timestamp = kNoTimestamp;
  int32_t leader_epoch = kNoLeaderEpoch;
  Bytes header;  // of magic 2: kBatchHeaderSize bytes, until the next call
};

class BatchScanner {
 public:
  // From `from`, the start of a batch, up to `end` (a file position).
  BatchScanner(rt::File& file, uint64_t from, uint64_t end) : file_(file), at_(from), end_(end) {}
  // nullopt: the end, or what follows is no whole sane batch (then position() < end).
  Result<std::optional<ScannedBatch>> next();
  // The same, reading each batch whole and checking its checksum; bytes() holds it until the next
  // call.
  Result<std::optional<ScannedBatch>> next_verified();
  Bytes bytes() const { return whole_; }
  uint64_t position() const { return at_; }  // of the next batch

 private:
  Result<Bytes> view(uint64_t from, size_t size, size_t read_ahead);
  rt::File& file_;
  uint64_t at_;
  uint64_t end_;
  Buffer window_;
  uint64_t window_from_ = 0;
  Bytes whole_;
};

// Reads one batch whole.
Result<Buffer> read_batch(rt::File& file, const ScannedBatch& batch);

}  // namespace ottla::broker
