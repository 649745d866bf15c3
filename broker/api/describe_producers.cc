// DescribeProducers. Source: KIP-664.
#include "proto/kafka/describe_producers.h"

#include "broker/api/handlers.h"
#include "common/wire/repeats.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

using Partition = kmsg::DescribeProducersResponse::PartitionResponse;

void describe(ApiContext& context, const std::string& topic, Partition& entry) {
  if (auto fault = topic_name_fault(topic)) {
    entry.error_code = ErrorCode::invalid_topic_exception;
    entry.error_message = "Topic name is invalid: " + *fault;
    return;
  }
  auto [partition, error] = context.replicas.leader_of(topic, entry.partition_index);
  entry.error_code = error;
  if (error != ErrorCode::none) {
    if (context.metadata().topic(topic) == nullptr)
      entry.error_message = std::string(kmsg::error_message(error));
    return;
  }
  for (const auto& [id, producer] : partition->log()->producers().producers()) {
    auto& state = entry.active_producers.emplace_back();
    state.producer_id = id;
    state.producer_epoch = producer.producer_epoch;
    state.last_sequence = producer.last_sequence();
    state.last_timestamp = producer.last_timestamp;
    state.coordinator_epoch = producer.coordinator_epoch;
    state.current_txn_start_offset = producer.txn_first_offset;
  }
}

}  // namespace

void handle_describe_producers(ApiContext& context, RequestPtr request) {
  kmsg::DescribeProducersRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DescribeProducersResponse response;
  wire::Repeats<std::pair<std::string, int32_t>> repeats;
  for (const auto& topic : asked.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    for (int32_t index : topic.partition_indexes) {
      if (!repeats.admits({topic.name, index})) continue;
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = index;
      describe(context, topic.name, entry);
      repeats.told(entry, request->version());
    }
  }
  request->reply(response);
}

}  // namespace ottla::broker
