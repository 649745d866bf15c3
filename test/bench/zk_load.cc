// zk_load: closed-loop load on any ZooKeeper server: C connections from one thread, each with Q requests
// outstanding. Frames are built by hand and answers looked at for their error alone, so that the
// client costs little beside the server it measures.
//
//   zk_load HOST:PORT --op create|set|get|mix --clients 4 --outstanding 100 --size 100 --seconds 5
//
// Prints one line: op=... ops_per_s=... p50_ms=... p99_ms=... errors=...
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "common/base/endian.h"
#include "common/wire/writer.h"

using namespace ottla;

namespace {

constexpr int kCreate = 1, kGet = 4, kSet = 5, kClose = -11;
constexpr int kKeys = 1000;  // nodes that set and get work on, per client

double now_s() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "zk_load: %s\n", what.c_str());
  std::exit(1);
}

struct Options {
  std::string host = "127.0.0.1";
  int port = 2181;
  std::string op = "create";
  int clients = 4, outstanding = 100, size = 100;
  double seconds = 5;
};

void text(wire::Writer& w, const std::string& s) {
  w.i32(static_cast<int32_t>(s.size()));
  w.raw(s);
}

void frame(Buffer& out, const wire::Writer& body) {
  wire::Writer size;
  size.i32(static_cast<int32_t>(body.size()));
  out.append(size.bytes());
  out.append(body.bytes());
}

struct Request {
  int op;
  double sent_at;
};

class Client {
 public:
  Client(const Options& options, int index)
      : options_(options), index_(index), payload_(static_cast<size_t>(options.size), 'x') {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(options.port));
    inet_pton(AF_INET, options.host.c_str(), &to.sin_addr);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("cannot connect");
    int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    wire::Writer hello;
    hello.i32(0);
    hello.i64(0);
    hello.i32(30000);
    hello.i64(0);
    hello.i32(16);
    hello.raw(std::string(16, '\0'));
    frame(out_, hello);
    flush();
    answers(1, [](int32_t, const Request&) {}, true);
    base_ = "/load-" + std::to_string(getpid());
  }
  ~Client() { ::close(fd_); }

  int fd() const { return fd_; }
  size_t outstanding() const { return waiting_.size(); }

  void request(int op, const std::string& path) {
    wire::Writer w;
    w.i32(++xid_);
    w.i32(op);
    if (op != kClose) text(w, path);
    if (op == kCreate) {
      text(w, payload_);
      w.i32(1);
      w.i32(31);
      text(w, "world");
      text(w, "anyone");
      w.i32(0);
    } else if (op == kSet) {
      text(w, payload_);
      w.i32(-1);
    } else if (op == kGet) {
      w.boolean(false);
    }
    frame(out_, w);
    waiting_.push_back({op, now_s()});
  }

  std::string key(uint64_t i) const {
    return base_ + "/k" + std::to_string(index_) + "-" + std::to_string(i % kKeys);
  }

  // The next request of the load.
  void next(uint64_t i) {
    if (options_.op == "create") {
      request(kCreate, base_ + "/c" + std::to_string(index_) + "-" + std::to_string(i));
    } else if (options_.op == "set") {
      request(kSet, key(i));
    } else if (options_.op == "get") {
      request(kGet, key(i));
    } else {  // mix: half reads, a third sets, the rest creates
      uint64_t kind = i % 6;
      if (kind < 3) request(kGet, key(i));
      else if (kind < 5) request(kSet, key(i));
      else request(kCreate, base_ + "/m" + std::to_string(index_) + "-" + std::to_string(i));
    }
  }

  void flush() {
    size_t at = 0;
    while (at < out_.size()) {
      ssize_t sent = ::send(fd_, out_.data() + at, out_.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) die("connection lost while sending");
      at += static_cast<size_t>(sent);
    }
    out_.clear();
  }

  // Reads what is there and hands over each whole answer; with `wait` until `count` were seen.
  template <class Answer>
  size_t answers(size_t count, Answer answer, bool wait, bool handshake = false) {
    size_t seen = 0;
    do {
      size_t had = in_.size();
      in_.resize_uninitialized(had + 65536);
      ssize_t got = ::recv(fd_, in_.data() + had, 65536, wait ? 0 : MSG_DONTWAIT);
      if (got == 0) die("the server closed the connection");
      in_.resize_uninitialized(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
      size_t at = 0;
      while (in_.size() - at >= 4) {
        uint32_t size = load_be<uint32_t>(in_.data() + at);
        if (in_.size() - at < 4 + size_t{size}) break;
        const uint8_t* body = in_.data() + at + 4;
        if (!waiting_.empty() && !handshake) {
          answer(load_be<int32_t>(body + 12), waiting_.front());
          waiting_.pop_front();
        }
        ++seen;
        at += 4 + size;
      }
      in_.consume(at);
    } while (wait && seen < count);
    return seen;
  }

  void drain() {
    flush();
    while (!waiting_.empty()) answers(1, [](int32_t, const Request&) {}, true);
  }
  const std::string& base() const { return base_; }

 private:
  const Options& options_;
  int index_;
  int fd_;
  int32_t xid_ = 0;
  std::string payload_, base_;
  Buffer out_, in_;
  std::deque<Request> waiting_;
};

Options parse(int argc, char** argv) {
  Options o;
  if (argc < 2) die("usage: zk_load HOST:PORT [--op create|set|get|mix] [--clients N] [--outstanding N] [--size N] [--seconds N]");
  std::string at = argv[1];
  o.host = at.substr(0, at.find(':'));
  if (o.host == "localhost") o.host = "127.0.0.1";
  o.port = std::atoi(at.substr(at.find(':') + 1).c_str());
  for (int i = 2; i + 1 < argc; i += 2) {
    std::string flag = argv[i];
    if (flag == "--op") o.op = argv[i + 1];
    else if (flag == "--clients") o.clients = std::atoi(argv[i + 1]);
    else if (flag == "--outstanding") o.outstanding = std::atoi(argv[i + 1]);
    else if (flag == "--size") o.size = std::atoi(argv[i + 1]);
    else if (flag == "--seconds") o.seconds = std::atof(argv[i + 1]);
    else die("unknown flag " + flag);
  }
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  std::deque<Client> clients;
  int poller = epoll_create1(0);
  for (int i = 0; i < options.clients; ++i) {
    Client& client = clients.emplace_back(options, i);
    if (i == 0) client.request(kCreate, client.base());
    client.drain();
    for (uint64_t k = 0; k < kKeys; ++k) client.request(kCreate, client.key(k));
    client.drain();
    epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<uint32_t>(i)}};
    epoll_ctl(poller, EPOLL_CTL_ADD, client.fd(), &event);
  }
  std::vector<uint64_t> sent(clients.size(), 0);
  std::vector<float> latencies_ms;
  latencies_ms.reserve(1 << 20);
  uint64_t done = 0, errors = 0;
  double began = now_s(), until = began + options.seconds;
  for (size_t i = 0; i < clients.size(); ++i) {
    for (int q = 0; q < options.outstanding; ++q) clients[i].next(sent[i]++);
    clients[i].flush();
  }
  double now = began;
  while (now < until) {
    epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, 100);
    now = now_s();
    for (int e = 0; e < ready; ++e) {
      size_t i = events[e].data.u32;
      size_t got = clients[i].answers(
          1,
          [&](int32_t error, const Request& request) {
            ++done;
            errors += error != 0;
            latencies_ms.push_back(static_cast<float>((now - request.sent_at) * 1e3));
          },
          false);
      for (size_t q = 0; q < got; ++q) clients[i].next(sent[i]++);
      clients[i].flush();
    }
  }
  double elapsed = now - began;
  for (Client& client : clients) {
    client.drain();
    client.request(kClose, "");
    client.flush();
  }
  std::sort(latencies_ms.begin(), latencies_ms.end());
  auto percentile = [&](double p) {
    return latencies_ms.empty() ? 0.0f : latencies_ms[static_cast<size_t>(p * static_cast<double>(latencies_ms.size() - 1))];
  };
  std::printf("op=%s ops_per_s=%.0f p50_ms=%.3f p99_ms=%.3f errors=%llu\n", options.op.c_str(),
              static_cast<double>(done) / elapsed, static_cast<double>(percentile(0.5)),
              static_cast<double>(percentile(0.99)), static_cast<unsigned long long>(errors));
  return errors == 0 ? 0 : 1;
}
