// A small HTTP/1.1 server for operators: GET and HEAD, for /metrics and administrative pages, and
// POST where a route takes a body. Bounded in everything: head size, connections, time; a body is
// handed on in pieces and never gathered here. No chunked bodies, no TLS, no authentication of its
// own: bind it where only operators reach it. One loop's. Source: RFC 9112 (message syntax), RFC
// 9110 (methods, status codes).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/rt/world.h"

namespace ottla::metrics {

struct HttpRequest {
  std::string method;  // "GET"; HEAD is served as a GET whose body is not sent
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;  // decoded; the first of equal names
  std::map<std::string, std::string> headers;  // by lower-case name; the last of equal names
  std::string peer;                            // numeric address of the client
  uint64_t body_bytes = 0;                     // that follow the head
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: none is named
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
  std::optional<rt::FileSlice> file;                         // sent behind `body`
};

// Takes a POST's body, piece by piece. Destroyed early when the client goes away.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  virtual Result<void> take(Bytes piece) = 0;  // an error ends the request with 500
  // The body is whole; `reply` may be called at once or later (never after a destruction).
  virtual void finish(Fn<void(HttpResponse)> reply) = 0;
};

struct HttpLimits {
  size_t max_head_bytes = 8 << 10;
  size_t max_connections = 64;
  int64_t request_timeout_ms = 10'000;  // from the first wait for a head to its end
  int64_t reply_timeout_ms = 30'000;    // for the client to take some more of a reply
};

class HttpServer {
 public:
  using Handler = Fn<HttpResponse(const HttpRequest&)>;
  using Reply = Fn<void(HttpResponse)>;
  // Answers when it can: the reply may be called at once or later, and does nothing once the client
  // has gone.
  using LaterHandler = Fn<void(const HttpRequest&, Reply reply)>;
  // Null: refused, with `refusal`; the body is then not read and the connection ends.
  using BodyHandler = Fn<std::unique_ptr<HttpBody>(const HttpRequest&, HttpResponse& refusal)>;

  explicit HttpServer(rt::World world, HttpLimits limits = {});
  ~HttpServer();
  // A path that ends in '/' serves all below it, where no longer one does. Before or after start.
  void route(const std::string& path, Handler handler);
  void route_later(const std::string& path, LaterHandler handler);
  void route_body(const std::string& path, BodyHandler handler);  // POST to the same path
  Result<void> start(const rt::Endpoint& at);
  uint16_t port() const { return listener_->port(); }
  size_t connections() const { return clients_.size(); }

 private:
  struct Client;
  struct Route {
    LaterHandler get;
    BodyHandler post;
  };
  void accept(std::unique_ptr<rt::Connection> connection);
  void read_more(Client& client);
  void on_input_end(Client& client);
  void serve(Client& client);
  void dispatch(Client& client, HttpRequest request);
  void begin_body(Client& client, Route& route, const HttpRequest& request);
  void feed_body(Client& client);
  Reply reply_of(Client& client);
  void reply(Client& client, HttpResponse response);
  void on_timeout(Client& client);
  void drop(Client& client);
  Route* find_route(const std::string& path);

  rt::World world_;
  HttpLimits limits_;
  std::map<std::string, Route> routes_;
  std::unique_ptr<rt::Listener> listener_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_id_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What a head asks for; status 0 when it is well formed, else the refusal.
struct ParsedHead {
  int status = 0;
  HttpRequest request;
  bool keep_alive = false;
};
ParsedHead parse_http_head(std::string_view head);

}  // namespace ottla::metrics
