#include "zk-ensemble/config/server_config.h"

#include <catch2/catch.hpp>

using namespace ottla;
using namespace ottla::zk;

namespace {
std::string fault(std::string_view text) {
  auto loaded = load_config(text, "zoo.cfg");
  REQUIRE(!loaded);
  return loaded.error().context;
}
constexpr std::string_view kLeast = "dataDir=/d\nclientPort=2181\n";
}  // namespace

TEST_CASE("zoo.cfg: defaults follow the tick") {
  auto loaded = load_config(std::string(kLeast) + "tickTime = 2000 \n", "zoo.cfg");
  REQUIRE(loaded);
  CHECK(loaded->warnings.empty());
  CHECK(loaded->config.tick_time_ms == 2000);
  CHECK(loaded->config.min_session_timeout_ms == 4000);
  CHECK(loaded->config.max_session_timeout_ms == 40000);
  CHECK(loaded->config.max_client_cnxns == 60);
  CHECK(loaded->config.whitelist == "srvr");
}

TEST_CASE("zoo.cfg: a wrong value is one line with what is allowed") {
  std::string line = fault(std::string(kLeast) + "tickTime=soon\n");
  INFO(line);
  CHECK(line.find("zoo.cfg") != std::string::npos);
  CHECK(line.find("tickTime=soon") != std::string::npos);
  CHECK(line.find("must be") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(fault("clientPort=2181\n").find("dataDir") != std::string::npos);
  CHECK(fault("dataDir=/d\n").find("clientPort") != std::string::npos);
  CHECK(fault(std::string(kLeast) + "minSessionTimeout=9\nmaxSessionTimeout=8\n").find("minSession") !=
        std::string::npos);
}

TEST_CASE("zoo.cfg: unknown and not yet effective keys warn once by name") {
  auto loaded = load_config(std::string(kLeast) + "foo=1\nsyncLimit=5\nssl.keyStore.type=PEM\n", "z");
  REQUIRE(loaded);
  REQUIRE(loaded->warnings.size() == 3);
  CHECK(loaded->warnings[0].find("foo") != std::string::npos);
  CHECK(loaded->warnings[1].find("syncLimit") != std::string::npos);
  CHECK(loaded->warnings[2].find("ssl.keyStore.type") != std::string::npos);
}

TEST_CASE("zoo.cfg: values are read as Java reads them") {
  std::string least(kLeast);
  auto loaded = load_config(least + "maxClientCnxns=-1\nsnapCount=1\ndigest.enabled=no\nglobalOutstandingLimit=010\n",
                            "z", {"jute.maxbuffer=0x9fffff"});
  REQUIRE(loaded);
  CHECK(loaded->config.max_client_cnxns == -1);
  CHECK(loaded->config.snap_count == 2);
  CHECK_FALSE(loaded->config.digest_enabled);
  CHECK(loaded->config.global_outstanding_limit == 8);
  CHECK(loaded->config.jute_max_buffer == 0x9fffff);
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0].find("digest.enabled=no") != std::string::npos);
  CHECK(load_config(least + "tickTime=010\n", "z")->config.tick_time_ms == 10);
  CHECK(fault(least + "tickTime=0x10\n").find("tickTime=0x10") != std::string::npos);
  CHECK(fault(least + "enforce.auth.enabled=yes\n").find("enforce.auth.enabled") != std::string::npos);
  CHECK(fault(least + "metricsProvider.className=org.foo.X\n").find("metricsProvider.className=org.foo.X") !=
        std::string::npos);
  CHECK(load_config(least + "metricsProvider.className=org.apache.zookeeper.metrics.impl.NullMetricsProvider\n", "z"));
}

TEST_CASE("zoo.cfg: what would keep clients out is enforced or refused, not passed over") {
  std::string least(kLeast);
  CHECK(fault(least + "sessionRequireClientSASLAuth=true\n").find("sasl") != std::string::npos);
  CHECK(load_config(least + "sessionRequireClientSASLAuth=false\n", "z"));
  CHECK(fault(least + "enforce.auth.enabled=true\n").find("enforce.auth.schemes") != std::string::npos);
  for (const char* scheme : {"sasl", "x509", "world", "digest,"})
    CHECK(fault(least + "enforce.auth.enabled=true\nenforce.auth.schemes=ip , " + scheme + ",nobody\n")
              .find("not available") != std::string::npos);
  auto loaded = load_config(least + "enforce.auth.enabled=true\nenforce.auth.schemes=ip , digest\n", "z");
  REQUIRE(loaded);
  CHECK(loaded->config.enforce_schemes == std::vector<std::string>{"ip", "digest"});
  CHECK(load_config(least + "enforce.auth.schemes=sasl\n", "z")->config.enforce_schemes.empty());
  CHECK(fault(least + "enforce.auth.enabled=true\nenforce.auth.schemes=digest\n"
                      "DigestAuthenticationProvider.enabled=false\n").find("not available") != std::string::npos);
}

TEST_CASE("zoo.cfg: the admin server is on unless switched off, as operators of Apache's know it") {
  auto loaded = load_config(std::string(kLeast), "z");
  REQUIRE(loaded);
  CHECK(loaded->config.admin_enabled);
  CHECK(loaded->config.admin_port == 8080);
  CHECK(loaded->config.initial_text == kLeast);
  CHECK(loaded->config.settings.size() == 2);
  auto off = load_config(std::string(kLeast) + "admin.enableServer=false\n", "z", {"zookeeper.admin.serverPort=9"});
  CHECK_FALSE(off->config.admin_enabled);
  CHECK(off->config.admin_port == 9);
  CHECK(off->warnings.empty());
}

TEST_CASE("zoo.cfg: what is too large to be counted is bounded") {
  std::string least(kLeast);
  for (const char* hours : {"9999999", "2147483647"}) {
    auto loaded = load_config(least + "autopurge.purgeInterval=" + hours + "\n", "z");
    REQUIRE(loaded);
    CHECK(loaded->config.purge_interval_h == 1'000'000);
  }
  CHECK(load_config(least + "autopurge.purgeInterval=24\n", "z")->config.purge_interval_h == 24);
  CHECK(load_config(least + "snapSizeLimitInKb=9223372036854775807\n", "z")->config.snap_size_limit_kb == INT64_MAX >> 10);
}

TEST_CASE("zoo.cfg: throttles") {
  auto loaded = load_config(std::string(kLeast) + "largeRequestThreshold=0\nlargeRequestMaxBytes=-5\n"
                            "connection_throttle_drop_increase=0.5\nrequest_throttle_max_requests=3\n", "z");
  REQUIRE(loaded);
  CHECK(loaded->warnings.empty());
  CHECK(loaded->config.large_request_threshold == -1);
  CHECK(loaded->config.large_request_max_bytes == 100 << 20);
  CHECK(loaded->config.connect_drop_increase == 0.5);
  CHECK(loaded->config.throttle_max_requests == 3);
  CHECK(fault(std::string(kLeast) + "snapshot.compression.method=zip\n").find("gz") != std::string::npos);
}

TEST_CASE("zoo.cfg: more than one voter is refused, one is standalone") {
  std::string line = fault(std::string(kLeast) + "server.1=a:1:2\nserver.2=b:1:2\n");
  CHECK(line.find("quorum") != std::string::npos);
  auto one = load_config("dataDir=/d\nserver.1=a:2888:3888;127.0.0.1:2199\n", "z");
  REQUIRE(one);
  CHECK(one->config.client_port == 2199);
  CHECK(one->config.client_port_address == "127.0.0.1");
  CHECK(load_config("dataDir=/d\nserver.1=a:2888:3888;2199\n", "z")->config.client_port == 2199);
  CHECK(fault("dataDir=/d\nserver.1=a:2888:3888;h:x\n") ==
        "zoo.cfg: server.N: client port \"x\": must be an integer from 1 to 65535");
  CHECK(fault(std::string(kLeast) + "server.1=a:1:2\nserver.2=b:1:2:observer\n")
            .find("1 observers but 1 voter") != std::string::npos);
  CHECK(fault(std::string(kLeast) + "dynamicConfigFile=/x\n").find("quorum") != std::string::npos);
  CHECK(fault(std::string(kLeast) + "standaloneEnabled=false\n").find("quorum") != std::string::npos);
}

TEST_CASE("zoo.cfg: directories without trailing slashes; Prometheus on demand") {
  auto loaded = load_config(
      "dataDir=/d//\ndataLogDir=/l/\nclientPort=1\n"
      "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n",
      "z");
  REQUIRE(loaded);
  CHECK(loaded->config.data_dir == "/d");
  CHECK(loaded->config.data_log_dir == "/l");
  CHECK(loaded->config.metrics_enabled());
  CHECK_FALSE(load_config(kLeast, "z")->config.metrics_enabled());
  CHECK(load_config("dataDir=/\nclientPort=1\n", "z")->config.data_dir == "/");
}

TEST_CASE("zoo.cfg: system properties with and without prefix, the file wins") {
  auto loaded = load_config(std::string(kLeast) + "snapCount=7\n", "z",
                            {"zookeeper.snapCount=5", "zookeeper.forceSync=no", "jute.maxbuffer=99"});
  REQUIRE(loaded);
  CHECK(loaded->config.snap_count == 7);
  CHECK(loaded->config.force_sync == "no");
  CHECK(loaded->config.jute_max_buffer == 99);
  CHECK(load_config(kLeast, "z", {"=x"}).error().context == "-D=x: must be KEY=VALUE");
  CHECK(load_config(kLeast, "z", {"zookeeper.digest.enabled"}).error().context.find("true or false") !=
        std::string::npos);
}

TEST_CASE("command line: port and directory") {
  auto loaded = config_of_arguments({"2181", "/d", "500"});
  REQUIRE(loaded);
  CHECK(loaded->config.tick_time_ms == 500);
  CHECK(loaded->config.max_session_timeout_ms == 10'000);
  CHECK(config_of_arguments({"2181", "/d", "200000000"})->config.max_session_timeout_ms == INT32_MAX);
  CHECK(!config_of_arguments({"2181"}));
}
