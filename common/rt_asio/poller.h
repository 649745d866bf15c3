// One edge-triggered epoll set for all sockets of a loop. Each descriptor is registered once, for
// both directions, and never touched again: Asio's reactor would spend a system call (a read that
// gives EAGAIN, or an epoll_ctl) on re-arming each read. Asio waits on the set itself when the loop
// is idle (loop.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

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
  int fd() const { return fd_; }
  bool add(int descriptor, Source* source);
  void change(int descriptor, Source* source);
  void remove(int descriptor);
  // Does not wait. Gives the number of descriptors that were ready.
  int collect();

 private:
  int fd_;
};

}  // namespace ottla::rt_asio
