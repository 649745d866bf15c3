// The fuzz targets over golden lines, small changes of them, and noise: seconds, no libFuzzer
// needed.
#include <catch2/catch.hpp>

#include "common/base/prng.h"
#include "test/fuzz/wire_targets.h"
#include "test/support/golden.h"

namespace ottla::fuzz {
namespace {

// A few bytes changed, cut out or doubled.
std::string mutate(Prng& prng, std::string bytes) {
  for (uint64_t i = 0, changes = prng.below(4) + 1; i < changes && bytes.size() > 2; ++i) {
    size_t at = 2 + prng.below(bytes.size() - 2);
    switch (prng.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(prng.next());
        break;
      case 1:
        bytes[at] = static_cast<char>(prng.chance(0.5) ? 0xff : 0x7f);
        break;
      case 2:
        bytes.erase(at, prng.below(8) + 1);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, prng.below(8) + 1));
        break;
      default:
        bytes.resize(at);
        break;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("golden Kafka messages, changed") {
  Prng prng(101);
  size_t lines = test::for_each_golden_line(
      "test/golden/messages.jsonl", [&](const nlohmann::json& line, const std::string&) {
        std::string seed =
            kafka_prefix(line.at("apiKey").get<int16_t>(), line.at("kind") == "request",
                         line.at("version").get<int16_t>()) +
            from_hex(line.at("hex").get<std::string>());
        kafka_message(as_bytes(seed));
        for (int i = 0; i < 100; ++i) kafka_message(as_bytes(mutate(prng, seed)));
      });
  CHECK(lines > 0);
}

TEST_CASE("golden Jute records, changed") {
  Prng prng(102);
  size_t lines = test::for_each_golden_line(
      "test/golden/jute.jsonl", [&](const nlohmann::json& line, const std::string&) {
        std::string body = from_hex(line.at("hex").get<std::string>());
        for (int i = 0; i < 100; ++i)
          jute_record(as_bytes(mutate(prng, static_cast<char>(prng.next()) + body)));
      });
  CHECK(lines > 0);
}

TEST_CASE("noise") {
  Prng prng(103);
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes(prng.below(120), '\0');
    // Mostly small numbers: they pass for counts and lengths.
    for (char& byte : bytes)
      byte = static_cast<char>(prng.chance(0.6) ? prng.below(4) : prng.next());
    kafka_message(as_bytes(bytes));
    jute_record(as_bytes(bytes));
  }
}

}  // namespace ottla::fuzz
