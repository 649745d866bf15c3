// libFuzzer entry; see server_targets.h.
#include "test/fuzz/server_targets.h"
#include "test/fuzz/libfuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ottla::fuzz::zk_server({data, size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return ottla::fuzz::custom_mutate(data, size, max_size, seed, [](ottla::Prng& prng, ottla::Bytes input) {
    return ottla::fuzz::mutate_steps(prng, input, ottla::fuzz::kJuteSteps);
  });
}
