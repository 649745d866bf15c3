// AdminClient: a blocking Kafka client for command-line tools. One thread, POSIX sockets, the
// generated codecs. It finds brokers from the bootstrap list, the controller and coordinators from
// them, agrees on versions with each, and tries again what the protocol calls retriable until the
// API timeout. Not for servers: those use common/rt.
// Source: Kafka protocol guide; KIP-117, KIP-518, KIP-709.
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/metadata.h"

namespace ottla::tools {

// What went wrong, in the words of Apache's client: class of its exception and the message.
struct Failure {
  std::string exception;
  std::string message;
  kmsg::ErrorCode code = kmsg::ErrorCode::unknown_server_error;
};
template <class T>
using Outcome = std::expected<T, Failure>;

// "org.apache.kafka.common.errors.TopicExistsException" for TOPIC_ALREADY_EXISTS.
std::string exception_of(kmsg::ErrorCode code);
// message: what the broker said; null: the code's own.
Failure failure_of(kmsg::ErrorCode code, const std::optional<std::string>& message = std::nullopt);
bool is_retriable(kmsg::ErrorCode code);

struct HostPort {
  std::string host;
  uint16_t port = 0;
};
// "host:port,host:port", IPv6 in brackets.
Outcome<std::vector<HostPort>> parse_bootstrap(std::string_view list);

// One connection to a broker, versions agreed.
class BrokerConnection {
 public:
  static Outcome<std::unique_ptr<BrokerConnection>> open(const HostPort& address,
                                                         const std::string& client_id,
                                                         int64_t deadline_ms);
  ~BrokerConnection();
  BrokerConnection(const BrokerConnection&) = delete;
  BrokerConnection& operator=(const BrokerConnection&) = delete;

  // The newest version both know within [lowest, highest]; null: none, or no such API.
  std::optional<int16_t> version(int16_t api_key, int16_t lowest, int16_t highest) const;
  // Sends a frame (length left open in front), gives back the body of its answer.
  Outcome<Buffer> exchange(int16_t api_key, int16_t api_version, bool is_flexible,
                           const std::function<Outcome<void>(wire::Writer&)>& body,
                           int64_t deadline_ms);

 private:
  BrokerConnection(int fd, std::string client_id) : fd_(fd), client_id_(std::move(client_id)) {}
  Outcome<void> learn_versions(int64_t deadline_ms);

  int fd_;
  std::string client_id_;
  int32_t next_correlation_ = 1;
  std::map<int16_t, std::pair<int16_t, int16_t>> versions_;
};

int64_t monotonic_ms();

class AdminClient {
 public:
  struct Config {
    std::vector<HostPort> bootstrap;
    std::string client_id = "adminclient-1";
    int64_t api_timeout_ms = 60'000;
    int64_t retry_backoff_ms = 100;
    std::function<void(const std::string&)> warn;  // connections that failed
  };
  struct Node {
    int32_t id = -1;
    HostPort address;
    std::string rack;
  };
  explicit AdminClient(Config config) : config_(std::move(config)) {}

  // Sends to the least demanding broker that answers, to the controller, to a group's coordinator,
  // or to a broker by id. `call` names the operation in time-outs, as Apache's client does.
  template <class Response, class Request>
  Outcome<Response> any(std::string_view call, const Request& request,
                        int16_t highest = Request::kMaxVersion) {
    return run<Response>(call, request, highest,
                         [this](int64_t deadline_ms) { return connect_any(deadline_ms); });
  }
  template <class Response, class Request>
  Outcome<Response> controller(std::string_view call, const Request& request,
                               int16_t highest = Request::kMaxVersion) {
    return run<Response>(call, request, highest,
                         [this](int64_t deadline_ms) { return connect_controller(deadline_ms); });
  }
  template <class Response, class Request>
  Outcome<Response> coordinator(std::string_view call, const std::string& group_id,
                                const Request& request, int16_t highest = Request::kMaxVersion) {
    return run<Response>(call, request, highest, [this, &group_id](int64_t deadline_ms) {
      return connect_coordinator(group_id, deadline_ms);
    });
  }
  template <class Response, class Request>
  Outcome<Response> broker(std::string_view call, int32_t broker_id, const Request& request,
                           int16_t highest = Request::kMaxVersion) {
    return run<Response>(call, request, highest, [this, broker_id](int64_t deadline_ms) {
      return connect_broker(broker_id, deadline_ms);
    });
  }

  // The same to the controller, again while one of `results` (a member of the response) names a
  // refusal by a broker that is not controller any more. The first other refusal is the failure.
  template <class Response, class Request, class Results>
  Outcome<Response> settle(std::string_view call, const Request& request,
                           Results Response::* results, int16_t highest = Request::kMaxVersion) {
    for (int64_t deadline = deadline_ms();;) {
      auto response = controller<Response>(call, request, highest);
      if (!response) return response;
      auto refused = std::ranges::find_if((*response).*results, [](const auto& result) {
        return result.error_code != kmsg::ErrorCode::none;
      });
      if (refused == std::ranges::end((*response).*results)) return response;
      if (refused->error_code != kmsg::ErrorCode::not_controller || !back_off(deadline))
        return std::unexpected(failure_of(refused->error_code, refused->error_message));
    }
  }

  // All topics when null. Never creates any.
  Outcome<kmsg::MetadataResponse> metadata(std::string_view call,
                                           const std::optional<std::vector<std::string>>& topics);
  Outcome<std::map<int32_t, Node>> nodes(std::string_view call);
  Outcome<Node> coordinator_node(std::string_view call, const std::string& group_id);
  // After a retriable refusal: forgets who leads and coordinates, sleeps; false once time is up.
  bool back_off(int64_t deadline_ms);
  int64_t deadline_ms() const { return monotonic_ms() + config_.api_timeout_ms; }
  const Config& config() const { return config_; }

 private:
  using Connect = std::function<Outcome<BrokerConnection*>(int64_t deadline_ms)>;

  // One request, tried again while it cannot be delivered. Error codes inside are the caller's.
  template <class Response, class Request>
  Outcome<Response> run(std::string_view call, const Request& request, int16_t highest,
                        const Connect& connect) {
    int64_t deadline = deadline_ms();
    for (;;) {
      auto connection = connect(deadline);
      if (connection) {
        auto version = (*connection)->version(Request::kApiKey, Request::kMinVersion, highest);
        if (!version) return std::unexpected(unsupported(Request::kApiKey));
        auto body = (*connection)
                        ->exchange(
                            Request::kApiKey, *version, *version >= Request::kFlexibleFrom,
                            [&](wire::Writer& writer) { return encode(request, writer, *version); },
                            deadline);
        if (body) return decode<Response>(*body, *version);
        if (body.error().code == kmsg::ErrorCode::unsupported_version)
          return std::unexpected(body.error());
        disconnect(*connection);
      } else if (!is_retriable(connection.error().code)) {
        return std::unexpected(connection.error());
      }
      if (!back_off(deadline)) return std::unexpected(timed_out(call));
    }
  }
  template <class Request>
  static Outcome<void> encode(const Request& request, wire::Writer& writer, int16_t version) {
    if (auto encoded = request.encode(writer, version); !encoded)
      return std::unexpected(unsupported_field(encoded.error().context));
    return {};
  }
  template <class Response>
  static Outcome<Response> decode(const Buffer& body, int16_t version) {
    wire::Reader reader(body.bytes());
    Response response;
    if (!response.decode(reader, version)) return std::unexpected(malformed());
    return response;
  }
  static Failure unsupported(int16_t api_key);
  static Failure unsupported_field(const std::string& what);
  static Failure malformed();
  static Failure timed_out(std::string_view call);

  Outcome<BrokerConnection*> connect_any(int64_t deadline_ms);
  Outcome<BrokerConnection*> connect_controller(int64_t deadline_ms);
  Outcome<BrokerConnection*> connect_coordinator(const std::string& group_id, int64_t deadline_ms);
  Outcome<BrokerConnection*> connect_broker(int32_t broker_id, int64_t deadline_ms);
  Outcome<BrokerConnection*> connect(const HostPort& address, int32_t id, int64_t deadline_ms);
  Outcome<void> refresh(int64_t deadline_ms);
  void disconnect(BrokerConnection* connection);

  Config config_;
  std::map<std::string, std::unique_ptr<BrokerConnection>> connections_;  // by "host:port"
  std::map<int32_t, Node> nodes_;
  int32_t controller_id_ = -1;
  std::map<std::string, Node> coordinators_;
};

}  // namespace ottla::tools
