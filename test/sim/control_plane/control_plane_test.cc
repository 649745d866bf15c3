// A broker's control plane and a standalone ensemble, simulated: connections break, links are cut
// longer than a session lives, the ensemble loses power, the broker is killed. Whatever happened,
// when it stops the broker registers, is elected, every topic that was acknowledged has its
// leaders, and the last config that was acknowledged, or one tried after it, is stored and known.
#include "broker/controller/control_plane.h"
#include "broker/controller/partition_admin.h"

#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "broker/controller/config_store.h"
#include "broker/controller/session_file.h"
#include "broker/controller/test_lone_broker.h"
#include "common/rt_sim/simulator.h"
#include "test/support/passing_disk.h"
#include "zk-ensemble/config/server_config.h"
#include "zk-ensemble/server/server.h"

namespace ottla {
namespace {

using namespace broker;

constexpr int64_t kMs = 1'000'000;

struct SimBroker final : LoneBroker {
  SimBroker(rt::World w, int32_t id) : LoneBroker(w, options_of(id)) {}
  static ControlPlaneOptions options_of(int32_t id) {
    ControlPlaneOptions options;
    options.zookeeper_connect = "zk:2181/chroot/of/mine";
    options.broker_id = id;
    options.session_dir = "/logs";
    options.session_timeout_ms = 2000;
    options.connection_timeout_ms = 60000;
    return options;
  }
  void start() {
    plane->open([this](Result<std::string> opened) {
      if (!opened) {
        refusal = opened.error().context;
        return;
      }
      image = MetadataImage::empty(*opened);
      BrokerRegistration self;
      self.endpoints = {{"PLAINTEXT", "b", 9092, 0}};
      plane->join(self, [this](Result<int64_t> joined) {
        if (!joined) refusal = joined.error().context;
      });
    });
  }

  AdminRefusal validate_topic_config(const ConfigMap&) const override { return {}; }
  void on_registered(int64_t epoch) override {
    CHECK(epoch > last_epoch);
    last_epoch = epoch;
  }
  void on_session_lost() override {}
  void on_fatal(Error error) override { refusal = error.context; }
  void on_config(const std::string& type, const std::string& name,
                 const ConfigMap& config) override {
    if (type == "brokers" && name == kDefaultEntity) told = config;
  }

  int64_t last_epoch = -1;
  std::string refusal;
  ConfigMap told;  // the brokers' default config, as it was told last
};

struct Story {
  sim::Simulator sim;
  std::unique_ptr<zk::Server> server;
  std::unique_ptr<SimBroker> broker;
  std::set<std::string> acknowledged, deleted;
  int next_topic = 0;
  // Elections and reassignments: each is answered once, whatever becomes of the controller; but for
  // those that died with their broker.
  int asked = 0;
  std::shared_ptr<int> answered = std::make_shared<int>(0);
  // Versions of the brokers' default config: written at most one at a time.
  int config_tried = 0, config_acknowledged = 0;
  bool config_pending = false;

  explicit Story(uint64_t seed) : sim(seed) {
    start_server(sim.add_node("zk"));
    start_broker(sim.add_node("b"));
  }
  void start_server(rt::World world) {
    auto config = zk::load_config(
        "tickTime=500\ndataDir=/data\nclientPort=2181\npreAllocSize=64\nadmin.enableServer=false\n",
        "zoo.cfg", {});
    REQUIRE(config);
    server = std::make_unique<zk::Server>(world, config->config);
    auto started = server->start();
    if (!started) FAIL(started.error().context);
  }
  void start_broker(rt::World world) {
    (void)world.disk.make_dirs("/logs");
    asked = 0;
    answered = std::make_shared<int>(0);
    int64_t epoch = broker ? broker->last_epoch : -1;
    broker = std::make_unique<SimBroker>(world, 0);
    broker->last_epoch = epoch;
    broker->start();
  }
  void restart_server() {
    sim.crash("zk");
    server.reset();
    sim.run_for(sim.prng().between(1, 3000) * kMs);
    start_server(sim.restart("zk"));
  }
  void restart_broker() {
    sim.kill("b");
    int64_t epoch = broker->last_epoch;
    broker.reset();
    config_pending = false;
    sim.run_for(sim.prng().between(1, 500) * kMs);
    start_broker(sim.restart("b"));
    broker->last_epoch = epoch;
  }
  void fault() {
    switch (sim.prng().below(4)) {
      case 0:
        return sim.reset_connections("zk", "b");
      case 1:
        sim.partition("zk", "b");
        sim.run_for(sim.prng().between(1, 6000) * kMs);
        return sim.heal();
      case 2:
        return restart_server();
      default:
        return restart_broker();
    }
  }
  void elect_or_reassign() {
    ++asked;
    if (sim.prng().chance(0.5)) {
      kmsg::ElectLeadersRequest request;
      request.election_type = static_cast<int8_t>(sim.prng().below(2));
      if (sim.prng().chance(0.5)) request.topic_partitions = std::nullopt;
      for (const std::string& name : acknowledged)
        if (request.topic_partitions) {
          auto& topic = request.topic_partitions->emplace_back();
          topic.topic = name;
          topic.partitions = {0, 3};
        }
      broker->plane->partitions().elect_leaders(
          request, [count = answered](kmsg::ElectLeadersResponse) { ++*count; });
      return;
    }
    kmsg::AlterPartitionReassignmentsRequest request;
    for (const std::string& name : acknowledged) {
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      topic.partitions.emplace_back().replicas = std::vector<int32_t>{0};
    }
    broker->plane->partitions().alter_reassignments(
        request, [count = answered](kmsg::AlterPartitionReassignmentsResponse) { ++*count; });
  }
  void change_config() {
    config_pending = true;
    int value = ++config_tried;
    broker->plane->configs().write("brokers", kDefaultEntity,
                                   {{"max.connections", std::to_string(value)}},
                                   [this, value](Result<void> written) {
                                     config_pending = false;
                                     if (written) config_acknowledged = value;
                                   });
  }
  // What was acknowledged, or something later, is stored, and the broker goes by it.
  bool config_is_kept() {
    if (config_acknowledged == 0) return true;
    const auto* node = server->tree().find("/chroot/of/mine/config/brokers/<default>");
    if (node == nullptr) return false;
    auto stored = decode_config(as_text(node->data()));
    return stored && stored->contains("max.connections") &&
           std::stoi(stored->at("max.connections")) >= config_acknowledged &&
           broker->told == *stored;
  }
  void work() {
    if (!broker->plane->is_active_controller()) return;
    if (sim.prng().chance(0.3)) elect_or_reassign();
    if (!config_pending && sim.prng().chance(0.2)) return change_config();
    if (sim.prng().chance(0.2) && !acknowledged.empty()) {
      std::string victim = *acknowledged.begin();
      acknowledged.erase(victim);
      kmsg::DeleteTopicsRequest request;
      request.topic_names = {victim};
      request.timeout_ms = 1000;
      broker->plane->topics().delete_topics(request, 5, [this, victim](auto results) {
        if (results[0].error == kmsg::ErrorCode::none) deleted.insert(victim);
      });
      return;
    }
    kmsg::CreateTopicsRequest request;
    request.timeout_ms = 1000;
    auto& topic = request.topics.emplace_back();
    topic.name = fmt::format("topic-{}", next_topic++);
    topic.num_partitions = static_cast<int32_t>(sim.prng().between(1, 4));
    topic.replication_factor = 1;
    broker->plane->topics().create_topics(request, [this](auto results) {
      if (results[0].error == kmsg::ErrorCode::none) acknowledged.insert(results[0].name);
    });
  }
  bool settled() {
    if (!broker->plane->is_active_controller() || *answered != asked || !config_is_kept())
      return false;
    for (const std::string& name : acknowledged) {
      const TopicView* topic = broker->image->topic(name);
      if (topic == nullptr) return false;
      for (const auto& [index, partition] : topic->partitions)
        if (partition.leader != 0) return false;
    }
    for (const std::string& name : deleted)
      if (broker->image->topic(name) != nullptr) return false;
    return true;
  }
  void tell() {
    for (int round = 0; round < 12; ++round) {
      for (int64_t i = sim.prng().between(1, 10); i > 0; --i) {
        work();
        sim.run_for(sim.prng().between(1, 100) * kMs);
      }
      fault();
      if (!broker->refusal.empty()) FAIL("refused: " << broker->refusal);
    }
    bool done = sim.run_until([&] { return settled(); }, 60'000 * kMs);
    INFO("acknowledged=" << acknowledged.size() << " deleted=" << deleted.size()
                         << " active=" << broker->plane->is_active_controller()
                         << " refusal=" << broker->refusal);
    REQUIRE(done);
  }
};

TEST_CASE("control plane: any order of faults, then peace: everything acknowledged is there") {
  const char* fixed = std::getenv("OTTLA_SEED");
  uint64_t first = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : 1;
  const char* many = std::getenv("OTTLA_SEEDS");
  uint64_t count = many != nullptr ? std::strtoull(many, nullptr, 10) : fixed != nullptr ? 1 : 40;
  size_t acknowledged = 0;
  int configs = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    INFO("repeat with OTTLA_SEED=" << seed << " test_sim_control_plane");
    Story story(seed);
    story.tell();
    acknowledged += story.acknowledged.size();
    configs += story.config_acknowledged;
    story.broker.reset();
    story.server.reset();
  }
  CHECK(acknowledged > 0);
  CHECK(configs > 0);
}

struct HeldStory : Story {
  HeldStory() : Story(1) {
    sim.kill("b");
    broker.reset();
    disk.emplace(sim.restart("b"));
    disk->holding = true;
    start_broker(disk->world());
    REQUIRE(until([&] { return disk->held.size() == 1; }));
  }
  ~HeldStory() { broker.reset(); }
  bool until(Fn<bool()> met) { return sim.run_until(std::move(met), 20'000 * kMs); }
  std::optional<SessionRecord> file() { return read_session_file(*disk, "/logs"); }
  int64_t registered_by() {
    const auto* node = server->tree().find("/chroot/of/mine/brokers/ids/0");
    return node == nullptr ? 0 : server->tree().stat_of(*node).ephemeral_owner;
  }
  std::optional<test::HeldDisk> disk;
};

TEST_CASE("an end waits for the file of its session, and leaves none") {
  HeldStory story;
  bool left = false;
  story.broker->plane->leave([&] { left = true; });
  REQUIRE(story.until([&] { return story.server->tree().sessions().empty(); }));
  story.sim.run_for(3000 * kMs);
  CHECK_FALSE(left);
  story.disk->go_on();
  REQUIRE(story.until([&] { return left; }));
  CHECK_FALSE(story.file());
  story.sim.run_for(3000 * kMs);
  CHECK(story.disk->held.empty());
}

TEST_CASE("a session's file comes after the one of the session before") {
  HeldStory story;
  // It ends while its file is on the way.
  int64_t first = story.server->tree().sessions().begin()->first;
  story.sim.partition("zk", "b");
  REQUIRE(story.until([&] { return story.server->tree().sessions().empty(); }));
  story.sim.heal();
  REQUIRE(story.until([&] { return story.server->tree().sessions().size() == 1; }));
  story.sim.run_for(3000 * kMs);
  CHECK(story.disk->held.size() == 1);
  CHECK(story.registered_by() == 0);
  story.disk->go_on();
  REQUIRE(story.until([&] { return story.disk->held.size() == 1; }));
  CHECK(story.file()->session.session_id == first);
  CHECK(story.registered_by() == 0);
  story.disk->go_on();
  REQUIRE(story.until([&] { return story.registered_by() != 0; }));
  CHECK(story.registered_by() != first);
  CHECK(story.file()->session.session_id == story.registered_by());
}

}  // namespace
}  // namespace ottla
