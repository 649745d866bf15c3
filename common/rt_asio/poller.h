// One edge-triggered epoll set for all sockets of a loop. Each descriptor is registered once, for
// both directions, and never touched again: Asio's reactor would spend a system call (a read that
// gives EAGAIN, or an epoll_ctl) on re-arming each read. The idle loop waits here too; another
// thread wakes it through an eventfd of the set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

struct epoll_event;

namespace ottla::rt_asio {

// What a descriptor belongs to: a connection, a listener, an attempt to connect.
class Source : public std::enable_shared_from_this<Source> {
 public:
  virtual ~Source() = default;
  // The descriptor became ready for these epoll events. Only notes it and asks the loop to be
  // served: no user code runs while a batch of events is scanned, so no source dies under the scan.
  virtual void on_events(uint32_t events) = 0;
  // Called once in the turn after Loop::serve_soon: does input and calls the user.
  virtual void serve() = 0;
  // Called once at the end of the turn after Loop::flush_soon: does output.
  virtual void flush() {}

  bool serve_wanted = false;  // in the loop's list already
  bool flush_wanted = false;
};

class Poller {
 public:
  static constexpr int kMaxEvents = 256;

  Poller();
  ~Poller();
  bool add(int descriptor, Source* source);
  void change(int descriptor, Source* source);
  void remove(int descriptor);
  // Waits no longer than this for something to become ready; 0 does not wait. Gives the number of
  // descriptors that did.
  int collect(int64_t wait_ns);
  void wake();  // any thread: a collect that waits, or else the next one, returns

 private:
  int wait_for(epoll_event* events, int64_t wait_ns);

  int fd_;
  int wake_fd_;
  bool precise_ = true;  // the system waits for less than a millisecond
};

}  // namespace ottla::rt_asio
