#include <catch2/catch.hpp>

#include "common/base/prng.h"
#include "common/wire/gen/emit.h"

namespace ottla::wiregen {
namespace {

File parse_ok(std::string_view text) {
  std::optional<ParseError> error;
  File file = parse("test.wire", "test", text, error);
  if (error) FAIL(error->message);
  return file;
}
std::string parse_error(std::string_view text) {
  std::optional<ParseError> error;
  parse("test.wire", "test", text, error);
  return error ? error->message : "";
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

constexpr std::string_view kPing = R"(# Are you there.
request Ping key 9 versions 0..4 flexible 3..
  struct Shared {
    id i32 = -1
  }
  name string?  v1.. null 2.. = null ignorable  # who asks
  topics [Topic] {
    shared [Shared]
    payload records?
  }
  late i64 v3.. tag 1
  old bool v0..1

response Ping versions 0..4 flexible 3..
  error_code i16 as ErrorCode
)";

}  // namespace

TEST_CASE("a schema is read as it stands") {
  File file = parse_ok(kPing);
  REQUIRE(file.messages.size() == 2);
  CHECK(file.doc == "Are you there.");
  const Message& request = file.messages[0];
  CHECK(request.class_name() == "PingRequest");
  CHECK(request.key == 9);
  CHECK(file.messages[1].key == 9);
  REQUIRE(request.structs.size() == 2);
  CHECK(request.structs[0].name == "Shared");
  const Field& name = request.root.fields[0];
  CHECK(name.nullable);
  CHECK(name.default_null);
  CHECK(name.ignorable);
  CHECK(name.versions.from == 1);
  CHECK(name.null_versions.from == 2);
  CHECK(name.doc == "who asks");
}

TEST_CASE("mistakes are told with their line") {
  CHECK(parse_error("request A key 1 versions 0..1\n  x i33\n") == "test.wire:2: unknown type i33");
  CHECK(parse_error("request A key 1 versions 0..1\n  x Nope\n") ==
        "test.wire:2: unknown struct Nope");
  CHECK(parse_error("request A key 1 versions 0..1\n  x i32 v2..\n") ==
        "test.wire:2: field x is in no version");
  CHECK(parse_error("request A key 1 versions 0..1\n  x i32\n  x i32\n") ==
        "test.wire:3: field x is declared twice");
  CHECK(has(parse_error("request A key 1 versions 0..1\n  x i32 tag 0\n"),
            "needs flexible versions"));
  CHECK(has(parse_error("request A key 1 versions 0..1\n  xs [B] {\n"), "not closed"));
  CHECK(
      has(parse_error("request A key 1 versions 0..1\n  n i32\n"), "a word of the generated code"));
  CHECK(has(parse_error("x i32\n"), "expected request"));
}

TEST_CASE("no schema text crashes the parser") {
  Prng prng(5);
  std::string text(kPing);
  for (int round = 0; round < 2000; ++round) {
    std::string changed = text;
    for (int k = 0; k < 3; ++k) {
      size_t at = prng.below(changed.size());
      if (prng.chance(0.5))
        changed[at] = static_cast<char>(prng.between(9, 126));
      else
        changed.erase(at, prng.below(20));
      if (changed.empty()) changed = "x";
    }
    (void)parse_error(changed);
  }
}

TEST_CASE("version tests say no more than is needed") {
  CHECK(version_test({0, kForever}, {0, 4}).empty());
  CHECK(version_test({2, kForever}, {0, 4}) == "v >= 2");
  CHECK(version_test({0, 3}, {0, 4}) == "v <= 3");
  CHECK(version_test({2, 2}, {0, 4}) == "v == 2");
  CHECK(version_test({1, 3}, {0, 4}) == "v >= 1 && v <= 3");
  CHECK(version_test({5, kForever}, {0, 4}) == "false");
}

TEST_CASE("the least size of an element is that of its smallest version") {
  File file = parse_ok(kPing);
  const Message& request = file.messages[0];
  const Struct& topic = request.structs[1];
  CHECK(min_wire_bytes(file, request, topic, 0) == 4 + 4);
  CHECK(min_wire_bytes(file, request, topic, 3) == 1 + 1 + 1);
}

TEST_CASE("generated code is one plain test a field") {
  File file = parse_ok(kPing);
  std::string header = emit_header(file);
  CHECK(has(header, "std::optional<std::string> name;  // v1+: who asks"));
  CHECK(has(header, "std::vector<Topic> topics;"));
  CHECK(has(header, "static constexpr int16_t kFlexibleFrom = 3;"));
  std::string source = emit_source({&file});
  CHECK(has(source, "if (v <= 1) {\n    w.boolean(old);\n  } else if (old) {\n"));
  CHECK(has(source, "tags.begin(1)"));
  CHECK(has(source, "get_count(r, flexible, 3, sizeof(Topic))"));
}

TEST_CASE("a hash changes with the layout of its version only") {
  std::string before =
      emit_frozen({parse_ok("request A key 1 versions 0..1\n  x i32\n  y i32 v1..\n")});
  std::string after =
      emit_frozen({parse_ok("request A key 1 versions 0..1\n  x i32\n  y i64 v1..\n")});
  CHECK(before.substr(0, before.find('\n')) == after.substr(0, after.find('\n')));
  CHECK(before != after);
}

}  // namespace ottla::wiregen
