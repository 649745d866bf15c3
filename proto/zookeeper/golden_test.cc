// Bytes that Apache ZooKeeper's own records wrote: decode, compare every field, encode to the same.
#include <catch2/catch.hpp>

#include "proto/zookeeper/all_records.h"
#include "test/support/golden.h"

namespace ottla::jute {
namespace {

template <class Record>
void check_line(const nlohmann::json& line, const std::string& where) {
  INFO(where);
  std::string bytes = from_hex(line.at("hex").get<std::string>());
  wire::Reader reader(as_bytes(bytes));
  Record record;
  bool decoded = record.decode(reader);
  REQUIRE(decoded);
  REQUIRE(reader.at_end());

  wire::Writer writer;
  record.encode(writer);
  CHECK(to_hex(writer.bytes()) == line.at("hex").get<std::string>());

  wire::JsonOut json(wire::JsonOut::BinaryAs::hex);
  record.json_to(json);
  auto ours = nlohmann::json::parse(json.take());
  const nlohmann::json& theirs = line.at("json");
  if (ours != theirs) FAIL_CHECK(nlohmann::json::diff(theirs, ours).dump().substr(0, 2000));
}

}  // namespace

TEST_CASE("records decode to what Apache encoded and encode back") {
  for (const auto& path : test::golden_files("jute.jsonl")) {
    size_t lines =
        test::for_each_golden_line(path, [](const nlohmann::json& line, const std::string& where) {
          std::string name = line.at("name").get<std::string>();
          INFO(name);
          bool known = visit_record(name.substr(name.rfind('.') + 1),
                                    [&]<class Record>() { check_line<Record>(line, where); });
          CHECK(known);
        });
    CHECK(lines > 0);
  }
}

}  // namespace ottla::jute
