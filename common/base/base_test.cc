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

TEST_CASE("a room's own log level goes before the common one, until it is taken back") {
  std::vector<std::string> lines;
  log::set_sink(
      [](log::Level, std::string_view room, std::string_view line, void* context) {
        static_cast<std::vector<std::string>*>(context)->push_back(std::string(room) + ": " +
                                                                   std::string(line));
      },
      &lines);
  constexpr log::Room kLoud{"test.loud"}, kQuiet{"test.quiet"}, kPlain{"test.plain"};
  auto say = [&] {
    lines.clear();
    for (const log::Room& room : {kLoud, kQuiet, kPlain}) {
      log::debug(room, "d");
      log::info(room, "i");
      log::error(room, "e", "n={}", 1);
    }
    return lines;
  };
  using Lines = std::vector<std::string>;
  const log::Level before = log::root_level();
  log::set_level(log::Level::info);
  log::set_room_level("test.loud", log::Level::debug);
  log::set_room_level("test.quiet", log::Level::error);
  CHECK(log::level() == log::Level::debug);
  CHECK(log::root_level() == log::Level::info);
  CHECK(log::room_level("test.loud") == log::Level::debug);
  CHECK(log::room_level("test.plain") == std::nullopt);
  CHECK(say() == Lines{"test.loud: d", "test.loud: i", "test.loud: e n=1", "test.quiet: e n=1",
                       "test.plain: i", "test.plain: e n=1"});
  // The common level moves only those that have none of their own.
  log::set_level(log::Level::off);
  CHECK(say() == Lines{"test.loud: d", "test.loud: i", "test.loud: e n=1", "test.quiet: e n=1"});
  log::set_room_level("test.loud", std::nullopt);
  log::set_room_level("test.quiet", std::nullopt);
  log::set_room_level("test.never", std::nullopt);
  CHECK(log::room_level("test.loud") == std::nullopt);
  CHECK(log::level() == log::Level::off);
  CHECK(say().empty());
  log::set_level(before);
  log::set_sink(nullptr, nullptr);
}
