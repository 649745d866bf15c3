#include "broker/log/producer_state.h"

#include <fmt/core.h>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::broker {
namespace {

constexpr size_t kBatchesRemembered = 5;
constexpr int16_t kSnapshotVersion = 1;
constexpr size_t kSnapshotCrcAt = 2;
constexpr size_t kSnapshotBodyAt = 6;
constexpr size_t kSnapshotEntrySize = 46;

bool in_sequence(int32_t last, int32_t next) {
  return int64_t{next} == int64_t{last} + 1 || (next == 0 && last == INT32_MAX);
}

ProducerState::Verdict refuse(Refusal refusal, std::string message) {
  return {refusal, std::move(message), std::nullopt};
}

}  // namespace

ProducerState::Verdict ProducerState::check(const BatchView& batch, Origin origin,
                                            const std::optional<ControlRecord>& marker) const {
  if (!batch.has_producer_id()) return {};
  auto found = producers_.find(batch.producer_id());
  const ProducerEntry* entry = found == producers_.end() ? nullptr : &found->second;
  if (origin == Origin::replication) return {};
  // Before its first batch a producer has the epoch -1, before its first marker the coordinator
  // epoch -1.
  if (entry == nullptr && batch.producer_epoch() < kNoProducerEpoch)
    return refuse(Refusal::invalid_producer_epoch,
                  fmt::format("epoch {} of producer {} is none", batch.producer_epoch(),
                              batch.producer_id()));
  if (entry == nullptr && marker && marker->coordinator_epoch < ProducerEntry{}.coordinator_epoch)
    return refuse(Refusal::transaction_coordinator_fenced,
                  fmt::format("coordinator epoch {}", marker->coordinator_epoch));
  if (entry == nullptr) return {};

  if (origin == Origin::client && !batch.control() &&
      batch.producer_epoch() == entry->producer_epoch)
    for (const ProducerBatch& known : entry->batches)
      if (known.first_sequence == batch.base_sequence() &&
          known.last_sequence == batch.last_sequence())
        return {Refusal::none, {}, known};

  if (batch.producer_epoch() < entry->producer_epoch)
    return refuse(Refusal::invalid_producer_epoch,
                  fmt::format("epoch {} of producer {} is smaller than the last seen {}",
                              batch.producer_epoch(), batch.producer_id(), entry->producer_epoch));
  if (marker) {
    if (marker->coordinator_epoch < entry->coordinator_epoch)
      return refuse(Refusal::transaction_coordinator_fenced,
                    fmt::format("coordinator epoch {} is older than {}", marker->coordinator_epoch,
                                entry->coordinator_epoch));
    return {};
  }
  if (origin != Origin::client) return {};

  int32_t first = batch.base_sequence();
  if (batch.producer_epoch() != entry->producer_epoch) {
    if (first != 0 && entry->producer_epoch != kNoProducerEpoch)
      return refuse(Refusal::out_of_order_sequence_number,
                    fmt::format("producer {} begins its epoch {} with sequence {}",
                                batch.producer_id(), batch.producer_epoch(), first));
  } else if (!in_sequence(entry->last_sequence(), first)) {
    return refuse(Refusal::out_of_order_sequence_number,
                  fmt::format("producer {}: sequence {} after {}", batch.producer_id(), first,
                              entry->last_sequence()));
  }
  if (entry->txn_first_offset >= 0 && !batch.transactional())
    return refuse(
        Refusal::invalid_txn_state,
        fmt::format("producer {} writes outside its open transaction", batch.producer_id()));
  return {};
}

std::optional<AbortedTxn> ProducerState::update(const BatchView& batch,
                                                const std::optional<ControlRecord>& marker) {
  end_offset_ = batch.next_offset();
  if (!batch.has_producer_id()) return std::nullopt;
  if (batch.control() && (!marker || marker->type == ControlType::unknown)) return std::nullopt;
  ProducerEntry& entry = producers_[batch.producer_id()];
  entry.producer_id = batch.producer_id();
  if (entry.producer_epoch != batch.producer_epoch()) {
    entry.producer_epoch = batch.producer_epoch();
    entry.batches.clear();
  }
  if (!marker) {
    entry.batches.push_back({batch.base_sequence(), batch.last_sequence(), batch.base_offset(),
                             batch.last_offset(), batch.max_timestamp()});
    if (entry.batches.size() > kBatchesRemembered) entry.batches.pop_front();
    entry.last_timestamp = batch.max_timestamp();
    if (batch.transactional() && entry.txn_first_offset < 0) {
      entry.txn_first_offset = batch.base_offset();
      txns_[batch.base_offset()] = {batch.producer_id(), std::nullopt};
    }
    return std::nullopt;
  }
  std::optional<AbortedTxn> aborted;
  entry.coordinator_epoch = marker->coordinator_epoch;
  entry.last_timestamp = batch.max_timestamp();
  if (entry.txn_first_offset >= 0) {
    if (auto open = txns_.find(entry.txn_first_offset); open != txns_.end())
      open->second.last_offset = batch.base_offset();
    if (marker->type == ControlType::abort) {
      // The stable offset once this transaction is over: the next open one, or behind the marker.
      int64_t stable = batch.base_offset() + 1;
      for (const auto& [first, txn] : txns_)
        if (!txn.last_offset) {
          stable = first;
          break;
        }
      aborted = {batch.producer_id(), entry.txn_first_offset, batch.base_offset(), stable};
    }
    entry.txn_first_offset = -1;
  }
  return aborted;
}

std::optional<int64_t> ProducerState::first_unstable_offset() const {
  if (txns_.empty()) return std::nullopt;
  return txns_.begin()->first;
}

void ProducerState::on_high_watermark(int64_t hw) {
  while (!txns_.empty() && txns_.begin()->second.last_offset &&
         *txns_.begin()->second.last_offset < hw)
    txns_.erase(txns_.begin());
}

void ProducerState::expire(int64_t now_wall_ms, int64_t expiration_ms) {
  std::erase_if(producers_, [&](const auto& item) {
    const ProducerEntry& entry = item.second;
    return entry.txn_first_offset < 0 && entry.last_timestamp <= now_wall_ms - expiration_ms;
  });
}

void ProducerState::clear() {
  producers_.clear();
  txns_.clear();
  end_offset_ = 0;
}

void ProducerState::truncate_start(int64_t log_start_offset) {
  std::erase_if(txns_, [&](const auto& item) {
    return item.second.last_offset && *item.second.last_offset < log_start_offset;
  });
  if (end_offset_ < log_start_offset) end_offset_ = log_start_offset;
}

std::string ProducerState::encode_snapshot() const {
  wire::Writer writer;
  writer.i16(kSnapshotVersion);
  writer.u32(0);
  writer.i32(static_cast<int32_t>(producers_.size()));
  for (const auto& [id, entry] : producers_) {
    writer.i64(id);
    writer.i16(entry.producer_epoch);
    writer.i32(entry.last_sequence());
    writer.i64(entry.last_offset());
    int64_t delta = entry.batches.empty()
                        ? 0
                        : entry.batches.back().last_offset - entry.batches.back().first_offset;
    writer.i32(static_cast<int32_t>(delta));
    writer.i64(entry.last_timestamp);
    writer.i32(entry.coordinator_epoch);
    writer.i64(entry.txn_first_offset);
  }
  writer.patch_u32(kSnapshotCrcAt, crc32c(writer.bytes().subspan(kSnapshotBodyAt)));
  return to_string(writer.bytes());
}

Result<ProducerState> ProducerState::decode_snapshot(Bytes file, int64_t now_wall_ms,
                                                     int64_t expiration_ms) {
  wire::Reader reader(file);
  int16_t version = reader.i16();
  uint32_t crc = reader.u32();
  int32_t count = reader.i32();
  if (!reader.ok() || version != kSnapshotVersion)
    return fail(Errc::corrupt, "unknown snapshot version");
  if (crc != crc32c(file.subspan(kSnapshotBodyAt)))
    return fail(Errc::corrupt, "the snapshot fails its checksum");
  if (!reader.claim_count(count, kSnapshotEntrySize))
    return fail(Errc::corrupt, "the snapshot is cut");
  ProducerState state;
  for (int32_t i = 0; i < count; ++i) {
    ProducerEntry entry;
    entry.producer_id = reader.i64();
    entry.producer_epoch = reader.i16();
    ProducerBatch last;
    last.last_sequence = reader.i32();
    last.last_offset = reader.i64();
    int32_t delta = reader.i32();
    last.timestamp = entry.last_timestamp = reader.i64();
    entry.coordinator_epoch = reader.i32();
    entry.txn_first_offset = reader.i64();
    if (last.last_offset >= 0) {
      last.first_offset = last.last_offset - delta;
      int64_t first = int64_t{last.last_sequence} - delta;  // sequences wrap after INT32_MAX
      last.first_sequence = static_cast<int32_t>(first < 0 ? first + INT32_MAX + 1 : first);
      entry.batches.push_back(last);
    }
    if (!reader.ok()) return fail(Errc::corrupt, "the snapshot is cut");
    bool expired =
        entry.txn_first_offset < 0 && entry.last_timestamp <= now_wall_ms - expiration_ms;
    if (expired) continue;
    if (entry.txn_first_offset >= 0)
      state.txns_[entry.txn_first_offset] = {entry.producer_id, std::nullopt};
    state.producers_[entry.producer_id] = std::move(entry);
  }
  return state;
}

}  // namespace ottla::broker
