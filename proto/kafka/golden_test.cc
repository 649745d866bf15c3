// Bytes that Apache Kafka's own classes wrote: decode, compare every field, encode to the same
// bytes.
#include <catch2/catch.hpp>

#include "common/wire/describer.h"
#include "proto/kafka/any_message.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/registry.h"
#include "test/support/golden.h"

namespace ottla::kmsg {
namespace {

// The vectors show a record set that is there as an empty string, we show its size.
void hide_record_sizes(nlohmann::json& json) {
  if (json.is_object()) {
    if (json.erase("recordsSizeInBytes") > 0) json["records"] = "";
  }
  if (json.is_structured())
    for (nlohmann::json& child : json) hide_record_sizes(child);
}

void check_line(std::unique_ptr<AnyMessage> message, const nlohmann::json& line,
                const std::string& where) {
  INFO(where);
  REQUIRE(message);
  auto version = line.at("version").get<int16_t>();
  std::string bytes = from_hex(line.at("hex").get<std::string>());
  wire::Reader reader(as_bytes(bytes));
  REQUIRE(message->decode(reader, version));
  REQUIRE(reader.at_end());

  wire::Writer writer;
  REQUIRE(message->encode(writer, version).has_value());
  CHECK(to_hex(writer.bytes()) == line.at("hex").get<std::string>());

  auto ours = nlohmann::json::parse(message->to_json(version));
  hide_record_sizes(ours);
  const nlohmann::json& theirs = line.at("json");
  if (ours != theirs) FAIL_CHECK(nlohmann::json::diff(theirs, ours).dump().substr(0, 2000));
}

}  // namespace

TEST_CASE("messages decode to what Apache encoded and encode back") {
  for (const auto& path : test::golden_files("messages.jsonl")) {
    size_t lines =
        test::for_each_golden_line(path, [](const nlohmann::json& line, const std::string& where) {
          check_line(message_of_api(line.at("apiKey").get<int16_t>(), line.at("kind") == "request"),
                     line, where);
        });
    CHECK(lines > 0);
  }
}

TEST_CASE("coordinator records decode to what Apache encoded and encode back") {
  for (const auto& path : test::golden_files("coordinator-records.jsonl")) {
    test::for_each_golden_line(path, [](const nlohmann::json& line, const std::string& where) {
      check_line(message_of_name(line.at("name").get<std::string>()), line, where);
    });
  }
}

TEST_CASE("the table of APIs agrees with Apache's on versions and headers") {
  for (const auto& path : test::golden_files("headers.jsonl")) {
    std::map<int16_t, std::pair<int16_t, int16_t>> ranges;
    test::for_each_golden_line(path, [&](const nlohmann::json& line, const std::string& where) {
      INFO(where);
      auto version = line.at("version").get<int16_t>();
      const ApiInfo* api = find_api(line.at("apiKey").get<int16_t>());
      if (!api) return;  // an API that a ZooKeeper-mode broker does not have
      CHECK(api->name == line.at("name").get<std::string>());
      CHECK(request_header_version(*api, version) == line.at("requestHeader").get<int16_t>());
      CHECK(response_header_version(*api, version) == line.at("responseHeader").get<int16_t>());
      auto& range =
          ranges.try_emplace(static_cast<int16_t>(api->key), version, version).first->second;
      range.second = version;
    });
    if (path.string().starts_with("test/golden")) continue;  // a subset
    CHECK(ranges.size() == std::size(kApis));
    for (const ApiInfo& api : kApis)
      CHECK(ranges[static_cast<int16_t>(api.key)] == std::pair(api.min, api.max));
  }
}

TEST_CASE("a message can be described by its key") {
  for (const auto& path : test::golden_files("messages.jsonl")) {
    test::for_each_golden_line(path, [](const nlohmann::json& line, const std::string& where) {
      INFO(where);
      std::string bytes = from_hex(line.at("hex").get<std::string>());
      auto text = describe_message(
          line.at("apiKey").get<int16_t>(),
          line.at("kind") == "request" ? MessageSide::request : MessageSide::response,
          line.at("version").get<int16_t>(), as_bytes(bytes));
      REQUIRE(text.has_value());
      CHECK(text->size() < 2 * wire::Describer::kDefaultLimit);
    });
  }
}

}  // namespace ottla::kmsg
