// What happens to the servers of sim_stack in its unsafe phase, and to what lies between them.
#include "test/sim/stack/run.h"

namespace ottla::test {

void Run::fault() {
  uint64_t dice = prng_.below(100);
  if (dice < 25) return stop_broker(flushes_ && prng_.chance(0.8));
  if (dice < 32) return stop_broker_cleanly();
  if (dice < 45) return stop_ensemble();
  if (dice < 62) return cut_link();
  if (dice < 72) return clog_link();
  if (dice < 82) return stall_disk();
  if (dice < 87)
    return simulator_.reset_connections("broker", prng_.chance(0.5) ? "zk" : some_client());
  if (dice < 88) return consumers_[prng_.below(consumers_.size())]->vanish();
  if (dice < 95 && flushes_) return break_disk();
  if (dice < 96)
    return simulator_.set_wall_skew(prng_.chance(0.5) ? "broker" : "zk",
                                    prng_.between(-7200'000, 7200'000));
  if (dice < 97)
    return simulator_.set_clock_drift(prng_.chance(0.5) ? "broker" : "zk",
                                      prng_.between(-50'000, 50'000));
  if (dice < 99) return stand_still();
  stop_ensemble_and_broker();
}

// Longer than the session lives, sometimes: the broker wakes up as one that was given up (rows
// 13, 15, 29).
void Run::stand_still() {
  uint64_t who = prng_.below(10);
  simulator_.pause(who < 6   ? "broker"
                   : who < 8 ? "zk"
                             : some_client(),
                   prng_.between(1, 3 * session_timeout_ms_) * kMs);
  if (prng_.chance(0.3)) return;
  pass(prng_.between(1, 3 * session_timeout_ms_));
}

void Run::stop_broker(bool power) {
  broker_down(power);
  // And again while it starts, sometimes.
  while (prng_.chance(0.2)) {
    simulator_.run_for(prng_.between(0, 20) * kMs);
    start_broker(simulator_.restart("broker"));
    simulator_.run_for(prng_.between(0, 100'000'000));
    broker_down(power);
  }
  simulator_.run_for(prng_.between(0, prng_.chance(0.7) ? 100 : 6000) * kMs);
  start_broker(simulator_.restart("broker"));
}

void Run::stop_broker_cleanly() {
  auto stopped = std::make_shared<bool>(false);
  broker_->stop([stopped] { *stopped = true; });
  simulator_.run_until([stopped] { return *stopped; }, 5000 * kMs);
  broker_is_over_ = false;
  stop_broker(false);
}

void Run::stop_ensemble() {
  ensemble_down();
  pass(prng_.between(0, prng_.chance(0.6) ? 200 : 2 * session_timeout_ms_));
  start_ensemble(simulator_.restart("zk"));
}

void Run::stop_ensemble_and_broker() {
  ensemble_down();
  pass(prng_.between(0, 500));
  broker_down(flushes_);
  broker_is_over_ = false;
  simulator_.run_for(prng_.between(0, 500) * kMs);
  if (prng_.chance(0.5)) {
    start_broker(simulator_.restart("broker"));
    pass(prng_.between(0, 2000));
    start_ensemble(simulator_.restart("zk"));
  } else {
    start_ensemble(simulator_.restart("zk"));
    start_broker(simulator_.restart("broker"));
  }
}

void Run::cut_link() {
  ++outcome_.cuts;
  std::string other = prng_.chance(0.6) ? "zk" : some_client();
  uint64_t how = prng_.below(3);
  if (how != 1) simulator_.cut("broker", other);
  if (how != 2) simulator_.cut(other, "broker");
  // Shorter than the session lives, or longer.
  pass(prng_.between(1, prng_.chance(0.5) ? session_timeout_ms_ / 2 : 3 * session_timeout_ms_));
  simulator_.heal();
}

void Run::clog_link() {
  std::string other = prng_.chance(0.5) ? "zk" : some_client();
  int64_t delay = prng_.between(1, 700) * kMs;
  if (prng_.chance(0.7)) simulator_.clog("broker", other, delay);
  if (prng_.chance(0.7)) simulator_.clog(other, "broker", delay);
  // Some stay, under what comes next.
  if (prng_.chance(0.3)) return;
  pass(prng_.between(100, 3000));
  simulator_.heal();
}

void Run::stall_disk() {
  sim::DiskOptions& options = simulator_.disk_options(prng_.chance(0.6) ? "broker" : "zk");
  options.sync_stall = 0.3;
  options.stall_ns = prng_.between(50, 2500) * kMs;
  if (prng_.chance(0.3)) return;
  pass(prng_.between(100, 3000));
  options.sync_stall = 0;
}

// A write or sync of the broker's log fails: its only directory goes offline, and the broker
// ends. After a failed sync nobody knows what the machine kept, so power fails with it.
void Run::break_disk() {
  ++outcome_.disk_faults;
  disk_fails_ = true;
  sim::DiskFault fault;
  constexpr sim::DiskCall kCalls[] = {sim::DiskCall::sync,     sim::DiskCall::write,
                                      sim::DiskCall::open,     sim::DiskCall::read,
                                      sim::DiskCall::sync_dir, sim::DiskCall::rename};
  constexpr const char* kParts[] = {".log", ".log", "checkpoint", ".snapshot", "__consumer", ""};
  fault.call = kCalls[prng_.below(prng_.chance(0.5) ? 2 : std::size(kCalls))];
  fault.path_part = kParts[prng_.below(std::size(kParts))];
  fault.code = prng_.chance(0.5) ? Errc::io : Errc::no_space;
  fault.skip = prng_.below(8);
  fault.count = 1;
  simulator_.inject("broker", fault);
  pass(prng_.between(1, 1000));
  if (disk_fails_) stop_broker(true);
}

}  // namespace ottla::test
