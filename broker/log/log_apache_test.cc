// Against Apache's own tools and directories, where they are at hand.
#include <cstdlib>
#include <fstream>

#include "broker/log/test_bench.h"

using namespace ottla;
using namespace ottla::broker;

// OTTLA_PEERS_LIB names the folder of Apache Kafka's jars.
TEST_CASE("Apache's DumpLogSegments finds nothing wrong, after a clean end and after a kill") {
  const char* lib = std::getenv("OTTLA_PEERS_LIB");
  if (lib == nullptr) {
    WARN("skipped: OTTLA_PEERS_LIB is not set");
    return;
  }
  LogBench bench;
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
        list += (list.empty() ? "" : ",") + (bench.path() / name).string();
    std::string out = bench.path() / "dump.txt";
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
