// The life of a log in sim_log, round by round: it starts, is worked on, and ends cleanly or not.
#include "test/sim/log/trial.h"

#include <fmt/format.h>

#include "broker/record/batch_builder.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {

constexpr log::Room kLog{"sim"};

}  // namespace

Trial::Trial(uint64_t seed, bool lying)
    : prng_(seed * 7919 + 13), sim_(seed, options(seed, lying)) {
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

std::string Trial::run() {
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

std::string Trial::run_with_fault(int round, uint64_t nth, bool& hit) {
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

sim::Options Trial::options(uint64_t seed, bool lying) {
  Prng prng(seed ^ 0x5151);
  sim::Options options;
  options.disk.lying_sync = lying;
  options.disk.sector_lost = prng.chance(0.3) ? 0 : 0.4;
  options.disk.sector_torn = prng.chance(0.3) ? 0 : 0.2;
  options.disk.sector_garbled = prng.chance(0.5) ? 0 : 0.1;
  options.disk.name_kept = prng.chance(0.3) ? 1 : 0.5;
  return options;
}

void Trial::start() {
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
  if (manager_->find({".t", 0}) == nullptr && manager_->has_offline_dir()) return;
  auto log = manager_->get_or_create({".t", 0}, "AAAAAAAAAAAAAAAAAAAAAQ");
  if (!log && faulty_) return check_offline();
  if (!log) return fail("create: " + log.error().context);
  log_ = *log;
  start_other();
}

void Trial::work() {
  log_->begin_epoch(++epoch_);
  if (!faulty_) retry_last();
  int steps = static_cast<int>(prng_.between(5, 150));
  for (int i = 0; i < steps && wrong_.empty(); ++i) {
    append();
    if (faulty_ && (log_->failed() || manager_->find({".t", 0}) == nullptr)) return check_offline();
    if (prng_.chance(0.3)) sim_.run_for(prng_.between(0, 4'000'000));
    if (prng_.chance(0.05)) log_->flush();
    if (prng_.chance(0.03)) log_->roll();
    if (prng_.chance(0.05)) manager_->checkpoint_recovery_points();
    if (prng_.chance(0.1)) append_other();
    if (prng_.chance(0.004)) break_other();
    if (prng_.chance(0.02)) sim_.set_wall_skew("b", prng_.between(-7200'000, 7200'000));
    if (trims_ && prng_.chance(0.03)) trim();
    if (follows_ && prng_.chance(0.02)) truncate();
    if (faulty_ && (log_->failed() || manager_->find({".t", 0}) == nullptr)) return check_offline();
    judge_step();
    if (faulty_ && (log_->failed() || manager_->find({".t", 0}) == nullptr)) return check_offline();
    if (log_->failed()) return fail("the log failed without a fault");
  }
}

void Trial::append() {
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

// A producer that heard nothing sends its last batch again: it must be known when it survived.
void Trial::retry_last() {
  if (start_ > 0 || odd_times_) return;
  for (auto at = history_.rbegin(); at != history_.rend(); ++at) {
    BatchView batch(as_bytes(at->bytes));
    if (!batch.has_producer_id()) continue;
    if (log_->producers().producers().at(batch.producer_id()).last_offset() != batch.last_offset())
      continue;
    Buffer again(as_bytes(at->bytes));
    set_base_offset(again.mutable_bytes(), 0);
    Appended out = log_->append_as_leader(again.mutable_bytes(), epoch_);
    if (!out.duplicate || out.first_offset != at->base)
      fail(fmt::format("a retry of the batch at {} was not known", at->base));
    return;
  }
}

// The beginning goes: DeleteRecords, or retention.
void Trial::trim() {
  log_->set_hw(log_->leo());
  hw_ = log_->hw();
  if (prng_.chance(0.3) && log_->leo() > start_) {
    int64_t to = prng_.between(start_, log_->leo());
    if (log_->delete_records(to) != Refusal::none) {
      if (!faulty_ || !log_->failed()) return fail("DeleteRecords is refused");
      start_ = forgotten_ = std::max({start_, forgotten_, to});  // it may have got that far
      return;
    }
    if (log_->log_start_offset() != to) return fail("DeleteRecords did not");
    start_ = to;
    forgotten_ = std::max(forgotten_, start_);
    if (prng_.chance(0.5)) manager_->checkpoint_log_start_offsets();
    if (prng_.chance(0.3)) return;
  }
  int64_t now = sim_.world("b").loop.wall_ms();
  uint64_t before = log_->stats().size_bytes;
  log_->apply_retention(now);
  int64_t start = log_->log_start_offset();
  if (log_->failed()) {
    start_ = forgotten_ = std::max({start_, forgotten_, start});
    return;
  }
  if (start < start_) return fail("the log start offset goes back");
  // RetentionKeepsTheYoung, and no more goes by size than is over.
  bool by_size =
      config_.retention_bytes >= 0 && before >= static_cast<uint64_t>(config_.retention_bytes);
  for (const Kept& kept : history_) {
    if (kept.base < start_ || kept.last >= start || by_size) continue;
    for (int64_t stamp : kept.timestamps)
      if (stamp >= 0 && (config_.retention_ms < 0 || now - stamp <= config_.retention_ms))
        return fail(fmt::format("retention took offset {} of {}, it is {}", kept.base, stamp, now));
  }
  start_ = start;
  forgotten_ = std::max(forgotten_, start_);
}

// A new leader's log parts from ours somewhere, between two batches.
void Trial::truncate() {
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
  bool whole =
      history_.empty() || history_.back().last < start_ || history_.back().last + 1 == log_->leo();
  if (!whole)
    return fail(fmt::format("truncated to {}: ends at {}, a batch ends at {}", to, log_->leo(),
                            history_.back().last));
  verify_producers();
}

int64_t Trial::some_timestamp() {
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

void Trial::forget_sequences() {
  for (auto& [id, next] : sequences_) next = 0;
}

void Trial::finish() {
  bool clean = prng_.chance(0.2) && manager_;
  if (log_ != nullptr)
    log::debug(kLog, "end", "clean={} acknowledged={} {}", clean, acknowledged_, log_->describe());
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

void Trial::fail(std::string what) {
  if (wrong_.empty()) wrong_ = std::move(what);
}

}  // namespace ottla::broker
