// Run: one seed of sim_stack. An ensemble member, a broker, the clients of both, and what the seed
// has in store for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/server/broker.h"
#include "common/rt_sim/simulator.h"
#include "test/sim/stack/admin.h"
#include "test/sim/stack/consumer.h"
#include "test/sim/stack/history.h"
#include "test/sim/stack/producer.h"
#include "zk-ensemble/server/server.h"

namespace ottla::test {

inline constexpr int64_t kMs = 1'000'000;

enum class Sabotage { none, lying_sync, no_flush };

struct RunOptions {
  uint64_t seed = 1;
  Sabotage sabotage = Sabotage::none;
  bool trace = false;
  // Of a short story without faults: a server is asked to end after so many events.
  std::optional<uint64_t> end_after;
};

struct Outcome {
  uint64_t trace_hash = 0;
  std::optional<Violation> violation;
  uint64_t produced = 0, fetched = 0, commits = 0, generations = 0, topics = 0, deleted = 0,
           lost_answers = 0;
  uint64_t power_failures = 0, kills = 0, ensemble_failures = 0, cuts = 0, disk_faults = 0,
           expirations = 0, virtual_ms = 0;
  bool ended = false;  // the story was long enough for end_after
};

class Run {
 public:
  explicit Run(const RunOptions& options);
  Outcome run();

 private:
  // run.cc: the servers and clients, time, the phases
 private:
  // ------------------------------------------------------------------------------------- servers
  void start_ensemble(rt::World world);
  broker::BrokerConfig broker_config();
  void start_broker(rt::World world);
  void broker_over(const Error& error);
  void broker_down(bool power);
  void ensemble_down();
  void start_clients();
  std::string some_client();
  void pass(int64_t ms);
  void restart_ended_broker();
  void unsafe_phase();
  void clean_end();
  void end_broker();
  void end_ensemble();
  void calm_phase();
  bool everybody_is_done();
  std::string describe();

  // faults.cc: what happens to them
  void fault();
  void stand_still();
  void stop_broker(bool power);
  void stop_broker_cleanly();
  void stop_ensemble();
  void stop_ensemble_and_broker();
  void cut_link();
  void clog_link();
  void stall_disk();
  void break_disk();

  // judges.cc: what must hold
  void observe();
  void judge();
  void judge_link(const KafkaLink& link);
  void judge_registration();
  void judge_topics();

  RunOptions options_;
  Prng prng_;
  sim::Simulator simulator_;
  History history_;
  Outcome outcome_;
  bool flushes_ = true;
  int64_t session_timeout_ms_ = 2000;
  int64_t segment_bytes_ = 20'000;
  std::unique_ptr<zk::Server> ensemble_;
  std::unique_ptr<broker::Broker> broker_;
  bool broker_is_over_ = false, stopping_ = false, cut_off_ = false, started_calm_ = false,
       calm_ = false, disk_fails_ = false;
  std::map<std::pair<std::string, int32_t>, int64_t> hw_;
  std::unique_ptr<Admin> admin_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
};

}  // namespace ottla::test
