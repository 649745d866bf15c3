// BatchBuilder: makes one magic-2 batch of our own records (offsets, group metadata, markers,
// tests, conversions). Base offset 0 and leader epoch -1 unless said otherwise: the log assigns
// them.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/record/batch_format.h"
#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/compress/codec.h"
#include "common/wire/writer.h"

namespace ottla::broker {

class BatchBuilder {
 public:
  struct Options {
    compress::Codec codec = compress::Codec::none;
    compress::Levels levels;
    TimestampType timestamp_type = TimestampType::create_time;
    int64_t log_append_time_ms =
        kNoTimestamp;  // the max timestamp when the type is log append time
    int64_t base_offset = 0;
    int32_t leader_epoch = kNoLeaderEpoch;
    int64_t producer_id = kNoProducerId;
    int16_t producer_epoch = kNoProducerEpoch;
    int32_t base_sequence = kNoSequence;
    bool transactional = false;
    bool control = false;
  };
  using HeaderIn = std::pair<std::string_view, std::optional<Bytes>>;

  BatchBuilder() : BatchBuilder(Options{}) {}
  explicit BatchBuilder(const Options& options) : options_(options) {}

  void append(int64_t timestamp, std::optional<Bytes> key, std::optional<Bytes> value,
              std::span<const HeaderIn> headers = {});
  // At an explicit offset >= base_offset; offsets must grow.
  void append_at(int64_t offset, int64_t timestamp, std::optional<Bytes> key,
                 std::optional<Bytes> value, std::span<const HeaderIn> headers = {});
  compress::Codec codec() const { return options_.codec; }
  int32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  size_t size_estimate() const { return kBatchHeaderSize + records_.size(); }
  // The finished batch, appended to `out`. The builder is spent. Fails only when a codec does.
  Result<void> finish(Buffer& out);
  Buffer finish();  // for codec none, which cannot fail

 private:
  Options options_;
  wire::Writer records_;
  int32_t count_ = 0;
  int32_t last_offset_delta_ = -1;
  int64_t base_timestamp_ = kNoTimestamp;
  int64_t max_timestamp_ = kNoTimestamp;
};

// A transaction marker: one control batch.
Buffer build_end_txn_marker(int64_t timestamp, int64_t producer_id, int16_t producer_epoch,
                            ControlType type, int32_t coordinator_epoch);

}  // namespace ottla::broker
