// Reads a snapshot file into a DataTree: streaming, bounded, every seal checked. Blocking; at start
// and in tools only. Any bytes in the file give an error, never a crash or a large allocation.
#pragma once

#include <string>

#include "common/rt/world.h"
#include "zk-ensemble/tree/data_tree.h"

namespace ottla::zk {

// `zxid` is that of the file's name. Errc::corrupt names the file and the place; the tree then holds a
// part of it, and must be loaded anew.
Result<void> read_snapshot(rt::Disk& disk, const std::string& path, int64_t zxid, DataTree& tree);

// One that stands alone, without the logs that would make it exact: gives the last zxid it says itself.
Result<int64_t> read_exported_snapshot(rt::Disk& disk, const std::string& path, DataTree& tree);

// The cheap look before loading: long enough, and it ends as a whole snapshot does.
// An error when it cannot be read: that says nothing of the snapshot.
Result<bool> snapshot_seems_whole(rt::Disk& disk, const std::string& path);

}  // namespace ottla::zk
