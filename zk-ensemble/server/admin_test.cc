// The admin server and what it does to the server behind it: pages, snapshots, restores.
#include "zk-ensemble/server/test_server.h"

using namespace ottla;
using namespace ottla::zk;
using namespace ottla::zk::testing;

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

TEST_CASE("the Prometheus page has Apache's summaries, and counts the files that are open") {
  ServerConfig config;
  config.metrics_provider = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
  config.metrics_host = "127.0.0.1";
  config.metrics_port = 0;
  Fixture f(config);
  f.run([&] {
    Client client(f.server->client_port(), 30000);
    client.create(1, "/a");
    (void)client.receive();
  });
  // Many descriptors above a free one: the lowest free one is not their number.
  int low = ::dup(0);
  std::vector<int> files;
  for (int i = 0; i < 200; ++i) files.push_back(::dup(0));
  ::close(low);
  auto page = [&] {
    std::string text;
    f.run([&] { text = body_of(get(f.server->metrics_port(), "/metrics")); });
    return text;
  };
  std::string text = page();
  for (int fd : files) ::close(fd);
  auto has = [&](const std::string& line) { return text.find("\n" + line) != std::string::npos; };
  auto value = [&](const std::string& name) {
    size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + name.size() + 2);
  };
  CHECK(value("open_file_descriptor_count") > 200);
  CHECK(has("# TYPE fsynctime summary\nfsynctime{quantile=\"0.5\"} "));
  CHECK(!has("fsynctime{quantile=\"0.9\"}"));
  CHECK(value("fsynctime_count") >= 1);
  CHECK(has("# TYPE updatelatency summary\nupdatelatency{quantile=\"0.5\"} "));
  CHECK(has("updatelatency{quantile=\"0.9\"} "));
  CHECK(has("updatelatency{quantile=\"0.99\"} "));
  CHECK(!has("updatelatency{quantile=\"0.95\"}"));
  CHECK(has("election_time{quantile=\"0.5\"} NaN\nelection_time_sum 0\nelection_time_count 0\n"));
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
