// The way back of a request: what cannot be sent closes its connection, and nothing else.
#include "broker/api/request.h"

#include <catch2/catch.hpp>

#include "common/base/bytes.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

struct Sink final : ReplySink {
  size_t replies = 0, closes = 0;
  void on_reply(std::vector<rt::OutPiece>) override { ++replies; }
  void on_close() override { ++closes; }
};

// An answer of which so many bytes lie in a file.
struct Answer {
  uint64_t bytes = 0;
  Result<void> encode(wire::Writer& writer, int16_t) const {
    writer.mark_external(0, bytes);
    return {};
  }
};

}  // namespace

TEST_CASE("an answer that no frame can hold closes its connection") {
  auto sink = std::make_shared<Sink>();
  auto ask = [&](uint64_t bytes) {
    wire::Writer frame;
    frame.i16(static_cast<int16_t>(kmsg::ApiKey::metadata));
    frame.i16(0);
    frame.i32(7);
    frame.i16(-1);
    Request request(sink, std::make_shared<ClientInfo>(), frame.take());
    REQUIRE(request.parse_header());
    std::vector<rt::OutPiece> pieces;
    pieces.emplace_back(rt::FileSlice{nullptr, 0, bytes});
    request.reply(Answer{bytes}, std::move(pieces));
  };
  ask(INT32_MAX - 4);
  CHECK(sink->replies == 1);
  CHECK(sink->closes == 0);
  ask(INT32_MAX - 3);
  CHECK(sink->replies == 1);
  CHECK(sink->closes == 1);
}
