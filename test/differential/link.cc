// Sockets of the differential runs: connect, frames in and out, and four-letter words.
#include "test/differential/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/endian.h"

namespace ottla::differential {

namespace {

int connect_to(int port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    ::close(fd);
    return -1;
  }
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

}  // namespace

bool Link::open(int port) {
  close();
  fd_ = connect_to(port);
  if (fd_ < 0) return false;
  ::fcntl(fd_, F_SETFL, O_NONBLOCK);
  ended_ = false;
  return true;
}

void Link::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_.clear();
  out_.clear();
  in_at_ = out_at_ = 0;
  frames.clear();
}

void Link::send_frame(std::string_view payload) {
  uint8_t size[4];
  store_be(size, static_cast<int32_t>(payload.size()));
  out_.append(reinterpret_cast<const char*>(size), 4);
  out_.append(payload);
}

void Link::send_raw(std::string_view bytes) { out_.append(bytes); }

void Link::read_some() {
  char chunk[65536];
  for (;;) {
    ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
    if (got > 0) {
      in_.append(chunk, static_cast<size_t>(got));
      if (got < static_cast<ssize_t>(sizeof chunk)) break;
      continue;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) ended_ = true;
    break;
  }
  while (in_.size() - in_at_ >= 4) {
    auto size = load_be<uint32_t>(reinterpret_cast<const uint8_t*>(in_.data() + in_at_));
    if (in_.size() - in_at_ - 4 < size) break;
    frames.push_back(in_.substr(in_at_ + 4, size));
    in_at_ += 4 + size;
  }
  if (in_at_ == in_.size()) {
    in_.clear();
    in_at_ = 0;
  }
}

void Link::write_some() {
  while (out_at_ < out_.size()) {
    ssize_t sent = ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL);
    if (sent < 0) {
      // A reset shows at the next read; what was to be sent is moot.
      if (errno != EAGAIN && errno != EINTR) out_at_ = out_.size();
      break;
    }
    out_at_ += static_cast<size_t>(sent);
  }
  if (out_at_ == out_.size()) {
    out_.clear();
    out_at_ = 0;
  }
}

bool pump(const std::vector<Link*>& links, int wait_ms) {
  std::vector<pollfd> fds;
  std::vector<Link*> polled;
  for (Link* link : links) {
    if (!link->is_open() || link->ended_) continue;
    if (!link->out_.empty()) link->write_some();
    fds.push_back(
        {link->fd_, static_cast<short>(link->out_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    polled.push_back(link);
  }
  if (fds.empty() || ::poll(fds.data(), fds.size(), wait_ms) <= 0) return false;
  for (size_t i = 0; i < fds.size(); ++i) {
    if (fds[i].revents & POLLOUT) polled[i]->write_some();
    if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) polled[i]->read_some();
  }
  return true;
}

std::string ask_word(int port, std::string_view word) {
  int fd = connect_to(port);
  if (fd < 0) return {};
  std::string answer;
  if (::send(fd, word.data(), word.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(word.size())) {
    char chunk[65536];
    for (;;) {
      pollfd ready{fd, POLLIN, 0};
      if (::poll(&ready, 1, 10'000) <= 0) break;
      ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
      if (got <= 0) break;
      answer.append(chunk, static_cast<size_t>(got));
    }
  }
  ::close(fd);
  return answer;
}

}  // namespace ottla::differential
