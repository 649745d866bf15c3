// UpdateMetadata requests turned into images.
#include "broker/metadata/metadata_image.h"

#include <catch2/catch.hpp>

namespace ottla::broker {
namespace {

kmsg::UpdateMetadataRequest request(std::vector<int32_t> brokers) {
  kmsg::UpdateMetadataRequest out;
  out.controller_id = 1;
  out.controller_epoch = 2;
  for (int32_t id : brokers) {
    auto& broker = out.live_brokers.emplace_back();
    broker.id = id;
    auto& endpoint = broker.endpoints.emplace_back();
    endpoint.host = "h";
    endpoint.port = 9092 + id;
    endpoint.listener = "PLAINTEXT";
  }
  return out;
}
void add(kmsg::UpdateMetadataRequest& out, const std::string& topic, int32_t partition,
         int32_t leader) {
  auto& state = out.topic_states.emplace_back();
  state.topic_name = topic;
  state.topic_id = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
  auto& entry = state.partition_states.emplace_back();
  entry.partition_index = partition;
  entry.leader = leader;
  entry.replicas = {leader};
}

TEST_CASE("an image is built from requests, and earlier images stay as they were") {
  MetadataPtr empty = MetadataImage::empty("cluster");
  auto first = request({1, 2});
  add(first, "t", 0, 1);
  auto one = MetadataImage::apply(empty, first);
  CHECK(empty->topics().empty());
  CHECK(one.image->cluster_id() == "cluster");
  CHECK(one.image->controller_id() == 1);
  CHECK(one.image->brokers().size() == 2);
  CHECK(one.image->broker(2)->endpoint("PLAINTEXT")->port == 9094);
  CHECK(one.image->broker(2)->endpoint("SSL") == nullptr);
  REQUIRE(one.image->partition("t", 0) != nullptr);
  CHECK(one.image->partition("t", 0)->leader == 1);
  CHECK(one.image->topic(*kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q"))->name == "t");

  auto second = request({1});
  add(second, "t", 1, 1);
  auto two = MetadataImage::apply(one.image, second);
  CHECK(two.image->brokers().size() == 1);
  CHECK(two.image->topic("t")->partitions.size() == 2);
  CHECK(one.image->topic("t")->partitions.size() == 1);
  CHECK(two.updated_topics == std::vector<std::string>{"t"});

  auto third = request({1});
  add(third, "t", 0, kLeaderDuringDelete);
  add(third, "t", 1, kLeaderDuringDelete);
  auto three = MetadataImage::apply(two.image, third);
  CHECK(three.image->topic("t") == nullptr);
  CHECK(three.image->topic(*kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q")) == nullptr);
  CHECK(three.deleted_partitions.size() == 2);
  CHECK(two.image->topic("t")->partitions.size() == 2);
}

}  // namespace
}  // namespace ottla::broker
