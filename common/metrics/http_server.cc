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
  // Of the request that is served.
  bool busy = false;      // from its head until its answer is given
  bool replying = false;  // the next request waits until this reply is taken
  uint64_t unsent = 0;    // of it, when the timer was set
  bool head_only = false;
  bool keep = false;
  std::unique_ptr<HttpBody> body;
  uint64_t body_left = 0;
  // Of the connection.
  bool input_ended = false;  // the client sends no more; what it asked for is still given
  bool reading = false;
  bool closing = false;
};

namespace {

constexpr int64_t kAnswerMaxMs = 600'000;

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
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
HttpServer::~HttpServer() { *alive_ = false; }

void HttpServer::route(const std::string& path, Handler handler) {
  route_later(path,
              [handler = std::move(handler)](const HttpRequest& request, Reply reply) mutable {
                reply(handler(request));
              });
}

void HttpServer::route_later(const std::string& path, LaterHandler handler) {
  routes_[path].get = std::move(handler);
}

void HttpServer::route_body(const std::string& path, BodyHandler handler) {
  routes_[path].post = std::move(handler);
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
  client.timeout = world_.loop.make_timer([this, &client] { on_timeout(client); });
  client.timeout->arm_at(after_ms(world_.loop.now(), limits_.request_timeout_ms));
  client.connection->on_drained([this, &client] {
    client.replying = false;
    if (client.closing) return;
    client.timeout->arm_at(after_ms(world_.loop.now(), limits_.request_timeout_ms));
    serve(client);
    if (client.input_ended && !client.busy && !client.replying) drop(client);
  });
  // Nothing is read any more once the client has ended its half; the timer's turn drops it.
  client.connection->on_send_error(
      [this, &client](const Error&) { client.timeout->arm_at(world_.loop.now()); });
  clients_.emplace(client.id, std::move(owned));
  if (too_many) {
    client.keep = false;
    reply(client, refusal(503));
  }
  read_more(client);
}

void HttpServer::read_more(Client& client) {
  if (client.reading) return;
  client.reading = true;
  client.connection->read(client.buffer.mutable_bytes(), [this, &client](Result<size_t> got) {
    client.reading = false;
    if (!got) return drop(client);
    if (*got == 0) return on_input_end(client);
    if (client.body)
      client.timeout->arm_at(after_ms(world_.loop.now(), limits_.request_timeout_ms));
    client.input += as_text(client.buffer.bytes().first(*got));
    // While an answer is awaited or on its way, only as much as one head is taken in ahead.
    bool ahead = client.replying || (client.busy && !client.body);
    if (ahead && client.input.size() > limits_.max_head_bytes) return drop(client);
    serve(client);
    read_more(client);
  });
}

// A client may close its half once it has asked: what it asked for is still sent. The next read (of
// a connection that closes after its reply) ends when that is over.
void HttpServer::on_input_end(Client& client) {
  client.input_ended = true;
  bool owed = client.replying || (client.busy && !client.body);
  if (!owed) return drop(client);
  if (client.closing) read_more(client);
}

void HttpServer::serve(Client& client) {
  if (client.body) return feed_body(client);
  if (client.busy || client.replying || client.closing) return;
  // Empty lines before a request are ignored (RFC 9112, 2.2).
  client.input.erase(0, std::min(client.input.find_first_not_of("\r\n"), client.input.size()));
  size_t length = head_length(client.input);
  client.keep = false;
  client.head_only = false;
  if (length == 0 ? client.input.size() > limits_.max_head_bytes : length > limits_.max_head_bytes)
    return reply(client, refusal(431));
  if (length == 0) return;
  ParsedHead head = parse_http_head(std::string_view(client.input).substr(0, length));
  client.input.erase(0, length);
  client.busy = true;
  client.head_only = head.request.method == "HEAD";
  client.keep = head.keep_alive;
  if (head.status != 0) return reply(client, refusal(head.status));
  head.request.peer = client.connection->peer().host;
  dispatch(client, std::move(head.request));
}

void HttpServer::dispatch(Client& client, HttpRequest request) {
  bool get = request.method == "GET" || request.method == "HEAD";
  bool post = request.method == "POST";
  Route* route = find_route(request.path);
  // Only a route that takes a body may have one: else it would be taken for the next request.
  if (request.body_bytes != 0 && !(post && route != nullptr && route->post)) {
    client.keep = false;
    return reply(client, refusal(413));
  }
  if (request.method == "TRACE") return reply(client, refusal(403));
  if (route == nullptr) return reply(client, refusal(get || post ? 404 : 405));
  std::string allow = route->post ? "GET, HEAD, POST, OPTIONS" : "GET, HEAD, OPTIONS";
  if (request.method == "OPTIONS") {
    HttpResponse options{.content_type = ""};
    options.headers.emplace_back("Allow", allow);
    return reply(client, std::move(options));
  }
  if (post && route->post) return begin_body(client, *route, request);
  if (get && route->get) return route->get(request, reply_of(client));
  HttpResponse response = refusal(405);
  response.headers.emplace_back("Allow", allow);
  reply(client, std::move(response));
}

void HttpServer::begin_body(Client& client, Route& route, const HttpRequest& request) {
  HttpResponse refused = refusal(403);
  client.body = route.post(request, refused);
  client.body_left = request.body_bytes;
  if (!client.body) {
    if (request.body_bytes != 0) client.keep = false;
    return reply(client, std::move(refused));
  }
  auto expect = request.headers.find("expect");
  if (expect != request.headers.end() && client.input.empty() && client.body_left != 0)
    client.connection->send(Buffer(as_bytes(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"))));
  feed_body(client);
}

void HttpServer::feed_body(Client& client) {
  if (client.body_left != 0) {
    size_t piece = static_cast<size_t>(std::min<uint64_t>(client.body_left, client.input.size()));
    if (piece == 0) return;
    auto taken = client.body->take(as_bytes(std::string_view(client.input).substr(0, piece)));
    client.input.erase(0, piece);
    client.body_left -= piece;
    if (!taken) {
      client.body.reset();
      client.keep = false;
      return reply(client, refusal(500));
    }
    if (client.body_left != 0) return;
  }
  // The handler lives until it has answered: what it owns may be what answers.
  auto body = std::shared_ptr<HttpBody>(std::move(client.body));
  client.timeout->cancel();
  Reply answered = reply_of(client);
  body->finish([body, answered = std::move(answered)](HttpResponse response) mutable {
    answered(std::move(response));
  });
}

HttpServer::Reply HttpServer::reply_of(Client& client) {
  // Whoever asked may wait as long as the answer takes, but not hold its place for ever.
  client.timeout->arm_at(after_ms(world_.loop.now(), kAnswerMaxMs));
  return [this, alive = alive_, id = client.id](HttpResponse response) {
    if (!*alive) return;
    auto found = clients_.find(id);
    if (found != clients_.end() && found->second->busy) reply(*found->second, std::move(response));
  };
}

HttpServer::Route* HttpServer::find_route(const std::string& path) {
  auto exact = routes_.find(path);
  if (exact != routes_.end()) return &exact->second;
  for (size_t slash = path.rfind('/'); slash != std::string::npos;
       slash = slash == 0 ? std::string::npos : path.rfind('/', slash - 1)) {
    auto found = routes_.find(path.substr(0, slash + 1));
    // "/" alone is a page, not the parent of everything.
    if (slash > 0 && found != routes_.end()) return &found->second;
  }
  return nullptr;
}

void HttpServer::reply(Client& client, HttpResponse response) {
  uint64_t length = response.body.size() + (response.file ? response.file->length : 0);
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  if (!response.content_type.empty())
    text += fmt::format("Content-Type: {}\r\n", response.content_type);
  for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
  text += fmt::format("Content-Length: {}\r\nConnection: {}\r\n\r\n", length,
                      client.keep ? "keep-alive" : "close");
  if (!client.head_only) text += response.body;
  client.busy = false;
  client.replying = true;
  client.timeout->arm_at(after_ms(world_.loop.now(), limits_.reply_timeout_ms));
  std::vector<rt::OutPiece> pieces;
  pieces.emplace_back(Buffer(as_bytes(text)));
  if (response.file && response.file->length != 0 && !client.head_only)
    pieces.emplace_back(std::move(*response.file));
  client.connection->send(std::move(pieces));
  client.unsent = client.connection->unsent_bytes();
  if (client.keep) return;
  // The pending read ends when the reply has been taken, or the timer does it.
  client.closing = true;
  client.connection->close_after_send();
  if (client.input_ended) read_more(client);
}

// A large reply may take long, as long as some of it is taken.
void HttpServer::on_timeout(Client& client) {
  uint64_t unsent = client.connection->unsent_bytes();
  if (!client.replying || unsent == 0 || unsent >= client.unsent) return drop(client);
  client.unsent = unsent;
  client.timeout->arm_at(after_ms(world_.loop.now(), limits_.reply_timeout_ms));
}

void HttpServer::drop(Client& client) { clients_.erase(client.id); }

}  // namespace ottla::metrics
