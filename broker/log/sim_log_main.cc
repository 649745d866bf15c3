// sim_log: the broker's log on a simulated disk, crashed again and again. One partition is appended
// to by idempotent and plain producers or as a follower, flushed, rolled, checkpointed, truncated,
// and loses its beginning to DeleteRecords and to retention over odd timestamps; the power fails at
// a random moment, the wall clock jumps, a second log directory may fail; what the next start finds
// is compared with what was appended.
//
//   sim_log --seed N      one seed; prints its trace hash
//   sim_log --seeds N     N fresh seeds (--first S: from S on); prints the command that repeats a
//   failure
//   --lying               syncs do nothing: must fail (a test of this test); --repeat: each seed
//   twice
//   --faults              of each seed, every call to the disk fails once (EIO, ENOSPC by turns),
//   in the first run and in the one that recovers: the directory goes offline, told once, or the
//   start or the clean end says that it failed; what was acknowledged is there after the next start
//
// Promises checked: the log is always a prefix of what was appended, in order, every byte; with
// flush.messages=1 no acknowledged record is missing; index entries point at their batches;
// producer state and leader epochs are those of the surviving batches.
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "broker/log/log_manager.h"
#include "broker/record/batch_builder.h"
#include "common/base/log.h"
#include "common/rt_sim/simulator.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

constexpr log::Room kLog{"sim"};

struct Kept {
  int64_t base = 0, last = 0;
  std::string bytes;
  std::vector<int64_t> timestamps;
};

class Trial {
 public:
  Trial(uint64_t seed, bool lying) : prng_(seed * 7919 + 13), sim_(seed, options(seed, lying)) {
    config_.flush_messages = prng_.chance(0.5) ? 1 : prng_.chance(0.5) ? 7 : INT64_MAX;
    config_.segment_bytes = static_cast<int32_t>(prng_.between(14000, 60000));
    config_.index_interval_bytes = static_cast<int32_t>(prng_.between(0, 3000));
    config_.retention_ms = -1;
    if (prng_.chance(0.4)) {
      trims_ = true;
      if (prng_.chance(0.6)) config_.retention_ms = prng_.between(1, 3) * 3600'000;
      if (prng_.chance(0.4)) config_.retention_bytes = prng_.between(0, 100'000);
    }
    odd_times_ = prng_.chance(0.4);
    follows_ = prng_.chance(0.3);
    sim_.add_node("b");
  }

  // Empty when all promises held.
  std::string run() {
    int rounds = static_cast<int>(prng_.between(3, 8));
    for (int round = 0; round < rounds && wrong_.empty(); ++round) {
      if (round > 0) sim_.restart("b");
      start();
      if (!wrong_.empty()) break;
      verify();
      if (!wrong_.empty()) break;
      work();
      finish();
    }
    return wrong_;
  }
  // The nth call to the disk in this round fails; `hit`: there were so many.
  std::string run_with_fault(int round, uint64_t nth, bool& hit) {
    sim_.on_trace([&](std::string_view line) {
      if (line.find("disk fault") == std::string_view::npos) return;
      hit = true;
      fault_line_ = line;
    });
    for (int at = 0; at <= round + 2 && wrong_.empty(); ++at) {
      if (at > 0) sim_.restart("b");
      faulty_ = at == round;
      offline_told_ = 0;
      if (faulty_)
        sim_.inject("b",
                    {sim::DiskCall::any, "", nth % 2 == 0 ? Errc::io : Errc::no_space, nth, 1, 1});
      start();
      if (log_ != nullptr && wrong_.empty()) {
        looked_ = false;
        verify();
        if (looked_ && wrong_.empty()) work();
      }
      if (wrong_.empty()) finish();
      sim_.clear_faults("b");
    }
    sim_.on_trace(nullptr);
    return wrong_.empty() ? wrong_ : wrong_ + " [" + fault_line_ + "]";
  }
  uint64_t hash() const { return sim_.trace_hash(); }
  uint64_t appended() const { return appended_; }

 private:
  static sim::Options options(uint64_t seed, bool lying) {
    Prng prng(seed ^ 0x5151);
    sim::Options options;
    options.disk.lying_sync = lying;
    options.disk.sector_lost = prng.chance(0.3) ? 0 : 0.4;
    options.disk.sector_torn = prng.chance(0.3) ? 0 : 0.2;
    options.disk.sector_garbled = prng.chance(0.5) ? 0 : 0.1;
    options.disk.name_kept = prng.chance(0.3) ? 1 : 0.5;
    return options;
  }

  void start() {
    LogManagerOptions given;
    given.log_dirs = {"/data", "/other"};
    given.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    given.config_for = [this](const std::string&) { return config_; };
    given.on_dir_offline = [this](const std::string& dir, const std::vector<TopicPartition>&) {
      ++(dir == "/data" ? offline_told_ : other_told_);
    };
    auto opened = LogManager::open(sim_.world("b"), given);
    if (!opened && faulty_) return;
    if (!opened) return fail("open: " + opened.error().context);
    manager_ = std::move(*opened);
    // As the broker: what may lie in a directory that is offline is not made anew elsewhere.
    if (manager_->find({"t", 0}) == nullptr && manager_->has_offline_dir()) return;
    auto log = manager_->get_or_create({"t", 0}, "AAAAAAAAAAAAAAAAAAAAAQ");
    if (!log && faulty_) return check_offline();
    if (!log) return fail("create: " + log.error().context);
    log_ = *log;
    start_other();
  }

  // The second partition lies in the second directory, which may fail alone.
  void start_other() {
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

  void append_other() {
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
  void break_other() {
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
    if (!manager_->dirs()[0].online || manager_->find({"t", 0}) != log_ || log_->failed())
      fail("/other failed, and /data went offline");
  }

  // What failed took the directory offline, and said so once.
  void check_offline() {
    sim_.run_for(20'000'000);
    if (manager_->dirs()[0].online || offline_told_ != 1)
      fail(fmt::format("online={} told {} times after a fault", manager_->dirs()[0].online,
                       offline_told_));
    if (manager_->find({"t", 0}) != nullptr) fail("a log of an offline directory is found");
    log_ = nullptr;
  }

  void verify() {
    if (auto sound = log_->check_invariants(); !sound) {
      if (faulty_) return;  // the fault hit this very look
      return fail(sound.error().context);
    }
    int64_t start = log_->log_start_offset();
    if (start < floor_ || start > start_)
      return fail(fmt::format("begins at {}, where it may from {} to {}", start, floor_, start_));
    int64_t at = start;
    size_t survived = 0;
    while (survived < history_.size() && history_[survived].last < start) ++survived;
    while (at < log_->leo()) {
      ReadResult read = log_->read(at, 1 << 20, log_->leo(), true);
      auto bytes = log_->read_bytes(read.slice);
      if (faulty_ && (read.refusal != Refusal::none || !bytes)) return;
      if (read.refusal != Refusal::none || !bytes)
        return fail(fmt::format("read at {} refused", at));
      BatchCursor cursor(*bytes);
      while (auto raw = cursor.next()) {
        if (survived >= history_.size()) return fail("more than was appended");
        const Kept& kept = history_[survived++];
        if (as_text(raw->bytes) != kept.bytes)
          return fail(fmt::format("the batch at {} is not the one appended at {}",
                                  raw->base_offset(), kept.base));
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
    floor_ = start_ = start;
    if (!faulty_) verify_timestamps();
    last_refused_ = false;
    half_cut_ = INT64_MAX;
    killed_ = true;
    verify_producers();
    looked_ = true;
  }

  // The first record with that timestamp or a later one, as reading all of them gives it.
  void verify_timestamps() {
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

  int64_t some_timestamp() {
    int64_t now = sim_.world("b").loop.wall_ms();
    if (!odd_times_) return now;
    switch (prng_.below(8)) {
      case 0:
        return 0;
      case 1:
        return -1;
      case 2:
        return now * 1000;  // microseconds
      case 3:
        return now * 1'000'000;  // nanoseconds
      case 4:
        return now + prng_.between(0, 86400'000);
      case 5:
        return now - prng_.between(0, 86400'000);
      default:
        return now;
    }
  }

  void verify_producers() {
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
      return fail(
          fmt::format("{} producers where {} wrote", found.size(), model.producers().size()));
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

  void work() {
    log_->begin_epoch(++epoch_);
    if (!faulty_) retry_last();
    int steps = static_cast<int>(prng_.between(5, 150));
    for (int i = 0; i < steps && wrong_.empty(); ++i) {
      append();
      if (faulty_ && (log_->failed() || manager_->find({"t", 0}) == nullptr))
        return check_offline();
      if (prng_.chance(0.3)) sim_.run_for(prng_.between(0, 4'000'000));
      if (prng_.chance(0.05)) log_->flush();
      if (prng_.chance(0.03)) log_->roll();
      if (prng_.chance(0.05)) manager_->checkpoint_recovery_points();
      if (prng_.chance(0.1)) append_other();
      if (prng_.chance(0.004)) break_other();
      if (prng_.chance(0.02)) sim_.set_wall_skew("b", prng_.between(-7200'000, 7200'000));
      if (trims_ && prng_.chance(0.03)) trim();
      if (follows_ && prng_.chance(0.02)) truncate();
      if (faulty_ && (log_->failed() || manager_->find({"t", 0}) == nullptr))
        return check_offline();
      judge_step();
      if (faulty_ && (log_->failed() || manager_->find({"t", 0}) == nullptr))
        return check_offline();
      if (log_->failed()) return fail("the log failed without a fault");
    }
  }

  // After every step: LsoLeHwLeLeo, HwMonotone, EpochsMonotone, DurableLeLeo, OffsetsContiguous.
  void judge_step() {
    if (log_->failed() || manager_->find({"t", 0}) == nullptr) return;
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

  // The beginning goes: DeleteRecords, or retention.
  void trim() {
    log_->set_hw(log_->leo());
    hw_ = log_->hw();
    if (prng_.chance(0.3) && log_->leo() > start_) {
      int64_t to = prng_.between(start_, log_->leo());
      if (log_->delete_records(to) != Refusal::none) return fail("DeleteRecords is refused");
      if (log_->log_start_offset() != to) return fail("DeleteRecords did not");
      start_ = to;
      forgotten_ = std::max(forgotten_, start_);
      if (prng_.chance(0.5)) manager_->checkpoint_log_start_offsets();
      if (prng_.chance(0.3)) return;
    }
    int64_t now = sim_.world("b").loop.wall_ms();
    uint64_t before = log_->stats().size_bytes;
    log_->apply_retention(now);
    if (log_->failed()) return;
    int64_t start = log_->log_start_offset();
    if (start < start_) return fail("the log start offset goes back");
    // RetentionKeepsTheYoung, and no more goes by size than is over.
    bool by_size =
        config_.retention_bytes >= 0 && before >= static_cast<uint64_t>(config_.retention_bytes);
    for (const Kept& kept : history_) {
      if (kept.base < start_ || kept.last >= start || by_size) continue;
      for (int64_t stamp : kept.timestamps)
        if (stamp >= 0 && (config_.retention_ms < 0 || now - stamp <= config_.retention_ms))
          return fail(
              fmt::format("retention took offset {} of {}, it is {}", kept.base, stamp, now));
    }
    start_ = start;
    forgotten_ = std::max(forgotten_, start_);
  }

  // A cut that a fault stopped half way: what lies above `to` is there or gone.
  void cut_failed(int64_t to, int64_t start) {
    if (!faulty_) return fail("a truncation fails");
    half_cut_ = std::min(half_cut_, to);
    acknowledged_ = std::min(acknowledged_, to);
    start_ = std::max(start_, start);
  }

  // A new leader's log parts from ours somewhere, between two batches.
  void truncate() {
    int64_t to = prng_.between(std::max(start_, log_->leo() - 20), log_->leo());
    for (const Kept& kept : history_)
      if (kept.base < to && kept.last >= to) to = kept.last + 1;
    if (prng_.chance(0.1)) {
      to = log_->leo() + prng_.between(0, 100);
      auto done = log_->truncate_fully_and_start_at(to);
      if (!done || log_->failed()) return cut_failed(0, to);
      history_.clear();
      start_ = floor_ = to;
      forget_sequences();
    } else {
      auto done = log_->truncate_to(to);
      if (!done || log_->failed()) return cut_failed(to, start_);
      while (!history_.empty() && history_.back().last >= to) history_.pop_back();
    }
    acknowledged_ = std::min(acknowledged_, log_->leo());
    hw_ = std::min(hw_, log_->leo());
    if (log_->leo() > to) return fail(fmt::format("truncated to {}, ends at {}", to, log_->leo()));
    bool whole = history_.empty() || history_.back().last < start_ ||
                 history_.back().last + 1 == log_->leo();
    if (!whole)
      return fail(fmt::format("truncated to {}: ends at {}, a batch ends at {}", to, log_->leo(),
                              history_.back().last));
    verify_producers();
  }

  void forget_sequences() {
    for (auto& [id, next] : sequences_) next = 0;
  }

  // A producer that heard nothing sends its last batch again: it must be known when it survived.
  void retry_last() {
    if (floor_ > 0 || odd_times_) return;
    for (auto at = history_.rbegin(); at != history_.rend(); ++at) {
      BatchView batch(as_bytes(at->bytes));
      if (!batch.has_producer_id()) continue;
      if (log_->producers().producers().at(batch.producer_id()).last_offset() !=
          batch.last_offset())
        continue;
      Buffer again(as_bytes(at->bytes));
      set_base_offset(again.mutable_bytes(), 0);
      Appended out = log_->append_as_leader(again.mutable_bytes(), epoch_);
      if (!out.duplicate || out.first_offset != at->base)
        fail(fmt::format("a retry of the batch at {} was not known", at->base));
      return;
    }
  }

  void append() {
    BatchBuilder::Options with;
    if (prng_.chance(0.6)) {
      with.producer_id = prng_.between(1, 3);
      with.producer_epoch = 0;
      with.base_sequence = sequences_[with.producer_id];
    }
    with.codec = static_cast<compress::Codec>(prng_.below(5));
    BatchBuilder builder(with);
    auto count = static_cast<int32_t>(prng_.between(1, 4));
    std::vector<int64_t> stamps;
    for (int32_t i = 0; i < count; ++i) {
      std::string value(prng_.below(prng_.chance(0.1) ? 3000 : 150), '\0');
      for (char& byte : value) byte = static_cast<char>(prng_.next());
      stamps.push_back(some_timestamp());
      builder.append(stamps.back(), as_bytes("k"), as_bytes(value));
    }
    Buffer bytes;
    if (!builder.finish(bytes)) return fail("codec");
    int64_t base = log_->leo();
    bool was_failed = log_->failed();
    Appended out;
    if (follows_) {
      set_base_offset(bytes.mutable_bytes(), base);
      set_leader_epoch(bytes.mutable_bytes(), epoch_);
      out = log_->append_as_follower(bytes.bytes());
    } else {
      out = log_->append_as_leader(bytes.mutable_bytes(), epoch_);
    }
    if (was_failed) return;
    if (faulty_ && out.refusal == Refusal::kafka_storage_error) {
      // Nobody was told that it is there, and yet it may be.
      history_.push_back({base, base + count - 1, to_string(bytes), stamps});
      last_refused_ = true;
      return;
    }
    if (out.refusal != Refusal::none) return fail("append refused: " + out.message);
    if (with.producer_id > 0) sequences_[with.producer_id] += count;
    history_.push_back({out.first_offset, out.last_offset, to_string(bytes), stamps});
    ++appended_;
    if (config_.flush_messages > 1) return;
    if (out.ack_offset != out.last_offset + 1) return fail("no acknowledgement to wait for");
    log_->when_durable(out.ack_offset, [this, upto = out.ack_offset](bool ok) {
      if (ok) acknowledged_ = std::max(acknowledged_, upto);
    });
  }

  void finish() {
    bool clean = prng_.chance(0.2) && manager_;
    if (log_ != nullptr)
      log::debug(kLog, "end", "clean={} acknowledged={} {}", clean, acknowledged_,
                 log_->describe());
    if (clean) {
      std::optional<bool> closed;
      manager_->shutdown([&](bool all) { closed = all; });
      sim_.run_until([&] { return closed.has_value(); }, 10'000'000'000);
      if (!closed) return fail("the clean end does not end");
      if (!*closed && !faulty_ && !other_failed_) return fail("no clean end without a fault");
      if (*closed && log_ != nullptr) acknowledged_ = log_->leo();
    }
    log_ = other_ = nullptr;
    other_failed_ = false;
    hw_ = 0;
    sim_.set_wall_skew("b", prng_.chance(0.9) ? 0 : prng_.between(-7200'000, 7200'000));
    if (prng_.chance(0.8)) {
      sim_.crash("b");
      killed_ = false;
    } else {
      sim_.kill("b");
    }
    manager_ = nullptr;
  }

  void fail(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  Prng prng_;
  sim::Simulator sim_;
  LogConfig config_;
  std::unique_ptr<LogManager> manager_;
  PartitionLog* log_ = nullptr;
  PartitionLog* other_ = nullptr;  // in the second directory
  bool other_failed_ = false;
  int other_told_ = 0;
  int64_t other_acknowledged_ = 0;
  int64_t half_cut_ = INT64_MAX;
  bool trims_ = false, odd_times_ = false, follows_ = false;
  // Where the log begins now, and where it began at the last start: a crash may undo a raise.
  int64_t start_ = 0, floor_ = 0;
  int64_t forgotten_ = 0;  // epochs of what was once below the start may be unknown
  int64_t hw_ = 0;
  std::vector<Kept> history_;
  std::map<int64_t, int32_t> sequences_;
  int64_t acknowledged_ = 0;
  bool faulty_ = false;  // a fault may hit in this round
  int offline_told_ = 0;
  bool looked_ = false;        // verify() was not cut short by the fault
  bool last_refused_ = false;  // the last of history_ was refused by a failing disk
  std::string fault_line_;
  bool killed_ = false;  // no power loss since the last look: all that was written must be there
  int32_t epoch_ = 0;
  uint64_t appended_ = 0;
  std::string wrong_;
};

}  // namespace

int main(int argc, char** argv) {
  uint64_t first = static_cast<uint64_t>(std::time(nullptr)) * 1000, seeds = 1;
  bool lying = false, repeat = false, verbose = false, faults = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (flag == "--seed" || flag == "--first")
      first = number();
    else if (flag == "--seeds")
      seeds = number();
    else if (flag == "--lying")
      lying = true;
    else if (flag == "--repeat")
      repeat = true;
    else if (flag == "--faults")
      faults = true;
    else if (flag == "--verbose")
      verbose = true;
    else
      return fmt::print(stderr, "unknown flag {}\n", flag), 2;
  }
  log::set_level(verbose ? log::Level::debug : log::Level::off);
  uint64_t appended = 0, hash = 0;
  for (uint64_t seed = first; faults && seed < first + seeds; ++seed) {
    for (int round = 0; round < 2; ++round) {
      bool hit = true;
      for (uint64_t nth = 0; hit; ++nth) {
        hit = false;
        Trial trial(seed, lying);
        std::string wrong = trial.run_with_fault(round, nth, hit);
        appended += hit ? 1 : 0;
        if (wrong.empty()) continue;
        fmt::print("FAILED seed={} round={} call={} {}\nrepeat: {} --faults --seed {}\n", seed,
                   round, nth, wrong, argv[0], seed);
        return 1;
      }
    }
  }
  if (faults)
    return fmt::print("ok: {} seeds from {}, {} calls failed\n", seeds, first, appended), 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    Trial trial(seed, lying);
    std::string wrong = trial.run();
    hash = trial.hash();
    appended += trial.appended();
    if (wrong.empty() && repeat) {
      Trial again(seed, lying);
      (void)again.run();
      if (again.hash() != hash) wrong = "the same seed gave another trace";
    }
    if (wrong.empty()) continue;
    fmt::print("FAILED seed={} {}\nrepeat: {} --seed {}{}\n", seed, wrong, argv[0], seed,
               lying ? " --lying" : "");
    return 1;
  }
  fmt::print("ok: {} seeds from {}, {} batches, last trace {:016x}\n", seeds, first, appended,
             hash);
  return 0;
}
