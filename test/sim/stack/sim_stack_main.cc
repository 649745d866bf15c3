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
// events
// (--call N: after so many alone), the broker's start among them.
// --twice: each seed runs twice and must give the same trace. --lying-sync: the broker's disk does
// not sync; --no-flush: the broker acknowledges records without waiting for its disk, though power
// fails. Both must be caught: exit 0 as soon as a seed breaks an invariant, 1 when none does.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "broker/server/broker.h"
#include "common/base/log.h"
#include "common/rt_sim/simulator.h"
#include "test/sim/stack/admin.h"
#include "test/sim/stack/consumer.h"
#include "test/sim/stack/producer.h"
#include "zk-ensemble/server/server.h"

using namespace ottla;

namespace {

constexpr int64_t kMs = 1'000'000;
// A broker gives its ensemble two seconds to hear of its end, an ensemble its slowest reader ten.
constexpr int64_t kEndMaxMs = 10'100;

constexpr uint64_t kStride = 20;  // of --ends, in events

enum class Sabotage { none, lying_sync, no_flush };

struct Outcome {
  uint64_t trace_hash = 0;
  std::optional<test::Violation> violation;
  uint64_t produced = 0, fetched = 0, commits = 0, generations = 0, topics = 0, deleted = 0,
           lost_answers = 0;
  uint64_t power_failures = 0, kills = 0, ensemble_failures = 0, cuts = 0, disk_faults = 0,
           expirations = 0, virtual_ms = 0;
  bool ended = false;  // the story was long enough for end_after
};

class Run {
 public:
  // end_after: of a short story without faults; a server is asked to end after so many events.
  Run(uint64_t seed, Sabotage sabotage, bool trace, std::optional<uint64_t> end_after = {})
      : sabotage_(sabotage),
        end_after_(end_after),
        prng_(seed * 0x9e3779b97f4a7c15 + 3),
        simulator_(seed) {
    if (trace)
      simulator_.on_trace([](std::string_view line) {
        std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
      });
    history_.is_being_deleted = [this](const std::string& topic) {
      return !ensemble_ || ensemble_->tree().find("/kafka/admin/delete_topics/" + topic) != nullptr;
    };
    history_.note = [this](std::string_view text) { simulator_.note(text); };
    // With a flush before each acknowledgement records outlive the power, else a killed process.
    flushes_ = sabotage_ != Sabotage::none || prng_.chance(0.7);
    session_timeout_ms_ = prng_.between(10, 40) * 100;
  }

  Outcome run() {
    rt::World zk = simulator_.add_node("zk");
    rt::World broker = simulator_.add_node("broker");
    simulator_.disk_options("broker").lying_sync = sabotage_ == Sabotage::lying_sync;
    start_ensemble(zk);
    start_broker(broker);
    start_clients();
    if (end_after_) {
      clean_end();
    } else {
      unsafe_phase();
    }
    if (!history_.violation()) calm_phase();
    if (!history_.violation()) judge();
    Outcome outcome = outcome_;
    outcome.violation = history_.violation();
    outcome.produced = history_.produced;
    outcome.fetched = history_.fetched;
    outcome.commits = history_.commits;
    outcome.generations = history_.generations;
    outcome.topics = history_.created.size() + history_.deleted.size();
    outcome.deleted = history_.deleted.size();
    outcome.lost_answers = history_.lost_answers;
    if (broker_) outcome.expirations += broker_->figures().session_expirations;
    outcome.virtual_ms = static_cast<uint64_t>(simulator_.now().ms());
    consumers_.clear();
    producers_.clear();
    admin_.reset();
    broker_.reset();
    ensemble_.reset();
    outcome.trace_hash = simulator_.trace_hash();
    return outcome;
  }

 private:
  // ------------------------------------------------------------------------------------- servers
  void start_ensemble(rt::World world) {
    auto loaded = zk::load_config(
        "dataDir=/"
        "data\nclientPort=2181\ntickTime=500\npreAllocSize=64\nmaxClientCnxns=0\nadmin."
        "enableServer=false\n",
        "sim.cfg");
    loaded->config.snap_count = 200;
    ensemble_ = std::make_unique<zk::Server>(world, loaded->config);
    ensemble_->on_fatal([this](const Error& error) {
      history_.violated("LogFailsOnlyWithTheDisk", error.context);
    });
    if (auto started = ensemble_->start(); !started)
      history_.violated("EnsembleRecovers", started.error().context);
  }

  broker::BrokerConfig broker_config() {
    std::string text = fmt::format(
        "broker.id=0\nlog.dirs=/logs\nlisteners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT:/"
        "/broker:9092\n"
        "zookeeper.connect=zk:2181/"
        "kafka\nzookeeper.session.timeout.ms={}\nzookeeper.connection.timeout.ms=20000\n"
        "auto.create.topics.enable=false\noffsets.topic.num.partitions=3\noffsets.topic."
        "replication.factor=1\n"
        "group.initial.rebalance.delay.ms=100\ngroup.min.session.timeout.ms=1000\nlog.segment."
        "bytes={}\n"
        "log.index.size.max.bytes=8192\nlog.index.interval.bytes=512\n"
        "log.flush.offset.checkpoint.interval.ms=1000\nreplica.high.watermark.checkpoint.interval."
        "ms=700\n"
        "log.retention.check.interval.ms=2000\nfile.delete.delay.ms=500\nlog.segment.delete.delay."
        "ms=500\n",
        session_timeout_ms_, segment_bytes_);
    if (flushes_ && sabotage_ != Sabotage::no_flush) text += "log.flush.interval.messages=1\n";
    auto properties = config::Properties::parse(text, "sim.properties");
    auto loaded = broker::load_broker_config(*properties, "sim.properties");
    if (!loaded) {
      std::printf("%s\n", loaded.error().context.c_str());
      std::abort();
    }
    return loaded->config;
  }

  void start_broker(rt::World world) {
    broker_ = std::make_unique<broker::Broker>(world, broker_config());
    broker_is_over_ = false;
    stopping_ = false;
    started_calm_ = calm_;
    hw_.clear();
    broker_->on_failed([this](Error error) { broker_over(error); });
    broker_->start([this](Result<void> started) {
      if (!started) broker_over(started.error());
    });
  }

  // The process ends with a line; its keeper starts it again.
  void broker_over(const Error& error) {
    broker_is_over_ = true;
    simulator_.note("broker ended: " + error.context);
    if (stopping_ && end_after_) history_.violated("EndsCleanly", error.context);
    if (started_calm_) history_.violated("BrokerStaysUp", error.context);
    if (error.code == Errc::corrupt) history_.violated("BrokerRecovers", error.context);
  }

  void broker_down(bool power) {
    (power ? outcome_.power_failures : outcome_.kills) += 1;
    outcome_.expirations += broker_->figures().session_expirations;
    if (power) {
      simulator_.crash("broker");
    } else {
      simulator_.kill("broker");
    }
    broker_.reset();
    simulator_.clear_faults("broker");
    disk_fails_ = false;
  }

  void ensemble_down() {
    ++outcome_.ensemble_failures;
    simulator_.crash("zk");
    ensemble_.reset();
  }

  // --------------------------------------------------------------------------------------- clients
  void start_clients() {
    int shorter = end_after_ ? 4 : 1;
    std::map<std::string, int32_t> traffic = {{"a", static_cast<int32_t>(prng_.between(1, 3))}};
    if (prng_.chance(0.5)) traffic["b"] = static_cast<int32_t>(prng_.between(1, 2));
    admin_ = std::make_unique<test::Admin>(simulator_.add_node("admin"), traffic,
                                           static_cast<int>(prng_.between(2, 16 / shorter)),
                                           prng_.next(), history_);
    admin_->start();
    int producers = static_cast<int>(prng_.between(1, end_after_ ? 2 : 3));
    for (int i = 1; i <= producers; ++i) {
      test::ProducerOptions options;
      options.number = i;
      options.idempotent = prng_.chance(0.7);
      options.window = options.idempotent ? static_cast<int>(prng_.between(1, 5)) : 1;
      options.requests = static_cast<int>(prng_.between(20, 120)) / shorter;
      options.codec =
          static_cast<compress::Codec>(prng_.chance(0.6) ? 0 : prng_.below(compress::kCodecCount));
      options.version =
          static_cast<int16_t>(prng_.between(options.codec == compress::Codec::zstd ? 7 : 3, 11));
      options.padding_max = static_cast<size_t>(prng_.between(1, 400));
      options.pause_max_ms = prng_.between(0, 150) / shorter;
      producers_.push_back(std::make_unique<test::Producer>(
          simulator_.add_node(fmt::format("producer-{}", i)), options, prng_.next(), history_));
      producers_.back()->start();
    }
    int consumers = static_cast<int>(prng_.between(1, 2));
    for (int i = 1; i <= consumers; ++i) {
      test::ConsumerOptions options;
      options.number = i;
      options.session_timeout_ms = static_cast<int32_t>(prng_.between(20, 60) * 100);
      options.fetch_version = static_cast<int16_t>(prng_.between(10, 12));
      options.partition_max_bytes = static_cast<int32_t>(prng_.between(300, 30'000));
      options.commit_every_ms = prng_.between(0, 500);
      consumers_.push_back(std::make_unique<test::Consumer>(
          simulator_.add_node(fmt::format("consumer-{}", i)), options, prng_.next(), history_));
      consumers_.back()->start();
    }
  }

  std::string some_client() {
    uint64_t which = prng_.below(1 + producers_.size() + consumers_.size());
    if (which == 0) return "admin";
    if (which <= producers_.size()) return fmt::format("producer-{}", which);
    return fmt::format("consumer-{}", which - producers_.size());
  }

  // --------------------------------------------------------------------------------------------
  // time Lets time pass; looks inside now and then; a broker that ended is started again after a
  // while.
  void pass(int64_t ms) {
    Instant end = after_ms(simulator_.now(), ms);
    while (simulator_.now() < end && !history_.violation()) {
      int64_t left = std::min<int64_t>(end - simulator_.now(), 20 * kMs);
      simulator_.run_until([this] { return broker_is_over_; }, left);
      if (broker_is_over_) restart_ended_broker();
      observe();
    }
  }

  void restart_ended_broker() {
    broker_down(disk_fails_);
    broker_is_over_ = false;
    simulator_.run_for(prng_.between(100, 1500) * kMs);
    start_broker(simulator_.restart("broker"));
  }

  // HwMonotonicPerEpoch, and the broker's own.
  void observe() {
    if (!broker_ || broker_->replicas() == nullptr) return;
    broker_->check_invariants();
    broker_->replicas()->for_each([this](broker::Partition& partition) {
      if (!partition.is_leader() || partition.log() == nullptr) return;
      int64_t& hw =
          hw_[{partition.log()->topic_id() + partition.tp().to_string(), partition.leader_epoch()}];
      if (partition.log()->hw() < hw)
        history_.violated("HwMonotonicPerEpoch",
                          fmt::format("{} in epoch {}: {} after {}", partition.tp().to_string(),
                                      partition.leader_epoch(), partition.log()->hw(), hw));
      hw = partition.log()->hw();
    });
  }

  // ------------------------------------------------------------------------------------------
  // phases
  void unsafe_phase() {
    int faults = static_cast<int>(prng_.between(1, 8));
    for (int i = 0; i < faults && !history_.violation(); ++i) {
      pass(prng_.between(1, prng_.chance(0.6) ? 300 : 3000));
      if (!history_.violation()) fault();
    }
  }

  void fault() {
    uint64_t dice = prng_.below(100);
    if (dice < 25) return stop_broker(flushes_ && prng_.chance(0.8));
    if (dice < 32) return stop_broker_cleanly();
    if (dice < 45) return stop_ensemble();
    if (dice < 62) return cut_link();
    if (dice < 72) return clog_link();
    if (dice < 82) return stall_disk();
    if (dice < 87)
      return simulator_.reset_connections("broker", prng_.chance(0.5) ? "zk" : some_client());
    if (dice < 88) return consumers_[prng_.below(consumers_.size())]->vanish();
    if (dice < 95 && flushes_) return break_disk();
    if (dice < 96)
      return simulator_.set_wall_skew(prng_.chance(0.5) ? "broker" : "zk",
                                      prng_.between(-7200'000, 7200'000));
    if (dice < 97)
      return simulator_.set_clock_drift(prng_.chance(0.5) ? "broker" : "zk",
                                        prng_.between(-50'000, 50'000));
    if (dice < 99) return stand_still();
    stop_ensemble_and_broker();
  }

  // Longer than the session lives, sometimes: the broker wakes up as one that was given up (rows
  // 13, 15, 29).
  void stand_still() {
    uint64_t who = prng_.below(10);
    simulator_.pause(who < 6   ? "broker"
                     : who < 8 ? "zk"
                               : some_client(),
                     prng_.between(1, 3 * session_timeout_ms_) * kMs);
    if (prng_.chance(0.3)) return;
    pass(prng_.between(1, 3 * session_timeout_ms_));
  }

  void stop_broker(bool power) {
    broker_down(power);
    // And again while it starts, sometimes.
    while (prng_.chance(0.2)) {
      simulator_.run_for(prng_.between(0, 20) * kMs);
      start_broker(simulator_.restart("broker"));
      simulator_.run_for(prng_.between(0, 100'000'000));
      broker_down(power);
    }
    simulator_.run_for(prng_.between(0, prng_.chance(0.7) ? 100 : 6000) * kMs);
    start_broker(simulator_.restart("broker"));
  }

  void stop_broker_cleanly() {
    auto stopped = std::make_shared<bool>(false);
    broker_->stop([stopped] { *stopped = true; });
    simulator_.run_until([stopped] { return *stopped; }, 5000 * kMs);
    broker_is_over_ = false;
    stop_broker(false);
  }

  // A server is asked to end, as SIGTERM does it; then its process is gone, or its machine: what is
  // closed is durable. Standalone: the broker first, then its ensemble.
  void clean_end() {
    uint64_t end = simulator_.events() + *end_after_;
    simulator_.run_until(
        [&] { return simulator_.events() >= end || history_.violation() || everybody_is_done(); },
        60'000 * kMs);
    outcome_.ended = simulator_.events() >= end && !history_.violation();
    if (!outcome_.ended) return;
    observe();
    uint64_t which = prng_.below(6);
    cut_off_ = prng_.chance(0.2);
    if (cut_off_) simulator_.partition("broker", "zk");
    if (which != 5) end_broker();
    if (which >= 4 && !history_.violation()) end_ensemble();
    if (history_.violation()) return;
    simulator_.run_for(prng_.between(0, 200) * kMs);
    simulator_.heal();
    if (!ensemble_) start_ensemble(simulator_.restart("zk"));
    if (!broker_) start_broker(simulator_.restart("broker"));
  }

  void end_broker() {
    bool was_running = broker_->state() == broker::BrokerState::running;
    bool power = prng_.chance(0.5);
    stopping_ = true;
    bool done = false;
    broker_->stop([&done] { done = true; });
    // What the loop still holds for it is carried out in between.
    simulator_.run_until([&] { return done || history_.violation(); }, kEndMaxMs * kMs);
    if (history_.violation()) return;
    if (!done)
      return history_.violated("EndsCleanly",
                               "the broker did not end in time: " + broker_->describe());
    bool loaded = broker_->replicas() != nullptr;
    broker_down(power);
    broker_is_over_ = false;
    if (was_running && !cut_off_ && !ensemble_->tree().sessions().empty())
      history_.violated("EndsCleanly", "the broker left without ending its session");
    auto names = simulator_.restart("broker").disk.list("/logs");
    simulator_.kill("broker");
    if (loaded && std::find(names->begin(), names->end(), ".kafka_cleanshutdown") == names->end())
      history_.violated("EndsCleanly", "the log directory is not marked as closed");
  }

  void end_ensemble() {
    bool done = false;
    ensemble_->shutdown([&done] { done = true; });
    simulator_.run_until([&] { return done || history_.violation(); }, kEndMaxMs * kMs);
    if (!done && !history_.violation())
      history_.violated("EndsCleanly", "the ensemble did not end in time");
    ensemble_down();
  }

  void stop_ensemble() {
    ensemble_down();
    pass(prng_.between(0, prng_.chance(0.6) ? 200 : 2 * session_timeout_ms_));
    start_ensemble(simulator_.restart("zk"));
  }

  void stop_ensemble_and_broker() {
    ensemble_down();
    pass(prng_.between(0, 500));
    broker_down(flushes_);
    broker_is_over_ = false;
    simulator_.run_for(prng_.between(0, 500) * kMs);
    if (prng_.chance(0.5)) {
      start_broker(simulator_.restart("broker"));
      pass(prng_.between(0, 2000));
      start_ensemble(simulator_.restart("zk"));
    } else {
      start_ensemble(simulator_.restart("zk"));
      start_broker(simulator_.restart("broker"));
    }
  }

  void cut_link() {
    ++outcome_.cuts;
    std::string other = prng_.chance(0.6) ? "zk" : some_client();
    uint64_t how = prng_.below(3);
    if (how != 1) simulator_.cut("broker", other);
    if (how != 2) simulator_.cut(other, "broker");
    // Shorter than the session lives, or longer.
    pass(prng_.between(1, prng_.chance(0.5) ? session_timeout_ms_ / 2 : 3 * session_timeout_ms_));
    simulator_.heal();
  }

  void clog_link() {
    std::string other = prng_.chance(0.5) ? "zk" : some_client();
    int64_t delay = prng_.between(1, 700) * kMs;
    if (prng_.chance(0.7)) simulator_.clog("broker", other, delay);
    if (prng_.chance(0.7)) simulator_.clog(other, "broker", delay);
    // Some stay, under what comes next.
    if (prng_.chance(0.3)) return;
    pass(prng_.between(100, 3000));
    simulator_.heal();
  }

  void stall_disk() {
    sim::DiskOptions& options = simulator_.disk_options(prng_.chance(0.6) ? "broker" : "zk");
    options.sync_stall = 0.3;
    options.stall_ns = prng_.between(50, 2500) * kMs;
    if (prng_.chance(0.3)) return;
    pass(prng_.between(100, 3000));
    options.sync_stall = 0;
  }

  // A write or sync of the broker's log fails: its only directory goes offline, and the broker
  // ends. After a failed sync nobody knows what the machine kept, so power fails with it.
  void break_disk() {
    ++outcome_.disk_faults;
    disk_fails_ = true;
    sim::DiskFault fault;
    constexpr sim::DiskCall kCalls[] = {sim::DiskCall::sync,     sim::DiskCall::write,
                                        sim::DiskCall::open,     sim::DiskCall::read,
                                        sim::DiskCall::sync_dir, sim::DiskCall::rename};
    constexpr const char* kParts[] = {".log", ".log", "checkpoint", ".snapshot", "__consumer", ""};
    fault.call = kCalls[prng_.below(prng_.chance(0.5) ? 2 : std::size(kCalls))];
    fault.path_part = kParts[prng_.below(std::size(kParts))];
    fault.code = prng_.chance(0.5) ? Errc::io : Errc::no_space;
    fault.skip = prng_.below(8);
    fault.count = 1;
    simulator_.inject("broker", fault);
    pass(prng_.between(1, 1000));
    if (disk_fails_) stop_broker(true);
  }

  void calm_phase() {
    simulator_.heal();
    for (const char* name : {"zk", "broker"}) simulator_.disk_options(name).sync_stall = 0;
    // A broker that is about to give up for an old reason may; from then on it must not.
    if (!end_after_) pass(25'000);
    calm_ = started_calm_ = true;
    int64_t waited = 0;
    for (; waited < 120'000 && !history_.violation() && !everybody_is_done(); waited += 100)
      pass(100);
    if (!history_.violation() && waited >= 120'000)
      return history_.violated("EverybodyFinishes", describe());
    pass(3000);  // deletions end, sessions of the dead expire
  }

  bool everybody_is_done() {
    if (!broker_ || broker_->state() != broker::BrokerState::running || !admin_->finished())
      return false;
    for (const auto& producer : producers_)
      if (!producer->finished()) return false;
    for (const auto& tp : history_.partitions()) {
      broker::Partition* partition = broker_->replicas()->find(tp.topic, tp.partition);
      if (partition == nullptr || partition->log() == nullptr) return false;
      auto committed = history_.committed.find(tp);  // asking must not make one
      if (partition->log()->leo() > 0 &&
          (committed == history_.committed.end() || committed->second != partition->log()->leo()))
        return false;
    }
    return true;
  }

  std::string describe() {
    std::string who = broker_->describe() + "; " + admin_->describe() + ";";
    for (const auto& producer : producers_) who += " " + producer->describe() + ";";
    for (const auto& consumer : consumers_) who += " " + consumer->describe() + ";";
    for (const auto& [tp, at] : history_.committed)
      who += fmt::format(" {} committed {};", tp.to_string(), at);
    return who;
  }

  // -------------------------------------------------------------------------------------------
  // judges
  void judge() {
    test::NoCorruptOrReordered::judge_order(history_);
    test::AckedRecordsSurvive::judge(history_);
    judge_registration();
    judge_topics();
    for (const auto& producer : producers_) judge_link(producer->link());
    for (const auto& consumer : consumers_) judge_link(consumer->link());
    judge_link(admin_->link());
  }

  void judge_link(const test::KafkaLink& link) {
    if (link.garbage() != 0) history_.violated("AnswersFitRequests", "an answer did not decode");
  }

  // BrokerReRegisters: one session, and both ephemerals are its own.
  void judge_registration() {
    const zk::DataTree& tree = ensemble_->tree();
    auto owner_of = [&](const char* path) -> int64_t {
      const zk::Node* node = tree.find(path);
      return node == nullptr ? 0 : tree.stat_of(*node).ephemeral_owner;
    };
    int64_t registered = owner_of("/kafka/brokers/ids/0"),
            controller = owner_of("/kafka/controller");
    if (registered == 0 || registered != controller || tree.sessions().size() != 1 ||
        !tree.sessions().contains(registered) || !broker_->is_active_controller())
      history_.violated(
          "BrokerReRegisters",
          fmt::format("registered by 0x{:x}, controller 0x{:x}, {} sessions, active {}",
                      static_cast<uint64_t>(registered), static_cast<uint64_t>(controller),
                      tree.sessions().size(), broker_->is_active_controller()));
  }

  // TopicsSurvive, DeletedTopicsStayDeleted: in ZooKeeper, in the metadata, and on disk.
  void judge_topics() {
    const zk::DataTree& tree = ensemble_->tree();
    broker::MetadataPtr metadata = broker_->metadata();
    for (const auto& [topic, partitions] : history_.created) {
      const broker::TopicView* view = metadata->topic(topic);
      bool whole = view != nullptr && static_cast<int32_t>(view->partitions.size()) == partitions &&
                   tree.find("/kafka/brokers/topics/" + topic) != nullptr;
      for (int32_t i = 0; whole && i < partitions; ++i)
        whole = broker_->replicas()->leader_of(topic, i).error == kmsg::ErrorCode::none;
      if (!whole)
        history_.violated("TopicsSurvive", fmt::format("{} is not what was acknowledged", topic));
    }
    auto names = simulator_.world("broker").disk.list("/logs");
    for (const std::string& topic : history_.deleted) {
      std::string left;
      if (metadata->topic(topic) != nullptr) left += " metadata";
      for (const char* path :
           {"/kafka/brokers/topics/", "/kafka/admin/delete_topics/", "/kafka/config/topics/"})
        if (tree.find(path + topic) != nullptr) left += " " + (path + topic);
      for (const std::string& name : *names)
        if (name.starts_with(topic + "-") || name.starts_with(topic + "."))
          left += " /logs/" + name;
      if (!left.empty())
        history_.violated("DeletedTopicsStayDeleted", topic + " is left in" + left);
    }
  }

  Sabotage sabotage_;
  std::optional<uint64_t> end_after_;
  Prng prng_;
  sim::Simulator simulator_;
  test::History history_;
  Outcome outcome_;
  bool flushes_ = true;
  int64_t session_timeout_ms_ = 2000;
  int64_t segment_bytes_ = 20'000;
  std::unique_ptr<zk::Server> ensemble_;
  std::unique_ptr<broker::Broker> broker_;
  bool broker_is_over_ = false, stopping_ = false, cut_off_ = false, started_calm_ = false,
       calm_ = false, disk_fails_ = false;
  std::map<std::pair<std::string, int32_t>, int64_t> hw_;
  std::unique_ptr<test::Admin> admin_;
  std::vector<std::unique_ptr<test::Producer>> producers_;
  std::vector<std::unique_ptr<test::Consumer>> consumers_;
};

struct Arguments {
  uint64_t seed = static_cast<uint64_t>(std::time(nullptr)) * 1000;  // fresh, unless given
  uint64_t seeds = 1;
  bool twice = false, trace = false, log = false, ends = false;
  std::optional<uint64_t> call;
  Sabotage sabotage = Sabotage::none;
  const char* sabotage_flag = "";
};

int run_all(const Arguments& arguments) {
  Outcome sum;
  uint64_t last_hash = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
    Outcome outcome = Run(seed, arguments.sabotage, arguments.trace).run();
    if (outcome.violation) {
      fmt::print("seed {}: {}: {}\n", seed, outcome.violation->invariant, outcome.violation->what);
      fmt::print("repeat: sim_stack --seed {}{}\n", seed, arguments.sabotage_flag);
      return arguments.sabotage == Sabotage::none ? 1 : 0;
    }
    if (outcome.trace_hash == last_hash ||
        (arguments.twice &&
         Run(seed, arguments.sabotage, false).run().trace_hash != outcome.trace_hash)) {
      fmt::print(
          "seed {}: SameSeedSameTrace: another hash the second time, or that of another seed\n",
          seed);
      return 1;
    }
    last_hash = outcome.trace_hash;
    if (arguments.seeds == 1) fmt::print("trace hash {:016x}\n", outcome.trace_hash);
    sum.produced += outcome.produced;
    sum.fetched += outcome.fetched;
    sum.commits += outcome.commits;
    sum.generations += outcome.generations;
    sum.topics += outcome.topics;
    sum.deleted += outcome.deleted;
    sum.lost_answers += outcome.lost_answers;
    sum.power_failures += outcome.power_failures;
    sum.kills += outcome.kills;
    sum.ensemble_failures += outcome.ensemble_failures;
    sum.cuts += outcome.cuts;
    sum.disk_faults += outcome.disk_faults;
    sum.expirations += outcome.expirations;
    sum.virtual_ms += outcome.virtual_ms;
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
  if (arguments.sabotage == Sabotage::none) return 0;
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
      Outcome outcome = Run(seed, Sabotage::none, arguments.trace, after).run();
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
      arguments.sabotage = Sabotage::lying_sync;
      arguments.sabotage_flag = " --lying-sync";
    } else if (argument == "--no-flush") {
      arguments.sabotage = Sabotage::no_flush;
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
