// KafkaLink: a client's connection to the broker: one request at a time, an answer or none within
// its time. Connects when asked for something; after a failure the next request connects anew.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/rt/world.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "proto/kafka/headers.h"

namespace ottla::test {

class KafkaLink {
 public:
  KafkaLink(rt::World world, std::string client_id);

  // `done` gets the answer, valid during the call, or null: the request was carried out or was not.
  // An answer that does not decode is null too, and counted in garbage().
  template <class Response, class Request>
  void call(const Request& request, int16_t version, int64_t timeout_ms, Fn<void(Response*)> done) {
    wire::Writer writer;
    begin(writer, Request::kApiKey, version, version >= Request::kFlexibleFrom);
    OTTLA_CHECK(request.encode(writer, version));
    constexpr int16_t kApiVersions = 18;
    bool tagged_header = version >= Request::kFlexibleFrom && Request::kApiKey != kApiVersions;
    exchange(std::move(writer), timeout_ms,
             [this, version, tagged_header, asked = correlation_,
              done = std::move(done)](const Buffer* frame) mutable {
               if (frame == nullptr) return done(nullptr);
               wire::Reader reader(frame->bytes());
               kmsg::ResponseHeader header;
               Response response;
               if (!header.decode(reader, tagged_header ? 1 : 0) ||
                   header.correlation_id != asked || !response.decode(reader, version) ||
                   reader.remaining() != 0) {
                 ++garbage_;
                 return done(nullptr);
               }
               done(&response);
             });
  }
  void drop();  // closes; pending calls are forgotten
  bool connected() const { return connection_ != nullptr; }
  int garbage() const { return garbage_; }

 private:
  void begin(wire::Writer& writer, int16_t api, int16_t version, bool flexible);
  void exchange(wire::Writer request, int64_t timeout_ms, Fn<void(const Buffer*)> done);
  void read_more();
  void on_bytes(size_t count);
  void fail();

  rt::World world_;
  std::string client_id_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> connection_;
  std::unique_ptr<rt::Timer> deadline_;
  std::vector<Buffer> unsent_;  // until there is a connection
  std::deque<Fn<void(const Buffer*)>> done_;
  int64_t timeout_ms_ = 0;
  Buffer chunk_ = Buffer(16 << 10);
  Buffer in_;
  int32_t correlation_ = 0;
  int garbage_ = 0;
};

}  // namespace ottla::test
