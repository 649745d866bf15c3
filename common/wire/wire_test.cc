#include <catch2/catch.hpp>
#include <cmath>

#include "common/wire/describer.h"
#include "common/wire/json_out.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

using namespace ottla;
using namespace ottla::wire;

TEST_CASE("fixed and variable integers come back as written") {
  Writer writer;
  writer.i16(-2);
  writer.i64(INT64_MIN);
  writer.varint(INT32_MIN);
  writer.varlong(INT64_MIN);
  writer.uvarint(UINT32_MAX);
  writer.f64(-0.5);
  Reader reader(writer.bytes());
  CHECK(reader.i16() == -2);
  CHECK(reader.i64() == INT64_MIN);
  CHECK(reader.varint() == INT32_MIN);
  CHECK(reader.varlong() == INT64_MIN);
  CHECK(reader.uvarint() == UINT32_MAX);
  CHECK(reader.f64() == -0.5);
  CHECK(reader.at_end());
}

TEST_CASE("a failure sticks and reads stay harmless") {
  uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  Reader reader(bytes);
  CHECK(reader.uvarint() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.i64() == 0);
  CHECK(reader.remaining() == 0);
  Reader counted(bytes);
  CHECK_FALSE(counted.claim_count(7, 1));
  CHECK_FALSE(counted.ok());
  CHECK_FALSE(Reader(bytes).claim_count(-1, 0));
  CHECK(Reader(bytes).claim_count(6, 0));  // an element of no bytes counts as one
  CHECK_FALSE(Reader(bytes).claim_count(7, 0));
  CHECK_FALSE(Reader(bytes).claim_count(4, 2));
  Reader limited(bytes);
  limited.limit_elements(3);
  CHECK(limited.claim_count(2, 1));
  CHECK(limited.claim_count(1, 1));
  CHECK_FALSE(limited.claim_count(1, 1));
  Reader memory(bytes);
  size_t allowed = sizeof(bytes) * Reader::kMemoryPerByte + Reader::kMemoryAlways;
  CHECK(memory.claim_memory(allowed - 1));
  CHECK(memory.claim_memory(1));
  CHECK_FALSE(memory.claim_memory(1));
  CHECK_FALSE(memory.ok());
  Reader longer(bytes);
  longer.skip(7);
  CHECK_FALSE(longer.ok());
}

TEST_CASE("varints end within their bytes and their range") {
  auto reads = [](const char* hex) {
    std::string raw = from_hex(hex);
    Reader reader(as_bytes(raw));
    uint32_t value = reader.uvarint();
    return reader.ok() ? int64_t{value} : -1;
  };
  CHECK(reads("00") == 0);
  CHECK(reads("8001") == 128);
  CHECK(reads("ffffffff0f") == UINT32_MAX);
  CHECK(reads("ffffffff1f") == -1);    // over 32 bits
  CHECK(reads("ffffffffff01") == -1);  // over five bytes
  CHECK(reads("80") == -1);            // cut
  std::string eleven = from_hex("8080808080808080808001");
  Reader reader(as_bytes(eleven));
  CHECK(reader.varlong() == 0);
  CHECK_FALSE(reader.ok());
}

TEST_CASE("every fixed width goes there and back, and lengths are patched in place") {
  Writer writer(64);
  writer.i32(0);
  writer.u8(200);
  writer.i8(-3);
  writer.boolean(true);
  writer.u16(65535);
  writer.u32(4000000000);
  writer.u64(UINT64_MAX);
  writer.raw(as_bytes("ab"));
  writer.raw(std::string_view("cd"));
  writer.mark_external(7, 1000);
  writer.patch_i32(0, static_cast<int32_t>(writer.size() + writer.external_bytes()));
  REQUIRE(writer.external_marks().size() == 1);
  CHECK(writer.external_marks()[0].position == writer.size());
  CHECK(writer.external_marks()[0].id == 7);
  Buffer bytes = writer.take();
  Reader reader(bytes);
  CHECK(reader.i32() == 1025);
  CHECK(reader.u8() == 200);
  CHECK(reader.i8() == -3);
  CHECK(reader.boolean());
  CHECK(reader.u16() == 65535);
  CHECK(reader.u32() == 4000000000);
  CHECK(reader.u64() == UINT64_MAX);
  CHECK(reader.position() == 21);
  CHECK(reader.text(4) == "abcd");
  CHECK(reader.at_end());
}

TEST_CASE("text of a message: escaped, payloads by size, cut at the limit") {
  struct Point {
    int32_t x = 0;
    void describe_to(Describer& d) const {
      d.open("Point");
      d.key("x");
      d.value(x);
      d.close();
    }
  };
  Describer d;
  d.open("Sample");
  d.key("flag");
  d.value(true);
  d.key("half");
  d.value(0.5);
  d.key("name");
  d.value(std::string("a\"b\\\n\x7f") + std::string(300, 'z'));
  d.key("none");
  d.value(std::optional<int32_t>());
  d.key("some");
  d.value(std::optional<int32_t>(7));
  d.key("points");
  d.value(std::vector<Point>{{1}, {2}});
  d.key("payload");
  d.bytes(10);
  d.key("code");
  d.word("none");
  d.close();
  CHECK(d.take() == "Sample{flag=true half=0.5 name=\"a\\\"b\\\\\\x0a\\x7f" +
                        std::string(250, 'z') +
                        "\"..(306) none=null some=7 points=[Point{x=1} Point{x=2}] "
                        "payload=<10 bytes> code=none}");
  Describer small(20);
  small.open("List");
  small.key("all");
  small.value(std::vector<int32_t>(1000, 55));
  small.close();
  CHECK(small.full());
  CHECK(small.take() == "List{all=[55 55 55 55]...}");
}

TEST_CASE("JSON of a message: strings that are no UTF-8, numbers that are none, bytes both ways") {
  auto text_of = [](std::string_view raw) {
    JsonOut out(JsonOut::BinaryAs::hex);
    out.text(raw);
    return out.take();
  };
  const std::string bad = "\xef\xbf\xbd";
  CHECK(text_of("a\"\\\n") == "\"a\\\"\\\\\\u000a\"");
  CHECK(text_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") ==
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  for (const char* one : {"\x80", "\xc1", "\xff", "\xc3", "\xe2"})
    CHECK(text_of(one) == '"' + bad + '"');
  for (const char* two : {"\xe0\x80", "\xc3\xc3"}) CHECK(text_of(two) == '"' + bad + bad + '"');
  for (const char* three : {"\xe0\x80\x80", "\xed\xa0\x80"})  // overlong; half a pair
    CHECK(text_of(three) == '"' + bad + bad + bad + '"');
  for (const char* four : {"\xf0\x80\x80\x80", "\xf4\x90\x80\x80"})  // overlong; above the last
    CHECK(text_of(four) == '"' + bad + bad + bad + bad + '"');
  JsonOut out(JsonOut::BinaryAs::hex);
  out.open();
  out.key("list");
  out.value(std::vector<double>{0.5, INFINITY, -INFINITY, NAN}, 0);
  out.key("raw");
  out.bytes(std::string("\x01\xfe"));
  out.key("none");
  out.null();
  out.key("yes");
  out.boolean(true);
  out.close();
  CHECK(out.take() ==
        "{\"list\":[0.5,\"Infinity\",\"-Infinity\",\"NaN\"],\"raw\":\"01fe\",\"none\":null,\"yes\":"
        "true}");
  JsonOut base64(JsonOut::BinaryAs::base64);
  base64.bytes(std::optional<std::string>("foo"));
  base64.bytes(std::optional<std::string>());
  CHECK(base64.take() == "\"Zm9v\"null");
  CHECK(to_base64("") == "");
  CHECK(to_base64("f") == "Zg==");
  CHECK(to_base64("fo") == "Zm8=");
  CHECK(to_base64("foo") == "Zm9v");
  CHECK(to_base64("foob") == "Zm9vYg==");
}
