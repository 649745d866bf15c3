// Records of a fetch for clients that do not know batches of magic 2 (Fetch v0 to v3): opened,
// written anew in their format, and made as long as was promised before. Rare, and the only fetch
// that copies; off the loop, since a set may open to many times its size. Source: KIP-31, KIP-98,
// KIP-283 (down-conversion).
#pragma once

#include <cstdint>
#include <optional>

#include "common/rt/world.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

struct ConvertedRecords {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<Buffer> records;  // unset: the stored bytes can go out as they are
  uint64_t converted = 0;         // records in them
};
struct Conversion {
  rt::FileSlice slice;
  bool allowed = true;  // message.downconversion.enable
  int16_t fetch_version = 0;
  int64_t fetch_offset = 0;
  // By any thread: it reads files and opens batches.
  ConvertedRecords run() const;
};

}  // namespace ottla::broker
