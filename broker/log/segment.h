// Segment: one .log file and its indexes. The last one is written to; the others only read. Files
// are opened when needed and closed again by release(), so that thousands of idle partitions hold
// at most one each: a .log with writes that no sync covered.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/log/batch_scanner.h"
#include "broker/log/log_config.h"
#include "broker/log/sparse_index.h"

namespace ottla::broker {

class Segment {
 public:
  Segment(rt::Disk& disk, std::string dir, int64_t base_offset, uint64_t size,
          int64_t created_wall_ms);

  // Makes the .log file (an empty one that a crash left is taken over).
  Result<void> create();

  int64_t base_offset() const { return base_offset_; }
  uint64_t size() const { return size_; }
  Result<std::shared_ptr<rt::File>> file();
  // Closes the files until they are needed again, but a .log with unsynced writes: an error that
  // writing them back met is told to the descriptors of that time alone.
  void release();
  void abandon();  // all of them: its disk failed

  // --- writing
  // One batch, or a chunk that counts as one: indexes first, then remembers. The bytes are written
  // by the caller's write_chunk() before.
  Result<void> write_chunk(Bytes bytes);
  Result<void> note_batch(uint64_t position, uint64_t size, int64_t last_offset,
                          int64_t max_timestamp, int32_t index_interval_bytes);
  bool fits(int64_t last_offset) const { return last_offset - base_offset_ <= INT32_MAX; }
  Result<bool> index_full(int32_t index_bytes_max);
  // The time index's last entry, and both index files. At roll and close.
  Result<void> finish_indexes();
  // Cuts everything from the batch at `position` on, whose base offset is `offset`.
  Result<void> truncate(uint64_t position, int64_t offset);

  // --- finding
  // The position of the first batch whose last offset is >= `offset`; size() when there is none.
  Result<uint64_t> position_of(int64_t offset);
  // The offset behind the last batch (base_offset() when empty). Reads the tail.
  Result<int64_t> next_offset();
  // Where a search for the first record at or after `timestamp` may begin.
  Result<uint64_t> position_for_timestamp(int64_t timestamp);
  Result<int64_t> max_timestamp();  // -1 when there is none
  Result<int64_t> offset_of_max_timestamp();
  // The max timestamp of the first batch: what rolling by time counts from.
  Result<std::optional<int64_t>> first_timestamp();
  int64_t created_wall_ms() const { return created_wall_ms_; }

  // --- recovery
  // Walks every batch, checking those at and above `trusted_offset` whole and the others' headers,
  // rebuilds the indexes, and cuts the file at the first batch that is not whole, not sound or out
  // of order; `dense`: offsets have no gaps (the topic is not compacted). Calls `see` for each
  // batch kept.
  struct Recovered {
    uint64_t truncated_bytes = 0;
    int64_t next_offset = 0;
    uint64_t untrusted_position = 0;  // behind it nothing was known to be durable
  };
  Result<Recovered> recover(int64_t trusted_offset, int32_t index_interval_bytes, bool dense,
                            const std::function<void(const ScannedBatch&)>& see);
  // Writes what lies behind `from` once more, as it is read.
  Result<void> write_again(uint64_t from);
  // A cheap look at index files that a clean shutdown left; rebuilds them when they cannot be
  // right.
  Result<void> check_indexes(int32_t index_interval_bytes);

  SparseIndex& offset_index() { return offset_index_; }
  SparseIndex& time_index() { return time_index_; }
  std::string path(const char* suffix) const;
  void moved(std::string dir);

  // Set by the log: the .log file has writes that no sync covered, the name is not yet durable.
  bool log_dirty = false;
  bool name_dirty = false;
  // The index of aborted transactions: whether there is a file, and its writes that no sync
  // covered.
  bool has_aborted = false;
  std::shared_ptr<rt::File> aborted_file;

 private:
  Result<void> load_max_timestamp();
  Result<void> reset_indexes();
  Result<void> index_max_timestamp();

  rt::Disk& disk_;
  std::string dir_;
  int64_t base_offset_;
  uint64_t size_;
  int64_t created_wall_ms_;
  std::shared_ptr<rt::File> file_;
  SparseIndex offset_index_;
  SparseIndex time_index_;
  uint64_t bytes_since_index_ = 0;
  bool max_loaded_ = false;
  int64_t max_timestamp_ = kNoTimestamp;
  int64_t offset_of_max_ = -1;
  std::optional<int64_t> first_timestamp_;
};

}  // namespace ottla::broker
