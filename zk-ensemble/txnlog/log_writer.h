// LogWriter: appends transactions to log.<zxid> files with group commit. Runs on the loop's thread
// and never blocks it: files are made, and synced, on the disk pool. What is appended while a sync
// runs is written and synced together when it ends: one write and one fdatasync for all that waits.
// After a sync the next one waits a moment (a quarter of a sync, at most 1 ms) for those who were just
// answered to ask again: without it, clients that wait for their answers fall into two halves that pay
// for each other's syncs. It does not wait once as many records are there as were in flight.
//
// It does not know what a transaction is, and does not read logs (log_reader.h).
// Source: ZooKeeper Administrator's Guide (preAllocSize, txnLogSizeLimitInKb, forceSync).
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/metrics/metric.h"
#include "common/rt/world.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {

struct LogOptions {
  uint64_t preallocate_bytes = 64 << 20;  // the file grows by this; 0 does not preallocate
  uint64_t size_limit_bytes = 0;          // a new file is begun past this; 0 is no limit
  bool force_sync = true;                 // false: acknowledged without a sync, as forceSync=no
};

// Sums over the writer's life; the server's metrics read them.
struct LogStats {
  uint64_t commits = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t sync_ns_last = 0;
  uint64_t slow_syncs = 0;  // longer than fsync.warningthresholdms
  metrics::Histogram sync_ms;
  metrics::Histogram commit_records;
};

class LogWriter {
 public:
  struct Listener {
    // Every record up to and including `zxid` is durable.
    Fn<void(int64_t zxid)> on_durable;
    // A write or sync failed: nothing more will become durable, nothing not yet reported may ever be
    // acknowledged. Called once.
    Fn<void(Error)> on_failed;
  };

  LogWriter(rt::World world, std::string directory, const LogOptions& options, Listener listener);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Queues one entry (TxnHeader, txn, digest: the pieces concatenated). Written in the next turn of
  // the loop. zxids ascend.
  void append(int64_t zxid, std::span<const Bytes> pieces);
  void append(int64_t zxid, Bytes entry) { append(zxid, {&entry, 1}); }
  // The next appended record begins a new file.
  void roll() { roll_next_ = true; }
  // While held, appended records stay queued: what must be durable before them is not yet.
  void hold() { held_ = true; }
  void release();

  bool idle() const { return !busy_ && queue_.empty(); }  // everything appended is durable
  bool failed() const { return failed_; }
  uint64_t queued_bytes() const { return queued_bytes_; }
  const LogStats& stats() const { return stats_; }
  void set_slow_sync_ms(int64_t threshold_ms) { slow_sync_ns_ = ms_to_ns(threshold_ms); }

 private:
  // Records that are written and synced together, in one file.
  struct Batch {
    bool begins_file = false;
    int64_t first_zxid = 0;
    int64_t last_zxid = 0;
    uint64_t records = 0;
    Buffer bytes;
  };

  void schedule();
  void commit_next();
  bool worth_waiting();
  void open_file(int64_t first_zxid);
  void write_and_sync();
  Result<void> write_front();
  void committed();
  void fail_for_good(Error error);

  // Fixed after construction.
  rt::World world_;
  std::string directory_;
  LogOptions options_;
  Listener listener_;
  int64_t slow_sync_ns_ = ms_to_ns(1000);
  // Queued, the front one being written while busy_.
  std::deque<Batch> queue_;
  uint64_t queued_bytes_ = 0;
  uint64_t queued_records_ = 0;
  // Gathering: until then, or until so many records are queued.
  Instant gather_until_;
  uint64_t gather_records_ = 0;
  int64_t sync_ns_usual_ = 0;  // moving average
  std::unique_ptr<rt::Timer> gather_timer_;
  bool roll_next_ = true;
  bool held_ = false;
  bool scheduled_ = false;
  bool busy_ = false;
  bool failed_ = false;
  Instant sync_began_;
  // The file that records go to.
  std::shared_ptr<rt::File> file_;
  uint64_t file_end_ = 0;        // where the next record goes
  uint64_t file_allocated_ = 0;  // its size, padding included
  uint64_t queued_file_end_ = 0;  // file_end_ once the queue is written; decides on size_limit_bytes
  LogStats stats_;
  // Posted callbacks look here before they touch the writer.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::zk
