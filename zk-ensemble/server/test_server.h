// A whole server on real sockets, a disk that can be frozen or full, and a client of its wire, for
// tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/rt_asio/runtime.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "test/support/passing_disk.h"
#include "zk-ensemble/server/server.h"

namespace ottla::zk::testing {

constexpr int64_t kPatienceMs = 60'000;

// Passes everything on, but syncs wait while it is frozen (those that block while they are held),
// and while it is full no file grows.
class FreezingDisk final : public test::PassingDisk {
 public:
  using PassingDisk::PassingDisk;
  void freeze() { frozen_ = true; }
  void thaw() {
    frozen_ = false;
    for (auto& sync : std::exchange(waiting_, {})) sync();
  }
  void set_full(bool full) { full_ = full; }
  void hold(bool held) {
    held_ = held;
    held_.notify_all();
  }
  bool holds_one() const { return waits_; }

  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override {
    OTTLA_ASSIGN(auto file, inner_.open(path, mode));
    return std::make_shared<FreezingFile>(*this, std::move(file));
  }

 private:
  class FreezingFile final : public test::PassingFile {
   public:
    FreezingFile(FreezingDisk& disk, std::shared_ptr<rt::File> real)
        : PassingFile(std::move(real)), disk_(disk) {}
    Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
      if (disk_.full_ && offset >= size()) return fail(Errc::no_space, "no room");
      return inner_->write_at(offset, pieces);
    }
    void sync(Fn<void(Result<void>)> done) override {
      if (!disk_.frozen_) return inner_->sync(std::move(done));
      disk_.waiting_.push_back(
          [real = inner_, done = std::move(done)]() mutable { real->sync(std::move(done)); });
    }
    Result<void> sync_now() override {
      disk_.waits_ = disk_.held_.load();
      disk_.held_.wait(true);
      return inner_->sync_now();
    }

   private:
    FreezingDisk& disk_;
  };

  bool frozen_ = false;
  bool full_ = false;
  std::atomic<bool> held_ = false, waits_ = false;
  std::vector<Fn<void()>> waiting_;
};

struct Fixture {
  rt_asio::AsioRuntime runtime;
  rt::World real = runtime.world();
  FreezingDisk disk{real.disk};
  rt::World world{real.loop, real.net, disk, real.entropy};
  std::string root;
  ServerConfig config;
  std::unique_ptr<Server> server;

  explicit Fixture(ServerConfig with = {}) : config(std::move(with)) {
    char name[] = "/tmp/zk_server_test.XXXXXX";
    root = ::mkdtemp(name);
    config.data_dir = root;
    config.client_port = 0;
    config.client_port_address = "127.0.0.1";
    config.pre_alloc_size_kb = 64;
    if (config.min_session_timeout_ms < 0) config.min_session_timeout_ms = 2 * config.tick_time_ms;
    if (config.max_session_timeout_ms < 0) config.max_session_timeout_ms = 20 * config.tick_time_ms;
    server = std::make_unique<Server>(world, config);
    REQUIRE(server->start());
  }
  ~Fixture() {
    server.reset();
    std::filesystem::remove_all(root);
  }
  // As after a crash: nothing is waited for.
  void restart() {
    server.reset();
    server = std::make_unique<Server>(world, config);
    REQUIRE(server->start());
  }
  // Runs `client`, which may block, off the loop while that turns.
  void run(Fn<void()> client) {
    bool done = false;
    real.disk.run_blocking(std::move(client), [&] { done = true; });
    CHECK(runtime.run_until([&] { return done; }, kPatienceMs));
  }
};

inline void wait_ms(int ms) { (void)::poll(nullptr, 0, ms); }

// A client whose calls block; requests may be sent ahead of their answers.
class Client {
 public:
  Client(uint16_t port, int32_t timeout_ms) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ok = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    wire::Writer out;
    out.i32(0);
    out.i64(0);
    out.i32(timeout_ms);
    out.i64(0);
    out.i32(16);
    out.raw(std::string(16, '\0'));
    send_frame(out);
    (void)receive();
  }
  ~Client() { ::close(fd_); }

  void auth(int32_t xid, const std::string& scheme, const std::string& data) {
    wire::Writer out;
    out.i32(xid);
    out.i32(static_cast<int32_t>(OpCode::auth));
    out.i32(0);
    for (const std::string& text : {scheme, data}) {
      out.i32(static_cast<int32_t>(text.size()));
      out.raw(text);
    }
    send_frame(out);
  }
  int32_t error() const { return load_be<int32_t>(frame_.data() + 12); }
  void send(int32_t xid, OpCode type, const std::string& path, std::string_view rest) {
    wire::Writer out;
    out.i32(xid);
    out.i32(static_cast<int32_t>(type));
    if (!path.empty()) {
      out.i32(static_cast<int32_t>(path.size()));
      out.raw(path);
    }
    out.raw(rest);
    send_frame(out);
  }
  void create(int32_t xid, const std::string& path) {
    static const std::string_view kRest(
        "\0\0\0\0\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone\0\0\0\0", 35);
    send(xid, OpCode::create, path, kRest);
  }
  // The size of the next frame; 0 when none comes.
  size_t receive() {
    uint8_t head[4];
    if (!fill(head, sizeof head)) return 0;
    size_t length = load_be<uint32_t>(head);
    frame_.resize(length);
    return fill(frame_.data(), length) ? length : 0;
  }
  int32_t xid() const { return load_be<int32_t>(frame_.data()); }
  bool ok = false;

 private:
  bool fill(uint8_t* into, size_t size) {
    for (size_t at = 0; at < size;) {
      ssize_t got = ::recv(fd_, into + at, size - at, 0);
      if (got <= 0) return ok = false;
      at += static_cast<size_t>(got);
    }
    return true;
  }
  void send_frame(const wire::Writer& body) {
    wire::Writer out;
    out.i32(static_cast<int32_t>(body.size()));
    out.raw(body.bytes());
    if (::send(fd_, out.bytes().data(), out.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(out.size()))
      ok = false;
  }

  int fd_;
  std::vector<uint8_t> frame_;
};

}  // namespace ottla::zk::testing
