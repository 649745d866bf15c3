// Trial: one seed of sim_log. Two partitions in two log directories, what is done to them, and what
// must be there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/log_manager.h"
#include "common/rt_sim/simulator.h"

namespace ottla::broker {

// A batch as it was appended.
struct Kept {
  int64_t base = 0, last = 0;
  std::string bytes;
  std::vector<int64_t> timestamps;
};

class Trial {
 public:
  Trial(uint64_t seed, bool lying);

  // Empty when all promises held.
  std::string run();
  // The nth call to the disk in this round fails; `hit`: there were so many.
  std::string run_with_fault(int round, uint64_t nth, bool& hit);
  uint64_t hash() const { return sim_.trace_hash(); }
  uint64_t appended() const { return appended_; }

 private:
  // trial.cc: the life of a log
  static sim::Options options(uint64_t seed, bool lying);
  void start();
  void work();
  void append();
  void retry_last();
  void trim();
  void truncate();
  int64_t some_timestamp();
  void forget_sequences();
  void finish();
  void fail(std::string what);

  // faults.cc: a directory that fails, the other one, and what a fault stops half way
  void start_other();
  void append_other();
  void break_other();
  void check_offline();
  void cut_failed(int64_t to, int64_t start);

  // model.cc: what must be there
  void verify();
  void verify_timestamps();
  void verify_producers();
  void judge_step();

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
  // Where the log begins now, and the least that a power failure may take it back to.
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

}  // namespace ottla::broker
