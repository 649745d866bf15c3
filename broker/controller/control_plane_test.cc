// The whole control plane on the real runtime against a running ZooKeeper: Apache's or ours, at
// OTTLA_TEST_ZOOKEEPER=host:port. Skipped with a line where that is not set.
#include "broker/controller/control_plane.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <catch2/catch.hpp>

#include "broker/controller/session_file.h"
#include "broker/controller/test_lone_broker.h"
#include "broker/zk/wire_client.h"
#include "common/rt_asio/runtime.h"

namespace ottla::broker {
namespace {

struct TestBroker final : LoneBroker {
  TestBroker(rt::World& w, std::string connect, std::string dir, int32_t id)
      : LoneBroker(w, options_of(std::move(connect), std::move(dir), id)) {}
  static ControlPlaneOptions options_of(std::string connect, std::string dir, int32_t id) {
    ControlPlaneOptions options;
    options.zookeeper_connect = std::move(connect);
    options.broker_id = id;
    options.session_dir = std::move(dir);
    options.session_timeout_ms = 6000;
    options.connection_timeout_ms = 3000;
    options.topics.offsets_topic_replication_factor = 1;
    return options;
  }

  AdminRefusal validate_topic_config(const ConfigMap& config) const override {
    if (config.contains("no.such"))
      return {kmsg::ErrorCode::invalid_config, "Unknown topic config name: no.such"};
    return {};
  }
  void on_registered(int64_t epoch) override { epochs.push_back(epoch); }
  void on_session_lost() override { ++losses; }
  void on_fatal(Error error) override { fatal = error.context; }
  void on_config(const std::string& type, const std::string& name,
                 const ConfigMap& config) override {
    configs[type + "/" + name] = config;
  }

  std::vector<int64_t> epochs;
  int losses = 0;
  std::string fatal;
  std::map<std::string, ConfigMap> configs;
};

struct Fixture {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  std::string dir;
  std::string connect;

  explicit Fixture(const std::string& server) {
    char name[] = "/tmp/ottla-plane-XXXXXX";
    dir = mkdtemp(name);
    connect = fmt::format("{}/test-{:x}/deep", server, world.entropy.u64());
  }
  ~Fixture() { (void)world.disk.remove_tree(dir); }

  std::unique_ptr<TestBroker> broker(int32_t id, const std::string& sub) {
    (void)world.disk.make_dirs(dir + "/" + sub);
    return std::make_unique<TestBroker>(world, connect, dir + "/" + sub, id);
  }
  // "" or the refusal.
  std::string start(TestBroker& broker) {
    std::optional<std::string> outcome;
    broker.plane->open([&](Result<std::string> opened) {
      if (!opened) {
        outcome = opened.error().context;
        return;
      }
      broker.image = MetadataImage::empty(*opened);
      BrokerRegistration self;
      self.endpoints = {{"PLAINTEXT", "127.0.0.1", 26999, 0}};
      broker.plane->join(
          self, [&](Result<int64_t> joined) { outcome = joined ? "" : joined.error().context; });
    });
    REQUIRE(runtime.run_until([&] { return outcome.has_value(); }, 10000));
    if (outcome->empty())
      REQUIRE(runtime.run_until([&] { return broker.image->brokers().size() == 1; }, 5000));
    return *outcome;
  }
  void leave(TestBroker& broker) {
    bool left = false;
    broker.plane->leave([&] { left = true; });
    REQUIRE(runtime.run_until([&] { return left; }, 5000));
  }
};

kmsg::CreateTopicsRequest create_request(const std::string& name, int32_t partitions) {
  kmsg::CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = 1;
  request.timeout_ms = 5000;
  return request;
}

CreateTopicResult create(Fixture& f, TestBroker& broker, const kmsg::CreateTopicsRequest& request) {
  std::optional<std::vector<CreateTopicResult>> results;
  broker.plane->topics().create_topics(request, [&](auto got) { results = std::move(got); });
  REQUIRE(f.runtime.run_until([&] { return results.has_value(); }, 10000));
  return results->front();
}

const char* server() {
  const char* at = getenv("OTTLA_TEST_ZOOKEEPER");
  if (at == nullptr) WARN("skipped: OTTLA_TEST_ZOOKEEPER is not set");
  return at;
}

TEST_CASE("life of a lone broker: topics, growth, deletion, restart") {
  if (server() == nullptr) return;
  Fixture f(server());
  auto broker = f.broker(0, "a");
  Instant before = f.world.loop.now();
  CHECK(f.start(*broker) == "");
  INFO("first start took " << (f.world.loop.now() - before) / 1000 << " us");
  CHECK(broker->plane->is_active_controller());
  CHECK(broker->plane->cluster_id().size() == 22);
  CHECK(broker->epochs.size() == 1);

  auto request = create_request("t", 3);
  request.topics[0].configs.emplace_back();
  request.topics[0].configs[0].name = "retention.ms";
  request.topics[0].configs[0].value = "1000";
  auto created = create(f, *broker, request);
  CHECK(created.error == kmsg::ErrorCode::none);
  CHECK(created.num_partitions == 3);
  CHECK_FALSE(created.topic_id.is_zero());
  CHECK(broker->image->partition("t", 2)->leader == 0);
  CHECK(broker->configs["topics/t"] == ConfigMap{{"retention.ms", "1000"}});
  CHECK(create(f, *broker, request).error == kmsg::ErrorCode::topic_already_exists);
  CHECK(create(f, *broker, create_request("a b", 1)).error ==
        kmsg::ErrorCode::invalid_topic_exception);
  CHECK(broker->plane->topics().auto_create("__consumer_offsets") ==
        kmsg::ErrorCode::leader_not_available);
  REQUIRE(f.runtime.run_until(
      [&] { return broker->image->partition("__consumer_offsets", 49) != nullptr; }, 5000));

  kmsg::CreatePartitionsRequest grow;
  auto& growth = grow.topics.emplace_back();
  growth.name = "t";
  growth.count = 5;
  growth.assignments = std::nullopt;
  grow.timeout_ms = 5000;
  std::optional<std::vector<CreatePartitionsResult>> grown;
  broker->plane->topics().create_partitions(grow, [&](auto got) { grown = std::move(got); });
  REQUIRE(f.runtime.run_until([&] { return grown.has_value(); }, 5000));
  CHECK(grown->front().error == kmsg::ErrorCode::none);
  CHECK(broker->image->topic("t")->partitions.size() == 5);

  kmsg::DeleteTopicsRequest gone;
  gone.topic_names = {"t", "nothing"};
  gone.timeout_ms = 5000;
  std::optional<std::vector<DeleteTopicResult>> deleted;
  broker->plane->topics().delete_topics(gone, 5, [&](auto got) { deleted = std::move(got); });
  REQUIRE(f.runtime.run_until([&] { return deleted.has_value(); }, 5000));
  CHECK((*deleted)[0].error == kmsg::ErrorCode::none);
  CHECK((*deleted)[1].error == kmsg::ErrorCode::unknown_topic_or_partition);
  // Gone from the metadata first, from ZooKeeper soon: then the name is free again.
  for (int i = 0;
       i < 100 && create(f, *broker, create_request("t", 1)).error != kmsg::ErrorCode::none; ++i)
    f.runtime.run_until([] { return false; }, 20);
  CHECK(broker->image->partition("t", 0)->leader == 0);

  std::optional<ProducerIdRange> range;
  for (int64_t first : {0, 1000}) {
    range.reset();
    broker->plane->allocate_producer_ids(
        [&](kmsg::ErrorCode, ProducerIdRange got) { range = got; });
    REQUIRE(f.runtime.run_until([&] { return range.has_value(); }, 5000));
    CHECK(range->first == first);
    CHECK(range->count == 1000);
  }
  bool written = false;
  broker->plane->write_config("topics", "t", {{"retention.ms", "7"}},
                              [&](Result<void> result) { written = result.has_value(); });
  REQUIRE(f.runtime.run_until([&] { return written && broker->configs["topics/t"].size() == 1; },
                              5000));

  std::string id = broker->plane->cluster_id();
  f.leave(*broker);
  CHECK_FALSE(read_session_file(f.world.disk, f.dir + "/a"));
  broker = f.broker(0, "a");
  CHECK(f.start(*broker) == "");
  CHECK(broker->plane->cluster_id() == id);
  REQUIRE(f.runtime.run_until([&] { return broker->image->topic("t") != nullptr; }, 5000));
  CHECK(broker->configs["topics/t"] == ConfigMap{{"retention.ms", "7"}});
  f.leave(*broker);
}

TEST_CASE("after a kill a broker takes its own place back at once, and nobody else's") {
  if (server() == nullptr) return;
  Fixture f(server());
  auto broker = f.broker(0, "a");
  CHECK(f.start(*broker) == "");
  broker.reset();  // a kill: the session lives on
  Instant before = f.world.loop.now();
  broker = f.broker(0, "a");
  CHECK(f.start(*broker) == "");
  CHECK((f.world.loop.now() - before) / 1'000'000 < 1000);
  CHECK(broker->plane->controller_epoch() == 2);

  auto same_id = f.broker(0, "b");
  std::string refusal = f.start(*same_id);
  CHECK(refusal.find("broker.id=0 is taken") != std::string::npos);
  same_id.reset();
  auto other_id = f.broker(1, "c");
  refusal = f.start(*other_id);
  CHECK(refusal.find("broker 0 at 127.0.0.1:26999 is registered") != std::string::npos);
  f.leave(*other_id);
  CHECK(broker->losses == 0);
  f.leave(*broker);
}

TEST_CASE("a lost session: registered anew, controller anew, requests served again") {
  if (server() == nullptr) return;
  Fixture f(server());
  auto broker = f.broker(0, "a");
  CHECK(f.start(*broker) == "");
  CHECK(create(f, *broker, create_request("t", 1)).error == kmsg::ErrorCode::none);
  // Someone ends the session, as an operator or an expiry would.
  auto record = read_session_file(f.world.disk, f.dir + "/a");
  REQUIRE(record);
  WireClientOptions options;
  options.servers = *parse_connect_string(f.connect);
  bool ended = false;
  auto thief = WireClient::end_session(f.world, options, record->session,
                                       [&](Result<void> result) { ended = result.has_value(); });
  REQUIRE(f.runtime.run_until([&] { return ended && broker->epochs.size() == 2; }, 10000));
  CHECK(broker->losses == 1);
  REQUIRE(f.runtime.run_until([&] { return broker->plane->controller_epoch() == 2; }, 5000));
  CHECK(create(f, *broker, create_request("u", 1)).error == kmsg::ErrorCode::none);
  CHECK(broker->fatal.empty());
  f.leave(*broker);
}

TEST_CASE("an unreachable ensemble is one line with the remedy") {
  Fixture f("127.0.0.1:1");
  auto broker = f.broker(0, "a");
  Instant before = f.world.loop.now();
  std::string refusal = f.start(*broker);
  CHECK(refusal.find("no ZooKeeper server of 127.0.0.1:1 answered within 3000 ms") == 0);
  CHECK(refusal.find("start the ensemble, or correct zookeeper.connect") != std::string::npos);
  CHECK((f.world.loop.now() - before) / 1'000'000 < 4000);
}

TEST_CASE("a session file that is torn or foreign is none") {
  SessionRecord record{{0x100001f179e0000, std::string(16, '\x05')}, 3, "cluster", "/a"};
  std::string text = encode_session(record);
  auto back = decode_session(text);
  REQUIRE(back);
  CHECK(back->session.session_id == record.session.session_id);
  CHECK(back->session.password == record.session.password);
  CHECK(back->broker_id == 3);
  CHECK(back->chroot == "/a");
  for (size_t cut = 0; cut < text.size(); ++cut) CHECK_FALSE(decode_session(text.substr(0, cut)));
  text[20] ^= 1;
  CHECK_FALSE(decode_session(text));
}

}  // namespace
}  // namespace ottla::broker
