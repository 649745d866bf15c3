#include <catch2/catch.hpp>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/base/prng.h"
#include "common/base/result.h"

using namespace ottla;

TEST_CASE("crc32c agrees with the published vectors") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);  // RFC 3720 B.4
  std::string zeros(32, '\0');
  CHECK(crc32c(as_bytes(zeros)) == 0x8a9136aa);
  std::string long_text;
  Prng prng(7);
  for (int i = 0; i < 10000; ++i) long_text += static_cast<char>(prng.next());
  // A long run in one call equals the same run byte by byte (the lanes against the tail loop).
  uint32_t bytewise = 0;
  for (size_t i = 0; i < long_text.size(); ++i)
    bytewise = crc32c(as_bytes(std::string_view(long_text).substr(i, 1)), bytewise);
  CHECK(crc32c(as_bytes(long_text)) == bytewise);
}

TEST_CASE("hex goes there and back") {
  CHECK(to_hex(as_bytes("\x01\xfe")) == "01fe");
  CHECK(from_hex("01FE") == "\x01\xfe");
  CHECK(from_hex("0").empty());
  CHECK(from_hex("zz").empty());
}

TEST_CASE("buffer keeps what it holds while it grows and shrinks") {
  Buffer buffer;
  buffer.append(std::string_view("hello"));
  buffer.append(std::string_view(" world"));
  CHECK(as_text(buffer) == "hello world");
  buffer.consume(6);
  CHECK(as_text(buffer) == "world");
  Buffer moved = std::move(buffer);
  CHECK(as_text(moved) == "world");
}

TEST_CASE("errno maps to codes that callers tell apart") {
  Result<int> failed = fail_errno(28, "write x");
  REQUIRE(!failed);
  CHECK(failed.error().code == Errc::no_space);
}
