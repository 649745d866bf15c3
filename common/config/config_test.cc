#include <catch2/catch.hpp>

#include "common/config/table.h"

using namespace ottla;
using namespace ottla::config;

namespace {
struct Sample {
  int32_t port = 0;
  bool enabled = false;
  std::string codec;
  std::vector<std::string> dirs;
  std::optional<int64_t> limit_ms;
  double ratio = 0;
};
constexpr Key<Sample> kKeys[] = {
    {{.name = "port", .type = Type::int32, .default_text = "9092", .min = 0, .max = 65535},
     &Sample::port},
    {{.name = "enabled", .type = Type::boolean, .default_text = "true"}, &Sample::enabled},
    {{.name = "codec", .type = Type::string, .default_text = "none", .one_of = "none,lz4"},
     &Sample::codec},
    {{.name = "dirs", .type = Type::list, .default_text = "/tmp/a"}, &Sample::dirs},
    {{.name = "limit.ms", .type = Type::int64}, &Sample::limit_ms},
    {{.name = "ratio", .type = Type::float64, .default_text = "0.5", .min = 0, .max = 1}, &Sample::ratio},
    {{.name = "later", .type = Type::int32, .default_text = "1"}},
};
Result<std::vector<std::string>> load_text(std::string_view text, Sample& sample) {
  auto properties = Properties::parse(text, "x.properties");
  REQUIRE(properties);
  return load(std::span<const Key<Sample>>(kKeys), *properties, sample,
              [](std::string_view) { return false; });
}
}  // namespace

TEST_CASE("properties follow the Java grammar") {
  auto p = Properties::parse(
      "# c\n! c\na=1\n  b : two words  \nc three\nd=x\\\n   y\ne\\ f=\\u0041\\t\ng\na=2\r\n", "t");
  REQUIRE(p);
  CHECK(p->get("a") == "2");
  CHECK(p->get("b") == "two words  ");
  CHECK(p->get("c") == "three");
  CHECK(p->get("d") == "xy");
  CHECK(p->get("e f") == "A\t");
  CHECK(p->get("g") == "");
  CHECK(p->find("a")->line == 10);
  CHECK_FALSE(Properties::parse("a=\\u00g0", "t"));
}

TEST_CASE("a table gives defaults, values and warnings") {
  Sample sample;
  auto warnings = load_text("port=1\ndirs=/a, /b\nlimit.ms=7\nlater=2\nfoo=1\n", sample);
  REQUIRE(warnings);
  CHECK(sample.port == 1);
  CHECK(sample.enabled);
  CHECK(sample.dirs == std::vector<std::string>{"/a", "/b"});
  CHECK(sample.limit_ms == 7);
  CHECK(sample.ratio == 0.5);
  REQUIRE(warnings->size() == 2);
  CHECK(warnings->at(0) == "x.properties: later is known but has no effect in this version");
  CHECK(warnings->at(1) == "x.properties: unknown key foo is ignored");
}

TEST_CASE("a wrong value is one line that says where, what and what is allowed") {
  Sample sample;
  CHECK(load_text("port=70000", sample).error().context ==
        "x.properties:1: port=70000: must be an integer from 0 to 65535");
  CHECK(load_text("\nenabled=yes", sample).error().context ==
        "x.properties:2: enabled=yes: must be true or false");
  CHECK(load_text("codec=zip", sample).error().context ==
        "x.properties:1: codec=zip: must be one of none,lz4");
  CHECK(load_text("ratio=2", sample).error().context ==
        "x.properties:1: ratio=2: must be a number from 0 to 1");
}
