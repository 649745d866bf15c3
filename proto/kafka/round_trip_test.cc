// Properties that every generated message keeps at every version, and what decoding refuses.
#include <catch2/catch.hpp>

#include "proto/kafka/all_messages.h"
#include "proto/kafka/any_message.h"

namespace ottla::kmsg {
namespace {

void check_round_trips(const AnyMessage& type, uint64_t seed, int rounds) {
  Prng prng(seed);
  for (int16_t v = type.min; v <= type.max; ++v) {
    for (int round = 0; round < rounds; ++round) {
      INFO("version " << v << " round " << round);
      auto sent = type.another();
      sent->make_arbitrary(prng, v);
      wire::Writer writer;
      auto encoded = sent->encode(writer, v);
      if (!encoded) FAIL(encoded.error().context);
      auto got = type.another();
      wire::Reader reader(writer.bytes());
      REQUIRE(got->decode(reader, v));
      REQUIRE(reader.at_end());
      if (!got->equals(*sent)) FAIL(sent->describe() << "\nbecame\n" << got->describe());

      // A shorter message never decodes: every byte of it was needed.
      if (writer.size() > 0) {
        wire::Reader cut(writer.bytes().first(prng.below(writer.size())));
        CHECK_FALSE(got->decode(cut, v));
      }
      // A changed byte may mean another message, which then has exactly one encoding of that size
      // or less; or it is refused. It is never a crash (run under the sanitizers).
      if (writer.size() > 0) {
        std::string bytes = to_string(writer.bytes());
        bytes[prng.below(bytes.size())] = static_cast<char>(prng.next());
        wire::Reader changed(as_bytes(bytes));
        if (got->decode(changed, v)) {
          wire::Writer again;
          CHECK(got->encode(again, v).has_value());
          CHECK(again.size() <= bytes.size());
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("every message and version round-trips") {
  for (const ApiInfo& api : kApis) {
    for (bool is_request : {true, false}) {
      INFO(api.name << (is_request ? " request" : " response"));
      auto type = message_of_api(static_cast<int16_t>(api.key), is_request);
      REQUIRE(type);
      CHECK(type->key == static_cast<int16_t>(api.key));
      CHECK(type->min == api.min);
      CHECK(type->max == api.max);
      check_round_trips(*type, static_cast<uint64_t>(api.key) + 1, 12);
    }
  }
}

TEST_CASE("headers and persisted records round-trip") {
  for (std::string_view name : kNamedMessages) {
    INFO(name);
    auto type = message_of_name(name);
    REQUIRE(type);
    check_round_trips(*type, 7, 50);
  }
}

TEST_CASE("a value that a version cannot carry is refused by name, an ignorable one is left out") {
  FetchRequest request;
  request.session_id = 5;  // v7+, ignorable
  request.forgotten_topics_data.resize(1);
  wire::Writer writer;
  auto encoded = request.encode(writer, 4);
  REQUIRE_FALSE(encoded.has_value());
  CHECK(encoded.error().context.find("FetchRequest.forgotten_topics_data") == 0);
  request.forgotten_topics_data.clear();
  CHECK(request.encode(writer, 4).has_value());
  CHECK_FALSE(request.encode(writer, 18).has_value());
  CHECK_FALSE(request.encode(writer, -1).has_value());
}

TEST_CASE("a string that its length prefix cannot hold is refused") {
  HeartbeatRequest request;
  request.group_id.assign(32768, 'x');
  for (int16_t version : {int16_t{0}, int16_t{4}}) {
    wire::Writer writer;
    CHECK_FALSE(request.encode(writer, version).has_value());
  }
}

TEST_CASE("unknown tagged fields are kept and sent on in order") {
  // ApiVersions request v3: name "a", version "b", tags {3: 1 byte, 7: 2 bytes}.
  std::string bytes = from_hex(
      "02610262"
      "02"
      "0301aa"
      "0702bbcc");
  wire::Reader reader(as_bytes(bytes));
  ApiVersionsRequest request;
  REQUIRE(request.decode(reader, 3));
  CHECK(request.unknown_tags.size() == 2);
  wire::Writer writer;
  REQUIRE(request.encode(writer, 3).has_value());
  CHECK(to_hex(writer.bytes()) == to_hex(as_bytes(bytes)));
}

TEST_CASE("of a tag that comes several times the last counts") {
  // Names "a", "b"; tags 99, 3, 99, 3, 99 nobody knows.
  std::string bytes = from_hex(
      "0261026205"
      "6301aa"
      "0301bb"
      "6301cc"
      "0302dddd"
      "6300");
  wire::Reader reader(as_bytes(bytes));
  ApiVersionsRequest request;
  REQUIRE(request.decode(reader, 3));
  REQUIRE(request.unknown_tags.size() == 2);
  CHECK(request.unknown_tags[0] == TaggedField{3, from_hex("dddd")});
  CHECK(request.unknown_tags[1] == TaggedField{99, ""});

  // Fetch v15, tag 1 (replica state): replica 1 of epoch 2 and an unknown tag, then replica 3 of 4.
  bytes = from_hex(
      "000000000000000000000000"
      "00"
      "0000000000000000"
      "010101"
      "02"
      "01100000000100000000000000020109"
      "01ff"
      "010d00000003000000000000000400");
  wire::Reader again(as_bytes(bytes));
  FetchRequest fetch;
  REQUIRE(fetch.decode(again, 15));
  CHECK(fetch.replica_state.replica_id == 3);
  CHECK(fetch.replica_state.replica_epoch == 4);
  CHECK(fetch.replica_state.unknown_tags.empty());
}

TEST_CASE("malformed tagged sections are refused") {
  auto decodes = [](const char* hex) {
    std::string bytes = from_hex(hex);
    wire::Reader reader(as_bytes(bytes));
    ApiVersionsRequest request;
    return request.decode(reader, 3);
  };
  CHECK(
      decodes("02610262"
              "00"));
  CHECK(
      decodes("02610262"
              "02"
              "6301aa"
              "0301aa"));  // descending: brokers take it
  CHECK_FALSE(
      decodes("02610262"
              "01"
              "0305aa"));  // longer than what is left
  CHECK_FALSE(
      decodes("02610262"
              "ffffffff0f"));  // more fields than bytes
  // Fetch v12, tag 0 (cluster id "x") says 3 bytes and takes 2.
  std::string fetch = from_hex(
      "ffffffff"
      "00000000"
      "00000000"
      "7fffffff"
      "00"
      "00000000"
      "ffffffff"
      "01"
      "01"
      "01"
      "01"
      "0003"
      "0278"
      "00");
  wire::Reader reader(as_bytes(fetch));
  FetchRequest request;
  CHECK_FALSE(request.decode(reader, 12));
}

TEST_CASE("counts and lengths that cannot be are refused before memory is taken") {
  SECTION("an array longer than the bytes that are left") {
    std::string bytes = from_hex("7fffffff");
    wire::Reader reader(as_bytes(bytes));
    MetadataRequest request;
    CHECK_FALSE(request.decode(reader, 1));
  }
  SECTION("null where an array must be") {
    std::string bytes = from_hex("ffffffff");
    wire::Reader reader(as_bytes(bytes));
    MetadataRequest request;
    CHECK_FALSE(request.decode(reader, 0));
    wire::Reader nullable(as_bytes(bytes));
    CHECK(request.decode(nullable, 1));
    CHECK_FALSE(request.topics.has_value());
  }
  SECTION("many elements of few bytes each: memory stays within a multiple of the message") {
    // A flexible array of a million structs of 3 bytes: empty name, empty array, no tags.
    wire::Writer writer;
    writer.raw(std::string_view("\x01", 1));  // group id ""
    writer.uvarint(1'000'001);
    for (int i = 0; i < 1'000'000; ++i) writer.raw(std::string_view("\x01\x01\x00", 3));
    writer.raw(std::string_view("\x00\x00", 2));
    wire::Reader reader(writer.bytes());
    OffsetFetchRequest request;
    if (request.decode(reader, 7)) {
      CHECK(request.topics->capacity() * sizeof(OffsetFetchRequest::OffsetFetchRequestTopic) <=
            writer.size() * wire::Reader::kMemoryPerByte + wire::Reader::kMemoryAlways);
    }
  }
}

TEST_CASE("records stay outside when they are a piece of a file") {
  FetchResponse response;
  auto& topic = response.responses.emplace_back();
  topic.topic = "t";
  topic.partitions.emplace_back().records = Records::outside(42, 1000);
  topic.partitions.emplace_back().records = Records::of(as_bytes("abc"));
  topic.partitions.emplace_back();  // null
  wire::Writer writer;
  REQUIRE(response.encode(writer, 11).has_value());
  REQUIRE(writer.external_marks().size() == 1);
  CHECK(writer.external_bytes() == 1000);
  const auto& mark = writer.external_marks()[0];
  CHECK(mark.id == 42);
  std::string whole(as_text(writer.bytes()));
  whole.insert(mark.position, std::string(1000, 'r'));
  wire::Reader reader(as_bytes(whole));
  FetchResponse got;
  REQUIRE(got.decode(reader, 11));
  REQUIRE(reader.at_end());
  const auto& partitions = got.responses[0].partitions;
  CHECK(partitions[0].records.size() == 1000);
  CHECK(as_text(partitions[1].records.bytes) == "abc");
  CHECK(partitions[2].records.is_null);
}

TEST_CASE("uuid text is Kafka's") {
  Uuid uuid;
  CHECK(uuid.to_string() == "AAAAAAAAAAAAAAAAAAAAAA");
  CHECK(uuid.is_zero());
  Prng prng(3);
  for (int i = 0; i < 100; ++i) {
    uuid.fill(prng, 0);
    CHECK(uuid.to_string().size() == 22);
    auto back = Uuid::from_string(uuid.to_string());
    REQUIRE(back.has_value());
    CHECK(*back == uuid);
  }
  CHECK_FALSE(Uuid::from_string("too short"));
  CHECK_FALSE(Uuid::from_string("AAAAAAAAAAAAAAAAAAAA=="));
}

TEST_CASE("secrets do not show in descriptions") {
  SaslAuthenticateRequest request;
  request.auth_bytes = "hunter2";
  CHECK(request.describe() == "SaslAuthenticateRequest{auth_bytes=***}");
}

}  // namespace ottla::kmsg
