#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/base/endian.h"
#include "tools/admin_client.h"
#include "tools/consumer_groups.h"
#include "tools/java_order.h"
#include "tools/line_reader.h"
#include "tools/options.h"
#include "tools/record_formatter.h"

namespace ottla::tools {
namespace {

const OptionParser& parser() {
  static const OptionParser instance({
      {"topic", "The topic.", OptionSpec::Argument::required, "topic"},
      {"topics-with-overrides", "Some."},
      {"partitions", "How many.", OptionSpec::Argument::required, "n", OptionSpec::Type::integer},
      {"shift-by", "", OptionSpec::Argument::required, "", OptionSpec::Type::long_integer},
      {"codec", "", OptionSpec::Argument::optional},
      {"timeout", "", OptionSpec::Argument::required, "", OptionSpec::Type::integer, "5000"},
      {"list", "All."},
  });
  return instance;
}

std::expected<Options, std::string> parse(std::vector<std::string> args) {
  return parser().parse(args);
}

}  // namespace

TEST_CASE("options as jopt-simple reads them") {
  auto options = parse({"--topic", "a", "--topic=b", "--part", "3", "--list", "rest"});
  REQUIRE(options);
  CHECK(options->values("topic") == std::vector<std::string>{"a", "b"});
  CHECK(options->number("partitions") == 3);
  CHECK(options->has("list"));
  CHECK(options->rest() == std::vector<std::string>{"rest"});
  CHECK_FALSE(options->has("timeout"));
  CHECK(options->number("timeout") == 5000);

  CHECK(parse({"--shift-by", "-10"})->number("shift-by") == -10);
  CHECK(parse({"--codec", "--list"})->has("list"));
  CHECK(parse({"--codec", "lz4"})->value("codec") == "lz4");
  CHECK(parse({"--bogus"}).error() == "bogus is not a recognized option");
  CHECK(parse({"--to"}).error() == "to is not a recognized option");  // topic or topics-...
  CHECK(parse({"--topic"}).error() == "Option topic requires an argument");
  CHECK(parse({"--partitions", "x"}).error() == "Cannot parse argument 'x' of option partitions");
  CHECK(parser().help().find("--partitions <Integer: n>") != std::string::npos);
}

TEST_CASE("key=value arguments") {
  CHECK(key_values({"a=b=c", "d"}) == std::map<std::string, std::string>{{"a", "b=c"}, {"d", ""}});
  CHECK_FALSE(key_values({"=x"}));
}

TEST_CASE("files of settings lose none") {
  char path[] = "/tmp/ottla-tools-test-XXXXXX";
  int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  std::string_view text = "# a comment that ends so \\\na=1\nb=two\\\\\nc=\\u00e9\nd = x\\\n  y\n";
  CHECK(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(fd);
  auto loaded = load_properties(path);
  ::unlink(path);
  CHECK(loaded == std::map<std::string, std::string>{
                      {"a", "1"}, {"b", "two\\"}, {"c", "\u00e9"}, {"d", "xy"}});
  CHECK_FALSE(load_properties(path));
}

TEST_CASE("lines become records") {
  auto plain = LineReader::make({});
  CHECK(plain->parse("k\tv")->value == "k\tv");
  CHECK_FALSE(plain->parse("x")->key.has_value());

  auto keyed = LineReader::make({{"parse.key", "true"}, {"key.separator", ":"}});
  CHECK(keyed->parse("k:v:w")->key == "k");
  CHECK(keyed->parse("k:v:w")->value == "v:w");
  CHECK(keyed->parse("none").error() == "No key separator found on line number 3: 'none'");

  auto full =
      LineReader::make({{"parse.key", "true"}, {"parse.headers", "true"}, {"null.marker", "NULL"}});
  auto record = full->parse("h:1,i:NULL\tNULL\tv");
  REQUIRE(record);
  CHECK_FALSE(record->key.has_value());
  CHECK(record->headers.size() == 2);
  CHECK(record->headers[0].second == "1");
  CHECK_FALSE(record->headers[1].second.has_value());
  CHECK_FALSE(full->parse("broken\tk\tv"));
  CHECK_FALSE(LineReader::make({{"null.marker", "\t"}}));

  auto lenient = LineReader::make({{"parse.key", "true"}, {"ignore.error", "true"}});
  CHECK(lenient->parse("none")->value == "none");
}

TEST_CASE("the order of Java's maps") {
  // What kafka-topics --describe printed for these three topics of a live broker.
  std::vector<std::string> names{"a.b_c", "alpha", "x"};
  for (size_t expected : {names.size(), names.size() * 4 / 3 + 1, names.size()})
    java_map_order(names, expected);
  CHECK(names == std::vector<std::string>{"x", "a.b_c", "alpha"});
  std::vector<int> partitions{0, 1, 2};
  java_map_order(partitions, 0, [](int p) { return topic_partition_hash("con2", p); });
  CHECK(partitions == std::vector<int>{2, 1, 0});
}

TEST_CASE("numbers of records as Java prints them") {
  auto of_double = [](uint64_t bits) {
    uint8_t bytes[8];
    store_be<uint64_t>(bytes, bits);
    return deserialize("org.apache.kafka.common.serialization.DoubleDeserializer", bytes);
  };
  CHECK(of_double(0x3ff0000000000000) == "1.0");
  CHECK(of_double(0x4202a05f20000000) == "1.0E10");
  CHECK(of_double(0xbf50624dd2f1a9fc) == "-0.001");
  CHECK(of_double(0x8000000000000000) == "-0.0");
  CHECK(of_double(0x7ff8000000000000) == "NaN");
  CHECK(of_double(0xfff0000000000000) == "-Infinity");
  const uint8_t tenth[] = {0x3d, 0xcc, 0xcc, 0xcd};
  CHECK(deserialize("FloatDeserializer", tenth) == "0.1");
  CHECK_FALSE(deserialize("FloatDeserializer", Bytes(tenth, 3)));
}

TEST_CASE("times of --to-datetime") {
  using consumer_groups::parse_datetime;
  CHECK(::setenv("TZ", "America/New_York", 1) == 0);
  ::tzset();
  constexpr int64_t kNoon = 1'706'702'400'000;  // of 31 January 2024 in UTC
  CHECK(parse_datetime("2024-01-31T12:00:00.000") == kNoon);
  CHECK(parse_datetime("2024-01-31T12:00:00.007Z") == kNoon + 7);
  CHECK(parse_datetime("2024-01-31T12:00:00.000+05:30") == kNoon - 19'800'000);
  CHECK(parse_datetime("2024-01-31T12:00:00.000+0530") == kNoon - 19'800'000);
  CHECK(parse_datetime("2024-01-31T12:00:00.000-01") == kNoon + 3'600'000);
  CHECK(parse_datetime("2024-02-29T00:00:00.000Z"));
  for (const char* bad :
       {"2024-02-31T12:00:00.000Z", "2023-02-29T00:00:00.000", "2024-01-31", "",
        "2024-01-31T12:00:00.1000", "2024-01-31T12:00:00.-5", "2024-01-31T12:00:60.000",
        "2024-01-31T12:00:00.000+24:00", "2024-01-31T12:00:00.000+0560",
        "2024-01-31T12:00:00.000+5", "2024-01-31T12:00:00.000 CET"})
    CHECK_FALSE(parse_datetime(bad));
}

TEST_CASE("durations of --by-duration") {
  using consumer_groups::parse_duration;
  CHECK(parse_duration("pt1h") == 3'600'000);
  CHECK(parse_duration("P1DT2H3M4.5S") == 86'400'000 + 7'200'000 + 180'000 + 4500);
  CHECK(parse_duration("-PT1M") == -60'000);
  CHECK(parse_duration("PT-0.25S") == -250);
  for (const char* bad :
       {"", "P", "PT", "P1DT", "PT1M1H", "P1H", "PT1.5H", "1H", "PT1Hx", "P99999999999999999D"})
    CHECK_FALSE(parse_duration(bad));
}

TEST_CASE("plans of --from-file") {
  using consumer_groups::Offsets;
  using consumer_groups::parse_plan;
  CHECK(parse_plan("t,0,12\n\"u\",1,7\r\n\n", "g", true) == Offsets{{{"t", 0}, 12}, {{"u", 1}, 7}});
  CHECK(parse_plan("g,t,0,12\nh,t,0,9\n", "g", false) == Offsets{{{"t", 0}, 12}});
  CHECK(parse_plan("h,t,0,9\n", "g", false)->empty());
  for (const char* bad : {"t,0,12x", "t,zero,12", "t,0,", "t,0", "t,0,-1", "g,t,0,1,2"})
    CHECK_FALSE(parse_plan(bad, "g", true));
  CHECK_FALSE(parse_plan("t,0,12", "g", false));
}

TEST_CASE("bootstrap lists and exception names") {
  auto list = parse_bootstrap("a:1, PLAINTEXT://b:2,[::1]:9092");
  REQUIRE(list);
  CHECK(list->size() == 3);
  CHECK((*list)[1].host == "b");
  CHECK((*list)[2].host == "::1");
  CHECK_FALSE(parse_bootstrap("nohost"));
  CHECK_FALSE(parse_bootstrap("a:99999"));
  CHECK_FALSE(parse_bootstrap(""));
  CHECK(exception_of(kmsg::ErrorCode::invalid_partitions) ==
        "org.apache.kafka.common.errors.InvalidPartitionsException");
  CHECK(exception_of(kmsg::ErrorCode::topic_already_exists) ==
        "org.apache.kafka.common.errors.TopicExistsException");
}

}  // namespace ottla::tools
