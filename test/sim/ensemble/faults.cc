// What a seed of sim_ensemble does to its server, its clients, and what is between them.
#include "test/sim/ensemble/run.h"

namespace ottla::test {
namespace {
constexpr int64_t kMs = 1'000'000;
}

void Run::fault() {
  uint64_t dice = prng_.below(100);
  if (prng_.chance(0.12) && clients_.size() > 1) clients_[prng_.below(clients_.size())]->vanish();
  if (dice < 8) return simulator_.reset_connections("server", some_client());
  if (dice < 20) return break_disk();
  if (dice < 26) return stall_disk();
  if (dice < 36) return cut_link();
  if (dice < 40) return late_connections();
  if (dice < 45) return clog_link();
  if (dice < 53) return stand_still();
  if (dice < 61) return turn_clocks();
  if (dice < 66 && options_.sabotage == Sabotage::none) return damage();
  stop_and_start();
}

void Run::stop_and_start() {
  stop_server(prng_.chance(0.8));
  // And again while it starts, sometimes.
  while (prng_.chance(0.15)) {
    simulator_.run_for(prng_.between(0, 20) * kMs);
    restart_server();
    if (history_.violation() || over_) return;
    simulator_.run_for(prng_.between(0, 30) * kMs);
    stop_server(prng_.chance(0.8));
  }
  simulator_.run_for(prng_.between(0, prng_.chance(0.8) ? 50 : 3000) * kMs);
  restart_server();
}

// One call fails, of any kind, in the life that is or in the start that follows. After a write or sync of
// a log nothing more may be acknowledged; what a snapshot or a purge could not do is done another time.
void Run::break_disk() {
  ++outcome_.disk_faults;
  constexpr sim::DiskCall kCalls[] = {sim::DiskCall::sync,     sim::DiskCall::write,  sim::DiskCall::sync_dir,
                                      sim::DiskCall::open,     sim::DiskCall::rename, sim::DiskCall::remove,
                                      sim::DiskCall::truncate, sim::DiskCall::read,   sim::DiskCall::list,
                                      sim::DiskCall::any};
  constexpr const char* kParts[] = {"/log.", "/log.", "/snapshot.", ""};
  sim::DiskFault fault;
  fault.call = kCalls[prng_.below(prng_.chance(0.5) ? 2 : std::size(kCalls))];
  fault.path_part = kParts[prng_.below(std::size(kParts))];
  fault.code = prng_.chance(0.5) ? Errc::io : Errc::no_space;
  fault.skip = prng_.below(6);
  fault.count = prng_.chance(0.8) ? 1 : prng_.between(1, 20);
  bool at_start = prng_.chance(0.3);
  if (at_start) {
    stop_server(prng_.chance(0.8));
    simulator_.run_for(prng_.between(0, 50) * kMs);
    rt::World world = simulator_.restart("server");
    collect();
    simulator_.inject("server", fault);
    start_server(world);
  } else {
    simulator_.inject("server", fault);
  }
  pass(prng_.between(1, 60));
  if (over_) return;
  simulator_.clear_faults("server");
  if (prng_.chance(0.5)) stop_and_start();
}

void Run::stall_disk() {
  ++outcome_.disk_faults;
  sim::DiskOptions& options = simulator_.disk_options("server");
  options.sync_stall = 0.4;
  options.stall_ns = prng_.between(50, 4000) * kMs;
  if (prng_.chance(0.3)) return;  // stays, under what comes next
  pass(prng_.between(10, 5000));
  options.sync_stall = 0;
}

// Half open for as long as it lasts: one end may be gone, or have given up, and the other not know it.
void Run::cut_link() {
  ++outcome_.cuts;
  std::string client = some_client();
  uint64_t how = prng_.below(3);
  if (how != 1) simulator_.cut("server", client);
  if (how != 2) simulator_.cut(client, "server");
  pass(prng_.between(1, prng_.chance(0.5) ? 1000 : 9000));
  if (prng_.chance(0.2)) stop_and_start();
  simulator_.heal();
}

// A client's connection breaks unseen by the server, and its attempts to connect again arrive late,
// all of them, also those that it gave up.
void Run::late_connections() {
  ++outcome_.cuts;
  std::string client = some_client();
  simulator_.cut(client, "server");
  simulator_.reset_connections(client, "server");
  pass(prng_.between(100, 12'000));
  simulator_.heal();
}

void Run::clog_link() {
  ++outcome_.cuts;
  std::string client = some_client();
  int64_t delay = prng_.between(1, 900) * kMs;
  if (prng_.chance(0.7)) simulator_.clog("server", client, delay);
  if (prng_.chance(0.7)) simulator_.clog(client, "server", delay);
  if (prng_.chance(0.3)) return;
  pass(prng_.between(100, 3000));
  simulator_.heal();
}

// SIGSTOP, swapping, a paused machine: all timers come late, at once.
void Run::stand_still() {
  ++outcome_.time_faults;
  simulator_.pause(prng_.chance(0.7) ? "server" : some_client(), prng_.between(1, 10'000) * kMs);
  if (prng_.chance(0.2)) return;
  pass(prng_.between(1, 12'000));
}

// The wall clock jumps by hours, either way; a clock is fast or slow.
void Run::turn_clocks() {
  ++outcome_.time_faults;
  if (prng_.chance(0.6)) {
    simulator_.set_wall_skew(prng_.chance(0.7) ? "server" : some_client(),
                             prng_.between(-7200'000, 7200'000));
  } else {
    simulator_.set_clock_drift(prng_.chance(0.7) ? "server" : some_client(),
                               prng_.between(-100'000, 100'000));
  }
  pass(prng_.between(1, 3000));
}

// Synced bytes go bad, or a write lands elsewhere, and then the server starts again.
void Run::damage() {
  ++outcome_.damaged;
  if (prng_.chance(0.4)) {
    sim::DiskFault fault;
    fault.call = sim::DiskCall::write;
    fault.defect = sim::DiskFault::Defect::misdirect;
    fault.skip = prng_.below(10);
    fault.count = 1;
    uint64_t before = simulator_.disk_faults_hit("server");
    simulator_.inject("server", fault);
    pass(prng_.between(1, 60));
    simulator_.clear_faults("server");
    if (history_.violation() || over_) return;
    if (simulator_.disk_faults_hit("server") != before) damaged_ = misdirected_ = true;
    stop_server(prng_.chance(0.5));
    simulator_.run_for(prng_.between(0, 50) * kMs);
    rt::World world = simulator_.restart("server");
    collect();
    return start_server(world);
  }
  stop_server(prng_.chance(0.5));
  simulator_.run_for(prng_.between(0, 50) * kMs);
  simulator_.clear_faults("server");
  rt::World world = simulator_.restart("server");
  collect();
  for (int64_t i = prng_.between(1, 3); i > 0; --i)
    if (simulator_.decay("server", prng_.chance(0.7) ? "/log." : "/version-2/")) damaged_ = true;
  start_server(world);
}

}  // namespace ottla::test
