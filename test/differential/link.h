// Link: one client connection to one server, in raw frames. Sockets do not block; pump() moves what
// can be moved on many links at once and waits when nothing can. One thread, real sockets,
// loopback.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::differential {

class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { close(); }

  // Connects, waiting for it; false when refused.
  bool open(int port);
  void close();
  bool is_open() const { return fd_ >= 0; }
  // The peer has closed (or reset) the connection; frames read before it are kept.
  bool ended() const { return ended_; }

  void send_frame(std::string_view payload);  // with its length
  void send_raw(std::string_view bytes);

  // Whole frames that have arrived, without their lengths. The caller takes them from the front.
  std::deque<std::string> frames;

 private:
  friend bool pump(const std::vector<Link*>& links, int wait_ms);
  void read_some();
  void write_some();

  int fd_ = -1;
  bool ended_ = false;
  std::string in_, out_;
  size_t in_at_ = 0, out_at_ = 0;
};

// One round of input and output; false when nothing was ready within wait_ms.
bool pump(const std::vector<Link*>& links, int wait_ms);

// A four-letter word's whole answer; empty when there was none.
std::string ask_word(int port, std::string_view word);

}  // namespace ottla::differential
