// What server.properties may not say, each with its line; what follows from several keys at once;
// listeners and versions as operators write them.
#include "broker/config/broker_config.h"

#include <catch2/catch.hpp>

#include "broker/config/broker_keys.h"
#include "broker/config/listeners.h"
#include "broker/config/valid.h"

namespace ottla::broker {
namespace {

Result<LoadedConfig> load(const std::string& text) {
  auto properties =
      config::Properties::parse("zookeeper.connect=localhost:2181\n" + text, "server.properties");
  REQUIRE(properties);
  return load_broker_config(*properties, "server.properties");
}
std::string fault_of(const std::string& text) {
  auto loaded = load(text);
  return loaded ? "" : loaded.error().context;
}

constexpr const char* kTwoNames =
    "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT\nlisteners=A://h:1,B://h:2\n";

}  // namespace

TEST_CASE("each rule over several keys has its line") {
  struct Row {
    std::string text, says;
  };
  const Row rows[] = {
      {"listeners=PLAINTEXT://h:1,PLAINTEXT://h:2", "must not name listener PLAINTEXT twice"},
      {"listeners=PLAINTEXT://h:1,B://"
       "h:1\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT",
       "must not use port 1 twice, but for one IPv4 and one IPv6 address"},
      {"listeners=PLAINTEXT://h:99999", "must end in a port from 0 to 65535, not 99999"},
      {"listeners=PLAINTEXT://h", "must be a list of NAME://HOST:PORT"},
      {"listeners=://h:1", "must be a list of NAME://HOST:PORT"},
      {"listeners=PLAINTEXT://::1:9092", "must have an IPv6 address in brackets"},
      {"listeners=LAN://h:1",
       "must name listeners of listener.security.protocol.map; LAN is not there"},
      {"listeners=LAN://h:1\nlistener.security.protocol.map=LAN:TLS",
       "must map to PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; LAN maps to TLS"},
      {"listeners=,", "must have at least one listener"},
      {"advertised.listeners=PLAINTEXT:1", "advertised.listeners=PLAINTEXT:1: must be a list"},
      {"advertised.listeners=PLAINTEXT://a:1,PLAINTEXT://b:1",
       "must not name listener PLAINTEXT twice"},
      {"advertised.listeners=SSL://a:1",
       "must name listeners that stand in listeners; SSL does not"},
      {std::string(kTwoNames), "must be the name of an advertised listener"},
      {std::string(kTwoNames) + "inter.broker.listener.name=C",
       "must be one of the advertised listeners"},
      {std::string(kTwoNames) +
           "inter.broker.listener.name=A\nsecurity.inter.broker.protocol=PLAINTEXT",
       "must not be set together with security.inter.broker.protocol"},
      {"control.plane.listener.name=PLAINTEXT", "must differ from the inter-broker listener"},
      {"log.dirs=,", "must name at least one directory"},
      {"log.dirs=/a,/b,/a", "must not name /a twice"},
      {"max.connections.per.ip.overrides=h", "must be ADDRESS:COUNT,..."},
      {"max.connections.per.ip.overrides=h:-1", "must be ADDRESS:COUNT,..."},
      {"max.connections.per.ip=0", "may be 0 only with max.connections.per.ip.overrides"},
      {"broker.id=-2", "must be -1, or from 0 to reserved.broker.max.id (1000)"},
      {"broker.id.generation.enable=false", "must be at least 0 where broker.id.generation.enable"},
      {"broker.id=1\nnode.id=2", "must equal broker.id (1) where both are set"},
      {"log.roll.jitter.ms=-1", "log.roll.jitter.ms=-1: must be at least 0"},
      {"log.roll.ms=0", "log.roll.ms=0: must be at least 1"},
      {"log.retention.minutes=0", "log.retention.minutes=0: must be positive, or -1 for ever"},
      {"log.cleaner.threads=1000",
       "must be more than 1048576 for each of log.cleaner.threads (1000)"},
      {"replica.fetch.wait.max.ms=30001", "must not exceed replica.socket.timeout.ms (30000)"},
      {"replica.lag.time.max.ms=100", "must not exceed replica.lag.time.max.ms (100)"},
      {"offsets.commit.required.acks=5", "must be from -1 to offsets.topic.replication.factor (3)"},
      {"offsets.topic.compression.codec=5", "must be a codec number from 0 to 4"},
      {"queued.max.request.bytes=10", "must be -1, or at least socket.request.max.bytes"},
      {"connections.max.idle.ms=50", "must be less than connections.max.idle.ms (50)"},
  };
  for (const Row& row : rows) {
    std::string fault = fault_of(row.text);
    INFO(row.text << "\n" << fault);
    CHECK(fault.find(row.says) != std::string::npos);
    CHECK(fault.find('\n') == std::string::npos);
    CHECK(fault.starts_with("server.properties:"));
  }
}

TEST_CASE("what is derived from several keys") {
  auto loaded = load(std::string(kTwoNames) +
                     "inter.broker.listener.name=B\nnode.id=4\nlog.roll.hours=2\n"
                     "log.roll.jitter.hours=1\nlog.retention.hours=-1\n"
                     "max.connections.per.ip=0\nmax.connections.per.ip.overrides=::1:5, h:7\n"
                     "advertised.listeners=A://x:10\nlistener.name.a.ssl.key.password=s\n");
  // B is not advertised.
  CHECK_FALSE(loaded);
  loaded = load(std::string(kTwoNames) +
                "inter.broker.listener.name=B\nnode.id=4\nlog.roll.hours=2\n"
                "log.roll.jitter.hours=1\nlog.retention.hours=-1\n"
                "max.connections.per.ip=0\nmax.connections.per.ip.overrides=::1:5, h:7\n"
                "advertised.listeners=A://x:10,B://y:11\nlistener.name.a.ssl.key.password=s\n");
  REQUIRE(loaded);
  const BrokerConfig& config = loaded->config;
  CHECK(loaded->warnings.empty());
  CHECK(config.broker_id == 4);
  CHECK(config.inter_broker_listener == "B");
  CHECK(config.segment_ms() == 2 * 3'600'000);
  CHECK(config.segment_jitter_ms() == 3'600'000);
  CHECK(config.retention_ms() == -1);
  CHECK(config.connections_per_ip_overrides.at("::1") == 5);
  CHECK(config.connections_per_ip_overrides.at("h") == 7);
  CHECK(to_string(config.advertised_listeners[1]) == "B://y:11");
  auto ms =
      load("log.retention.ms=7\nlog.roll.ms=8\nlog.roll.jitter.ms=9\nlog.flush.interval.ms=10\n");
  REQUIRE(ms);
  CHECK(ms->config.retention_ms() == 7);
  CHECK(ms->config.segment_ms() == 8);
  CHECK(ms->config.segment_jitter_ms() == 9);
  CHECK(ms->config.flush_ms() == 10);
  CHECK(load("")->config.flush_ms() == INT64_MAX);
  CHECK(find_static_broker_key("no.such") == nullptr);
  CHECK(find_broker_key("no.such") == nullptr);
  CHECK(find_broker_key("leader.replication.throttled.rate") != nullptr);
}

TEST_CASE("listeners: one port for IPv4 and IPv6 together, any case, spaces between") {
  auto both = parse_listeners(" plaintext://0.0.0.0:9092 , lan://[::]:9092",
                              "PLAINTEXT:plaintext, LAN : ssl,x");
  REQUIRE(both);
  CHECK(both->at(0).name == "PLAINTEXT");
  CHECK(both->at(1).protocol == "SSL");
  CHECK(check_listeners(*both));
  CHECK(to_string(both->at(1)) == "LAN://[::]:9092");
  CHECK(check_listeners(*parse_listeners("A://h:0,B://h:0", "A:SSL,B:SSL")));  // any port
}

TEST_CASE("versions, throttled replicas, levels, jitters") {
  for (const char* version :
       {"0.8.2", "0.8.2.1", "0.10.0-IV1", "0.10.2", "1.0", "2.8.1", "3.9-IV0", "3.9"})
    CHECK(is_api_version(version));
  for (const char* version : {"", "9.9", "0.7", "2.8-IV7", "0.10.0-IV9", "three"})
    CHECK_FALSE(is_api_version(version));
  for (const char* list : {"", "*", "0:1", "0:1,2:3", " 0:1 , 2:3 "})
    CHECK(is_throttled_replicas(list));
  for (const char* list : {"0", "a:1", "0:", ":1", "0:1,", "**"})
    CHECK_FALSE(is_throttled_replicas(list));
  for (const char* level : {"-1", "1", "9"}) CHECK(is_gzip_level(level));
  for (const char* level : {"0", "10", "-2", "", "5x"}) CHECK_FALSE(is_gzip_level(level));
  CHECK(is_jitter("0.25"));
  CHECK_FALSE(is_jitter("0.6"));
  CHECK(is_not_empty("x"));
  CHECK_FALSE(is_not_empty(""));
}

}  // namespace ottla::broker
