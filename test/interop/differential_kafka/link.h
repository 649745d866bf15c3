// One TCP connection to one server: whole frames out, whole frames in, and what became of it.
// Blocking only inside wait(); nothing here knows what the bytes mean.
#pragma once

#include <optional>
#include <string>

#include "common/base/bytes.h"

namespace ottla::differential {

class Link {
 public:
  explicit Link(int port) : port_(port) {}
  ~Link() { close(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Connects when it is not connected, and says whether it did; ends the program when nobody
  // listens.
  bool open();
  void close();
  bool closed() const { return closed_; }  // by the other side

  void send_raw(Bytes bytes);
  void send_frame(Bytes frame);  // with its length before it
  // The next whole frame (without its length), if one is here now.
  std::optional<Buffer> take_frame();
  // Reads what is there without waiting.
  void read_available();
  int fd() const { return fd_; }

 private:
  int port_;
  int fd_ = -1;
  bool closed_ = false;
  Buffer in_;
};

// Waits until one of the links has something to read, or is closed.
void wait_readable(Link* const* links, size_t count, int timeout_ms);

}  // namespace ottla::differential
