#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>

#include "common/base/prng.h"
#include "common/metrics/http_server.h"
#include "common/metrics/registry.h"
#include "common/rt_asio/runtime.h"
#include "common/rt_sim/simulator.h"

using namespace ottla;
using namespace ottla::metrics;

namespace {
constexpr int64_t kSecond = 1'000'000'000;

constexpr Row kRequests{"kafka.network:type=RequestMetrics,name=RequestsPerSec", "requests_total",
                        Type::counter, "", "Requests received"};
constexpr Row kNodes{"znode_count", "znode_count", Type::gauge, "", "Nodes\nof the \"tree\""};
constexpr Row kLatency{"updatelatency", "updatelatency", Type::histogram, "ms", "Update latency"};
constexpr Row kTime{"fsynctime", "fsynctime", Type::histogram, "ms", "Syncs"};

// A client that sends raw text and collects what comes back.
struct Raw {
  Raw(rt::World in, rt::Endpoint to, std::string request) : world(in), text(std::move(request)) {
    attempt = world.net.connect(to, [this](Result<std::unique_ptr<rt::Connection>> c) {
      if (!c) {
        ended = true;
        return;
      }
      connection = std::move(*c);
      if (!text.empty()) connection->send(Buffer(as_bytes(text)));
      next();
    });
  }
  void next() {
    connection->read(buffer.mutable_bytes(), [this](Result<size_t> got) {
      if (!got || *got == 0) {
        ended = true;
        return;
      }
      received += as_text(buffer.bytes().first(*got));
      if (!pause) return next();
      pause->arm_at(after_ms(world.loop.now(), 10));
    });
  }
  rt::World world;
  std::string text;
  std::unique_ptr<rt::Net::Attempt> attempt;
  std::unique_ptr<rt::Connection> connection;
  Buffer buffer{512};
  std::string received;
  bool ended = false;
  std::unique_ptr<rt::Timer> pause;  // between two reads, when there is one
};

struct Fixture {
  explicit Fixture(HttpLimits limits = {}) : server(sim.add_node("s"), limits) {
    client.emplace(sim.add_node("c"));
    server.route("/metrics", [](const HttpRequest&) {
      return HttpResponse{200, kPrometheusContentType, "up 1\n"};
    });
    server.route("/commands/", [](const HttpRequest& request) {
      auto name = request.query.find("n");
      return HttpResponse{200, "text/plain",
                          request.path + (name == request.query.end() ? "" : "?" + name->second)};
    });
    REQUIRE(server.start({"", 8080}));
  }
  std::string ask(const std::string& request, int64_t limit = 60 * kSecond) {
    Raw raw(*client, {"s", 8080}, request);
    sim.run_until([&] { return raw.ended; }, limit);
    return raw.received;
  }
  sim::Simulator sim{11};
  HttpServer server;
  std::optional<rt::World> client;
};

std::string status_of(const std::string& reply) { return reply.substr(0, reply.find('\r')); }
}  // namespace

TEST_CASE("quantiles are near, never below, never above the greatest") {
  Histogram h;
  CHECK(h.quantile(0.5) == 0);
  Prng prng(5);
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(prng.next() >> (prng.below(60) + 2));
  for (uint64_t value : values) h.add(value);
  std::sort(values.begin(), values.end());
  for (double q : {0.0, 0.01, 0.5, 0.95, 0.99, 0.999, 1.0}) {
    size_t rank = std::max<size_t>(1, static_cast<size_t>(std::ceil(q * 20'000)));
    double exact = static_cast<double>(values[rank - 1]);
    double got = static_cast<double>(h.quantile(q));
    INFO(q);
    CHECK(got >= exact);
    CHECK(got <= exact * 1.25 + 1);
  }
  CHECK(h.quantile(1) == values.back());
  CHECK(h.max() == values.back());
  CHECK(h.min() == values.front());
  Histogram edges;
  edges.add(0);
  edges.add(UINT64_MAX);
  CHECK(edges.quantile(0.5) == 0);
  CHECK(edges.quantile(1) == UINT64_MAX);
}

TEST_CASE("the text that Prometheus reads") {
  Registry registry;
  Counter produce, fetch;
  Histogram latency;
  produce.add(3);
  fetch.add();
  latency.add(2);
  registry.counter(kRequests, produce, {{"request", "Produce"}});
  registry.gauge(kNodes, [] { return 2.5; });
  registry.counter(kRequests, fetch, {{"request", "a\\b\"c\nd"}});
  registry.histogram(kLatency, latency);
  registry.summary(kTime, [] { return Summary{{{"0.5", NAN}, {"0.9", 1.5}}, 3, 2}; });
  registry.samples(
      kNodes, [] { return std::vector<Sample>{{{{"key", "x"}}, 1e18}, {{{"key", "y"}}, -7}}; });
  CHECK(registry.prometheus() ==
        "# HELP requests_total Requests received\n# TYPE requests_total counter\n"
        "requests_total{request=\"Produce\"} 3\n"
        "requests_total{request=\"a\\\\b\\\"c\\nd\"} 1\n"
        "# HELP znode_count Nodes\\nof the \"tree\"\n# TYPE znode_count gauge\n"
        "znode_count 2.5\nznode_count{key=\"x\"} 1e+18\nznode_count{key=\"y\"} -7\n"
        "# HELP updatelatency Update latency (ms)\n# TYPE updatelatency summary\n"
        "updatelatency{quantile=\"0.5\"} 2\nupdatelatency{quantile=\"0.95\"} 2\n"
        "updatelatency{quantile=\"0.99\"} 2\nupdatelatency{quantile=\"0.999\"} 2\n"
        "updatelatency_sum 2\nupdatelatency_count 1\n"
        "# HELP fsynctime Syncs (ms)\n# TYPE fsynctime summary\n"
        "fsynctime{quantile=\"0.5\"} NaN\nfsynctime{quantile=\"0.9\"} 1.5\n"
        "fsynctime_sum 3\nfsynctime_count 2\n");
  int visited = 0;
  registry.visit([&](const Row&, const Labels&, double) { ++visited; });
  CHECK(visited == 5);
}

TEST_CASE("requests that are served") {
  Fixture f;
  std::string reply = f.ask("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(reply ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        "Content-Length: 5\r\nConnection: close\r\n\r\nup 1\n");
  CHECK(f.ask("HEAD /metrics HTTP/1.0\n\n")
            .ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n"));
  CHECK(f.ask("GET /commands/a%20b?x=1&n=p+q%2f HTTP/1.0\r\n\r\n")
            .ends_with("\r\n\r\n/commands/a b?p q/"));
  CHECK(f.ask("GET HTTP://h:1/commands/a?x=1&n=p HTTP/1.0\r\n\r\n").ends_with("/commands/a?p"));
  CHECK(status_of(f.ask("GET http://h HTTP/1.0\r\n\r\n")) == "HTTP/1.1 404 Not Found");
  // Two at once on one connection, in order; then the idle limit closes it.
  reply = f.ask("GET /commands/1 HTTP/1.1\r\n\r\nGET /commands/2 HTTP/1.1\r\n\r\n");
  CHECK(reply.find("/commands/1") < reply.find("/commands/2"));
  CHECK(reply.ends_with("/commands/2"));
  CHECK(f.server.connections() == 0);
}

TEST_CASE("requests that are refused") {
  Fixture f;
  auto status = [&](const std::string& request) { return status_of(f.ask(request)); };
  CHECK(status("GET /other HTTP/1.0\r\n\r\n") == "HTTP/1.1 404 Not Found");
  CHECK(status("GET / HTTP/1.0\r\n\r\n") == "HTTP/1.1 404 Not Found");
  CHECK(status("PUT /metrics HTTP/1.0\r\n\r\n") == "HTTP/1.1 405 Method Not Allowed");
  CHECK(status("GET /metrics HTTP/2.0\r\n\r\n") == "HTTP/1.1 505 HTTP Version Not Supported");
  CHECK(status("GET metrics HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET http:///metrics HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET /a%2 HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET /a%zz HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("ruok\n\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET / HTTP/1.1\r\nbroken\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello") ==
        "HTTP/1.1 413 Content Too Large");
  CHECK(status("GET /" + std::string(9000, 'a')) == "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(status("GET /metrics HT").empty());  // never finished: the time limit
  CHECK(status("").empty());
  CHECK(f.server.connections() == 0);
}

TEST_CASE("too many connections are turned away, and room comes back") {
  Fixture f(HttpLimits{.max_connections = 2});
  std::vector<std::unique_ptr<Raw>> waiting;
  for (int i = 0; i < 2; ++i)
    waiting.push_back(std::make_unique<Raw>(*f.client, rt::Endpoint{"s", 8080}, ""));
  f.sim.run_for(kSecond);
  CHECK(status_of(f.ask("GET /metrics HTTP/1.0\r\n\r\n", kSecond)) ==
        "HTTP/1.1 503 Service Unavailable");
  waiting.clear();
  f.sim.run_for(kSecond);
  CHECK(status_of(f.ask("GET /metrics HTTP/1.0\r\n\r\n")) == "HTTP/1.1 200 OK");
}

TEST_CASE("a client may take a large reply slowly, but must take some") {
  Fixture f(HttpLimits{.reply_timeout_ms = 100});
  std::string page(4 << 20, 'p');
  f.server.route("/big", [&](const HttpRequest&) { return HttpResponse{200, "text/plain", page}; });
  Raw raw(*f.client, {"s", 8080}, "GET /big HTTP/1.0\r\n\r\n");
  raw.pause = f.client->loop.make_timer([&] { raw.next(); });
  raw.buffer = Buffer(64 << 10);
  f.sim.run_until([&] { return raw.ended; }, 60 * kSecond);
  CHECK(raw.received.ends_with("p"));
  CHECK(raw.received.size() > page.size());
  f.sim.run_until([&] { return f.server.connections() == 0; }, kSecond);
  Raw idle(*f.client, {"s", 8080}, "GET /big HTTP/1.0\r\n\r\n");
  idle.pause = f.client->loop.make_timer([] {});  // reads once and no more
  f.sim.run_until([&] { return f.server.connections() == 1; }, kSecond);
  f.sim.run_until([&] { return f.server.connections() == 0; }, 60 * kSecond);
  CHECK(f.server.connections() == 0);
}

TEST_CASE("any bytes: an answer or a close, and the server serves on") {
  Fixture f(HttpLimits{.request_timeout_ms = 100, .reply_timeout_ms = 100});
  Prng prng(3);
  const std::string seeds[] = {"GET /metrics HTTP/1.1\r\n\r\n",
                               "HEAD /commands/%41?a=b HTTP/1.0\r\nA: b\r\n\r\n"};
  for (int i = 0; i < 300; ++i) {
    std::string text = seeds[i % 2];
    for (uint64_t flips = prng.below(6); flips > 0; --flips)
      text[prng.below(text.size())] = static_cast<char>(prng.next());
    f.ask(text, 5 * kSecond);
  }
  f.sim.run_for(kSecond);
  CHECK(f.server.connections() == 0);
  CHECK(status_of(f.ask("GET /metrics HTTP/1.0\r\n\r\n")) == "HTTP/1.1 200 OK");
}

TEST_CASE("the same server on real sockets") {
  rt_asio::AsioRuntime runtime;
  HttpServer server(runtime.world());
  std::string page(3 << 20, 'p');
  server.route("/metrics",
               [&](const HttpRequest&) { return HttpResponse{200, "text/plain", page}; });
  REQUIRE(server.start({"127.0.0.1", 0}));
  rt::Endpoint at{"127.0.0.1", server.port()};
  Raw raw(runtime.world(), at, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
  REQUIRE(runtime.run_until([&] { return raw.ended && server.connections() == 0; }, 20'000));
  CHECK(raw.received.size() > page.size());
  CHECK(raw.received.ends_with("ppp"));
  Raw body(runtime.world(), at,
           "POST / HTTP/1.1\r\nContent-Length: 9000\r\n\r\n" + std::string(9000, 'x'));
  REQUIRE(runtime.run_until([&] { return body.ended; }, 20'000));
  CHECK(status_of(body.received) == "HTTP/1.1 413 Content Too Large");
}

TEST_CASE("a client that ends its half after asking gets the whole answer, however large") {
  rt_asio::AsioRuntime runtime;
  HttpServer server(runtime.world());
  std::string page(24 << 20, 'p');
  server.route("/big", [&](const HttpRequest&) { return HttpResponse{200, "text/plain", page}; });
  HttpServer::Reply later;
  server.route_later(
      "/later", [&](const HttpRequest&, HttpServer::Reply reply) { later = std::move(reply); });
  REQUIRE(server.start({"127.0.0.1", 0}));
  auto ask = [&](const std::string& request, bool answer_later) {
    std::string received;
    bool done = false;
    runtime.world().disk.run_blocking(
        [&] {
          int fd = ::socket(AF_INET, SOCK_STREAM, 0);
          sockaddr_in to{};
          to.sin_family = AF_INET;
          to.sin_port = htons(server.port());
          to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
          REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
          REQUIRE(::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0);
          ::shutdown(fd, SHUT_WR);
          (void)::poll(nullptr, 0,
                       100);  // the server sees the end while its reply fills the socket
          std::string chunk(1 << 20, '\0');
          for (ssize_t got; (got = ::recv(fd, chunk.data(), chunk.size(), 0)) > 0;)
            received.append(chunk, 0, static_cast<size_t>(got));
          ::close(fd);
        },
        [&] { done = true; });
    if (answer_later) {
      REQUIRE(runtime.run_until([&] { return static_cast<bool>(later); }, 20'000));
      auto timer =
          runtime.world().loop.make_timer([&] { later(HttpResponse{200, "text/plain", "late"}); });
      timer->arm_at(after_ms(runtime.world().loop.now(), 50));
      REQUIRE(runtime.run_until([&] { return done; }, 20'000));
    }
    REQUIRE(runtime.run_until([&] { return done && server.connections() == 0; }, 20'000));
    return received;
  };
  for (const char* version : {"1.0", "1.1"}) {
    std::string received = ask(std::string("GET /big HTTP/") + version + "\r\n\r\n", false);
    CHECK(received.size() > page.size());
    CHECK(ask(std::string("GET /later HTTP/") + version + "\r\n\r\n", true).ends_with("late"));
    later = nullptr;
  }
}

namespace {
struct Gatherer final : HttpBody {
  explicit Gatherer(std::string& into) : into(into) {}
  Result<void> take(Bytes piece) override {
    into += as_text(piece);
    return into.size() > 1 << 20 ? fail(Errc::too_large, "x") : Result<void>();
  }
  void finish(Fn<void(HttpResponse)> reply) override {
    reply(HttpResponse{200, "text/plain", std::to_string(into.size())});
  }
  std::string& into;
};
}  // namespace

TEST_CASE("bodies go to routes that take them, in pieces, and nowhere else") {
  Fixture f;
  std::string taken;
  f.server.route_body(
      "/in", [&](const HttpRequest& request, HttpResponse& refusal) -> std::unique_ptr<HttpBody> {
        taken.clear();
        if (request.headers.contains("authorization")) return std::make_unique<Gatherer>(taken);
        refusal.status = 401;
        return nullptr;
      });
  std::string body(100'000, 'b');
  auto post = [&](const std::string& headers, const std::string& content) {
    return f.ask("POST /in HTTP/1.1\r\n" + headers +
                 "Content-Length: " + std::to_string(content.size()) + "\r\n\r\n" + content +
                 "GET /metrics HTTP/1.0\r\n\r\n");
  };
  std::string reply = post("Authorization: x\r\n", body);
  CHECK(status_of(reply) == "HTTP/1.1 200 OK");
  CHECK(taken == body);
  CHECK(reply.find("100000") != std::string::npos);
  CHECK(reply.ends_with("up 1\n"));  // and the connection goes on behind the body
  CHECK(status_of(post("Authorization: x\r\n", "")) == "HTTP/1.1 200 OK");
  CHECK(status_of(post("", body)) == "HTTP/1.1 401 Unauthorized");
  CHECK(taken.empty());
  CHECK(status_of(post("Authorization: x\r\n", std::string(2 << 20, 'b'))) ==
        "HTTP/1.1 500 Internal Server Error");
  CHECK(status_of(f.ask("POST /in HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")) ==
        "HTTP/1.1 411 Length Required");
  CHECK(status_of(f.ask("POST /metrics HTTP/1.0\r\n\r\n")) == "HTTP/1.1 405 Method Not Allowed");
  CHECK(status_of(f.ask("TRACE /in HTTP/1.0\r\n\r\n")) == "HTTP/1.1 403 Forbidden");
  CHECK(f.ask("OPTIONS /in HTTP/1.0\r\n\r\n").find("Allow: GET, HEAD, POST, OPTIONS\r\n") !=
        std::string::npos);
  CHECK(status_of(f.ask("POST /in HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")) ==
        "HTTP/1.1 400 Bad Request");
  f.sim.run_for(60 * kSecond);
  CHECK(f.server.connections() == 0);
}
