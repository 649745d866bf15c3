// A numeric socket address.
#pragma once

#include <sys/socket.h>

namespace ottla::rt_asio {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

}  // namespace ottla::rt_asio
