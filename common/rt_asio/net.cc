#include "common/rt_asio/net.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "common/base/log.h"
#include "common/rt_asio/socket.h"

namespace ottla::rt_asio {

namespace {

constexpr log::Room kLog{"rt"};
constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr int64_t kAcceptPauseMs = 100;
constexpr int64_t kComplainEveryMs = 10'000;
// Descriptors that connections may not take: without one for the next log file a server would have
// to give up what it serves. An eighth of them all when there are few.
constexpr uint64_t kReservedDescriptors = 64;

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

void set_connection_options(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

std::optional<Address> literal(const std::string& host, uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.length = sizeof *v6;
    return address;
  }
  return std::nullopt;
}

Address any_address(int family, uint16_t port) {
  return *literal(family == AF_INET6 ? "::" : "0.0.0.0", port);
}

// The host of an address as it is written in URLs and in many settings: [::1].
rt::Endpoint without_brackets(rt::Endpoint at) {
  if (at.host.starts_with('[') && at.host.ends_with(']'))
    at.host = at.host.substr(1, at.host.size() - 2);
  return at;
}

// The addresses to listen on, best first. 0.0.0.0 is every address, as for Java: of IPv6 too.
Result<std::vector<Address>> listen_addresses(const rt::Endpoint& at) {
  if (at.host.empty() || at.host == "0.0.0.0")
    return std::vector<Address>{any_address(AF_INET6, at.port), any_address(AF_INET, at.port)};
  if (auto address = literal(at.host, at.port)) return std::vector<Address>{*address};
  return resolve_now(at);
}

// A listening descriptor, or -1 with errno.
int open_listening(const Address& address) {
  int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  set_connection_options(fd);  // accepted sockets inherit these on Linux
  if (address.storage.ss_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd, address.get(), address.length) == 0 && ::listen(fd, kBacklog) == 0) return fd;
  int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

// Descriptors are handed out lowest first: the number says how many are in use.
bool is_reserved(int fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  uint64_t reserved = std::min<uint64_t>(kReservedDescriptors, limit.rlim_cur / 8);
  return static_cast<uint64_t>(fd) + reserved >= limit.rlim_cur;
}

// --------------------------------------------------------------------------------------- listening

class Acceptor final : public Source {
 public:
  Acceptor(AsioLoop& loop, int fd, Fn<void(std::unique_ptr<rt::Connection>)> on_accept)
      : loop_(loop), fd_(fd), on_accept_(std::move(on_accept)) {}
  ~Acceptor() override { close(); }

  void close() {
    if (fd_ < 0) return;
    closed_ = true;
    pause_.reset();
    if (!accepting_) on_accept_ = nullptr;
    loop_.poller().remove(fd_);
    ::close(fd_);
    fd_ = -1;
  }

  // While accepting pauses, each new arrival must not begin it again.
  void on_events(uint32_t) override {
    if (!pause_) loop_.serve_soon(this);
  }

  void serve() override {
    for (int count = 0; count < kAcceptsPerTurn; ++count) {
      if (closed_) return;
      Address peer;
      peer.length = sizeof peer.storage;
      int fd = ::accept4(fd_, peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) pause(errno);
        return;
      }
      if (is_reserved(fd)) {
        ::close(fd);
        return pause(EMFILE);
      }
      auto socket = std::make_shared<Socket>(loop_, fd, peer);
      if (!loop_.poller().add(fd, socket.get())) continue;  // closes it
      accepting_ = true;
      on_accept_(std::make_unique<AsioConnection>(std::move(socket)));
      accepting_ = false;
      if (closed_) on_accept_ = nullptr;
    }
    loop_.serve_soon(this);
  }

  uint16_t port() const {
    Address address;
    address.length = sizeof address.storage;
    ::getsockname(fd_, address.get(), &address.length);
    return to_endpoint(address).port;
  }

 private:
  // Out of descriptors or memory: the backlog waits for some to come free.
  void pause(int error) {
    Instant now = loop_.now();
    if (now >= complain_at_) {
      complain_at_ = after_ms(now, kComplainEveryMs);
      log::warn(kLog, "cannot accept connections; raise the limit of open files if this stays",
                "port={} error=\"{}\" retry_ms={}", port(), std::strerror(error), kAcceptPauseMs);
    }
    pause_ = loop_.make_timer([this] {
      loop_.serve_soon(this);
      pause_.reset();
    });
    pause_->arm_at(after_ms(loop_.now(), kAcceptPauseMs));
  }

  AsioLoop& loop_;
  int fd_;
  Fn<void(std::unique_ptr<rt::Connection>)> on_accept_;
  bool accepting_ = false;
  bool closed_ = false;
  std::unique_ptr<rt::Timer> pause_;  // only while it runs
  Instant complain_at_;
};

class AsioListener final : public rt::Listener {
 public:
  explicit AsioListener(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
  ~AsioListener() override { acceptor_->close(); }
  uint16_t port() const override { return acceptor_->port(); }

 private:
  std::shared_ptr<Acceptor> acceptor_;
};

// -------------------------------------------------------------------------------------- connecting

class Connector final : public Source {
 public:
  Connector(AsioLoop& loop, rt::Endpoint to, Fn<void(Result<std::unique_ptr<rt::Connection>>)> done)
      : loop_(loop), to_(without_brackets(std::move(to))), done_(std::move(done)) {}
  ~Connector() override { close_socket(); }

  void start() {
    if (auto address = literal(to_.host, to_.port)) {
      addresses_ = {*address};
      try_next();
      return;
    }
    std::weak_ptr<Source> weak = weak_from_this();
    loop_.resolve(to_.host, to_.port, [weak](Result<std::vector<Address>> found) {
      auto self = std::static_pointer_cast<Connector>(weak.lock());
      if (self && self->done_) self->resolved(std::move(found));
    });
  }

  void abandon() {
    done_ = nullptr;
    close_socket();
  }

  void on_events(uint32_t) override { loop_.serve_soon(this); }

  void serve() override {
    if (!done_) return;
    if (fd_ < 0) return finish(std::unexpected(error_));
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      close_socket();
      note_failure(error);
      return try_next();
    }
    set_connection_options(fd_);
    auto socket = std::make_shared<Socket>(loop_, std::exchange(fd_, -1), addresses_[next_ - 1]);
    loop_.poller().change(socket->descriptor(), socket.get());
    finish(std::make_unique<AsioConnection>(std::move(socket)));
  }

 private:
  void resolved(Result<std::vector<Address>> found) {
    if (found && !found->empty()) {
      addresses_ = std::move(*found);
      return try_next();
    }
    error_ = found ? Error{Errc::not_found, "resolve " + to_.host + ": no address"} : found.error();
    loop_.serve_soon(this);
  }

  void try_next() {
    while (next_ < addresses_.size()) {
      const Address& address = addresses_[next_++];
      fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd_ < 0) {
        note_failure(errno);
        continue;
      }
      if (::connect(fd_, address.get(), address.length) == 0 || errno == EINPROGRESS) {
        // Registered after connect(): before it the descriptor would report a hang-up.
        if (loop_.poller().add(fd_, this)) return;
      }
      note_failure(errno);
      close_socket();
    }
    loop_.serve_soon(this);  // all failed
  }

  void note_failure(int error) {
    error_ = fail_errno(error, "connect to " + rt::to_string(to_)).error();
  }

  void finish(Result<std::unique_ptr<rt::Connection>> result) {
    auto done = std::exchange(done_, nullptr);
    done(std::move(result));
  }

  void close_socket() {
    if (fd_ < 0) return;
    loop_.poller().remove(fd_);
    ::close(fd_);
    fd_ = -1;
  }

  AsioLoop& loop_;
  rt::Endpoint to_;
  Fn<void(Result<std::unique_ptr<rt::Connection>>)> done_;
  std::vector<Address> addresses_;
  size_t next_ = 0;
  int fd_ = -1;
  Error error_{Errc::refused, {}};
};

class AsioAttempt final : public rt::Net::Attempt {
 public:
  explicit AsioAttempt(std::shared_ptr<Connector> connector) : connector_(std::move(connector)) {}
  ~AsioAttempt() override { connector_->abandon(); }

 private:
  std::shared_ptr<Connector> connector_;
};

}  // namespace

rt::Endpoint to_endpoint(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return {text, ntohs(v4->sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
      ::inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof text);
    else
      ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return {text, ntohs(v6->sin6_port)};
  }
  return {};
}

Result<std::vector<Address>> resolve_now(const rt::Endpoint& at) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
  if (error != 0) return fail(Errc::not_found, "resolve " + at.host + ": " + ::gai_strerror(error));
  std::vector<Address> addresses;
  size_t v4_count = 0;
  for (addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    Address address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
    size_t position = entry->ai_family == AF_INET ? v4_count++ : addresses.size();
    addresses.insert(addresses.begin() + static_cast<ptrdiff_t>(position), address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

Result<std::unique_ptr<rt::Listener>> AsioNet::listen(
    const rt::Endpoint& where, Fn<void(std::unique_ptr<rt::Connection>)> on_accept) {
  rt::Endpoint at = without_brackets(where);
  OTTLA_ASSIGN(std::vector<Address> addresses, listen_addresses(at));
  int fd = -1;
  for (const Address& address : addresses) {
    fd = open_listening(address);
    // The next address only where this family does not exist here (no IPv6): else two servers could
    // each get half of the machine's addresses.
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) break;
  }
  if (fd < 0) return fail_errno(errno, "listen on " + rt::to_string(at));
  auto acceptor = std::make_shared<Acceptor>(loop_, fd, std::move(on_accept));
  if (!loop_.poller().add(fd, acceptor.get())) return fail_errno(errno, "epoll");
  return std::make_unique<AsioListener>(std::move(acceptor));
}

std::unique_ptr<rt::Net::Attempt> AsioNet::connect(
    const rt::Endpoint& to, Fn<void(Result<std::unique_ptr<rt::Connection>>)> done) {
  auto connector = std::make_shared<Connector>(loop_, to, std::move(done));
  connector->start();
  return std::make_unique<AsioAttempt>(std::move(connector));
}

}  // namespace ottla::rt_asio
