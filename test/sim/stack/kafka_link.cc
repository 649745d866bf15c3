#include "test/sim/stack/kafka_link.h"

#include "common/base/endian.h"

namespace ottla::test {

KafkaLink::KafkaLink(rt::World world, std::string client_id)
    : world_(world), client_id_(std::move(client_id)) {
  deadline_ = world_.loop.make_timer([this] { fail(); });
}

void KafkaLink::begin(wire::Writer& writer, int16_t api, int16_t version, bool flexible) {
  kmsg::RequestHeader header;
  header.request_api_key = api;
  header.request_api_version = version;
  header.correlation_id = ++correlation_;
  header.client_id = client_id_;
  writer.i32(0);
  OTTLA_CHECK(header.encode(writer, flexible ? 2 : 1));
}

void KafkaLink::exchange(wire::Writer request, int64_t timeout_ms, Fn<void(const Buffer*)> done) {
  request.patch_i32(0, static_cast<int32_t>(request.size() - 4));
  done_.push_back(std::move(done));
  timeout_ms_ = timeout_ms;
  deadline_->arm_at(after_ms(world_.loop.now(), timeout_ms));
  if (connection_) return connection_->send(request.take());
  unsent_.push_back(request.take());
  if (attempt_) return;
  attempt_ =
      world_.net.connect({"broker", 9092}, [this](Result<std::unique_ptr<rt::Connection>> got) {
        if (!got) return fail();
        connection_ = std::move(*got);
        in_.clear();
        for (Buffer& one : unsent_) connection_->send(std::move(one));
        unsent_.clear();
        read_more();
      });
}

void KafkaLink::read_more() {
  connection_->read(chunk_.mutable_bytes(), [this](Result<size_t> got) {
    if (!got || *got == 0) return fail();
    on_bytes(*got);
  });
}

void KafkaLink::on_bytes(size_t count) {
  in_.append(chunk_.bytes().first(count));
  while (in_.size() >= 4) {
    auto length = static_cast<size_t>(load_be<int32_t>(in_.data()));
    if (in_.size() - 4 < length) break;
    if (done_.empty()) {  // nothing was asked that this could answer
      ++garbage_;
      return fail();
    }
    Buffer frame(in_.bytes().subspan(4, length));
    in_.consume(4 + length);
    auto done = std::move(done_.front());
    done_.pop_front();
    if (done_.empty()) {
      deadline_->cancel();
    } else {
      deadline_->arm_at(after_ms(world_.loop.now(), timeout_ms_));
    }
    done(&frame);
    if (!connection_) return;
  }
  read_more();
}

void KafkaLink::fail() {
  auto lost = std::exchange(done_, {});
  drop();
  for (auto& done : lost) done(nullptr);
}

void KafkaLink::drop() {
  deadline_->cancel();
  attempt_.reset();
  connection_.reset();
  unsent_.clear();
  done_.clear();
}

}  // namespace ottla::test
