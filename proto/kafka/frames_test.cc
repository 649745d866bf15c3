// Frames that went between real clients and a live Apache broker; only where
// the large set of vectors is.
#include <catch2/catch.hpp>

#include "proto/kafka/any_message.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/headers.h"
#include "test/support/golden.h"

namespace ottla::kmsg {

// What clients sent to a live broker, and what it answered: whole frames,
// header and body.
TEST_CASE("frames of a live broker decode and encode back") {
  for (const auto& path : test::golden_files("kafka-transcript.jsonl")) {
    size_t requests = 0;
    size_t responses = 0;
    size_t exact = 0;
    test::for_each_golden_line(path, [&](const nlohmann::json& line, const std::string& where) {
      INFO(where);
      if (!line.contains("request_hex") || !line.contains("response_hex") ||
          !line.contains("apiKey"))
        return;
      if (!line.at("response_hex").is_string()) return;
      const ApiInfo* api = find_api(line.at("apiKey").get<int16_t>());
      if (!api) return;
      auto version = line.at("version").get<int16_t>();
      bool spoken = version >= api->min && version <= api->max;
      if (!spoken) version = 0;  // ApiVersions of a future client is answered in v0
      std::string answer = from_hex(line.at("response_hex").get<std::string>());
      wire::Reader r(as_bytes(answer));
      int16_t header_version = response_header_version(*api, version);
      ResponseHeader header;
      REQUIRE(header.decode(r, header_version));
      auto message = message_of_api(static_cast<int16_t>(api->key), false);
      bool decoded = message->decode(r, version);
      CHECK(decoded);
      if (decoded) {
        CHECK(r.at_end());
        wire::Writer writer;
        REQUIRE(header.encode(writer, header_version).has_value());
        REQUIRE(message->encode(writer, version).has_value());
        bool same = as_text(writer.bytes()) == answer;
        CHECK(same);
        auto ours = nlohmann::json::parse(message->to_json(version));
        // ConsumerGroupHeartbeat's answer stands as {} there; its bytes are checked above.
        bool equal = ours == line.at("response") || line.at("response").empty();
        if (!equal)
          FAIL_CHECK(nlohmann::json::diff(line.at("response"), ours).dump().substr(0, 1000));
        ++responses;
      }

      // The broker answered, so the request was well-formed.
      if (!spoken) return;
      std::string frame = from_hex(line.at("request_hex").get<std::string>());
      wire::Reader q(as_bytes(frame));
      header_version = request_header_version(*api, version);
      RequestHeader request_header;
      REQUIRE(request_header.decode(q, header_version));
      CHECK(request_header.request_api_key == static_cast<int16_t>(api->key));
      message = message_of_api(static_cast<int16_t>(api->key), true);
      decoded = message->decode(q, version);
      CHECK(decoded);
      if (!decoded) return;
      // Encodes to the same bytes, or, where the frame was written by hand in
      // a spelling that brokers forgive (a length of -2, tags in another
      // order, bytes after the body), to a message that means the same.
      wire::Writer writer;
      REQUIRE(message->encode(writer, version).has_value());
      wire::Reader again(writer.bytes());
      auto second = message->another();
      bool equal = second->decode(again, version) && second->equals(*message);
      CHECK(equal);
      if (frame.ends_with(as_text(writer.bytes()))) ++exact;
      ++requests;
    });
    CHECK(requests > 2000);
    CHECK(exact + 20 > requests);
    CHECK(responses > 2000);
  }
}

}  // namespace ottla::kmsg
