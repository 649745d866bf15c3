// What a log of sim_log must show, by what was appended to it.
#include <fmt/format.h>

#include "broker/log/batch_scanner.h"
#include "test/sim/log/trial.h"

namespace ottla::broker {

void Trial::verify() {
  if (auto sound = log_->check_invariants(); !sound) {
    if (faulty_) return;  // the fault hit this very look
    return fail(sound.error().context);
  }
  int64_t start = log_->log_start_offset();
  // A directory whose name no sync covered may be gone with all that nobody was promised: then it
  // was made anew.
  if (start == 0 && log_->leo() == 0 && acknowledged_ == 0) floor_ = 0;
  if (start < floor_ || start > start_)
    return fail(fmt::format("begins at {}, where it may from {} to {}", start, floor_, start_));
  int64_t at = start;
  size_t survived = 0;
  while (survived < history_.size() && history_[survived].last < start) ++survived;
  while (at < log_->leo()) {
    ReadResult read = log_->read(at, 1 << 20, log_->leo(), true);
    auto bytes = log_->read_bytes(read.slice);
    if (faulty_ && (read.refusal != Refusal::none || !bytes)) return;
    if (read.refusal != Refusal::none || !bytes) return fail(fmt::format("read at {} refused", at));
    BatchCursor cursor(*bytes);
    while (auto raw = cursor.next()) {
      if (survived >= history_.size()) return fail("more than was appended");
      const Kept& kept = history_[survived++];
      if (as_text(raw->bytes) != kept.bytes)
        return fail(fmt::format("the batch at {} is not the one appended at {}", raw->base_offset(),
                                kept.base));
      at = kept.last + 1;
    }
    if (cursor.position() == 0)
      return fail(fmt::format("nothing at {} of {}", at, log_->describe()));
  }
  if (log_->leo() < acknowledged_)
    return fail(fmt::format("acknowledged up to {}, found up to {}", acknowledged_, log_->leo()));
  size_t due = history_.size();
  while (due > 0 && history_[due - 1].last >= half_cut_) --due;
  if (killed_ && survived + (last_refused_ ? 1 : 0) < due)
    return fail("a kill without power loss lost records");
  if (log_->leo() < start) return fail("ends before it begins");
  history_.resize(survived);
  // After a kill the names of removed segments may be gone from the cache alone: a power failure yet
  // to come brings them back.
  if (!killed_) floor_ = start;
  start_ = start;
  if (!faulty_) verify_timestamps();
  last_refused_ = false;
  half_cut_ = INT64_MAX;
  killed_ = true;
  verify_producers();
  looked_ = true;
}

// The first record with that timestamp or a later one, as reading all of them gives it.
void Trial::verify_timestamps() {
  for (int i = 0; i < 6; ++i) {
    int64_t wanted = some_timestamp();
    if (!history_.empty() && prng_.chance(0.5)) {
      const auto& stamps = history_[prng_.below(history_.size())].timestamps;
      wanted = stamps[prng_.below(stamps.size())] + prng_.between(-1, 1);
    }
    int64_t due = -1;
    for (auto kept = history_.begin(); kept != history_.end() && due < 0; ++kept)
      for (size_t k = 0; k < kept->timestamps.size() && due < 0; ++k) {
        auto offset = kept->base + static_cast<int64_t>(k);
        if (offset >= log_->log_start_offset() && kept->timestamps[k] >= wanted) due = offset;
      }
    auto found = log_->offset_for_timestamp(wanted);
    if (!found) return fail("by timestamp: " + found.error().context);
    int64_t got = *found ? (*found)->offset : -1;
    if (got != due && wanted >= 0)
      return fail(fmt::format("timestamp {} is found at {}, {} is due", wanted, got, due));
  }
}

void Trial::verify_producers() {
  // What wrote before the start may be known or not; who wrote long ago is forgotten.
  if (log_->log_start_offset() > 0 || odd_times_) {
    forget_sequences();
    for (const auto& [id, entry] : log_->producers().producers())
      sequences_[id] = entry.last_sequence() + 1;
    return;
  }
  ProducerState model;
  for (const Kept& kept : history_) {
    BatchView batch(as_bytes(kept.bytes));
    (void)model.update(batch, std::nullopt);
    if (kept.base < forgotten_) continue;
    auto epoch = log_->epochs().epoch_for_offset(kept.base);
    if (epoch != batch.leader_epoch())
      return fail(fmt::format("offset {} has epoch {}, the log says {}", kept.base,
                              batch.leader_epoch(), epoch.value_or(-1)));
  }
  const auto& found = log_->producers().producers();
  if (found.size() != model.producers().size())
    return fail(fmt::format("{} producers where {} wrote", found.size(), model.producers().size()));
  for (const auto& [id, entry] : model.producers()) {
    auto at = found.find(id);
    if (at == found.end() || at->second.last_sequence() != entry.last_sequence() ||
        at->second.last_offset() != entry.last_offset() ||
        at->second.producer_epoch != entry.producer_epoch)
      return fail(fmt::format("producer {} is remembered wrongly", id));
    sequences_[id] = entry.last_sequence() + 1;
  }
  for (auto& [id, next] : sequences_)
    if (!model.producers().contains(id)) next = 0;
}

// After every step: LsoLeHwLeLeo, HwMonotone, EpochsMonotone, DurableLeLeo, OffsetsContiguous.
void Trial::judge_step() {
  if (log_->failed() || manager_->find({".t", 0}) == nullptr) return;
  int64_t start = log_->log_start_offset(), lso = log_->lso(), hw = log_->hw(), leo = log_->leo();
  if (start > hw || lso > hw || hw > leo || log_->durable_offset() > leo)
    fail(fmt::format("LsoLeHwLeLeo: start {} lso {} hw {} leo {} durable {}", start, lso, hw, leo,
                     log_->durable_offset()));
  if (hw < hw_) fail(fmt::format("HwMonotone: {} after {}", hw, hw_));
  hw_ = hw;
  if (log_->latest_epoch().value_or(0) > epoch_)
    fail(fmt::format("EpochsMonotone: {} after {}", log_->latest_epoch().value_or(0), epoch_));
  if (!history_.empty() && history_.back().last + 1 != leo && leo != start_)
    fail(fmt::format("OffsetsContiguous: leo {} after {}", leo, history_.back().last));
}

}  // namespace ottla::broker
