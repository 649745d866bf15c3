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
    {{.name = "ratio", .type = Type::float64, .default_text = "0.5", .min = 0, .max = 1},
     &Sample::ratio},
    {{.name = "small", .type = Type::int16}},
    {{.name = "least", .type = Type::int64, .default_text = "1", .min = 1}},
    {{.name = "most", .type = Type::int32, .default_text = "1", .max = 9}},
    {{.name = "kinds", .type = Type::list, .default_text = "", .one_of = "a,b"}},
    {{.name = "secret", .type = Type::password, .min = 0}},
    {{.name = "class", .type = Type::class_name, .one_of = "X"}},
    {{.name = "even",
      .default_text = "ab",
      .valid = [](std::string_view t) { return t.size() % 2 == 0; },
      .valid_text = "of even length"}},
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
  CHECK(Properties::parse("a=\\u00", "t").error().context ==
        "t: line 1: \\u must be followed by four hex digits");
}

TEST_CASE("properties: escapes, pairs, continuations in odd places") {
  auto value = [](std::string_view text) {
    auto parsed = Properties::parse(std::string("k=") + std::string(text), "t");
    if (!parsed) return std::string("(error)");
    return parsed->get("k").value_or("(none)");
  };
  CHECK(value("\\n\\r\\f\\x\\=") == "\n\r\fx=");
  CHECK(value("\\u00e9") == "\xc3\xa9");
  CHECK(value("\\u20AC") == "\xe2\x82\xac");
  CHECK(value("\\ud83d\\ude00") == "\xf0\x9f\x98\x80");
  CHECK(value("\\ud83d\\u0041") ==
        "?A");  // half a pair stands for nothing, what follows for itself
  CHECK(value("\\ude00") == "?");
  CHECK(value("\\ud83d\\u00") == "(error)");
  CHECK(value("a\\") == "a");
  CHECK(value("a\\\r\n  b") == "ab");
  auto p = Properties::parse("key \\\n  = \\\n  v\nother\\\n name=w\n\\\n x=y", "t");
  REQUIRE(p);
  CHECK(p->get("key") == "v");
  CHECK(p->get("othername") == "w");
  CHECK_FALSE(p->get("missing"));
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
  CHECK(load_text("port=+7x", sample).error().context ==
        "x.properties:1: port=+7x: must be an integer from 0 to 65535");
  CHECK(load_text("small=32768", sample).error().context ==
        "x.properties:1: small=32768: must be an integer from -32768 to 32767");
  CHECK(load_text("limit.ms=9223372036854775808", sample).error().context ==
        "x.properties:1: limit.ms=9223372036854775808: must be an integer");
  CHECK(load_text("least=0", sample).error().context ==
        "x.properties:1: least=0: must be an integer of at least 1");
  CHECK(load_text("most=10", sample).error().context ==
        "x.properties:1: most=10: must be an integer of at most 9");
  CHECK(load_text("ratio=nan", sample).error().context ==
        "x.properties:1: ratio=nan: must be a number from 0 to 1");
  CHECK(load_text("kinds=a,c", sample).error().context ==
        "x.properties:1: kinds=a,c: must be a comma-separated list, each one of a,b");
  CHECK(load_text("class=Y", sample).error().context ==
        "x.properties:1: class=Y: must be one of X");
  CHECK(load_text("even=abc", sample).error().context ==
        "x.properties:1: even=abc: must be of even length");
}

TEST_CASE("values as users write them") {
  Sample sample;
  REQUIRE(load_text("port=+7\nenabled=FALSE\nkinds= b , a\nclass=X\nratio=1\ndirs=\n", sample));
  CHECK(sample.port == 7);
  CHECK_FALSE(sample.enabled);
  CHECK(sample.ratio == 1);
  CHECK(sample.dirs.empty());
  KeyInfo secret{.name = "secret", .type = Type::password};
  CHECK(fault_line({"secret", "hunter2", "a line", 0}, secret, "no") ==
        "a line: secret=[hidden]: no");
  CHECK(std::get<std::string>(*parse_value(secret, " x ")) == " x ");
}

TEST_CASE("the rows make their own document") {
  std::string text = markdown(std::span<const Key<Sample>>(kKeys));
  auto has = [&](const char* row) { return text.find(row) != std::string::npos; };
  CHECK(has("| port | INT | 9092 | an integer from 0 to 65535 |  |\n"));
  CHECK(has("| dirs | LIST | /tmp/a | a comma-separated list |  |\n"));
  CHECK(has("| limit.ms | LONG | null | an integer |  |\n"));
  CHECK(
      has("| kinds | LIST | (empty) | a comma-separated list, each one of a,b | "
          " (accepted, no effect yet) |\n"));
  CHECK(has("| secret | PASSWORD | null | a string |"));
  CHECK(has("| class | CLASS | null | one of X |"));
  CHECK(has("| ratio | DOUBLE | 0.5 | a number from 0 to 1 |"));
  CHECK(has("| enabled | BOOLEAN | true | true or false |"));
  CHECK(has("| small | SHORT | null | an integer from -32768 to 32767 |"));
  CHECK(has("| codec | STRING | none | one of none,lz4 |"));
}
