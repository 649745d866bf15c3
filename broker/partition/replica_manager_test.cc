// The partitions of one broker on a simulated disk: what the controller may ask, who may read and
// write what, and what waits for whom.
#include "broker/partition/replica_manager.h"

#include <catch2/catch.hpp>
#include <optional>

#include "broker/record/batch_builder.h"
#include "common/rt_sim/simulator.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;
using LeaderAndIsr = kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState;

const kmsg::Uuid kId = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
const kmsg::Uuid kOtherId = *kmsg::Uuid::from_string("AAAAAAAAAAAAAAAAAAAAAQ");
constexpr int32_t kMe = 0;

struct Told final : ReplicaListener {
  std::vector<std::string> lines;
  void on_became_leader(const TopicPartition& tp, int32_t epoch) override {
    lines.push_back("leader " + tp.to_string() + " " + std::to_string(epoch));
  }
  void on_resigned(const TopicPartition& tp, std::optional<int32_t> epoch) override {
    lines.push_back("resigned " + tp.to_string() + " " + (epoch ? std::to_string(*epoch) : "-"));
  }
};

LeaderAndIsr state_of(int32_t partition, int32_t leader_epoch, int32_t leader = kMe) {
  LeaderAndIsr state;
  state.topic_name = "t";
  state.partition_index = partition;
  state.controller_epoch = 1;
  state.leader = leader;
  state.leader_epoch = leader_epoch;
  state.isr = state.replicas = {kMe};
  return state;
}

Buffer batch_of_zeros(size_t bytes) {
  BatchBuilder builder({.codec = compress::Codec::zstd});
  std::string value(bytes, '\0');
  builder.append(1, std::nullopt, as_bytes(value));
  Buffer out;
  REQUIRE(builder.finish(out));
  return out;
}

// One broker on one simulated node, with partitions in two directories.
struct Host {
  sim::Simulator simulator{1};
  std::optional<rt::World> world{simulator.add_node("b")};
  LogConfig config;
  Told told;
  std::unique_ptr<LogManager> logs;
  std::optional<ReplicaManager> replicas;
  MetadataPtr metadata = MetadataImage::empty("c");

  Host() { start(); }
  void start() {
    LogManagerOptions options;
    options.log_dirs = {"/one", "/two"};
    options.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    options.config_for = [this](const std::string&) { return config; };
    options.on_dir_offline = [this](const std::string&, const std::vector<TopicPartition>& lost) {
      if (replicas) replicas->on_dir_offline(lost);
    };
    auto opened = LogManager::open(*world, options);
    REQUIRE(opened);
    logs = std::move(*opened);
    replicas.emplace(*world, kMe, *logs, told);
    replicas->set_metadata(metadata);
  }
  void kill() {
    replicas.reset();
    simulator.kill("b");
    logs.reset();
  }
  void restart() {
    world.emplace(simulator.restart("b"));
    start();
  }
  // What the controller tells all brokers of t-0, t-1, ...
  void know(int partitions) {
    kmsg::UpdateMetadataRequest request;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    for (int i = 0; i < partitions; ++i) {
      auto& one = topic.partition_states.emplace_back();
      one.partition_index = i;
      one.leader = kMe;
    }
    metadata = MetadataImage::apply(metadata, request).image;
    replicas->set_metadata(metadata);
  }
  ErrorCode apply(LeaderAndIsr state) {
    kmsg::LeaderAndIsrRequest request;
    request.controller_epoch = 1;
    request.broker_epoch = -1;
    request.ungrouped_partition_states.push_back(std::move(state));
    auto response = replicas->apply(request);
    REQUIRE(response.partition_errors.size() == 1);
    replicas->check_invariants();
    return response.partition_errors[0].error_code;
  }
  // With the topic's id, as controllers of today send it.
  ErrorCode apply_with_id(LeaderAndIsr state, const kmsg::Uuid& id) {
    kmsg::LeaderAndIsrRequest request;
    request.controller_epoch = 1;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    topic.topic_id = id;
    topic.partition_states.push_back(std::move(state));
    auto response = replicas->apply(request);
    REQUIRE(response.topics.size() == 1);
    CHECK(response.topics[0].topic_id == id);
    return response.topics[0].partition_errors.at(0).error_code;
  }
  ErrorCode stop(int32_t partition, int32_t leader_epoch, bool remove) {
    kmsg::StopReplicaRequest request;
    request.controller_epoch = 1;
    auto& topic = request.topic_states.emplace_back();
    topic.topic_name = "t";
    auto& one = topic.partition_states.emplace_back();
    one.partition_index = partition;
    one.leader_epoch = leader_epoch;
    one.delete_partition = remove;
    auto response = replicas->apply(request);
    REQUIRE(response.partition_errors.size() == 1);
    return response.partition_errors[0].error_code;
  }
  void lead(int32_t partition, int32_t leader_epoch = 0) {
    LeaderAndIsr state = state_of(partition, leader_epoch);
    state.is_new = true;
    REQUIRE(apply(std::move(state)) == ErrorCode::none);
  }

  // Answers come at once or later: the last one, and how many there were.
  std::vector<AppendOutcome> appended;
  std::vector<ReadOutcome> read;
  int append_answers = 0, read_answers = 0;
  void append(int32_t partition, int16_t acks = -1, int32_t timeout_ms = 1000,
              Origin origin = Origin::client, std::string_view value = "v") {
    BatchBuilder builder;
    builder.append(1000, as_bytes("k"), as_bytes(value));
    Buffer bytes = builder.finish();
    replicas->append({{{"t", partition}, bytes.mutable_bytes()}}, acks, timeout_ms, origin,
                     [this](std::vector<AppendOutcome> outcomes) {
                       appended = std::move(outcomes);
                       ++append_answers;
                     });
  }
  // Whole sets; they must live until they are answered.
  void append_sets(std::vector<std::pair<int32_t, Buffer*>> sets,
                   std::vector<AppendOutcome>& into) {
    std::vector<AppendTarget> targets;
    for (auto& [partition, set] : sets) targets.push_back({{"t", partition}, set->mutable_bytes()});
    replicas->append(std::move(targets), -1, 1000, Origin::client,
                     [&into](std::vector<AppendOutcome> outcomes) { into = std::move(outcomes); });
  }
  ErrorCode append_error(int32_t partition, int16_t acks = -1) {
    int before = append_answers;
    append(partition, acks);
    REQUIRE(append_answers == before + 1);
    return appended.at(0).error;
  }
  ReadTarget target(int32_t partition, int64_t offset) const {
    ReadTarget one;
    one.tp = {"t", partition};
    one.offset = offset;
    one.max_bytes = 1 << 20;
    return one;
  }
  ReadParams wait_for(int32_t min_bytes, int32_t max_wait_ms) const {
    ReadParams params;
    params.max_bytes = 1 << 20;
    params.min_bytes = min_bytes;
    params.max_wait_ms = max_wait_ms;
    return params;
  }
  Purgatory::Id fetch(std::vector<ReadTarget> targets, const ReadParams& params) {
    return replicas->read(std::move(targets), params, [this](std::vector<ReadOutcome> outcomes) {
      read = std::move(outcomes);
      ++read_answers;
    });
  }
  ReadOutcome read_now(ReadTarget one, std::optional<ReadParams> params = std::nullopt) {
    fetch({std::move(one)}, params.value_or(wait_for(0, 0)));
    return read.at(0);
  }
  void run_ms(int64_t ms) { simulator.run_for(ms_to_ns(ms)); }
};

}  // namespace

TEST_CASE("a partition is not made anew, empty, while a directory that may hold it is offline") {
  Host host;
  CHECK_FALSE(host.logs->has_offline_dir());
  host.lead(0);
  host.lead(1);
  std::string home = host.logs->dir_of({"t", 0});
  host.kill();
  sim::DiskFault fault;
  fault.path_part = home;
  host.simulator.inject("b", fault);
  host.restart();
  CHECK(host.logs->has_offline_dir());
  CHECK(host.apply(state_of(0, 1)) == ErrorCode::kafka_storage_error);
  CHECK(host.logs->find({"t", 0}) == nullptr);
  host.lead(2);  // one that is new cannot lie there
  host.kill();
  host.simulator.clear_faults("b");
  host.restart();  // the directory is back, and the partition with it
  CHECK(host.apply(state_of(0, 2)) == ErrorCode::none);
  CHECK(host.logs->dir_of({"t", 0}) == home);
}

TEST_CASE("the controller's requests: which are applied, which refused, and who hears of it") {
  Host host;
  CHECK(host.apply(state_of(0, -1)) == ErrorCode::stale_controller_epoch);
  LeaderAndIsr foreign = state_of(0, 0);
  foreign.replicas = {7};
  CHECK(host.apply(foreign) == ErrorCode::unknown_topic_or_partition);
  for (const char* name : {"", ".", "..", "a/b", "a b"}) {
    LeaderAndIsr bad = state_of(0, 0);
    bad.topic_name = name;
    CHECK(host.apply(bad) == ErrorCode::invalid_topic_exception);
  }
  CHECK(host.apply(state_of(-1, 0)) == ErrorCode::invalid_topic_exception);
  CHECK(host.apply(state_of(0, 3)) == ErrorCode::none);
  CHECK(host.apply(state_of(0, 3)) == ErrorCode::stale_controller_epoch);
  CHECK(host.apply(state_of(0, 2)) == ErrorCode::stale_controller_epoch);
  CHECK(host.apply(state_of(0, 4, 7)) == ErrorCode::none);  // follows broker 7 now
  CHECK(host.apply(state_of(1, 0, 7)) == ErrorCode::none);  // never led it
  CHECK(host.told.lines == std::vector<std::string>{"leader t-0 3", "resigned t-0 4"});
  CHECK(host.replicas->partition_count() == 2);

  kmsg::LeaderAndIsrRequest stale;
  stale.controller_epoch = 0;
  stale.ungrouped_partition_states.push_back(state_of(0, 9));
  auto refused = host.replicas->apply(stale);
  CHECK(refused.error_code == ErrorCode::stale_controller_epoch);
  CHECK(refused.partition_errors.at(0).error_code == ErrorCode::stale_controller_epoch);
  host.replicas->set_broker_epoch(50);
  CHECK(host.replicas->check_controller(1, 49) == ErrorCode::stale_broker_epoch);
  CHECK(host.replicas->check_controller(1, 50) == ErrorCode::none);
  kmsg::StopReplicaRequest old_stop;
  old_stop.controller_epoch = 0;
  CHECK(host.replicas->apply(old_stop).error_code == ErrorCode::stale_controller_epoch);
}

TEST_CASE("a topic's id is learnt once and then demanded") {
  Host host;
  host.lead(0);
  CHECK(host.logs->find({"t", 0})->topic_id().empty());
  CHECK(host.apply_with_id(state_of(0, 0), kId) == ErrorCode::none);  // nothing but the id is new
  CHECK(host.logs->find({"t", 0})->topic_id() == kId.to_string());
  CHECK(host.apply_with_id(state_of(0, 1), kOtherId) == ErrorCode::inconsistent_topic_id);
  CHECK(host.apply_with_id(state_of(0, 1), kId) == ErrorCode::none);
  host.know(1);
  ReadTarget named = host.target(0, 0);
  named.topic_id = kOtherId;
  CHECK(host.read_now(named).error == ErrorCode::inconsistent_topic_id);
  named.topic_id = kId;
  CHECK(host.read_now(named).error == ErrorCode::none);
  host.run_ms(1000);  // partition.metadata is written beside
  // After a start the log alone knows it.
  host.kill();
  host.restart();
  CHECK(host.apply_with_id(state_of(0, 2), kOtherId) == ErrorCode::inconsistent_topic_id);
}

TEST_CASE("stopping a replica: kept or removed, unless the request is older than its leader") {
  Host host;
  for (int32_t partition : {0, 1, 2, 3}) host.lead(partition, 5);
  host.told.lines.clear();
  CHECK(host.stop(0, 4, true) == ErrorCode::fenced_leader_epoch);
  CHECK(host.stop(0, 5, false) == ErrorCode::none);
  CHECK(host.logs->find({"t", 0}) != nullptr);
  CHECK(host.stop(0, 6, true) == ErrorCode::none);
  CHECK(host.stop(1, -2, true) == ErrorCode::none);  // the topic is being deleted
  CHECK(host.stop(9, -2, true) == ErrorCode::none);  // not here: gone already
  CHECK(host.logs->find({"t", 0}) == nullptr);
  CHECK(host.told.lines == std::vector<std::string>{"resigned t-0 6", "resigned t-1 -"});
  // Requests of old controllers name partitions without epochs.
  kmsg::StopReplicaRequest old;
  old.controller_epoch = 1;
  old.delete_partitions = true;
  auto& ungrouped = old.ungrouped_partitions.emplace_back();
  ungrouped.topic_name = "t";
  ungrouped.partition_index = 2;
  auto& topic = old.topics.emplace_back();
  topic.name = "t";
  topic.partition_indexes = {3};
  CHECK(host.replicas->apply(old).partition_errors.size() == 2);
  CHECK(host.replicas->partition_count() == 0);
}

TEST_CASE("a removal that is not durable is not answered as done") {
  Host host;
  host.lead(0);
  sim::DiskFault fault;
  fault.call = sim::DiskCall::sync_dir;
  host.simulator.inject("b", fault);
  CHECK(host.stop(0, -2, true) == ErrorCode::kafka_storage_error);
}

TEST_CASE("which directory a replica shall lie in") {
  Host host;
  host.know(2);
  host.lead(0);
  std::string here = host.logs->dir_of({"t", 0}), there = here == "/one" ? "/two" : "/one";
  CHECK(host.replicas->alter_dir({"t", 0}, "/three") == ErrorCode::log_dir_not_found);
  CHECK(host.replicas->alter_dir({"t", 0}, here) == ErrorCode::none);
  CHECK(host.replicas->alter_dir({"t", 0}, there) ==
        ErrorCode::kafka_storage_error);  // no moves yet
  CHECK(host.replicas->alter_dir({std::string(240, 'x'), 0}, here) ==
        ErrorCode::invalid_topic_exception);
  CHECK(host.replicas->alter_dir({"u", 0}, there) == ErrorCode::unknown_topic_or_partition);
  CHECK(host.replicas->alter_dir({"t", 1}, here) == ErrorCode::replica_not_available);
  host.lead(1);
  CHECK(host.logs->dir_of({"t", 1}) == here);  // where it was asked for, not where there is room
}

TEST_CASE("who may append") {
  Host host;
  CHECK(host.append_error(0) == ErrorCode::unknown_topic_or_partition);
  host.lead(0);
  CHECK(host.append_error(0) == ErrorCode::unknown_topic_or_partition);  // being made: not told yet
  host.append(0, -1, 1000, Origin::coordinator);                         // the broker itself may
  CHECK(host.appended.at(0).error == ErrorCode::none);
  host.know(2);
  CHECK(host.append_error(1) == ErrorCode::not_leader_or_follower);
  CHECK(host.append_error(0) == ErrorCode::none);
  CHECK(host.appended.at(0).base_offset == 1);
  CHECK(host.replicas->counters().messages_in == 2);
  CHECK(host.replicas->counters().failed_produce == 3);
  host.append(0, 1, 1000, Origin::client, std::string(2 << 20, 'x'));
  CHECK(host.appended.at(0).error == ErrorCode::message_too_large);
  CHECK(host.replicas->counters().bytes_rejected > 2 << 20);
  CHECK(host.apply(state_of(0, 1, 7)) == ErrorCode::none);
  CHECK(host.append_error(0) == ErrorCode::not_leader_or_follower);
}

TEST_CASE("acks=all waits for the in-sync replicas, its time, or the end of the leadership") {
  Host host;
  host.know(1);
  LeaderAndIsr state = state_of(0, 0);
  state.is_new = true;
  state.isr = state.replicas = {kMe, 7};
  REQUIRE(host.apply(state) == ErrorCode::none);
  CHECK(host.append_error(0, 1) == ErrorCode::none);  // acks=1 does not wait
  host.append(0, -1, 500);
  CHECK(host.append_answers == 1);
  host.run_ms(600);
  CHECK(host.append_answers == 2);
  CHECK(host.appended.at(0).error == ErrorCode::request_timed_out);
  CHECK(host.appended.at(0).base_offset == -1);
  host.append(0, -1, 60000);
  state.leader_epoch = 1;
  state.isr = {kMe};  // broker 7 falls out: what is here counts, under another epoch
  REQUIRE(host.apply(state) == ErrorCode::none);
  CHECK(host.append_answers == 3);
  CHECK(host.appended.at(0).error == ErrorCode::not_leader_or_follower);
  CHECK(host.replicas->find("t", 0)->log()->hw() == 3);
  state.leader_epoch = 2;
  state.isr = {kMe, 7};
  REQUIRE(host.apply(state) == ErrorCode::none);
  host.append(0, -1, 60000);
  host.replicas->expire_all();  // the broker stops
  CHECK(host.append_answers == 4);
  CHECK(host.appended.at(0).error == ErrorCode::request_timed_out);
}

TEST_CASE("a set that opens to many times its size holds up its own request alone") {
  Host host;
  host.know(2);
  host.lead(0);
  host.lead(1);
  Buffer large = batch_of_zeros(16 << 20), small = batch_of_zeros(10), next = batch_of_zeros(10);
  CHECK(large.size() < 10'000);
  std::vector<AppendOutcome> first, second;
  host.append_sets({{1, &small}, {0, &large}}, first);
  CHECK(first.empty());
  // What came beside it is there, and others go on.
  CHECK(host.logs->find({"t", 1})->leo() == 1);
  host.append_sets({{0, &next}}, second);
  REQUIRE(second.size() == 1);
  CHECK(second[0].base_offset == 0);
  REQUIRE(host.simulator.run_until([&] { return !first.empty(); }, 1'000'000'000));
  REQUIRE(first.size() == 2);
  CHECK(first[0].base_offset == 0);
  CHECK(first[1].error == ErrorCode::none);
  CHECK(first[1].base_offset == 1);
  CHECK(host.logs->find({"t", 0})->leo() == 2);
  CHECK(host.logs->find({"t", 0})->hw() == 2);
}

TEST_CASE("a partition that goes while its set is opened answers that, and a broker may go too") {
  Host host;
  host.know(2);
  host.lead(0);
  host.lead(1);
  Buffer large = batch_of_zeros(16 << 20), other = batch_of_zeros(16 << 20);
  std::vector<AppendOutcome> first, second;
  host.append_sets({{0, &large}}, first);
  host.append_sets({{1, &other}}, second);
  host.replicas->set_metadata(MetadataImage::empty("c"));
  REQUIRE(host.simulator.run_until([&] { return !first.empty(); }, 1'000'000'000));
  CHECK(first[0].error == ErrorCode::unknown_topic_or_partition);
  CHECK(second.empty());
  host.replicas.reset();
  host.simulator.run_for(1'000'000'000);
  CHECK(second.empty());
}

TEST_CASE("fewer in-sync replicas than the topic demands") {
  Host host;
  host.config.min_insync_replicas = 2;
  host.know(1);
  LeaderAndIsr state = state_of(0, 0);
  state.is_new = true;
  state.replicas = {kMe, 7};
  REQUIRE(host.apply(state) == ErrorCode::none);
  CHECK(host.append_error(0, -1) == ErrorCode::not_enough_replicas);
  CHECK(host.append_error(0, 1) == ErrorCode::none);
  CHECK(host.replicas->find("t", 0)->log()->hw() == 0);
  CHECK(host.replicas->find("t", 0)->effective_min_isr() == 2);
}

TEST_CASE("where each record is flushed, producer and readers wait for the disk") {
  Host host;
  host.config.flush_messages = 1;
  host.know(1);
  host.lead(0);
  host.fetch({host.target(0, 0)}, host.wait_for(1, 60000));
  host.append(0, 1, 60000);
  CHECK(host.append_answers == 0);
  CHECK(host.read_answers == 0);
  host.run_ms(100);
  CHECK(host.append_answers == 1);
  CHECK(host.appended.at(0).error == ErrorCode::none);
  CHECK(host.read_answers == 1);
  CHECK(host.read.at(0).slice.length > 0);
}

TEST_CASE("a sync that fails takes the directory offline, and everybody who waits hears of it") {
  Host host;
  host.config.flush_messages = 1;
  host.know(2);
  host.lead(0);
  sim::DiskFault fault;
  fault.call = sim::DiskCall::sync;
  fault.path_part = host.logs->dir_of({"t", 0});
  host.fetch({host.target(0, 0)}, host.wait_for(1, 60000));
  host.append(0, 1, 60000);
  host.simulator.inject("b", fault);
  host.run_ms(100);
  CHECK(host.append_answers == 1);
  CHECK(host.appended.at(0).error == ErrorCode::kafka_storage_error);
  CHECK(host.read_answers == 1);
  CHECK(host.read.at(0).error == ErrorCode::kafka_storage_error);
  CHECK(host.apply(state_of(0, 1)) == ErrorCode::kafka_storage_error);
  CHECK(host.stop(0, -2, true) == ErrorCode::kafka_storage_error);
  CHECK(host.replicas->alter_dir({"t", 0}, fault.path_part) == ErrorCode::kafka_storage_error);
  CHECK(host.replicas->alter_dir({"t", 0}, fault.path_part == "/one" ? "/two" : "/one") ==
        ErrorCode::kafka_storage_error);
  host.lead(1);  // the other directory serves
  host.append(1, 1, 60000);
  host.run_ms(100);
  CHECK(host.append_answers == 2);
  CHECK(host.appended.at(0).error == ErrorCode::none);
}

TEST_CASE("who may read, and from where") {
  Host host;
  CHECK(host.read_now(host.target(0, 0)).error == ErrorCode::unknown_topic_or_partition);
  host.know(2);
  CHECK(host.read_now(host.target(0, 0)).error == ErrorCode::not_leader_or_follower);
  host.lead(0, 2);
  host.append(0);
  host.append(0);
  CHECK(host.read_now(host.target(0, 0)).slice.length > 0);
  CHECK(host.read_now(host.target(0, 0)).hw == 2);
  CHECK(host.read_now(host.target(0, 2)).error == ErrorCode::none);
  CHECK(host.read_now(host.target(0, 3)).error == ErrorCode::offset_out_of_range);
  CHECK(host.read_now(host.target(0, -1)).error == ErrorCode::offset_out_of_range);
  ReadTarget odd = host.target(0, 0);
  odd.refusal = ErrorCode::unknown_topic_id;
  CHECK(host.read_now(odd).error == ErrorCode::unknown_topic_id);
  odd = host.target(0, 0);
  odd.max_bytes = -1;
  CHECK(host.read_now(odd).error == ErrorCode::unknown_server_error);
  ReadParams impossible = host.wait_for(0, 0);
  impossible.max_bytes = -1;
  host.fetch({host.target(0, 0), host.target(0, 0)}, impossible);
  CHECK(host.read.at(0).error == ErrorCode::unknown_server_error);
  CHECK(host.read.at(1).error == ErrorCode::none);
  for (auto [epoch, error] :
       {std::pair(1, ErrorCode::fenced_leader_epoch), std::pair(2, ErrorCode::none),
        std::pair(3, ErrorCode::unknown_leader_epoch)}) {
    odd = host.target(0, 0);
    odd.current_leader_epoch = epoch;
    CHECK(host.read_now(odd).error == error);
  }
  // Fetchers of before Fetch v3 get as much of a batch as fits.
  ReadParams strict = host.wait_for(0, 0);
  strict.at_least_one = false;
  odd = host.target(0, 0);
  odd.max_bytes = 10;
  CHECK(host.read_now(odd, strict).slice.length == 10);
  CHECK(host.read_now(odd).slice.length > 10);
  // Followers see beyond the high watermark, if they are replicas at all.
  ReadParams follower = host.wait_for(0, 0);
  follower.follower = true;
  follower.replica_id = 9;
  CHECK(host.read_now(host.target(0, 0), follower).error == ErrorCode::not_leader_or_follower);
  follower.replica_id = kMe;
  CHECK(host.read_now(host.target(0, 0), follower).slice.length > 0);
}

TEST_CASE("a fetcher with another history is told where to cut") {
  Host host;
  host.know(1);
  host.lead(0, 2);
  host.append(0);
  REQUIRE(host.apply(state_of(0, 5)) == ErrorCode::none);
  host.append(0);
  auto seen = [&](int64_t offset, int32_t epoch) {
    ReadTarget one = host.target(0, offset);
    one.last_fetched_epoch = epoch;
    return host.read_now(one);
  };
  CHECK_FALSE(seen(1, 2).diverging);
  CHECK(seen(2, 2).diverging == EpochEnd{2, 1});
  CHECK(seen(2, 4).diverging == EpochEnd{2, 1});
  CHECK(seen(2, 2).slice.length == 0);
  CHECK(seen(1, 9).error == ErrorCode::offset_out_of_range);
}

TEST_CASE("a fetch waits for enough bytes, its time, or something to say") {
  Host host;
  host.know(2);
  host.lead(0);
  host.lead(1);
  CHECK(host.fetch({}, host.wait_for(1, 1000)) == 0);  // nothing is asked
  CHECK(host.read_answers == 1);
  std::vector<ReadTarget> both = {host.target(0, 0), host.target(1, 0)};
  CHECK(host.fetch(both, host.wait_for(100, 60000)) != 0);
  host.append(0);
  CHECK(host.read_answers == 1);  // not enough yet
  host.append(1);
  CHECK(host.read_answers == 2);
  CHECK(host.read.at(0).slice.length > 0);
  CHECK(host.read.at(1).slice.length > 0);
  host.fetch({host.target(0, 1)}, host.wait_for(1, 500));
  host.run_ms(600);
  CHECK(host.read_answers == 3);
  CHECK(host.read.at(0).slice.length == 0);
  host.fetch({host.target(0, 1)}, host.wait_for(1, 60000));
  CHECK(host.apply(state_of(0, 1, 7)) == ErrorCode::none);
  CHECK(host.read_answers == 4);
  CHECK(host.read.at(0).error == ErrorCode::not_leader_or_follower);
  Purgatory::Id parked = host.fetch({host.target(1, 1)}, host.wait_for(1, 60000));
  host.replicas->cancel_read(parked);
  host.append(1);
  CHECK(host.read_answers == 4);
  host.fetch({host.target(1, 2)}, host.wait_for(1, 60000));
  host.replicas->expire_all();
  CHECK(host.read_answers == 5);
}

TEST_CASE("readers of committed records stop at an open transaction") {
  Host host;
  host.know(1);
  host.lead(0);
  BatchBuilder::Options with;
  with.producer_id = 9;
  with.producer_epoch = 0;
  with.base_sequence = 0;
  with.transactional = true;
  BatchBuilder builder(with);
  builder.append(1000, as_bytes("k"), as_bytes("v"));
  Buffer bytes = builder.finish();
  auto put = [&](Buffer& batch, Origin origin) {
    host.replicas->append({{{"t", 0}, batch.mutable_bytes()}}, 1, 0, origin,
                          [](std::vector<AppendOutcome> outcomes) {
                            CHECK(outcomes.at(0).error == ErrorCode::none);
                          });
  };
  put(bytes, Origin::client);
  ReadParams committed = host.wait_for(0, 0);
  committed.read_committed = true;
  ReadOutcome out = host.read_now(host.target(0, 0), committed);
  CHECK(out.slice.length == 0);
  CHECK(out.hw == 1);
  CHECK(out.lso == 0);
  REQUIRE(out.aborted);
  CHECK(out.aborted->empty());
  CHECK_FALSE(host.read_now(host.target(0, 0)).aborted);
  Buffer marker = build_end_txn_marker(1000, 9, 0, ControlType::abort, 1);
  put(marker, Origin::coordinator);
  out = host.read_now(host.target(0, 0), committed);
  CHECK(out.slice.length > 0);
  REQUIRE(out.aborted);
  CHECK(*out.aborted == std::vector<AbortedTxn>{{9, 0, 1, 2}});
}

}  // namespace ottla::broker
