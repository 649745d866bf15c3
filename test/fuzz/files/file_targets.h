// Fuzz targets of what lies on a broker's disk and of record sets. As wire_targets.h.
#pragma once

#include "common/base/bytes.h"

namespace ottla::fuzz {

// Record sets: cursor, readers, validation, conversions. Byte 0: rules (record_targets.cc).
void record_set(Bytes input);
// Edits of a log directory that our own LogManager made: segments of transactions, idempotent and
// compressed batches with all indexes, producer snapshots, epoch and offset checkpoints,
// meta.properties. Byte 0: bit 0 it was ended uncleanly, bit 1 the batch checksums are made right.
// Then edits: a byte for the file, one for the kind (overwrite, insert, erase, cut, append, remove the
// file, overwrite at a place near its end), two for the place, a count and so many bytes. What is
// opened must take new records, close, and open again.
void broker_log(Bytes input);
// Byte 0: broker or ensemble; then the file.
void properties_file(Bytes input);

}  // namespace ottla::fuzz
