// For the tests of this room: one log, and a manager of two directories, on the real disk, where
// tests can damage files between two lives.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/log_manager.h"
#include "broker/log/names.h"
#include "broker/record/batch_builder.h"
#include "common/base/endian.h"
#include "common/rt_asio/runtime.h"
#include "test/support/temp_dir.h"

namespace ottla::broker {

struct LogBench {
  support::TempDir home;
  rt_asio::AsioRuntime runtime;
  LogConfig config;
  std::unique_ptr<PartitionLog> log;

  std::filesystem::path path() const { return std::filesystem::path(home.path()) / "t-0"; }
  PartitionLog::Options options() {
    PartitionLog::Options options;
    options.dir = path();
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
    return runtime.run_until([&] { return closed.has_value(); }, 10000) && *closed;
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
  bool until(Fn<bool()> done) { return runtime.run_until(std::move(done), 10000); }

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
    for (const auto& entry : std::filesystem::directory_iterator(path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  int32_t epoch = 0;
};

struct ManagerBench {
  support::TempDir home;
  rt_asio::AsioRuntime runtime;
  std::unique_ptr<LogManager> manager;
  std::filesystem::path path() const { return home.path(); }
  LogManagerOptions options() {
    LogManagerOptions given;
    given.log_dirs = {path() / "a", path() / "b"};
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

}  // namespace ottla::broker
