// sim_ensemble: a standalone member and its clients in the simulated world. Power fails, disks fail and
// decay, links are cut, clocks jump and drift, processes stand still; then the faults stop and everybody
// must finish.
//
//   sim_ensemble [--seed S] [--seeds N] [--twice] [--sweep | --ends] [--lying-sync | --no-log-sync] [--trace]
// N seeds from S on; without --seed fresh ones.
//
// --twice: each seed runs twice and must give the same trace. --sweep: of each seed's short story every
// call to the server's disk fails once with EIO and once with ENOSPC (--call N: that one alone).
// --ends: of each seed's short story without faults, the server is asked to end after each event (--call N).
// --lying-sync: the disk's syncs do nothing; --no-log-sync: the server acknowledges without waiting for
// its log. Both must be caught: exit 0 as soon as a seed breaks an invariant, 1 when none does.
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "common/base/log.h"
#include "test/sim/ensemble/run.h"

using namespace ottla;

namespace {

struct Arguments {
  uint64_t seed = static_cast<uint64_t>(std::time(nullptr)) * 1000;  // fresh, unless given
  uint64_t seeds = 1;
  bool twice = false, trace = false, sweep = false, ends = false;
  std::optional<uint64_t> call;
  test::Sabotage sabotage = test::Sabotage::none;
  const char* sabotage_flag = "";
};

void add(test::Outcome& sum, const test::Outcome& one) {
  sum.promises += one.promises;
  sum.reads += one.reads;
  sum.events += one.events;
  sum.crashes += one.crashes;
  sum.disk_faults += one.disk_faults;
  sum.expirations += one.expirations;
  sum.virtual_ms += one.virtual_ms;
  sum.time_faults += one.time_faults;
  sum.cuts += one.cuts;
  sum.damaged += one.damaged;
  sum.refused += one.refused;
}

int run_all(const Arguments& arguments) {
  test::Outcome sum;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    test::RunOptions options{.seed = seed, .sabotage = arguments.sabotage, .trace = arguments.trace,
                             .fail_call = {}, .fail_code = Errc::io, .end_after = {}};
    test::Outcome outcome = test::Run(options).run();
    if (outcome.violation) {
      fmt::print("seed {}: {}: {}\nrepeat: sim_ensemble --seed {}{}\n", seed, outcome.violation->invariant,
                 outcome.violation->what, seed, arguments.sabotage_flag);
      return arguments.sabotage == test::Sabotage::none ? 1 : 0;
    }
    options.trace = false;
    if (arguments.twice && test::Run(options).run().trace_hash != outcome.trace_hash) {
      fmt::print("seed {}: SameSeedSameTrace: another hash the second time\n", seed);
      return 1;
    }
    if (arguments.seeds == 1) fmt::print("trace hash {:016x}\n", outcome.trace_hash);
    add(sum, outcome);
  }
  fmt::print("{} seeds from {}: {} writes acknowledged, {} reads, {} events, {} crashes, {} disk faults, "
             "{} damaged ({} refused), {} cuts, {} clocks and pauses, {} expired sessions, {} s simulated\n",
             arguments.seeds, arguments.seed, sum.promises, sum.reads, sum.events, sum.crashes,
             sum.disk_faults, sum.damaged, sum.refused, sum.cuts, sum.time_faults, sum.expirations,
             sum.virtual_ms / 1000);
  if (arguments.sabotage == test::Sabotage::none) return 0;
  fmt::print("no seed noticed{}\n", arguments.sabotage_flag);
  return 1;
}

int sweep(const Arguments& arguments) {
  uint64_t failed = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    bool hit = true;
    for (uint64_t call = arguments.call.value_or(0); hit; ++call) {
      for (Errc code : {Errc::io, Errc::no_space}) {
        test::Outcome outcome =
            test::Run({.seed = seed, .trace = arguments.trace, .fail_call = call, .fail_code = code, .end_after = {}}).run();
        hit = outcome.fault_hit;
        failed += hit ? 1 : 0;
        if (!outcome.violation) continue;
        fmt::print("seed {} call {} {}: {}: {}\nrepeat: sim_ensemble --sweep --seed {} --call {}\n", seed, call,
                   code == Errc::io ? "EIO" : "ENOSPC", outcome.violation->invariant,
                   outcome.violation->what, seed, call);
        return 1;
      }
      if (arguments.call) break;
    }
  }
  fmt::print("{} seeds from {}: {} calls failed\n", arguments.seeds, arguments.seed, failed);
  return 0;
}

int ends(const Arguments& arguments) {
  uint64_t ended = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    bool reached = true;
    for (uint64_t after = arguments.call.value_or(0); reached; ++after) {
      test::Outcome outcome =
          test::Run({.seed = seed, .trace = arguments.trace, .fail_call = {}, .end_after = after}).run();
      reached = outcome.ended && !arguments.call;
      ended += outcome.ended ? 1 : 0;
      if (!outcome.violation) continue;
      fmt::print("seed {} end after event {}: {}: {}\nrepeat: sim_ensemble --ends --seed {} --call {}\n", seed, after,
                 outcome.violation->invariant, outcome.violation->what, seed, after);
      return 1;
    }
  }
  fmt::print("{} seeds from {}: {} clean ends\n", arguments.seeds, arguments.seed, ended);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    auto number = [&]() -> uint64_t { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (argument == "--seed") {
      arguments.seed = number();
    } else if (argument == "--seeds") {
      arguments.seeds = number();
    } else if (argument == "--call") {
      arguments.call = number();
    } else if (argument == "--twice") {
      arguments.twice = true;
    } else if (argument == "--sweep") {
      arguments.sweep = true;
    } else if (argument == "--ends") {
      arguments.ends = true;
    } else if (argument == "--lying-sync") {
      arguments.sabotage = test::Sabotage::lying_sync;
      arguments.sabotage_flag = " --lying-sync";
    } else if (argument == "--no-log-sync") {
      arguments.sabotage = test::Sabotage::no_log_sync;
      arguments.sabotage_flag = " --no-log-sync";
    } else if (argument == "--trace") {
      arguments.trace = true;
    } else {
      fmt::print(stderr, "usage: sim_ensemble [--seed S] [--seeds N] [--twice] [--sweep [--call N] | --ends [--call N]] "
                         "[--lying-sync | --no-log-sync] [--trace]\n");
      return 2;
    }
  }
  log::set_level(arguments.trace ? log::Level::debug : log::Level::off);
  if (arguments.ends) return ends(arguments);
  return arguments.sweep ? sweep(arguments) : run_all(arguments);
}
