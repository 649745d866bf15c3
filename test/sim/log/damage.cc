#include "test/sim/log/damage.h"

#include <fmt/format.h>

#include "broker/record/batch_builder.h"
#include "broker/record/batch_view.h"

namespace ottla::broker {
namespace {

const TopicPartition kPartition{"t", 0};
const std::string kTopicId = "AAAAAAAAAAAAAAAAAAAAAQ";

std::string content(Bytes batch) { return to_string(batch.subspan(kCrcAt)); }

}  // namespace

DamagedLog::DamagedLog(uint64_t seed) : prng_(seed * 104729 + 7), sim_(seed) {
  config_.flush_messages = prng_.chance(0.7) ? 1 : INT64_MAX;
  config_.segment_bytes = static_cast<int32_t>(prng_.between(14000, 40000));
  config_.index_interval_bytes = static_cast<int32_t>(prng_.between(0, 3000));
  config_.retention_ms = -1;
  sim_.add_node("b");
}

std::string DamagedLog::run() {
  int rounds = static_cast<int>(prng_.between(3, 7));
  for (int round = 0; round < rounds && wrong_.empty(); ++round) {
    if (round > 0) sim_.restart("b");
    for (int64_t i = round > 1 ? prng_.between(1, 5) : 0; i > 0; --i)
      if (sim_.decay("b", prng_.chance(0.7) ? "/data/t-0/" : "/data/")) damaged_ = true;
    if (!start()) break;
    look_up();
    read_all();
    work();
    read_all();
    finish();
  }
  return wrong_;
}

bool DamagedLog::start() {
  LogManagerOptions given;
  given.log_dirs = {"/data"};
  given.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
  given.config_for = [this](const std::string&) { return config_; };
  given.on_dir_offline = [this](const std::string&, const std::vector<TopicPartition>&) {
    offline_ = true;
  };
  auto refused = [this](const Error& error) {
    if (!damaged_) fail("a sound directory is refused: " + error.context);
    if (error.context.empty()) fail("a damaged directory is refused, and nobody says why");
    return false;
  };
  auto opened = LogManager::open(sim_.world("b"), given);
  if (!opened) return refused(opened.error());
  manager_ = std::move(*opened);
  auto log = manager_->get_or_create(kPartition, kTopicId);
  if (!log) return refused(log.error());
  log_ = *log;
  if (damaged_) return true;
  if (auto sound = log_->check_invariants(); !sound) fail(sound.error().context);
  return wrong_.empty();
}

void DamagedLog::work() {
  if (offline_) return;
  auto epoch = log_->latest_epoch().value_or(0);
  log_->begin_epoch(epoch == INT32_MAX ? epoch : epoch + 1);
  for (int64_t steps = prng_.between(5, 120); steps > 0 && wrong_.empty() && !offline_; --steps) {
    append();
    if (offline_) break;
    if (prng_.chance(0.3)) sim_.run_for(prng_.between(0, 4'000'000));
    if (prng_.chance(0.05)) log_->flush();
    if (prng_.chance(0.05) && !log_->roll()) break;
    if (prng_.chance(0.05)) manager_->checkpoint_recovery_points();
    if (damaged_ && prng_.chance(0.03)) cut();
    if (prng_.chance(0.01)) misdirect();
  }
  sim_.clear_faults("b");
  if (offline_ && !damaged_) fail("a sound directory went offline");
}

void DamagedLog::append() {
  BatchBuilder::Options with;
  with.codec = static_cast<compress::Codec>(prng_.below(5));
  BatchBuilder builder(with);
  std::string value(prng_.below(prng_.chance(0.1) ? 3000 : 200), '\0');
  for (char& byte : value) byte = static_cast<char>(prng_.next());
  builder.append(sim_.world("b").loop.wall_ms(), as_bytes("k"), as_bytes(value));
  Buffer bytes;
  if (!builder.finish(bytes)) return fail("codec");
  int32_t epoch = log_->latest_epoch().value_or(0);
  Appended out = log_->append_as_leader(bytes.mutable_bytes(), epoch);
  contents_.insert(content(bytes.bytes()));
  if (out.refusal == Refusal::none)
    bases_.push_back(out.first_offset);
  else if (!damaged_)
    fail("append refused: " + out.message);
}

// What cuts a damaged log must end as well.
void DamagedLog::cut() {
  int64_t start = log_->log_start_offset(), leo = log_->leo();
  if (start > leo) return fail(fmt::format("begins at {}, ends at {}", start, leo));
  int64_t to = prng_.between(std::max(start, leo - 50), leo);
  switch (prng_.below(3)) {
    case 0:
      (void)log_->truncate_to(to);
      break;
    case 1:
      log_->set_hw(leo);
      (void)log_->delete_records(to);
      break;
    default:
      log_->apply_retention(sim_.world("b").loop.wall_ms());
  }
}

// NothingInvented. From each offset that was given out, and some that were not.
void DamagedLog::read_all() {
  if (offline_) return;
  std::vector<int64_t> from = bases_;
  from.push_back(log_->log_start_offset());
  from.push_back(log_->leo());
  int64_t sound = 0;
  for (int64_t at : from) {
    if (offline_ || at < log_->log_start_offset() || at > log_->leo()) continue;
    ReadResult read = log_->read(at, 1, log_->leo(), true);
    if (read.refusal != Refusal::none) continue;
    auto bytes = log_->read_bytes(read.slice);
    if (!bytes) continue;
    BatchCursor cursor(*bytes);
    while (auto raw = cursor.next()) {
      if (raw->magic != 2) continue;
      BatchView batch(raw->bytes);
      if (!batch.crc_ok()) continue;
      if (!contents_.contains(content(raw->bytes)))
        return fail(fmt::format("the batch found at {} was never appended", at));
      ++sound;
    }
  }
  if (damaged_ || config_.flush_messages != 1) return;
  if (sound < static_cast<int64_t>(bases_.size()))
    fail(fmt::format("{} of {} batches are there before any damage", sound, bases_.size()));
}

void DamagedLog::look_up() {
  int64_t now = sim_.world("b").loop.wall_ms();
  if (!offline_) (void)log_->check_invariants();
  for (int i = 0; i < 5 && !offline_; ++i)
    (void)log_->offset_for_timestamp(prng_.between(0, now + 1000));
  if (!offline_) (void)log_->offset_of_max_timestamp();
  if (!offline_) (void)log_->legacy_offsets_before(now, 10);
  if (!offline_) (void)log_->aborted_transactions(log_->log_start_offset(), log_->leo());
  if (!offline_) (void)log_->end_offset_for_epoch(static_cast<int32_t>(prng_.below(10)));
}

void DamagedLog::misdirect() {
  sim::DiskFault fault;
  fault.call = sim::DiskCall::write;
  fault.defect = sim::DiskFault::Defect::misdirect;
  fault.count = 1;
  sim_.inject("b", fault);
  damaged_ = true;
}

void DamagedLog::finish() {
  if (!offline_ && prng_.chance(0.3)) {
    std::optional<bool> closed;
    manager_->shutdown([&](bool all) { closed = all; });
    sim_.run_until([&] { return closed.has_value(); }, 10'000'000'000);
    if (!closed) fail("the clean end does not end");
    if (closed && !*closed && !damaged_) fail("no clean end without damage");
  } else if (config_.flush_messages == 1) {
    sim_.run_for(20'000'000);  // what was appended is synced
  }
  offline_ = false;
  log_ = nullptr;
  if (prng_.chance(0.6))
    sim_.crash("b");
  else
    sim_.kill("b");
  manager_ = nullptr;
}

void DamagedLog::fail(std::string what) {
  if (wrong_.empty()) wrong_ = std::move(what);
}

}  // namespace ottla::broker
