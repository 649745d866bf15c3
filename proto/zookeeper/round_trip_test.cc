// Properties of every Jute record, and what decoding refuses.
#include <catch2/catch.hpp>

#include "proto/zookeeper/all_records.h"

namespace ottla::jute {

TEST_CASE("every record round-trips") {
  for (std::string_view name : kRecords) {
    INFO(name);
    visit_record(name, []<class Record>() {
      Prng prng(11);
      for (int round = 0; round < 100; ++round) {
        Record sent;
        sent.fill(prng);
        wire::Writer writer;
        sent.encode(writer);
        wire::Reader reader(writer.bytes());
        Record got;
        bool decoded = got.decode(reader);
        REQUIRE(decoded);
        REQUIRE(reader.at_end());
        bool same = got == sent;
        if (!same) FAIL(sent.describe() << "\nbecame\n" << got.describe());
        std::string bytes = to_string(writer.bytes());
        if (bytes.empty()) continue;
        bytes[prng.below(bytes.size())] = static_cast<char>(prng.next());
        wire::Reader changed(as_bytes(bytes));
        (void)got.decode(changed);
      }
    });
  }
}

TEST_CASE("connect requests of old clients end before the read-only flag") {
  ConnectRequest request;
  request.passwd = std::string(16, '\0');
  request.read_only.reset();
  wire::Writer writer;
  request.encode(writer);
  CHECK(writer.size() == 44);
  wire::Reader reader(writer.bytes());
  ConnectRequest got;
  REQUIRE(got.decode(reader));
  CHECK_FALSE(got.read_only.has_value());
}

TEST_CASE("lengths and counts that cannot be are refused") {
  auto decodes = [](const char* hex) {
    std::string bytes = from_hex(hex);
    wire::Reader reader(as_bytes(bytes));
    SetWatches record;
    return record.decode(reader);
  };
  CHECK(
      decodes("0000000000000001"
              "ffffffff"
              "ffffffff"
              "ffffffff"));
  CHECK_FALSE(
      decodes("0000000000000001"
              "fffffffe"
              "ffffffff"
              "ffffffff"));
  CHECK_FALSE(
      decodes("0000000000000001"
              "7fffffff"
              "ffffffff"
              "ffffffff"));
  CHECK_FALSE(
      decodes("0000000000000001"
              "00000001"
              "ffffffff"
              "ffffffff"
              "ffffffff"));  // null path
}

TEST_CASE("passwords do not show in descriptions") {
  ConnectResponse response;
  response.passwd = "hunter2";
  CHECK(response.describe().find("hunter2") == std::string::npos);
}

}  // namespace ottla::jute
