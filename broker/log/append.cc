// PartitionLog: appending and rolling.
#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"
#include "common/base/prng.h"

namespace ottla::broker {
namespace {

constexpr size_t kRecentBatches = 64;

// Produce's LogStartOffset is -1 with these refusals and the real one with the others.
bool hides_log_start(Refusal refusal) {
  switch (refusal) {
    case Refusal::corrupt_message:
    case Refusal::unknown_topic_or_partition:
    case Refusal::not_leader_or_follower:
    case Refusal::message_too_large:
    case Refusal::record_list_too_large:
    case Refusal::kafka_storage_error:
      return true;
    default:
      return false;
  }
}

Appended refused(Refusal refusal, std::string message, int64_t log_start_offset) {
  Appended out;
  out.refusal = refusal;
  out.message = std::move(message);
  out.log_start_offset = hides_log_start(refusal) ? -1 : log_start_offset;
  return out;
}

}  // namespace

ValidateRules PartitionLog::rules() const {
  ValidateRules rules;
  rules.target_codec = config_.compression;
  rules.levels = config_.compression_levels;
  rules.timestamp_type =
      config_.timestamp_log_append ? TimestampType::log_append_time : TimestampType::create_time;
  rules.timestamp_before_max_ms = config_.timestamp_before_max_ms;
  rules.timestamp_after_max_ms = config_.timestamp_after_max_ms;
  rules.max_message_bytes = config_.max_message_bytes;
  rules.compacted = config_.cleanup_compact;
  return rules;
}

Appended PartitionLog::append_as_leader(MutBytes set, int32_t leader_epoch, Origin origin,
                                        size_t* open_budget) {
  if (failed_ || closed_)
    return refused(Refusal::kafka_storage_error, "the log's disk failed or it is closed", -1);
  ValidateInput input;
  input.origin = origin;
  input.first_offset = leo_;
  input.leader_epoch = leader_epoch;
  input.now_wall_ms = world_.loop.wall_ms();
  input.topic_partition = tp_text_;
  input.decompressor = decompressor_.get();
  if (open_budget != nullptr) input.open_max_bytes = *open_budget;
  Validated validated = validate_and_assign(set, rules(), input);
  if (open_budget != nullptr) *open_budget -= std::min(*open_budget, validated.opened_bytes);
  if (!validated.unfinished) return append_outcome(set, std::move(validated), leader_epoch, origin);
  Appended out;
  out.unfinished = true;
  return out;
}

Validation PartitionLog::validation(Origin origin) const {
  return {rules(), origin, world_.loop.wall_ms(), tp_text_};
}

Appended PartitionLog::append_validated(MutBytes set, Validated validated, int32_t leader_epoch,
                                        Origin origin) {
  if (failed_ || closed_)
    return refused(Refusal::kafka_storage_error, "the log's disk failed or it is closed", -1);
  reassign(validated, set, leo_, leader_epoch);
  return append_outcome(set, std::move(validated), leader_epoch, origin);
}

Appended PartitionLog::append_outcome(MutBytes set, Validated validated, int32_t leader_epoch,
                                      Origin origin) {
  if (validated.refusal != Refusal::none) {
    Appended out = refused(validated.refusal, std::move(validated.message), log_start_offset_);
    out.client_message = validated.client_message;
    out.record_errors = std::move(validated.record_errors);
    return out;
  }
  if (validated.first_offset < 0) {  // an empty set of an old producer
    Appended out;
    out.log_start_offset = log_start_offset_;
    return out;
  }
  Bytes bytes = validated.replaced ? validated.replaced->bytes() : set.first(validated.valid_bytes);
  return append_checked(bytes, validated, origin, leader_epoch);
}

Appended PartitionLog::append_checked(Bytes set, const Validated& validated, Origin origin,
                                      int32_t leader_epoch) {
  if (set.size() > static_cast<size_t>(config_.segment_bytes))
    return refused(
        Refusal::record_list_too_large,
        fmt::format("{} bytes do not fit a segment of {}", set.size(), config_.segment_bytes),
        log_start_offset_);
  Appended out;
  out.log_append_time_ms = validated.log_append_time_ms;
  out.log_start_offset = log_start_offset_;
  // Before the producers are asked, as Kafka does it: also what they refuse may end a segment.
  auto rolled = maybe_roll(set.size(), validated.max_timestamp, validated.first_offset,
                           validated.last_offset);
  if (!rolled) return refused(fail_log(rolled.error()), rolled.error().context, -1);
  BatchCursor cursor(set);
  while (auto raw = cursor.next()) {
    BatchView batch(raw->bytes);
    if (!batch.has_producer_id()) continue;
    ProducerState::Verdict verdict = producers_.check(batch, origin, read_control(batch));
    if (verdict.refusal != Refusal::none)
      return refused(verdict.refusal, std::move(verdict.message), log_start_offset_);
    if (verdict.duplicate) {
      out.duplicate = true;
      out.first_offset = verdict.duplicate->first_offset;
      out.last_offset = verdict.duplicate->last_offset;
      out.log_append_time_ms = verdict.duplicate->timestamp;
      // The first append may still be on its way to the disk.
      if (config_.flush_messages <= 1) out.ack_offset = out.last_offset + 1;
      return out;
    }
  }
  auto appended = append_chunk(set, validated.last_offset);
  if (!appended) return refused(fail_log(appended.error()), appended.error().context, -1);
  if (epochs_.assign(leader_epoch, validated.first_offset)) epochs_changed();
  out.first_offset = validated.first_offset;
  out.last_offset = validated.last_offset;
  out.record_count = validated.record_count;
  out.converted = validated.converted;
  out.bytes = set.size();
  if (leo_ - recovery_point_ >= config_.flush_messages) {
    out.ack_offset = leo_;
    flush();
  }
  return out;
}

Appended PartitionLog::append_as_follower(Bytes set) {
  if (failed_ || closed_)
    return refused(Refusal::kafka_storage_error, "the log's disk failed or it is closed", -1);
  Appended out;
  out.log_start_offset = log_start_offset_;
  BatchCursor cursor(set);
  int64_t next = leo_, max_timestamp = kNoTimestamp;
  while (auto raw = cursor.next()) {
    bool sound = raw->magic == kMagicV2 && BatchView(raw->bytes).crc_ok();
    if (!sound) return refused(Refusal::corrupt_message, "a fetched batch is not sound", -1);
    BatchView batch(raw->bytes);
    if (batch.base_offset() < next || batch.last_offset() < batch.base_offset())
      return refused(Refusal::offset_out_of_range,
                     fmt::format("a fetched batch begins at {}, the log ends at {}",
                                 batch.base_offset(), next),
                     log_start_offset_);
    if (out.first_offset < 0) out.first_offset = batch.base_offset();
    next = batch.next_offset();
    out.record_count += batch.record_count();
    max_timestamp = std::max(max_timestamp, batch.max_timestamp());
  }
  if (cursor.corrupt()) return refused(Refusal::corrupt_message, cursor.corruption(), -1);
  if (out.first_offset < 0) return out;
  out.last_offset = next - 1;
  out.bytes = cursor.position();
  set = set.first(cursor.position());
  auto appended = maybe_roll(set.size(), max_timestamp, out.first_offset, out.last_offset);
  if (appended) appended = append_chunk(set, out.last_offset);
  if (!appended) return refused(fail_log(appended.error()), appended.error().context, -1);
  BatchCursor again(set);
  bool changed = false;
  while (auto raw = again.next())
    changed |= epochs_.assign(BatchView(raw->bytes).leader_epoch(), raw->base_offset());
  if (changed) epochs_changed();
  if (leo_ - recovery_point_ >= config_.flush_messages) {
    out.ack_offset = leo_;
    flush();
  }
  return out;
}

// One write for the whole chunk; then the indexes, the producers and leo learn of it.
Result<void> PartitionLog::append_chunk(Bytes set, int64_t last_offset) {
  uint64_t position = active().size();
  OTTLA_TRY(active().write_chunk(set));
  OTTLA_TRY(note_batches(set, position));
  leo_ = last_offset + 1;
  unflushed_bytes_ += set.size();
  return {};
}

Result<void> PartitionLog::note_batches(Bytes set, uint64_t position) {
  BatchCursor cursor(set);
  while (auto raw = cursor.next()) {
    BatchView batch(raw->bytes);
    OTTLA_TRY(active().note_batch(position, raw->bytes.size(), batch.last_offset(),
                                  batch.max_timestamp(), config_.index_interval_bytes));
    recent_.push_back({batch.base_offset(), batch.last_offset(), position});
    if (recent_.size() > kRecentBatches) recent_.pop_front();
    position += raw->bytes.size();
    OTTLA_TRY(learn_batch(batch));
  }
  return {};
}

Result<void> PartitionLog::learn_batch(const BatchView& batch) {
  if (!batch.has_producer_id()) {
    producers_.set_end_offset(batch.next_offset());
    return {};
  }
  auto aborted = producers_.update(batch, batch.control() ? read_control(batch) : std::nullopt);
  return aborted ? append_aborted(*aborted) : Result<void>{};
}

// A fixed fraction of segment.jitter.ms for each segment, so that segments begun together do not
// roll together.
int64_t PartitionLog::roll_jitter_ms() const {
  int64_t most = std::min(config_.segment_jitter_ms, config_.segment_ms);
  if (most <= 0) return 0;
  Prng prng(jitter_seed_ ^ static_cast<uint64_t>(active().base_offset()));
  return static_cast<int64_t>(prng.below(static_cast<uint64_t>(most)));
}

Result<void> PartitionLog::maybe_roll(uint64_t incoming_bytes, int64_t incoming_max_timestamp,
                                      int64_t first_offset, int64_t last_offset) {
  Segment& segment = active();
  bool roll = segment.size() + incoming_bytes > static_cast<uint64_t>(config_.segment_bytes) ||
              !segment.fits(last_offset);
  if (!roll && segment.size() > 0) {
    OTTLA_ASSIGN(auto first, segment.first_timestamp());
    // Timestamps are a client's: they may be any number.
    int64_t waited = first && *first >= 0 ? std::max<int64_t>(incoming_max_timestamp, 0) - *first
                                          : world_.loop.wall_ms() - segment.created_wall_ms();
    roll = waited > config_.segment_ms - roll_jitter_ms();
  }
  if (!roll) {
    OTTLA_ASSIGN(roll, segment.index_full(config_.segment_index_bytes));
  }
  if (!roll || (segment.size() == 0 && segment.base_offset() == first_offset)) return {};
  return roll_to(first_offset);
}

bool PartitionLog::roll() {
  if (failed_ || closed_) return false;
  if (active().size() == 0 && active().base_offset() == leo_) return true;
  auto rolled = roll_to(leo_);
  if (!rolled) fail_log(rolled.error());
  return rolled.has_value();
}

// The old segment's indexes are finished; its bytes are made durable by the flush that starts here.
Result<void> PartitionLog::roll_to(int64_t base_offset) {
  OTTLA_TRY(active().finish_indexes());
  auto segment =
      std::make_shared<Segment>(world_.disk, dir_, base_offset, 0, world_.loop.wall_ms());
  OTTLA_TRY(segment->create());
  OTTLA_CHECK(base_offset >= leo_);
  if (base_offset > leo_) leo_ = base_offset;
  producers_.set_end_offset(base_offset);
  segments_[base_offset] = std::move(segment);
  recent_.clear();
  OTTLA_TRY(write_producer_snapshot());
  flush();
  return {};
}

void PartitionLog::begin_epoch(int32_t epoch) {
  if (failed_ || closed_) return;
  if (epochs_.assign(epoch, leo_)) epochs_changed();
}

std::optional<int32_t> PartitionLog::latest_epoch() const {
  auto latest = epochs_.latest();
  return latest ? std::optional<int32_t>(latest->epoch) : std::nullopt;
}

}  // namespace ottla::broker
