// What is derived from the schemas and kept in the repository: it must be current, and history must
// not change.
#include <catch2/catch.hpp>

#include <map>
#include <sstream>

#include "common/wire/gen/emit.h"

namespace ottla::wiregen {
namespace {

std::vector<File> load(std::vector<std::string> paths) {
  std::optional<ParseError> error;
  std::vector<File> files = load_schemas(paths, error);
  if (error) FAIL(error->message);
  return files;
}

std::map<std::string, std::string> hashes(const std::string& text) {
  std::map<std::string, std::string> out;
  std::stringstream in(text);
  for (std::string name, version, hash; in >> name >> version >> hash;)
    out[name + " v" + version] = hash;
  return out;
}

}  // namespace

TEST_CASE("a released version of a message never changes") {
  auto now = hashes(emit_frozen(load({"proto/kafka/schemas", "proto/zookeeper/records.wire"})));
  auto frozen = hashes(read_file("test/golden/frozen_versions.txt"));
  CHECK(frozen.size() > 600);
  for (const auto& [name, hash] : frozen) {
    INFO(name << ": peers speak this version as it was; add a version, do not change one");
    CHECK(now[name] == hash);
  }
  for (const auto& [name, hash] : now) {
    INFO(name << " is new: wiregen --frozen test/golden/frozen_versions.txt proto/kafka/schemas "
                 "proto/zookeeper/records.wire");
    CHECK(frozen.contains(name));
  }
}

TEST_CASE("docs/generated/protocol.md is current") {
  bool current = read_file("docs/generated/protocol.md") ==
                 emit_docs(load({"proto/kafka/schemas", "proto/zookeeper/records.wire"}));
  INFO(
      "run: wiregen --docs docs/generated/protocol.md proto/kafka/schemas "
      "proto/zookeeper/records.wire");
  CHECK(current);
}

}  // namespace ottla::wiregen
