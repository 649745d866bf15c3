// ConfigStore over a tree in memory: what it tells, and when.
#include "broker/controller/config_store.h"

#include <fmt/core.h>

#include <catch2/catch.hpp>

#include "broker/zk/memory_zk.h"

namespace ottla::broker {
namespace {

struct Scene {
  MemoryEnsemble zk;
  MemoryZkClient client{zk};
  std::map<std::string, ConfigMap> told;
  int64_t now_ms = 1'700'000'000'000;
  ConfigStore store{client, 1, [this] { return now_ms; },
                    [this](const std::string& type, const std::string& name,
                           const ConfigMap& config) { told[type + "/" + name] = config; }};

  Scene() {
    for (const char* path : {"/config", "/config/changes", "/config/topics", "/config/brokers"})
      zk.apply(ZkRequest::create(path, std::nullopt));
    put("topics", "t", {{"retention.ms", "1"}}, CreateNode::yes);
    load();
  }
  enum class CreateNode { no, yes };
  void put(const std::string& type, const std::string& name, const ConfigMap& config,
           CreateNode create = CreateNode::no) {
    std::string path = zpath::config(type, name), text = encode_config(config);
    zk.apply(create == CreateNode::yes ? ZkRequest::create(path, text)
                                       : ZkRequest::set(path, text));
  }
  void load() {
    bool loaded = false;
    store.load([&](Result<void> result) { loaded = result.has_value(); });
    zk.run();
    REQUIRE(loaded);
  }
};

TEST_CASE("a new session reads every config again, whether a notification stands or not") {
  Scene scene;
  CHECK(scene.told["topics/t"] == ConfigMap{{"retention.ms", "1"}});
  scene.told.clear();
  // The writer died between the config and its notification.
  scene.put("topics", "t", {{"retention.ms", "2"}});
  scene.zk.expire(scene.client);
  scene.load();
  CHECK(scene.told["topics/t"] == ConfigMap{{"retention.ms", "2"}});
}

TEST_CASE("a notification is carried out once") {
  Scene scene;
  scene.put("topics", "t", {{"retention.ms", "2"}});
  scene.zk.apply(ZkRequest::create("/config/changes/config_change_0000000000",
                                   encode_config_change("topics/t")));
  scene.told.clear();
  scene.store.on_changes();
  scene.zk.run();
  CHECK(scene.told.size() == 1);
  CHECK(scene.told["topics/t"] == ConfigMap{{"retention.ms", "2"}});
  scene.told.clear();
  scene.store.on_changes();
  scene.zk.run();
  CHECK(scene.told.empty());
}

TEST_CASE("notifications that were carried out are not read again, the old ones go") {
  Scene scene;
  auto note = [&](int number) {
    scene.zk.apply(ZkRequest::create(fmt::format("/config/changes/config_change_{:010}", number),
                                     encode_config_change("topics/t")));
  };
  for (int i = 0; i < 20; ++i) note(i);
  scene.store.on_changes();
  scene.zk.run();
  int gets = 0;
  scene.client.lose_reply = [&](const ZkRequest& request) {
    gets += request.path.starts_with("/config/changes/config_change_") ? 1 : 0;
    return false;
  };
  note(20);
  scene.store.on_changes();
  scene.zk.run();
  CHECK(gets == 2);  // the new one, and the oldest for its age
  scene.now_ms += 2 * kConfigChangeKeepMs;
  scene.store.on_changes();
  scene.zk.run();
  CHECK(scene.zk.children("/config/changes").empty());
}

TEST_CASE("of a deleted topic nothing is remembered") {
  Scene scene;
  kmsg::UpdateMetadataRequest update;
  auto& topic = update.topic_states.emplace_back();
  topic.topic_name = "t";
  topic.partition_states.emplace_back().leader = 1;
  auto with = MetadataImage::apply(MetadataImage::empty("c"), update).image;
  scene.store.forget_deleted(*with);
  CHECK(scene.told["topics/t"] == ConfigMap{{"retention.ms", "1"}});
  topic.partition_states[0].leader = kLeaderDuringDelete;
  auto without = MetadataImage::apply(with, update).image;
  REQUIRE(without->topic("t") == nullptr);
  scene.store.forget_deleted(*without);
  CHECK(scene.told["topics/t"].empty());
}

}  // namespace
}  // namespace ottla::broker
