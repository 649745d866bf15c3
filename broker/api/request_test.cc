// The way back of a request: what cannot be sent closes its connection, and nothing else.
#include "broker/api/request.h"

#include <catch2/catch.hpp>

#include "common/base/bytes.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/kafka/update_metadata.h"

using namespace ottla;
using namespace ottla::broker;

namespace {

struct Sink final : ReplySink {
  size_t replies = 0, closes = 0;
  void on_reply(std::vector<rt::OutPiece>) override { ++replies; }
  void on_close() override { ++closes; }
  void on_dropped() override { ++closes; }
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

TEST_CASE("a client's request names no more than so much") {
  auto sink = std::make_shared<Sink>();
  auto decodes = [&](kmsg::ApiKey key, auto message, int16_t version) {
    wire::Writer frame;
    frame.i16(static_cast<int16_t>(key));
    frame.i16(version);
    frame.i32(7);
    frame.i16(-1);
    REQUIRE(message.encode(frame, version));
    Request request(sink, std::make_shared<ClientInfo>(), frame.take());
    REQUIRE(request.parse_header());
    decltype(message) again;
    bool done = decode(request, again);
    if (done) request.reply_nothing();
    return done;
  };
  kmsg::OffsetFetchRequest offsets;
  offsets.group_id = "g";
  offsets.topics.emplace().resize(2);
  for (auto& topic : *offsets.topics) topic.partition_indexes.resize((kMaxElements - 2) / 2);
  CHECK(decodes(kmsg::ApiKey::offset_fetch, offsets, 1));
  CHECK(sink->closes == 0);
  offsets.topics->back().partition_indexes.push_back(0);
  CHECK_FALSE(decodes(kmsg::ApiKey::offset_fetch, offsets, 1));
  CHECK(sink->closes == 1);

  kmsg::UpdateMetadataRequest cluster;
  cluster.ungrouped_partition_states.resize(kMaxElements + 1);
  CHECK(decodes(kmsg::ApiKey::update_metadata, cluster, 0));
}
