// The manager of all directories: which partitions there are, and what is remembered of them.
#include <fstream>

#include "broker/log/checkpoint.h"
#include "broker/log/test_bench.h"
#include "test/support/passing_disk.h"

using namespace ottla;
using namespace ottla::broker;

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
    CHECK(std::filesystem::exists(bench.path() / "a" / ".kafka_cleanshutdown") == clean);
    bench.open();
    CHECK(bench.manager->partition_count() == 6);
    CHECK(bench.manager->find({"t", 3})->leo() == 1);
    CHECK(bench.manager->find({"t", 3})->hw() == 1);
    CHECK(bench.manager->find({"t", 3})->topic_id() == "AAAAAAAAAAAAAAAAAAAAAQ");
  }
  REQUIRE(bench.manager->remove({"t", 2}));
  CHECK(bench.manager->find({"t", 2}) == nullptr);
  CHECK_FALSE(std::filesystem::exists(bench.path() / "a" / "t-2"));
  bench.manager->checkpoint_high_watermarks();
  CHECK(bench.runtime.run_until(
      [&] {
        return std::filesystem::exists(bench.path() / "b" / kHighWatermarkFile) &&
               std::distance(std::filesystem::directory_iterator(bench.path() / "a"), {}) < 12;
      },
      10000));
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
    bool soon = interval_ms == 20;
    CHECK(bench.runtime.run_until([&] { return !known(); }, soon ? 10000 : 200) == soon);
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
          std::ifstream file(bench.path() / "a" / kLogStartOffsetFile);
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
    std::ifstream file(bench.path() / "a" / kRecoveryPointFile);
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
    CHECK(bench.runtime.run_until([&] { return log->durable_offset() == offset; }, 10000));
    bench.manager->checkpoint_recovery_points();
  };
  flushed_to(10);
  CHECK(bench.runtime.run_until([&] { return in_place() == 10; }, 10000));
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
  CHECK(bench.runtime.run_until([&] { return in_place() == 8; }, 10000));
  // A start that finds less than was called durable says so as well.
  std::string file = bench.path() / "a" / "t-0" / "00000000000000000003.log";
  bench.manager.reset();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  bench.open();
  CHECK(bench.manager->find(tp)->leo() == 5);
  CHECK(in_place() == 5);
}

TEST_CASE("a checkpoint that was overtaken on its way does not come into the next one's file") {
  ManagerBench bench;
  test::HeldDisk disk(bench.runtime.world());
  auto opened = LogManager::open(disk.world(), bench.options());
  REQUIRE(opened);
  bench.manager = std::move(*opened);
  TopicPartition tp{"t", 0};
  REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
  PartitionLog* log = bench.manager->find(tp);
  auto flushed_to = [&](int64_t offset) {
    while (log->leo() < offset) bench.append(tp);
    log->flush();
    REQUIRE(bench.runtime.run_until([&] { return log->durable_offset() == offset; }, 10000));
  };
  flushed_to(10);
  disk.holding = true;
  bench.manager->checkpoint_recovery_points();
  std::vector<test::HeldDisk::Job> first = std::exchange(disk.held, {});
  REQUIRE(log->truncate_to(5));  // writes the checkpoint itself
  disk.holding = false;
  flushed_to(7);
  disk.holding = true;
  bench.manager->checkpoint_recovery_points();
  // The pool's threads take the two in any order, and at once.
  auto run = [](std::vector<test::HeldDisk::Job> jobs) {
    for (auto& job : jobs) job.work();
    for (auto& job : jobs) job.done();
  };
  std::vector<test::HeldDisk::Job> second = std::exchange(disk.held, {});
  for (auto& job : first) second.push_back(std::move(job));
  run(std::move(second));
  auto in_place = [&]() -> int64_t {
    std::ifstream file(bench.path() / "a" / kRecoveryPointFile);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    auto offsets = decode_checkpoint(text);
    return offsets && offsets->contains(tp) ? offsets->at(tp) : -1;
  };
  CHECK(in_place() == 5);
  run(std::exchange(disk.held, {}));
  CHECK(in_place() == 7);
}

TEST_CASE("what is deleted goes one file or directory at a time") {
  ManagerBench bench;
  test::HeldDisk disk(bench.runtime.world());
  auto opened = LogManager::open(disk.world(), bench.options());
  REQUIRE(opened);
  bench.manager = std::move(*opened);
  auto directories = [&] {
    std::ptrdiff_t count = 0;
    for (const char* name : {"a", "b"})
      for (const auto& entry : std::filesystem::directory_iterator(bench.path() / name))
        count += entry.is_directory();
    return count;
  };
  for (int i = 0; i < 4; ++i) REQUIRE(bench.manager->get_or_create({"t", i}));
  (void)bench.runtime.run_until([] { return false; }, 50);
  disk.holding = true;
  for (int i = 0; i < 4; ++i) REQUIRE(bench.manager->remove({"t", i}));
  (void)bench.runtime.run_until([] { return false; }, 50);
  // The checkpoints of both directories are on their way as well; each job is run by itself.
  for (std::ptrdiff_t left = 4; left > 0;) {
    REQUIRE(directories() == left);
    std::vector<test::HeldDisk::Job> jobs = std::exchange(disk.held, {});
    REQUIRE_FALSE(jobs.empty());
    for (auto& job : jobs) job.work();
    REQUIRE(directories() >= left - 1);
    left = directories();
    for (auto& job : jobs) job.done();
  }
}

TEST_CASE("a torn partition.metadata is no topic id") {
  ManagerBench bench;
  TopicPartition tp{"t", 0};
  bench.open();
  REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
  auto file = bench.path() / "a" / "t-0" / kPartitionMetadataFile;
  REQUIRE(bench.runtime.run_until([&] { return std::filesystem::exists(file); }, 10000));
  bench.open();
  CHECK(bench.manager->find(tp)->topic_id() == "AAAAAAAAAAAAAAAAAAAAAQ");
  for (const char* text : {"version: 0\ntopic_id: AAAAAAAAAA",
                           "version: 0\ntopic_id: AAAA\x01\x02"
                           "AAAAAAAAAAAAAAAAAAAA",
                           "", "version: 0\nto"}) {
    std::ofstream(file) << text;
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

TEST_CASE("a topic's name may begin with a dot") {
  ManagerBench bench;
  TopicPartition tp{".t", 0};
  bench.open();
  REQUIRE(bench.manager->get_or_create(tp, "AAAAAAAAAAAAAAAAAAAAAQ"));
  for (int i = 0; i < 10; ++i) bench.append(tp);
  CHECK(bench.manager->find(tp)->delete_records(5) == Refusal::none);
  std::filesystem::create_directory(bench.path() / "a" / ".hidden");
  std::filesystem::create_directory(bench.path() / "a" / ".t-1.0-delete");
  CHECK(bench.shutdown());
  for (bool clean : {true, false}) {
    INFO((clean ? "after a clean end" : "after a kill"));
    bench.open();
    REQUIRE(bench.manager->find(tp));
    CHECK(bench.manager->find(tp)->leo() == 10);
    CHECK(bench.manager->find(tp)->log_start_offset() == 5);
  }
  CHECK(std::filesystem::exists(bench.path() / "a" / ".hidden"));
  CHECK(bench.runtime.run_until(
      [&] { return !std::filesystem::exists(bench.path() / "a" / ".t-1.0-delete"); }, 10000));
}

TEST_CASE("a directory whose checkpoint cannot be read is offline, not without offsets") {
  ManagerBench bench;
  bench.open();
  CHECK(bench.shutdown());
  std::filesystem::path file = bench.path() / "b" / kLogStartOffsetFile;
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  bench.open();
  CHECK(bench.manager->dir_state(bench.path() / "a") == LogManager::DirState::online);
  CHECK(bench.manager->dir_state(bench.path() / "b") == LogManager::DirState::offline);
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
