#include "test/interop/differential_kafka/link.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "common/base/endian.h"

namespace ottla::differential {

bool Link::open() {
  if (fd_ >= 0 && !closed_) return false;
  close();
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "nobody listens at 127.0.0.1:%d: a server has ended\n", port_);
    std::exit(3);
  }
  int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return true;
}

void Link::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  closed_ = false;
  in_.clear();
}

void Link::send_raw(Bytes bytes) {
  while (!bytes.empty() && !closed_) {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      if (sent < 0 && errno == EINTR) continue;
      closed_ = true;
      return;
    }
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

void Link::send_frame(Bytes frame) {
  Buffer whole(size_t{4});
  store_be(whole.data(), static_cast<int32_t>(frame.size()));
  whole.append(frame);
  send_raw(whole);
}

void Link::read_available() {
  while (fd_ >= 0 && !closed_) {
    uint8_t chunk[65536];
    ssize_t got = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got > 0) {
      in_.append(Bytes(chunk, static_cast<size_t>(got)));
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    closed_ = true;
  }
}

std::optional<Buffer> Link::take_frame() {
  if (in_.size() < 4) return std::nullopt;
  auto size = static_cast<size_t>(load_be<uint32_t>(in_.data()));
  if (in_.size() < 4 + size) return std::nullopt;
  Buffer frame(in_.bytes().subspan(4, size));
  in_.consume(4 + size);
  return frame;
}

void wait_readable(Link* const* links, size_t count, int timeout_ms) {
  pollfd set[16];
  nfds_t n = 0;
  for (size_t i = 0; i < count && n < 16; ++i)
    if (links[i]->fd() >= 0 && !links[i]->closed()) set[n++] = {links[i]->fd(), POLLIN, 0};
  ::poll(set, n, timeout_ms);
}

}  // namespace ottla::differential
