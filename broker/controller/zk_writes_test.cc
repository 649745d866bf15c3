// What this room writes and reads beside the controller's queue - ids, blocks of producer ids, the
// registration, configs - when ZooKeeper refuses, when another broker was faster, and when a reply
// was lost.
#include <catch2/catch.hpp>
#include <deque>
#include <functional>

#include "broker/controller/broker_ids.h"
#include "broker/controller/config_store.h"
#include "broker/controller/producer_ids.h"
#include "broker/controller/registration.h"
#include "broker/zk/memory_zk.h"

namespace ottla::broker {
namespace {

// A session on an ensemble in memory, some of whose requests are refused.
class RefusingZk final : public ZkClient {
 public:
  explicit RefusingZk(MemoryEnsemble& ensemble) : ensemble_(ensemble), inner(ensemble) {}

  void submit(ZkRequest request, ZkDone done) override {
    ZkError error = refuse ? refuse(request) : ZkError::ok;
    if (error == ZkError::ok) return inner.submit(std::move(request), std::move(done));
    refused_.emplace_back(error, std::move(done));
  }
  void add_listener(ZkListener*) override {}
  void remove_listener(ZkListener*) override {}
  bool connected() const override { return true; }
  ZkSessionCredentials session() const override { return inner.session(); }

  void run() {
    while (ensemble_.run() != 0 || !refused_.empty()) {
      auto refused = std::exchange(refused_, {});
      for (auto& [error, done] : refused) {
        ZkReply reply;
        reply.error = error;
        done(std::move(reply));
      }
    }
  }
  // Refuses what concerns a path.
  void refuse_at(const std::string& path, ZkError error, OpCode op = OpCode::error) {
    refuse = [=](const ZkRequest& request) {
      bool is_it = request.path == path && (op == OpCode::error || op == request.op);
      return is_it ? error : ZkError::ok;
    };
  }

 private:
  MemoryEnsemble& ensemble_;
  std::deque<std::pair<ZkError, ZkDone>> refused_;

 public:
  MemoryZkClient inner;
  std::function<ZkError(const ZkRequest&)> refuse;
};

struct Tree {
  MemoryEnsemble zk;
  RefusingZk client{zk};

  void make(std::initializer_list<const char*> paths) {
    for (const char* path : paths) REQUIRE(zk.apply(ZkRequest::create(path, std::nullopt)).ok());
  }
  // The value, or the line.
  template <class T, class Start>
  Result<T> ask(Start&& start) {
    std::optional<Result<T>> out;
    start([&](Result<T> result) {
      REQUIRE_FALSE(out.has_value());
      out = std::move(result);
    });
    client.run();
    REQUIRE(out.has_value());
    return std::move(*out);
  }
};
template <class T>
std::string line(const Result<T>& result) {
  return result ? "" : result.error().context;
}
bool has(const std::string& text, std::string_view part) {
  INFO(text << " | " << part);
  CHECK(text.find(part) != std::string::npos);
  return true;
}

}  // namespace

TEST_CASE("generated broker ids count up above the reserved ones") {
  Tree tree;
  auto next = [&](int32_t reserved = 1000) {
    return tree.ask<int32_t>(
        [&](auto done) { generate_broker_id(tree.client, reserved, std::move(done)); });
  };
  CHECK(*next() == 1001);  // the path was not there
  CHECK(*next() == 1002);
  CHECK(*next(5) == 8);
  auto full = next(INT32_MAX - 1);
  CHECK(has(line(full), "no number above reserved.broker.max.id=2147483646 is left"));
  CHECK(full.error().code == Errc::invalid);
  tree.client.refuse_at(zpath::kBrokerSeqId, ZkError::no_auth);
  CHECK(has(line(next()), "ZooKeeper answered NoAuth for /brokers/seqid; check the ACLs"));
  tree.client.refuse_at(zpath::kBrokerSeqId, ZkError::session_expired);
  CHECK(next().error().code == Errc::closed);
  Tree closed;
  closed.client.refuse = [](const ZkRequest& request) {
    return request.op == OpCode::set_data        ? ZkError::no_node
           : request.path == zpath::kBrokerSeqId ? ZkError::no_auth
                                                 : ZkError::ok;
  };
  auto refused = closed.ask<int32_t>(
      [&](auto done) { generate_broker_id(closed.client, 1000, std::move(done)); });
  CHECK(has(line(refused), "/brokers/seqid cannot be made: ZooKeeper answered NoAuth"));
  CHECK(refused.error().code == Errc::permission);
}

TEST_CASE("blocks of producer ids follow each other, whoever took the last") {
  Tree tree;
  auto claim = [&](int32_t broker) {
    return tree.ask<ProducerIdBlock>(
        [&](auto done) { claim_producer_ids(tree.client, broker, std::move(done)); });
  };
  CHECK(has(line(claim(1)), "/latest_producer_id_block cannot be read: NoNode"));
  tree.make({zpath::kProducerIds});
  CHECK(*claim(1) == ProducerIdBlock{1, 0, 999});
  CHECK(*claim(2) == ProducerIdBlock{2, 1000, 1999});
  // Another broker is faster, once.
  int races = 0;
  tree.client.refuse = [&](const ZkRequest& request) {
    if (request.op != OpCode::set_data || races++ != 0) return ZkError::ok;
    tree.zk.apply(ZkRequest::set(zpath::kProducerIds, encode_producer_id_block({3, 2000, 2999})));
    return ZkError::ok;
  };
  CHECK(*claim(1) == ProducerIdBlock{1, 3000, 3999});
  CHECK(races == 2);
  tree.client.refuse_at(zpath::kProducerIds, ZkError::no_auth, OpCode::set_data);
  CHECK(has(line(claim(1)), "/latest_producer_id_block cannot be written: NoAuth"));
  tree.client.refuse = nullptr;
  tree.zk.apply(ZkRequest::set(zpath::kProducerIds, "not json"));
  CHECK(claim(1).error().code != Errc::closed);
  ProducerIdBlock last{3, INT64_MAX - 1500, INT64_MAX - 501};
  tree.zk.apply(ZkRequest::set(zpath::kProducerIds, encode_producer_id_block(last)));
  CHECK(has(line(claim(1)), "all producer ids are used up"));
}

TEST_CASE("a registration: whose place it is, and what stands in its way") {
  Tree tree;
  tree.make({"/brokers", "/brokers/ids"});
  BrokerRegistration self;
  self.id = 1;
  self.endpoints = {{"PLAINTEXT", "h", 9092, 0}};
  RegistrationRules rules;
  rules.connect = "zk:2181/x";
  auto join = [&] {
    return tree.ask<int64_t>(
        [&](auto done) { register_broker(tree.client, self, rules, std::move(done)); });
  };
  MemoryZkClient others(tree.zk);
  auto place = [&](int32_t id, BrokerRegistration broker) {
    broker.id = id;
    tree.zk.apply(
        ZkRequest::create(zpath::broker(id), encode_broker(broker), CreateMode::ephemeral),
        others.session().session_id);
  };
  BrokerRegistration other;
  other.endpoints = {{"PLAINTEXT", "elsewhere", 9093, 0}};

  SECTION("nobody is there") {
    auto epoch = join();
    REQUIRE(epoch);
    CHECK(*epoch > 0);
    CHECK(*decode_broker(1, tree.zk.data(zpath::broker(1))) == self);
    // Once more from the same session: its own place, made anew.
    auto again = join();
    REQUIRE(again);
    CHECK(*again > *epoch);
  }
  SECTION("the reply to the write was lost") {
    bool lost = false;
    tree.client.inner.lose_reply = [&](const ZkRequest& request) {
      return request.op == OpCode::multi && !std::exchange(lost, true);
    };
    REQUIRE(join());
    CHECK(lost);
    CHECK(*decode_broker(1, tree.zk.data(zpath::broker(1))) == self);
  }
  SECTION("the id is taken") {
    place(1, other);
    CHECK(has(line(join()), "broker.id=1 is taken: /brokers/ids/1 belongs to session 0x"));
    CHECK(has(line(join()), "(elsewhere:9093)"));
    tree.zk.apply(ZkRequest::set(zpath::broker(1), "not json"));
    CHECK(has(line(join()), "(no address)"));
  }
  SECTION("the id is taken between the look and the write") {
    bool placed = false;
    tree.client.refuse = [&](const ZkRequest& request) {
      if (request.op == OpCode::multi && !std::exchange(placed, true)) place(1, other);
      return ZkError::ok;
    };
    CHECK(has(line(join()), "broker.id=1 is taken"));
  }
  SECTION("another broker is there") {
    place(7, other);
    CHECK(has(line(join()),
              "broker 7 at elsewhere:9093 is registered under "
              "zookeeper.connect=zk:2181/x; clusters of several brokers"));
    rules.single_broker = false;
    CHECK(join());
  }
  SECTION("another broker has this address, or none that can be read") {
    rules.single_broker = false;
    place(7, self);
    CHECK(has(line(join()), "h:9092 in advertised.listeners is already registered by broker 7"));
    tree.zk.apply(ZkRequest::set(zpath::broker(7), "not json"));
    CHECK(join());
  }
  SECTION("the session ends, or ZooKeeper refuses") {
    tree.client.refuse_at(zpath::kBrokerIds, ZkError::session_expired);
    CHECK(join().error().code == Errc::closed);
    tree.client.refuse = [](const ZkRequest& request) {
      return request.op == OpCode::multi ? ZkError::session_expired : ZkError::ok;
    };
    CHECK(join().error().code == Errc::closed);
    tree.client.refuse = [](const ZkRequest& request) {
      return request.op == OpCode::multi ? ZkError::no_auth : ZkError::ok;
    };
    CHECK(has(line(join()), "registration at /brokers/ids/1 failed: ZooKeeper answered NoAuth"));
    tree.client.refuse = [](const ZkRequest& request) {
      return request.op == OpCode::multi      ? ZkError::node_exists
             : request.op == OpCode::get_data ? ZkError::session_expired
                                              : ZkError::ok;
    };
    CHECK(join().error().code == Errc::closed);
  }
}

namespace {

struct Configs : Tree {
  std::map<std::string, ConfigMap> told;
  ConfigStore store{client, 1, [] { return int64_t{1'700'000'000'000}; },
                    [this](const std::string& type, const std::string& name,
                           const ConfigMap& config) { told[type + "/" + name] = config; }};
  Configs() {
    make({"/config", "/config/changes", "/config/topics", "/config/brokers", "/config/users",
          "/config/clients", "/config/ips", "/controller"});
  }
  Result<void> write(const std::string& type, const std::string& name, const ConfigMap& config) {
    return ask<void>([&](auto done) { store.write(type, name, config, std::move(done)); });
  }
  Result<ConfigMap> read(const std::string& type, const std::string& name) {
    return ask<ConfigMap>([&](auto done) { store.read(type, name, std::move(done)); });
  }
  using All = std::map<std::string, ConfigMap>;
  Result<All> read_all(const std::string& type, const std::string& below = "") {
    return ask<All>([&](auto done) { store.read_all(type, below, std::move(done)); });
  }
};

}  // namespace

TEST_CASE("a config is written, announced, told, and read back") {
  Configs configs;
  ConfigMap one = {{"retention.ms", "1"}}, two = {{"retention.ms", "2"}};
  REQUIRE(configs.write("topics", "t", one));
  CHECK(configs.zk.data("/config/topics/t") == encode_config(one));
  REQUIRE(configs.write("topics", "t", two));
  CHECK(configs.told["topics/t"] == two);
  CHECK(configs.zk.children("/config/changes").size() == 2);
  CHECK(*configs.read("topics", "t") == two);
  CHECK(configs.read("topics", "nobody")->empty());
  REQUIRE(configs.write("topics", "t", {}));  // a topic keeps its node
  CHECK(configs.zk.data("/config/topics/t") == encode_config({}));
}

TEST_CASE("quotas of users and their clients: nodes come as they are needed, and go again") {
  Configs configs;
  ConfigMap quota = {{"producer_byte_rate", "1"}};
  REQUIRE(configs.write("users", "u/clients/c", quota));
  REQUIRE(configs.write("users", "u/clients/d", quota));
  REQUIRE(configs.write("users", "v", quota));
  REQUIRE(configs.write("clients", "x", quota));
  CHECK(*configs.read_all("users") == Configs::All{{"u", {}}, {"v", quota}});
  CHECK(*configs.read_all("users", "clients") ==
        Configs::All{{"u/clients/c", quota}, {"u/clients/d", quota}});
  CHECK(configs.read_all("ips", "clients")->empty());
  CHECK(configs.read_all("nothing")->empty());
  // What still has something below it stays, empty.
  REQUIRE(configs.write("users", "u", {}));
  CHECK(configs.zk.data("/config/users/u") == encode_config({}));
  REQUIRE(configs.write("users", "u/clients/c", {}));
  CHECK(configs.zk.children("/config/users/u/clients") == std::vector<std::string>{"d"});
  REQUIRE(configs.write("users", "u/clients/d", {}));
  CHECK_FALSE(configs.zk.exists("/config/users/u"));
  REQUIRE(configs.write("users", "v/clients/c", quota));
  REQUIRE(configs.write("users", "v/clients/c", {}));
  CHECK(configs.zk.exists("/config/users/v"));  // it has a quota of its own
  CHECK_FALSE(configs.zk.exists("/config/users/v/clients"));
  REQUIRE(configs.write("clients", "x", {}));
  REQUIRE(configs.write("clients", "x", {}));  // gone already
  CHECK(configs.zk.children("/config/clients").empty());
  CHECK(configs.told["users/u/clients/d"].empty());
}

TEST_CASE("a config that ZooKeeper does not take or give is told in one line") {
  Configs configs;
  ConfigMap one = {{"a", "1"}};
  REQUIRE(configs.write("topics", "t", one));
  auto written = [&] { return line(configs.write("topics", "t", {{"a", "2"}})); };
  configs.client.refuse = [](const ZkRequest& request) {
    return request.op == OpCode::multi ? ZkError::bad_version : ZkError::ok;
  };
  CHECK(written() == "a config cannot be written: ZooKeeper answered BadVersion");
  configs.client.refuse_at("/controller", ZkError::no_node);
  CHECK(written() == "no controller to guard a config write: ZooKeeper answered NoNode");
  configs.client.refuse_at("/config/changes/config_change_", ZkError::session_expired);
  auto unannounced = configs.write("topics", "t", {{"a", "2"}});
  CHECK(line(unannounced) ==
        "a config change cannot be announced: ZooKeeper answered SessionExpired");
  CHECK(unannounced.error().code == Errc::closed);
  CHECK(configs.told["topics/t"] == one);
  configs.client.refuse_at("/config/topics/new", ZkError::no_auth, OpCode::create2);
  CHECK(line(configs.write("topics", "new", one)) ==
        "a config cannot be written: ZooKeeper answered NoAuth");
  // Made by another broker between the look and the write.
  configs.client.refuse_at("/config/topics/new", ZkError::node_exists, OpCode::create2);
  CHECK(line(configs.write("topics", "new", one)) ==
        "a config cannot be written: ZooKeeper answered NoNode");
  configs.zk.apply(ZkRequest::create("/config/topics/new", std::nullopt));
  configs.client.refuse_at("/config/topics/new", ZkError::no_node, OpCode::exists);
  CHECK(configs.write("topics", "new", one));
  CHECK(configs.zk.data("/config/topics/new") == encode_config(one));

  configs.client.refuse_at("/config/topics/t", ZkError::no_auth);
  CHECK(line(configs.read("topics", "t")) == "a config cannot be read: ZooKeeper answered NoAuth");
  CHECK(line(configs.read_all("topics")) == "a config cannot be read: ZooKeeper answered NoAuth");
  configs.client.refuse_at("/config/topics", ZkError::no_auth);
  CHECK(line(configs.read_all("topics")) == "configs cannot be listed: ZooKeeper answered NoAuth");
  CHECK(has(line(configs.ask<void>([&](auto done) { configs.store.load(std::move(done)); })),
            "configs cannot be read: ZooKeeper answered NoAuth"));
  configs.client.refuse_at("/config/topics/t", ZkError::session_expired);
  CHECK(has(line(configs.ask<void>([&](auto done) { configs.store.load(std::move(done)); })),
            "configs cannot be read: ZooKeeper answered SessionExpired"));
  configs.client.refuse_at("/config/clients/x", ZkError::no_auth, OpCode::remove);
  CHECK(line(configs.write("clients", "x", {})) ==
        "a config cannot be removed: ZooKeeper answered NoAuth");
  configs.client.refuse = nullptr;
  // What is stored and is no config: not handed out, and told as empty.
  configs.zk.apply(ZkRequest::set("/config/topics/t", "[]"));
  CHECK_FALSE(configs.read_all("topics")->contains("t"));
  CHECK_FALSE(configs.read("topics", "t"));
  REQUIRE(configs.ask<void>([&](auto done) { configs.store.load(std::move(done)); }));
  CHECK(configs.told["topics/t"].empty());
}

TEST_CASE("topics are loaded once, and again after they were deleted") {
  Configs configs;
  ConfigMap one = {{"a", "1"}};
  configs.zk.apply(ZkRequest::create("/config/topics/t", encode_config(one)));
  int loads = 0;
  auto load = [&](const std::vector<std::string>& topics) {
    configs.told.clear();
    configs.store.load_topics(topics, [&] { ++loads; });
    configs.client.run();
  };
  load({"t", "u"});
  CHECK(configs.told == std::map<std::string, ConfigMap>{{"topics/t", one}, {"topics/u", {}}});
  load({"t", "u"});  // u has no config yet
  CHECK(configs.told == std::map<std::string, ConfigMap>{{"topics/u", {}}});
  CHECK(loads == 2);
  kmsg::UpdateMetadataRequest update;
  update.topic_states.emplace_back().topic_name = "t";
  update.topic_states[0].partition_states.emplace_back().leader = 1;
  auto with_t = MetadataImage::apply(MetadataImage::empty("c"), update).image;
  configs.store.forget_deleted(*with_t);
  configs.store.know_topic("v", one);
  CHECK(configs.told["topics/v"] == one);
  configs.store.forget_deleted(*MetadataImage::empty("c"));
  load({"t", "v"});
  CHECK(configs.told.size() == 1);  // v was never seen in the metadata: being made
  CHECK(configs.told["topics/t"] == one);
}

TEST_CASE("notifications that nobody can read are passed over, old ones taken away") {
  Configs configs;
  configs.zk.apply(ZkRequest::create("/config/topics/t", encode_config({{"a", "1"}})));
  auto note = [&](const char* name, const std::string& text) {
    configs.zk.apply(ZkRequest::create(std::string("/config/changes/") + name, text));
  };
  note("other", "x");
  note("config_change_x", "x");
  note("config_change_0000000001", "not json");
  note("config_change_0000000002", R"({"version":2,"entity_path":"noslash"})");
  note("config_change_0000000003", encode_config_change("topics/t"));
  configs.store.on_changes();
  configs.client.run();
  CHECK(configs.told == std::map<std::string, ConfigMap>{{"topics/t", {{"a", "1"}}}});
  int64_t later = 1'900'000'000'000;
  ConfigStore store(
      configs.client, 1, [&] { return later; },
      [](const std::string&, const std::string&, const ConfigMap&) {});
  store.on_changes();
  configs.client.run();
  CHECK(configs.zk.children("/config/changes") ==
        std::vector<std::string>{"config_change_x", "other"});
}

}  // namespace ottla::broker
