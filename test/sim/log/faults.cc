// Directories that fail in sim_log: the second one while the first must not notice, and the first
// at any call (--faults).
#include <fmt/format.h>

#include "broker/record/batch_builder.h"
#include "test/sim/log/trial.h"

namespace ottla::broker {

// The second partition lies in the second directory, which may fail alone.
void Trial::start_other() {
  if (manager_->find({"t", 1}) == nullptr && manager_->has_offline_dir()) return;
  auto log = manager_->get_or_create({"t", 1}, "AAAAAAAAAAAAAAAAAAAAAQ");
  if (!log && faulty_) return;
  if (!log) return fail("create t-1: " + log.error().context);
  if ((*log)->dir() != "/other/t-1") return;  // /other was offline when it was made
  other_ = *log;
  if (other_->leo() < other_acknowledged_)
    fail(fmt::format("t-1: acknowledged up to {}, found up to {}", other_acknowledged_,
                     other_->leo()));
  other_told_ = 0;
  if (auto sound = other_->check_invariants(); !sound && !faulty_) fail(sound.error().context);
}

void Trial::append_other() {
  if (other_ == nullptr || manager_->find({"t", 1}) == nullptr) return;
  BatchBuilder builder(BatchBuilder::Options{});
  builder.append(sim_.world("b").loop.wall_ms(), as_bytes("k"), as_bytes("v"));
  Buffer bytes;
  if (!builder.finish(bytes)) return fail("codec");
  other_->begin_epoch(epoch_);
  Appended out = other_->append_as_leader(bytes.mutable_bytes(), epoch_);
  if (out.refusal != Refusal::none || out.ack_offset == 0) return;
  other_->when_durable(out.ack_offset, [this, upto = out.ack_offset](bool ok) {
    if (ok) other_acknowledged_ = std::max(other_acknowledged_, upto);
  });
}

// OnlyThatDirGoesOffline: the other partition does not notice.
void Trial::break_other() {
  if (other_ == nullptr || faulty_) return;
  sim_.inject("b", {prng_.chance(0.5) ? sim::DiskCall::sync : sim::DiskCall::write, "/other/t-1",
                    prng_.chance(0.5) ? Errc::io : Errc::no_space, prng_.below(2), 1, 1});
  uint64_t before = sim_.disk_faults_hit("b");
  for (int i = 0; i < 4; ++i) {
    append_other();
    if (other_ != nullptr && manager_->find({"t", 1}) != nullptr) other_->flush();
    sim_.run_for(20'000'000);
  }
  sim_.clear_faults("b");
  if (sim_.disk_faults_hit("b") == before) return;
  other_ = nullptr;
  other_failed_ = true;
  if (manager_->dirs()[1].online || other_told_ != 1 || manager_->find({"t", 1}) != nullptr ||
      !manager_->is_offline({"t", 1}))
    fail(fmt::format("/other failed: online={} told {} times", manager_->dirs()[1].online,
                     other_told_));
  if (!manager_->dirs()[0].online || manager_->find({".t", 0}) != log_ || log_->failed())
    fail("/other failed, and /data went offline");
}

// What failed took the directory offline, and said so once.
void Trial::check_offline() {
  sim_.run_for(20'000'000);
  if (manager_->dirs()[0].online || offline_told_ != 1)
    fail(fmt::format("online={} told {} times after a fault", manager_->dirs()[0].online,
                     offline_told_));
  if (manager_->find({".t", 0}) != nullptr) fail("a log of an offline directory is found");
  log_ = nullptr;
}

// A cut that a fault stopped half way: what lies above `to` is there or gone.
void Trial::cut_failed(int64_t to, int64_t start) {
  if (!faulty_) return fail("a truncation fails");
  half_cut_ = std::min(half_cut_, to);
  acknowledged_ = std::min(acknowledged_, to);
  start_ = std::max(start_, start);
}

}  // namespace ottla::broker
