// The real world: one loop on one thread, with sockets, timers and files of this machine. Named
// only by mains and tests. Includes no Asio, so that a main compiles quickly.
//
// Thread: the one that calls run(). Only stop() and Loop::post may be called from others.
#pragma once

#include <memory>
#include <vector>

#include "common/rt/world.h"

namespace ottla::rt_asio {

class AsioRuntime {
 public:
  AsioRuntime();
  // Every object made through world() must be gone before; files may live on, but sync no more.
  ~AsioRuntime();
  AsioRuntime(const AsioRuntime&) = delete;
  AsioRuntime& operator=(const AsioRuntime&) = delete;

  rt::World world();

  // Turns the loop until stop(). What is posted after that waits for the next run().
  void run();
  void stop();
  // For tests and short tools: turns the loop until `done` or the timeout; true when `done`.
  bool run_until(Fn<bool()> done, int64_t timeout_ms);

  // Calls `handler` on the loop for each of these signals, for as long as the runtime lives. Once.
  // One that the process was started to ignore (nohup) stays ignored.
  void on_signal(std::vector<int> signals, Fn<void(int)> handler);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ottla::rt_asio
