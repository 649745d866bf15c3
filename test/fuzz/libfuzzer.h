// What entries with a mutator of their own share: half of the changes are libFuzzer's own.
#pragma once

#include <algorithm>
#include <cstring>

#include "test/fuzz/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ottla::fuzz {

template <class F>
size_t custom_mutate(uint8_t* data, size_t size, size_t max_size, unsigned seed, F mutate) {
  Prng prng(seed);
  if (prng.chance(0.3)) return LLVMFuzzerMutate(data, size, max_size);
  Buffer out = mutate(prng, Bytes(data, size));
  size_t count = std::min(out.size(), max_size);
  if (count != 0) std::memcpy(data, out.data(), count);
  return count;
}

}  // namespace ottla::fuzz
