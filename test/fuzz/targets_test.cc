// Whole servers, directories, files and record sets under changed inputs from one seed: the short form
// of the libFuzzer targets, with the committed corpus first. OTTLA_FUZZ_ROUNDS multiplies the rounds.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/wire/writer.h"
#include "proto/kafka/alter_configs.h"
#include "proto/kafka/headers.h"
#include "proto/kafka/leader_and_isr.h"
#include "test/fuzz/files/file_targets.h"
#include "test/fuzz/mutate.h"
#include "test/fuzz/server_targets.h"
#include "test/fuzz/wire_targets.h"
#include "test/fuzz/zk_targets.h"

namespace ottla::fuzz {
namespace {

int rounds(int of_one) {
  const char* given = std::getenv("OTTLA_FUZZ_ROUNDS");
  return of_one * std::max(1, given == nullptr ? 1 : std::atoi(given));
}

std::vector<std::string> corpus(const std::string& target) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator("test/fuzz/corpus/" + target)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE(!files.empty());
  std::vector<std::string> inputs;
  for (const std::string& path : files) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

template <class Change>
void run(const std::string& target, void (*call)(Bytes), uint64_t seed, int count, Change change) {
  std::vector<std::string> inputs = corpus(target);
  for (const std::string& input : inputs) call(as_bytes(input));
  Prng prng(seed);
  for (int i = 0; i < rounds(count); ++i) {
    Buffer input(as_bytes(inputs[prng.below(inputs.size())]));
    for (uint64_t left = prng.below(6) + 1; left > 0; --left) input = change(prng, input.bytes());
    // A failure leaves its input behind, as libFuzzer does.
    if (const char* keep = std::getenv("OTTLA_FUZZ_LAST"))
      std::ofstream(keep, std::ios::binary) << as_text(input.bytes());
    call(input);
  }
}

// One request, in version 0, as a step of the broker's target.
template <class Request>
void ask_broker(const Request& request) {
  kmsg::RequestHeader header;
  header.request_api_key = Request::kApiKey;
  wire::Writer frame, input;
  REQUIRE(header.encode(frame, 1));
  REQUIRE(request.encode(frame, 0));
  input.u8(0);
  input.u16(static_cast<uint16_t>(frame.size()));
  input.raw(frame.bytes());
  kafka_broker(input.bytes());
}

}  // namespace

TEST_CASE("a broker under requests of every API") {
  run("kafka_broker", kafka_broker, 201, 60, [](Prng& prng, Bytes in) { return mutate_steps(prng, in, kKafkaSteps); });
  Prng prng(202);
  for (int i = 0; i < rounds(40); ++i) kafka_broker(arbitrary_steps(prng, kKafkaSteps, 40));
}

// Found by the broker's target: became leader of a partition that was not there at epoch -1, and a CHECK
// ended the broker. Names were taken as the controller has checked them, and became directories.
TEST_CASE("LeaderAndIsr from anybody: epochs before 0, names that are no directories") {
  for (const char* topic : {"fresh", "../../elsewhere", "a/b", "", ".."}) {
    kmsg::LeaderAndIsrRequest request;
    request.controller_epoch = INT32_MAX;
    request.ungrouped_partition_states.resize(1);
    auto& state = request.ungrouped_partition_states[0];
    state.topic_name = topic;
    state.leader_epoch = std::string_view(topic) == "fresh" ? -1 : 5;
    state.isr = state.replicas = {0};
    ask_broker(request);
  }
}

// Found by the broker's target: a null value under an empty name passed for no null at all, and was read.
TEST_CASE("AlterConfigs with a null value whose key is empty") {
  kmsg::AlterConfigsRequest request;
  request.resources.resize(1);
  request.resources[0].resource_type = 2;
  request.resources[0].resource_name = "t";
  request.resources[0].configs.resize(1);
  request.resources[0].configs[0].value = std::nullopt;
  ask_broker(request);
}

TEST_CASE("an ensemble server under any bytes") {
  run("zk_server", zk_server, 203, 150, [](Prng& prng, Bytes in) { return mutate_steps(prng, in, kJuteSteps); });
  Prng prng(204);
  for (int i = 0; i < rounds(100); ++i) zk_server(arbitrary_steps(prng, kJuteSteps, 40));
}

TEST_CASE("live sessions under changed requests") {
  run("zk_session", zk_session, 205, 1000, [](Prng& prng, Bytes in) { return mutate_session_steps(prng, in); });
  Prng prng(206);
  for (int i = 0; i < rounds(1000); ++i) zk_session(arbitrary_session_steps(prng, 60));
}

TEST_CASE("a changed log directory") {
  run("broker_log", broker_log, 207, 400, [](Prng& prng, Bytes in) { return mutate_bytes(prng, in); });
  Prng prng(208);
  for (int i = 0; i < rounds(400); ++i) {
    std::string input(prng.below(60) + 1, '\0');
    for (char& byte : input) byte = static_cast<char>(prng.next());
    broker_log(as_bytes(input));
  }
}

TEST_CASE("changed record sets of every codec") {
  run("record_set", record_set, 209, 2000, [](Prng& prng, Bytes in) { return mutate_record_input(prng, in); });
  Prng prng(210);
  for (int i = 0; i < rounds(1000); ++i) record_set(mutate_record_input(prng, {}));
}

TEST_CASE("changed properties files") {
  run("properties", properties_file, 211, 2000, [](Prng& prng, Bytes in) { return mutate_bytes(prng, in); });
}

}  // namespace ottla::fuzz
