#include <catch2/catch.hpp>

#include "broker/config/broker_keys.h"
#include "broker/config/describe.h"
#include "broker/config/topic_keys.h"

using namespace ottla;
using namespace ottla::broker;

namespace {
Result<LoadedConfig> load(const std::string& text) {
  auto properties = config::Properties::parse(text, "server.properties");
  REQUIRE(properties);
  return load_broker_config(*properties, "server.properties");
}
std::string fault_of(const std::string& text) {
  auto loaded = load(text);
  return loaded ? "" : loaded.error().context;
}
const DescribedConfig& entry_of(const std::vector<DescribedConfig>& all, const std::string& name) {
  for (const auto& one : all)
    if (one.name == name) return one;
  FAIL("no entry " << name);
  return all.front();
}
constexpr const char* kZk = "zookeeper.connect=localhost:2181/tenant\n";
}  // namespace

TEST_CASE("the tables are sorted, complete and their defaults parse") {
  auto keys = broker_keys();
  CHECK(keys.size() == 328 + 1);  // Kafka's 267 and 61 of other modes, and our one
  for (size_t i = 1; i < keys.size(); ++i)
    CHECK(std::string_view(keys[i - 1].info.name) < std::string_view(keys[i].info.name));
  for (const auto& key : keys) CHECK(find_static_broker_key(key.info.name) == &key.info);
  for (const char* none : {"", "a", "log.retention", "log.retention.mss", "zzz"})
    CHECK(find_broker_key(none) == nullptr);
  CHECK(topic_keys().size() == 36);
  for (const auto& key : topic_keys()) {
    CHECK(value_fault(key.info, key.info.default_text) == "");
    if (key.info.synonym != nullptr) CHECK(find_broker_key(key.info.synonym) != nullptr);
  }
}

TEST_CASE("a small file gives the defaults and what it says") {
  auto loaded = load(std::string(kZk) +
                     "broker.id=3\nlisteners=PLAINTEXT://127.0.0.1:9092,LAN://[::1]:9093\n"
                     "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LAN:PLAINTEXT\n"
                     "log.dirs=/a, /b\nlog.retention.minutes=2\nlog.retention.hours=5\n"
                     "num.io.threads=8\nnum.network.threads=7\nhouse.colour=blue\n");
  REQUIRE(loaded);
  const BrokerConfig& config = loaded->config;
  CHECK(config.broker_id == 3);
  CHECK(config.log_dirs == std::vector<std::string>{"/a", "/b"});
  CHECK(config.retention_ms() == 120'000);
  CHECK(config.segment_ms() == 168 * 3'600'000LL);
  CHECK(config.listeners.size() == 2);
  CHECK(to_string(config.listeners[1]) == "LAN://[::1]:9093");
  CHECK(config.inter_broker_listener == "PLAINTEXT");
  CHECK(loaded->warnings ==
        std::vector<std::string>{
            "server.properties: num.network.threads is known but has no effect in this version",
            "server.properties: unknown key house.colour is ignored"});
  CHECK(make_topic_config(config, {{"retention.ms", "7"}}).retention_ms == 7);
  CHECK(topic_defaults(config).retention_ms == 120'000);
}

TEST_CASE("a wrong value is one line that names file, key, value and what is allowed") {
  CHECK(fault_of(std::string(kZk) + "num.partitions=0\n") ==
        "server.properties:2: num.partitions=0: must be an integer of at least 1");
  CHECK(fault_of("") ==
        "server.properties: zookeeper.connect= (its default): must be set: HOST:PORT,.../CHROOT of "
        "the ensemble");
  CHECK(fault_of(std::string(kZk) + "listeners=SSL://:9093\n") ==
        "server.properties:2: listeners=SSL://:9093: SSL speaks SSL, which this version does not; "
        "only PLAINTEXT listeners can be used");
  CHECK(fault_of(std::string(kZk) + "listeners=PLAINTEXT:9093\n") ==
        "server.properties:2: listeners=PLAINTEXT:9093: must be a list of NAME://HOST:PORT");
  CHECK(fault_of(std::string(kZk) + "listeners=PLAINTEXT://0.0.0.0:9093\n") ==
        "server.properties:2: listeners=PLAINTEXT://0.0.0.0:9093: 0.0.0.0 is no address a client "
        "can connect to; set advertised.listeners");
  CHECK(fault_of(std::string(kZk) + "broker.id=1001\n") ==
        "server.properties:2: broker.id=1001: must be -1, or from 0 to reserved.broker.max.id "
        "(1000)");
  CHECK(fault_of(std::string(kZk) + "log.retention.ms=0\n") ==
        "server.properties:2: log.retention.ms=0: must be positive, or -1 for ever");
}

TEST_CASE("topic configs are refused in Kafka's words") {
  BrokerConfig broker = default_broker_config();
  CHECK(topic_config_fault(broker, {{"retention.ms", "x"}}) ==
        "Invalid value x for configuration retention.ms: Not a number of type LONG");
  CHECK(topic_config_fault(broker, {{"retention.ms", "+1000"}}).empty());
  CHECK(make_topic_config(broker, {{"retention.ms", "+1000"}}).retention_ms == 1000);
  CHECK_FALSE(topic_config_fault(broker, {{"retention.ms", "+-1"}}).empty());
  CHECK_FALSE(topic_config_fault(broker, {{"retention.ms", "++1"}}).empty());
  CHECK(topic_config_fault(broker, {{"no.such", "x"}}) == "Unknown topic config name: no.such");
  CHECK(topic_config_fault(broker, {{"min.cleanable.dirty.ratio", "1.5"}}) ==
        "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than "
        "1");
  CHECK(
      topic_config_fault(broker, {{"compression.gzip.level", "0"}}) ==
      "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or "
      "equal to -1");
  CHECK(topic_config_fault(broker, {{"message.format.version", "0.9"}}) ==
        "Invalid value 0.9 for configuration message.format.version: Version 0.9 is not a valid "
        "version");
  CHECK(topic_config_fault(broker, {{"message.format.version", "2.8"}}).empty());
  // Of several wrong values the first in Kafka's own order.
  CHECK(topic_config_fault(broker, {{"min.insync.replicas", "0"}, {"retention.ms", "-2"}}) ==
        "Invalid value -2 for configuration retention.ms: Value must be at least -1");
  CHECK(
      topic_config_fault(broker, {{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}})
          .starts_with("conflict topic config setting"));
  auto said = [&](const char* name, const char* text) {
    bool bad_value = false;
    std::string fault = topic_config_fault(broker, {{name, text}}, &bad_value);
    CHECK(bad_value == !fault.starts_with("It is invalid"));
    return fault;
  };
  CHECK(
      said("preallocate", "yes") ==
      "Invalid value yes for configuration preallocate: Expected value to be either true or false");
  CHECK(said("segment.bytes", "13") ==
        "Invalid value 13 for configuration segment.bytes: Value must be at least 14");
  CHECK(said("segment.bytes", "2147483648") ==
        "Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT");
  CHECK(said("cleanup.policy", "delete, shrink") ==
        "Invalid value shrink for configuration cleanup.policy: String must be one of: compact, "
        "delete");
  CHECK(
      said("leader.replication.throttled.replicas", "x")
          .starts_with("Invalid value [x] for configuration leader.replication.throttled.replicas: "
                       "leader.replication.throttled.replicas must be the literal '*'"));
  CHECK(said("compression.type", "zip").find("String must be one of: uncompressed, zstd, lz4") !=
        std::string::npos);
  CHECK(said("remote.log.copy.disable", "true").starts_with("It is invalid to set"));
  CHECK(said("remote.storage.enable", "true")
            .starts_with("Tiered Storage functionality is disabled"));
  TopicConfig both =
      make_topic_config(broker, {{"cleanup.policy", "compact,delete"}, {"no.such", "x"}});
  CHECK(both.compacts());
  CHECK(both.deletes());
}

TEST_CASE("described configs name their sources") {
  auto loaded = load(std::string(kZk) + "num.partitions=2\nssl.key.password=secret\nmine.key=1\n");
  REQUIRE(loaded);
  auto all = describe_broker(loaded->config, {{{"log.retention.ms", "5"}}, {}});
  CHECK(all.size() == 314 + 1);
  const auto& partitions = entry_of(all, "num.partitions");
  CHECK(partitions.value == "2");
  CHECK(partitions.source == ConfigSource::static_broker);
  CHECK(partitions.synonyms.size() == 2);
  CHECK(entry_of(all, "log.retention.ms").source == ConfigSource::dynamic_broker);
  CHECK(!entry_of(all, "ssl.key.password").value);
  CHECK(entry_of(all, "mine.key").sensitive);
  auto topic = describe_topic(loaded->config, {}, {{"cleanup.policy", "compact, delete"}});
  CHECK(topic.size() == 36);
  CHECK(entry_of(topic, "cleanup.policy").value == "compact,delete");
  CHECK(entry_of(topic, "cleanup.policy").synonyms.size() == 2);
  CHECK(entry_of(topic, "retention.ms").synonyms.empty());
}
