#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "broker/log/checkpoint.h"
#include "broker/log/log_manager.h"
#include "broker/log/names.h"
#include "broker/record/batch_builder.h"
#include "common/base/endian.h"
#include "common/rt_asio/runtime.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

struct Home {
  Home() {
    path = std::filesystem::temp_directory_path() /
           ("ottla-log-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Home() { std::filesystem::remove_all(path); }
  static inline int count = 0;
  std::filesystem::path path;
};

struct Bench {
  Home home;
  rt_asio::AsioRuntime runtime;
  LogConfig config;
  std::unique_ptr<PartitionLog> log;

  PartitionLog::Options options() {
    PartitionLog::Options options;
    options.dir = home.path / "t-0";
    options.tp = {"t", 0};
    options.config = config;
    return options;
  }
  void create() {
    auto given = options();
    given.created_now = true;
    auto opened = PartitionLog::open(runtime.world(), given);
    REQUIRE(opened);
    log = std::move(*opened);
  }
  bool close() {
    std::optional<bool> closed;
    log->close([&](const Result<void>& result) { closed = result.has_value(); });
    return runtime.run_until([&] { return closed.has_value(); }, 5000) && *closed;
  }
  // As after a kill, or after close() when clean.
  void reopen(bool clean, int64_t recovery_point = 0, int64_t hw = INT64_MAX) {
    log.reset();
    auto given = options();
    given.clean_shutdown = clean;
    given.recovery_point = recovery_point;
    given.high_watermark = hw;
    auto opened = PartitionLog::open(runtime.world(), given);
    REQUIRE(opened);
    log = std::move(*opened);
    sound();
  }
  void sound() {
    auto checked = log->check_invariants();
    INFO((checked ? "" : checked.error().context));
    REQUIRE(checked);
  }
  bool until(Fn<bool()> done) { return runtime.run_until(std::move(done), 5000); }

  Appended append(int records, int64_t timestamp = 1000, BatchBuilder::Options with = {},
                  size_t value = 100) {
    BatchBuilder builder(with);
    std::string text(value, 'v');
    for (int i = 0; i < records; ++i) builder.append(timestamp + i, as_bytes("k"), as_bytes(text));
    Buffer bytes;
    REQUIRE(builder.finish(bytes));
    Appended out = log->append_as_leader(bytes.mutable_bytes(), epoch);
    log->set_hw(log->leo());
    return out;
  }
  BatchBuilder::Options producer(int32_t sequence, int16_t producer_epoch = 0) {
    BatchBuilder::Options with;
    with.producer_id = 77;
    with.producer_epoch = producer_epoch;
    with.base_sequence = sequence;
    return with;
  }
  int64_t first_offset_at(int64_t start, uint64_t max_bytes = 1) {
    ReadResult read = log->read(start, max_bytes, log->leo(), true);
    REQUIRE(read.refusal == Refusal::none);
    auto bytes = log->read_bytes(read.slice);
    REQUIRE(bytes);
    BatchCursor cursor(*bytes);
    auto raw = cursor.next();
    REQUIRE(raw);
    CHECK(BatchView(raw->bytes).crc_ok());
    return raw->base_offset();
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(home.path / "t-0"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  int32_t epoch = 0;
};

}  // namespace

TEST_CASE("what is appended is read back, from every offset") {
  Bench bench;
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

TEST_CASE("segments roll by size, and a clean or unclean start finds the same log") {
  for (bool clean : {true, false}) {
    Bench bench;
    bench.config.segment_bytes = 4000;
    bench.config.index_interval_bytes = 300;
    bench.create();
    bench.epoch = 3;
    for (int i = 0; i < 200; ++i) bench.append(2, 5000 + 10 * i);
    CHECK(bench.log->stats().segments > 5);
    bench.sound();
    REQUIRE(bench.until([&] { return bench.log->durable_offset() > 300; }));
    if (clean) REQUIRE(bench.close());
    int64_t point = clean ? 400 : 0;
    bench.reopen(clean, point);
    CHECK(bench.log->leo() == 400);
    CHECK(bench.log->hw() == 400);
    CHECK(bench.log->latest_epoch() == 3);
    for (int64_t offset = 0; offset < 400; ++offset)
      REQUIRE(bench.first_offset_at(offset) == offset / 2 * 2);
    bench.append(1);
    CHECK(bench.log->leo() == 401);
    bench.sound();
  }
}

TEST_CASE("a clean end leaves index files, also of an empty segment; missing ones are made anew") {
  Bench bench;
  bench.config.segment_bytes = 4000;
  bench.config.index_interval_bytes = 300;
  bench.create();
  REQUIRE(bench.close());
  std::string first = std::string(20, '0');
  CHECK(bench.files() == std::vector<std::string>{first + ".index", first + ".log",
                                                  first + ".timeindex"});
  bench.reopen(true);
  for (int i = 0; i < 200; ++i) bench.append(2, 5000 + 10 * i);
  REQUIRE(bench.close());
  auto all = bench.files();
  std::map<std::string, std::uintmax_t> sizes;
  for (const std::string& name : all)
    if (name.ends_with("index")) {
      sizes[name] = std::filesystem::file_size(bench.home.path / "t-0" / name);
      std::filesystem::remove(bench.home.path / "t-0" / name);
    }
  bench.reopen(true, 400);
  CHECK(bench.log->leo() == 400);
  REQUIRE(bench.close());
  CHECK(bench.files() == all);
  for (const auto& [name, size] : sizes)
    CHECK(std::filesystem::file_size(bench.home.path / "t-0" / name) == size);
}

TEST_CASE("a torn tail is cut and the rest stays") {
  Bench bench;
  bench.config.index_interval_bytes = 300;
  bench.create();
  for (int i = 0; i < 50; ++i) bench.append(1);
  std::string path = bench.home.path / "t-0" / "00000000000000000000.log";
  auto size = std::filesystem::file_size(path);
  SECTION("cut") {
    std::filesystem::resize_file(path, size - 7);
    bench.reopen(false);
    CHECK(bench.log->leo() == 49);
  }
  SECTION("zeros behind") {
    std::filesystem::resize_file(path, size + 5000);
    bench.reopen(false);
    CHECK(bench.log->leo() == 50);
  }
  SECTION("damage in the middle") {
    std::FILE* file = std::fopen(path.c_str(), "r+");
    std::fseek(file, static_cast<long>(size / 2), SEEK_SET);
    std::fputs("damage", file);
    std::fclose(file);
    bench.reopen(false);
    CHECK(bench.log->leo() < 27);
    CHECK(bench.log->leo() > 20);
  }
  bench.append(1);
  bench.sound();
}

TEST_CASE("acknowledgements wait for the disk when each record is flushed") {
  Bench bench;
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

TEST_CASE("idempotent producers: duplicates, gaps, epochs, and memory across restarts") {
  for (int restart = 0; restart < 3; ++restart) {
    Bench bench;
    bench.create();
    int64_t now = bench.runtime.world().loop.wall_ms();
    for (int i = 0; i < 7; ++i)
      CHECK(bench.append(2, now, bench.producer(2 * i)).first_offset == 2 * i);
    if (restart == 1) REQUIRE(bench.close());
    if (restart > 0) bench.reopen(restart == 1, restart == 1 ? 14 : 0);
    Appended again = bench.append(2, now, bench.producer(12));
    CHECK(again.duplicate);
    CHECK(again.first_offset == 12);
    CHECK(again.last_offset == 13);
    if (restart != 1) CHECK(bench.append(2, now, bench.producer(4)).duplicate);
    CHECK(bench.append(2, now, bench.producer(0)).refusal == Refusal::out_of_order_sequence_number);
    CHECK(bench.append(2, now, bench.producer(16)).refusal ==
          Refusal::out_of_order_sequence_number);
    CHECK(bench.append(2, now, bench.producer(14)).first_offset == 14);
    CHECK(bench.append(2, now, bench.producer(5, 1)).refusal ==
          Refusal::out_of_order_sequence_number);
    CHECK(bench.append(2, now, bench.producer(0, 1)).first_offset == 16);
    CHECK(bench.append(2, now, bench.producer(16, 0)).refusal == Refusal::invalid_producer_epoch);
    CHECK(bench.log->leo() == 18);
  }
}

TEST_CASE("offsets by time") {
  Bench bench;
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

TEST_CASE("retention by size and time, deletion of records") {
  Bench bench;
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

TEST_CASE("truncation takes indexes, producers and epochs along") {
  Bench bench;
  bench.config.segment_bytes = 3000;
  bench.config.index_interval_bytes = 200;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  for (int i = 0; i < 60; ++i) {
    bench.epoch = i / 20;
    bench.append(1, now, bench.producer(i));
  }
  CHECK(bench.log->end_offset_for_epoch(0).end_offset == 20);
  REQUIRE(bench.log->truncate_to(37));
  CHECK(bench.log->leo() == 37);
  CHECK(bench.log->latest_epoch() == 1);
  bench.sound();
  CHECK(bench.append(1, now, bench.producer(50)).refusal == Refusal::out_of_order_sequence_number);
  CHECK(bench.append(1, now, bench.producer(37)).first_offset == 37);
  bench.sound();
  bench.reopen(false);
  CHECK(bench.log->leo() == 38);
  REQUIRE(bench.log->truncate_fully_and_start_at(500));
  CHECK(bench.log->leo() == 500);
  CHECK(bench.append(1, now).first_offset == 500);
  bench.sound();
  bench.reopen(false);
  CHECK(bench.log->leo() == 501);
  CHECK(bench.log->log_start_offset() == 500);
}

TEST_CASE("transactions hold the stable offset back, aborted ones are listed") {
  Bench bench;
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

TEST_CASE("a follower takes the leader's bytes as they are") {
  Bench bench;
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

TEST_CASE("leader epochs answer as Kafka's do") {
  EpochCache cache;
  CHECK(cache.end_offset_for(0, 10).end_offset == -1);
  CHECK(cache.assign(2, 5));
  CHECK(cache.assign(4, 8));
  CHECK_FALSE(cache.assign(4, 9));
  CHECK(cache.end_offset_for(-1, 20) == EpochEnd{});
  CHECK(cache.end_offset_for(-7, 20) == EpochEnd{-7, 5});
  CHECK(cache.end_offset_for(1, 20) == EpochEnd{1, 5});
  CHECK(cache.end_offset_for(2, 20) == EpochEnd{2, 8});
  CHECK(cache.end_offset_for(3, 20) == EpochEnd{2, 8});
  CHECK(cache.end_offset_for(4, 20) == EpochEnd{4, 20});
  CHECK(cache.end_offset_for(5, 20) == EpochEnd{-1, -1});
  CHECK(cache.epoch_for_offset(7) == 2);
  CHECK(cache.encode() == "0\n2\n2 5\n4 8\n");
  auto back = EpochCache::decode(cache.encode());
  REQUIRE(back);
  CHECK(back->entries() == cache.entries());
  CHECK(cache.truncate_from_start(9));
  CHECK(cache.entries() == std::vector<EpochEntry>{{4, 9}});
  CHECK_FALSE(EpochCache::decode("1\n0\n"));
}

TEST_CASE("checkpoints and names") {
  OffsetCheckpoint offsets{{{"a", 1}, 5}, {{"b-c", 0}, 7}};
  std::string text = encode_checkpoint(offsets);
  CHECK(text == "0\n2\na 1 5\nb-c 0 7\n");
  auto back = decode_checkpoint(text);
  REQUIRE(back);
  CHECK(*back == offsets);
  CHECK_FALSE(decode_checkpoint("0\n3\na 1 5\n"));
  CHECK_FALSE(decode_checkpoint("0\n1\na 5\n"));
  CHECK(partition_of_name("b-c-0") == TopicPartition{"b-c", 0});
  CHECK_FALSE(partition_of_name("bc"));
  CHECK_FALSE(partition_of_name("b-x"));
  CHECK(offset_of_name(file_name(12, kLogSuffix), kLogSuffix) == 12);
}

TEST_CASE("a log that begins above all that a power failure left goes on without a gap") {
  for (bool clean : {false, true}) {
    Bench bench;
    bench.create();
    int64_t now = bench.runtime.world().loop.wall_ms();
    for (int i = 0; i < 10; ++i) bench.append(1, now);
    if (clean) REQUIRE(bench.close());
    bench.log.reset();
    auto given = bench.options();
    given.clean_shutdown = clean;
    given.log_start_offset = 20;
    bench.log = std::move(*PartitionLog::open(bench.runtime.world(), given));
    CHECK(bench.log->leo() == 20);
    CHECK(bench.append(1, now).first_offset == 20);
    bench.sound();
    bench.reopen(false);
    CHECK(bench.log->leo() == 21);
  }
}

// ------------------------------------------------------------------------------------- log manager

namespace {
struct ManagerBench {
  Home home;
  rt_asio::AsioRuntime runtime;
  std::unique_ptr<LogManager> manager;
  LogManagerOptions options() {
    LogManagerOptions given;
    given.log_dirs = {home.path / "a", home.path / "b"};
    given.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
    given.broker_id = 5;
    given.config_for = [](const std::string&) { return LogConfig{.file_delete_delay_ms = 0}; };
    return given;
  }
  void open() {
    manager.reset();
    auto opened = LogManager::open(runtime.world(), options());
    INFO((opened ? "" : opened.error().context));
    REQUIRE(opened);
    manager = std::move(*opened);
  }
  bool shutdown() {
    std::optional<bool> closed;
    manager->shutdown([&](bool all) { closed = all; });
    return runtime.run_until([&] { return closed.has_value(); }, 20000) && *closed;
  }
  void append(const TopicPartition& tp) {
    PartitionLog* log = manager->find(tp);
    REQUIRE(log);
    BatchBuilder builder;
    builder.append(1, as_bytes("k"), as_bytes("v"));
    Buffer bytes = builder.finish();
    CHECK(log->append_as_leader(bytes.mutable_bytes(), 0).refusal == Refusal::none);
    log->set_hw(log->leo());
  }
};
}  // namespace

TEST_CASE("the manager spreads partitions, remembers them, and deletes them") {
  ManagerBench bench;
  bench.open();
  for (int i = 0; i < 6; ++i) {
    auto log = bench.manager->get_or_create({"t", i}, "AAAAAAAAAAAAAAAAAAAAAQ");
    REQUIRE(log);
    bench.append({"t", i});
  }
  for (const LogDirInfo& dir : bench.manager->dirs()) CHECK(dir.partitions == 3);
  for (bool clean : {true, false}) {
    if (clean) CHECK(bench.shutdown());
    CHECK(std::filesystem::exists(bench.home.path / "a" / ".kafka_cleanshutdown") == clean);
    bench.open();
    CHECK(bench.manager->partition_count() == 6);
    CHECK(bench.manager->find({"t", 3})->leo() == 1);
    CHECK(bench.manager->find({"t", 3})->hw() == 1);
    CHECK(bench.manager->find({"t", 3})->topic_id() == "AAAAAAAAAAAAAAAAAAAAAQ");
  }
  REQUIRE(bench.manager->remove({"t", 2}));
  CHECK(bench.manager->find({"t", 2}) == nullptr);
  CHECK_FALSE(std::filesystem::exists(bench.home.path / "a" / "t-2"));
  bench.manager->checkpoint_high_watermarks();
  CHECK(bench.runtime.run_until(
      [&] {
        return std::filesystem::exists(bench.home.path / "b" / kHighWatermarkFile) &&
               std::distance(std::filesystem::directory_iterator(bench.home.path / "a"), {}) < 12;
      },
      2000));
}

TEST_CASE("expired producers are forgotten at the first interval, not at the start") {
  for (int64_t interval_ms : {600000, 20}) {
    ManagerBench bench;
    auto options = bench.options();
    options.initial_task_delay_ms = 1;
    options.producer_id_expiration_check_interval_ms = interval_ms;
    auto opened = LogManager::open(bench.runtime.world(), options);
    REQUIRE(opened);
    bench.manager = std::move(*opened);
    bench.manager->start_tasks();
    auto log = bench.manager->get_or_create({"t", 0}, "AAAAAAAAAAAAAAAAAAAAAQ");
    REQUIRE(log);
    BatchBuilder::Options with;
    with.producer_id = 77;
    with.producer_epoch = 0;
    with.base_sequence = 0;
    BatchBuilder builder(with);
    builder.append(1, as_bytes("k"), as_bytes("v"));
    Buffer bytes = builder.finish();
    CHECK((*log)->append_as_leader(bytes.mutable_bytes(), 0).refusal == Refusal::none);
    auto known = [&] { return !(*log)->producers().empty(); };
    CHECK(bench.runtime.run_until([&] { return !known(); }, 200) == (interval_ms == 20));
  }
}

TEST_CASE("a topic made anew has nothing of the one that had its name") {
  ManagerBench bench;
  TopicPartition tp{"t", 0};
  auto tell = [&] {
    bench.manager->checkpoint_recovery_points();
    bench.manager->checkpoint_log_start_offsets();
    bench.manager->checkpoint_high_watermarks();
    CHECK(bench.runtime.run_until(
        [&] {
          std::ifstream file(bench.home.path / "a" / kLogStartOffsetFile);
          std::string text((std::istreambuf_iterator<char>(file)), {});
          return text.find("t 0 8") != std::string::npos;
        },
        10000));
    (void)bench.runtime.run_until([] { return false; }, 30);  // the other files
  };
  for (bool restart_between : {false, true}) {
    bench.open();
    if (bench.manager->find(tp)) REQUIRE(bench.manager->remove(tp));
    REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
    for (int i = 0; i < 10; ++i) bench.append(tp);
    CHECK(bench.manager->find(tp)->delete_records(8) == Refusal::none);
    tell();
    REQUIRE(bench.manager->remove(tp));
    if (restart_between) bench.open();
    REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAABA"));
    for (int i = 0; i < 5; ++i) bench.append(tp);
    bench.open();  // as after a kill
    REQUIRE(bench.manager->find(tp));
    CHECK(bench.manager->find(tp)->leo() == 5);
    CHECK(bench.manager->find(tp)->log_start_offset() == 0);
    CHECK(bench.manager->find(tp)->durable_offset() == 0);
  }
}

TEST_CASE("a truncation lowers the recovery point on the disk before it cuts") {
  ManagerBench bench;
  TopicPartition tp{"t", 0};
  auto in_place = [&]() -> int64_t {
    std::ifstream file(bench.home.path / "a" / kRecoveryPointFile);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    auto offsets = decode_checkpoint(text);
    return offsets && offsets->contains(tp) ? offsets->at(tp) : -1;
  };
  bench.open();
  REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
  PartitionLog* log = bench.manager->find(tp);
  auto flushed_to = [&](int64_t offset) {
    while (log->leo() < offset) bench.append(tp);
    log->flush();
    CHECK(bench.runtime.run_until([&] { return log->durable_offset() == offset; }, 2000));
    bench.manager->checkpoint_recovery_points();
  };
  flushed_to(10);
  CHECK(bench.runtime.run_until([&] { return in_place() == 10; }, 2000));
  REQUIRE(log->truncate_to(7));
  CHECK(in_place() == 7);
  // One that is being written meanwhile does not take its place.
  flushed_to(9);
  REQUIRE(log->truncate_to(6));
  CHECK(in_place() == 6);
  CHECK_FALSE(bench.runtime.run_until([&] { return in_place() != 6; }, 100));
  REQUIRE(log->truncate_fully_and_start_at(3));
  CHECK(in_place() == 3);
  flushed_to(8);
  CHECK(bench.runtime.run_until([&] { return in_place() == 8; }, 2000));
  // A start that finds less than was called durable says so as well.
  std::string file = bench.home.path / "a" / "t-0" / "00000000000000000003.log";
  bench.manager.reset();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  bench.open();
  CHECK(bench.manager->find(tp)->leo() == 5);
  CHECK(in_place() == 5);
}

TEST_CASE("a torn partition.metadata is no topic id") {
  ManagerBench bench;
  TopicPartition tp{"t", 0};
  bench.open();
  REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
  for (const char* text : {"version: 0\ntopic_id: AAAAAAAAAA",
                           "version: 0\ntopic_id: AAAA\x01\x02"
                           "AAAAAAAAAAAAAAAAAAAA",
                           "", "version: 0\nto"}) {
    std::ofstream(bench.home.path / "a" / "t-0" / kPartitionMetadataFile) << text;
    bench.open();
    CHECK(bench.manager->find(tp)->topic_id() == "");
  }
}

TEST_CASE("foreign directories are refused in one line with a remedy") {
  ManagerBench bench;
  bench.open();
  auto taken = LogManager::open(bench.runtime.world(), bench.options());
  REQUIRE_FALSE(taken);
  CHECK(taken.error().context.find("used by another process") != std::string::npos);
  bench.manager.reset();
  auto other = bench.options();
  other.broker_id = 6;
  auto refused = LogManager::open(bench.runtime.world(), other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.find("correct broker.id") != std::string::npos);
  other = bench.options();
  other.cluster_id = "BBBBBBBBBBBBBBBBBBBBBB";
  refused = LogManager::open(bench.runtime.world(), other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.find("is of cluster") != std::string::npos);
  auto meta = LogManager::read_meta(bench.runtime.world().disk, bench.options().log_dirs);
  REQUIRE(meta);
  REQUIRE(meta->size() == 2);
  CHECK((*meta)[0].broker_id == 5);
}

TEST_CASE("thousands of partitions open quickly after a clean end") {
  ManagerBench bench;
  bench.open();
  for (int i = 0; i < 2000; ++i) REQUIRE(bench.manager->get_or_create({"t", i}));
  for (int i = 0; i < 2000; i += 20) bench.append({"t", i});
  CHECK(bench.shutdown());
  Instant before = bench.runtime.world().loop.now();
  bench.open();
  int64_t ms = (bench.runtime.world().loop.now() - before) / 1'000'000;
  WARN("2000 partitions opened in " << ms << " ms");
  CHECK(bench.manager->partition_count() == 2000);
  CHECK(bench.manager->find({"t", 40})->leo() == 1);
}

// --------------------------------------------------------------------------------------- interop

// OTTLA_PEERS_LIB names the folder of Apache Kafka's jars.
TEST_CASE("Apache's DumpLogSegments finds nothing wrong, after a clean end and after a kill") {
  const char* lib = std::getenv("OTTLA_PEERS_LIB");
  if (lib == nullptr) {
    WARN("skipped: OTTLA_PEERS_LIB is not set");
    return;
  }
  Bench bench;
  bench.config.segment_bytes = 30000;
  bench.config.index_interval_bytes = 1000;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  for (int i = 0; i < 300; ++i) {
    auto with = bench.producer(2 * i);
    with.codec = static_cast<compress::Codec>(i % 5);
    bench.append(2, now + i, with);
  }
  REQUIRE(bench.close());
  bench.reopen(true, 600);
  for (int i = 300; i < 400; ++i) bench.append(2, now + i, bench.producer(2 * i));
  auto dump = [&](bool deep) {
    std::string list;
    for (const std::string& name : bench.files())
      if (!name.ends_with("checkpoint") && !name.ends_with(".deleted"))
        list += (list.empty() ? "" : ",") + (bench.home.path / "t-0" / name).string();
    std::string out = bench.home.path / "dump.txt";
    std::string command =
        fmt::format("java -cp '{}/*' kafka.tools.DumpLogSegments {} --files {} > {} 2>&1", lib,
                    deep ? "--deep-iteration" : "--index-sanity-check", list, out);
    int status = std::system(command.c_str());
    std::ifstream file(out);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    CHECK(status == 0);
    for (const char* bad : {"Mismatches", "Non-consecutive", "Non-secutive", "isvalid: false",
                            "Found timestamp", "Index timestamp", "rror", "xception"}) {
      INFO(bad << " in:\n"
               << text.substr(text.find(bad) == std::string::npos
                                  ? 0
                                  : std::max<size_t>(text.find(bad), 300) - 300,
                              900));
      CHECK(text.find(bad) == std::string::npos);
    }
    return text;
  };
  std::string text = dump(true);
  CHECK(text.find("producerId: 77") != std::string::npos);
  CHECK(text.find("lastOffset: 799") != std::string::npos);
  dump(false);
  bench.log.reset();  // as a kill: nothing closed
  auto given = bench.options();
  given.recovery_point = 600;
  bench.log = std::move(*PartitionLog::open(bench.runtime.world(), given));
  dump(true);
  dump(false);
}

// OTTLA_FOREIGN_LOG_DIR: a log directory that another broker wrote (test/interop makes some with
// Apache's); every partition in it must open and be sound, and tell how many records it found.
TEST_CASE("a foreign log directory opens", "[.foreign]") {
  const char* dir = std::getenv("OTTLA_FOREIGN_LOG_DIR");
  REQUIRE(dir != nullptr);
  rt_asio::AsioRuntime runtime;
  auto meta = LogManager::read_meta(runtime.world().disk, {dir});
  REQUIRE(meta);
  REQUIRE(meta->size() == 1);
  LogManagerOptions options;
  options.log_dirs = {dir};
  options.cluster_id = *meta->front().cluster_id;
  options.broker_id = *meta->front().broker_id;
  options.config_for = [](const std::string& topic) {
    LogConfig config;
    config.cleanup_compact = topic.starts_with("__");
    return config;
  };
  auto manager = LogManager::open(runtime.world(), options);
  INFO((manager ? "" : manager.error().context));
  REQUIRE(manager);
  (*manager)->for_each([](PartitionLog& log) {
    auto sound = log.check_invariants();
    INFO(log.describe() << (sound ? "" : sound.error().context));
    CHECK(sound);
    if (log.leo() > 0)
      fmt::print("{} producers={} topic_id={}\n", log.describe(),
                 log.producers().producers().size(), log.topic_id());
  });
  if (std::getenv("OTTLA_FOREIGN_CLEAN") == nullptr) return;
  std::optional<bool> closed;
  (*manager)->shutdown([&](bool all) { closed = all; });
  CHECK(runtime.run_until([&] { return closed.has_value(); }, 5000));
  CHECK(closed == true);
}
