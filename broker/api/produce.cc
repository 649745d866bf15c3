// Produce: hands the batches, where they lie in the frame, to the partitions' logs.
// Source: KIP-98, KIP-467 (record errors), KIP-951 (new leader in the answer).
#include "proto/kafka/produce.h"

#include "broker/api/handlers.h"
#include "broker/api/leader_hint.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::ProduceResponse;

namespace {

constexpr int16_t kFirstWithLeaderHints = 10;

// A request while its partitions are appended. `where[i]`: the place of target i in the answer.
struct Call {
  RequestPtr request;
  Response response;
  std::vector<std::pair<size_t, size_t>> where;
  bool acked = true;  // acks is not 0
  bool failed = false;
};

bool is_transactional(Bytes records) {
  return records.size() >= kBatchHeaderSize && records[kMagicAt] == kMagicV2 &&
         BatchView(records).transactional();
}

// A length that a batch's head makes more than 32 bits hold: at Kafka's own nothing expects it.
bool has_immense_length(Bytes set) {
  if (set.size() <= kMagicAt || set[kMagicAt] > kMagicV2) return false;
  return load_be<int32_t>(set.data() + kLengthAt) > INT32_MAX - 12;
}

// What fails a request as a whole, by a look at the first batch of each partition: one that cannot
// be walked, then one of a transaction where there is none.
ErrorCode refuse_all(const kmsg::ProduceRequest& asked, std::optional<std::string>& message) {
  bool transactional = false;
  for (const auto& topic : asked.topic_data)
    for (const auto& partition : topic.partition_data) {
      BatchCursor cursor(partition.records.bytes);
      if (auto first = cursor.next()) transactional |= is_transactional(first->bytes);
      if (has_immense_length(partition.records.bytes)) return ErrorCode::unknown_server_error;
      if (!cursor.corrupt()) continue;
      if (std::string why = cursor.corruption(); !why.empty()) message = std::move(why);
      return ErrorCode::corrupt_message;
    }
  if (transactional && !asked.transactional_id)
    return ErrorCode::transactional_id_authorization_failed;
  return ErrorCode::none;
}

// What refuses a partition before its log is asked.
void refuse_before_append(ApiContext& context, const Request& request,
                          const kmsg::ProduceRequest& asked, const std::string& topic,
                          const kmsg::Records& records, Response::PartitionProduceResponse& entry) {
  if (context.metadata().partition(topic, entry.index) == nullptr) {
    entry.error_code = ErrorCode::unknown_topic_or_partition;
  } else if (is_internal_topic(topic) && request.client_id_text() != "__admin_client" &&
             context.replicas.find(topic, entry.index) != nullptr) {
    entry.error_code = ErrorCode::invalid_topic_exception;
  } else if (records.is_null) {
    entry.error_code = ErrorCode::invalid_record;
  } else {
    SetCheck check = check_produce_set(request.version(), records.bytes);
    entry.error_code = to_error_code(check.refusal);
    if (check.refusal == Refusal::none && (asked.acks < -1 || asked.acks > 1))
      entry.error_code = ErrorCode::invalid_required_acks;
  }
}

void finish(ApiContext& context, Call& call, std::vector<AppendOutcome> outcomes) {
  for (size_t i = 0; i < outcomes.size(); ++i) {
    auto [topic, partition] = call.where[i];
    auto& entry = call.response.responses[topic].partition_responses[partition];
    AppendOutcome& outcome = outcomes[i];
    entry.error_code = outcome.error;
    entry.base_offset = outcome.base_offset;
    entry.log_append_time_ms = outcome.log_append_time_ms;
    entry.log_start_offset = outcome.log_start_offset;
    entry.error_message = std::move(outcome.message);
    for (RecordError& error : outcome.record_errors) {
      Response::BatchIndexAndErrorMessage one;
      one.batch_index = error.batch_index;
      one.batch_index_error_message = std::move(error.message);
      entry.record_errors.push_back(std::move(one));
    }
    if (outcome.error == ErrorCode::none) continue;
    call.failed = true;
    if (call.request->version() >= kFirstWithLeaderHints)
      add_leader_hint(context, *call.request, call.response.responses[topic].name, entry.index,
                      entry, call.response);
  }
  if (call.acked) return call.request->reply(call.response);
  // Nobody waits for an answer, so that a failure can only be told by hanging up.
  if (call.failed) return call.request->close();
  call.request->reply_nothing();
}

}  // namespace

void handle_produce(ApiContext& context, RequestPtr request) {
  kmsg::ProduceRequest asked;
  if (!decode(*request, asked)) return;
  auto call = std::make_unique<Call>();
  call->acked = asked.acks != 0;
  std::optional<std::string> why;
  const ErrorCode all = refuse_all(asked, why);
  std::vector<AppendTarget> targets;
  call->response.responses.reserve(asked.topic_data.size());
  for (auto& topic : asked.topic_data) {
    if (topic.partition_data.empty()) continue;
    auto& answer = call->response.responses.emplace_back();
    answer.partition_responses.reserve(topic.partition_data.size());
    for (auto& partition : topic.partition_data) {
      auto& entry = answer.partition_responses.emplace_back();
      entry.index = partition.index;
      entry.base_offset = -1;
      entry.error_code = all;
      entry.error_message = why;
      if (all == ErrorCode::none)
        refuse_before_append(context, *request, asked, topic.name, partition.records, entry);
      if (entry.error_code != ErrorCode::none) {
        call->failed = true;
        continue;
      }
      targets.push_back(
          {{topic.name, partition.index}, request->editable(partition.records.bytes)});
      call->where.emplace_back(call->response.responses.size() - 1,
                               answer.partition_responses.size() - 1);
    }
    answer.name = std::move(topic.name);
  }
  call->request = std::move(request);
  context.replicas.append(std::move(targets), asked.acks, asked.timeout_ms, Origin::client,
                          [&context, call = std::move(call)](std::vector<AppendOutcome> outcomes) {
                            finish(context, *call, std::move(outcomes));
                          });
}

}  // namespace ottla::broker
