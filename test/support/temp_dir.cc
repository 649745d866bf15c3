#include "test/support/temp_dir.h"

#include <stdlib.h>

#include <filesystem>

#include "common/base/check.h"

namespace ottla::support {

TempDir::TempDir() {
  char name[] = "/tmp/ottla-test-XXXXXX";
  OTTLA_CHECK(::mkdtemp(name) != nullptr);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace ottla::support
