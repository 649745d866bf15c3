// PartitionLog: one partition's record batches on disk, in Apache's layout: segments with sparse
// indexes, producer state, leader epochs. The only writer of its directory. Loop thread only; never
// blocks on an fsync but in close() and a few rare calls that say so. Knows nothing of replicas.
//
// Durability: append() returns when the bytes are in the page cache. durable_offset() is the first
// offset that a crash may lose; when_durable() tells when it has passed an offset. An append whose
// topic flushes by count says in Appended::ack_offset what to wait for.
//
// Failure: any IO error makes the log failed(): every later call refuses with kafka_storage_error
// and the on_failure callback (the log manager takes the directory offline) was called once.
//
// Source: Kafka documentation, "Log"; KIP-101, KIP-107, KIP-392 for the offsets' names.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/log/batch_scanner.h"
#include "broker/log/epoch_cache.h"
#include "broker/log/log_config.h"
#include "broker/log/producer_state.h"
#include "broker/log/remover.h"
#include "broker/log/topic_partition.h"
#include "broker/record/validate.h"
#include "common/rt/world.h"

namespace ottla::broker {

class Segment;

struct Appended {
  Refusal refusal = Refusal::none;
  std::string message;  // why; Produce's ErrorMessage when client_message, else that is null
  bool client_message = false;
  std::vector<RecordError> record_errors;
  bool duplicate = false;     // the offsets are those of the first append
  int64_t first_offset = -1;  // -1 on refusal and for an empty set
  int64_t last_offset = -1;
  int64_t log_append_time_ms = -1;
  int64_t log_start_offset = -1;  // what Produce answers: -1 where Apache answers -1
  int64_t record_count = 0;
  bool converted = false;  // into another format or codec
  uint64_t bytes = 0;
  int64_t ack_offset = 0;   // acknowledge when durable_offset() >= this; 0: at once
  bool unfinished = false;  // it opens to more than the budget: nothing was done
};

struct ReadResult {
  Refusal refusal = Refusal::none;
  rt::FileSlice slice;              // length 0: nothing to read
  int64_t first_batch_offset = -1;  // base offset of the first batch in the slice
  int64_t upper_bound = -1;         // no record in the slice is at or above it
  // The first batch does not fit the limit and min_one_batch was false: the slice holds a part of
  // it (clients of Fetch v0-2 get that part, later ones nothing).
  bool first_batch_incomplete = false;
  bool in_older_segment = false;  // below the upper bound there are later ones
};

struct TimestampOffset {
  int64_t timestamp = kNoTimestamp;
  int64_t offset = -1;
  int32_t leader_epoch = -1;
};

// A search by time in batches of one segment, and how far it came.
struct TimestampSearch {
  std::shared_ptr<rt::File> file;
  uint64_t from = 0, end = 0;
  int64_t timestamp = kNoTimestamp;
  int64_t log_start_offset = 0;
  int64_t next_offset = 0;  // where it goes on when none of them has it
  // By any thread; may be called again. Errc::too_large: a batch opens to more than
  // `open_max_bytes`, or there are more batches than `max_batches`.
  Result<std::optional<TimestampOffset>> run(size_t open_max_bytes, size_t max_batches = SIZE_MAX);
};

struct LogStats {
  uint64_t size_bytes = 0;
  uint32_t segments = 0;
  int64_t unflushed_records = 0;
};

constexpr uint64_t kCheckpointBytes = 64 << 20;

class PartitionLog {
 public:
  struct Options {
    std::string dir;  // absolute path of topic-N
    TopicPartition tp;
    LogConfig config;
    int64_t recovery_point = 0;    // from the checkpoint
    int64_t log_start_offset = 0;  // from the checkpoint
    int64_t high_watermark = 0;    // from the checkpoint
    bool clean_shutdown = false;   // the marker was there: no scan
    bool created_now = false;      // the directory is new and empty
    int64_t producer_id_expiration_ms = 86400000;
    uint64_t jitter_seed = 0;
    // Opens what is produced; shared by all logs of a loop. Null: the log makes its own.
    std::shared_ptr<compress::Decompressor> decompressor;
    // Takes old segments away; shared as well. Null: the log makes its own.
    std::shared_ptr<Remover> remover;
    // Called at most once, on the loop: the directory's disk failed.
    std::function<void(const Error&)> on_failure;
    // Called on the loop each time that durable_offset() moved over kCheckpointBytes more: the
    // recovery point is worth a checkpoint.
    std::function<void()> on_flushed;
    // Called before what was durable is cut: durable_offset() is lower now, and must be so on the
    // disk before other bytes take the place of those that a recovery would not look at.
    std::function<Result<void>()> on_lowered;
  };

  // Blocking; for start and creation.
  static Result<std::unique_ptr<PartitionLog>> open(rt::World world, Options options);
  ~PartitionLog();  // no IO; close() first for a clean end
  PartitionLog(const PartitionLog&) = delete;
  PartitionLog& operator=(const PartitionLog&) = delete;

  // --- appending
  // As leader: validates, assigns offsets in place, appends with one write. `set` is edited.
  // `open_budget`: bytes that may be decompressed in this turn of the loop, and what is left of it.
  Appended append_as_leader(MutBytes set, int32_t leader_epoch, Origin origin = Origin::client,
                            size_t* open_budget = nullptr);
  // A set that was left unfinished, in two halves: validation().run(set) wherever there is time,
  // then this.
  Validation validation(Origin origin) const;
  Appended append_validated(MutBytes set, Validated validated, int32_t leader_epoch, Origin origin);
  // As follower: the leader's bytes as they are; offsets must continue the log.
  Appended append_as_follower(Bytes set);

  // --- reading
  // Bytes from the batch that holds `start` on, of one segment, cut at `max_bytes` (maybe inside a
  // batch) and at the batch boundary of `upper_bound` (hw, lso or leo). With min_one_batch the
  // first batch comes whole whatever max_bytes says.
  ReadResult read(int64_t start, uint64_t max_bytes, int64_t upper_bound, bool min_one_batch);
  // The same bytes, copied out (at most `max_bytes`); for down-conversion and coordinators'
  // loading.
  Result<Buffer> read_bytes(const rt::FileSlice& slice);
  // Aborted transactions overlapping [start, upper): for read_committed fetches.
  Result<std::vector<AbortedTxn>> aborted_transactions(int64_t start, int64_t upper);
  // First record with timestamp >= `timestamp` below leo, in segments from `from_offset` on;
  // nullopt when there is none. Blocking reads. With `left`, what takes longer than a turn of the
  // loop may ends the search with Errc::too_large and is put there; when that finds nothing, the
  // search goes on at its next_offset.
  Result<std::optional<TimestampOffset>> offset_for_timestamp(
      int64_t timestamp, std::optional<TimestampSearch>* left = nullptr, int64_t from_offset = 0);
  // ListOffsets -3: the record with the largest timestamp (the earliest of equals).
  Result<std::optional<TimestampOffset>> offset_of_max_timestamp(
      std::optional<TimestampSearch>* left = nullptr);
  // ListOffsets v0: base offsets of segments whose file was modified at or before `timestamp`,
  // newest first; -1 (latest): leo and all bases; -2 (earliest): the log start offset.
  std::vector<int64_t> legacy_offsets_before(int64_t timestamp, int32_t max_count);

  // --- offsets
  int64_t leo() const { return leo_; }
  int64_t log_start_offset() const { return log_start_offset_; }
  int64_t hw() const { return hw_; }
  void set_hw(int64_t hw);  // clamped to [log_start_offset, leo]
  int64_t lso() const;      // first unstable offset, bounded by hw
  int64_t durable_offset() const { return recovery_point_; }
  // Where records are shown after their sync alone (flush.messages): up to here they may be. With
  // it a start syncs what it finds, so all that was found counts, before the recovery point moves.
  int64_t shown_offset() const { return std::max(recovery_point_, synced_at_start_); }
  // Calls `done(true)` on the loop (never from inside this call) once durable_offset() >= offset,
  // or `done(false)` when the log fails first. Does not by itself start a flush.
  void when_durable(int64_t offset, Fn<void(bool)> done);
  // Starts a flush of everything appended so far (group commit: flushes asked for in one turn of
  // the loop share one sync).
  void flush();

  // --- epochs
  // A leader begins `epoch` at the log's end; stored in leader-epoch-checkpoint.
  void begin_epoch(int32_t epoch);
  std::optional<int32_t> latest_epoch() const;
  EpochEnd end_offset_for_epoch(int32_t epoch) const { return epochs_.end_offset_for(epoch, leo_); }
  const EpochCache& epochs() const { return epochs_; }

  // --- cutting
  Result<void> truncate_to(int64_t offset);  // follower: leo becomes `offset`
  Result<void> truncate_fully_and_start_at(int64_t offset);
  // DeleteRecords: raises the log start offset (or leaves it); offset_out_of_range above hw,
  // policy_violation without cleanup.policy=delete. -1 means hw. Persisted by the manager's
  // checkpoint.
  Refusal delete_records(int64_t offset);
  void raise_log_start_offset(int64_t offset);  // follower: the leader's start offset
  // Retention by log start offset, size and time; gives the number of segments that went.
  uint32_t apply_retention(int64_t now_wall_ms);

  // --- others
  void set_config(const LogConfig& config) { config_ = config; }
  void set_producer_id_expiration(int64_t ms) { producer_id_expiration_ms_ = ms; }
  const LogConfig& config() const { return config_; }
  const TopicPartition& tp() const { return tp_; }
  const std::string& dir() const { return dir_; }
  // Kafka's base64 form; empty when unknown. Setting it replaces partition.metadata as a whole,
  // soon: a crash before leaves none, and the next leader's order tells it again. Torn it could
  // hold another topic's id, and the partition would be refused for ever.
  const std::string& topic_id() const { return topic_id_; }
  void set_topic_id(const std::string& topic_id);
  const ProducerState& producers() const { return producers_; }
  void expire_producers(int64_t now_wall_ms);
  int64_t first_segment_base_offset() const;
  LogStats stats() const;
  bool failed() const { return failed_; }
  // Its directory went offline: refuses everything, tells the waiters, closes the files.
  void give_up();
  // Closes what it may until it is needed again.
  void release_files();
  // Rolls to a new segment now; false when the log failed.
  bool roll();
  // Flush due by flush.ms? Called by the manager's timer.
  void flush_if_due(int64_t now_wall_ms);
  // Writes indexes and a producer snapshot and syncs everything, off the loop; then calls `done`
  // (at once when there is nothing to sync). The log takes no other calls from here on.
  void close(std::function<void(const Result<void>&)> done);
  // The directory was renamed (deletion): files are found under the new path from now on.
  void renamed(const std::string& dir);
  std::string describe() const;
  // Reads everything: offsets grow, checksums hold, index entries point at their batches. For tests
  // and the simulator; the error says what is wrong.
  Result<void> check_invariants();

  struct Boundary {  // where a recent batch lies
    int64_t base_offset = 0;
    int64_t last_offset = 0;
    uint64_t position = 0;
  };

 private:
  friend class LogRecovery;
  PartitionLog(rt::World world, Options options);
  Segment& active() { return *segments_.rbegin()->second; }
  const Segment& active() const { return *segments_.rbegin()->second; }
  int64_t end_of(const Segment& segment) const;  // the next segment's base, or leo
  ValidateRules rules() const;

  // append.cc
  Appended append_outcome(MutBytes set, Validated validated, int32_t leader_epoch, Origin origin);
  Appended append_checked(Bytes set, const Validated& validated, Origin origin,
                          int32_t leader_epoch);
  Result<void> append_chunk(Bytes set, int64_t last_offset);
  Result<void> note_batches(Bytes set, uint64_t position);
  Result<void> learn_batch(const BatchView& batch);
  Result<void> maybe_roll(uint64_t incoming_bytes, int64_t incoming_max_timestamp,
                          int64_t first_offset, int64_t last_offset);
  Result<void> roll_to(int64_t base_offset);
  int64_t roll_jitter_ms() const;

  // flush.cc
  void start_flush();
  void flush_done(int64_t target, Result<void> result);
  void fire_waiters();
  Refusal fail_log(const Error& error);
  void close_if_idle();
  void close_now();
  Result<std::vector<std::shared_ptr<rt::File>>> files_to_close();
  void close_synced(const Result<void>& result);
  void epochs_changed();
  Result<std::shared_ptr<rt::File>> epochs_file();

  // read.cc
  std::shared_ptr<Segment> segment_for(int64_t offset);
  Result<uint64_t> position_of(Segment& segment, int64_t offset);
  Result<std::optional<TimestampOffset>> search_segment(Segment& segment, uint64_t from,
                                                        int64_t timestamp, int64_t first_offset,
                                                        int64_t next_offset,
                                                        std::optional<TimestampSearch>* left);

  // cut.cc
  Result<void> lower_recovery_point(int64_t offset);
  void name_topic(Result<void> result);
  Result<void> truncate_segments(int64_t offset);
  void set_log_start(int64_t offset);
  Result<void> remove_segments(const std::vector<int64_t>& bases);
  std::vector<int64_t> retention_victims(int64_t now_wall_ms);
  Result<void> delete_snapshots(int64_t from, int64_t below);
  void remove_files_later(std::vector<std::string> paths);

  // producers.cc
  Result<void> write_producer_snapshot();
  Result<void> rebuild_producers(int64_t newest_snapshot, int64_t up_to);
  Result<void> replay_producers(Segment& segment, int64_t from, int64_t up_to,
                                std::vector<AbortedTxn>& aborted);
  Result<void> append_aborted(const AbortedTxn& txn);
  Result<void> settle_aborted(Segment& segment, const std::vector<AbortedTxn>& told);
  Result<std::vector<int64_t>> snapshot_offsets();
  Result<void> delete_stray_snapshots();

  // Fixed after construction.
  rt::World world_;
  TopicPartition tp_;
  std::string tp_text_;
  int64_t producer_id_expiration_ms_;
  std::function<void(const Error&)> on_failure_;
  std::function<void()> on_flushed_;
  std::function<Result<void>()> on_lowered_;
  uint64_t jitter_seed_;
  std::shared_ptr<compress::Decompressor> decompressor_;
  std::shared_ptr<Remover> remover_;

  // Durable (through files), mirrored here.
  std::string dir_;
  std::string topic_id_;
  EpochCache epochs_;
  ProducerState producers_;
  std::map<int64_t, std::shared_ptr<Segment>> segments_;  // by base offset; never empty
  int64_t log_start_offset_ = 0;
  int64_t leo_ = 0;
  int64_t hw_ = 0;
  int64_t recovery_point_ = 0;
  int64_t synced_at_start_ = 0;  // found by open() and durable by then
  int64_t last_snapshot_offset_ = -1;

  // Volatile.
  LogConfig config_;
  bool failed_ = false;
  bool closed_ = false;
  struct Closing {
    std::function<void(const Result<void>&)> done;
    std::vector<std::shared_ptr<rt::File>> files;
    size_t left = 1;
    bool begun = false;
    bool names = false;
    Result<void> result;
  };
  std::unique_ptr<Closing> closing_;
  int64_t last_flush_wall_ms_ = 0;
  bool flush_posted_ = false;
  bool flushing_ = false;
  // partition.metadata, synced under a temporary name before it takes its own; and how many are.
  std::vector<std::shared_ptr<rt::File>> naming_;
  size_t named_ = 0;
  std::shared_ptr<rt::File> flushing_file_;  // kept while it is synced, also when its segment goes
  uint64_t unflushed_bytes_ = 0;             // appended since the last flush began
  uint64_t flushing_bytes_ = 0;              // of the flush that runs
  uint64_t uncheckpointed_bytes_ = 0;        // flushed since on_flushed was called
  int64_t flush_wanted_ = 0;                 // flush until this offset is durable
  int64_t flush_ceiling_ = 0;  // a truncation below a running flush's target lowers it
  bool epochs_dirty_ = false;  // their file is written, and synced by the next flush
  std::multimap<int64_t, Fn<void(bool)>> waiters_;
  std::deque<Boundary>
      recent_;  // batches of the active segment's end; tail readers look here first
  std::vector<std::unique_ptr<rt::Timer>> removals_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards posted callbacks
};

}  // namespace ottla::broker
