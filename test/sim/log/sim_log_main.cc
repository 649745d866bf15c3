// sim_log: the broker's log on a simulated disk, crashed again and again. One partition is appended
// to by idempotent and plain producers or as a follower, flushed, rolled, checkpointed, truncated,
// and loses its beginning to DeleteRecords and to retention over odd timestamps; the power fails at
// a random moment, the wall clock jumps, a second log directory may fail; what the next start finds
// is compared with what was appended.
//
//   sim_log --seed N      one seed; prints its trace hash
//   sim_log --seeds N     N fresh seeds (--first S: from S on); prints the command that repeats a
//   failure
//   --lying               syncs do nothing: 0 when a seed notices (a test of this test)
//   --repeat              each seed twice
//   --faults              of each seed, every call to the disk fails once (EIO, ENOSPC by turns),
//   in the first run and in the one that recovers: the directory goes offline, told once, or the
//   start or the clean end says that it failed; what was acknowledged is there after the next start
//   --damage              the other story, of a disk on which synced bytes decay and writes land
//   elsewhere (damage.h)
//
// Promises checked: the log is always a prefix of what was appended, in order, every byte; with
// flush.messages=1 no acknowledged record is missing; index entries point at their batches;
// producer state and leader epochs are those of the surviving batches.
#include <fmt/core.h>

#include <cstdlib>
#include <ctime>

#include "common/base/log.h"
#include "test/sim/log/damage.h"
#include "test/sim/log/trial.h"

using namespace ottla;

namespace {

struct Arguments {
  uint64_t first = static_cast<uint64_t>(std::time(nullptr)) * 1000;  // fresh, unless given
  uint64_t seeds = 1;
  bool lying = false, repeat = false, verbose = false, faults = false, damage = false;
};

// The command that repeats a failure names the program as it was called.
int fail_every_call(const Arguments& arguments, const char* program) {
  uint64_t failed = 0;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    for (int round = 0; round < 2; ++round) {
      bool hit = true;
      for (uint64_t nth = 0; hit; ++nth) {
        hit = false;
        broker::Trial trial(seed, arguments.lying);
        std::string wrong = trial.run_with_fault(round, nth, hit);
        failed += hit ? 1 : 0;
        if (wrong.empty()) continue;
        fmt::print("FAILED seed={} round={} call={} {}\nrepeat: {} --faults --seed {}\n", seed,
                   round, nth, wrong, program, seed);
        return 1;
      }
    }
  }
  fmt::print("ok: {} seeds from {}, {} calls failed\n", arguments.seeds, arguments.first, failed);
  return 0;
}

// Story: Trial or DamagedLog.
template <typename Story>
int run_all(const Arguments& arguments, const char* program, const char* flags, auto... how) {
  uint64_t appended = 0, hash = 0;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    Story story(seed, how...);
    std::string wrong = story.run();
    hash = story.hash();
    appended += story.appended();
    if (wrong.empty() && arguments.repeat) {
      Story again(seed, how...);
      (void)again.run();
      if (again.hash() != hash) wrong = "the same seed gave another trace";
    }
    if (wrong.empty()) continue;
    fmt::print("{} seed={} {}\nrepeat: {} --seed {}{}\n", arguments.lying ? "noticed" : "FAILED",
               seed, wrong, program, seed, flags);
    return arguments.lying ? 0 : 1;
  }
  if (arguments.lying) return fmt::print("FAILED: syncs do nothing, and no seed notices\n"), 1;
  fmt::print("ok: {} seeds from {}, {} batches, last trace {:016x}\n", arguments.seeds,
             arguments.first, appended, hash);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (flag == "--seed" || flag == "--first")
      arguments.first = number();
    else if (flag == "--seeds")
      arguments.seeds = number();
    else if (flag == "--lying")
      arguments.lying = true;
    else if (flag == "--repeat")
      arguments.repeat = true;
    else if (flag == "--faults")
      arguments.faults = true;
    else if (flag == "--damage")
      arguments.damage = true;
    else if (flag == "--verbose")
      arguments.verbose = true;
    else
      return fmt::print(stderr, "unknown flag {}\n", flag), 2;
  }
  log::set_level(arguments.verbose ? log::Level::debug : log::Level::off);
  if (arguments.faults) return fail_every_call(arguments, argv[0]);
  if (arguments.damage) return run_all<broker::DamagedLog>(arguments, argv[0], " --damage");
  return run_all<broker::Trial>(arguments, argv[0], arguments.lying ? " --lying" : "",
                                arguments.lying);
}
