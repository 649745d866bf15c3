// What a start finds: after clean ends, kills, torn and missing files, truncations.
#include <fstream>

#include "broker/log/test_bench.h"
#include "common/base/crc32c.h"
#include "common/rt_sim/simulator.h"
#include "common/wire/writer.h"

using namespace ottla;
using namespace ottla::broker;

TEST_CASE("segments roll by size, and a clean or unclean start finds the same log") {
  for (bool clean : {true, false}) {
    LogBench bench;
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
  LogBench bench;
  bench.config.segment_bytes = 4000;
  bench.config.index_interval_bytes = 300;
  bench.create();
  REQUIRE(bench.close());
  std::string first = std::string(20, '0');
  CHECK(bench.files() ==
        std::vector<std::string>{first + ".index", first + ".log", first + ".timeindex"});
  bench.reopen(true);
  for (int i = 0; i < 200; ++i) bench.append(2, 5000 + 10 * i);
  REQUIRE(bench.close());
  auto all = bench.files();
  std::map<std::string, std::uintmax_t> sizes;
  for (const std::string& name : all)
    if (name.ends_with("index")) {
      sizes[name] = std::filesystem::file_size(bench.path() / name);
      std::filesystem::remove(bench.path() / name);
    }
  bench.reopen(true, 400);
  CHECK(bench.log->leo() == 400);
  REQUIRE(bench.close());
  CHECK(bench.files() == all);
  for (const auto& [name, size] : sizes)
    CHECK(std::filesystem::file_size(bench.path() / name) == size);
}

TEST_CASE("clean ends do not pile up snapshots of producers") {
  LogBench bench;
  bench.create();
  for (int ends = 0; ends < 4; ++ends) {
    bench.append(1);
    REQUIRE(bench.close());
    bench.reopen(true, bench.log->leo());
  }
  std::vector<std::string> snapshots = bench.files();
  std::erase_if(snapshots, [](const std::string& name) { return !name.ends_with(".snapshot"); });
  CHECK(snapshots == std::vector<std::string>{file_name(4, kSnapshotSuffix)});
}

TEST_CASE("an epoch file of before a truncation does not hide the batches' epochs") {
  LogBench bench;
  bench.create();
  bench.epoch = 1;
  bench.append(5);
  bench.epoch = 2;
  bench.append(5);
  bench.log->begin_epoch(3);
  bench.reopen(false, 0);
  CHECK(bench.log->latest_epoch() == 3);
  std::ofstream(bench.path() / "leader-epoch-checkpoint") << "0\n3\n1 0\n2 8\n3 9\n";
  bench.reopen(false, 0);
  CHECK(bench.log->epochs().entries() == std::vector<EpochEntry>{{1, 0}, {2, 5}});
}

TEST_CASE("of a torn epoch file and a torn batch, the batch tells no epochs") {
  LogBench bench;
  bench.create();
  bench.epoch = 1;
  bench.append(5);
  std::string path = bench.path() / "00000000000000000000.log";
  auto size = std::filesystem::file_size(path);
  bench.epoch = 4;
  bench.append(5);
  bench.log.reset();
  std::FILE* file = std::fopen(path.c_str(), "r+");
  std::fseek(file, static_cast<long>(size), SEEK_SET);
  for (int i = 0; i < 8; ++i) std::fputc(0, file);  // its base offset: 0
  std::fseek(file, -7, SEEK_END);
  std::fputs("damage", file);
  std::fclose(file);
  std::ofstream(bench.path() / "leader-epoch-checkpoint") << "";
  bench.reopen(false, 5);
  CHECK(bench.log->leo() == 5);
  CHECK(bench.log->epochs().entries() == std::vector<EpochEntry>{{1, 0}});
}

TEST_CASE("a torn tail is cut and the rest stays") {
  LogBench bench;
  bench.config.index_interval_bytes = 300;
  bench.create();
  for (int i = 0; i < 50; ++i) bench.append(1);
  std::string path = bench.path() / "00000000000000000000.log";
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

TEST_CASE("a batch that its producer's state refuses may end a segment") {
  LogBench bench;
  bench.create();
  bench.append(1, 1000, bench.producer(0));
  int64_t late = 1000 + bench.config.segment_ms + 1;
  CHECK(bench.append(1, late, bench.producer(7)).refusal == Refusal::out_of_order_sequence_number);
  CHECK(bench.log->leo() == 1);
  bench.append(1, 1001);
  CHECK(std::filesystem::exists(bench.path() / "00000000000000000001.log"));
  bench.sound();
}

TEST_CASE("idempotent producers: duplicates, gaps, epochs, and memory across restarts") {
  for (int restart = 0; restart < 3; ++restart) {
    LogBench bench;
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

TEST_CASE("a producer snapshot of any size is read, one that cannot be ours passed over") {
  LogBench bench;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  bench.append(2, now, bench.producer(0));
  REQUIRE(bench.close());
  auto file = bench.path() / "00000000000000000002.snapshot";
  REQUIRE(std::filesystem::exists(file));
  bool ours = GENERATE(true, false);
  if (ours) {
    // As many entries as 1.5 million producers leave, here of one of them.
    constexpr int32_t kEntries = 1'500'000;
    wire::Writer writer;
    writer.i16(1);
    writer.u32(0);
    writer.i32(kEntries);
    for (int32_t i = 0; i < kEntries; ++i) {
      writer.i64(78);
      writer.i16(0);
      writer.i32(i);
      writer.i64(1);
      writer.i32(0);
      writer.i64(now);
      writer.i32(-1);
      writer.i64(-1);
    }
    writer.patch_u32(2, crc32c(writer.bytes().subspan(6)));
    REQUIRE(writer.bytes().size() > 64 << 20);
    std::ofstream(file) << as_text(writer.bytes());
  } else {
    std::filesystem::resize_file(file, uint64_t{1} << 36);
  }
  bench.reopen(true);
  CHECK(bench.log->leo() == 2);
  REQUIRE(bench.log->producers().producers().size() == 1);
  CHECK(bench.log->producers().producers().begin()->first == (ours ? 78 : 77));
}

TEST_CASE("an idle log holds no file open but one with writes that no sync covered") {
  LogBench bench;
  bench.config.segment_bytes = 4000;
  bench.config.index_interval_bytes = 300;
  auto open_files = [&] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      auto target = std::filesystem::read_symlink(entry, gone);
      if (target.parent_path() == bench.path()) names.push_back(target.filename());
    }
    return names;
  };
  using Names = std::vector<std::string>;
  bench.create();
  bench.log->begin_epoch(1);
  CHECK(open_files() == Names{});
  bench.append(2, 5000);
  CHECK(open_files() == Names{"00000000000000000000.log"});
  bench.reopen(false);
  bench.log->release_files();
  CHECK(open_files() == Names{"00000000000000000000.log"});  // it was cut, maybe, and written again
  bench.log->flush();
  REQUIRE(bench.until([&] { return bench.log->durable_offset() == 2; }));
  bench.log->release_files();
  CHECK(open_files() == Names{});

  for (int i = 0; i < 100; ++i) {
    bench.append(2, 5010 + 10 * i);
    bench.log->release_files();
  }
  CHECK(bench.log->stats().segments > 3);
  bench.sound();
  REQUIRE(bench.close());
  bench.reopen(true);
  bench.log->release_files();
  CHECK(open_files() == Names{});
  CHECK(bench.log->offset_for_timestamp(5500).value()->offset == 100);
  CHECK(bench.first_offset_at(50) == 50);
  CHECK_FALSE(open_files().empty());
  bench.log->give_up();
  CHECK(open_files() == Names{});
}

TEST_CASE("truncation takes indexes, producers and epochs along") {
  LogBench bench;
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

TEST_CASE("a log that begins above all that a power failure left goes on without a gap") {
  for (bool clean : {false, true}) {
    LogBench bench;
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

TEST_CASE("partition.metadata takes its name whole") {
  LogBench bench;
  bench.create();
  bench.log->set_topic_id("AAAAAAAAAAAAAAAAAAAAAQ");
  auto file = bench.path() / kPartitionMetadataFile;
  CHECK_FALSE(std::filesystem::exists(file));
  REQUIRE(bench.until([&] { return std::filesystem::exists(file); }));
  CHECK(std::filesystem::file_size(file) == 43);
  CHECK_FALSE(std::filesystem::exists(file.string() + ".tmp"));
  // A clean end waits for it, ends once, and is not begun again by another.
  bench.log->set_topic_id("AAAAAAAAAAAAAAAAAAAAAg");
  int ends = 0;
  bench.log->close([&](const Result<void>& result) { ends += result ? 1 : 100; });
  bench.log->set_topic_id("AAAAAAAAAAAAAAAAAAAAAw");
  REQUIRE(bench.until([&] { return ends > 0; }));
  bench.runtime.run_until([] { return false; }, 50);
  CHECK(ends == 1);
  bench.reopen(true);
  CHECK(bench.log->topic_id() == "AAAAAAAAAAAAAAAAAAAAAg");
}

TEST_CASE("with flush.messages a start makes durable what it shows") {
  for (int64_t flush_messages : {int64_t{1}, INT64_MAX}) {
    LogBench bench;
    bench.config.flush_messages = flush_messages;
    bench.create();
    for (int i = 0; i < 5; ++i) bench.append(2, 1000);
    bench.reopen(false, 4);
    CHECK(bench.log->leo() == 10);
    CHECK(bench.log->durable_offset() == 4);
    CHECK(bench.log->shown_offset() == (flush_messages == 1 ? 10 : 4));
    REQUIRE(bench.log->truncate_to(6));
    CHECK(bench.log->shown_offset() == (flush_messages == 1 ? 6 : 4));
  }
}

TEST_CASE("what a cleaner left half done is ended, or undone") {
  LogBench bench;
  bench.config.segment_bytes = 2000;
  bench.create();
  for (int i = 0; i < 40; ++i) bench.append(2, 1000 + i);
  REQUIRE(bench.close());
  auto logs = [&] {
    std::vector<std::string> names;
    for (const std::string& name : bench.files())
      if (name.ends_with(kLogSuffix)) names.push_back(name);
    return names;
  };
  auto content = [&](const std::string& name) {
    std::ifstream file(bench.path() / name, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(bench.path() / name, std::ios::binary) << bytes;
  };
  auto leftovers = [&] {
    std::vector<std::string> names;
    for (const std::string& name : bench.files())
      if (name.find(".swap") != std::string::npos || name.find(".cleaned") != std::string::npos)
        names.push_back(name);
    return names;
  };
  std::vector<std::string> before = logs();
  REQUIRE(before.size() > 4);
  // Two segments were written anew as one, which was whole: it takes their place.
  write(before[0] + ".swap", content(before[0]) + content(before[1]));
  write(before[3] + ".cleaned", "unfinished");
  bench.reopen(false);
  CHECK(bench.log->leo() == 80);
  std::vector<std::string> after = before;
  after.erase(after.begin() + 1);
  CHECK(logs() == after);
  CHECK(leftovers().empty());
  for (int64_t offset = 0; offset < 80; offset += 2) CHECK(bench.first_offset_at(offset) == offset);
  // One that was to be cut in several pieces, some of which were not finished: all of it goes.
  REQUIRE(bench.close());
  write(before[0] + ".swap", "a piece");
  write(before[2] + ".swap", "a piece");
  write(before[0] + ".cleaned", "a piece");
  bench.reopen(false);
  CHECK(logs() == after);
  CHECK(leftovers().empty());
  CHECK(bench.log->leo() == 80);
}

// As a log that was compacted once, and is not any more.
TEST_CASE("gaps below the recovery point are no damage, whatever the topic's policy is") {
  LogBench bench;
  bench.config.segment_bytes = 1000;
  bench.create();
  for (int64_t offset = 0; offset < 120; offset += 3) {
    BatchBuilder builder({.base_offset = offset, .leader_epoch = 0});
    std::string value(100, 'v');
    builder.append(1000, as_bytes("k"), as_bytes(value));
    REQUIRE(bench.log->append_as_follower(builder.finish()).refusal == Refusal::none);
  }
  REQUIRE(bench.log->stats().segments > 3);
  bench.log->flush();
  REQUIRE(bench.until([&] { return bench.log->durable_offset() == 118; }));
  auto whole = [&] {
    CHECK(bench.log->leo() == 118);
    for (int64_t offset = 0; offset < 118; ++offset)
      REQUIRE(bench.first_offset_at(offset) == (offset + 2) / 3 * 3);
  };
  SECTION("the recovery point is the end") {
    bench.reopen(false, 118);
    whole();
  }
  SECTION("above it a gap is a batch that was lost") {
    bench.reopen(false, 0);
    CHECK(bench.log->leo() == 1);
  }
  SECTION("index files of a sealed segment are missing at a clean start") {
    REQUIRE(bench.close());
    std::filesystem::remove(bench.path() / "00000000000000000000.index");
    bench.reopen(true, 118);
    whole();
  }
}

TEST_CASE("the index of aborted transactions follows the log through cuts and crashes") {
  LogBench bench;
  bench.create();
  int64_t now = bench.runtime.world().loop.wall_ms();
  auto abort = [&](int32_t sequence) {
    auto with = bench.producer(sequence);
    with.transactional = true;
    bench.append(3, now, with);
    Buffer marker = build_end_txn_marker(now, 77, 0, ControlType::abort, 1);
    REQUIRE(bench.log->append_as_leader(marker.mutable_bytes(), 0, Origin::coordinator).refusal ==
            Refusal::none);
    bench.log->set_hw(bench.log->leo());
  };
  auto aborted = [&] {
    std::vector<int64_t> markers;
    auto txns = bench.log->aborted_transactions(0, bench.log->leo());
    REQUIRE(txns);
    for (const AbortedTxn& txn : *txns) markers.push_back(txn.last_offset);
    return markers;
  };
  using Markers = std::vector<int64_t>;
  abort(0);
  abort(3);
  CHECK(aborted() == Markers{3, 7});
  auto index = bench.path() / "00000000000000000000.txnindex";
  SECTION("what is cut is out of it") {
    REQUIRE(bench.log->truncate_to(7));
    CHECK(aborted() == Markers{3});
    REQUIRE(bench.log->truncate_to(0));
    CHECK(aborted().empty());
    CHECK(std::filesystem::file_size(index) == 0);
  }
  SECTION("a torn marker is out of it") {
    auto log = bench.path() / "00000000000000000000.log";
    std::filesystem::resize_file(log, std::filesystem::file_size(log) - 7);
    bench.reopen(false);
    CHECK(bench.log->leo() == 7);
    CHECK(aborted() == Markers{3});
  }
  SECTION("what was not written is made anew from the log") {
    std::filesystem::remove(index);
    bench.reopen(false);
    CHECK(aborted() == Markers{3, 7});
  }
  SECTION("what is torn is made anew from the log") {
    std::filesystem::resize_file(index, 50);
    std::filesystem::resize_file(index, 300);
    bench.reopen(false);
    CHECK(aborted() == Markers{3, 7});
    CHECK(std::filesystem::file_size(index) == 2 * 34);
  }
  SECTION("no end of nothing behind it is read") {
    std::filesystem::resize_file(index, uint64_t{1} << 36);
    CHECK(aborted() == Markers{3, 7});
    bench.reopen(false);
    CHECK(aborted() == Markers{3, 7});
    CHECK(std::filesystem::file_size(index) == 2 * 34);
  }
  abort(6);
  bench.sound();
}

TEST_CASE("aborted transactions below the recovery point survive a power failure") {
  sim::Options options;
  options.disk.sector_lost = 1;
  options.disk.name_kept = 0;
  sim::Simulator sim(1, options);
  sim.add_node("b");
  PartitionLog::Options given{.dir = "/t-0", .tp = {"t", 0}, .created_now = true};
  auto log = PartitionLog::open(sim.world("b"), given);
  REQUIRE(log);
  BatchBuilder builder(BatchBuilder::Options{
      .producer_id = 77, .producer_epoch = 0, .base_sequence = 0, .transactional = true});
  builder.append(1, as_bytes("k"), as_bytes("v"));
  Buffer data = builder.finish();
  Buffer marker = build_end_txn_marker(1, 77, 0, ControlType::abort, 1);
  REQUIRE((*log)->append_as_leader(data.mutable_bytes(), 0).refusal == Refusal::none);
  REQUIRE((*log)->append_as_leader(marker.mutable_bytes(), 0, Origin::coordinator).refusal ==
          Refusal::none);
  REQUIRE((*log)->roll());
  BatchBuilder more;
  more.append(1, as_bytes("k"), as_bytes("v"));
  data = more.finish();
  REQUIRE((*log)->append_as_leader(data.mutable_bytes(), 0).refusal == Refusal::none);
  REQUIRE((*log)->roll());
  REQUIRE(sim.run_until([&] { return (*log)->durable_offset() == 3; }, 1'000'000'000));
  // A start that has the producers of offset 2 looks at nothing below.
  rt::Disk& disk = sim.world("b").disk;
  auto snapshot = disk.open("/t-0/" + file_name(2, kSnapshotSuffix), rt::OpenMode::read);
  REQUIRE(snapshot);
  REQUIRE((*snapshot)->sync_now());
  sim.crash("b");
  log->reset();
  sim.restart("b");
  given.created_now = false;
  given.recovery_point = given.high_watermark = 3;
  log = PartitionLog::open(sim.world("b"), given);
  REQUIRE(log);
  REQUIRE((*log)->leo() == 3);
  auto txns = (*log)->aborted_transactions(0, 3);
  REQUIRE(txns);
  CHECK(*txns == std::vector<AbortedTxn>{{77, 0, 1, 2}});
}
