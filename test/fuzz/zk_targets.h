// Fuzz targets of the ensemble: a live session's frames, and what lies on its disk. As wire_targets.h.
#pragma once

#include "common/base/bytes.h"

namespace ottla::fuzz {

// Steps of three clients: frames, time, durability, lost and moved connections. The tree must stay
// whole, and what was logged must make the same tree again.
void zk_session(Bytes input);
// One log entry.
void zk_txn(Bytes input);
// A log file; bit 0 of byte 0: the header and the first checksum are made right.
void zk_log(Bytes input);
// A snapshot file.
void zk_snapshot(Bytes input);

}  // namespace ottla::fuzz
