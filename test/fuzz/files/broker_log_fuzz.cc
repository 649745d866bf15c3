// libFuzzer entry; see file_targets.h.
#include "test/fuzz/files/file_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ottla::fuzz::broker_log({data, size});
  return 0;
}
