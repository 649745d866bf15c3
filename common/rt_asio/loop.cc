#include "common/rt_asio/loop.h"

#include <time.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <optional>

namespace ottla::rt_asio {

namespace asio = boost::asio;

namespace {
// Which loop's thread this is: posts from it need neither lock nor wake-up.
thread_local const AsioLoop* this_thread_loop = nullptr;

int64_t clock_ns(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return at.tv_sec * 1'000'000'000 + at.tv_nsec;
}
}  // namespace

struct AsioLoop::Asio {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::posix::stream_descriptor sockets{context};  // the poller's epoll set
  asio::ip::tcp::resolver resolver{context};
  bool sockets_awaited = false;
  std::optional<asio::signal_set> signals;
  Fn<void(int)> signal_handler;

  void await_sockets() {
    if (sockets_awaited) return;
    sockets_awaited = true;
    sockets.async_wait(asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code&) { sockets_awaited = false; });
  }
  void await_signal() {
    signals->async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      signal_handler(number);
      await_signal();
    });
  }
};

AsioLoop::AsioLoop() : asio_(std::make_unique<Asio>()) { asio_->sockets.assign(poller_.fd()); }

AsioLoop::~AsioLoop() {
  asio_->sockets.release();  // the poller closes it
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
  if (was_asleep) wake();
}

void AsioLoop::wake() {
  asio::post(asio_->context, [] {});
}

void AsioLoop::stop() {
  bool was_asleep;
  {
    std::lock_guard lock(mutex_);
    stop_.store(true);
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) wake();
}

bool AsioLoop::take_stop() { return stop_.exchange(false); }

void AsioLoop::on_signal(const std::vector<int>& signals, Fn<void(int)> handler) {
  OTTLA_CHECK(!asio_->signals);
  asio_->signals.emplace(asio_->context);
  asio_->signal_handler = std::move(handler);
  for (int number : signals) asio_->signals->add(number);
  asio_->await_signal();
}

void AsioLoop::resolve(const std::string& host, uint16_t port,
                       Fn<void(Result<std::vector<Address>>)> done) {
  asio_->resolver.async_resolve(
      host, std::to_string(port),
      [host, done = std::move(done)](const boost::system::error_code& error,
                                     const asio::ip::tcp::resolver::results_type& found) mutable {
        if (error) return done(fail(Errc::not_found, "resolve " + host + ": " + error.message()));
        std::vector<Address> addresses;
        for (const auto& entry : found) {
          Address address;
          address.length = static_cast<socklen_t>(entry.endpoint().size());
          std::memcpy(&address.storage, entry.endpoint().data(), address.length);
          addresses.push_back(address);
        }
        done(std::move(addresses));
      });
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
  run_posted();
  timers_.fire(now());
  serve_inputs();
  flush_outputs();
}

void AsioLoop::wait(Instant deadline) {
  // A busy loop must not forget signals and resolved names; an idle one meets them in sleep().
  constexpr uint32_t kAsioEvery = 64;
  if (++turns_ % kAsioEvery == 0) asio_->context.poll();
  int ready = 0;
  if (has_work() || many_ready_ || turns_ % kAsioEvery == 0) ready = poller_.collect();
  if (ready == 0 && !has_work()) {
    sleep(deadline);
    ready = poller_.collect();
  }
  many_ready_ = ready >= 2;
}

void AsioLoop::sleep(Instant deadline) {
  if (auto due = timers_.next(); due && *due < deadline) deadline = *due;
  int64_t left_ns = deadline - now();
  if (left_ns <= 0) return;
  {
    std::lock_guard lock(mutex_);
    if (!remote_.empty() || stop_.load()) return;
    asleep_ = true;
  }
  asio_->await_sockets();
  constexpr int64_t kForever = 3600'000'000'000;
  // Asio waits in whole milliseconds: late by less than one.
  if (left_ns >= kForever)
    asio_->context.run_one();
  else
    asio_->context.run_one_for(std::chrono::nanoseconds(left_ns));
  std::lock_guard lock(mutex_);
  asleep_ = false;
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
