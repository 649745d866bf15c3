// libFuzzer entry; see zk_targets.h.
#include "test/fuzz/zk_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ottla::fuzz::zk_snapshot({data, size});
  return 0;
}
