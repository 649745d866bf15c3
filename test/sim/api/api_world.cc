#include "test/sim/api/api_world.h"

#include "broker/zk/wire_client.h"
#include "broker/zk/znodes.h"
#include "common/base/log.h"
#include "proto/kafka/create_topics.h"

namespace ottla::test {

namespace {

constexpr std::string_view kEnsembleProperties = R"(dataDir=/data
clientPort=2181
tickTime=500
preAllocSize=64
admin.enableServer=false
)";
constexpr std::string_view kBrokerProperties = R"(broker.id=0
log.dirs=/logs
listeners=PLAINTEXT://:9092
zookeeper.connect=zk:2181
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
log.index.size.max.bytes=4096
)";

}  // namespace

ApiWorld::ApiWorld() {
  log::set_level(log::Level::off);
  auto member = zk::load_config(kEnsembleProperties, "sim.cfg");
  REQUIRE(member);
  ensemble_ = std::make_unique<zk::Server>(sim_.add_node("zk"), member->config);
  REQUIRE(ensemble_->start());
  auto properties = config::Properties::parse(kBrokerProperties, "sim.properties");
  auto loaded = broker::load_broker_config(*properties, "sim.properties");
  REQUIRE(loaded);
  broker_ = std::make_unique<broker::Broker>(sim_.add_node("broker"), loaded->config,
                                             [] { return std::string("broker"); });
  bool started = false;
  broker_->start([&](Result<void> result) { started = result.has_value(); });
  REQUIRE(sim_.run_until([&] { return started; }, ms_to_ns(60'000)));
  link_ = std::make_unique<KafkaLink>(sim_.add_node("client"), "client");
  create_topics();
}

ApiWorld::~ApiWorld() {
  link_.reset();
  broker_.reset();
  ensemble_.reset();
}

void ApiWorld::create_topics() {
  kmsg::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  for (const char* name : {"t", "zstd"}) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = 2;
    topic.replication_factor = 1;
  }
  auto& config = request.topics[1].configs.emplace_back();
  config.name = "compression.type";
  config.value = "zstd";
  auto made = ask<kmsg::CreateTopicsResponse>(request, 4);
  REQUIRE(made);
  for (const auto& topic : made->topics) REQUIRE(topic.error_code == kmsg::ErrorCode::none);
}

void ApiWorld::write_znodes(std::vector<broker::ZkRequest> requests) {
  broker::WireClientOptions options;
  auto servers = broker::parse_connect_string("zk:2181");
  REQUIRE(servers);
  options.servers = *servers;
  rt::World world = sim_.add_node("tool");
  broker::WireClient client(world, options);
  std::vector<broker::ZkReply> replies;
  client.start([&](Result<void> connected) {
    REQUIRE(connected);
    client.submit_all(std::move(requests), [&](auto written) { replies = std::move(written); });
  });
  REQUIRE(run_until([&] { return !replies.empty(); }));
  for (const broker::ZkReply& reply : replies) CHECK(reply.ok());
}

std::optional<kmsg::ProduceResponse::PartitionProduceResponse> ApiWorld::produce(
    const std::string& topic, Bytes records, int16_t version, int16_t acks) {
  kmsg::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 5000;
  auto& asked = request.topic_data.emplace_back();
  asked.name = topic;
  asked.partition_data.emplace_back().records = kmsg::Records::of(records);
  auto answer = ask<kmsg::ProduceResponse>(request, version);
  if (!answer) return std::nullopt;
  return answer->responses.at(0).partition_responses.at(0);
}

ApiWorld::Fetched ApiWorld::fetch(const std::string& topic, int64_t offset, int16_t version,
                                  int32_t last_fetched_epoch) {
  kmsg::FetchRequest request;
  request.max_bytes = 1 << 20;
  auto& asked = request.topics.emplace_back();
  asked.topic = topic;
  auto& partition = asked.partitions.emplace_back();
  partition.fetch_offset = offset;
  partition.last_fetched_epoch = last_fetched_epoch;
  partition.partition_max_bytes = 1 << 20;
  Fetched fetched;
  auto answer = ask<kmsg::FetchResponse>(request, version, [&](kmsg::FetchResponse& response) {
    REQUIRE(response.responses.size() == 1);
    fetched.records = Buffer(response.responses[0].partitions.at(0).records.bytes);
  });
  REQUIRE(answer);
  fetched.entry = std::move(answer->responses[0].partitions[0]);
  return fetched;
}

Buffer batch_of(std::string_view value, const broker::BatchBuilder::Options& with) {
  broker::BatchBuilder builder(with);
  builder.append(1000, as_bytes("k"), as_bytes(value));
  Buffer bytes;
  REQUIRE(builder.finish(bytes));
  return bytes;
}

}  // namespace ottla::test
