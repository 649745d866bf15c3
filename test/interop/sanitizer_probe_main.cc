// Does what a sanitizer must report: a race, or memory written after its end. That such a report
// fails a test of the interop suite is tested with it (test_sanitizer_reports.py); it is built with
// sanitizers alone.
#include <cstdio>
#include <memory>
#include <thread>

int main() {
  auto value = std::make_unique<int[]>(4);
  volatile int* raced = value.get();
  std::thread other([raced] { *raced = 1; });
  *raced = 2;
  other.join();
  volatile int at = 4;
#if !__has_feature(thread_sanitizer)
  value[static_cast<size_t>(at)] = 1;
#endif
  std::puts("went on");
  return 0 * at;
}
