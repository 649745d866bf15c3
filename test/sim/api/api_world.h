// A member, a broker with the topics "t" (two partitions) and "zstd" (one, of that codec), and a
// client that asks one thing at a time and waits for the answer.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/record/batch_builder.h"
#include "broker/server/broker.h"
#include "broker/zk/zk_client.h"
#include "common/rt_sim/simulator.h"
#include "proto/kafka/fetch.h"
#include "proto/kafka/produce.h"
#include "test/sim/stack/kafka_link.h"
#include "zk-ensemble/server/server.h"

namespace ottla::test {

class ApiWorld {
 public:
  ApiWorld();
  ~ApiWorld();

  // The answer; nothing when the connection was closed instead.
  template <class Response, class Request>
  std::optional<Response> ask(
      const Request& request, int16_t version, Fn<void(Response&)> look = [](Response&) {}) {
    std::optional<Response> answer;
    bool over = false;
    link_->call<Response>(request, version, 10'000, [&](Response* response) {
      over = true;
      if (response == nullptr) return;
      look(*response);  // what the answer borrows from its frame is there during the call
      answer = std::move(*response);
    });
    REQUIRE(sim_.run_until([&] { return over; }, ms_to_ns(20'000)));
    CHECK(link_->garbage() == 0);
    return answer;
  }

  // Partition 0 of a topic.
  std::optional<kmsg::ProduceResponse::PartitionProduceResponse> produce(const std::string& topic,
                                                                         Bytes records,
                                                                         int16_t version = 9,
                                                                         int16_t acks = -1);
  struct Fetched {
    kmsg::FetchResponse::PartitionData entry;
    Buffer records;
  };
  Fetched fetch(const std::string& topic, int64_t offset, int16_t version,
                int32_t last_fetched_epoch = -1);
  // Somebody else's writes to ZooKeeper.
  void write_znodes(std::vector<broker::ZkRequest> requests);
  bool run_until(const std::function<bool()>& holds) {
    return sim_.run_until(holds, ms_to_ns(20'000));
  }
  broker::Broker& broker() { return *broker_; }

 private:
  void create_topics();

  sim::Simulator sim_{1};
  std::unique_ptr<zk::Server> ensemble_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<KafkaLink> link_;
};

// A batch of one record.
Buffer batch_of(std::string_view value, const broker::BatchBuilder::Options& with = {});

}  // namespace ottla::test
