// Between message formats: magic 0/1 -> 2 when an old producer sends, 2 -> 1 or 0 for an old
// consumer's fetch. Opens and copies everything; rare by design.
// Source: KIP-31, KIP-32, KIP-98 (message format changes).
#pragma once

#include "broker/record/batch_view.h"
#include "common/base/result.h"

namespace ottla::broker {

// True when some whole batch in `set` has a magic above `max_magic`.
bool needs_down_conversion(Bytes set, int8_t max_magic);
// Every whole batch of `set` in `to_magic` (0 or 1): control batches vanish, headers are dropped,
// records below `first_offset` are left out of converted batches. Codecs stay (zstd: unsupported).
// `converted`, when given, grows by the number of converted records.
Result<Buffer> down_convert(Bytes set, int8_t to_magic, int64_t first_offset,
                            uint64_t* converted = nullptr);

}  // namespace ottla::broker
