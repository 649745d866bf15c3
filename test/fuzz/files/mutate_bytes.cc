#include <string>

#include "test/fuzz/mutate.h"

namespace ottla::fuzz {

Buffer mutate_bytes(Prng& prng, Bytes bytes) {
  std::string text(as_text(bytes));
  for (uint64_t left = prng.below(4) + 1; left > 0; --left) {
    if (text.empty()) text.push_back(static_cast<char>(prng.next()));
    size_t at = prng.below(text.size());
    switch (prng.below(6)) {
      case 0: text[at] = static_cast<char>(prng.next()); break;
      case 1: text[at] = static_cast<char>(prng.chance(0.5) ? 0xff : 0x7f); break;
      case 2: text[at] = static_cast<char>(text[at] ^ (1 << prng.below(8))); break;
      case 3: text.erase(at, prng.below(8) + 1); break;
      case 4: text.insert(at, text.substr(at, prng.below(8) + 1)); break;
      default: if (prng.chance(0.2)) text.resize(at); break;
    }
  }
  return Buffer(as_bytes(text));
}

}  // namespace ottla::fuzz
