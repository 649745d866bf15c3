#include "test/sim/ensemble/run.h"

#include <fmt/core.h>

#include <cstdio>

#include "zk-ensemble/txnlog/snapshot_writer.h"

namespace ottla::test {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr uint16_t kPort = 2181;
// A server may take ten seconds to end, when a client does not read or the disk stands still.
constexpr int64_t kEndMaxMs = 10'100;

zk::ServerConfig load() {
  auto loaded = zk::load_config(
      "dataDir=/data\nclientPort=2181\ntickTime=500\npreAllocSize=64\nmaxClientCnxns=0\nadmin.enableServer=false\n", "sim.cfg");
  return std::move(loaded->config);
}

}  // namespace

Run::Run(const RunOptions& options)
    : options_(options), prng_(options.seed * 0x9e3779b97f4a7c15 + 1), simulator_(options.seed) {
  if (options.trace)
    simulator_.on_trace(
        [](std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); });
  config_ = load();
  if (options.sabotage == Sabotage::no_log_sync) config_.force_sync = "no";
  config_.snap_count = static_cast<int32_t>(options.is_short() ? prng_.between(10, 40) : prng_.between(20, 400));
  config_.global_outstanding_limit = prng_.chance(0.5) ? 1000 : 8;
  if (prng_.chance(0.4)) config_.data_log_dir = "/txn";
  if (prng_.chance(0.4)) {  // purges at each start
    config_.purge_interval_h = 1;
    config_.snap_retain_count = 3;
  }
}

Outcome Run::run() {
  rt::World world = simulator_.add_node("server");
  bool rolls_over = prng_.chance(0.1);
  int64_t base = rolls_over ? (prng_.between(1, 3) << 32) - prng_.between(1, 200) : 0;
  ledger_ = std::make_unique<Ledger>(base);
  if (rolls_over) preseed(base);
  if (options_.fail_call) {
    sim::DiskFault fault;
    fault.skip = *options_.fail_call;
    fault.count = 1;
    fault.code = options_.fail_code;
    simulator_.inject("server", fault);
  }
  start_server(world);
  start_clients();
  if (options_.end_after) {
    clean_end();
  } else {
    unsafe_phase();
  }
  if (!history_.violation() && !over_) calm_phase();
  if (!history_.violation() && !over_) judge();
  Outcome outcome = outcome_;
  outcome.violation = history_.violation();
  outcome.promises = history_.promises().size();
  outcome.reads = history_.reads;
  outcome.events = history_.events;
  outcome.expirations = history_.expirations;
  outcome.virtual_ms = static_cast<uint64_t>(simulator_.now().ms());
  outcome.fault_hit = simulator_.disk_faults_hit("server") != 0;
  clients_.clear();
  server_.reset();
  outcome.trace_hash = simulator_.trace_hash();
  return outcome;
}

std::string Run::log_dir() const {
  return (config_.data_log_dir.empty() ? config_.data_dir : config_.data_log_dir) + "/version-2";
}

// A directory whose only snapshot is so old that the low half of the zxid is about to overflow. As
// Apache's standalone server, ours counts on into the high half; only a leader begins an epoch.
void Run::preseed(int64_t zxid) {
  rt::World world = simulator_.world("server");
  zk::CoreOptions options;
  zk::DataTree tree(options);
  tree.set_last_zxid(zxid);
  std::string directory = config_.data_dir + "/version-2";
  OTTLA_CHECK(rt::make_dirs_durable(world.disk, directory).has_value());
  bool done = false;
  zk::SnapshotWriter writer(world, directory, tree, {}, [&](auto written) { done = written.has_value(); });
  OTTLA_CHECK(simulator_.run_until([&] { return done; }, 10'000 * kMs));
}

// ---------------------------------------------------------------------------------------- the server

void Run::start_server(rt::World world) {
  simulator_.disk_options("server").lying_sync = options_.sabotage == Sabotage::lying_sync;
  server_is_over_ = false;
  hits_before_ = options_.fail_call && outcome_.crashes == 0 ? 0 : simulator_.disk_faults_hit("server");
  server_ = std::make_unique<zk::Server>(world, config_);
  server_->on_fatal([this](const Error& error) {
    server_is_over_ = true;
    if (!refused(error)) history_.violated("LogFailsOnlyWithTheDisk", error.context);
  });
  auto started = server_->start();
  if (!started) {
    server_is_over_ = true;
    if (!refused(started.error())) history_.violated("RecoveryWorks", started.error().context);
    // What it read and did not make durable may be lost yet.
    return ledger_->forget_above(std::max(history_.max_zxid(), zxid_.seen));
  }
  judge_start();
}

// Whether the server had a reason to end: a call to its disk failed in this life, or what it had synced
// went bad. Either way it says one line, with a path in it.
bool Run::refused(const Error& error) {
  if (error.context.find('/') == std::string::npos || error.context.find('\n') != std::string::npos)
    history_.violated("RefusalIsOneLine", error.context);
  if (damaged_ && !clients_.empty() && error.code == Errc::corrupt) {
    ++outcome_.refused;
    over_ = true;
    return true;
  }
  return simulator_.disk_faults_hit("server") > hits_before_;
}

void Run::stop_server(bool power) {
  if (power) {
    simulator_.crash("server");
  } else {
    simulator_.kill("server");
  }
  server_.reset();
  ++outcome_.crashes;
}

void Run::restart_server() {
  if (!options_.fail_call) simulator_.clear_faults("server");
  rt::World world = simulator_.restart("server");
  // What it holds, before the server repairs or purges anything.
  collect();
  start_server(world);
}

// Its keeper starts a server again that ended. What a failed sync left is not what the cache shows, so
// half of the time the machine is started again too.
void Run::pass(int64_t ms) {
  Instant end = after_ms(simulator_.now(), ms);
  while (simulator_.now() < end && !history_.violation() && !over_) {
    simulator_.run_until(
        [this] {
          observe();
          return server_is_over_ || history_.violation();
        },
        end - simulator_.now());
    if (!server_is_over_ || history_.violation() || over_) continue;
    stop_server(prng_.chance(0.5));
    simulator_.run_for(prng_.between(1, 500) * kMs);
    restart_server();
  }
}

// After each event.
void Run::observe() {
  if (!server_ || server_is_over_) return;
  const zk::DataTree& tree = server_->tree();
  if (tree.last_zxid() == looked_zxid_) return;
  looked_zxid_ = tree.last_zxid();
  zxid_.judge(tree, history_);
  RepliesAreApplied::judge(tree, history_);
  EphemeralsHaveOwners::judge(tree, history_);
  sessions_.judge(tree, history_);
}

// --------------------------------------------------------------------------------------- the clients

void Run::start_clients() {
  bool sweep = options_.is_short();
  int count = static_cast<int>(sweep ? prng_.between(1, 2) : prng_.between(1, 4));
  ClientOptions options;
  options.server = {"10.0.0.1", kPort};
  options.session_timeout_ms = static_cast<int32_t>(prng_.between(10, 40) * 100);
  options.operations = static_cast<int>(sweep ? prng_.between(30, 60) : prng_.between(40, 300));
  options.outstanding_max = static_cast<size_t>(prng_.between(1, 20));
  for (int i = 1; i <= count; ++i) {
    rt::World world = simulator_.add_node(fmt::format("client{}", i));
    clients_.push_back(std::make_unique<ZkClient>(i, world, options, prng_.next(), history_));
    clients_.back()->start();
  }
}

std::string Run::some_client() { return fmt::format("client{}", 1 + prng_.below(clients_.size())); }

// -------------------------------------------------------------------------------------------- phases

void Run::unsafe_phase() {
  bool sweep = options_.fail_call.has_value();
  int faults = static_cast<int>(sweep ? 2 : prng_.between(1, 6));
  for (int i = 0; i < faults && !history_.violation() && !over_; ++i) {
    // Faults fall where the work is: a few milliseconds to a few hundred.
    pass(prng_.between(1, sweep || prng_.chance(0.7) ? 60 : 600));
    if (history_.violation() || over_) return;
    if (sweep) {
      stop_server(prng_.chance(0.5));
      simulator_.run_for(prng_.between(0, 50) * kMs);
      restart_server();
    } else {
      fault();
    }
  }
}

// SIGTERM, as main carries it out: within its bound the server is done, and nobody is listening; the next
// start has everything, over a power failure too.
void Run::clean_end() {
  uint64_t end = simulator_.events() + *options_.end_after;
  simulator_.run_until(
      [&] {
        observe();
        return simulator_.events() >= end || history_.violation() || everybody_finished();
      },
      60'000 * kMs);
  outcome_.ended = simulator_.events() >= end;
  if (!outcome_.ended || history_.violation()) return;
  bool done = false;
  server_->shutdown([&] { done = true; });
  bool in_time = simulator_.run_until(
      [&] {
        observe();
        return done || server_is_over_ || history_.violation();
      },
      kEndMaxMs * kMs);
  if (history_.violation()) return;
  if (!in_time || server_is_over_) return history_.violated("EndsCleanly", "it did not end in time, or not by itself");
  stop_server(prng_.chance(0.5));
  simulator_.run_for(prng_.between(0, 50) * kMs);
  restart_server();
}

bool Run::everybody_finished() const {
  if (server_is_over_ || simulator_.is_paused("server") || !server_->tree().sessions().empty())
    return false;
  for (const auto& client : clients_)
    if (!client->finished()) return false;
  return true;
}

void Run::calm_phase() {
  simulator_.heal();
  simulator_.disk_options("server").sync_stall = 0;
  int64_t waited_ms = 0;
  bool all = false;
  for (; !all && waited_ms < 120'000 && !history_.violation() && !over_; waited_ms += 200) {
    pass(200);
    // Sessions of those who vanished must expire, and their nodes with them.
    all = everybody_finished();
  }
  if (history_.violation() || over_) return;
  if (!all) {
    std::string who = fmt::format("{} sessions;", server_->tree().sessions().size());
    for (const auto& client : clients_) who += " " + client->describe() + ";";
    history_.violated("EverybodyFinishes", who);
  }
  pass(50);
}

// -------------------------------------------------------------------------------------------- judges

// Reads what lies on the disk, with nothing failing.
void Run::collect() {
  auto plan = simulator_.exchange_faults("server", {});
  auto read = ledger_->collect(simulator_.world("server").disk, log_dir(), history_);
  simulator_.exchange_faults("server", std::move(plan));
  if (!read && !damaged_ && read.error().code != Errc::not_found)
    history_.violated("LogReadsBack", read.error().context);
}

// The server has recovered: everything that its logs held and nothing else, and with it everything that
// anybody was told.
void Run::judge_start() {
  const zk::DataTree& tree = server_->tree();
  tree.check_invariants();
  int64_t told = std::max(history_.max_zxid(), zxid_.seen);
  if (tree.last_zxid() < told && damaged_) {
    // Synced bytes went bad at the end of the log, where a crash's torn write would look the same:
    // less than was told, but not without a word.
    if (server_->recovered().warnings.empty() && !misdirected_)
      history_.violated("DamageIsSaid", fmt::format("recovered to zxid {} of {} without a line",
                                                    tree.last_zxid(), told));
    ledger_->forget_above(tree.last_zxid());
    history_.forget_above(tree.last_zxid());
    over_ = true;
  } else if (tree.last_zxid() < told) {
    return history_.violated("AcknowledgedWritesSurvive",
                             fmt::format("recovered to zxid {}, {} was acknowledged or applied",
                                         tree.last_zxid(), told));
  }
  zxid_.seen = tree.last_zxid();
  if (damaged_ && (misdirected_ || !server_->recovered().warnings.empty()))
    ledger_->forget_above(tree.last_zxid());
  // A record that went bad is not missed where a snapshot is newer.
  if (damaged_ && !ledger_->is_whole(tree.last_zxid())) {
    if (server_->recovered().snapshot_zxid <= ledger_->base_zxid())
      history_.violated("DamageIsSaid", fmt::format("tree at {}, log at {}, no newer snapshot", tree.last_zxid(), ledger_->last_zxid()));
    over_ = true;
    return;
  }
  std::vector<zk::Txn> log = ledger_->txns();
  TreeEqualsModel::judge(*ledger_, log, tree, history_);
  AcknowledgedWritesSurvive::judge(log, history_);
}

void Run::judge() {
  server_->tree().check_invariants();
  if (!damaged_) {
    collect();
    std::vector<zk::Txn> log = ledger_->txns();
    AcknowledgedWritesSurvive::judge(log, history_);
    TreeEqualsModel::judge(*ledger_, log, server_->tree(), history_);
    SessionOrder::judge(log, history_);
  }
  EphemeralsFollowSessions::judge(server_->tree(), history_);
}

}  // namespace ottla::test
