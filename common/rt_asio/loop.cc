#include "common/rt_asio/loop.h"

#include <time.h>

#include <utility>

namespace ottla::rt_asio {

namespace {
// Which loop's thread this is: posts from it need neither lock nor wake-up.
thread_local const AsioLoop* this_thread_loop = nullptr;

int64_t clock_ns(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return at.tv_sec * 1'000'000'000 + at.tv_nsec;
}
}  // namespace

AsioLoop::AsioLoop() = default;

AsioLoop::~AsioLoop() {
  if (this_thread_loop == this) this_thread_loop = nullptr;
}

Instant AsioLoop::now() const { return {clock_ns(CLOCK_MONOTONIC)}; }
int64_t AsioLoop::wall_ms() const { return clock_ns(CLOCK_REALTIME) / 1'000'000; }

std::unique_ptr<rt::Timer> AsioLoop::make_timer(Fn<void()> on_fire) {
  return timers_.make(std::move(on_fire));
}

void AsioLoop::post(Fn<void()> work) {
  if (this_thread_loop == this) {
    local_.push_back(std::move(work));
    return;
  }
  bool was_asleep;
  {
    std::lock_guard lock(mutex_);
    remote_.push_back(std::move(work));
    has_remote_.store(true, std::memory_order_relaxed);
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) poller_.wake();
}

void AsioLoop::stop() {
  bool was_asleep;
  {
    std::lock_guard lock(mutex_);
    stop_.store(true);
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) poller_.wake();
}

bool AsioLoop::take_stop() { return stop_.exchange(false); }

void AsioLoop::on_signal(const std::vector<int>& signals, Fn<void(int)> handler) {
  asio_.on_signal(signals, std::move(handler));
}

void AsioLoop::resolve(const std::string& host, uint16_t port,
                       Fn<void(Result<std::vector<Address>>)> done) {
  asio_.resolve(host, port, std::move(done));
}

void AsioLoop::serve_soon(Source* source) {
  if (std::exchange(source->serve_wanted, true)) return;
  to_serve_.push_back(source->shared_from_this());
}

void AsioLoop::flush_soon(Source* source) {
  if (std::exchange(source->flush_wanted, true)) return;
  to_flush_.push_back(source->shared_from_this());
}

void AsioLoop::turn(Instant deadline) {
  this_thread_loop = this;
  wait(deadline);
  timers_.fire(now());
  serve_inputs();
  run_posted();
  flush_outputs();
}

void AsioLoop::wait(Instant deadline) {
  int ready = 0;
  bool looked = has_work() || many_ready_;
  if (looked) ready = poller_.collect(0);
  if (ready == 0 && !has_work()) ready = sleep(deadline, looked);
  many_ready_ = ready >= 2;
}

// Gives the number of descriptors that became ready. `looked`: none was a moment ago.
int AsioLoop::sleep(Instant deadline, bool looked) {
  if (auto due = timers_.next(); due && *due < deadline) deadline = *due;
  int64_t left_ns = deadline - now();
  {
    std::lock_guard lock(mutex_);
    if (!remote_.empty() || stop_.load()) left_ns = 0;
    asleep_ = left_ns > 0;
  }
  if (left_ns <= 0) return looked ? 0 : poller_.collect(0);
  int ready = poller_.collect(left_ns);
  std::lock_guard lock(mutex_);
  asleep_ = false;
  return ready;
}

void AsioLoop::run_posted() {
  running_.swap(local_);
  if (has_remote_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    for (Fn<void()>& work : remote_) running_.push_back(std::move(work));
    remote_.clear();
    has_remote_.store(false, std::memory_order_relaxed);
  }
  for (Fn<void()>& work : running_) {
    Fn<void()> taken = std::move(work);
    taken();
  }
  running_.clear();
}

void AsioLoop::serve_inputs() {
  batch_.swap(to_serve_);
  for (std::shared_ptr<Source>& source : batch_) {
    source->serve_wanted = false;
    source->serve();
    source.reset();
  }
  batch_.clear();
}

void AsioLoop::flush_outputs() {
  batch_.swap(to_flush_);
  for (std::shared_ptr<Source>& source : batch_) {
    source->flush_wanted = false;
    source->flush();
    source.reset();
  }
  batch_.clear();
}

}  // namespace ottla::rt_asio
