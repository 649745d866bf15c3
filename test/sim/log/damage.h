// DamagedLog: one seed of sim_log --damage. One partition on a disk that forgets what it was told:
// synced bytes of any file decay, a write lands at another sector of this or another file.
//
// Nobody can promise that everything is there then. What must hold: nothing is invented (a batch
// whose checksum fits is one that was appended), every call ends with an answer or an error, and a
// refused start says why. Before the damage all is there.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/log/log_manager.h"
#include "common/rt_sim/simulator.h"

namespace ottla::broker {

class DamagedLog {
 public:
  explicit DamagedLog(uint64_t seed);

  std::string run();  // empty when all promises held
  uint64_t hash() const { return sim_.trace_hash(); }
  uint64_t appended() const { return bases_.size(); }

 private:
  bool start();  // false: refused, or wrong
  void work();
  void append();
  void cut();
  void read_all();
  void look_up();
  void misdirect();
  void finish();
  void fail(std::string what);

  Prng prng_;
  sim::Simulator sim_;
  LogConfig config_;
  std::unique_ptr<LogManager> manager_;
  PartitionLog* log_ = nullptr;
  std::set<std::string> contents_;  // of what was appended: each from its checksum to its end
  std::vector<int64_t> bases_;
  bool damaged_ = false;
  bool offline_ = false;
  std::string wrong_;
};

}  // namespace ottla::broker
