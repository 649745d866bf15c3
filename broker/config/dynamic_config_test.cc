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
