// Golden lines: JSON objects, one a line, with bytes in hex that other implementations wrote. Two
// places: test/golden (the project's own, always there) and a larger set of vectors that may be
// missing (environment OTTLA_VECTORS, or ../shared/vectors beside the source folder).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ottla::test {

// Tests run in the source folder (scripts/cmake/rooms.cmake).
inline std::filesystem::path vectors_dir() {
  if (const char* given = std::getenv("OTTLA_VECTORS")) return given;
  return "../shared/vectors";
}

// The files of that name that exist; says so on standard output when the large set is missing.
inline std::vector<std::filesystem::path> golden_files(const std::string& name) {
  std::vector<std::filesystem::path> found;
  for (const std::filesystem::path& path :
       {std::filesystem::path("test/golden") / name, vectors_dir() / name}) {
    if (std::filesystem::exists(path))
      found.push_back(path);
    else
      std::printf("skipped: no %s (set OTTLA_VECTORS to the folder of vectors)\n", path.c_str());
  }
  return found;
}

template <class F>
size_t for_each_golden_line(const std::filesystem::path& path, F&& f) {
  std::ifstream in(path);
  size_t count = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    ++count;
    f(nlohmann::json::parse(line), path.filename().string() + ":" + std::to_string(count));
  }
  return count;
}

}  // namespace ottla::test
