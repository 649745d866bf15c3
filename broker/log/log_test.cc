// One log while it runs: appends, reads, offsets by time, producers, transactions, retention.
#include "broker/log/test_bench.h"

using namespace ottla;
using namespace ottla::broker;

TEST_CASE("what is appended is read back, from every offset") {
  LogBench bench;
  bench.config.index_interval_bytes = 500;
  bench.create();
  for (int i = 0; i < 300; ++i) CHECK(bench.append(3, 1000 + i).first_offset == 3 * i);
  for (int64_t offset = 0; offset < 900; ++offset)
    REQUIRE(bench.first_offset_at(offset) == offset / 3 * 3);
  bench.sound();
  CHECK(bench.log->read(900, 100, 900, true).slice.length == 0);
  CHECK(bench.log->read(901, 100, 900, true).refusal == Refusal::offset_out_of_range);
  ReadResult small = bench.log->read(0, 10, 900, false);
  CHECK(small.first_batch_incomplete);
  // The upper bound ends at a batch.
  ReadResult bounded = bench.log->read(0, 1 << 20, 450, true);
  auto bytes = bench.log->read_bytes(bounded.slice);
  REQUIRE(bytes);
  BatchCursor cursor(*bytes);
  int batches = 0;
  while (cursor.next()) ++batches;
  CHECK(cursor.at_end());
  CHECK(batches == 150);
}

TEST_CASE("acknowledgements wait for the disk when each record is flushed") {
  LogBench bench;
  bench.config.flush_messages = 1;
  bench.create();
  int told = 0;
  for (int i = 0; i < 10; ++i) {
    Appended out = bench.append(1);
    CHECK(out.ack_offset == out.last_offset + 1);
    bench.log->when_durable(out.ack_offset, [&](bool ok) { told += ok; });
  }
  CHECK(told == 0);
  CHECK(bench.log->durable_offset() == 0);
  REQUIRE(bench.until([&] { return told == 10; }));
  CHECK(bench.log->durable_offset() == 10);
}

TEST_CASE("a search by time leaves a batch that opens to many times its size to who has the time") {
  LogBench bench;
  bench.create();
  BatchBuilder builder({.codec = compress::Codec::zstd});
  std::string large(16 << 20, '\0');
  builder.append(1000, std::nullopt, as_bytes(large));
  builder.append(1001, std::nullopt, as_bytes("late"));
  Buffer bytes;
  REQUIRE(builder.finish(bytes));
  REQUIRE(bench.log->append_as_leader(bytes.mutable_bytes(), 0).refusal == Refusal::none);
  std::optional<TimestampSearch> left;
  auto found = bench.log->offset_for_timestamp(1001, &left);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == Errc::too_large);
  REQUIRE(left);
  found = left->run(kMaxOpenedBatchBytes);
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->offset == 1);
  CHECK((*found)->timestamp == 1001);
  CHECK((*bench.log->offset_of_max_timestamp())->offset == 1);
}

TEST_CASE("a search by time leaves many batches of one time to who has the time") {
  LogBench bench;
  bench.create();
  for (int i = 0; i < 3000; ++i) bench.append(1, 1000, {}, 1);
  bench.append(1, 2000);
  REQUIRE(bench.log->roll());
  bench.append(1, 3000);
  std::optional<TimestampSearch> left;
  CHECK_FALSE(bench.log->offset_for_timestamp(1500, &left));
  REQUIRE(left);
  CHECK(left->run(kMaxOpenedBatchBytes).value()->offset == 3000);
  CHECK(bench.log->offset_for_timestamp(1500).value()->offset == 3000);
  // What was deleted does not end it.
  REQUIRE(bench.log->delete_records(3001) == Refusal::none);
  CHECK(bench.log->offset_for_timestamp(1500, &left).value()->offset == 3001);
  left->log_start_offset = 3001;
  CHECK_FALSE(left->run(kMaxOpenedBatchBytes).value());
  auto found = bench.log->offset_for_timestamp(left->timestamp, &left, left->next_offset);
  CHECK(found.value()->offset == 3001);
}

TEST_CASE("offsets by time") {
  LogBench bench;
  bench.config.segment_bytes = 3000;
  bench.config.index_interval_bytes = 200;
  bench.create();
  for (int i = 0; i < 100; ++i) bench.append(2, 1000 + 10 * i);
  for (int round = 0; round < 2; ++round) {
    auto found = bench.log->offset_for_timestamp(1500);
    REQUIRE(found);
    REQUIRE(*found);
    CHECK((*found)->offset == 100);
    CHECK((*found)->timestamp == 1500);
    found = bench.log->offset_for_timestamp(1502);
    REQUIRE(found);
    CHECK((*found)->offset == 102);
    found = bench.log->offset_for_timestamp(99999);
    REQUIRE(found);
    CHECK_FALSE(*found);
    auto newest = bench.log->offset_of_max_timestamp();
    REQUIRE(newest);
    CHECK((*newest)->offset == 199);
    CHECK((*newest)->timestamp == 1991);
    CHECK(bench.log->legacy_offsets_before(-2, 5) == std::vector<int64_t>{0});
    CHECK(bench.log->legacy_offsets_before(-1, 1) == std::vector<int64_t>{200});
    REQUIRE(bench.close());
    bench.reopen(true, 200);
  }
}

TEST_CASE("the newest time is told also where DeleteRecords has removed its record") {
  LogBench bench;
  bench.create();
  bench.append(1, 5000);
  bench.append(2, 1000);
  REQUIRE(bench.log->delete_records(1) == Refusal::none);
  auto newest = bench.log->offset_of_max_timestamp();
  REQUIRE(newest);
  REQUIRE(*newest);
  CHECK((*newest)->offset == 0);
}

TEST_CASE("retention by size and time, deletion of records") {
  LogBench bench;
  bench.config.segment_bytes = 2000;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  for (int i = 0; i < 100; ++i) bench.append(1, now - 1000 + i);
  uint64_t before = bench.log->stats().size_bytes;
  bench.config.retention_bytes = static_cast<int64_t>(before / 2);
  bench.log->set_config(bench.config);
  CHECK(bench.log->apply_retention(now) > 0);
  CHECK(bench.log->stats().size_bytes >= before / 2);
  CHECK(bench.log->log_start_offset() == bench.log->first_segment_base_offset());
  bench.sound();
  CHECK(bench.log->delete_records(101) == Refusal::offset_out_of_range);
  CHECK(bench.log->delete_records(90) == Refusal::none);
  CHECK(bench.log->read(80, 10, 100, true).refusal == Refusal::offset_out_of_range);
  bench.log->apply_retention(now);
  CHECK(bench.log->first_segment_base_offset() > 70);
  CHECK(bench.log->first_segment_base_offset() <= 90);
  auto compacted = bench.config;
  compacted.cleanup_delete = false;
  compacted.cleanup_compact = true;
  compacted.retention_ms = 0;
  bench.log->set_config(compacted);
  CHECK(bench.log->apply_retention(now + 1000000) == 0);
  CHECK(bench.log->delete_records(-1) == Refusal::policy_violation);
  bench.config.retention_bytes = -1;
  bench.config.retention_ms = 1000;
  bench.log->set_config(bench.config);
  bench.log->apply_retention(now + 100000);
  CHECK(bench.log->log_start_offset() == 100);
  CHECK(bench.log->leo() == 100);
  CHECK(bench.append(1, now).first_offset == 100);
  bench.sound();
}

TEST_CASE("transactions hold the stable offset back, aborted ones are listed") {
  LogBench bench;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  auto with = bench.producer(0);
  with.transactional = true;
  bench.append(3, now, with);
  bench.append(1, now);
  CHECK(bench.log->lso() == 0);
  Buffer marker = build_end_txn_marker(now, 77, 0, ControlType::abort, 1);
  Appended out = bench.log->append_as_leader(marker.mutable_bytes(), 0, Origin::coordinator);
  CHECK(out.refusal == Refusal::none);
  CHECK(bench.log->lso() == 0);
  bench.log->set_hw(bench.log->leo());
  CHECK(bench.log->lso() == 5);
  auto aborted = bench.log->aborted_transactions(0, 5);
  REQUIRE(aborted);
  CHECK(*aborted == std::vector<AbortedTxn>{{77, 0, 4, 5}});
}

TEST_CASE("deleting records raises the stable offset with the log's start") {
  LogBench bench;
  bench.create();
  auto with = bench.producer(0);
  with.transactional = true;
  bench.append(3, 1000, with);
  bench.append(3);
  CHECK(bench.log->lso() == 0);
  CHECK(bench.log->delete_records(4) == Refusal::none);
  CHECK(bench.log->lso() == 4);
}

TEST_CASE("a fetch is told of the aborted transactions of what it reads") {
  LogBench bench;
  bench.config.segment_bytes = 1000;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  for (int i = 0; i < 10; ++i) {
    auto with = bench.producer(i);
    with.transactional = true;
    bench.append(1, now, with);
    Buffer marker = build_end_txn_marker(now, 77, 0, ControlType::abort, 1);
    REQUIRE(bench.log->append_as_leader(marker.mutable_bytes(), 0, Origin::coordinator).refusal ==
            Refusal::none);
    bench.log->set_hw(bench.log->leo());
  }
  REQUIRE(bench.log->stats().segments > 2);
  ReadResult read = bench.log->read(0, 1 << 20, 20, true);
  CHECK(read.upper_bound > 2);
  CHECK(read.upper_bound < 18);
  auto aborted = bench.log->aborted_transactions(0, read.upper_bound);
  REQUIRE(aborted);
  CHECK(aborted->size() == static_cast<size_t>(read.upper_bound / 2));
  CHECK(bench.log->aborted_transactions(0, 20)->size() == 10);
}

TEST_CASE("a follower takes the leader's bytes as they are") {
  LogBench bench;
  bench.create();
  BatchBuilder::Options with;
  with.base_offset = 10;
  with.leader_epoch = 4;
  BatchBuilder builder(with);
  builder.append(1, as_bytes("a"), std::nullopt);
  Buffer bytes = builder.finish();
  CHECK(bench.log->append_as_follower(bytes).last_offset == 10);
  CHECK(bench.log->latest_epoch() == 4);
  CHECK(bench.log->append_as_follower(bytes).refusal == Refusal::offset_out_of_range);
  bytes.data()[65] ^= 1;
  store_be<int64_t>(bytes.data(), 11);
  CHECK(bench.log->append_as_follower(bytes).refusal == Refusal::corrupt_message);
}
