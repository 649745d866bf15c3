// Connections on real sockets, and the names of hosts. What both runtimes promise is in test/sim.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <optional>
#include <thread>

#include "common/rt_asio/host_name.h"
#include "common/rt_asio/runtime.h"
#include "common/rt_asio/test_support.h"

namespace {

// A name server that does not answer: the name "hangs.invalid" is resolved only when released.
std::atomic<bool> resolver_released = false;
std::atomic<int> resolver_waiting = 0;

// What this machine is called, and the name that its address has; null for the real ones.
const char* own_name = nullptr;
const char* reverse_name = nullptr;

}  // namespace

extern "C" int gethostname(char* into, size_t size) noexcept {
  static auto* real = reinterpret_cast<decltype(&gethostname)>(::dlsym(RTLD_NEXT, "gethostname"));
  if (own_name == nullptr) return real(into, size);
  std::snprintf(into, size, "%s", own_name);
  return 0;
}

extern "C" int getnameinfo(const sockaddr* address, socklen_t length, char* host,
                           socklen_t host_size, char* service, socklen_t service_size, int flags) {
  static auto* real = reinterpret_cast<decltype(&getnameinfo)>(::dlsym(RTLD_NEXT, "getnameinfo"));
  if (own_name == nullptr)
    return real(address, length, host, host_size, service, service_size, flags);
  if (reverse_name == nullptr) return EAI_NONAME;
  std::snprintf(host, host_size, "%s", reverse_name);
  return 0;
}

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (host != nullptr && std::string_view(host) == "hangs.invalid") {
    ++resolver_waiting;
    while (!resolver_released) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --resolver_waiting;
    return EAI_AGAIN;
  }
  static auto* real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host != nullptr && std::string_view(host) == "nowhere.invalid") return EAI_NONAME;
  if (host != nullptr && std::string_view(host) == "two.invalid")
    return real("127.0.0.2", service, hints, found);
  if (host != nullptr && std::string_view(host) == "both.invalid") {
    int error = real("::1", service, hints, found);
    return error != 0 ? error : real("127.0.0.1", service, hints, &(*found)->ai_next);
  }
  return real(host, service, hints, found);
}

namespace ottla::rt_asio {
namespace {

// Two ends of one connection.
struct Pair {
  explicit Pair(AsioRuntime& runtime) {
    rt::World world = runtime.world();
    auto listening = world.net.listen({"127.0.0.1", 0}, [this](auto c) { server = std::move(c); });
    REQUIRE(listening);
    auto attempt = world.net.connect({"127.0.0.1", (*listening)->port()}, [this](auto c) {
      REQUIRE(c);
      client = std::move(*c);
    });
    REQUIRE(runtime.run_until([this] { return client && server; }, kPatienceMs));
  }
  std::unique_ptr<rt::Connection> client, server;
};

// Reads a connection to its end.
struct Drain {
  explicit Drain(rt::Connection& from, size_t chunk = 64 << 10) : connection(from), buffer(chunk) {
    next();
  }
  void next() {
    connection.read(buffer.mutable_bytes(), [this](Result<size_t> got) {
      if (!got) {
        error = got.error();
        done = true;
        return;
      }
      if (*got == 0) {
        done = true;
        return;
      }
      text.append(reinterpret_cast<char*>(buffer.data()), *got);
      next();
    });
  }
  rt::Connection& connection;
  Buffer buffer;
  std::string text;
  bool done = false;
  std::optional<Error> error;
};

TEST_CASE("bytes go both ways, in order, however they were queued") {
  AsioRuntime runtime;
  Pair pair(runtime);
  Drain at_client(*pair.client, 1000), at_server(*pair.server);
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    std::string text = "message " + std::to_string(i) + ";";
    expected += text;
    if (i % 3 == 0) {
      std::vector<rt::OutPiece> pieces;
      pieces.emplace_back(std::make_shared<const Buffer>(buffer_of(text)));
      pieces.emplace_back(Buffer());
      pair.client->send(std::move(pieces));
    } else {
      pair.client->send(buffer_of(text));
    }
  }
  CHECK(pair.client->unsent_bytes() == expected.size());
  pair.server->send(buffer_of("hello"));
  pair.client->close_after_send();
  REQUIRE(runtime.run_until([&] { return at_server.done; }, kPatienceMs));
  CHECK(at_server.text == expected);
  CHECK(!at_server.error);
  pair.server.reset();
  REQUIRE(runtime.run_until([&] { return at_client.done; }, kPatienceMs));
  REQUIRE(at_client.error);
  CHECK(at_client.error->code == Errc::closed);
}

TEST_CASE("a slow reader holds the sender back, and drained is told once it caught up") {
  AsioRuntime runtime;
  Pair pair(runtime);
  int drained = 0;
  pair.client->on_drained([&] { ++drained; });
  std::string big = pattern(24 << 20);
  pair.client->send(buffer_of(big));
  runtime.run_until([] { return false; }, 50);
  CHECK(pair.client->unsent_bytes() > 0);
  CHECK(drained == 0);
  Drain at_server(*pair.server);
  REQUIRE(runtime.run_until([&] { return at_server.text.size() == big.size(); }, kPatienceMs));
  CHECK(at_server.text == big);
  CHECK(drained == 1);
  CHECK(pair.client->unsent_bytes() == 0);
}

TEST_CASE("file slices, small and large, leave in order between buffers") {
  AsioRuntime runtime;
  TempDir dir;
  rt::Disk& disk = runtime.world().disk;
  std::string content = pattern(9 << 20);
  auto file = disk.open(dir.path + "/data", rt::OpenMode::create_new);
  REQUIRE(file);
  REQUIRE((*file)->write_at(0, as_bytes(content)));
  Pair pair(runtime);
  std::string expected;
  std::vector<rt::OutPiece> pieces;
  auto add_slice = [&](uint64_t offset, uint64_t length) {
    std::string header = "<" + std::to_string(length) + ">";
    expected += header + content.substr(offset, length);
    pieces.emplace_back(buffer_of(header));
    pieces.emplace_back(rt::FileSlice{*file, offset, length});
  };
  add_slice(0, 9 << 20);
  for (uint64_t i = 0; i < 3000; ++i) add_slice(i * 11, 10 + i % 50);
  add_slice(5, 8192);
  add_slice(5, 8193);
  add_slice(0, 0);
  pair.client->send(std::move(pieces));
  pair.client->close_after_send();
  Drain at_server(*pair.server);
  REQUIRE(runtime.run_until([&] { return at_server.done; }, kPatienceMs));
  CHECK((at_server.text == expected));

  // A slice behind the end of the file breaks the connection instead of stalling it.
  for (uint64_t length : {100, 100'000}) {
    Pair broken(runtime);
    std::optional<Error> error;
    broken.client->on_send_error([&](Error e) { error = std::move(e); });
    std::vector<rt::OutPiece> beyond;
    beyond.emplace_back(rt::FileSlice{*file, content.size() - 10, length});
    broken.client->send(std::move(beyond));
    Drain at_end(*broken.server);
    REQUIRE(runtime.run_until([&] { return error && at_end.done; }, kPatienceMs));
    CHECK(error->code == Errc::io);
  }
}

TEST_CASE("objects may be destroyed inside their own callbacks") {
  AsioRuntime runtime;
  rt::World world = runtime.world();
  std::unique_ptr<rt::Listener> listener;
  std::vector<std::unique_ptr<rt::Connection>> servers;
  auto listening = world.net.listen({"127.0.0.1", 0}, [&](auto c) {
    servers.push_back(std::move(c));
    if (servers.size() == 2) listener.reset();
  });
  REQUIRE(listening);
  listener = std::move(*listening);
  std::unique_ptr<rt::Connection> one, two;
  std::unique_ptr<rt::Net::Attempt> first, second;
  auto connected = [](auto& into, auto& attempt) {
    return [&](Result<std::unique_ptr<rt::Connection>> c) {
      REQUIRE(c);
      into = std::move(*c);
      attempt.reset();
    };
  };
  first = world.net.connect({"127.0.0.1", listener->port()}, connected(one, first));
  second = world.net.connect({"127.0.0.1", listener->port()}, connected(two, second));
  REQUIRE(runtime.run_until([&] { return one && two && servers.size() == 2; }, kPatienceMs));
  CHECK(!listener);
  // In a read, in drained.
  Buffer buffer(10);
  bool read_ended = false;
  servers[0]->read(buffer.mutable_bytes(), [&](Result<size_t>) {
    servers[0].reset();
    read_ended = true;
  });
  one->on_drained([&] { one.reset(); });
  two->on_drained([&] { two.reset(); });
  one->send(buffer_of("x"));
  two->send(buffer_of("x"));
  REQUIRE(runtime.run_until([&] { return !one && !two; }, kPatienceMs));
  runtime.run_until([] { return false; }, 20);
  // Destroyed with a read pending: never called. Posted after the destruction: neither.
  Pair pair(runtime);
  pair.server->read(buffer.mutable_bytes(),
                    [](Result<size_t>) { FAIL("called after destruction"); });
  pair.client->send(buffer_of("x"));
  pair.server.reset();
  runtime.run_until([] { return false; }, 20);
}

TEST_CASE("a refused, an unresolved and an abandoned connect") {
  AsioRuntime runtime;
  rt::World world = runtime.world();
  uint16_t port;
  {
    auto listening = world.net.listen({"127.0.0.1", 0}, [](auto) {});
    REQUIRE(listening);
    port = (*listening)->port();
    auto again = world.net.listen({"127.0.0.1", port}, [](auto) {});
    REQUIRE(!again);
    CHECK(again.error().code == Errc::in_use);
  }
  std::optional<Errc> refused, unresolved;
  auto into = [](std::optional<Errc>& code) {
    return [&](Result<std::unique_ptr<rt::Connection>> c) { code = c ? Errc::io : c.error().code; };
  };
  auto a = world.net.connect({"127.0.0.1", port}, into(refused));
  auto b = world.net.connect({"no-such-host.invalid", 1}, into(unresolved));
  CHECK(!refused);  // never from inside the call
  world.net.connect({"127.0.0.1", port}, [](auto) { FAIL("was given up"); });
  REQUIRE(runtime.run_until([&] { return refused && unresolved; }, kPatienceMs));
  CHECK(*refused == Errc::refused);
  CHECK(*unresolved == Errc::not_found);
}

TEST_CASE("a name that does not resolve holds nobody up, nor the end") {
  auto runtime = std::make_unique<AsioRuntime>();
  auto attempt = runtime->world().net.connect({"hangs.invalid", 1}, [](auto) { FAIL("resolved"); });
  for (int i = 0; i < 1000 && resolver_waiting == 0; ++i)
    runtime->run_until([] { return false; }, 10);
  REQUIRE(resolver_waiting == 1);
  auto given_up =
      runtime->world().net.connect({"hangs.invalid", 2}, [](auto) { FAIL("resolved"); });
  given_up.reset();
  attempt.reset();
  auto before = std::chrono::steady_clock::now();
  runtime.reset();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(1));
  CHECK(resolver_waiting == 1);
  resolver_released = true;
  for (int i = 0; i < 1000 && resolver_waiting != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // what was left behind ends
}

TEST_CASE("listening on all addresses serves IPv4, and names are tried address by address") {
  AsioRuntime runtime;
  rt::World world = runtime.world();
  std::unique_ptr<rt::Connection> server, client;
  auto listening = world.net.listen({"", 0}, [&](auto c) { server = std::move(c); });
  REQUIRE(listening);
  for (const char* host : {"127.0.0.1", "localhost"}) {
    server.reset();
    client.reset();
    auto attempt = world.net.connect({host, (*listening)->port()}, [&](auto c) {
      REQUIRE(c);
      client = std::move(*c);
    });
    REQUIRE(runtime.run_until([&] { return client && server; }, kPatienceMs));
    CHECK(client->peer().port == (*listening)->port());
    CHECK(server->peer() == client->local());
    CHECK(server->local() == client->peer());
  }
}

TEST_CASE("where a server listens: IPv4 first of a name, 0.0.0.0 for all, an address in brackets") {
  AsioRuntime runtime;
  rt::World world = runtime.world();
  bool has_v6 = world.net.listen({"::1", 0}, [](auto) {}).has_value();
  auto serves = [&](const std::string& listen_on, const std::string& connect_to) {
    std::unique_ptr<rt::Connection> server;
    auto listening = world.net.listen({listen_on, 0}, [&](auto c) { server = std::move(c); });
    REQUIRE(listening);
    std::optional<bool> connected;
    auto attempt = world.net.connect({connect_to, (*listening)->port()},
                                     [&](auto c) { connected = c.has_value(); });
    REQUIRE(runtime.run_until([&] { return connected && (!*connected || server); }, kPatienceMs));
    return *connected;
  };
  CHECK(serves("both.invalid", "127.0.0.1"));
  CHECK(serves("0.0.0.0", "127.0.0.1"));
  if (!has_v6) return;
  CHECK(!serves("both.invalid", "::1"));
  CHECK(serves("0.0.0.0", "::1"));
  CHECK(serves("[::1]", "[::1]"));
}

TEST_CASE("the name of this machine is the name of its address, or the address, or localhost") {
  own_name = "both.invalid";  // 127.0.0.1
  reverse_name = "both.invalid";
  CHECK(rt_asio::host_name() == "both.invalid");
  reverse_name = "two.invalid";  // leads elsewhere
  CHECK(rt_asio::host_name() == "127.0.0.1");
  reverse_name = nullptr;
  CHECK(rt_asio::host_name() == "127.0.0.1");
  own_name = "nowhere.invalid";
  CHECK(rt_asio::host_name() == "localhost");
  own_name = nullptr;
}

TEST_CASE("out of descriptors, accepting pauses and comes back") {
  AsioRuntime runtime;
  rt::World world = runtime.world();
  std::unique_ptr<rt::Connection> server, client;
  auto listening = world.net.listen({"127.0.0.1", 0}, [&](auto c) { server = std::move(c); });
  REQUIRE(listening);
  auto attempt = world.net.connect({"127.0.0.1", (*listening)->port()}, [&](auto c) {
    REQUIRE(c);
    client = std::move(*c);
  });
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(lowest_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  ::setrlimit(RLIMIT_NOFILE, &none);
  bool early = runtime.run_until([&] { return server != nullptr; }, 30);
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(!early);
  CHECK(runtime.run_until([&] { return server != nullptr; }, kPatienceMs));
}

TEST_CASE("connections leave some descriptors to files") {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  AsioRuntime runtime;
  rlimit raised{};
  ::getrlimit(RLIMIT_NOFILE, &raised);
  CHECK(raised.rlim_cur == raised.rlim_max);
  rlimit few = raised;
  few.rlim_cur = 400;
  ::setrlimit(RLIMIT_NOFILE, &few);
  rt::World world = runtime.world();
  std::vector<std::unique_ptr<rt::Connection>> servers;
  auto listening =
      world.net.listen({"127.0.0.1", 0}, [&](auto c) { servers.push_back(std::move(c)); });
  REQUIRE(listening);
  // Clients of another process: here they would take descriptors of their own.
  pid_t child = ::fork();
  if (child == 0) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons((*listening)->port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int fd = 3; fd < 400; ++fd) ::close(fd);
    for (int i = 0; i < 390; ++i) {
      int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      (void)::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
    ::sleep(1);
    ::_exit(0);
  }
  runtime.run_until([&] { return servers.size() > 360; }, 1000);
  CHECK(servers.size() > 250);
  CHECK(servers.size() < 350);
  TempDir dir;
  CHECK(world.disk.open(dir.path + "/next", rt::OpenMode::create_new));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  servers.clear();
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace ottla::rt_asio
