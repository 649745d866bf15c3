// The small parts by themselves: leader epochs, checkpoints, names of files.
#include <catch2/catch.hpp>

#include "broker/log/checkpoint.h"
#include "broker/log/epoch_cache.h"
#include "broker/log/names.h"

using namespace ottla;
using namespace ottla::broker;

TEST_CASE("leader epochs answer as Kafka's do") {
  EpochCache cache;
  CHECK(cache.end_offset_for(0, 10).end_offset == -1);
  CHECK(cache.assign(2, 5));
  CHECK(cache.assign(4, 8));
  CHECK_FALSE(cache.assign(4, 9));
  CHECK(cache.end_offset_for(-1, 20) == EpochEnd{});
  CHECK(cache.end_offset_for(-7, 20) == EpochEnd{-7, 5});
  CHECK(cache.end_offset_for(1, 20) == EpochEnd{1, 5});
  CHECK(cache.end_offset_for(2, 20) == EpochEnd{2, 8});
  CHECK(cache.end_offset_for(3, 20) == EpochEnd{2, 8});
  CHECK(cache.end_offset_for(4, 20) == EpochEnd{4, 20});
  CHECK(cache.end_offset_for(5, 20) == EpochEnd{-1, -1});
  CHECK(cache.epoch_for_offset(7) == 2);
  CHECK(cache.encode() == "0\n2\n2 5\n4 8\n");
  auto back = EpochCache::decode(cache.encode());
  REQUIRE(back);
  CHECK(back->entries() == cache.entries());
  CHECK(cache.truncate_from_start(9));
  CHECK(cache.entries() == std::vector<EpochEntry>{{4, 9}});
  CHECK_FALSE(EpochCache::decode("1\n0\n"));
}

TEST_CASE("checkpoints and names") {
  OffsetCheckpoint offsets{{{"a", 1}, 5}, {{"b-c", 0}, 7}};
  std::string text = encode_checkpoint(offsets);
  CHECK(text == "0\n2\na 1 5\nb-c 0 7\n");
  auto back = decode_checkpoint(text);
  REQUIRE(back);
  CHECK(*back == offsets);
  CHECK_FALSE(decode_checkpoint("0\n3\na 1 5\n"));
  CHECK_FALSE(decode_checkpoint("0\n1\na 5\n"));
  CHECK(partition_of_name("b-c-0") == TopicPartition{"b-c", 0});
  CHECK_FALSE(partition_of_name("bc"));
  CHECK_FALSE(partition_of_name("b-x"));
  CHECK(offset_of_name(file_name(12, kLogSuffix), kLogSuffix) == 12);
}
