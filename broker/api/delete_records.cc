// DeleteRecords: raises log start offsets. With one replica the low watermark is the leader's own
// start offset, so the answer never waits. Source: KIP-107.
#include "proto/kafka/delete_records.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

ErrorCode delete_one(ApiContext& context, const std::string& topic, int32_t index, int64_t offset,
                     int64_t& low_watermark) {
  auto [partition, error] = context.replicas.leader_of(topic, index);
  if (error != ErrorCode::none) return error;
  if (is_internal_topic(topic)) return ErrorCode::invalid_topic_exception;
  error = to_error_code(partition->log()->delete_records(offset));
  if (error != ErrorCode::none) return error;
  low_watermark = partition->log()->log_start_offset();
  context.replicas.wake(partition->tp());
  return ErrorCode::none;
}

}  // namespace

void handle_delete_records(ApiContext& context, RequestPtr request) {
  kmsg::DeleteRecordsRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DeleteRecordsResponse response;
  for (const auto& topic : asked.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition.partition_index;
      entry.low_watermark = -1;
      entry.error_code = delete_one(context, topic.name, partition.partition_index,
                                    partition.offset, entry.low_watermark);
    }
  }
  request->reply(response);
}

}  // namespace ottla::broker
