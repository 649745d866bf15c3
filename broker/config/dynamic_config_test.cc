#include "broker/config/dynamic_config.h"

#include <fmt/core.h>

#include <catch2/catch.hpp>

#include "broker/config/broker_keys.h"
#include "broker/config/topic_keys.h"

namespace ottla::broker {
namespace {

Alteration change(const char* name, AlterOp op, std::optional<std::string> value = std::nullopt) {
  return {name, static_cast<int8_t>(op), std::move(value)};
}

std::string list_after(ConfigOverrides config, AlterOp op, const char* value) {
  Alteration one = change("cleanup.policy", op, value);
  REQUIRE_FALSE(alter_config({&one, 1}, find_topic_key, config));
  return config["cleanup.policy"];
}

std::string fault(const ConfigOverrides& proposed, bool per_broker = true,
                  const DynamicConfigs& current = {}) {
  return dynamic_config_fault(default_broker_config(), current, proposed, per_broker);
}

}  // namespace

TEST_CASE("alterations of lists begin at the default and keep their order") {
  CHECK(list_after({}, AlterOp::append, "compact") == "delete,compact");
  CHECK(list_after({{"cleanup.policy", "compact"}}, AlterOp::append, "compact") == "compact");
  CHECK(list_after({{"cleanup.policy", ""}}, AlterOp::append, "compact") == "compact");
  CHECK(list_after({}, AlterOp::subtract, "delete") == "");
  CHECK(list_after({{"cleanup.policy", "delete,compact"}}, AlterOp::subtract, "delete") ==
        "compact");
}

TEST_CASE("alterations: set, delete, and what is refused") {
  ConfigOverrides config{{"retention.ms", "5"}};
  std::vector<Alteration> both = {change("retention.ms", AlterOp::remove),
                                  change("segment.bytes", AlterOp::set, "100")};
  REQUIRE_FALSE(alter_config(both, find_topic_key, config));
  CHECK(config == ConfigOverrides{{"segment.bytes", "100"}});

  auto refused = [&](Alteration one) { return alter_config({&one, 1}, find_topic_key, config); };
  CHECK(refused(change("retention.ms", AlterOp::append, "1"))->text ==
        "Config value append is not allowed for config key: retention.ms");
  CHECK(refused(change("no.such", AlterOp::subtract, "1"))->kind == RefusalKind::server_error);
  CHECK(refused({"retention.ms", 4, "1"})->kind == RefusalKind::server_error);
}

TEST_CASE("broker configs: what may change at run time, in Kafka's words") {
  CHECK(fault({{"message.max.bytes", "1000"}}) == "");
  CHECK(fault({{"no.such.key", "1"}}) == "");
  CHECK(fault({{"broker.id", "3"}}) == "Cannot update these configs dynamically: Set(broker.id)");
  CHECK(fault({{"ssl.keystore.type", "PEM"}}).starts_with("These security configs can be"));
  CHECK(fault({{"listeners", "PLAINTEXT://:1"}}, false) ==
        "Cannot update these configs at default cluster level, broker id must be specified: "
        "Set(listeners)");
  CHECK(fault({{"listeners", "BAD"}}) ==
        "Error creating broker listeners from 'BAD': Unable to parse BAD to a broker endpoint");
  CHECK(fault({{"listeners", "PLAINTEXT://:9092"}}) == "");
  CHECK(fault({{"log.retention.ms", "abc"}}) ==
        "Invalid value abc for configuration log.retention.ms: Not a number of type LONG");
  CHECK(fault({{"listener.name.internal.max.connections", "x"}}) ==
        "Invalid value x for configuration max.connections: Not a number of type INT");
  CHECK(fault({{"log.retention.ms", "0"}}) ==
        "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to "
        "1");
  CHECK(fault({{"num.io.threads", "17"}}) ==
        "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update "
        "validation failed for num.io.threads=17, value should not be greater than double the "
        "current value 8 for configuration Invalid dynamic configuration");
  CHECK(fault({{"num.io.threads", "17"}}, true, {{{"num.io.threads", "16"}}, {}}) == "");
}

TEST_CASE("broker configs: what all settings together do not allow") {
  struct Row {
    ConfigOverrides proposed;
    const char* says;
  };
  const Row rows[] = {
      {{{"log.roll.ms", "0"}}, "log.roll.ms must be greater than or equal to 1"},
      {{{"log.roll.jitter.ms", "-1"}}, "log.roll.jitter.ms must be greater than or equal to 0"},
      {{{"log.cleaner.threads", "0"}}, "/ by zero"},
      {{{"log.cleaner.dedupe.buffer.size", "1048576"}}, "must be at least 1MB per cleaner thread"},
      {{{"max.connections.per.ip.overrides", "h"}}, "Invalid input 'h'; expected key:value pairs"},
      {{{"max.connections.per.ip.overrides", "h:x"}}, "For input string: \"x\""},
      {{{"max.connections.per.ip", "0"}}, "max.connections.per.ip can be set to zero only if"},
      {{{"max.connections", "0"}}, "Invalid max.connections 0"},
      {{{"max.connection.creation.rate", "0"}}, "Invalid max.connection.creation.rate 0"},
      {{{"num.network.threads", "7"}}, "should not be greater than double the current value 3"},
      {{{"num.replica.fetchers", "0"}}, "value should be at least 1"},
      {{{"num.io.threads", "3"}}, "value should be at least half the current value 8"},
      {{{"background.threads", "21"}}, "should not be greater than double the current value 10"},
      {{{"metric.reporters", "x.Y"}}, "HashSet(metric.reporters) failed with class"},
      {{{"log.cleaner.threads", "-1"}}, "log.cleaner.threads"},
      {{{"log.cleaner.threads", "3"}},
       "cannot be increased to more than double the current value 1"},
      {{{"log.local.retention.ms", "-1"}},
       "Value must not be -1 as log.retention.ms value is set as"},
      {{{"log.local.retention.ms", "700000000"}},
       "must not be more than log.retention.ms property"},
      {{{"log.retention.bytes", "100"}, {"log.local.retention.bytes", "-1"}},
       "Value must not be -1 as log.retention.bytes value is set as 100"},
      {{{"log.retention.bytes", "100"}, {"log.local.retention.bytes", "101"}},
       "must not be more than log.retention.bytes property value: 100"},
      {{{"advertised.listeners", "PLAINTEXT://h:1"}},
       "advertised.listeners cannot be changed while this broker runs"},
      {{{"listener.security.protocol.map", "PLAINTEXT:SSL"}},
       "listener.security.protocol.map cannot be changed while this broker runs"},
      {{{"unclean.leader.election.enable", "maybe"}}, "Expected value to be either true or false"},
      {{{"principal.builder.class", "x.Y"}}, "x.Y"},
  };
  for (const Row& row : rows) {
    std::string said = fault(row.proposed);
    INFO(row.proposed.begin()->first << ": " << said);
    CHECK(said.find(row.says) != std::string::npos);
  }
  CHECK(fault({{"log.cleaner.threads", "1"}}, true, {{{"log.cleaner.threads", "4"}}, {}}) ==
        "Invalid value org.apache.kafka.common.config.ConfigException: Log cleaner threads cannot "
        "be reduced to less than half the current value 4 for configuration Invalid dynamic "
        "configuration");
  CHECK(fault({{"a", "1"},
               {"broker.id", "3"},
               {"log.dir", "x"},
               {"log.dirs", "y"},
               {"num.partitions", "3"},
               {"zookeeper.connect", "h"}}) ==
        "Cannot update these configs dynamically: "
        "HashSet(broker.id, log.dir, log.dirs, num.partitions, zookeeper.connect)");
  CHECK(fault({{"listener.name.x.ssl.keystore.type", "PEM"}}, false)
            .find("broker id must be specified: Set(listener.name.x.ssl.keystore.type)") !=
        std::string::npos);
  CHECK(fault({{"listener.name.internal", "1"}}) == "");
  // A fault that was there before is not this change's.
  CHECK(fault({{"log.local.retention.ms", "-1"}}, true, {{{"log.local.retention.ms", "-1"}}, {}}) ==
        "");
}

TEST_CASE("of several wrong broker configs the first of Kafka's own list is told") {
  CHECK(
      fault({{"background.threads", "abc"}, {"min.insync.replicas", "99999999999"}}) ==
      "Invalid value 99999999999 for configuration min.insync.replicas: Not a number of type INT");
  CHECK(fault({{"listener.name.a.max.connections", "x"}, {"log.roll.ms", "y"}}) ==
        "Invalid value x for configuration max.connections: Not a number of type INT");
  // None is left out.
  for (std::span<const BrokerKey> keys : {broker_keys(), dynamic_broker_keys()})
    for (const BrokerKey& key : keys) {
      bool number = key.info.type == config::Type::int32 || key.info.type == config::Type::int64;
      if (key.info.scope == config::Scope::read_only || !number) continue;
      INFO(key.info.name);
      CHECK(fault({{key.info.name, "x"}}).find("Not a number of type") != std::string::npos);
    }
}

TEST_CASE("a broker is described with stored keys that are no broker's") {
  BrokerConfig file = default_broker_config();
  file.given["mine"] = "1";
  file.given["log.initial.task.delay.ms"] = "1";
  std::map<std::string, DescribedConfig> by_name;
  for (DescribedConfig& one : describe_broker(
           file, {{{"retention.ms", "1"}, {"mine", "2"}}, {{"retention.ms", "3"}, {"", "4"}}}))
    by_name[one.name] = one;
  REQUIRE(by_name.contains("retention.ms"));
  CHECK(by_name["retention.ms"].sensitive);
  CHECK_FALSE(by_name["retention.ms"].value);
  CHECK(by_name["retention.ms"].source == ConfigSource::dynamic_broker);
  CHECK(by_name["retention.ms"].synonyms.size() == 2);
  CHECK(by_name["mine"].synonyms.size() == 2);
  CHECK(by_name[""].source == ConfigSource::dynamic_default_broker);
  // Otherwise left out, but said in the file.
  CHECK(by_name["log.initial.task.delay.ms"].value == "1");
  CHECK_FALSE(by_name.contains("producer.id.expiration.check.interval.ms"));
}

TEST_CASE("broker configs of the whole cluster are described by what is stored") {
  DynamicConfigs dynamic;
  dynamic.cluster_default = {{"message.max.bytes", "+2000"},
                             {"mine", "secret"},
                             {"log.retention.ms", "5"},
                             {"log.cleaner.min.cleanable.ratio", "1"},
                             {"leader.replication.throttled.rate", "7"},
                             {"log.message.downconversion.enable", "FALSE"}};
  std::map<std::string, DescribedConfig> by_name;
  for (DescribedConfig& one : describe_cluster_default(dynamic)) by_name[one.name] = one;
  CHECK(by_name.size() == 6);
  CHECK(by_name["message.max.bytes"].value == "2000");
  CHECK(by_name["message.max.bytes"].source == ConfigSource::dynamic_default_broker);
  CHECK(by_name["mine"].sensitive);
  CHECK_FALSE(by_name["mine"].value);
  CHECK(by_name["log.cleaner.min.cleanable.ratio"].value == "1.0");
  CHECK(by_name["log.message.downconversion.enable"].value == "false");
  // A dynamic key is described with the broker where it is set; topics inherit what the file says.
  BrokerConfig file = default_broker_config();
  bool found = false;
  for (const DescribedConfig& one : describe_broker(file, dynamic))
    if (one.name == "leader.replication.throttled.rate") found = one.value == "7";
  CHECK(found);
  std::map<std::string, std::optional<std::string>> topic;
  for (const DescribedConfig& one : describe_topic(file, {}, {{"no.such", "x"}}))
    topic[one.name] = one.value;
  CHECK(topic["retention.ms"] == "604800000");
  CHECK(topic["segment.ms"] == "604800000");
  CHECK(topic["segment.jitter.ms"] == "0");
  CHECK(topic["flush.ms"] == "9223372036854775807");
  CHECK(topic.contains("no.such"));
  CHECK_FALSE(topic["no.such"]);
}

TEST_CASE("dynamic configs lie over the file's, the broker's own uppermost") {
  BrokerConfig file = default_broker_config();
  DynamicConfigs dynamic;
  dynamic.cluster_default = {{"message.max.bytes", "2000"}, {"max.connections", "7"}};
  dynamic.broker = {{"message.max.bytes", "1000"},
                    {"max.connections.per.ip.overrides", "127.0.0.1:3"}};
  BrokerConfig now = with_dynamic(file, dynamic);
  CHECK(now.message_max_bytes == 1000);
  CHECK(now.max_connections == 7);
  CHECK(now.connections_per_ip_overrides.at("127.0.0.1") == 3);
  CHECK(with_dynamic(file, {}).message_max_bytes == file.message_max_bytes);
}

TEST_CASE("what stands in ZooKeeper and cannot count is left out") {
  ConfigOverrides stored = {{"broker.id", "7"},           {"listeners", "PLAINTEXT://:1"},
                            {"message.max.bytes", "x"},   {"max.connections", "5"},
                            {"ssl.keystore.type", "JKS"}, {"mine", "1"}};
  CHECK(usable_dynamic(stored, false) == ConfigOverrides{{"max.connections", "5"}, {"mine", "1"}});
  CHECK(usable_dynamic(stored, true).contains("listeners"));
}

TEST_CASE("a key's synonyms are named from the strongest source on") {
  BrokerConfig file = default_broker_config();
  file.given["log.retention.minutes"] = "9";
  DynamicConfigs dynamic;
  auto synonyms = [&](const char* name) {
    for (const DescribedConfig& one : describe_broker(with_dynamic(file, dynamic), dynamic))
      if (one.name == name) {
        std::string text;
        for (const auto& synonym : one.synonyms)
          text += fmt::format("{}={}@{} ", synonym.name, synonym.value.value_or("-"),
                              static_cast<int>(synonym.source));
        return text;
      }
    return std::string("?");
  };
  CHECK(synonyms("log.retention.ms") == "");
  dynamic.cluster_default["log.retention.ms"] = "5";
  CHECK(synonyms("log.retention.ms") ==
        "log.retention.ms=5@3 log.retention.minutes=9@4 log.retention.hours=168@5 ");
  CHECK(synonyms("log.retention.hours") == "log.retention.hours=168@5 ");
  // The file's minutes are named, and count no more.
  for (const DescribedConfig& one : describe_broker(with_dynamic(file, dynamic), dynamic))
    if (one.name == "log.retention.minutes") CHECK_FALSE(one.value);
}

}  // namespace ottla::broker
