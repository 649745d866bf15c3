// OffsetCommit and OffsetFetch of version 0, from before there were group coordinators: offsets are
// kept in ZooKeeper, by any broker, for partitions that the metadata knows. Everything later is the
// group service's. Source: Kafka protocol guide; see broker/controller/consumer_offsets.h.
#include "broker/api/handlers.h"
#include "proto/kafka/java_string.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/offset_fetch.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr int16_t kFirstWithCoordinator = 1;

// What is asked of ZooKeeper, and where its outcomes belong in the answer.
struct Questions {
  std::vector<ConsumerOffset> offsets;
  std::vector<std::pair<size_t, size_t>> places;  // topic, partition

  template <class Response, class Fill>
  void fill(Response& response, const std::vector<ConsumerOffset>& outcomes, Fill fill) const {
    for (size_t i = 0; i < outcomes.size(); ++i)
      fill(response.topics[places[i].first].partitions[places[i].second], outcomes[i]);
  }
};

void commit(ApiContext& context, RequestPtr request) {
  kmsg::OffsetCommitRequest asked;
  if (!decode(*request, asked)) return;
  auto longest = static_cast<size_t>(context.config.offset_metadata_max_bytes);
  kmsg::OffsetCommitResponse response;
  Questions questions;
  for (const auto& topic : asked.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& entry = answered.partitions.emplace_back();
      entry.partition_index = partition.partition_index;
      if (context.metadata().partition(topic.name, partition.partition_index) == nullptr) {
        entry.error_code = ErrorCode::unknown_topic_or_partition;
      } else if (kmsg::utf16_length(partition.committed_metadata.value_or("")) > longest) {
        entry.error_code = ErrorCode::offset_metadata_too_large;
      } else {
        questions.offsets.push_back(
            {topic.name, partition.partition_index, partition.committed_offset});
        questions.places.emplace_back(response.topics.size() - 1, answered.partitions.size() - 1);
      }
    }
  }
  std::vector<ConsumerOffset> offsets = std::move(questions.offsets);
  context.control.write_consumer_offsets(
      asked.group_id, std::move(offsets),
      [request = std::move(request), response = std::move(response),
       questions = std::move(questions)](std::vector<ConsumerOffset> outcomes) mutable {
        questions.fill(response, outcomes, [](auto& entry, const ConsumerOffset& outcome) {
          entry.error_code = outcome.error;
        });
        request->reply(response);
      });
}

void fetch(ApiContext& context, RequestPtr request) {
  kmsg::OffsetFetchRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::OffsetFetchResponse response;
  Questions questions;
  for (const auto& topic : *asked.topics) {  // null from version 2 on alone
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (int32_t index : topic.partition_indexes) {
      auto& entry = answered.partitions.emplace_back();
      entry.partition_index = index;
      entry.committed_offset = -1;
      if (context.metadata().partition(topic.name, index) == nullptr) {
        entry.error_code = ErrorCode::unknown_topic_or_partition;
      } else {
        questions.offsets.push_back({topic.name, index});
        questions.places.emplace_back(response.topics.size() - 1, answered.partitions.size() - 1);
      }
    }
  }
  std::vector<ConsumerOffset> offsets = std::move(questions.offsets);
  context.control.read_consumer_offsets(
      asked.group_id, std::move(offsets),
      [request = std::move(request), response = std::move(response),
       questions = std::move(questions)](std::vector<ConsumerOffset> outcomes) mutable {
        questions.fill(response, outcomes, [](auto& entry, const ConsumerOffset& outcome) {
          entry.committed_offset = outcome.offset;
          entry.error_code = outcome.error;
        });
        request->reply(response);
      });
}

}  // namespace

void handle_offset_commit(ApiContext& context, RequestPtr request) {
  if (request->version() >= kFirstWithCoordinator)
    return handle_group_api(context, std::move(request));
  commit(context, std::move(request));
}

void handle_offset_fetch(ApiContext& context, RequestPtr request) {
  if (request->version() >= kFirstWithCoordinator)
    return handle_group_api(context, std::move(request));
  fetch(context, std::move(request));
}

}  // namespace ottla::broker
