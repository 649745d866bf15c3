// Produce, Fetch and OffsetForLeaderEpoch: refusals of one partition and of a whole request, what
// clients of old versions get.
#include "broker/record/batch_format.h"
#include "common/base/endian.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/list_offsets.h"
#include "proto/kafka/offset_for_leader_epoch.h"
#include "test/sim/api/api_world.h"

namespace ottla::test {

using broker::BatchBuilder;
using kmsg::ErrorCode;

TEST_CASE("produce: what each batch is refused with") {
  ApiWorld world;
  Buffer good = batch_of("v");
  auto made = world.produce("t", good.bytes());
  REQUIRE(made);
  CHECK(made->error_code == ErrorCode::none);
  CHECK(made->base_offset == 0);
  auto refused = [&](const std::string& topic, Bytes records, int16_t version = 9,
                     int16_t acks = -1) {
    auto entry = world.produce(topic, records, version, acks);
    REQUIRE(entry);
    CHECK(entry->base_offset == -1);
    return entry->error_code;
  };
  CHECK(refused("nowhere", good.bytes()) == ErrorCode::unknown_topic_or_partition);
  CHECK(refused("t", good.bytes(), 9, 2) == ErrorCode::invalid_required_acks);
  Buffer zstd = batch_of("v", {.codec = compress::Codec::zstd});
  CHECK(refused("t", zstd.bytes(), 6) == ErrorCode::unsupported_compression_type);
  Buffer torn = batch_of("v");
  torn.mutable_bytes().back() ^= 1;
  CHECK(refused("t", torn.bytes()) == ErrorCode::corrupt_message);
  // No answer is asked for: a failure can only be told by hanging up.
  CHECK_FALSE(world.produce("nowhere", good.bytes(), 9, 0));
}

TEST_CASE("produce: one batch that cannot be walked, or belongs to no transaction, fails all") {
  ApiWorld world;
  Buffer good = batch_of("v"),
         transactional = batch_of(
             "v",
             {.producer_id = 5, .producer_epoch = 0, .base_sequence = 0, .transactional = true});
  Buffer immense = batch_of("v");
  store_be<int32_t>(immense.data() + broker::kLengthAt, INT32_MAX);
  Buffer short_length = batch_of("v");
  store_be<int32_t>(short_length.data() + broker::kLengthAt, 3);
  const std::pair<Buffer*, ErrorCode> cases[] = {
      {&transactional, ErrorCode::transactional_id_authorization_failed},
      {&immense, ErrorCode::unknown_server_error},
      {&short_length, ErrorCode::corrupt_message},
  };
  for (auto [bad, error] : cases) {
    kmsg::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 5000;
    auto& topic = request.topic_data.emplace_back();
    topic.name = "t";
    topic.partition_data.resize(2);
    topic.partition_data[0].records = kmsg::Records::of(good.bytes());
    topic.partition_data[1].index = 1;
    topic.partition_data[1].records = kmsg::Records::of(bad->bytes());
    auto answer = world.ask<kmsg::ProduceResponse>(request, 9);
    REQUIRE(answer);
    for (const auto& entry : answer->responses.at(0).partition_responses)
      CHECK(entry.error_code == error);
  }
  auto made = world.produce("t", good.bytes());
  REQUIRE(made);
  CHECK(made->base_offset == 0);  // nothing of all that was appended
}

TEST_CASE("fetch: a topic of zstd is refused to clients that cannot know it, whatever is read") {
  ApiWorld world;
  CHECK(world.fetch("zstd", 0, 9).entry.error_code == ErrorCode::unsupported_compression_type);
  CHECK(world.fetch("zstd", 7, 9).entry.error_code == ErrorCode::unsupported_compression_type);
  CHECK(world.fetch("zstd", 0, 10).entry.error_code == ErrorCode::none);
  CHECK(world.fetch("zstd", 7, 10).entry.error_code == ErrorCode::offset_out_of_range);
}

TEST_CASE("fetch: below the log's start is out of range, before histories are compared") {
  ApiWorld world;
  for (int i = 0; i < 3; ++i) REQUIRE(world.produce("t", batch_of("v").bytes()));
  kmsg::DeleteRecordsRequest request;
  request.timeout_ms = 5000;
  request.topics.emplace_back().name = "t";
  request.topics[0].partitions.emplace_back().offset = 2;
  auto deleted = world.ask<kmsg::DeleteRecordsResponse>(request, 2);
  REQUIRE(deleted);
  CHECK(deleted->topics.at(0).partitions.at(0).low_watermark == 2);
  auto below = world.fetch("t", 1, 12, 0);
  CHECK(below.entry.error_code == ErrorCode::offset_out_of_range);
  CHECK(below.entry.diverging_epoch.end_offset == -1);
  auto there = world.fetch("t", 2, 12, 0);
  CHECK(there.entry.error_code == ErrorCode::none);
  CHECK(there.entry.log_start_offset == 2);
  CHECK(there.records.size() > 0);
}

TEST_CASE("fetch: old versions get old formats, each batch as it is converted") {
  ApiWorld world;
  REQUIRE(world.produce("t", batch_of("first").bytes()));
  auto plain = world.fetch("t", 0, 4);
  REQUIRE(plain.records.size() > broker::kMagicAt);
  CHECK(plain.records.data()[broker::kMagicAt] == 2);
  for (auto [version, magic] :
       {std::pair(0, 0), std::pair(1, 0), std::pair(2, 1), std::pair(3, 1)}) {
    auto old = world.fetch("t", 0, static_cast<int16_t>(version));
    CHECK(old.entry.error_code == ErrorCode::none);
    CHECK(old.entry.high_watermark == 1);
    REQUIRE(old.records.size() > broker::kMagicAt);
    CHECK(old.records.data()[broker::kMagicAt] == magic);
  }
}

TEST_CASE("list offsets v0: a partition that is named very often is not listed each time") {
  ApiWorld world;
  REQUIRE(world.produce("t", batch_of("v").bytes()));
  kmsg::ListOffsetsRequest request;
  request.topics.emplace_back().name = "t";
  kmsg::ListOffsetsRequest::ListOffsetsPartition one;
  one.timestamp = -1;
  one.max_num_offsets = 10;
  request.topics[0].partitions.resize(3, one);
  auto few = world.ask<kmsg::ListOffsetsResponse>(request, 0);
  REQUIRE(few);
  REQUIRE(few->topics.at(0).partitions.size() == 3);
  for (const auto& entry : few->topics[0].partitions)
    CHECK(entry.old_style_offsets == std::vector<int64_t>{1, 0});
  request.topics[0].partitions.resize(20'000, one);
  auto many = world.ask<kmsg::ListOffsetsResponse>(request, 0);
  REQUIRE(many);
  CHECK(many->topics.at(0).partitions.size() == 10'001);  // of one segment
}

TEST_CASE("offset for leader epoch: an epoch below -1 is older than any") {
  ApiWorld world;
  REQUIRE(world.produce("t", batch_of("v").bytes()));
  auto ask = [&](int32_t current) {
    kmsg::OffsetForLeaderEpochRequest request;
    request.topics.emplace_back().topic = "t";
    request.topics[0].partitions.emplace_back().current_leader_epoch = current;
    auto answer = world.ask<kmsg::OffsetForLeaderEpochResponse>(request, 3);
    REQUIRE(answer);
    return answer->topics.at(0).partitions.at(0);
  };
  CHECK(ask(-1).error_code == ErrorCode::none);
  CHECK(ask(-1).end_offset == 1);
  CHECK(ask(-2).error_code == ErrorCode::fenced_leader_epoch);
  CHECK(ask(-2).end_offset == -1);
  CHECK(ask(7).error_code == ErrorCode::unknown_leader_epoch);
}

}  // namespace ottla::test
