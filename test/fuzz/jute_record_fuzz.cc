// libFuzzer entry; see wire_targets.h.
#include "test/fuzz/wire_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ottla::fuzz::jute_record({data, size});
  return 0;
}
