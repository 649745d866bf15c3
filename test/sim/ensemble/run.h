// Run: one seed of sim_ensemble. A server, one to four clients, and what the seed has in store for them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/rt_sim/simulator.h"
#include "test/sim/ensemble/history.h"
#include "test/sim/ensemble/zk_client.h"
#include "zk-ensemble/server/server.h"

namespace ottla::test {

enum class Sabotage { none, lying_sync, no_log_sync };

struct RunOptions {
  uint64_t seed = 1;
  Sabotage sabotage = Sabotage::none;
  bool trace = false;
  // A sweep: of the server's calls to its disk exactly this one fails, in a short story of power
  // failures and kills alone.
  std::optional<uint64_t> fail_call;
  Errc fail_code = Errc::io;
  // Of a short story without any fault: the server is asked to end after so many events.
  std::optional<uint64_t> end_after;
  bool is_short() const { return fail_call || end_after; }
};

struct Outcome {
  uint64_t trace_hash = 0;
  std::optional<Violation> violation;
  uint64_t promises = 0, reads = 0, events = 0, crashes = 0, disk_faults = 0, expirations = 0,
           virtual_ms = 0, time_faults = 0, cuts = 0, damaged = 0, refused = 0;
  bool fault_hit = false;
  bool ended = false;  // the story was long enough for end_after
};

class Run {
 public:
  explicit Run(const RunOptions& options);
  Outcome run();

 private:
  // run.cc: the servers and clients, time, the phases, the judges
  void preseed(int64_t zxid);
  void start_server(rt::World world);
  bool refused(const Error& error);
  void start_clients();
  void stop_server(bool power);
  void restart_server();
  void pass(int64_t ms);
  void observe();
  void unsafe_phase();
  void clean_end();
  void calm_phase();
  bool everybody_finished() const;
  void collect();
  void judge_start();
  void judge();
  std::string log_dir() const;
  std::string some_client();

  // faults.cc: what happens to them
  void fault();
  void stop_and_start();
  void break_disk();
  void stall_disk();
  void cut_link();
  void late_connections();
  void clog_link();
  void stand_still();
  void turn_clocks();
  void damage();

  RunOptions options_;
  Prng prng_;
  sim::Simulator simulator_;
  zk::ServerConfig config_;
  History history_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<zk::Server> server_;
  std::vector<std::unique_ptr<ZkClient>> clients_;
  Outcome outcome_;
  ZxidMonotone zxid_;
  SessionsStayDead sessions_;
  int64_t looked_zxid_ = -1;
  uint64_t hits_before_ = 0;       // disk faults that hit before this life
  bool server_is_over_ = false;    // it said so, or did not start
  bool damaged_ = false;           // synced bytes went bad: it may refuse, with a line
  bool misdirected_ = false;       // what was lost may be lost without a trace
  bool over_ = false;              // nothing more can be asked of this seed
};

}  // namespace ottla::test
