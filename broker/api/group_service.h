// GroupService: the shell around the group coordinator's core. Decodes requests, appends what the
// core decides to __consumer_offsets, parks answers until the core releases them, keeps its one
// timer, and feeds it the log of a partition that this broker begins to lead. Loop thread. Does not
// include log headers: it reaches its log through OffsetsStore.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/request.h"
#include "broker/config/broker_config.h"
#include "common/rt/world.h"

namespace ottla::broker {

inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

// The partitions of __consumer_offsets, as the service needs them.
class OffsetsStore {
 public:
  virtual ~OffsetsStore() = default;
  // Appends one batch; `done` (maybe from inside) when `acks` are satisfied, or with the refusal.
  virtual void append(int32_t partition, Buffer batch, int16_t acks, int32_t timeout_ms,
                      Fn<void(kmsg::ErrorCode, int64_t base_offset)> done) = 0;
  struct Chunk {
    Buffer batches;           // whole batches; the first may begin before the asked offset
    int64_t next_offset = 0;  // where to go on; the asked one at the end of the log
  };
  virtual Result<Chunk> read(int32_t partition, int64_t offset, size_t max_bytes) = 0;
  virtual int64_t start_offset(int32_t partition) = 0;
  virtual bool partition_exists(std::string_view topic, int32_t partition) = 0;
};

class GroupService {
 public:
  GroupService(rt::World& world, const BrokerConfig& config, OffsetsStore& store);
  ~GroupService();

  // Requests are answered COORDINATOR_NOT_AVAILABLE before. The count is __consumer_offsets'.
  void start();
  void set_partition_count(int32_t count);
  bool partition_count_is_known() const;
  int32_t partition_for(std::string_view group_id) const;

  void on_became_leader(int32_t partition, int32_t leader_epoch);
  void on_resigned(int32_t partition, std::optional<int32_t> leader_epoch);
  void on_partitions_deleted(const std::vector<std::pair<std::string, int32_t>>& partitions);

  // A transaction's marker was written to these partitions.
  void complete_txn(int64_t producer_id, const std::vector<int32_t>& partitions, bool commit);

  void handle(RequestPtr request);
  // What a commit of a transaction is answered that no coordinator knows.
  kmsg::ErrorCode refuse_txn_offset_commit(const std::string& group_id);

  struct Counts {
    size_t groups = 0, preparing = 0, completing = 0, stable = 0, empty = 0, dead = 0, offsets = 0;
    uint64_t commits = 0, rebalances = 0, expirations = 0, deletions = 0;
  };
  Counts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ottla::broker
