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

// Bytes of a v2 batch's head that Kafka's own looks at before it has seen that the head is whole.
constexpr size_t kHeadToProducer = kProducerIdAt + 8;

// A length that a batch's head makes more than 32 bits hold: at Kafka's own nothing expects it.
bool has_immense_length(Bytes set) {
  if (set.size() <= kMagicAt || set[kMagicAt] > kMagicV2) return false;
  return load_be<int32_t>(set.data() + kLengthAt) > INT32_MAX - 12;
}

struct WholeRefusal {
  ErrorCode error = ErrorCode::none;
  std::optional<std::string> message;
};

WholeRefusal corrupt(const BatchCursor& cursor) {
  WholeRefusal refusal{ErrorCode::corrupt_message, std::nullopt};
  if (std::string why = cursor.corruption(); !why.empty()) refusal.message = std::move(why);
  return refusal;
}

// What fails a request as a whole, by a look at the first batch of each partition: one that cannot
// be walked, or one of a transaction where there is none, whichever comes first.
WholeRefusal refuse_all(const kmsg::ProduceRequest& asked) {
  for (const auto& topic : asked.topic_data)
    for (const auto& partition : topic.partition_data) {
      Bytes set = partition.records.bytes;
      if (has_immense_length(set)) return {ErrorCode::unknown_server_error, std::nullopt};
      BatchCursor cursor(set, true);
      auto first = cursor.next();
      if (cursor.corrupt()) return corrupt(cursor);
      if (!first || first->magic != kMagicV2) continue;
      if ((load_be<int16_t>(first->bytes.data() + kAttributesAt) & kTransactionalBit) == 0)
        continue;
      if (asked.transactional_id) return {};
      return {ErrorCode::transactional_id_authorization_failed, std::nullopt};
    }
  return {};
}

// What fails it as a whole when every batch of the partitions that are let in is walked.
WholeRefusal refuse_walk(Bytes set) {
  BatchCursor cursor(set, true);
  while (auto batch = cursor.next())
    if (batch->magic == kMagicV2 && batch->bytes.size() < kHeadToProducer)
      return {ErrorCode::unknown_server_error, std::nullopt};
  return cursor.corrupt() ? corrupt(cursor) : WholeRefusal{};
}

// What refuses a partition by a look at its batches. An unknown_server_error is the whole
// request's.
void refuse_before_append(ApiContext& context, const Request& request, const std::string& topic,
                          const kmsg::Records& records, Response::PartitionProduceResponse& entry) {
  if (context.metadata().partition(topic, entry.index) == nullptr)
    entry.error_code = ErrorCode::unknown_topic_or_partition;
  else if (records.is_null)
    entry.error_code = ErrorCode::invalid_record;
  else
    entry.error_code = to_error_code(check_produce_set(request.version(), records.bytes).refusal);
}

// What refuses one whose batches may be appended.
ErrorCode refuse_at_append(ApiContext& context, const Request& request,
                           const kmsg::ProduceRequest& asked, const std::string& topic,
                           int32_t partition) {
  if (asked.acks < -1 || asked.acks > 1) return ErrorCode::invalid_required_acks;
  if (is_internal_topic(topic) && request.client_id_text() != "__admin_client" &&
      context.replicas.find(topic, partition) != nullptr)
    return ErrorCode::invalid_topic_exception;
  return ErrorCode::none;
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
  auto call = std::make_shared<Call>();
  call->acked = asked.acks != 0;
  WholeRefusal whole = refuse_all(asked);
  auto& answers = call->response.responses;
  answers.reserve(asked.topic_data.size());
  for (auto& topic : asked.topic_data) {
    if (topic.partition_data.empty()) continue;
    auto& answer = answers.emplace_back();
    answer.name = topic.name;
    for (auto& partition : topic.partition_data) {
      auto& entry = answer.partition_responses.emplace_back();
      entry.index = partition.index;
      entry.base_offset = -1;
      if (whole.error != ErrorCode::none) continue;
      refuse_before_append(context, *request, topic.name, partition.records, entry);
      if (entry.error_code == ErrorCode::unknown_server_error)
        whole = {entry.error_code, std::nullopt};
      else if (entry.error_code == ErrorCode::none)
        whole = refuse_walk(partition.records.bytes);
    }
  }
  std::vector<AppendTarget> targets;
  size_t at = 0;
  for (auto& topic : asked.topic_data) {
    if (topic.partition_data.empty()) continue;
    for (size_t i = 0; i < topic.partition_data.size(); ++i) {
      auto& entry = answers[at].partition_responses[i];
      if (whole.error != ErrorCode::none) {
        entry.error_code = whole.error;
        entry.error_message = whole.message;
      } else if (entry.error_code == ErrorCode::none) {
        entry.error_code = refuse_at_append(context, *request, asked, topic.name, entry.index);
      }
      if (entry.error_code != ErrorCode::none) {
        call->failed = true;
        continue;
      }
      targets.push_back(
          {{topic.name, entry.index}, request->editable(topic.partition_data[i].records.bytes)});
      call->where.emplace_back(at, i);
    }
    ++at;
  }
  call->request = std::move(request);
  // What is sent with acks=0 is sent to be stored, whoever is gone by then.
  auto is_wanted = [call] { return !call->acked || call->request->is_awaited(); };
  auto done = [&context, call](std::vector<AppendOutcome> outcomes) {
    finish(context, *call, std::move(outcomes));
  };
  context.replicas.append(std::move(targets), asked.acks, asked.timeout_ms, Origin::client,
                          std::move(done), std::move(is_wanted));
}

}  // namespace ottla::broker
