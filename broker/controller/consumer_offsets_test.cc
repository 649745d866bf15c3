// Broker ids and consumer offsets against an ensemble in memory.
#include "broker/controller/consumer_offsets.h"

#include <catch2/catch.hpp>
#include <optional>

#include "broker/controller/broker_ids.h"
#include "broker/zk/memory_zk.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;
using Journal = std::vector<std::string>;

struct Scene {
  MemoryEnsemble ensemble;
  MemoryZkClient zk{ensemble};

  std::vector<ConsumerOffset> write(const std::string& group, std::vector<ConsumerOffset> offsets) {
    return run(write_consumer_offsets, group, std::move(offsets));
  }
  std::vector<ConsumerOffset> read(const std::string& group, std::vector<ConsumerOffset> offsets) {
    return run(read_consumer_offsets, group, std::move(offsets));
  }
  std::vector<ConsumerOffset> run(auto verb, const std::string& group,
                                  std::vector<ConsumerOffset> offsets) {
    std::optional<std::vector<ConsumerOffset>> outcome;
    verb(zk, group, std::move(offsets), [&](auto got) { outcome = std::move(got); });
    ensemble.run();
    REQUIRE(outcome);
    return *outcome;
  }
  Result<int32_t> generate(int32_t reserved_max) {
    std::optional<Result<int32_t>> outcome;
    generate_broker_id(zk, reserved_max, [&](Result<int32_t> id) { outcome = std::move(id); });
    ensemble.run();
    REQUIRE(outcome);
    return *outcome;
  }
};

TEST_CASE("a first commit makes the path, later ones set it") {
  Scene scene;
  auto written = scene.write("g", {{"t", 0, 383}, {"t", 1, 899}});
  CHECK(written[0].error == ErrorCode::none);
  CHECK(written[1].error == ErrorCode::none);
  CHECK(scene.ensemble.data("/consumers/g/offsets/t/0") == "383");
  CHECK(scene.ensemble.data("/consumers/g/offsets/t/1") == "899");

  scene.ensemble.clear_journal();
  CHECK(scene.write("g", {{"t", 0, -5}})[0].error == ErrorCode::none);
  CHECK(scene.ensemble.journal() == Journal{"set /consumers/g/offsets/t/0 v1 -5"});

  auto read = scene.read("g", {{"t", 0}, {"t", 1}, {"t", 2}});
  CHECK(read[0].offset == -5);
  CHECK(read[1].offset == 899);
  CHECK(read[2].offset == -1);
  CHECK(read[0].error == ErrorCode::none);
  CHECK(read[2].error == ErrorCode::unknown_topic_or_partition);
  CHECK(scene.read("other", {{"t", 0}})[0].error == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("of two commits in one request the last stays; a lost reply changes nothing") {
  Scene scene;
  auto twice = scene.write("g", {{"t", 0, 1}, {"t", 0, 2}});
  CHECK(twice[0].error == ErrorCode::none);
  CHECK(twice[1].error == ErrorCode::none);
  CHECK(scene.ensemble.data("/consumers/g/offsets/t/0") == "2");

  scene.zk.lose_reply = [](const ZkRequest& request) { return request.op == OpCode::create; };
  CHECK(scene.write("h/of/many", {{"t", 0, 7}})[0].error == ErrorCode::none);
  CHECK(scene.ensemble.data("/consumers/h/of/many/offsets/t/0") == "7");
}

TEST_CASE("a group that no path can hold is refused before ZooKeeper hears of it") {
  Scene scene;
  scene.ensemble.apply(ZkRequest::create("/consumers", std::nullopt));
  scene.ensemble.clear_journal();
  for (const char* group : {"", ".", "..", "a/../b", "/a", "a/", "a//b", "a\x01", "\x7f",
                            "\xc2\x80", "\xef\xbf\xbd", "\xf0\x9f\x98\x80", "not utf8 \xff"}) {
    INFO(group);
    CHECK(scene.write(group, {{"t", 0, 1}})[0].error == ErrorCode::unknown_server_error);
    auto read = scene.read(group, {{"t", 0}});
    CHECK(read[0].error == ErrorCode::unknown_server_error);
    CHECK(read[0].offset == -1);
  }
  CHECK(scene.ensemble.journal().empty());
  CHECK(scene.write("Gruppe \xc3\xbc...", {{"t", 0, 1}})[0].error == ErrorCode::none);
  CHECK(scene.write("", {}).empty());
}

TEST_CASE("what is no number is an error, no value is none") {
  Scene scene;
  scene.write("g", {{"t", 0, 1}});
  auto put = [&](std::optional<std::string> data) {
    scene.ensemble.apply(ZkRequest::set("/consumers/g/offsets/t/0", std::move(data)));
    return scene.read("g", {{"t", 0}})[0];
  };
  CHECK(put("+12").offset == 12);
  CHECK(put("9223372036854775807").offset == INT64_MAX);
  for (const char* text : {"", "+", "+-1", " 1", "1 ", "1.0", "9223372036854775808", "x"}) {
    INFO(text);
    CHECK(put(text).error == ErrorCode::unknown_server_error);
    CHECK(put(text).offset == -1);
  }
  CHECK(put(std::nullopt).error == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("broker ids follow the version of /brokers/seqid") {
  Scene scene;
  CHECK(*scene.generate(1000) == 1001);  // the path was missing
  CHECK(*scene.generate(1000) == 1002);
  CHECK(*scene.generate(0) == 3);
  CHECK(scene.ensemble.data("/brokers/seqid").empty());
  // A reply that is lost costs a number.
  bool lost = false;
  scene.zk.lose_reply = [&](const ZkRequest&) { return !std::exchange(lost, true); };
  CHECK(*scene.generate(1000) == 1005);
  auto none_left = scene.generate(INT32_MAX);
  REQUIRE(!none_left);
  CHECK(none_left.error().context.find("reserved.broker.max.id") != std::string::npos);
}

}  // namespace
}  // namespace ottla::broker
