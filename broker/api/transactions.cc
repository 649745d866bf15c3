// The requests of transactions, as a broker answers them that holds no transactional id: the
// coordinator's half is not built, InitProducerId refuses every id, so no id is known here, and
// Kafka's own answer for an unknown one is the true answer. Markers are written to the log as
// asked, and the group coordinator hears of those in its partitions. Source: KIP-98, KIP-664
// (describing), KIP-890 (batches of AddPartitionsToTxn), KIP-994 (listing).
#include <array>
#include <memory>
#include <set>

#include "broker/api/group_service.h"
#include "broker/api/handlers.h"
#include "broker/record/batch_builder.h"
#include "proto/kafka/add_offsets_to_txn.h"
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/describe_transactions.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/list_transactions.h"
#include "proto/kafka/txn_offset_commit.h"
#include "proto/kafka/write_txn_markers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr std::array<std::string_view, 8> kTransactionStates = {
    "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
    "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence"};

ErrorCode unknown_id(const std::string& transactional_id) {
  return transactional_id.empty() ? ErrorCode::invalid_request
                                  : ErrorCode::invalid_producer_id_mapping;
}

// One partition that does not exist spoils the request for the others. A client's transaction does
// not write to an internal topic itself.
std::vector<kmsg::AddPartitionsToTxnResponse::AddPartitionsToTxnTopicResult> refuse_partitions(
    const ApiContext& context, const std::string& transactional_id,
    const std::vector<kmsg::AddPartitionsToTxnRequest::AddPartitionsToTxnTopic>& topics,
    bool from_client) {
  bool all_known = true;
  for (const auto& topic : topics)
    for (int32_t index : topic.partitions)
      all_known &= !(from_client && is_internal_topic(topic.name)) &&
                   context.metadata().partition(topic.name, index) != nullptr;
  std::vector<kmsg::AddPartitionsToTxnResponse::AddPartitionsToTxnTopicResult> out;
  for (const auto& topic : topics) {
    auto& result = out.emplace_back();
    result.name = topic.name;
    for (int32_t index : topic.partitions) {
      auto& entry = result.results_by_partition.emplace_back();
      entry.partition_index = index;
      bool known = context.metadata().partition(topic.name, index) != nullptr;
      if (from_client && is_internal_topic(topic.name)) {
        entry.partition_error_code = ErrorCode::topic_authorization_failed;
        continue;
      }
      entry.partition_error_code = !known       ? ErrorCode::unknown_topic_or_partition
                                   : !all_known ? ErrorCode::operation_not_attempted
                                                : unknown_id(transactional_id);
    }
  }
  return out;
}

// Markers of a request in one turn of the loop.
constexpr size_t kTurnMarkers = 100;

// One WriteTxnMarkers on its way: an append for each marker, the answer when all are acknowledged.
struct MarkerJob {
  RequestPtr request;
  kmsg::WriteTxnMarkersRequest asked;
  kmsg::WriteTxnMarkersResponse response;
  size_t next = 0;  // of the markers
  size_t waiting = 0;

  void done_one() {
    if (--waiting != 0) return;
    // A marker for no partition leaves no trace in the answer.
    std::erase_if(response.markers, [](const auto& marker) { return marker.topics.empty(); });
    request->reply(response);
  }
  // No batch can be made for such a producer: everything fails, what was written before stays.
  void fail() {
    response.markers.clear();
    for (const auto& marker : asked.markers) {
      auto& result = response.markers.emplace_back();
      result.producer_id = marker.producer_id;
      for (const auto& topic : marker.topics) {
        if (topic.partition_indexes.empty()) continue;
        auto& answer = result.topics.emplace_back();
        answer.name = topic.name;
        for (int32_t index : topic.partition_indexes) {
          auto& entry = answer.partitions.emplace_back();
          entry.partition_index = index;
          entry.error_code = ErrorCode::unknown_server_error;
        }
      }
    }
    request->reply(response);
  }
};

bool has_no_producer(ApiContext& context,
                     const kmsg::WriteTxnMarkersRequest::WritableTxnMarker& marker) {
  if (marker.producer_id != -1 && marker.producer_epoch != -1) return false;
  for (const auto& topic : marker.topics)
    for (int32_t index : topic.partition_indexes)
      if (Partition* found = context.replicas.find(topic.name, index);
          found != nullptr && found->log() != nullptr)
        return true;
  return false;
}

void append_marker(ApiContext& context, const std::shared_ptr<MarkerJob>& job, size_t index,
                   const kmsg::WriteTxnMarkersRequest::WritableTxnMarker& marker) {
  auto& result = job->response.markers.emplace_back();
  result.producer_id = marker.producer_id;
  Buffer batch =
      build_end_txn_marker(context.world.loop.wall_ms(), marker.producer_id, marker.producer_epoch,
                           marker.transaction_result ? ControlType::commit : ControlType::abort,
                           marker.coordinator_epoch);
  std::vector<Buffer> copies;  // the log writes each partition's offsets into its own
  std::vector<AppendTarget> targets;
  std::vector<std::pair<size_t, size_t>> places;  // of the targets in the answer: topic, partition
  std::set<TopicPartition> seen;                  // one that stands there twice gets one marker
  for (const auto& topic : marker.topics) {
    if (topic.partition_indexes.empty()) continue;
    auto& answer = result.topics.emplace_back();
    answer.name = topic.name;
    for (int32_t partition : topic.partition_indexes) {
      if (!seen.insert({topic.name, partition}).second) continue;
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition;
      Partition* found = context.replicas.find(topic.name, partition);
      if (found == nullptr || found->log() == nullptr) {
        entry.error_code = ErrorCode::unknown_topic_or_partition;
        continue;
      }
      copies.push_back(Buffer(batch.bytes()));
      targets.push_back({{topic.name, partition}, copies.back().mutable_bytes()});
      places.emplace_back(result.topics.size() - 1, answer.partitions.size() - 1);
    }
  }
  if (targets.empty()) return;
  ++job->waiting;
  context.replicas.append(
      std::move(targets), -1, context.config.request_timeout_ms, Origin::coordinator,
      [&context, job, index, places = std::move(places)](std::vector<AppendOutcome> outcomes) {
        auto& topics = job->response.markers[index].topics;
        std::vector<int32_t> of_offsets;
        for (size_t i = 0; i < outcomes.size(); ++i) {
          auto& topic = topics[places[i].first];
          auto& entry = topic.partitions[places[i].second];
          entry.error_code = outcomes[i].error;
          if (outcomes[i].error == ErrorCode::none && topic.name == kOffsetsTopic)
            of_offsets.push_back(entry.partition_index);
        }
        const auto& marker = job->asked.markers[index];
        if (!of_offsets.empty())
          context.groups.complete_txn(marker.producer_id, of_offsets, marker.transaction_result);
        job->done_one();
      });
}

void append_markers(ApiContext& context, const std::shared_ptr<MarkerJob>& job) {
  for (size_t done = 0; job->next < job->asked.markers.size(); ++done) {
    if (done == kTurnMarkers)
      return context.world.loop.post([&context, job, alive = std::weak_ptr<int>(context.alive)] {
        if (!alive.expired()) append_markers(context, job);
      });
    const auto& marker = job->asked.markers[job->next];
    if (has_no_producer(context, marker)) return job->fail();
    append_marker(context, job, job->next++, marker);
  }
  job->done_one();
}

}  // namespace

void handle_add_partitions_to_txn(ApiContext& context, RequestPtr request) {
  kmsg::AddPartitionsToTxnRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::AddPartitionsToTxnResponse response;
  if (request->version() < 4) {
    response.results_by_topic_v3_and_below = refuse_partitions(
        context, asked.v3_and_below_transactional_id, asked.v3_and_below_topics, true);
  } else {
    for (const auto& transaction : asked.transactions) {
      auto& result = response.results_by_transaction.emplace_back();
      result.transactional_id = transaction.transactional_id;
      result.topic_results =
          refuse_partitions(context, transaction.transactional_id, transaction.topics, false);
    }
  }
  request->reply(response);
}

void handle_add_offsets_to_txn(ApiContext&, RequestPtr request) {
  kmsg::AddOffsetsToTxnRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::AddOffsetsToTxnResponse response;
  response.error_code = unknown_id(asked.transactional_id);
  request->reply(response);
}

void handle_end_txn(ApiContext&, RequestPtr request) {
  kmsg::EndTxnRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::EndTxnResponse response;
  response.error_code = unknown_id(asked.transactional_id);
  request->reply(response);
}

void handle_txn_offset_commit(ApiContext& context, RequestPtr request) {
  kmsg::TxnOffsetCommitRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::TxnOffsetCommitResponse response;
  std::optional<ErrorCode> refusal;  // of the partitions that are there, once one is
  for (const auto& topic : asked.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition.partition_index;
      entry.error_code = ErrorCode::unknown_topic_or_partition;
      if (context.metadata().partition(topic.name, partition.partition_index) == nullptr) continue;
      if (!refusal) refusal = context.groups.refuse_txn_offset_commit(asked.group_id);
      entry.error_code = *refusal;
      if (*refusal == ErrorCode::invalid_producer_id_mapping)
        entry.error_code = unknown_id(asked.transactional_id);
    }
  }
  request->reply(response);
}

void handle_write_txn_markers(ApiContext& context, RequestPtr request) {
  auto job = std::make_shared<MarkerJob>();
  if (!decode(*request, job->asked)) return;
  job->request = std::move(request);
  job->waiting = 1;  // until all appends have been asked for
  append_markers(context, job);
}

void handle_describe_transactions(ApiContext&, RequestPtr request) {
  kmsg::DescribeTransactionsRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DescribeTransactionsResponse response;
  for (const std::string& id : asked.transactional_ids) {
    auto& state = response.transaction_states.emplace_back();
    state.transactional_id = id;
    state.error_code =
        id.empty() ? ErrorCode::invalid_request : ErrorCode::transactional_id_not_found;
  }
  request->reply(response);
}

void handle_list_transactions(ApiContext&, RequestPtr request) {
  kmsg::ListTransactionsRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::ListTransactionsResponse response;
  std::set<std::string_view> seen(kTransactionStates.begin(), kTransactionStates.end());
  for (const std::string& name : asked.state_filters)
    if (seen.insert(name).second) response.unknown_state_filters.push_back(name);
  request->reply(response);
}

}  // namespace ottla::broker
