// SparseIndex: the file behind .index (8-byte entries) and .timeindex (12-byte entries). New
// entries gather in memory and go to the file in runs, at a roll, flush or close: what a kill loses
// is made again by recovery. Nothing is read before it is needed.
//
//   .index      int32 offset relative to the segment's base, int32 file position
//   .timeindex  int64 max timestamp so far, int32 relative last offset of the batch that holds it
#pragma once

#include <memory>
#include <string>

#include "common/base/endian.h"
#include "common/rt/world.h"

namespace ottla::broker {

class SparseIndex {
 public:
  SparseIndex(rt::Disk& disk, std::string path, size_t entry_size)
      : disk_(disk), path_(std::move(path)), entry_size_(entry_size) {}

  Result<uint64_t> count();
  // Entry `at`, copied into `into` (entry_size bytes).
  Result<void> get(uint64_t at, MutBytes into);
  Result<void> append(Bytes entry);
  Result<void> truncate(uint64_t count);
  // The number of leading entries whose first `key_size` bytes, as a big-endian integer, are <=
  // `key`.
  template <class Key>
  Result<uint64_t> count_not_above(Key key) {
    OTTLA_ASSIGN(uint64_t high, count());
    uint64_t low = 0;
    uint8_t entry[16];
    while (low < high) {
      uint64_t middle = low + (high - low) / 2;
      OTTLA_TRY(get(middle, MutBytes(entry, entry_size_)));
      if (load_be<Key>(entry) <= key)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
  // An empty file where there is none. Not dirty: nothing is lost with it.
  Result<void> create_missing();
  // Writes what is in memory; creates the file when there is none.
  Result<void> save();
  bool dirty() const { return dirty_; }
  // The whole content; for checks.
  Result<Buffer> all();
  // Open; made when there is none.
  Result<std::shared_ptr<rt::File>> file();
  // Closes the file until it is needed again. What it holds unsynced is synced through the next
  // descriptor: an error in between that the system tells nobody costs a hint, no record.
  void release() { file_ = nullptr; }
  void mark_synced() { dirty_ = false; }
  const std::string& path() const { return path_; }
  void moved(std::string path) { path_ = std::move(path); }

 private:
  Result<void> load();
  rt::Disk& disk_;
  std::string path_;
  size_t entry_size_;
  bool loaded_ = false;
  bool exists_ = false;
  bool dirty_ = false;              // the file has writes that were not synced
  std::shared_ptr<rt::File> file_;  // null also when there is one that is not open
  uint64_t saved_ = 0;              // entries in the file
  Buffer fresh_;                    // entries behind them
};

}  // namespace ottla::broker
