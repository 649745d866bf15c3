// sim_stack: an ensemble member, a broker and Kafka clients, all as they are in production, in the
// simulated world. Power fails, processes are killed, links are cut and clogged, disks stall and
// fail; then the faults stop, everybody must finish in bounded time, and everything that was
// acknowledged must be there.
//
//   sim_stack [--seed S] [--seeds N] [--twice] [--ends [--call N]] [--lying-sync | --no-flush]
//   [--trace] [--log]
// N seeds from S on; without --seed fresh ones.
//
// --ends: of each seed's short story without faults, a server is asked to end after every so many
// events (--call N: after so many alone), the broker's start among them.
// --twice: each seed runs twice and must give the same trace. --lying-sync: the broker's disk does
// not sync; --no-flush: the broker acknowledges records without waiting for its disk, though power
// fails. Both must be caught: exit 0 as soon as a seed breaks an invariant, 1 when none does.
#include <fmt/core.h>

#include <cstdlib>
#include <ctime>

#include "common/base/log.h"
#include "test/sim/stack/run.h"

using namespace ottla;

namespace {

constexpr uint64_t kStride = 20;  // of --ends, in events

struct Arguments {
  uint64_t seed = static_cast<uint64_t>(std::time(nullptr)) * 1000;  // fresh, unless given
  uint64_t seeds = 1;
  bool twice = false, trace = false, log = false, ends = false;
  std::optional<uint64_t> call;
  test::Sabotage sabotage = test::Sabotage::none;
  const char* sabotage_flag = "";
};

void add(test::Outcome& sum, const test::Outcome& one) {
  sum.produced += one.produced;
  sum.fetched += one.fetched;
  sum.commits += one.commits;
  sum.generations += one.generations;
  sum.topics += one.topics;
  sum.deleted += one.deleted;
  sum.lost_answers += one.lost_answers;
  sum.power_failures += one.power_failures;
  sum.kills += one.kills;
  sum.ensemble_failures += one.ensemble_failures;
  sum.cuts += one.cuts;
  sum.disk_faults += one.disk_faults;
  sum.expirations += one.expirations;
  sum.virtual_ms += one.virtual_ms;
}

int run_all(const Arguments& arguments) {
  test::Outcome sum;
  uint64_t last_hash = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    test::RunOptions options{
        .seed = seed, .sabotage = arguments.sabotage, .trace = arguments.trace, .end_after = {}};
    test::Outcome outcome = test::Run(options).run();
    if (outcome.violation) {
      fmt::print("seed {}: {}: {}\n", seed, outcome.violation->invariant, outcome.violation->what);
      fmt::print("repeat: sim_stack --seed {}{}\n", seed, arguments.sabotage_flag);
      return arguments.sabotage == test::Sabotage::none ? 1 : 0;
    }
    options.trace = false;
    if (outcome.trace_hash == last_hash ||
        (arguments.twice && test::Run(options).run().trace_hash != outcome.trace_hash)) {
      fmt::print(
          "seed {}: SameSeedSameTrace: another hash the second time, or that of another seed\n",
          seed);
      return 1;
    }
    last_hash = outcome.trace_hash;
    if (arguments.seeds == 1) fmt::print("trace hash {:016x}\n", outcome.trace_hash);
    add(sum, outcome);
  }
  fmt::print(
      "{} seeds from {}: {} records acknowledged, {} fetched, {} commits, {} assignments, {} "
      "topics ({} deleted), "
      "{} answers lost; {} power failures, {} kills, {} ensemble power failures, {} cuts, {} disk "
      "faults, "
      "{} expired sessions, {} s simulated\n",
      arguments.seeds, arguments.seed, sum.produced, sum.fetched, sum.commits, sum.generations,
      sum.topics, sum.deleted, sum.lost_answers, sum.power_failures, sum.kills,
      sum.ensemble_failures, sum.cuts, sum.disk_faults, sum.expirations, sum.virtual_ms / 1000);
  if (arguments.sabotage == test::Sabotage::none) return 0;
  fmt::print("no seed noticed{}\n", arguments.sabotage_flag);
  return 1;
}

// About 200 moments of a seed's short story, others in each run of fresh seeds.
int ends(const Arguments& arguments) {
  uint64_t ended = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    bool reached = true;
    Prng prng(seed);
    for (uint64_t after = arguments.call.value_or(0); reached; after += 1 + prng.below(kStride)) {
      test::Outcome outcome =
          test::Run({.seed = seed, .trace = arguments.trace, .end_after = after}).run();
      reached = outcome.ended && !arguments.call;
      ended += outcome.ended ? 1 : 0;
      if (!outcome.violation) continue;
      fmt::print(
          "seed {} end after event {}: {}: {}\nrepeat: sim_stack --ends --seed {} --call {}\n",
          seed, after, outcome.violation->invariant, outcome.violation->what, seed, after);
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
    auto number = [&]() -> uint64_t {
      return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
    };
    if (argument == "--seed") {
      arguments.seed = number();
    } else if (argument == "--seeds") {
      arguments.seeds = number();
    } else if (argument == "--twice") {
      arguments.twice = true;
    } else if (argument == "--ends") {
      arguments.ends = true;
    } else if (argument == "--call") {
      arguments.call = number();
    } else if (argument == "--lying-sync") {
      arguments.sabotage = test::Sabotage::lying_sync;
      arguments.sabotage_flag = " --lying-sync";
    } else if (argument == "--no-flush") {
      arguments.sabotage = test::Sabotage::no_flush;
      arguments.sabotage_flag = " --no-flush";
    } else if (argument == "--trace") {
      arguments.trace = true;
    } else if (argument == "--log") {
      arguments.log = true;
    } else {
      fmt::print(stderr,
                 "usage: sim_stack [--seed S] [--seeds N] [--twice] [--ends [--call N]] "
                 "[--lying-sync | --no-flush] "
                 "[--trace] [--log]\n");
      return 2;
    }
  }
  log::set_level(arguments.log ? log::Level::debug : log::Level::off);
  return arguments.ends ? ends(arguments) : run_all(arguments);
}
