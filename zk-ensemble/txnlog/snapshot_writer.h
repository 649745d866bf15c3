// SnapshotWriter: serialises a tree into snapshot.<zxid> in slices, one a turn of the loop, while
// the tree goes on changing (a fuzzy snapshot: replaying the log from `zxid` makes it exact). The file
// is written under NAME.tmp, synced and renamed, so a name without .tmp is always a whole snapshot; one
// that fails is removed. Destroying it gives the snapshot up.
// Source: ZooKeeper Administrator's Guide, "Data File Management".
#pragma once

#include <memory>
#include <string>

#include "common/rt/world.h"
#include "zk-ensemble/tree/data_tree.h"
#include "zk-ensemble/txnlog/snapshot_stream.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {

struct SnapshotOptions {
  bool digest = true;         // digest.enabled
  bool last_zxid = true;      // serializeLastProcessedZxid.enabled
  SnapshotCoding coding = SnapshotCoding::plain;
  size_t slice_bytes = 128 << 10;
};

class SnapshotWriter {
 public:
  struct Done {
    int64_t zxid = 0;
    uint64_t bytes = 0;
    std::string path;
  };
  // Of `tree` as it is now; `done` is called once.
  SnapshotWriter(rt::World world, std::string directory, DataTree& tree,
                 const SnapshotOptions& options, Fn<void(Result<Done>)> done);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

 private:
  void begin();
  void slice();
  void encode_tail();
  void seal();
  void sum();
  Result<void> flush();
  Result<void> write(Buffer bytes);
  void finish();
  void fail_with(Error error);
  void later(void (SnapshotWriter::*step)());

  // Fixed after construction.
  rt::World world_;
  std::string directory_;
  std::string path_;
  DataTree& tree_;
  SnapshotOptions options_;
  Fn<void(Result<Done>)> done_;
  // Progress.
  std::unique_ptr<SnapshotCursor> cursor_;
  std::shared_ptr<rt::File> file_;
  std::unique_ptr<SnapshotEncoder> encoder_;
  wire::Writer out_;
  size_t summed_ = 0;  // bytes of out_ that checksum_ covers
  uint32_t checksum_ = 1;
  Done result_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::zk
