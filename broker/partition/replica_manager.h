// ReplicaManager: the partitions of this broker. Applies the controller's LeaderAndIsr and
// StopReplica requests, answers who may read and write what, appends and reads, and parks what must
// wait. Loop thread. Knows nothing of connections, versions or sessions: that is broker/api.
// Source: Kafka documentation, "Replication"; KIP-380, KIP-516; KIP-112 (log directory failure).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/log/log_manager.h"
#include "broker/metadata/metadata_image.h"
#include "broker/partition/opening_lane.h"
#include "broker/partition/partition.h"
#include "broker/partition/purgatory.h"
#include "proto/kafka/leader_and_isr.h"
#include "proto/kafka/stop_replica.h"

namespace ottla::broker {

// What the rest of the broker wants to hear. On the loop, from inside apply().
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  virtual void on_became_leader(const TopicPartition& tp, int32_t leader_epoch) = 0;
  virtual void on_resigned(const TopicPartition& tp, std::optional<int32_t> leader_epoch) = 0;
};

// One partition of a produce request.
struct AppendTarget {
  TopicPartition tp;
  MutBytes records;  // edited in place; must live until the append is done
};
struct AppendOutcome {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<std::string> message;
  std::vector<RecordError> record_errors;
  int64_t base_offset = -1;
  int64_t log_append_time_ms = -1;
  int64_t log_start_offset = -1;
};
using AppendDone = Fn<void(std::vector<AppendOutcome>)>;

// One partition of a fetch.
struct ReadTarget {
  TopicPartition tp;
  kmsg::Uuid topic_id;                              // zero: by name
  kmsg::ErrorCode refusal = kmsg::ErrorCode::none;  // decided before: unknown id, ...
  int32_t current_leader_epoch = -1;
  int64_t offset = 0;
  int32_t last_fetched_epoch = -1;
  int32_t max_bytes = 0;
};
struct ReadOutcome {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  int64_t hw = -1, lso = -1, log_start_offset = -1;
  std::optional<EpochEnd> diverging;
  std::optional<std::vector<AbortedTxn>> aborted;  // read_committed alone
  rt::FileSlice slice;
  // What follows lies in a later segment: however long it waits, this read would bring no more.
  bool is_behind = false;
};
struct ReadParams {
  bool follower = false;
  int32_t replica_id = -1;  // of the follower
  bool read_committed = false;
  bool at_least_one = true;  // Fetch v3+: the first batch comes whole, whatever the limits
  int32_t max_wait_ms = 0;
  int32_t min_bytes = 0;
  int64_t max_bytes = 0;  // of the whole answer
};
using ReadDone = Fn<void(std::vector<ReadOutcome>)>;

struct ReplicaCounters {
  uint64_t messages_in = 0, bytes_in = 0, bytes_out = 0, bytes_rejected = 0;
  uint64_t produce_partitions = 0, fetch_partitions = 0, failed_produce = 0;
  uint64_t produce_conversions = 0, fetch_conversions = 0;  // records written in another format
};

class ReplicaManager {
 public:
  ReplicaManager(rt::World& world, int32_t broker_id, LogManager& logs, ReplicaListener& listener);
  ~ReplicaManager();

  // --- the controller's requests. `metadata` tells which brokers live.
  kmsg::LeaderAndIsrResponse apply(const kmsg::LeaderAndIsrRequest& request);
  // The same for at most `limit` partitions more: true when the order is carried out and its
  // response whole. Between two calls clients may be served, but no other order carried out.
  struct LeaderAndIsrOrder {
    kmsg::LeaderAndIsrRequest request;
    kmsg::LeaderAndIsrResponse response;
    size_t ungrouped = 0, topic = 0, partition = 0;  // what comes next
  };
  bool apply_some(LeaderAndIsrOrder& order, size_t limit);
  kmsg::StopReplicaResponse apply(const kmsg::StopReplicaRequest& request);
  void set_metadata(MetadataPtr metadata) { metadata_ = std::move(metadata); }
  const MetadataPtr& metadata() const { return metadata_; }
  void set_broker_epoch(int64_t epoch) { broker_epoch_ = epoch; }
  // Of a controller's request, checked before it is applied. Remembers a newer controller epoch.
  kmsg::ErrorCode check_controller(int32_t controller_epoch, int64_t broker_epoch);

  // --- looking up
  Partition* find(std::string_view topic, int32_t index);
  // The leader of a partition that is served here, or the error that says who is asked wrongly.
  struct Found {
    Partition* partition = nullptr;
    kmsg::ErrorCode error = kmsg::ErrorCode::none;
  };
  Found leader_of(std::string_view topic, int32_t index, int32_t current_leader_epoch = -1);
  // Which directory the replica shall lie in from now on; one that is not here yet will be made
  // there. Refused with the codes of AlterReplicaLogDirs.
  kmsg::ErrorCode alter_dir(const TopicPartition& tp, const std::string& dir);
  // Does the metadata know the partition? Clients are refused what it does not, even if the log of
  // a topic that is being made or deleted is here already or still.
  bool is_known(std::string_view topic, int32_t index) const {
    return metadata_ != nullptr && metadata_->partition(topic, index) != nullptr;
  }
  void for_each(const std::function<void(Partition&)>& visit);
  size_t partition_count() const { return partitions_.size(); }

  // --- appending. `done` may come from inside the call: at once, or when acks are satisfied.
  // acks: -1, 0 or 1. A client's sets that open to more than a turn of the loop may take are
  // validated elsewhere first, unless nobody wants to know by then: the rest is given up, and
  // `done` not called.
  void append(
      std::vector<AppendTarget> targets, int16_t acks, int32_t timeout_ms, Origin origin,
      AppendDone done, Fn<bool()> is_wanted = [] { return true; });
  // --- reading. The same.
  Purgatory::Id read(std::vector<ReadTarget> targets, const ReadParams& params, ReadDone done);
  ReadOutcome read_one(const ReadTarget& target, const ReadParams& params, uint64_t max_bytes,
                       bool min_one_batch);
  void cancel_read(Purgatory::Id id) { fetch_.cancel(id); }

  // A directory went offline: its partitions answer storage errors from now on.
  void on_dir_offline(const std::vector<TopicPartition>& lost);
  // Tells waiting operations that the partition changed (hw moved, role changed, log start raised).
  void wake(const TopicPartition& tp);
  void expire_all();

  LogManager& logs() { return logs_; }
  Purgatory& fetch_purgatory() { return fetch_; }
  Purgatory& produce_purgatory() { return produce_; }
  OpeningLane& openings() { return openings_; }
  ReplicaCounters& counters() { return counters_; }
  int32_t broker_id() const { return broker_id_; }
  void check_invariants() const;

 private:
  friend class DelayedFetch;
  struct ByName {
    using is_transparent = void;
    using View = std::pair<std::string_view, int32_t>;
    static View view(const TopicPartition& tp) { return {tp.topic, tp.partition}; }
    static View view(const View& v) { return v; }
    bool operator()(const auto& a, const auto& b) const { return view(a) < view(b); }
  };
  kmsg::ErrorCode apply_one(const std::string& topic, const kmsg::Uuid& topic_id,
                            const kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState& state);
  struct AppendCall;
  class DelayedProduce;
  void append_one(AppendCall& call, size_t i, size_t* open_budget, Validated* validated);
  void note_appended(AppendCall& call, size_t i, Partition& partition, Appended appended);
  bool append_some(AppendCall& call);
  void go_on(std::shared_ptr<AppendCall> call);
  void open_next(std::shared_ptr<AppendCall> call);
  void finish_append(AppendCall call);
  void answer_or_wait(AppendCall call);
  std::vector<ReadOutcome> read_all(const std::vector<ReadTarget>& targets,
                                    const ReadParams& params);
  void on_durable(const TopicPartition& tp);

  // Fixed after construction.
  rt::World& world_;
  int32_t broker_id_;
  LogManager& logs_;
  ReplicaListener& listener_;

  std::map<TopicPartition, std::unique_ptr<Partition>, ByName> partitions_;
  MetadataPtr metadata_;
  int64_t broker_epoch_ = -1;
  int32_t controller_epoch_ = -1;
  Purgatory produce_;
  Purgatory fetch_;
  OpeningLane openings_;
  ReplicaCounters counters_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

kmsg::ErrorCode to_error_code(Refusal refusal);

}  // namespace ottla::broker
