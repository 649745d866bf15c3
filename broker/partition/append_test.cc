// Who may append, and what an answer waits for: other replicas, the disk, a large set being opened.
#include "broker/partition/test_host.h"

namespace ottla::broker {
namespace {

Buffer batch_of_zeros(size_t bytes) {
  BatchBuilder builder({.codec = compress::Codec::zstd});
  std::string value(bytes, '\0');
  builder.append(1, std::nullopt, as_bytes(value));
  Buffer out;
  REQUIRE(builder.finish(out));
  return out;
}

}  // namespace

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

TEST_CASE("a client opens no transaction: no coordinator would ever end it") {
  Host host;
  host.know(1);
  host.lead(0);
  auto of_transaction = [](int32_t sequence, int16_t epoch) {
    BatchBuilder builder({.producer_id = 7,
                          .producer_epoch = epoch,
                          .base_sequence = sequence,
                          .transactional = true});
    builder.append(1, std::nullopt, as_bytes("v"));
    return builder.finish();
  };
  PartitionLog& log = *host.replicas->find("t", 0)->log();
  std::vector<AppendOutcome> outcomes;
  Buffer set = of_transaction(0, 0);
  host.append_sets({{0, &set}}, outcomes);
  CHECK(outcomes.at(0).error == ErrorCode::invalid_producer_id_mapping);
  CHECK(log.leo() == 0);
  CHECK(host.append_error(0) == ErrorCode::none);
  CHECK(log.lso() == 1);
  // One that is open in what another broker has written goes on.
  set = of_transaction(0, 0);
  REQUIRE(log.append_as_leader(set.mutable_bytes(), 0).refusal == Refusal::none);
  set = of_transaction(1, 0);
  host.append_sets({{0, &set}}, outcomes);
  CHECK(outcomes.at(0).error == ErrorCode::none);
  set = of_transaction(0, 1);
  host.append_sets({{0, &set}}, outcomes);
  CHECK(outcomes.at(0).error == ErrorCode::invalid_producer_id_mapping);
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

TEST_CASE("a request of very many sets takes several turns, in their order") {
  Host host;
  host.config.flush_messages = 1;
  host.know(1);
  host.lead(0);
  constexpr size_t kSets = 1000;
  std::vector<Buffer> sets;
  std::vector<std::pair<int32_t, Buffer*>> asked;
  for (size_t i = 0; i < kSets; ++i) sets.push_back(batch_of_zeros(10));
  for (Buffer& set : sets) asked.emplace_back(0, &set);
  std::vector<AppendOutcome> outcomes;
  host.append_sets(asked, outcomes);
  int64_t first = host.logs->find({"t", 0})->leo();
  CHECK(first > 0);
  CHECK(first < static_cast<int64_t>(kSets));
  host.fetch({host.target(0, 0)}, host.wait_for(1, 60'000));
  REQUIRE(host.simulator.run_until([&] { return !outcomes.empty(); }, 1'000'000'000));
  CHECK(host.read_answers == 1);
  REQUIRE(outcomes.size() == kSets);
  for (size_t i = 0; i < kSets; ++i) {
    CHECK(outcomes[i].error == ErrorCode::none);
    CHECK(outcomes[i].base_offset == static_cast<int64_t>(i));
  }
}

TEST_CASE("a set that nobody waits for any more is not opened") {
  Host host;
  host.know(3);
  for (int32_t partition : {0, 1, 2}) host.lead(partition);
  Buffer first = batch_of_zeros(16 << 20), next = batch_of_zeros(16 << 20),
         other = batch_of_zeros(16 << 20);
  bool is_wanted = true, answered = false;
  auto held = std::make_shared<int>();
  std::weak_ptr<int> call = held;
  host.replicas->append(
      {{{"t", 0}, first.mutable_bytes()}, {{"t", 1}, next.mutable_bytes()}}, 1, 1000,
      Origin::client, [&, held = std::move(held)](std::vector<AppendOutcome>) { answered = true; },
      [&] { return is_wanted; });
  is_wanted = false;  // the first has begun
  std::vector<AppendOutcome> outcomes;
  host.append_sets({{2, &other}}, outcomes);
  host.fetch({host.target(0, 0)}, host.wait_for(1, 60'000));
  REQUIRE(host.simulator.run_until([&] { return !outcomes.empty(); }, 1'000'000'000));
  CHECK(outcomes[0].error == ErrorCode::none);
  CHECK(host.logs->find({"t", 0})->leo() == 1);
  CHECK(host.read_answers == 1);  // whoever waited for it hears of it all the same
  CHECK(host.logs->find({"t", 1})->leo() == 0);
  CHECK_FALSE(answered);
  CHECK(call.expired());
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

TEST_CASE("the producer's time limit is for other replicas, not for the disk") {
  Host host;
  host.config.flush_messages = 1;
  host.know(2);
  host.lead(0);
  int answers = 0;
  for (int16_t acks : {int16_t{0}, int16_t{1}, int16_t{-1}}) {
    host.append(0, acks, 0);
    CHECK(host.append_answers == answers);
    host.run_ms(100);
    CHECK(host.append_answers == ++answers);
    CHECK(host.appended.at(0).error == ErrorCode::none);
    CHECK(host.appended.at(0).base_offset == answers - 1);
  }
  LeaderAndIsr state = state_of(1, 0);
  state.is_new = true;
  state.isr = state.replicas = {kMe, 7};
  REQUIRE(host.apply(state) == ErrorCode::none);
  host.append(1, -1, 500);
  host.run_ms(400);
  CHECK(host.replicas->find("t", 1)->log()->durable_offset() == 1);
  CHECK(host.append_answers == answers);
  host.run_ms(300);
  CHECK(host.append_answers == ++answers);
  CHECK(host.appended.at(0).error == ErrorCode::request_timed_out);
  host.append(1, 1, 0);
  state.leader_epoch = 1;
  REQUIRE(host.apply(state) == ErrorCode::none);
  CHECK(host.append_answers == ++answers);
  CHECK(host.appended.at(0).error == ErrorCode::not_leader_or_follower);
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

}  // namespace ottla::broker
