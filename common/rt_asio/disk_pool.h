// Threads for what blocks: syncs and whatever Disk::run_blocking is given. Started when first used.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/fn.h"

namespace ottla::rt_asio {

class DiskPool {
 public:
  explicit DiskPool(size_t max_threads) : max_threads_(max_threads) {}
  ~DiskPool();  // waits for what runs; what is queued is dropped
  void run(Fn<void()> work);

 private:
  void work_on();

  const size_t max_threads_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wanted_;
  std::deque<Fn<void()>> queue_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace ottla::rt_asio
