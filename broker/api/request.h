// Request: one request on its way through the broker: its header, its bytes, and the way back.
// Every handler ends by calling exactly one of reply(), reply_nothing(), close(); a Request that is
// dropped without any closes its connection, so that no client waits for ever. However it ends and
// whether its client is still there, its bytes count as held until it does. Loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/api/buffer_pool.h"
#include "common/base/fn.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/rt/world.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

// The connection, as a request sees it.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // The answer to the request in flight; empty: there is none to send.
  virtual void on_reply(std::vector<rt::OutPiece> pieces) = 0;
  virtual void on_close() = 0;
  virtual void on_dropped() = 0;  // nobody will answer it
};

// What all requests of a connection share.
struct ClientInfo {
  uint64_t connection_id = 0;
  std::string host;                             // as Kafka prints it: "/127.0.0.1"
  std::string listener_name;                    // "PLAINTEXT"
  std::string software_name, software_version;  // from ApiVersions v3 on
  std::shared_ptr<BufferPool> pool;
  // Gives back what was reserved for a request's bytes, once they are held no longer.
  std::function<void(size_t)> release_bytes;
  bool is_gone = false;  // nobody is there to read an answer
  // Gives up what the request in flight waits for; called when the connection ends before its
  // answer.
  Fn<void()> cancel;
};

class Request {
 public:
  Request(std::weak_ptr<ReplySink> sink, std::shared_ptr<ClientInfo> client, Buffer frame)
      : sink_(std::move(sink)), client_(std::move(client)), frame_(std::move(frame)) {}
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Reads the header. False: not one that this broker can answer; the connection is to be closed.
  bool parse_header();

  kmsg::ApiKey api() const { return info_->key; }
  const kmsg::ApiInfo& info() const { return *info_; }
  int16_t version() const { return version_; }
  bool is_inter_broker() const;
  int32_t correlation_id() const { return correlation_id_; }
  const std::optional<std::string>& client_id() const { return client_id_; }
  std::string_view client_id_text() const {
    return client_id_ ? std::string_view(*client_id_) : std::string_view();
  }
  ClientInfo& client() { return *client_; }
  const std::shared_ptr<ClientInfo>& shared_client() const { return client_; }
  // Set when the version is one nobody speaks, for ApiVersions alone, which answers that.
  bool unsupported_version() const { return unsupported_version_; }
  Bytes body() const { return frame_.bytes().subspan(body_at_); }
  // The same bytes to be edited in place; what was decoded from body() borrows from them.
  MutBytes editable(Bytes part_of_body) {
    return {frame_.data() + (part_of_body.data() - frame_.data()), part_of_body.size()};
  }
  size_t frame_bytes() const { return frame_.size(); }
  // Will somebody read the answer? Long work for one that nobody awaits may be left undone, but for
  // a Produce with acks=0.
  bool is_awaited() const { return !client_->is_gone; }

  Instant received;

  // `response` has encode(writer, version). `externals[i]` goes where the encoding left the mark i.
  template <class Response>
  void reply(const Response& response, std::vector<rt::OutPiece> externals = {}) {
    reply_at(response, version_, std::move(externals));
  }
  // The same, with a body of another version than was asked for (ApiVersions).
  template <class Response>
  void reply_at(const Response& response, int16_t version,
                std::vector<rt::OutPiece> externals = {}) {
    wire::Writer writer(begin_capacity());
    begin_reply(writer);
    Result<void> encoded = response.encode(writer, version);
    finish_reply(writer, encoded, std::move(externals));
  }
  void reply_nothing();
  void close();
  void close_as_malformed();  // with a line in the log

 private:
  static size_t begin_capacity() { return 512; }
  void begin_reply(wire::Writer& writer);
  void finish_reply(wire::Writer& writer, const Result<void>& encoded,
                    std::vector<rt::OutPiece> externals);

  std::weak_ptr<ReplySink> sink_;
  std::shared_ptr<ClientInfo> client_;
  Buffer frame_;
  size_t body_at_ = 0;
  const kmsg::ApiInfo* info_ = nullptr;
  int16_t version_ = 0;
  int32_t correlation_id_ = 0;
  std::optional<std::string> client_id_;
  bool unsupported_version_ = false;
  bool answered_ = false;
};

using RequestPtr = std::unique_ptr<Request>;

// Elements that all arrays of a request together may have. Each costs a microsecond or two and up
// to a few KB until it is answered, in one turn of the loop; bytes alone (socket.request.max.bytes)
// would let one request ask for 50 million. As many as the most partitions that a cluster with
// ZooKeeper is said to hold. What brokers tell each other is not limited: they name each partition
// of a cluster with its replicas.
inline constexpr size_t kMaxElements = 200'000;

// The request's body as a message, or nothing: then the connection was closed.
template <class Message>
bool decode(Request& request, Message& message) {
  wire::Reader reader(request.body());
  if (!request.is_inter_broker()) reader.limit_elements(kMaxElements);
  if (message.decode(reader, request.version())) return true;
  request.close_as_malformed();
  return false;
}

}  // namespace ottla::broker
