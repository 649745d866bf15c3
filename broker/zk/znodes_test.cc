// JSON of znodes, byte for byte as live Kafka 3.9.1 brokers wrote it; orders of Java's and Scala's
// maps; connect strings.
#include "broker/zk/znodes.h"

#include <catch2/catch.hpp>

#include "broker/zk/connect_string.h"
#include "broker/zk/java_order.h"

namespace ottla::broker {
namespace {

TEST_CASE("a broker's registration is written as Kafka writes it") {
  BrokerRegistration broker;
  broker.id = 1;
  broker.endpoints = {{"PLAINTEXT", "127.0.0.1", 16201, 0}};
  broker.timestamp_ms = 1795334687539;
  std::string json =
      R"({"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://127.0.0.1:16201"],"jmx_port":-1,"port":16201,"host":"127.0.0.1","version":5,"timestamp":"1795334687539"})";
  CHECK(encode_broker(broker) == json);
  auto back = decode_broker(1, json);
  REQUIRE(back);
  CHECK(*back == broker);

  broker.rack = "a";
  broker.endpoints = {{"IN", "::1", 9093, 1}, {"OUT", "h", 9092, 1}};
  json = encode_broker(broker);
  CHECK(
      json.find(
          R"("endpoints":["IN://[::1]:9093","OUT://h:9092"],"rack":"a","jmx_port":-1,"port":-1,"host":null)") !=
      std::string::npos);
  CHECK(*decode_broker(1, json) == broker);
}

TEST_CASE("older registrations are read") {
  auto one =
      decode_broker(7, R"({"version":1,"host":"h","port":9092,"jmx_port":1,"timestamp":"5"})");
  REQUIRE(one);
  CHECK(one->endpoints == std::vector<BrokerEndpoint>{{"PLAINTEXT", "h", 9092, 0}});
  auto two = decode_broker(
      7,
      R"({"version":2,"host":"h","port":1,"jmx_port":1,"timestamp":"5","endpoints":["SSL://h:2"],"new":{}})");
  REQUIRE(two);
  CHECK(two->endpoints.front().security_protocol == 1);
  for (const char* text :
       {"", "{", "[]", "{}", R"({"version":5,"endpoints":[1]})",
        R"({"version":5,"endpoints":["x"]})", R"({"version":5,"endpoints":["A://h:99999"]})"})
    CHECK_FALSE(decode_broker(7, text));
}

TEST_CASE("text that is no UTF-8 is stored and read with U+FFFD in its place") {
  ConfigMap given = {{"log.retention.ms", "-1"}, {"my.key", "a\xff\xfez"}, {"k\xc3", "\xc3\xa4"}};
  ConfigMap stored = {{"log.retention.ms", "-1"},
                      {"my.key", "a\xef\xbf\xbd\xef\xbf\xbdz"},
                      {"k\xef\xbf\xbd", "\xc3\xa4"}};
  auto back = decode_config(encode_config(given));
  REQUIRE(back);
  CHECK(*back == stored);
  // One that an earlier release stored as it came.
  auto raw = decode_config("{\"version\":1,\"config\":{\"a\":\"\xff\",\"b\":\"1\"}}");
  REQUIRE(raw);
  CHECK(*raw == ConfigMap{{"a", "\xef\xbf\xbd"}, {"b", "1"}});
}

TEST_CASE("names that no znode can have are refused in ZooKeeper's words") {
  CHECK(path_fault("/config/topics/t").empty());
  CHECK(path_fault("/config/topics/a.b").empty());
  CHECK(path_fault("/config/topics/").ends_with("must not end with / character"));
  CHECK(path_fault("/config/topics/.") ==
        "Invalid path string \"/config/topics/.\" caused by relative paths not allowed @15");
  CHECK(path_fault("/config/topics/..").find("relative paths") != std::string::npos);
  CHECK(path_fault("/config/topics/a//b").find("empty node name") != std::string::npos);
}

TEST_CASE("controller, cluster id, feature and producer id nodes") {
  CHECK(encode_controller({1, 1795334687617, -1}) ==
        R"({"version":2,"brokerid":1,"timestamp":"1795334687617","kraftControllerEpoch":-1})");
  CHECK(decode_controller(R"({"version":1,"brokerid":3,"timestamp":"9"})")->broker_id == 3);
  CHECK(encode_cluster_id("oHkQ5Dq2R5a7_Q0EUPv-SQ") ==
        R"({"version":"1","id":"oHkQ5Dq2R5a7_Q0EUPv-SQ"})");
  CHECK(*decode_cluster_id(R"({"version":"1","id":"x"})") == "x");
  CHECK(encode_feature_node() == R"({"features":{},"version":2,"status":1})");
  ProducerIdBlock block{2, 1000, 1999};
  std::string json = R"({"version":1,"broker":2,"block_start":"1000","block_end":"1999"})";
  CHECK(encode_producer_id_block(block) == json);
  CHECK(*decode_producer_id_block(json) == block);
  CHECK_FALSE(
      decode_producer_id_block(R"({"version":1,"broker":2,"block_start":"9","block_end":"1"})"));
}

TEST_CASE("topics and partition states") {
  std::string json =
      R"({"partitions":{"0":[1,3,2],"1":[2,1,3],"2":[3,2,1],"3":[1,3,2],"4":[2,1,3]},"topic_id":"yrHP8pdTTl-15EDiMQmS5Q","adding_replicas":{},"removing_replicas":{},"version":3})";
  auto topic = decode_topic(json);
  REQUIRE(topic);
  CHECK(topic->partitions.size() == 5);
  CHECK(encode_topic(*topic) == json);
  CHECK(decode_topic(R"({"version":1,"partitions":{"0":[1]}})")->id == std::nullopt);
  CHECK_FALSE(decode_topic(R"({"version":1,"partitions":{"x":[1]}})"));
  CHECK_FALSE(decode_topic(R"({"version":3,"partitions":{"0":[1]},"topic_id":"short"})"));

  std::string state =
      R"({"controller_epoch":3,"leader":-1,"version":1,"leader_epoch":4,"isr":[3]})";
  CHECK(encode_partition_state(*decode_partition_state(state)) == state);
  state =
      R"({"controller_epoch":3,"leader":1,"version":1,"leader_recovery_state":1,"leader_epoch":4,"isr":[1]})";
  CHECK(decode_partition_state(state)->recovering);
  CHECK(encode_partition_state(*decode_partition_state(state)) == state);
}

TEST_CASE("configs come in the order of Java's Properties") {
  ConfigMap offsets = {{"cleanup.policy", "compact"},
                       {"compression.type", "producer"},
                       {"segment.bytes", "104857600"}};
  CHECK(
      encode_config(offsets) ==
      R"({"version":1,"config":{"compression.type":"producer","cleanup.policy":"compact","segment.bytes":"104857600"}})");
  ConfigMap transactions = {{"cleanup.policy", "compact"},
                            {"compression.type", "uncompressed"},
                            {"min.insync.replicas", "1"},
                            {"segment.bytes", "104857600"},
                            {"unclean.leader.election.enable", "false"}};
  CHECK(
      encode_config(transactions) ==
      R"({"version":1,"config":{"compression.type":"uncompressed","cleanup.policy":"compact","min.insync.replicas":"1","segment.bytes":"104857600","unclean.leader.election.enable":"false"}})");
  CHECK(*decode_config(encode_config(transactions)) == transactions);
  CHECK(encode_config({}) == R"({"version":1,"config":{}})");
  CHECK(encode_config_change("topics/t") == R"({"version":2,"entity_path":"topics/t"})");
  CHECK(*decode_config_change(R"({"version":1,"entity_type":"topics","entity_name":"t"})") ==
        "topics/t");
}

TEST_CASE("lists of old tools are read, and written as they write them") {
  ReassignmentList list = {{{"t\t\"\\\b\f\n\r\x01", 0}, {1, 2}}, {{"u", 3}, {}}};
  std::string json = encode_reassignments(list);
  CHECK(
      json ==
      R"({"version":1,"partitions":[{"topic":"t\t\"\\\b\f\n\r\u0001","partition":0,"replicas":[1,2]},)"
      R"({"topic":"u","partition":3,"replicas":[]}]})");
  CHECK(*decode_reassignments(json) == list);
  CHECK(decode_reassignments(R"({"version":1,"partitions":[]})")->empty());
  auto listed = decode_partition_list(
      R"({"version":1,"partitions":[{"topic":"t","partition":0},{"topic":"u","partition":"3"}]})");
  REQUIRE(listed);
  CHECK(*listed == std::vector<std::pair<std::string, int32_t>>{{"t", 0}, {"u", 3}});
  for (const char* entry : {"", "1", "{}", R"({"topic":"t"})", R"({"topic":1,"partition":0})",
                            R"({"topic":"t","partition":4294967296,"replicas":[1]})"}) {
    std::string text = std::string(R"({"partitions":[)") + entry + "]}";
    INFO(text);
    CHECK(decode_partition_list(text).has_value() == (*entry == 0));
    CHECK(decode_reassignments(text).has_value() == (*entry == 0));
  }
  for (const char* replicas : {"1", "[\"1\"]", "[1.5]", "[4294967297]", "[[1]]"})
    CHECK_FALSE(decode_reassignments(
        std::string(R"({"partitions":[{"topic":"t","partition":0,"replicas":)") + replicas +
        "}]}"));
  for (const char* text : {"", "[]", "{}", R"({"partitions":{}})"}) {
    CHECK_FALSE(decode_partition_list(text));
    CHECK_FALSE(decode_reassignments(text));
  }
}

TEST_CASE("nodes that are not what Kafka writes are refused with a line, not half understood") {
  for (const char* text : {"", "null", "[1]", R"({"a":1})"}) {
    INFO(text);
    CHECK_FALSE(decode_controller(text));
    CHECK_FALSE(decode_cluster_id(text));
    CHECK_FALSE(decode_topic(text));
    CHECK_FALSE(decode_partition_state(text));
    CHECK_FALSE(decode_config_change(text));
    CHECK_FALSE(decode_producer_id_block(text));
  }
  // Numbers that do not fit are no numbers: cut to 32 bits they would name another broker.
  CHECK_FALSE(decode_controller(R"({"brokerid":4294967297})"));
  CHECK_FALSE(decode_controller(R"({"brokerid":18446744073709551615})"));
  CHECK_FALSE(decode_topic(R"({"partitions":{"0":[4294967297]}})"));
  CHECK_FALSE(decode_topic(R"({"partitions":{"4294967296":[1]}})"));
  CHECK_FALSE(decode_topic(R"({"partitions":[]})"));
  CHECK_FALSE(decode_topic(R"({"partitions":{},"adding_replicas":3})"));
  CHECK_FALSE(decode_partition_state(
      R"({"leader":4294967297,"leader_epoch":0,"controller_epoch":1,"isr":[1]})"));
  CHECK_FALSE(decode_partition_state(R"({"leader":1,"leader_epoch":0,"controller_epoch":1})"));
  CHECK(decode_cluster_id("{").error().context.find("is not what Kafka writes: {") !=
        std::string::npos);
  // Configs: what is there counts; values that are no strings are kept as they stand.
  CHECK(decode_config("")->empty());
  CHECK(decode_config(R"({"version":1})")->empty());
  CHECK(decode_config(R"({"config":[]})")->empty());
  CHECK_FALSE(decode_config("[]"));
  CHECK(*decode_config(R"({"config":{"a":"b","c":7}})") == ConfigMap{{"a", "b"}, {"c", "7"}});
}

TEST_CASE("names of protocols, and the paths of znodes") {
  for (int16_t id = 0; id < 4; ++id) CHECK(security_protocol_id(security_protocol_name(id)) == id);
  CHECK(security_protocol_id("TLS") == -1);
  CHECK(security_protocol_name(9) == "");
  CHECK(zpath::broker(3) == "/brokers/ids/3");
  CHECK(zpath::partitions("t") == "/brokers/topics/t/partitions");
  CHECK(zpath::partition("t", 2) == "/brokers/topics/t/partitions/2");
  CHECK(zpath::partition_state("t", 2) == "/brokers/topics/t/partitions/2/state");
  CHECK(zpath::delete_topic("t") == "/admin/delete_topics/t");
  CHECK(zpath::consumer_offset("g", "t", 2) == "/consumers/g/offsets/t/2");
  CHECK(zpath::config("brokers", "1") == "/config/brokers/1");
}

TEST_CASE("Java's string hash, and the order of a Scala map of many partitions") {
  CHECK(java_string_hash("") == 0);
  CHECK(java_string_hash("retention.ms") == java_string_hash("retention.ms"));
  CHECK(java_string_hash("hello") == 99162322);
  std::vector<std::string> keys;
  for (int i = 0; i < 12; ++i) keys.push_back(std::to_string(i));
  auto ordered = scala_map_order(keys);
  CHECK(ordered.size() == 12);
  CHECK(ordered != keys);  // "10" hashes far from "9"
}

TEST_CASE("a topic of fifty partitions comes in the order that Kafka 3.9.1 wrote") {
  std::vector<int> order;
  auto run = [&](int first, int last) {
    for (int i = first; i <= last; ++i) order.push_back(i);
  };
  run(44, 49), run(10, 19), run(0, 9), run(20, 43);
  std::string partitions;
  TopicNode topic;
  for (int index : order) {
    partitions += (partitions.empty() ? "\"" : ",\"") + std::to_string(index) + "\":[0]";
    topic.partitions[index] = {0};
  }
  CHECK(encode_topic(topic) ==
        "{\"partitions\":{" + partitions +
            "},\"adding_replicas\":{},\"removing_replicas\":{},\"version\":3}");
}

TEST_CASE("connect strings") {
  auto one = parse_connect_string("localhost:2181");
  REQUIRE(one);
  CHECK(one->servers == std::vector<rt::Endpoint>{{"localhost", 2181}});
  CHECK(one->chroot.empty());
  auto many = parse_connect_string("a:1, b ,[::1]:3/kafka/x");
  REQUIRE(many);
  CHECK(many->servers == std::vector<rt::Endpoint>{{"a", 1}, {"b", 2181}, {"::1", 3}});
  CHECK(many->chroot == "/kafka/x");
  CHECK(parse_connect_string("a:1/")->chroot.empty());
  for (const char* text : {"", "/x", ":2181", "a:0", "a:x", "a:65536", "a/x/", "a//x", ","})
    CHECK_FALSE(parse_connect_string(text));
}

}  // namespace
}  // namespace ottla::broker
