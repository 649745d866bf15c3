#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ottla {
void check_failed(const char* file, int line, const char* expression, std::string_view detail) {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d%s%.*s\n", expression, file, line,
               detail.empty() ? "" : ": ", static_cast<int>(detail.size()), detail.data());
  std::fflush(stderr);
  std::abort();
}
}  // namespace ottla
