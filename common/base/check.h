// Assertions that stay on in production, and those that are paid for only in tests.
//
// OTTLA_CHECK: a bug in this program; prints one line and aborts. Never on bytes from disk or network:
// those yield a Result. OTTLA_DCHECK: O(n) checks, on in dev, sanitizer and simulation builds.
#pragma once

#include <string_view>

namespace ottla {
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               std::string_view detail = {});
}

#define OTTLA_CHECK(condition, ...)                                                           \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::ottla::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)

#ifdef OTTLA_DCHECKS
#define OTTLA_DCHECK(condition, ...) OTTLA_CHECK(condition __VA_OPT__(, ) __VA_ARGS__)
#else
#define OTTLA_DCHECK(condition, ...)    \
  do {                            \
    if (false) (void)(condition); \
  } while (false)
#endif
