// The group service's way to the partitions of __consumer_offsets.
#pragma once

#include "broker/api/group_service.h"
#include "broker/partition/replica_manager.h"

namespace ottla::broker {

class LocalOffsetsStore final : public OffsetsStore {
 public:
  explicit LocalOffsetsStore(ReplicaManager& replicas) : replicas_(replicas) {}

  void append(int32_t partition, Buffer batch, int16_t acks, int32_t timeout_ms,
              Fn<void(kmsg::ErrorCode, int64_t)> done) override;
  Result<Chunk> read(int32_t partition, int64_t offset, size_t max_bytes) override;
  int64_t start_offset(int32_t partition) override;
  bool partition_exists(std::string_view topic, int32_t partition) override;

 private:
  ReplicaManager& replicas_;
};

}  // namespace ottla::broker
