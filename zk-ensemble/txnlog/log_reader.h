// LogReader: the records of one log file, in order. The end of a log is what Apache takes for it
// (a zero length, the end of the file, a record cut short, a missing end mark); a record whose
// checksum does not match is told apart here: the crash's own torn tail, or damage to what was synced.
// Blocking reads; used at start, in tools and tests. Any bytes in the file give an answer, never a crash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/rt/world.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {

struct LogRecord {
  int64_t zxid = 0;
  uint64_t offset = 0;  // of its checksum
  uint64_t end = 0;     // after its end mark
  Bytes entry;          // TxnHeader, txn, digest; valid until the next call
};

class LogReader {
 public:
  enum class Step {
    record,
    end,      // nothing more, as Apache reads it
    damaged,  // a checksum that does not match; offset() is where
  };

  // Errc::corrupt when the header is not a log's.
  static Result<LogReader> open(rt::Disk& disk, const std::string& path);
  // Errc::io when the file cannot be read.
  Result<Step> next(LogRecord& record);
  // After the last good record, where the log could be cut.
  uint64_t offset() const { return at_; }
  const std::string& path() const { return file_->path(); }
  // True when an intact record begins at or after `from`: what is damaged before it was followed by
  // more, so it is no torn tail. Reads to the end of the file.
  Result<bool> record_after(uint64_t from);
  // True when anything but padding lies at or after `from`.
  Result<bool> bytes_after(uint64_t from);

 private:
  friend Result<bool> is_unfinished_log(rt::Disk& disk, const std::string& path);
  explicit LogReader(std::shared_ptr<rt::File> file) : file_(std::move(file)) {}
  // Makes `length` bytes from `offset` available, or what the file has of them.
  Result<Bytes> window(uint64_t offset, size_t length);

  std::shared_ptr<rt::File> file_;
  uint64_t at_ = kFileHeaderBytes;
  Buffer chunk_;
  uint64_t chunk_at_ = 0;
};

// No record was ever written to this file: it is empty, or its header was torn by a crash while it was
// made (the header is synced before the first record is written, so a bad header before an intact
// record is damage). Apache deletes the empty ones (ZOOKEEPER-2332).
Result<bool> is_unfinished_log(rt::Disk& disk, const std::string& path);

}  // namespace ottla::zk
