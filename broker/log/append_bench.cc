// What one produced batch costs the log: checks, checksum, one write to the page cache.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "broker/log/partition_log.h"
#include "broker/record/batch_builder.h"
#include "common/base/prng.h"
#include "common/rt_asio/runtime.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

Buffer batch_of(int records, size_t value_bytes, compress::Codec codec) {
  BatchBuilder::Options options;
  options.codec = codec;
  BatchBuilder builder(options);
  std::string value(value_bytes, 'x');
  // A third of the bytes random: it compresses about as well as JSON does.
  Prng prng(1);
  for (int i = 0; i < records; ++i) {
    for (size_t at = 0; at < value.size(); at += 3) value[at] = static_cast<char>(prng.next());
    builder.append(1'700'000'000'000 + i, std::nullopt, as_bytes(value));
  }
  Buffer out;
  (void)builder.finish(out);
  return out;
}

struct BenchLog {
  BenchLog() {
    dir = std::filesystem::temp_directory_path() / "ottla-append-bench";
    std::filesystem::remove_all(dir);
    PartitionLog::Options options;
    options.dir = dir / "t-0";
    options.tp = {"t", 0};
    options.created_now = true;
    options.config.segment_bytes = 64 << 20;
    options.config.retention_bytes = 128 << 20;
    options.config.file_delete_delay_ms = 0;
    log = std::move(*PartitionLog::open(runtime.world(), std::move(options)));
  }
  ~BenchLog() {
    log.reset();
    std::filesystem::remove_all(dir);
  }
  std::filesystem::path dir;
  rt_asio::AsioRuntime runtime;
  std::unique_ptr<PartitionLog> log;
};

void append(benchmark::State& state, compress::Codec codec) {
  BenchLog bench;
  Buffer original = batch_of(static_cast<int>(state.range(0)), 1000, codec), batch(original.size());
  uint64_t bytes = 0;
  for (auto _ : state) {
    std::memcpy(batch.data(), original.data(), original.size());
    Appended out = bench.log->append_as_leader(batch.mutable_bytes(), 0);
    if (out.refusal != Refusal::none) state.SkipWithError(out.message.c_str());
    bytes += out.bytes;
    if (bytes % (256 << 20) < out.bytes) {
      bench.log->set_hw(bench.log->leo());
      bench.log->apply_retention(0);
      bench.runtime.run_until([] { return false; }, 1);
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
void append_plain(benchmark::State& state) { append(state, compress::Codec::none); }
void append_packed(benchmark::State& state) {
  append(state, static_cast<compress::Codec>(state.range(1)));
}
BENCHMARK(append_plain)->Arg(1)->Arg(16)->Arg(1000);
BENCHMARK(append_packed)->ArgNames({"records", "codec"})->ArgsProduct({{16, 1000}, {1, 2, 3, 4}});

void read_tail(benchmark::State& state) {
  BenchLog bench;
  for (int i = 0; i < 1000; ++i) {
    Buffer batch = batch_of(1, 1000, compress::Codec::none);
    (void)bench.log->append_as_leader(batch.mutable_bytes(), 0);
  }
  for (auto _ : state) {
    ReadResult read = bench.log->read(bench.log->leo() - 1, 1 << 20, bench.log->leo(), true);
    benchmark::DoNotOptimize(read.slice.length);
  }
}
BENCHMARK(read_tail);

void read_old(benchmark::State& state) {
  BenchLog bench;
  for (int i = 0; i < 50000; ++i) {
    Buffer batch = batch_of(1, 1000, compress::Codec::none);
    (void)bench.log->append_as_leader(batch.mutable_bytes(), 0);
  }
  int64_t at = 0;
  for (auto _ : state) {
    ReadResult read = bench.log->read(at = (at + 7919) % 49000, 1 << 20, bench.log->leo(), true);
    benchmark::DoNotOptimize(read.slice.length);
  }
}
BENCHMARK(read_old);

}  // namespace

BENCHMARK_MAIN();
