// OffsetForLeaderEpoch. Source: KIP-101, KIP-279, KIP-320.
#include "proto/kafka/offset_for_leader_epoch.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void handle_offset_for_leader_epoch(ApiContext& context, RequestPtr request) {
  kmsg::OffsetForLeaderEpochRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::OffsetForLeaderEpochResponse response;
  for (const auto& topic : asked.topics) {
    auto& answer = response.topics.emplace_back();
    answer.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition = partition.partition;
      auto [found, error] = context.replicas.leader_of(topic.topic, partition.partition,
                                                       partition.current_leader_epoch);
      // Below -1, which asks for no check, is older than any epoch.
      if (error == ErrorCode::none && partition.current_leader_epoch < -1)
        error = ErrorCode::fenced_leader_epoch;
      entry.error_code = error;
      if (error != ErrorCode::none) continue;
      EpochEnd end = found->log()->end_offset_for_epoch(partition.leader_epoch);
      entry.leader_epoch = end.epoch;
      entry.end_offset = end.end_offset;
    }
  }
  request->reply(response);
}

}  // namespace ottla::broker
