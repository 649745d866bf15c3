#include "tools/admin_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/headers.h"

namespace ottla::tools {

using kmsg::ErrorCode;

namespace {

constexpr uint32_t kMaxResponseBytes = 256u << 20;
constexpr int64_t kConnectTimeoutMs = 10'000;

Failure disconnected(const std::string& why) {
  return {"org.apache.kafka.common.errors.DisconnectException", why, ErrorCode::network_exception};
}

// Waits until the descriptor is ready for `events` or the time is up.
bool wait_for(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    int64_t left = deadline_ms - monotonic_ms();
    if (left <= 0) return false;
    pollfd entry{fd, events, 0};
    int ready = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Outcome<void> send_all(int fd, Bytes bytes, int64_t deadline_ms) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline_ms)) return std::unexpected(disconnected("timed out"));
    } else if (errno != EINTR) {
      return std::unexpected(disconnected(std::strerror(errno)));
    }
  }
  return {};
}

Outcome<void> receive_all(int fd, MutBytes bytes, int64_t deadline_ms) {
  while (!bytes.empty()) {
    ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<size_t>(got));
    } else if (got == 0) {
      return std::unexpected(disconnected("closed by the broker"));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline_ms)) return std::unexpected(disconnected("timed out"));
    } else if (errno != EINTR) {
      return std::unexpected(disconnected(std::strerror(errno)));
    }
  }
  return {};
}

int connect_one(const addrinfo& address, int64_t deadline_ms) {
  int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    socklen_t size = sizeof error;
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_ms) ||
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      ::close(fd);
      return -1;
    }
  }
  int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

int64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// -- Failures ------------------------------------------------------------------------------------

std::string exception_of(ErrorCode code) {
  const std::string package = "org.apache.kafka.common.errors.";
  switch (code) {  // where the class is not named after the code
    case ErrorCode::unknown_server_error:
      return package + "UnknownServerException";
    case ErrorCode::topic_already_exists:
      return package + "TopicExistsException";
    case ErrorCode::request_timed_out:
      return package + "TimeoutException";
    case ErrorCode::invalid_topic_exception:
      return package + "InvalidTopicException";
    case ErrorCode::invalid_config:
      return package + "InvalidConfigurationException";
    case ErrorCode::message_too_large:
      return package + "RecordTooLargeException";
    case ErrorCode::coordinator_load_in_progress:
      return package + "CoordinatorLoadInProgressException";
    case ErrorCode::group_id_not_found:
      return package + "GroupIdNotFoundException";
    case ErrorCode::non_empty_group:
      return package + "GroupNotEmptyException";
    default:
      break;
  }
  std::string name;
  bool upper = true;
  for (char c : kmsg::error_name(code)) {
    if (c == '_') {
      upper = true;
    } else {
      name += upper || c < 'A' || c > 'Z' ? c : static_cast<char>(c - 'A' + 'a');
      upper = false;
    }
  }
  return package + name + "Exception";
}

Failure failure_of(ErrorCode code, const std::optional<std::string>& message) {
  return {exception_of(code), message ? *message : std::string(kmsg::error_message(code)), code};
}

bool is_retriable(ErrorCode code) {
  switch (code) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::leader_not_available:
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::request_timed_out:
    case ErrorCode::network_exception:
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator:
    case ErrorCode::not_controller:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::unstable_offset_commit:
      return true;
    default:
      return false;
  }
}

Failure AdminClient::unsupported(int16_t api_key) {
  return {"org.apache.kafka.common.errors.UnsupportedVersionException",
          fmt::format("The node does not support API {}", api_key), ErrorCode::unsupported_version};
}
Failure AdminClient::unsupported_field(const std::string& what) {
  return {"org.apache.kafka.common.errors.UnsupportedVersionException", what,
          ErrorCode::unsupported_version};
}
Failure AdminClient::malformed() {
  return {"org.apache.kafka.common.protocol.types.SchemaException",
          "The broker's answer could not be read", ErrorCode::unknown_server_error};
}
Failure AdminClient::timed_out(std::string_view call) {
  return {"org.apache.kafka.common.errors.TimeoutException",
          fmt::format("Timed out waiting for a node assignment. Call: {}", call),
          ErrorCode::request_timed_out};
}

Outcome<std::vector<HostPort>> parse_bootstrap(std::string_view list) {
  std::vector<HostPort> addresses;
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (one.empty()) continue;
    size_t scheme = one.find("://");
    if (scheme != std::string_view::npos) one.remove_prefix(scheme + 3);
    size_t colon = one.rfind(':');
    HostPort address;
    std::string_view port = colon == std::string_view::npos ? "" : one.substr(colon + 1);
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (port.empty() || error != std::errc{} || end != port.data() + port.size())
      return std::unexpected(Failure{"org.apache.kafka.common.config.ConfigException",
                                     fmt::format("Invalid url in bootstrap.servers: {}", one)});
    std::string_view host = one.substr(0, colon);
    if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
    address.host = host;
    addresses.push_back(std::move(address));
  }
  if (addresses.empty())
    return std::unexpected(Failure{"org.apache.kafka.common.config.ConfigException",
                                   "No resolvable bootstrap urls given in bootstrap.servers"});
  return addresses;
}

// -- One connection ------------------------------------------------------------------------------

Outcome<std::unique_ptr<BrokerConnection>> BrokerConnection::open(const HostPort& address,
                                                                  const std::string& client_id,
                                                                  int64_t deadline_ms) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string port = std::to_string(address.port);
  int error = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0)
    return std::unexpected(disconnected(fmt::format("{}: {}", address.host, gai_strerror(error))));
  int64_t connect_by = std::min(deadline_ms, monotonic_ms() + kConnectTimeoutMs);
  int fd = -1;
  for (addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next)
    fd = connect_one(*at, connect_by);
  ::freeaddrinfo(found);
  if (fd < 0)
    return std::unexpected(
        disconnected(fmt::format("{}:{} refused or unreachable", address.host, address.port)));
  std::unique_ptr<BrokerConnection> connection(new BrokerConnection(fd, client_id));
  if (auto learned = connection->learn_versions(deadline_ms); !learned)
    return std::unexpected(learned.error());
  return connection;
}

BrokerConnection::~BrokerConnection() { ::close(fd_); }

std::optional<int16_t> BrokerConnection::version(int16_t api_key, int16_t lowest,
                                                 int16_t highest) const {
  auto known = versions_.find(api_key);
  if (known == versions_.end()) return std::nullopt;
  int16_t version = std::min(highest, known->second.second);
  if (version < lowest || version < known->second.first) return std::nullopt;
  return version;
}

Outcome<void> BrokerConnection::learn_versions(int64_t deadline_ms) {
  kmsg::ApiVersionsRequest request;
  auto body = exchange(
      kmsg::ApiVersionsRequest::kApiKey, 0, false,
      [&](wire::Writer& writer) -> Outcome<void> {
        (void)request.encode(writer, 0);
        return {};
      },
      deadline_ms);
  if (!body) return std::unexpected(body.error());
  wire::Reader reader(body->bytes());
  kmsg::ApiVersionsResponse response;
  if (!response.decode(reader, 0)) return std::unexpected(disconnected("not a Kafka broker"));
  for (const auto& api : response.api_keys)
    versions_[api.api_key] = {api.min_version, api.max_version};
  return {};
}

Outcome<Buffer> BrokerConnection::exchange(int16_t api_key, int16_t api_version, bool is_flexible,
                                           const std::function<Outcome<void>(wire::Writer&)>& body,
                                           int64_t deadline_ms) {
  wire::Writer writer(256);
  writer.i32(0);
  kmsg::RequestHeader header;
  header.request_api_key = api_key;
  header.request_api_version = api_version;
  header.correlation_id = next_correlation_++;
  header.client_id = client_id_;
  (void)header.encode(writer, is_flexible ? 2 : 1);
  if (auto written = body(writer); !written) return std::unexpected(written.error());
  writer.patch_i32(0, static_cast<int32_t>(writer.size() - 4));
  if (auto sent = send_all(fd_, writer.bytes(), deadline_ms); !sent)
    return std::unexpected(sent.error());

  uint8_t size_bytes[4];
  if (auto got = receive_all(fd_, size_bytes, deadline_ms); !got)
    return std::unexpected(got.error());
  auto size = load_be<uint32_t>(size_bytes);
  if (size > kMaxResponseBytes) return std::unexpected(disconnected("not a Kafka broker"));
  Buffer answer(size);
  if (auto got = receive_all(fd_, answer.mutable_bytes(), deadline_ms); !got)
    return std::unexpected(got.error());
  wire::Reader reader(answer.bytes());
  kmsg::ResponseHeader response;
  bool has_tags = is_flexible && api_key != kmsg::ApiVersionsRequest::kApiKey;
  if (!response.decode(reader, has_tags ? 1 : 0) ||
      response.correlation_id != header.correlation_id)
    return std::unexpected(disconnected("not a Kafka broker"));
  answer.consume(reader.position());
  return answer;
}

// -- Who to ask
// ------------------------------------------------------------------------------------

Outcome<BrokerConnection*> AdminClient::connect(const HostPort& address, int32_t id,
                                                int64_t deadline_ms) {
  std::string key = fmt::format("{}:{}", address.host, address.port);
  auto known = connections_.find(key);
  if (known != connections_.end()) return known->second.get();
  auto opened = BrokerConnection::open(address, config_.client_id, deadline_ms);
  if (!opened) {
    if (config_.warn)
      config_.warn(
          fmt::format("Connection to node {} ({}/{}:{}) could not be established. Node may "
                      "not be available.",
                      id, address.host, address.host, address.port));
    return std::unexpected(opened.error());
  }
  return (connections_[key] = std::move(*opened)).get();
}

Outcome<BrokerConnection*> AdminClient::connect_any(int64_t deadline_ms) {
  Failure last = disconnected("no broker known");
  for (const auto& [id, node] : nodes_) {
    auto connection = connect(node.address, id, deadline_ms);
    if (connection) return connection;
  }
  int32_t id = -1;
  for (const HostPort& address : config_.bootstrap) {
    auto connection = connect(address, id--, deadline_ms);
    if (connection) return connection;
    last = connection.error();
  }
  return std::unexpected(last);
}

Outcome<void> AdminClient::refresh(int64_t deadline_ms) {
  auto connection = connect_any(deadline_ms);
  if (!connection) return std::unexpected(connection.error());
  kmsg::MetadataRequest request;
  request.topics.emplace();  // none: only the brokers
  request.allow_auto_topic_creation = false;
  auto version = (*connection)->version(kmsg::MetadataRequest::kApiKey, 1, request.kMaxVersion);
  if (!version) return std::unexpected(unsupported(kmsg::MetadataRequest::kApiKey));
  if (*version < 4) request.allow_auto_topic_creation = true;
  auto body =
      (*connection)
          ->exchange(
              request.kApiKey, *version, *version >= request.kFlexibleFrom,
              [&](wire::Writer& writer) { return encode(request, writer, *version); }, deadline_ms);
  if (!body) {
    disconnect(*connection);
    return std::unexpected(body.error());
  }
  auto response = decode<kmsg::MetadataResponse>(*body, *version);
  if (!response) return std::unexpected(response.error());
  nodes_.clear();
  for (const auto& broker : response->brokers)
    nodes_[broker.node_id] = {broker.node_id,
                              {broker.host, static_cast<uint16_t>(broker.port)},
                              broker.rack.value_or("")};
  controller_id_ = response->controller_id;
  return {};
}

Outcome<BrokerConnection*> AdminClient::connect_controller(int64_t deadline_ms) {
  if (controller_id_ < 0)
    if (auto known = refresh(deadline_ms); !known) return std::unexpected(known.error());
  return connect_broker(controller_id_, deadline_ms);
}

Outcome<BrokerConnection*> AdminClient::connect_broker(int32_t broker_id, int64_t deadline_ms) {
  if (!nodes_.contains(broker_id))
    if (auto known = refresh(deadline_ms); !known) return std::unexpected(known.error());
  auto node = nodes_.find(broker_id);
  if (node == nodes_.end()) return std::unexpected(disconnected("broker is not there"));
  return connect(node->second.address, broker_id, deadline_ms);
}

Outcome<BrokerConnection*> AdminClient::connect_coordinator(const std::string& group_id,
                                                            int64_t deadline_ms) {
  auto known = coordinators_.find(group_id);
  if (known != coordinators_.end())
    return connect(known->second.address, known->second.id, deadline_ms);
  auto connection = connect_any(deadline_ms);
  if (!connection) return connection;
  auto version = (*connection)->version(kmsg::FindCoordinatorRequest::kApiKey, 0, 6);
  if (!version) return std::unexpected(unsupported(kmsg::FindCoordinatorRequest::kApiKey));
  kmsg::FindCoordinatorRequest request;
  request.key_type = 0;
  if (*version >= 4)
    request.coordinator_keys = {group_id};
  else
    request.key = group_id;
  auto body =
      (*connection)
          ->exchange(
              request.kApiKey, *version, *version >= request.kFlexibleFrom,
              [&](wire::Writer& writer) { return encode(request, writer, *version); }, deadline_ms);
  if (!body) {
    disconnect(*connection);
    return std::unexpected(body.error());
  }
  auto response = decode<kmsg::FindCoordinatorResponse>(*body, *version);
  if (!response) return std::unexpected(response.error());
  auto take = [&](const auto& found) -> Outcome<BrokerConnection*> {
    if (found.error_code != ErrorCode::none)
      return std::unexpected(failure_of(found.error_code, found.error_message));
    Node node{found.node_id, {found.host, static_cast<uint16_t>(found.port)}, ""};
    coordinators_[group_id] = node;
    return connect(node.address, node.id, deadline_ms);
  };
  if (*version < 4) return take(*response);
  if (response->coordinators.empty()) return std::unexpected(malformed());
  return take(response->coordinators[0]);
}

void AdminClient::disconnect(BrokerConnection* connection) {
  std::erase_if(connections_, [&](const auto& entry) { return entry.second.get() == connection; });
}

bool AdminClient::back_off(int64_t deadline_ms) {
  controller_id_ = -1;
  coordinators_.clear();
  nodes_.clear();
  int64_t left = deadline_ms - monotonic_ms();
  if (left <= 0) return false;
  ::usleep(static_cast<useconds_t>(std::min(left, config_.retry_backoff_ms) * 1000));
  return monotonic_ms() < deadline_ms;
}

Outcome<kmsg::MetadataResponse> AdminClient::metadata(
    std::string_view call, const std::optional<std::vector<std::string>>& topics) {
  kmsg::MetadataRequest request;
  if (topics) {
    request.topics.emplace();
    for (const std::string& name : *topics) request.topics->emplace_back().name = name;
  } else {
    request.topics.reset();
  }
  request.allow_auto_topic_creation = false;
  return any<kmsg::MetadataResponse>(call, request);
}

Outcome<std::map<int32_t, AdminClient::Node>> AdminClient::nodes(std::string_view call) {
  int64_t deadline = deadline_ms();
  for (;;) {
    auto known = refresh(deadline);
    if (known) return nodes_;
    if (!is_retriable(known.error().code)) return std::unexpected(known.error());
    if (!back_off(deadline)) return std::unexpected(timed_out(call));
  }
}

Outcome<AdminClient::Node> AdminClient::coordinator_node(std::string_view call,
                                                         const std::string& group_id) {
  int64_t deadline = deadline_ms();
  for (;;) {
    auto connection = connect_coordinator(group_id, deadline);
    if (connection) return coordinators_.at(group_id);
    if (!is_retriable(connection.error().code)) return std::unexpected(connection.error());
    if (!back_off(deadline)) return std::unexpected(timed_out(call));
  }
}

}  // namespace ottla::tools
