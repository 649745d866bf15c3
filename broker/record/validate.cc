#include "broker/record/validate.h"

#include <fmt/core.h>

#include "broker/record/batch_builder.h"
#include "broker/record/legacy.h"
#include "broker/record/walk.h"

namespace ottla::broker {
namespace {

Validated refuse(Refusal refusal, std::string message) {
  Validated out;
  out.refusal = refusal;
  out.message = std::move(message);
  return out;
}

Validated refuse(const Error& error) { return refuse(refusal_of(error), error.context); }

Validated unfinished(size_t opened_bytes) {
  Validated out;
  out.unfinished = true;
  out.opened_bytes = opened_bytes;
  return out;
}

// What passed a bound: this call's, or the one that refuses it.
Validated over_bound(const ValidateInput& input, size_t max_bytes) {
  if (input.open_max_bytes < max_bytes) return unfinished(input.open_max_bytes);
  return refuse(Refusal::message_too_large,
                fmt::format("a batch decompresses to more than {} bytes", max_bytes));
}

// Collects what is wrong with single records; one wrong record refuses the batch.
class RecordChecks {
 public:
  RecordChecks(const ValidateRules& rules, const ValidateInput& input, TimestampType batch_type)
      : rules_(rules), input_(input), batch_type_(batch_type) {}

  void check(int32_t index, int64_t offset, int64_t timestamp, bool has_key) {
    if (rules_.compacted && !has_key) {
      add(index,
          fmt::format("Compacted topic cannot accept message without key in topic partition {}",
                      input_.topic_partition));
      return;
    }
    if (rules_.timestamp_type == TimestampType::create_time && timestamp != kNoTimestamp) {
      if (!in_range(timestamp)) {
        bad_timestamp_ = true;
        add(index,
            fmt::format("Timestamp {} of message with offset {} is out of range. The timestamp "
                        "should be within [{}, {}]",
                        timestamp, offset,
                        wrap_sub(input_.now_wall_ms, rules_.timestamp_before_max_ms),
                        wrap_add(input_.now_wall_ms, rules_.timestamp_after_max_ms)));
      }
    } else if (batch_type_ == TimestampType::log_append_time) {
      bad_timestamp_ = true;
      add(index,
          "Invalid timestamp type in message. Producer should not set timestamp type to "
          "LogAppendTime.");
    }
  }

  void foreign_magic(int32_t index) {
    add(index, fmt::format("Record's magic does not match outer magic in topic partition {}",
                           input_.topic_partition));
  }

  std::optional<Validated> verdict() {
    if (errors_.empty()) return std::nullopt;
    Validated out;
    out.client_message = true;
    if (bad_timestamp_) {
      out.refusal = Refusal::invalid_timestamp;
      out.message = "One or more records have been rejected due to invalid timestamp";
    } else {
      out.refusal = Refusal::invalid_record;
      out.message = fmt::format(
          "One or more records have been rejected due to {} record errors in total, "
          "and only showing the first three errors at most: [",
          count_);
      for (size_t i = 0; i < errors_.size() && i < 3; ++i)
        out.message += fmt::format("{}RecordError(batchIndex={}, message='{}')", i ? ", " : "",
                                   errors_[i].batch_index, errors_[i].message);
      out.message += "]";
    }
    out.record_errors = std::move(errors_);
    return out;
  }

 private:
  static int64_t wrap_sub(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
  static int64_t wrap_add(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  bool in_range(int64_t timestamp) const {
    int64_t behind = wrap_sub(input_.now_wall_ms, timestamp);
    return behind <= rules_.timestamp_before_max_ms &&
           wrap_sub(0, behind) <= rules_.timestamp_after_max_ms;
  }
  void add(int32_t index, std::string message) {
    ++count_;
    if (errors_.size() < kMaxRecordErrors) errors_.push_back({index, std::move(message)});
  }

  const ValidateRules& rules_;
  const ValidateInput& input_;
  TimestampType batch_type_;
  std::vector<RecordError> errors_;
  size_t count_ = 0;
  bool bad_timestamp_ = false;
};

// What is demanded of every batch before it is looked into: offset, size, checksum.
std::optional<Validated> check_outside(const RawBatch& batch, const ValidateRules& rules,
                                       const ValidateInput& input) {
  bool v2 = batch.magic == kMagicV2;
  if (v2 && input.origin == Origin::client && batch.base_offset() != 0)
    return refuse(Refusal::invalid_record,
                  fmt::format("base offset {} should be 0", batch.base_offset()));
  if (batch.bytes.size() > static_cast<size_t>(rules.max_message_bytes))
    return refuse(Refusal::message_too_large,
                  fmt::format("a batch of {} bytes passes max.message.bytes={}", batch.bytes.size(),
                              rules.max_message_bytes));
  size_t least =
      v2 ? kBatchHeaderSize
         : kLogOverhead + (batch.magic == kMagicV1 ? kLegacyMinSizeV1 : kLegacyMinSizeV0);
  if (batch.bytes.size() < least)
    return refuse(Refusal::corrupt_message, "a batch is shorter than its header");
  if (!(v2 ? BatchView(batch.bytes).crc_ok() : LegacyView(batch).crc_ok()))
    return refuse(Refusal::corrupt_message, "a batch fails its checksum");
  int codec = v2 ? BatchView(batch.bytes).codec_id() : LegacyView(batch).codec_id();
  if (codec >= compress::kCodecCount)
    return refuse(Refusal::unknown_server_error, fmt::format("codec {} is none", codec));
  return std::nullopt;
}

std::optional<Validated> check_header(const BatchView& batch, Origin origin) {
  if (origin != Origin::client) return std::nullopt;
  auto bad = [](const char* why) { return refuse(Refusal::invalid_record, why); };
  int64_t span = int64_t{batch.last_offset_delta()} + 1;
  if (span <= 0) return bad("the batch has an invalid offset range");
  if (batch.record_count() <= 0) return bad("the batch has no records");
  if (span != batch.record_count()) return bad("offset range and record count differ");
  if (batch.control()) return bad("clients may not write control records");
  if (batch.has_producer_id() && batch.base_sequence() < 0)
    return bad("an invalid sequence number");
  return std::nullopt;
}

struct Opened {
  size_t bytes = 0;
  bool sizes_agree = true;
  int64_t max_timestamp = kNoTimestamp;
  bool offsets_consecutive = true;
};

// Looks at every record.
std::optional<Validated> check_records(const BatchView& batch, const ValidateInput& input,
                                       RecordChecks& checks, Opened& opened) {
  compress::Decompressor own;
  compress::Decompressor& decompressor = input.decompressor ? *input.decompressor : own;
  bool packed = batch.codec_id() != 0;
  size_t max_bytes = packed ? std::min(kMaxOpenedBytes, input.open_max_bytes) : SIZE_MAX;
  if (auto begun = decompressor.begin(*batch.codec(), batch.records()); !begun)
    return refuse(begun.error());
  std::optional<Validated> broken;
  auto more = [&]() -> Bytes {
    if (broken) return {};
    auto piece = decompressor.next();
    if (!piece) {
      broken = refuse(piece.error());
      return {};
    }
    opened.bytes += piece->size();
    if (opened.bytes <= max_bytes) return *piece;
    broken = over_bound(input, kMaxOpenedBytes);
    return {};
  };
  int32_t index = 0;
  Walked walked = walk_records(batch, more, [&](int64_t offset, int64_t timestamp, bool has_key) {
    if (offset != index) opened.offsets_consecutive = false;
    opened.max_timestamp = std::max(opened.max_timestamp, timestamp);
    checks.check(index, offset, timestamp, has_key);
    ++index;
  });
  if (broken) return broken;
  if (!walked.sound) return refuse(Refusal::invalid_record, "the batch's records do not decode");
  opened.sizes_agree = walked.agree;
  return checks.verdict();
}

BatchBuilder::Options rebuild_options(compress::Codec codec, const ValidateRules& rules,
                                      const ValidateInput& input) {
  BatchBuilder::Options options;
  options.codec = codec;
  options.levels = rules.levels;
  options.timestamp_type = rules.timestamp_type;
  options.log_append_time_ms = input.now_wall_ms;
  options.base_offset = input.first_offset;
  options.leader_epoch = input.leader_epoch;
  return options;
}

void append_record(BatchBuilder& builder, const Record& record) {
  std::vector<BatchBuilder::HeaderIn> headers;
  for (const Header& header : record.headers)
    headers.emplace_back(as_text(header.key), header.value);
  builder.append(record.timestamp, record.key, record.value, headers);
}

// Writing records anew takes about so many times what opening the same bytes does.
size_t rebuild_cost(compress::Codec to) {
  bool slow = to == compress::Codec::gzip || to == compress::Codec::zstd;
  return to == compress::Codec::none ? 1 : slow ? 16 : 4;
}
// Bytes of records that may be written anew for this call.
size_t rebuild_at_once(compress::Codec to, const ValidateInput& input) {
  return input.open_max_bytes == SIZE_MAX ? SIZE_MAX : input.open_max_bytes / rebuild_cost(to);
}

Validated finish_rebuilt(BatchBuilder& builder, const ValidateRules& rules,
                         const ValidateInput& input) {
  Validated out;
  Buffer bytes;
  out.opened_bytes = builder.size_estimate() * rebuild_cost(builder.codec());
  if (auto done = builder.finish(bytes); !done) return refuse(done.error());
  if (bytes.size() > static_cast<size_t>(rules.max_message_bytes))
    return refuse(Refusal::message_too_large, "the rewritten batch passes max.message.bytes");
  BatchView batch(bytes);
  out.valid_bytes = bytes.size();
  out.first_offset = input.first_offset;
  out.last_offset = batch.last_offset();
  out.max_timestamp = batch.max_timestamp();
  out.offset_of_max_timestamp = batch.last_offset();
  out.record_count = batch.record_count();
  out.converted = true;
  out.replaced = std::move(bytes);
  return out;
}

Validated recompress(const RawBatch& raw, compress::Codec codec, const ValidateRules& rules,
                     const ValidateInput& input) {
  BatchView batch(raw.bytes);
  auto options = rebuild_options(codec, rules, input);
  options.producer_id = batch.producer_id();
  options.producer_epoch = batch.producer_epoch();
  options.base_sequence = batch.base_sequence();
  options.transactional = batch.transactional();
  BatchBuilder builder(options);
  size_t at_once = rebuild_at_once(codec, input);
  if (raw.bytes.size() > at_once) return unfinished(0);
  RecordChecks checks(rules, input, batch.timestamp_type());
  int32_t index = 0;
  auto visit = [&](const Record& record) {
    checks.check(index++, record.offset, record.timestamp, record.key.has_value());
    append_record(builder, record);
    return true;
  };
  auto read = each_record(raw, visit, std::min(kMaxRebuiltBytes, at_once));
  if (!read && read.error().code == Errc::too_large) return over_bound(input, kMaxRebuiltBytes);
  if (!read) return refuse(read.error());
  if (auto refused = checks.verdict()) return std::move(*refused);
  // -1 alone says "no producer" to who writes a batch; below 0 does to who only reads it.
  constexpr int64_t kNone = -1;
  bool has_id = batch.producer_id() != kNone;
  if (has_id && (batch.producer_epoch() == kNone || batch.base_sequence() < 0))
    return refuse(Refusal::unknown_server_error, "a producer without epoch or sequence number");
  if (batch.transactional() && !has_id)
    return refuse(Refusal::unknown_server_error, "a transaction without a producer");
  return finish_rebuilt(builder, rules, input);
}

Validated assign_in_place(MutBytes bytes, const ValidateRules& rules, const ValidateInput& input,
                          int64_t max_timestamp) {
  Validated out;
  if (rules.timestamp_type == TimestampType::log_append_time) max_timestamp = input.now_wall_ms;
  set_base_offset(bytes, input.first_offset);
  set_leader_epoch(bytes, input.leader_epoch);
  set_max_timestamp(bytes, rules.timestamp_type, max_timestamp);
  BatchView batch(bytes);
  out.valid_bytes = bytes.size();
  out.first_offset = input.first_offset;
  out.last_offset = batch.last_offset();
  out.max_timestamp = max_timestamp;
  out.offset_of_max_timestamp = batch.last_offset();
  out.record_count = batch.record_count();
  return out;
}

Validated validate_v2(MutBytes bytes, const ValidateRules& rules, const ValidateInput& input) {
  BatchView batch(bytes);
  RawBatch raw{bytes, kMagicV2};
  if (!batch.codec()) return refuse(Refusal::unknown_server_error, "unknown compression type");
  if (auto refused = check_header(batch, input.origin)) return std::move(*refused);
  compress::Codec codec = *batch.codec(), target = rules.target_codec.value_or(codec);
  if (target != codec && !batch.control()) return recompress(raw, target, rules, input);

  RecordChecks checks(rules, input, batch.timestamp_type());
  Opened opened;
  if (auto refused = check_records(batch, input, checks, opened)) return std::move(*refused);
  if (codec != compress::Codec::none && !opened.offsets_consecutive)
    return refuse(Refusal::unknown_server_error, "the records' offsets do not count up from 0");
  if (!opened.sizes_agree)
    return refuse(Refusal::invalid_record, "a record's size is not that of its fields");
  Validated out = assign_in_place(bytes, rules, input, opened.max_timestamp);
  if (codec != compress::Codec::none) out.opened_bytes = opened.bytes;
  return out;
}

// One message of magic 0 or 1, alone or inside a wrapper, goes into the new batch.
class LegacyAppender {
 public:
  LegacyAppender(BatchBuilder& builder, RecordChecks& checks)
      : builder_(builder), checks_(checks) {}

  void append(const LegacyView& message, int64_t base_offset, const LegacyView* wrapper) {
    auto record = legacy_record(message, base_offset, wrapper);
    if (!record) {
      unreadable_ = true;
      return;
    }
    checks_.check(index_++, record->offset, record->timestamp, record->key.has_value());
    append_record(builder_, *record);
  }
  std::optional<Validated> append_inner(const LegacyView& wrapper, const InnerMessages& inner) {
    for (const LegacyView& message : inner.messages) {
      if (message.codec_id() >= compress::kCodecCount)
        return refuse(Refusal::unknown_server_error, "unknown compression type");
      if (message.codec_id() != 0)
        return refuse(Refusal::invalid_record, "a compressed message inside another");
      if (message.magic() != wrapper.magic()) {
        checks_.foreign_magic(index_++);
        continue;
      }
      if (!message.crc_ok())
        return refuse(Refusal::corrupt_message, "an inner message fails its checksum");
      append(message, inner.base_offset, &wrapper);
    }
    return std::nullopt;
  }
  std::optional<Validated> verdict() {
    if (auto refused = checks_.verdict()) return refused;
    if (unreadable_)
      return refuse(Refusal::unknown_server_error, "a message's sizes do not add up");
    return std::nullopt;
  }

 private:
  BatchBuilder& builder_;
  RecordChecks& checks_;
  int32_t index_ = 0;
  bool unreadable_ = false;
};

std::optional<Validated> append_legacy_batch(const RawBatch& batch, BatchBuilder& builder,
                                             const ValidateRules& rules,
                                             const ValidateInput& input) {
  LegacyView view(batch);
  RecordChecks checks(rules, input, view.timestamp_type());
  LegacyAppender appender(builder, checks);
  if (view.codec_id() == 0) {
    appender.append(view, 0, nullptr);
    return appender.verdict();
  }
  auto inner =
      open_wrapper(view, std::min(kMaxRebuiltBytes, rebuild_at_once(builder.codec(), input)));
  if (!inner && inner.error().refusal == Refusal::message_too_large)
    return over_bound(input, kMaxRebuiltBytes);
  if (!inner) return refuse(inner.error().refusal, inner.error().why);
  if (auto refused = appender.append_inner(view, *inner)) return refused;
  return appender.verdict();
}

// Magic 0 and 1: all messages of the set become one batch of magic 2.
Validated validate_legacy(const std::vector<RawBatch>& batches, const ValidateRules& rules,
                          const ValidateInput& input) {
  int source = 0;
  for (const RawBatch& batch : batches) {
    int codec = LegacyView(batch).codec_id();
    if (codec >= compress::kCodecCount)
      return refuse(Refusal::unknown_server_error, "unknown compression type");
    if (codec != 0) source = codec;
  }
  if (source != 0 && batches.size() > 1)
    return refuse(Refusal::invalid_record, "a compressed message stands beside others");

  auto codec = rules.target_codec.value_or(static_cast<compress::Codec>(source));
  size_t size = 0;
  for (const RawBatch& batch : batches) size += batch.bytes.size();
  if (size > rebuild_at_once(codec, input)) return unfinished(0);
  BatchBuilder builder(rebuild_options(codec, rules, input));
  for (const RawBatch& batch : batches) {
    if (batch.magic != batches.front().magic)
      return refuse(Refusal::invalid_record, "messages of different magic in one set");
    if (auto refused = append_legacy_batch(batch, builder, rules, input))
      return std::move(*refused);
  }
  return finish_rebuilt(builder, rules, input);
}

}  // namespace

SetCheck check_produce_set(int16_t produce_version, Bytes set) {
  BatchCursor cursor(set, true);
  auto first = cursor.next();
  if (cursor.corrupt()) return {Refusal::corrupt_message, cursor.corruption()};
  if (produce_version < 3) return {};
  if (!first || first->magic != kMagicV2) return {Refusal::invalid_record, {}};
  if (produce_version < 7) {
    int codec = load_be<int16_t>(first->bytes.data() + kAttributesAt) & kCodecMask;
    if (codec >= compress::kCodecCount) return {Refusal::unknown_server_error, {}};
    if (static_cast<compress::Codec>(codec) == compress::Codec::zstd)
      return {Refusal::unsupported_compression_type, {}};
  }
  if (cursor.next()) return {Refusal::invalid_record, {}};
  if (cursor.corrupt()) return {Refusal::corrupt_message, cursor.corruption()};
  return {};
}

Validated validate_and_assign(MutBytes set, const ValidateRules& rules,
                              const ValidateInput& input) {
  std::vector<RawBatch> batches;
  BatchCursor cursor(set, true);
  while (auto batch = cursor.next()) {
    if (auto refused = check_outside(*batch, rules, input)) return std::move(*refused);
    batches.push_back(*batch);
  }
  if (cursor.corrupt()) return refuse(Refusal::corrupt_message, cursor.corruption());
  Validated out;
  if (batches.empty()) {
    out.last_offset = input.first_offset - 1;
    return out;
  }
  if (batches.front().magic != kMagicV2) {
    out = validate_legacy(batches, rules, input);
  } else if (batches.size() > 1) {
    return refuse(Refusal::invalid_record, "more than one batch");
  } else {
    out = validate_v2(set.first(batches.front().bytes.size()), rules, input);
  }
  if (out.refusal == Refusal::none && rules.timestamp_type == TimestampType::log_append_time)
    out.log_append_time_ms = input.now_wall_ms;
  return out;
}

Validated Validation::run(MutBytes set) const {
  ValidateInput input;
  input.origin = origin;
  input.now_wall_ms = now_wall_ms;
  input.topic_partition = topic_partition;
  return validate_and_assign(set, rules, input);
}

void reassign(Validated& validated, MutBytes set, int64_t first_offset, int32_t leader_epoch) {
  if (validated.refusal != Refusal::none || validated.first_offset < 0) return;
  MutBytes batch =
      validated.replaced ? validated.replaced->mutable_bytes() : set.first(validated.valid_bytes);
  int64_t moved = first_offset - validated.first_offset;
  validated.first_offset += moved;
  validated.last_offset += moved;
  validated.offset_of_max_timestamp += moved;
  set_base_offset(batch, first_offset);
  set_leader_epoch(batch, leader_epoch);
}

}  // namespace ottla::broker
