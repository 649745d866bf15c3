// sim_ensemble: a standalone member and its clients in the simulated world. Power fails again and again
// under load (unsynced sectors are lost, torn, garbled); then the faults stop and everybody must finish.
//
//   sim_ensemble [--seed S] [--seeds N] [--twice] [--lying-sync | --no-log-sync] [--trace]
// N seeds from S on; without --seed fresh ones.
//
// --twice: each seed runs twice and must give the same trace. --lying-sync: the disk's syncs do nothing;
// --no-log-sync: the server acknowledges without waiting for its log. Both must be caught: exit 0 as soon
// as a seed breaks an invariant, 1 when none does.
#include <fmt/core.h>

#include <cstdio>
#include <ctime>
#include <cstdlib>
#include <cstring>

#include "common/base/log.h"
#include "common/rt_sim/simulator.h"
#include "test/sim/ensemble/history.h"
#include "test/sim/ensemble/zk_client.h"
#include "zk-ensemble/server/server.h"
#include "zk-ensemble/txnlog/log_reader.h"

using namespace ottla;

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr uint16_t kPort = 2181;

struct Outcome {
  uint64_t trace_hash = 0;
  std::optional<test::Violation> violation;
  uint64_t promises = 0, reads = 0, events = 0, crashes = 0, disk_faults = 0, expirations = 0, virtual_ms = 0;
};

class Run {
 public:
  enum class Sabotage { none, lying_sync, no_log_sync };

  Run(uint64_t seed, Sabotage sabotage, bool trace)
      : sabotage_(sabotage), prng_(seed * 0x9e3779b97f4a7c15 + 1), simulator_(seed) {
    if (trace)
      simulator_.on_trace([](std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); });
    config_ = *load();
    if (sabotage_ == Sabotage::no_log_sync) config_.force_sync = "no";
    config_.snap_count = static_cast<int32_t>(prng_.between(20, 400));
    config_.global_outstanding_limit = prng_.chance(0.5) ? 1000 : 8;
  }

  Outcome run() {
    rt::World world = simulator_.add_node("server");
    start_server(world);
    start_clients();
    unsafe_phase();
    if (!history_.violation()) calm_phase();
    if (!history_.violation()) judge();
    Outcome outcome;
    outcome.violation = history_.violation();
    outcome.promises = history_.promises().size();
    outcome.reads = history_.reads;
    outcome.events = history_.events;
    outcome.crashes = crashes_;
    outcome.disk_faults = disk_faults_;
    outcome.expirations = history_.expirations;
    outcome.virtual_ms = static_cast<uint64_t>(simulator_.now().ms());
    clients_.clear();
    server_.reset();
    outcome.trace_hash = simulator_.trace_hash();
    return outcome;
  }

 private:
  static Result<zk::ServerConfig> load() {
    auto loaded = zk::load_config(
        "dataDir=/data\nclientPort=2181\ntickTime=500\npreAllocSize=64\nmaxClientCnxns=0\n", "sim.cfg");
    return std::move(loaded->config);
  }

  void start_server(rt::World world) {
    simulator_.disk_options("server").lying_sync = sabotage_ == Sabotage::lying_sync;
    server_ = std::make_unique<zk::Server>(world, config_);
    server_->on_fatal([this](const Error& error) {
      if (!disk_fails_) history_.violated("LogFailsOnlyWithTheDisk", error.context);
    });
    auto started = server_->start();
    if (!started) return history_.violated("RecoveryWorks", started.error().context);
    server_->tree().check_invariants();
    if (server_->tree().last_zxid() < history_.max_zxid())
      history_.violated("AcknowledgedWritesSurvive",
                        fmt::format("recovered to zxid {}, {} was acknowledged", server_->tree().last_zxid(),
                                    history_.max_zxid()));
  }

  void start_clients() {
    int count = static_cast<int>(prng_.between(1, 4));
    test::ClientOptions options;
    options.server = {"10.0.0.1", kPort};
    options.operations = static_cast<int>(prng_.between(40, 300));
    options.outstanding_max = static_cast<size_t>(prng_.between(1, 20));
    for (int i = 1; i <= count; ++i) {
      rt::World world = simulator_.add_node(fmt::format("client{}", i));
      clients_.push_back(std::make_unique<test::ZkClient>(i, world, options, prng_.next(), history_));
      clients_.back()->start();
    }
  }

  void unsafe_phase() {
    int faults = static_cast<int>(prng_.between(1, 6));
    for (int i = 0; i < faults && !history_.violation(); ++i) {
      // Faults fall where the work is: a few milliseconds to a few hundred.
      simulator_.run_for(prng_.between(1, prng_.chance(0.7) ? 60 : 600) * kMs);
      if (prng_.chance(0.15) && clients_.size() > 1) clients_[prng_.below(clients_.size())]->vanish();
      if (prng_.chance(0.15)) {
        simulator_.reset_connections("server", fmt::format("client{}", 1 + prng_.below(clients_.size())));
        continue;
      }
      if (prng_.chance(0.15)) break_disk();
      // After a failed sync nobody knows what the machine kept, so it is a power failure too.
      bool power = disk_fails_ || prng_.chance(0.8);
      if (power) {
        simulator_.crash("server");
      } else {
        simulator_.kill("server");
      }
      server_.reset();
      ++crashes_;
      simulator_.run_for(prng_.between(0, prng_.chance(0.8) ? 50 : 3000) * kMs);
      simulator_.clear_faults("server");
      disk_fails_ = false;
      start_server(simulator_.restart("server"));
    }
  }

  // The next write or sync of a log fails: nothing more may be acknowledged.
  void break_disk() {
    disk_fails_ = true;
    ++disk_faults_;
    sim::DiskFault fault;
    fault.call = prng_.chance(0.5) ? sim::DiskCall::sync : sim::DiskCall::write;
    fault.path_part = "/log.";
    fault.code = prng_.chance(0.5) ? Errc::io : Errc::no_space;
    fault.skip = prng_.below(5);
    fault.count = 1;
    simulator_.inject("server", fault);
    simulator_.run_for(prng_.between(1, 40) * kMs);
  }

  void calm_phase() {
    bool all = simulator_.run_until(
        [this] {
          if (history_.violation()) return true;
          for (const auto& client : clients_)
            if (!client->finished()) return false;
          // Sessions of those who vanished must expire, and their nodes with them.
          return server_->tree().sessions().empty();
        },
        120'000 * kMs);
    if (!all) {
      std::string who = fmt::format("{} sessions;", server_->tree().sessions().size());
      for (const auto& client : clients_) who += " " + client->describe() + ";";
      history_.violated("EverybodyFinishes", who);
    }
    simulator_.run_for(50 * kMs);
  }

  void judge() {
    std::vector<zk::Txn> log;
    rt::World world = simulator_.world("server");
    server_->tree().check_invariants();
    if (auto read = read_log(world.disk, log); !read)
      return history_.violated("LogReadsBack", read.error().context);
    test::AcknowledgedWritesSurvive::judge(log, history_);
    test::TreeEqualsModel::judge(log, server_->tree(), history_);
    test::SessionOrder::judge(log, history_);
    test::EphemeralsFollowSessions::judge(server_->tree(), history_);
  }

  static Result<void> read_log(rt::Disk& disk, std::vector<zk::Txn>& log) {
    OTTLA_ASSIGN(auto names, disk.list("/data/version-2"));
    std::map<int64_t, std::string> files;
    for (const std::string& name : names)
      if (auto zxid = zk::zxid_of_name(name, "log")) files[*zxid] = name;
    for (const auto& [zxid, name] : files) {
      OTTLA_ASSIGN(zk::LogReader reader, zk::LogReader::open(disk, "/data/version-2/" + name));
      zk::LogRecord record;
      for (;;) {
        OTTLA_ASSIGN(zk::LogReader::Step step, reader.next(record));
        if (step != zk::LogReader::Step::record) break;
        OTTLA_ASSIGN(zk::Txn txn, zk::Txn::decode(record.entry));
        log.push_back(std::move(txn));
      }
    }
    return {};
  }

  Sabotage sabotage_;
  Prng prng_;
  sim::Simulator simulator_;
  zk::ServerConfig config_;
  test::History history_;
  std::unique_ptr<zk::Server> server_;
  std::vector<std::unique_ptr<test::ZkClient>> clients_;
  uint64_t crashes_ = 0, disk_faults_ = 0;
  bool disk_fails_ = false;
};

struct Arguments {
  uint64_t seed = static_cast<uint64_t>(std::time(nullptr)) * 1000;  // fresh, unless given
  uint64_t seeds = 1;
  bool twice = false, trace = false;
  Run::Sabotage sabotage = Run::Sabotage::none;
  const char* sabotage_flag = "";
};

int run_all(const Arguments& arguments) {
  Outcome sum;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    Outcome outcome = Run(seed, arguments.sabotage, arguments.trace).run();
    if (outcome.violation) {
      std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(seed),
                  outcome.violation->invariant.c_str(), outcome.violation->what.c_str());
      std::printf("repeat: sim_ensemble --seed %llu%s\n", static_cast<unsigned long long>(seed),
                  arguments.sabotage_flag);
      return arguments.sabotage == Run::Sabotage::none ? 1 : 0;
    }
    if (arguments.twice && Run(seed, arguments.sabotage, false).run().trace_hash != outcome.trace_hash) {
      std::printf("seed %llu: SameSeedSameTrace: another hash the second time\n",
                  static_cast<unsigned long long>(seed));
      return 1;
    }
    if (arguments.seeds == 1) std::printf("trace hash %016llx\n", static_cast<unsigned long long>(outcome.trace_hash));
    sum.promises += outcome.promises;
    sum.reads += outcome.reads;
    sum.events += outcome.events;
    sum.crashes += outcome.crashes;
    sum.disk_faults += outcome.disk_faults;
    sum.expirations += outcome.expirations;
    sum.virtual_ms += outcome.virtual_ms;
  }
  std::printf("%llu seeds from %llu: %llu writes acknowledged, %llu reads, %llu events, %llu crashes, %llu disk faults, %llu expired sessions, %llu s simulated\n",
              static_cast<unsigned long long>(arguments.seeds), static_cast<unsigned long long>(arguments.seed),
              static_cast<unsigned long long>(sum.promises),
              static_cast<unsigned long long>(sum.reads), static_cast<unsigned long long>(sum.events),
              static_cast<unsigned long long>(sum.crashes),
              static_cast<unsigned long long>(sum.disk_faults), static_cast<unsigned long long>(sum.expirations),
              static_cast<unsigned long long>(sum.virtual_ms / 1000));
  if (arguments.sabotage == Run::Sabotage::none) return 0;
  std::printf("no seed noticed%s\n", arguments.sabotage_flag);
  return 1;
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
    } else if (argument == "--twice") {
      arguments.twice = true;
    } else if (argument == "--lying-sync") {
      arguments.sabotage = Run::Sabotage::lying_sync;
      arguments.sabotage_flag = " --lying-sync";
    } else if (argument == "--no-log-sync") {
      arguments.sabotage = Run::Sabotage::no_log_sync;
      arguments.sabotage_flag = " --no-log-sync";
    } else if (argument == "--trace") {
      arguments.trace = true;
    } else {
      std::fprintf(stderr, "usage: sim_ensemble [--seed S] [--seeds N] [--twice] [--lying-sync | --no-log-sync] [--trace]\n");
      return 2;
    }
  }
  log::set_level(arguments.trace ? log::Level::debug : log::Level::off);
  return run_all(arguments);
}
