// A seed of sim_stack from its start to its end: servers and clients, how time passes, the unsafe
// phase (or a clean end), the calm in which everybody must finish.
#include "test/sim/stack/run.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace ottla::test {
namespace {

// A broker gives its ensemble two seconds to hear of its end, an ensemble its slowest reader ten.
constexpr int64_t kEndMaxMs = 10'100;

constexpr std::string_view kEnsembleProperties = R"(dataDir=/data
clientPort=2181
tickTime=500
preAllocSize=64
maxClientCnxns=0
admin.enableServer=false
)";
constexpr std::string_view kBrokerProperties = R"(broker.id=0
log.dirs=/logs
listeners=PLAINTEXT://:9092
zookeeper.connect=zk:2181/kafka
zookeeper.session.timeout.ms={}
zookeeper.connection.timeout.ms=20000
auto.create.topics.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=100
group.min.session.timeout.ms=1000
log.segment.bytes={}
log.index.size.max.bytes=8192
log.index.interval.bytes=512
log.flush.offset.checkpoint.interval.ms=1000
replica.high.watermark.checkpoint.interval.ms=700
log.retention.check.interval.ms=2000
file.delete.delay.ms=500
log.segment.delete.delay.ms=500
)";

}  // namespace

Run::Run(const RunOptions& options)
    : options_(options), prng_(options.seed * 0x9e3779b97f4a7c15 + 3), simulator_(options.seed) {
  if (options.trace)
    simulator_.on_trace([](std::string_view line) {
      std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    });
  history_.is_being_deleted = [this](const std::string& topic) {
    return !ensemble_ || ensemble_->tree().find("/kafka/admin/delete_topics/" + topic) != nullptr;
  };
  history_.note = [this](std::string_view text) { simulator_.note(text); };
  // With a flush before each acknowledgement records outlive the power, else a killed process.
  flushes_ = options_.sabotage != Sabotage::none || prng_.chance(0.7);
  session_timeout_ms_ = prng_.between(10, 40) * 100;
}

Outcome Run::run() {
  rt::World zk = simulator_.add_node("zk");
  rt::World broker = simulator_.add_node("broker");
  simulator_.disk_options("broker").lying_sync = options_.sabotage == Sabotage::lying_sync;
  start_ensemble(zk);
  start_broker(broker);
  start_clients();
  if (options_.end_after) {
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

void Run::start_ensemble(rt::World world) {
  auto loaded = zk::load_config(kEnsembleProperties, "sim.cfg");
  loaded->config.snap_count = 200;
  ensemble_ = std::make_unique<zk::Server>(world, loaded->config);
  ensemble_->on_fatal(
      [this](const Error& error) { history_.violated("LogFailsOnlyWithTheDisk", error.context); });
  if (auto started = ensemble_->start(); !started)
    history_.violated("EnsembleRecovers", started.error().context);
}

broker::BrokerConfig Run::broker_config() {
  std::string text = fmt::format(kBrokerProperties, session_timeout_ms_, segment_bytes_);
  if (flushes_ && options_.sabotage != Sabotage::no_flush)
    text += "log.flush.interval.messages=1\n";
  auto properties = config::Properties::parse(text, "sim.properties");
  auto loaded = broker::load_broker_config(*properties, "sim.properties");
  if (!loaded) {
    std::printf("%s\n", loaded.error().context.c_str());
    std::abort();
  }
  return loaded->config;
}

void Run::start_broker(rt::World world) {
  broker_ = std::make_unique<broker::Broker>(world, broker_config(), [] { return std::string("broker"); });
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
void Run::broker_over(const Error& error) {
  broker_is_over_ = true;
  simulator_.note("broker ended: " + error.context);
  if (stopping_ && options_.end_after) history_.violated("EndsCleanly", error.context);
  if (started_calm_) history_.violated("BrokerStaysUp", error.context);
  if (error.code == Errc::corrupt) history_.violated("BrokerRecovers", error.context);
}

void Run::broker_down(bool power) {
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

void Run::ensemble_down() {
  ++outcome_.ensemble_failures;
  simulator_.crash("zk");
  ensemble_.reset();
}

void Run::start_clients() {
  int shorter = options_.end_after ? 4 : 1;
  std::map<std::string, int32_t> traffic = {{"a", static_cast<int32_t>(prng_.between(1, 3))}};
  if (prng_.chance(0.5)) traffic["b"] = static_cast<int32_t>(prng_.between(1, 2));
  admin_ = std::make_unique<Admin>(simulator_.add_node("admin"), traffic,
                                   static_cast<int>(prng_.between(2, 16 / shorter)), prng_.next(),
                                   history_);
  admin_->start();
  int producers = static_cast<int>(prng_.between(1, options_.end_after ? 2 : 3));
  for (int i = 1; i <= producers; ++i) {
    ProducerOptions options;
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
    producers_.push_back(std::make_unique<Producer>(
        simulator_.add_node(fmt::format("producer-{}", i)), options, prng_.next(), history_));
    producers_.back()->start();
  }
  int consumers = static_cast<int>(prng_.between(1, 2));
  for (int i = 1; i <= consumers; ++i) {
    ConsumerOptions options;
    options.number = i;
    options.session_timeout_ms = static_cast<int32_t>(prng_.between(20, 60) * 100);
    options.fetch_version = static_cast<int16_t>(prng_.between(10, 12));
    options.partition_max_bytes = static_cast<int32_t>(prng_.between(300, 30'000));
    options.commit_every_ms = prng_.between(0, 500);
    consumers_.push_back(std::make_unique<Consumer>(
        simulator_.add_node(fmt::format("consumer-{}", i)), options, prng_.next(), history_));
    consumers_.back()->start();
  }
}

std::string Run::some_client() {
  uint64_t which = prng_.below(1 + producers_.size() + consumers_.size());
  if (which == 0) return "admin";
  if (which <= producers_.size()) return fmt::format("producer-{}", which);
  return fmt::format("consumer-{}", which - producers_.size());
}

// Lets time pass; looks inside now and then; a broker that ended is started again after a
// while.
void Run::pass(int64_t ms) {
  Instant end = after_ms(simulator_.now(), ms);
  while (simulator_.now() < end && !history_.violation()) {
    int64_t left = std::min<int64_t>(end - simulator_.now(), 20 * kMs);
    simulator_.run_until([this] { return broker_is_over_; }, left);
    if (broker_is_over_) restart_ended_broker();
    observe();
  }
}

void Run::restart_ended_broker() {
  broker_down(disk_fails_);
  broker_is_over_ = false;
  simulator_.run_for(prng_.between(100, 1500) * kMs);
  start_broker(simulator_.restart("broker"));
}

void Run::unsafe_phase() {
  int faults = static_cast<int>(prng_.between(1, 8));
  for (int i = 0; i < faults && !history_.violation(); ++i) {
    pass(prng_.between(1, prng_.chance(0.6) ? 300 : 3000));
    if (!history_.violation()) fault();
  }
}

// A server is asked to end, as SIGTERM does it; then its process is gone, or its machine: what is
// closed is durable. Standalone: the broker first, then its ensemble.
void Run::clean_end() {
  uint64_t end = simulator_.events() + *options_.end_after;
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

void Run::end_broker() {
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

void Run::end_ensemble() {
  bool done = false;
  ensemble_->shutdown([&done] { done = true; });
  simulator_.run_until([&] { return done || history_.violation(); }, kEndMaxMs * kMs);
  if (!done && !history_.violation())
    history_.violated("EndsCleanly", "the ensemble did not end in time");
  ensemble_down();
}

void Run::calm_phase() {
  simulator_.heal();
  for (const char* name : {"zk", "broker"}) simulator_.disk_options(name).sync_stall = 0;
  // A broker that is about to give up for an old reason may; from then on it must not.
  if (!options_.end_after) pass(25'000);
  calm_ = started_calm_ = true;
  int64_t waited = 0;
  for (; waited < 120'000 && !history_.violation() && !everybody_is_done(); waited += 100)
    pass(100);
  if (!history_.violation() && waited >= 120'000)
    return history_.violated("EverybodyFinishes", describe());
  pass(3000);  // deletions end, sessions of the dead expire
}

bool Run::everybody_is_done() {
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

std::string Run::describe() {
  std::string who = broker_->describe() + "; " + admin_->describe() + ";";
  for (const auto& producer : producers_) who += " " + producer->describe() + ";";
  for (const auto& consumer : consumers_) who += " " + consumer->describe() + ";";
  for (const auto& [tp, at] : history_.committed)
    who += fmt::format(" {} committed {};", tp.to_string(), at);
  return who;
}

}  // namespace ottla::test
