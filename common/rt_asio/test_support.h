// What the tests of this room share.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/rt_asio/runtime.h"

namespace ottla::rt_asio {

constexpr int64_t kPatienceMs = 20'000;

struct TempDir {
  TempDir() {
    char name[] = "/tmp/ottla-rt-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

inline std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
  return text;
}

inline Buffer buffer_of(std::string_view text) { return Buffer(as_bytes(text)); }

}  // namespace ottla::rt_asio
