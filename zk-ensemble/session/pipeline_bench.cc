// How fast the cores are without disk and network (in CPU time, so that a busy machine lies less):
// creates, reads, sets through the whole pipeline in batches of 100 frames, one thread; and what a
// node costs in memory. Arguments: [nodes = 200000]
#include <malloc.h>

#include <cstdlib>
#include <ctime>

#include "fmt/core.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/tree/test_requests.h"

using namespace ottla;
using namespace ottla::zk;

namespace {

constexpr int kBatch = 100;

struct Bench {
  CoreOptions options;
  DataTree tree{options};
  Pipeline pipeline{tree, options, 1, Instant{}};
  uint64_t bytes_out = 0;

  void pump() {
    Effects effects = pipeline.take_effects();
    for (const auto& send : effects.sends) bytes_out += send.bytes.size();
    if (!effects.entries.empty()) {
      pipeline.on_durable(effects.entries.back().zxid, {}, 1);
      effects = pipeline.take_effects();
      for (const auto& send : effects.sends) bytes_out += send.bytes.size();
    }
  }
  void connect() {
    pipeline.on_open(1, "127.0.0.1", {});
    wire::Writer out;
    out.i32(0);
    out.i64(0);
    out.i32(40000);
    out.i64(0);
    out.i32(-1);
    pipeline.on_frame(1, out.bytes(), {}, 1);
    pump();
  }
  template <class Body>
  void run(const char* what, OpCode type, int count, Body body) {
    std::vector<Buffer> frames;
    for (int i = 0; i < count; ++i) {
      wire::Writer out;
      out.i32(i);
      out.i32(static_cast<int32_t>(type));
      out.raw(body(i).bytes());
      frames.push_back(out.take());
    }
    size_t before = mallinfo2().uordblks;
    std::clock_t start = std::clock();
    for (int i = 0; i < count; ++i) {
      pipeline.on_frame(1, frames[static_cast<size_t>(i)].bytes(), {}, 1);
      if (i % kBatch == kBatch - 1) pump();
    }
    pump();
    double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    auto grown = static_cast<int64_t>(mallinfo2().uordblks - before);
    fmt::print("{:10} {:9.0f} a CPU second, heap {:+} bytes each\n", what, count / seconds,
               grown / count);
  }
};

}  // namespace

int main(int argc, char** argv) {
  int count = argc > 1 ? std::atoi(argv[1]) : 200000;
  Bench bench;
  bench.connect();
  auto path = [](int i) { return fmt::format("/bench/node-{:08}", i); };
  bench.run("parent", OpCode::create, 1, [&](int) { return testing::create_body("/bench"); });
  bench.run("create", OpCode::create, count,
            [&](int i) { return testing::create_body(path(i), std::string(100, 'x')); });
  bench.run("set", OpCode::set_data, count,
            [&](int i) { return testing::set_data_body(path(i), std::string(100, 'y')); });
  auto read = [&](int i) {
    wire::Writer out;
    put_string(out, path(static_cast<int>(static_cast<int64_t>(i) * 7919 % count)));
    out.boolean(false);
    return out.take();
  };
  bench.run("get", OpCode::get_data, count, read);
  bench.run("exists", OpCode::exists, count, read);
  fmt::print("{} nodes, digest 0x{:x}, {} bytes answered\n", bench.tree.node_count(),
             bench.tree.digest(), bench.bytes_out);
}
