// Checksums. crc32c: Castagnoli, reflected, as in record batches v2 (hardware SSE4.2 where present).
// crc32: zlib's, as in message sets v0/v1. adler32: zlib's, as in ZooKeeper's logs and snapshots.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"

namespace ottla {
// Continue by passing the result of the previous call as `seed`.
uint32_t crc32c(Bytes bytes, uint32_t seed = 0);
uint32_t crc32c_by_tables(Bytes bytes, uint32_t seed = 0);  // the same where there is no SSE4.2
uint32_t crc32(Bytes bytes, uint32_t seed = 0);
uint32_t adler32(Bytes bytes, uint32_t seed = 1);
}  // namespace ottla
