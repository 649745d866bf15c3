// The server on real sockets, where time and the disk are made to misbehave. Everything else of it is
// tested in test/sim and test/interop.
#include "zk-ensemble/server/server.h"

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

using namespace ottla;
using namespace ottla::zk;

namespace {

constexpr int64_t kPatienceMs = 60'000;

// Passes everything on, but syncs wait while it is frozen (those that block while they are held), and while
// it is full no file grows.
class FreezingDisk final : public rt::Disk {
 public:
  explicit FreezingDisk(rt::Disk& real) : real_(real) {}
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
    OTTLA_ASSIGN(auto file, real_.open(path, mode));
    return std::make_shared<FreezingFile>(*this, std::move(file));
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return real_.rename(from, to);
  }
  Result<void> remove(const std::string& path) override { return real_.remove(path); }
  Result<void> remove_tree(const std::string& path) override { return real_.remove_tree(path); }
  Result<void> make_dirs(const std::string& path) override { return real_.make_dirs(path); }
  Result<void> sync_dir(const std::string& path) override { return real_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
  Result<rt::FileInfo> stat(const std::string& path) override { return real_.stat(path); }
  Result<std::unique_ptr<rt::DirLock>> lock(const std::string& path) override { return real_.lock(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return real_.free_bytes(path); }
  void run_blocking(Fn<void()> work, Fn<void()> done) override {
    real_.run_blocking(std::move(work), std::move(done));
  }

 private:
  class FreezingFile final : public rt::File {
   public:
    FreezingFile(FreezingDisk& disk, std::shared_ptr<rt::File> real) : disk_(disk), real_(std::move(real)) {}
    const std::string& path() const override { return real_->path(); }
    uint64_t size() const override { return real_->size(); }
    Result<size_t> read_at(uint64_t offset, MutBytes into) override { return real_->read_at(offset, into); }
    Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
      if (disk_.full_ && offset >= size()) return fail(Errc::no_space, "no room");
      return real_->write_at(offset, pieces);
    }
    void sync(Fn<void(Result<void>)> done) override {
      if (!disk_.frozen_) return real_->sync(std::move(done));
      disk_.waiting_.push_back([real = real_, done = std::move(done)]() mutable { real->sync(std::move(done)); });
    }
    Result<void> sync_now() override {
      disk_.waits_ = disk_.held_.load();
      disk_.held_.wait(true);
      return real_->sync_now();
    }
    Result<void> truncate(uint64_t size) override { return real_->truncate(size); }
    Result<void> allocate(uint64_t size) override { return real_->allocate(size); }

   private:
    FreezingDisk& disk_;
    std::shared_ptr<rt::File> real_;
  };

  rt::Disk& real_;
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

void wait_ms(int ms) { (void)::poll(nullptr, 0, ms); }

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
    if (::send(fd_, out.bytes().data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size())) ok = false;
  }

  int fd_;
  std::vector<uint8_t> frame_;
};

}  // namespace

namespace {

// Counts frames, and how many had come when the turn of the loop ended in which the first did.
struct CountingHost final : ClientPort::Host {
  explicit CountingHost(rt::Loop& on) : loop(on) {}
  void on_client_open(ConnId, const std::string&) override {}
  void on_client_frame(ConnId, Bytes, int64_t) override {
    if (++frames == 1) loop.post([this] { in_first_turn = frames; });
  }
  void on_client_closed(ConnId) override {}
  std::string on_word(ConnId, std::string_view, Bytes) override { return {}; }
  bool accepts_frames(ConnId) override { return true; }
  bool accepts_length(size_t) override { return true; }
  void on_frames_done() override {}
  std::vector<ConnId> without_session() const override { return {}; }
  rt::Loop& loop;
  int frames = 0, in_first_turn = 0;
};

}  // namespace

TEST_CASE("who asks for much at once leaves the others their part of each turn") {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  CountingHost host(world.loop);
  ClientPort port(world, {.listen_at = {"127.0.0.1", 0}}, host);
  REQUIRE(port.start());
  std::unique_ptr<rt::Connection> connection;
  auto attempt = world.net.connect({"127.0.0.1", port.port()}, [&](auto result) {
    REQUIRE(result);
    connection = std::move(*result);
    wire::Writer frames;
    for (int i = 0; i < 300; ++i) {
      frames.i32(1);
      frames.i8(0);
    }
    connection->send(frames.take());
  });
  REQUIRE(runtime.run_until([&] { return host.frames == 300; }, kPatienceMs));
  CHECK(host.in_first_turn > 0);
  CHECK(host.in_first_turn <= 64);
  port.close_all();
}

TEST_CASE("over globalOutstandingLimit who waits for answers does not hold back who does not") {
  ServerConfig config;
  config.global_outstanding_limit = 0;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client busy(port, 30000), other(port, 30000);
    CHECK((busy.ok && other.ok));
    f.real.loop.post([&] { f.disk.freeze(); });
    busy.create(1, "/a");
    busy.create(2, "/b");  // waits in its socket's buffer: one is in process
    wait_ms(50);
    other.send(1, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(other.receive() > 0);
    CHECK(other.xid() == 1);
    f.real.loop.post([&] { f.disk.thaw(); });
    for (int32_t xid : {1, 2}) {
      CHECK(busy.receive() > 0);
      CHECK(busy.xid() == xid);
    }
  });
}

TEST_CASE("a client that asks for much at once, and reads it, is served and not dropped") {
  Fixture f;
  uint16_t port = f.server->client_port();
  constexpr int32_t kChildren = 30'000;
  constexpr int32_t kAsks = 63;  // fewer than are handed over at once
  f.run([&] {
    Client client(port, 30000);
    client.create(1, "/d");
    CHECK(client.receive() > 0);
    std::string name(170, 'n');
    for (int32_t i = 0; i < kChildren; ++i) {
      client.create(i, "/d/" + name + std::to_string(i));
      if (i >= 500) (void)client.receive();
    }
    for (int32_t i = 0; i < 500; ++i) (void)client.receive();
    CHECK(client.ok);
    for (int32_t i = 0; i < kAsks; ++i)
      client.send(i, OpCode::get_children, "/d", std::string_view("\0", 1));
    uint64_t total = 0;
    for (int32_t i = 0; i < kAsks; ++i) total += client.receive();
    CHECK(client.ok);
    CHECK(total > uint64_t{300} << 20);  // more than may pile up
  });
}

TEST_CASE(
    "reads behind a write are answered together, but no more of them than a client takes in") {
  Fixture f;
  uint16_t port = f.server->client_port();
  constexpr int32_t kAsks = 300;
  f.run([&] {
    Client client(port, 30000);
    client.create(1, "/w");
    CHECK(client.receive() > 0);
    client.create(2, "/big");
    CHECK(client.receive() > 0);
    wire::Writer data;
    data.i32(1'000'000);
    data.raw(std::string(1'000'000, 'd'));
    data.i32(-1);
    f.real.loop.post([&] { f.disk.freeze(); });
    client.send(3, OpCode::set_data, "/big", as_text(data.bytes()));  // the reads see it
    client.send(4, OpCode::set_data, "/w", std::string_view("\0\0\0\0\xff\xff\xff\xff", 8));
    for (int32_t i = 0; i < kAsks; ++i)
      client.send(5 + i, OpCode::get_data, "/big", std::string_view("\0", 1));
    wait_ms(50);
    f.real.loop.post([&] { f.disk.thaw(); });
    uint64_t total = 0;
    for (int32_t xid = 3; xid < 5 + kAsks && client.ok; ++xid) {
      total += client.receive();
      CHECK(client.xid() == xid);
    }
    CHECK(client.ok);
    CHECK(total > uint64_t{kAsks} * 1'000'000);  // more than may pile up
  });
}

TEST_CASE("a server that stood still hears its sessions before it expires them") {
  ServerConfig config;
  config.tick_time_ms = 100;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client client(port, 200);
    f.real.loop.post([] { wait_ms(900); });
    wait_ms(50);
    client.send(7, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(client.receive() > 0);
    CHECK(client.xid() == 7);
    client.send(8, OpCode::exists, "/", std::string_view("\0", 1));
    CHECK(client.receive() > 0);
  });
  // Who says nothing dies as ever.
  f.run([&] {
    Client client(port, 200);
    CHECK(client.ok);
    CHECK(client.receive() == 0);
  });
}

namespace {
// One HTTP request; everything that comes back.
std::string http(uint16_t port, const std::string& request) {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval patience{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string received;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char chunk[65536];
    for (ssize_t got; (got = ::recv(fd, chunk, sizeof chunk, 0)) > 0;) received.append(chunk, static_cast<size_t>(got));
  }
  ::close(fd);
  return received;
}
std::string get(uint16_t port, const std::string& target, const std::string& headers = "") {
  return http(port, "GET " + target + " HTTP/1.0\r\n" + headers + "\r\n");
}
std::string body_of(const std::string& reply) {
  size_t at = reply.find("\r\n\r\n");
  return at == std::string::npos ? "" : reply.substr(at + 4);
}
constexpr const char* kSuper = "Authorization: digest super:test\r\n";
ServerConfig with_admin() {
  ServerConfig config;
  config.admin_enabled = true;
  config.admin_address = "127.0.0.1";
  config.admin_port = 0;
  config.super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
  return config;
}
}  // namespace

TEST_CASE("the admin server: pages byte for byte as Apache's, its refusals, and no server without it") {
  Fixture f(with_admin());
  uint16_t port = f.server->admin_port();
  f.run([&] {
    CHECK(body_of(get(port, "/commands/ruok")) == "{\n  \"command\" : \"ruok\",\n  \"error\" : null\n}");
    CHECK(body_of(get(port, "/commands/lead")) ==
          "{\n  \"error\" : \"server is not initialized\",\n  \"command\" : \"leader\"\n}");
    CHECK(body_of(get(port, "/commands/ruok/")) ==
          "{\n  \"command\" : \"ruok/\",\n  \"error\" : \"Unknown command: ruok/\"\n}");
    CHECK(body_of(get(port, "/commands/stmk?traceMask=7")) ==
          "{\n  \"tracemask\" : 7,\n  \"command\" : \"set_trace_mask\",\n  \"error\" : null\n}");
    CHECK(get(port, "/commands/gtmk").find("\"tracemask\" : 7") != std::string::npos);
    CHECK(get(port, "/commands").find("<a href=\"/commands/zabstate\">zabstate</a>\n<br/>") != std::string::npos);
    CHECK(get(port, "/other").starts_with("HTTP/1.1 404"));
    CHECK(get(port, "/commands/cons").find("\"connections\" : [ ]") != std::string::npos);
    Client client(f.server->client_port(), 30000);
    CHECK(get(port, "/commands/cons").find("\"connections\" : [ {\n    \"remote_socket_address\" : \"127.0.0.1:") !=
          std::string::npos);
    CHECK(get(port, "/commands/snapshot").starts_with("HTTP/1.1 401"));
    CHECK(body_of(get(port, "/commands/snap")).find("Auth info is missing for the command") != std::string::npos);
    CHECK(get(port, "/commands/snapshot", "Authorization: sasl x\r\n").find("Not authenticated") != std::string::npos);
    CHECK(http(port, "POST /commands/ruok HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 405"));
    // Closed to everybody but super.
    client.send(1, OpCode::set_acl, "/", std::string_view("\0\0\0\1\0\0\0\1\0\0\0\5world\0\0\0\6anyone\xff\xff\xff\xff", 31));
    CHECK(client.receive() > 0);
    CHECK(client.error() == 0);
    CHECK(get(port, "/commands/snapshot", "Authorization: digest a:b\r\n").starts_with("HTTP/1.1 200"));  // READ is one of ALL
    CHECK(get(port, "/commands/snapshot", kSuper).starts_with("HTTP/1.1 429"));
  });
  ServerConfig taken = with_admin();
  taken.admin_port = port;
  Fixture second(taken);  // serves on without it
  CHECK(second.server->admin_port() == 0);
  CHECK(second.server->client_port() != 0);
}

TEST_CASE("a page that names very many watches takes no longer than it is") {
  Fixture f(with_admin());
  f.run([&] {
    Client client(f.server->client_port(), 30000);
    constexpr int kFrames = 4, kPaths = 30'000;
    for (int frame = 0; frame < kFrames; ++frame) {
      wire::Writer lists;
      lists.i64(0);
      lists.i32(0);
      lists.i32(kPaths);  // of nodes that are not there
      for (int i = 0; i < kPaths; ++i) {
        std::string path = "/missing/" + std::to_string(frame * kPaths + i);
        lists.i32(static_cast<int32_t>(path.size()));
        lists.raw(path);
      }
      lists.i32(0);
      client.send(-8, OpCode::set_watches, "", as_text(lists.bytes()));
      CHECK(client.receive() == 16);
    }
    // The client's patience is 10 s; comparing each path with all others would take longer.
    std::string page = get(f.server->admin_port(), "/commands/wchp");
    CHECK(page.find("\"/missing/119999\" : [ ") != std::string::npos);
    CHECK(page.ends_with("}"));
  });
}

namespace {
// Runs `test` where there is little stack.
void on_small_stack(void (*test)()) {
  pthread_attr_t attributes;
  REQUIRE(::pthread_attr_init(&attributes) == 0);
  REQUIRE(::pthread_attr_setstacksize(&attributes, 1 << 20) == 0);
  pthread_t thread;
  auto run = [](void* argument) -> void* {
    reinterpret_cast<void (*)()>(argument)();
    return nullptr;
  };
  REQUIRE(::pthread_create(&thread, &attributes, run, reinterpret_cast<void*>(test)) == 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
}
}  // namespace

// Eight times the depth, and the whole stack of a process is used up by whoever walks it recursively.
TEST_CASE("a tree that is very deep is counted, shown and destroyed") {
  on_small_stack([] {
    ServerConfig config = with_admin();
    config.force_sync = "no";
    Fixture f(config);
    f.run([&] {
      Client client(f.server->client_port(), 30000);
      std::string path = "/zookeeper/quota";
      for (int depth = 0; depth < 8000; ++depth) {
        client.create(depth, path += "/a");
        if (client.receive() == 0 || client.error() != 0) break;
      }
      client.create(8000, path + "/zookeeper_limits");
      CHECK(client.receive() > 0);
      CHECK(client.error() == 0);
      CHECK(get(f.server->admin_port(), "/commands/mntr").find("\"znode_count\" : 8006") != std::string::npos);
    });
  });
}

TEST_CASE("a snapshot over HTTP restores another server, which keeps it through a restart") {
  Fixture from(with_admin());
  std::string snapshot;
  from.run([&] {
    Client client(from.server->client_port(), 30000);
    for (int32_t i = 0; i < 5; ++i) {
      client.create(i, "/kept" + std::to_string(i));
      CHECK(client.receive() > 0);
    }
    std::string reply = get(from.server->admin_port(), "/commands/snapshot", kSuper);
    CHECK(reply.find("last_zxid: 0x6\r\n") != std::string::npos);
    snapshot = body_of(reply);
    CHECK(snapshot.starts_with("ZKSN"));
  });
  ServerConfig config = with_admin();
  config.admin_rate_limit_ms = 0;
  Fixture to(config);
  auto restore = [&](const std::string& bytes) {
    wait_ms(5);
    return http(to.server->admin_port(), "POST /commands/restore HTTP/1.1\r\nConnection: close\r\n" + std::string(kSuper) +
                                             "Content-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes);
  };
  auto exists = [](Client& client, const std::string& path) {
    client.send(9, OpCode::exists, path, std::string_view("\0", 1));
    return client.receive() > 0 && client.error() == 0;
  };
  to.run([&] {
    Client old(to.server->client_port(), 30000);
    for (int32_t i = 0; i < 9; ++i) {
      old.create(i, "/gone" + std::to_string(i));
      CHECK(old.receive() > 0);
    }
    CHECK(restore(snapshot.substr(0, snapshot.size() / 2)).starts_with("HTTP/1.1 500"));
    CHECK(exists(old, "/gone1"));  // nothing was changed
    CHECK(restore(snapshot).find("\"last_zxid\" : 11,") != std::string::npos);  // above all that was given out
    CHECK(old.receive() == 0);                                               // its world is gone
    Client fresh(to.server->client_port(), 30000);
    CHECK(exists(fresh, "/kept4"));
    CHECK_FALSE(exists(fresh, "/gone1"));
    fresh.create(3, "/after");
    CHECK(fresh.receive() > 0);
    CHECK(fresh.error() == 0);
  });
  uint64_t digest = to.server->tree().digest();
  to.restart();
  CHECK(to.server->tree().digest() == digest);
  CHECK(to.server->tree().find("/after") != nullptr);
  CHECK(to.server->tree().find("/gone1") == nullptr);
}

namespace {
// A connection that is read while the loop turns.
class Asked {
 public:
  Asked(uint16_t port, const std::string& request) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    REQUIRE(::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  }
  ~Asked() { ::close(fd_); }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  bool ended() {
    char chunk[4096];
    ssize_t got = 0;
    while ((got = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) answer.append(chunk, static_cast<size_t>(got));
    return got == 0;
  }
  std::string answer;

 private:
  int fd_;
};
}  // namespace

TEST_CASE("who waits for the next snapshot is answered when a restore begins before it") {
  ServerConfig config = with_admin();
  config.admin_rate_limit_ms = 0;
  Fixture f(config);
  std::string path = f.root + "/version-2/snapshot.0";
  REQUIRE(f.runtime.run_until([&] { return std::filesystem::exists(path); }, kPatienceMs));
  std::ifstream in(path, std::ios::binary);
  std::string snapshot{std::istreambuf_iterator<char>(in), {}};
  uint16_t port = f.server->admin_port();
  // What happens on a thread or in a socket of ours is no event of the loop.
  auto until = [&](auto met) {
    for (int64_t ms = 0; !met() && ms < kPatienceMs; ms += 20) (void)f.runtime.run_until([] { return false; }, 20);
    return met();
  };
  const std::string take = "GET /commands/snapshot HTTP/1.0\r\n" + std::string(kSuper) + "\r\n";
  f.disk.hold(true);
  Asked first(port, take);
  REQUIRE(until([&] { return f.disk.holds_one(); }));
  Asked second(port, take);
  Asked client(f.server->client_port(), "");
  (void)f.runtime.run_until([] { return false; }, 50);  // it waits
  Asked restore(port, "POST /commands/restore HTTP/1.0\r\n" + std::string(kSuper) +
                          "Content-Length: " + std::to_string(snapshot.size()) + "\r\n\r\n" + snapshot);
  REQUIRE(until([&] { return client.ended(); }));  // all are closed: it has begun
  f.disk.hold(false);
  CHECK(until([&] { return first.ended() && second.ended() && restore.ended(); }));
  CHECK(first.answer.starts_with("HTTP/1.1 200"));
  CHECK(second.answer.starts_with("HTTP/1.1 500"));
  CHECK(restore.answer.starts_with("HTTP/1.1 200"));
}

// The log holds an ephemeral of a session that it does not know: removed at the start, by no transaction.
TEST_CASE("what is made where an orphan was survives the next start") {
  Fixture f;
  REQUIRE(f.runtime.run_until([&] { return std::filesystem::exists(f.root + "/version-2/snapshot.0"); }, kPatienceMs));
  f.server.reset();
  Txn orphan;
  orphan.header = {7, 1, 1, 1000, OpCode::create};
  orphan.body = CreateTxn{.path = "/x", .data = "old", .acls = open_acl(), .ephemeral = true, .parent_cversion = 1};
  wire::Writer entry;
  orphan.encode(entry);
  bool durable = false;
  LogWriter log(f.world, f.root + "/version-2", {.preallocate_bytes = 0},
                {[&](int64_t) { durable = true; }, [](const Error& error) { FAIL(error.context); }});
  log.append(1, entry.bytes());
  REQUIRE(f.runtime.run_until([&] { return durable; }, kPatienceMs));

  f.disk.set_full(true);
  Error fatal;
  f.server = std::make_unique<Server>(f.world, f.config);
  f.server->on_fatal([&](Error error) { fatal = std::move(error); });
  REQUIRE(f.server->start());
  CHECK(f.server->tree().find("/x") == nullptr);
  CHECK(f.runtime.run_until([&] { return fatal.code == Errc::no_space; }, kPatienceMs));

  f.disk.set_full(false);
  f.restart();
  f.run([&] {
    Client client(f.server->client_port(), 30000);
    client.create(1, "/x");
    CHECK(client.receive() > 0);
    CHECK(client.error() == 0);
  });
  int64_t made = f.server->tree().last_zxid();
  f.restart();
  CHECK(f.server->tree().last_zxid() == made);
  CHECK(f.server->tree().find("/x") != nullptr);
}

TEST_CASE("request_throttle_max_requests holds requests back, and those that waited long are told so") {
  ServerConfig config;
  config.throttle_max_requests = 1;
  config.throttled_op_wait_ms = 100;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client busy(port, 30000), other(port, 30000);
    f.real.loop.post([&] { f.disk.freeze(); });
    busy.create(1, "/a");
    wait_ms(50);
    other.create(1, "/b");
    wait_ms(250);
    f.real.loop.post([&] { f.disk.thaw(); });
    CHECK(busy.receive() > 0);
    CHECK(busy.error() == 0);
    CHECK(other.receive() > 0);
    CHECK(other.error() == -127);
    other.create(2, "/c");
    CHECK(other.receive() > 0);
    CHECK(other.error() == 0);
  });
  CHECK(f.server->tree().find("/b") == nullptr);
}

TEST_CASE("largeRequestMaxBytes, enforce.auth and connection_throttle turn clients away") {
  ServerConfig config;
  config.large_request_threshold = 1000;
  config.large_request_max_bytes = 5000;
  config.enforce_schemes = {"digest"};
  config.connect_tokens = 3;
  config.connect_fill_time_ms = 1'000'000;
  Fixture f(config);
  uint16_t port = f.server->client_port();
  f.run([&] {
    Client stranger(port, 30000);
    stranger.send(-2, OpCode::ping, "", "");
    CHECK(stranger.receive() > 0);
    CHECK(stranger.error() == -124);
    CHECK(stranger.receive() == 0);
    Client known(port, 30000);
    known.auth(-4, "digest", "a:b");
    CHECK(known.receive() > 0);
    known.create(1, "/a");
    CHECK(known.receive() > 0);
    CHECK(known.error() == 0);
    known.create(2, "/" + std::string(4000, 'x'));
    CHECK(known.receive() > 0);
    CHECK(known.error() == 0);
    known.create(3, "/" + std::string(6000, 'x'));
    CHECK(known.receive() == 0);
    Client third(port, 30000), fourth(port, 30000);
    third.auth(-4, "digest", "a:b");
    CHECK(third.receive() > 0);
    CHECK_FALSE(fourth.ok);
  });
}
