// Reading schemas from files.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/wire/gen/schema.h"

namespace ottla::wiregen {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<File> load_schemas(const std::vector<std::string>& paths,
                               std::optional<ParseError>& error) {
  std::vector<std::filesystem::path> schemas;
  for (const std::filesystem::path path : paths) {
    if (!std::filesystem::is_directory(path)) {
      schemas.push_back(path);
      continue;
    }
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.path().extension() == ".wire") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    schemas.insert(schemas.end(), found.begin(), found.end());
  }
  std::vector<File> files;
  for (const std::filesystem::path& path : schemas) {
    if (!std::filesystem::is_regular_file(path)) {
      error = ParseError{"cannot read " + path.string()};
      break;
    }
    files.push_back(parse(path.string(), path.stem().string(), read_file(path.string()), error));
    if (error) break;
  }
  return files;
}

}  // namespace ottla::wiregen
