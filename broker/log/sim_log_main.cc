// sim_log: the broker's log on a simulated disk, crashed again and again. One partition is appended
// to by idempotent and plain producers, flushed, rolled, checkpointed; the power fails at a random
// moment; what the next start finds is compared with what was appended.
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
};

class Trial {
 public:
  Trial(uint64_t seed, bool lying) : prng_(seed * 7919 + 13), sim_(seed, options(seed, lying)) {
    config_.flush_messages = prng_.chance(0.5) ? 1 : prng_.chance(0.5) ? 7 : INT64_MAX;
    config_.segment_bytes = static_cast<int32_t>(prng_.between(14000, 60000));
    config_.index_interval_bytes = static_cast<int32_t>(prng_.between(0, 3000));
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
    for (int at = 0; at <= round + 1 && wrong_.empty(); ++at) {
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
    given.log_dirs = {"/data"};
    given.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    given.config_for = [this](const std::string&) { return config_; };
    given.on_dir_offline = [this](const std::string&, const std::vector<TopicPartition>&) {
      ++offline_told_;
    };
    auto opened = LogManager::open(sim_.world("b"), given);
    if (!opened && faulty_) return;
    if (!opened) return fail("open: " + opened.error().context);
    manager_ = std::move(*opened);
    auto log = manager_->get_or_create({"t", 0}, "AAAAAAAAAAAAAAAAAAAAAQ");
    if (!log && faulty_) return check_offline();
    if (!log) return fail("create: " + log.error().context);
    log_ = *log;
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
    size_t survived = 0;
    int64_t at = log_->log_start_offset();
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
    if (killed_ && survived + (last_refused_ ? 1 : 0) < history_.size())
      return fail("a kill without power loss lost records");
    history_.resize(survived);
    last_refused_ = false;
    killed_ = true;
    verify_producers();
    looked_ = true;
  }

  void verify_producers() {
    ProducerState model;
    for (const Kept& kept : history_) {
      BatchView batch(as_bytes(kept.bytes));
      (void)model.update(batch, std::nullopt);
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
      if (faulty_ && (log_->failed() || manager_->find({"t", 0}) == nullptr))
        return check_offline();
      if (log_->failed()) return fail("the log failed without a fault");
    }
  }

  // A producer that heard nothing sends its last batch again: it must be known when it survived.
  void retry_last() {
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
    for (int32_t i = 0; i < count; ++i) {
      std::string value(prng_.below(prng_.chance(0.1) ? 3000 : 150), '\0');
      for (char& byte : value) byte = static_cast<char>(prng_.next());
      builder.append(sim_.world("b").loop.wall_ms(), as_bytes("k"), as_bytes(value));
    }
    Buffer bytes;
    if (!builder.finish(bytes)) return fail("codec");
    int64_t base = log_->leo();
    bool was_failed = log_->failed();
    Appended out = log_->append_as_leader(bytes.mutable_bytes(), epoch_);
    if (was_failed) return;
    if (faulty_ && out.refusal == Refusal::kafka_storage_error) {
      // Nobody was told that it is there, and yet it may be.
      history_.push_back({base, base + count - 1, to_string(bytes)});
      last_refused_ = true;
      return;
    }
    if (out.refusal != Refusal::none) return fail("append refused: " + out.message);
    if (with.producer_id > 0) sequences_[with.producer_id] += count;
    history_.push_back({out.first_offset, out.last_offset, to_string(bytes)});
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
      if (!*closed && !faulty_) return fail("no clean end without a fault");
      if (*closed && log_ != nullptr) acknowledged_ = log_->leo();
    }
    log_ = nullptr;
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
