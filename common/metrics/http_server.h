// A small HTTP/1.1 server for operators: GET and HEAD, for /metrics and administrative pages.
// Bounded in everything: head size, connections, time. No bodies are read, no TLS, no
// authentication: bind it where only operators reach it. One loop's. Source: RFC 9112 (message
// syntax), RFC 9110 (methods, status codes).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/rt/world.h"

namespace ottla::metrics {

struct HttpRequest {
  std::string method;  // "GET"; HEAD is served as a GET whose body is not sent
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;  // decoded; the last of equal names
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpLimits {
  size_t max_head_bytes = 8 << 10;
  size_t max_connections = 64;
  int64_t request_timeout_ms = 10'000;  // from the first wait for a head to its end
  int64_t reply_timeout_ms = 30'000;    // for the client to take a reply
};

class HttpServer {
 public:
  using Handler = Fn<HttpResponse(const HttpRequest&)>;

  explicit HttpServer(rt::World world, HttpLimits limits = {});
  ~HttpServer();
  // A path that ends in '/' serves all below it, where no longer one does. Before or after start.
  void route(const std::string& path, Handler handler);
  Result<void> start(const rt::Endpoint& at);
  uint16_t port() const { return listener_->port(); }
  size_t connections() const { return clients_.size(); }

 private:
  struct Client;
  void accept(std::unique_ptr<rt::Connection> connection);
  void read_more(Client& client);
  void serve(Client& client);
  void reply(Client& client, const HttpResponse& response, bool head_only, bool keep);
  void drop(Client& client);
  HttpResponse answer(const HttpRequest& request);

  rt::World world_;
  HttpLimits limits_;
  std::map<std::string, Handler> routes_;
  std::unique_ptr<rt::Listener> listener_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_id_ = 0;
};

// What a head asks for; status 0 when it is well formed, else the refusal.
struct ParsedHead {
  int status = 0;
  HttpRequest request;
  bool keep_alive = false;
};
ParsedHead parse_http_head(std::string_view head);

}  // namespace ottla::metrics
