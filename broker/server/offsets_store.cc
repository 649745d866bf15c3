#include "broker/server/offsets_store.h"

#include "broker/record/batch_view.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void LocalOffsetsStore::append(int32_t partition, Buffer batch, int16_t acks, int32_t timeout_ms,
                               Fn<void(ErrorCode, int64_t)> done) {
  std::vector<AppendTarget> targets;
  targets.push_back({{std::string(kOffsetsTopic), partition}, batch.mutable_bytes()});
  replicas_.append(std::move(targets), acks, timeout_ms, Origin::coordinator,
                   [done = std::move(done)](std::vector<AppendOutcome> outcomes) mutable {
                     done(outcomes[0].error, outcomes[0].base_offset);
                   });
}

Result<OffsetsStore::Chunk> LocalOffsetsStore::read(int32_t partition, int64_t offset,
                                                    size_t max_bytes) {
  Chunk chunk;
  chunk.next_offset = offset;
  Partition* found = replicas_.find(kOffsetsTopic, partition);
  if (found == nullptr || found->log() == nullptr)
    return fail(Errc::not_found, "the partition is not here");
  PartitionLog& log = *found->log();
  if (offset >= log.leo()) return chunk;
  ReadResult read = log.read(offset, max_bytes, log.leo(), true);
  if (read.refusal != Refusal::none)
    return fail(Errc::io, "the log refused to be read from offset " + std::to_string(offset));
  OTTLA_ASSIGN(Buffer bytes, log.read_bytes(read.slice));
  BatchCursor cursor(bytes);
  while (auto raw = cursor.next())
    if (raw->magic == kMagicV2) {
      chunk.next_offset = std::max(chunk.next_offset, BatchView(raw->bytes).next_offset());
    } else {
      chunk.next_offset = std::max(chunk.next_offset, raw->base_offset() + 1);
    }
  bytes.resize_uninitialized(cursor.position());
  chunk.batches = std::move(bytes);
  return chunk;
}

int64_t LocalOffsetsStore::start_offset(int32_t partition) {
  Partition* found = replicas_.find(kOffsetsTopic, partition);
  return found == nullptr || found->log() == nullptr ? 0 : found->log()->log_start_offset();
}

bool LocalOffsetsStore::partition_exists(std::string_view topic, int32_t partition) {
  const MetadataPtr& metadata = replicas_.metadata();
  return metadata != nullptr && metadata->partition(topic, partition) != nullptr;
}

}  // namespace ottla::broker
