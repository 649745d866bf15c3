#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/base/prng.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "test/support/temp_dir.h"

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

TEST_CASE("crc32c is the same from tables as from the processor, at every length and place") {
  Prng prng(8);
  std::string text;
  for (int i = 0; i < 7000; ++i) text += static_cast<char>(prng.next());
  CHECK(crc32c_by_tables(as_bytes("123456789")) == 0xe3069283);
  for (size_t size : {0, 1, 7, 8, 9, 100, 3071, 3072, 3073, 6999})
    for (size_t from : {0, 1}) {
      Bytes part = as_bytes(std::string_view(text).substr(from, size));
      CHECK(crc32c_by_tables(part, 5) == crc32c(part, 5));
    }
}

TEST_CASE("zlib's checksums go on from a seed") {
  CHECK(crc32(as_bytes("123456789")) == 0xcbf43926);
  CHECK(crc32(as_bytes("6789"), crc32(as_bytes("12345"))) == 0xcbf43926);
  CHECK(adler32(as_bytes("Wikipedia")) == 0x11e60398);
  CHECK(adler32(as_bytes("pedia"), adler32(as_bytes("Wiki"))) == 0x11e60398);
}

TEST_CASE("random values stay in their bounds, reach both ends, and repeat with their seed") {
  Prng one(3), two(3);
  std::set<int64_t> seen;
  int heads = 0;
  for (int i = 0; i < 1000; ++i) {
    int64_t value = one.between(-2, 2);
    seen.insert(value);
    CHECK(value == two.between(-2, 2));
    bool head = one.chance(0.5);
    CHECK(head == two.chance(0.5));
    heads += head;
  }
  CHECK(seen == std::set<int64_t>{-2, -1, 0, 1, 2});
  CHECK(heads > 400);
  CHECK(heads < 600);
  CHECK_FALSE(one.chance(0));
  CHECK(one.chance(1));
}

TEST_CASE("a limit of time that means never is never over") {
  Instant now{1'000'000'000};
  CHECK(after_ms(now, INT64_MAX) == Instant{INT64_MAX});
  CHECK(now + INT64_MAX == Instant{INT64_MAX});
  CHECK(ms_to_ns(9'223'372'036'855) == INT64_MAX);
  CHECK(after_ms(now, 1'000) == Instant{2'000'000'000});
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
  Buffer copy = moved.clone();
  moved.push_back('!');
  CHECK(as_text(moved) == "world!");
  CHECK(to_string(copy) == "world");
  copy = std::move(moved);
  CHECK(as_text(copy) == "world!");
  copy.clear();
  CHECK(copy.empty());
  CHECK(copy.capacity() >= 6);
  Buffer sized(3);
  CHECK(sized.mutable_bytes().size() == 3);
  sized.append(Bytes());
  CHECK(sized.size() == 3);
}

TEST_CASE("errno maps to codes that callers tell apart") {
  Result<int> failed = fail_errno(28, "write x");
  REQUIRE(!failed);
  CHECK(failed.error().code == Errc::no_space);
  CHECK(failed.error().context == "write x: No space left on device");
  const std::pair<int, Errc> map[] = {
      {EDQUOT, Errc::no_space},     {ENOENT, Errc::not_found},  {ENOTDIR, Errc::not_found},
      {EEXIST, Errc::exists},       {EACCES, Errc::permission}, {EPERM, Errc::permission},
      {EROFS, Errc::permission},    {EADDRINUSE, Errc::in_use}, {ECONNREFUSED, Errc::refused},
      {ECONNRESET, Errc::closed},   {EPIPE, Errc::closed},      {ENOTCONN, Errc::closed},
      {ETIMEDOUT, Errc::timed_out}, {EINVAL, Errc::invalid},    {EIO, Errc::io},
      {EMFILE, Errc::io},
  };
  for (const auto& [number, code] : map) CHECK(errc_from_errno(number) == code);
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::unsupported); ++code)
    names.insert(errc_name(static_cast<Errc>(code)));
  CHECK(names.size() == static_cast<size_t>(Errc::unsupported) + 1);
  CHECK_FALSE(names.contains("?"));
}

TEST_CASE("a log file has a line an event, with time, level and room") {
  support::TempDir dir;
  const std::string file = dir.path() + "/a.log";
  const log::Level before = log::root_level();
  log::configure({log::Level::debug, file});
  constexpr log::Room kRoom{"test.file"};
  log::debug(kRoom, "one");
  log::info(kRoom, "two", "n={}", 2);
  log::warn(kRoom, "three");
  log::error(kRoom, "four");
  log::set_level(log::Level::error);
  log::warn(kRoom, "not this one");
  log::set_level(before);
  std::ifstream in(file);
  std::vector<std::string> rest;
  for (std::string line; std::getline(in, line);) {
    REQUIRE(line.size() > 26);
    CHECK(line[0] == '[');
    rest.push_back(line.substr(line.find(']') + 2));
  }
  CHECK(rest == std::vector<std::string>{"debug [test.file] one", "info [test.file] two n=2",
                                         "warning [test.file] three", "error [test.file] four"});
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
