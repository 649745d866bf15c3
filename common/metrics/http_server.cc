#include "common/metrics/http_server.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::metrics {

struct HttpServer::Client {
  uint64_t id = 0;
  std::unique_ptr<rt::Connection> connection;
  std::unique_ptr<rt::Timer> timeout;
  Buffer buffer{4096};
  std::string input;
  bool replying = false;  // the next request waits until this reply is taken
  bool closing = false;
};

namespace {

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

HttpResponse refusal(int status) {
  HttpResponse response;
  response.status = status;
  response.body = fmt::format("{} {}\n", status, reason(status));
  return response;
}

// The length of the head with its empty line; 0 when that is not there yet.
size_t head_length(std::string_view input) {
  for (size_t at = input.find('\n'); at != std::string_view::npos; at = input.find('\n', at + 1)) {
    if (input.substr(at + 1, 1) == "\n") return at + 2;
    if (input.substr(at + 1, 2) == "\r\n") return at + 3;
  }
  return 0;
}

}  // namespace

HttpServer::HttpServer(rt::World world, HttpLimits limits) : world_(world), limits_(limits) {}
HttpServer::~HttpServer() = default;

void HttpServer::route(const std::string& path, Handler handler) {
  routes_[path] = std::move(handler);
}

Result<void> HttpServer::start(const rt::Endpoint& at) {
  OTTLA_ASSIGN(listener_, world_.net.listen(at, [this](std::unique_ptr<rt::Connection> connection) {
    accept(std::move(connection));
  }));
  return {};
}

void HttpServer::accept(std::unique_ptr<rt::Connection> connection) {
  // Some above the limit are told so; far above it there is no point in being polite.
  if (clients_.size() >= limits_.max_connections + 16) return;
  bool too_many = clients_.size() >= limits_.max_connections;
  auto owned = std::make_unique<Client>();
  Client& client = *owned;
  client.id = next_id_++;
  client.connection = std::move(connection);
  client.timeout = world_.loop.make_timer([this, &client] { drop(client); });
  client.timeout->arm_at(after_ms(world_.loop.now(), limits_.request_timeout_ms));
  client.connection->on_drained([this, &client] {
    client.replying = false;
    client.timeout->arm_at(after_ms(world_.loop.now(), limits_.request_timeout_ms));
    if (!client.closing) serve(client);
  });
  clients_.emplace(client.id, std::move(owned));
  if (too_many) reply(client, refusal(503), false, false);
  read_more(client);
}

void HttpServer::read_more(Client& client) {
  client.connection->read(client.buffer.mutable_bytes(), [this, &client](Result<size_t> got) {
    if (!got || *got == 0) return drop(client);
    client.input += as_text(client.buffer.bytes().first(*got));
    // While a reply is on its way, only as much as one head is taken in ahead.
    if (client.replying && client.input.size() > limits_.max_head_bytes) return drop(client);
    serve(client);
    read_more(client);
  });
}

void HttpServer::serve(Client& client) {
  if (client.replying || client.closing) return;
  // Empty lines before a request are ignored (RFC 9112, 2.2).
  client.input.erase(0, std::min(client.input.find_first_not_of("\r\n"), client.input.size()));
  size_t length = head_length(client.input);
  if (length == 0 ? client.input.size() > limits_.max_head_bytes : length > limits_.max_head_bytes)
    return reply(client, refusal(431), false, false);
  if (length == 0) return;
  ParsedHead head = parse_http_head(std::string_view(client.input).substr(0, length));
  client.input.erase(0, length);
  bool head_only = head.request.method == "HEAD";
  reply(client, head.status != 0 ? refusal(head.status) : answer(head.request), head_only,
        head.keep_alive);
}

HttpResponse HttpServer::answer(const HttpRequest& request) {
  if (auto exact = routes_.find(request.path); exact != routes_.end())
    return exact->second(request);
  for (size_t slash = request.path.rfind('/'); slash != std::string::npos;
       slash = slash == 0 ? std::string::npos : request.path.rfind('/', slash - 1)) {
    auto found = routes_.find(request.path.substr(0, slash + 1));
    // "/" alone is a page, not the parent of everything.
    if (slash > 0 && found != routes_.end()) return found->second(request);
  }
  return refusal(404);
}

void HttpServer::reply(Client& client, const HttpResponse& response, bool head_only, bool keep) {
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: {}\r\n\r\n",
      response.status, reason(response.status), response.content_type, response.body.size(),
      response.status == 405 ? "Allow: GET, HEAD\r\n" : "", keep ? "keep-alive" : "close");
  if (!head_only) text += response.body;
  client.replying = true;
  client.timeout->arm_at(after_ms(world_.loop.now(), limits_.reply_timeout_ms));
  client.connection->send(Buffer(as_bytes(text)));
  if (keep) return;
  // The pending read ends when the reply has been taken, or the timer does it.
  client.closing = true;
  client.connection->close_after_send();
}

void HttpServer::drop(Client& client) { clients_.erase(client.id); }

}  // namespace ottla::metrics
