// Recovery: the newest loadable snapshot, then every later record of the logs. Also repairs what a
// crash left at the end of the newest log, so that what is replayed now is what any later start (ours
// or Apache's) replays. Blocking; at start only.
// Source: ZooKeeper Administrator's Guide, "Data File Management"; reference section 9.5.
#pragma once

#include <string>
#include <vector>

#include "common/rt/world.h"
#include "zk-ensemble/tree/data_tree.h"
#include "zk-ensemble/txnlog/data_dir.h"

namespace ottla::zk {

struct RecoveryOptions {
  bool trust_empty = false;    // snapshot.trust.empty
  bool db_autocreate = true;
};

struct Recovered {
  bool fresh = false;         // there was no snapshot
  // The files do not make this tree: none is there, or what was dropped is in none of them. The caller
  // writes a snapshot before the next record, which would be replayed onto something else.
  bool snapshot_first = false;
  int64_t snapshot_zxid = 0;
  int64_t last_zxid = 0;
  uint64_t replayed = 0;
  std::vector<std::string> warnings;  // whole lines
};

// Fills `tree`, which must be new. Ephemerals of sessions that are gone are dropped.
Result<Recovered> recover(rt::Disk& disk, const DataDir& dir, DataTree& tree,
                          const RecoveryOptions& options = {});

// Cuts the logs behind the record of `zxid`, or behind the first larger one when it is missing (as
// Apache does), and removes later files. False: nothing that large was found.
Result<bool> truncate_logs(rt::Disk& disk, const DataDir& dir, int64_t zxid);

}  // namespace ottla::zk
