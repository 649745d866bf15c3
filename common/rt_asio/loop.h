// The loop: one io_context on one thread, turned by hand. A turn is: wait, note what is ready, run
// what was posted, fire timers, serve inputs, flush outputs. Everything that one turn sends on a
// connection leaves in one system call.
//
// Asio gives the idle wait, the wake-up from other threads, signals and name resolution; readiness
// of sockets comes from Poller and timers from TimerHeap, which spend no system call on re-arming.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "common/rt/world.h"
#include "common/rt_asio/poller.h"
#include "common/rt_asio/timers.h"

namespace ottla::rt_asio {

// A numeric socket address.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

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
  struct Asio;

  bool has_work() const { return !to_serve_.empty() || !to_flush_.empty() || !local_.empty(); }
  void wait(Instant deadline);
  void sleep(Instant deadline);
  void wake();
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
  uint32_t turns_ = 0;

  std::mutex mutex_;
  std::vector<Fn<void()>> remote_;  // guarded by mutex_: posted by other threads
  bool asleep_ = false;             // guarded by mutex_: a post must wake the loop
  std::atomic<bool> has_remote_{false};
  std::atomic<bool> stop_{false};

  std::unique_ptr<Asio> asio_;
};

}  // namespace ottla::rt_asio
