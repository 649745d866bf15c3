// The loop of one thread, turned by hand. A turn is: wait, note what is ready, fire timers, serve
// inputs, run what was posted (by them too), flush outputs. Everything that one turn sends on a
// connection leaves in one system call: a request and its reply cost recv, sendmsg, epoll_wait.
//
// Readiness of sockets and the wake-up from other threads come from Poller, and timers from
// TimerHeap; none spends a system call on re-arming. Asio gives signals and name resolution.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "common/rt/world.h"
#include "common/rt_asio/address.h"
#include "common/rt_asio/asio_thread.h"
#include "common/rt_asio/poller.h"
#include "common/rt_asio/timers.h"

namespace ottla::rt_asio {

class AsioLoop final : public rt::Loop {
 public:
  AsioLoop();
  ~AsioLoop() override;

  Instant now() const override;
  int64_t wall_ms() const override;
  void post(Fn<void()> work) override;
  std::unique_ptr<rt::Timer> make_timer(Fn<void()> on_fire) override;

  // One turn, waiting no longer than until `deadline` if nothing is to be done.
  void turn(Instant deadline);
  void stop();       // any thread
  bool take_stop();  // whether stop() was called since the last call

  void on_signal(const std::vector<int>& signals, Fn<void(int)> handler);
  // Calls `done` on the loop. Cannot be given up; let `done` hold a weak_ptr.
  void resolve(const std::string& host, uint16_t port, Fn<void(Result<std::vector<Address>>)> done);

  Poller& poller() { return poller_; }
  void serve_soon(Source* source);
  void flush_soon(Source* source);

 private:
  bool has_work() const { return !to_serve_.empty() || !to_flush_.empty() || !local_.empty(); }
  void wait(Instant deadline);
  int sleep(Instant deadline, bool looked);
  void run_posted();
  void serve_inputs();
  void flush_outputs();

  Poller poller_;
  TimerHeap timers_;
  std::vector<std::shared_ptr<Source>> to_serve_;
  std::vector<std::shared_ptr<Source>> to_flush_;
  std::vector<std::shared_ptr<Source>> batch_;  // the list being walked; kept for its memory
  std::vector<Fn<void()>> local_;               // posted by the loop's own thread
  std::vector<Fn<void()>> running_;
  bool many_ready_ = false;  // the last collect found several: look again before going to sleep

  std::mutex mutex_;
  std::vector<Fn<void()>> remote_;  // guarded by mutex_: posted by other threads
  bool asleep_ = false;             // guarded by mutex_: a post must wake the loop
  std::atomic<bool> has_remote_{false};
  std::atomic<bool> stop_{false};

  AsioThread asio_{*this};  // destroyed first: nothing is posted any more
};

}  // namespace ottla::rt_asio
