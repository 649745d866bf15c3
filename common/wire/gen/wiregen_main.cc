// wiregen: reads *.wire schemas, writes C++ into the build tree.
//   wiregen [--groups N] OUT_DIR SCHEMA...        sources for one dialect
//   wiregen --docs OUT_FILE SCHEMA...             docs/generated/protocol.md
//   wiregen --frozen OUT_FILE SCHEMA...           layout hashes of every version
// A SCHEMA may be a folder of them. A file whose text is unchanged is left alone, so that nothing
// is compiled again for it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/core.h>

#include "common/wire/gen/emit.h"

namespace ottla::wiregen {
namespace {

bool write_file(const std::filesystem::path& path, const std::string& text) {
  if (std::filesystem::exists(path) && read_file(path) == text) return true;
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) fmt::print(stderr, "wiregen: cannot write {}\n", path.string());
  return static_cast<bool>(out);
}

bool write_sources(const std::filesystem::path& dir, const std::vector<File>& files,
                   size_t groups) {
  std::filesystem::create_directories(dir);
  bool ok = true;
  for (const File& file : files) ok &= write_file(dir / (file.stem + ".h"), emit_header(file));
  std::vector<const File*> all = pointers(files);
  size_t each = (all.size() + groups - 1) / groups;
  for (size_t i = 0; i < groups; ++i) {
    std::vector<const File*> group(all.begin() + std::min(i * each, all.size()),
                                   all.begin() + std::min((i + 1) * each, all.size()));
    ok &= write_file(dir / fmt::format("messages_{}.cc", i), emit_source(group));
    ok &= write_file(dir / fmt::format("messages_debug_{}.cc", i), emit_debug_source(group));
    ok &= write_file(dir / fmt::format("messages_walk_{}.cc", i), emit_walk_source(group));
  }
  ok &= write_file(dir / "walk.h", emit_walk_header(files));
  if (files[0].dialect == Dialect::kafka) {
    ok &= write_file(dir / "api_key.h", emit_api_key_header(files));
    ok &= write_file(dir / "all_messages.h", emit_all_messages_header(files));
  } else {
    ok &= write_file(dir / "all_records.h", emit_all_records_header(files));
  }
  return ok;
}

int run(int argc, char** argv) {
  std::string mode = "sources";
  size_t groups = 1;
  int at = 1;
  for (; at < argc && std::string_view(argv[at]).starts_with("--"); ++at) {
    std::string_view flag = argv[at];
    if (flag == "--groups" && at + 1 < argc)
      groups = std::max(1ul, std::strtoul(argv[++at], nullptr, 10));
    else
      mode = flag.substr(2);
  }
  if (argc - at < 2) {
    fmt::print(stderr, "usage: wiregen [--groups N | --docs | --frozen] OUT SCHEMA...\n");
    return 2;
  }
  std::filesystem::path output = argv[at++];
  std::optional<ParseError> error;
  std::vector<File> files = load_schemas(std::vector<std::string>(argv + at, argv + argc), error);
  if (error) {
    fmt::print(stderr, "{}\n", error->message);
    return 1;
  }
  bool ok = mode == "docs"     ? write_file(output, emit_docs(files))
            : mode == "frozen" ? write_file(output, emit_frozen(files))
                               : write_sources(output, files, groups);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace ottla::wiregen

int main(int argc, char** argv) { return ottla::wiregen::run(argc, argv); }
