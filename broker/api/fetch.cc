// Fetch: names become partitions, the session says which answers are news, and the records go out
// as slices of the segment files: no byte of them is touched here, but for the oldest clients.
// Source: KIP-74 (limits), KIP-227 (sessions), KIP-320, KIP-516, KIP-951.
#include "proto/kafka/fetch.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "broker/api/fetch_convert.h"
#include "broker/api/handlers.h"
#include "broker/api/leader_hint.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::FetchResponse;

namespace {

constexpr int16_t kFirstWithDivergence = 12, kFirstWithTopicIds = 13, kFirstWithLeaderHints = 16,
                  kFirstWithZstd = 10, kFirstWithMagic2 = 4;

struct Call {
  RequestPtr request;
  kmsg::FetchRequest asked;
  FetchContext session;
  std::vector<rt::OutPiece> pieces;
  bool read_committed = false;
  // For a client that does not know magic 2: of each partition, in their order.
  std::vector<ConvertedRecords> converted;
};

bool is_follower(const kmsg::FetchRequest& asked) {
  return asked.replica_id >= 0 || asked.replica_state.replica_id >= 0;
}

std::string name_of(const ApiContext& context, const kmsg::Uuid& id, const std::string& name) {
  if (id.is_zero()) return name;
  const TopicView* topic = context.metadata().topic(id);
  return topic == nullptr ? std::string() : topic->name;
}

FetchSessionRequest session_request(const ApiContext& context, const Request& request,
                                    const kmsg::FetchRequest& asked) {
  FetchSessionRequest out;
  out.session_id = asked.session_id;
  out.epoch = asked.session_epoch;
  out.topic_ids = request.version() >= kFirstWithTopicIds;
  out.follower = is_follower(asked);
  std::map<std::tuple<kmsg::Uuid, std::string_view, int32_t>, size_t> places;
  for (const auto& topic : asked.topics) {
    std::string name = name_of(context, topic.topic_id, topic.topic);
    for (const auto& partition : topic.partitions) {
      // A partition named twice is asked for once: where it stood first, as it was said last.
      auto [known, is_new] = places.try_emplace({topic.topic_id, topic.topic, partition.partition},
                                                out.partitions.size());
      if (is_new) out.partitions.emplace_back();
      FetchPartition& one = out.partitions[known->second];
      one.topic_id = topic.topic_id;
      one.topic = name;
      one.partition = partition.partition;
      one.current_leader_epoch = partition.current_leader_epoch;
      one.fetch_offset = partition.fetch_offset;
      one.last_fetched_epoch = partition.last_fetched_epoch;
      one.log_start_offset = partition.log_start_offset;
      one.max_bytes = partition.partition_max_bytes;
    }
  }
  for (const auto& topic : asked.forgotten_topics_data)
    for (int32_t index : topic.partitions)
      out.forgotten.push_back(
          {topic.topic_id, name_of(context, topic.topic_id, topic.topic), index});
  return out;
}

std::vector<ReadTarget> targets_of(const ApiContext& context, const Request& request,
                                   const FetchContext& session) {
  std::vector<ReadTarget> targets;
  targets.reserve(session.partitions().size());
  for (const FetchPartition& one : session.partitions()) {
    ReadTarget& target = targets.emplace_back();
    // A topic that got its name after the session began is found by its id again.
    target.tp = {one.topic.empty() ? name_of(context, one.topic_id, one.topic) : one.topic,
                 one.partition};
    target.topic_id = one.topic_id;
    if (request.version() >= kFirstWithTopicIds && target.tp.topic.empty())
      target.refusal = ErrorCode::unknown_topic_id;
    target.current_leader_epoch = one.current_leader_epoch;
    target.offset = one.fetch_offset;
    target.last_fetched_epoch = one.last_fetched_epoch;
    target.max_bytes = one.max_bytes;
  }
  return targets;
}

bool refuses_zstd(ApiContext& context, const Call& call, const FetchPartition& asked) {
  if (call.request->version() >= kFirstWithZstd) return false;
  Partition* partition = context.replicas.find(asked.topic, asked.partition);
  return partition != nullptr && partition->log() != nullptr &&
         partition->log()->config().compression == compress::Codec::zstd;
}

ErrorCode error_for_version(ErrorCode error, int16_t version) {
  if (version <= 5 && error == ErrorCode::kafka_storage_error)
    return ErrorCode::not_leader_or_follower;
  return error;
}

void fill_error(Response::PartitionData& entry, ErrorCode error, const Call& call) {
  entry.error_code = error_for_version(error, call.request->version());
  entry.high_watermark = entry.last_stable_offset = entry.log_start_offset = -1;
  entry.records = kmsg::Records::of({});
  entry.aborted_transactions = std::nullopt;
  // As Kafka has it: what the log refused is silent about transactions (null), what was refused
  // before or after it was asked has none (an empty list).
  bool not_convertible =
      error == ErrorCode::unsupported_version || error == ErrorCode::unsupported_compression_type;
  if (error == ErrorCode::unknown_topic_or_partition || error == ErrorCode::unknown_topic_id ||
      not_convertible)
    entry.aborted_transactions.emplace();
  if (not_convertible) entry.records = {};
}

ErrorCode add_records(ApiContext& context, Call& call, size_t i, ReadOutcome& outcome,
                      Response::PartitionData& entry) {
  rt::OutPiece piece;
  uint64_t size = outcome.slice.length;
  ConvertedRecords converted;
  if (!call.converted.empty()) converted = std::move(call.converted[i]);
  if (converted.error != ErrorCode::none) return converted.error;
  if (converted.records) {
    context.replicas.counters().fetch_conversions += converted.converted;
    size = converted.records->size();
    piece = std::move(*converted.records);
  } else {
    piece = std::move(outcome.slice);
  }
  if (size == 0) return ErrorCode::none;
  entry.records = kmsg::Records::outside(static_cast<uint32_t>(call.pieces.size()), size);
  call.pieces.push_back(std::move(piece));
  return ErrorCode::none;
}

Response::PartitionData entry_of(ApiContext& context, Call& call, size_t i, ReadOutcome& outcome,
                                 Response& response) {
  const FetchPartition& asked = call.session.partitions()[i];
  Response::PartitionData entry;
  entry.partition_index = asked.partition;
  // Whatever the log said.
  if (refuses_zstd(context, call, asked)) outcome.error = ErrorCode::unsupported_compression_type;
  if (outcome.error == ErrorCode::none) {
    entry.high_watermark = outcome.hw;
    entry.last_stable_offset = outcome.lso;
    entry.log_start_offset = outcome.log_start_offset;
    entry.aborted_transactions = std::nullopt;
    if (outcome.aborted) {
      entry.aborted_transactions.emplace();
      for (const AbortedTxn& aborted : *outcome.aborted) {
        Response::AbortedTransaction one;
        one.producer_id = aborted.producer_id;
        one.first_offset = aborted.first_offset;
        entry.aborted_transactions->push_back(std::move(one));
      }
    }
    if (outcome.diverging) {
      entry.diverging_epoch.epoch = outcome.diverging->epoch;
      entry.diverging_epoch.end_offset = outcome.diverging->end_offset;
    }
    entry.records = kmsg::Records::of({});
    if (outcome.slice.length > 0) outcome.error = add_records(context, call, i, outcome, entry);
  }
  if (outcome.error != ErrorCode::none) {
    fill_error(entry, outcome.error, call);
    if (call.request->version() >= kFirstWithLeaderHints)
      add_leader_hint(context, *call.request, asked.topic, asked.partition, entry, response);
  }
  return entry;
}

// What nobody here knows comes last, as Kafka puts it.
std::vector<size_t> answer_order(const std::vector<FetchOutcome>& outcomes) {
  std::vector<size_t> order;
  order.reserve(outcomes.size());
  for (bool unknown : {false, true})
    for (size_t i = 0; i < outcomes.size(); ++i)
      if (outcomes[i].unknown == unknown) order.push_back(i);
  return order;
}

// As Kafka answers what its handler did not expect: the same error for each partition that was
// named, and above them.
void answer_failed(Request& request, const kmsg::FetchRequest& asked, ErrorCode error) {
  Response response;
  response.error_code = error;
  response.session_id = asked.session_id;
  if (request.version() >= kFirstWithTopicIds) return request.reply(response);
  for (const auto& topic : asked.topics) {
    auto& answer = response.responses.emplace_back();
    answer.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition.partition;
      entry.error_code = error;
      entry.high_watermark = -1;
      entry.aborted_transactions.emplace();
    }
  }
  request.reply(response);
}

// In a session that newer requests began: that a partition diverges cannot be said in this version.
bool is_unspeakable(ApiContext& context, const Call& call,
                    const std::vector<ReadOutcome>& outcomes) {
  if (call.request->version() >= kFirstWithDivergence) return false;
  for (size_t i = 0; i < outcomes.size(); ++i)
    if (outcomes[i].diverging && !refuses_zstd(context, call, call.session.partitions()[i]))
      return true;
  return false;
}

void finish(ApiContext& context, Call& call, std::vector<ReadOutcome> outcomes) {
  call.request->client().cancel = nullptr;
  const auto& partitions = call.session.partitions();
  std::vector<FetchOutcome> summary(outcomes.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    ErrorCode error = outcomes[i].error;
    bool failed = error != ErrorCode::none;
    summary[i] = {
        outcomes[i].slice.length > 0,
        failed,
        outcomes[i].diverging.has_value(),
        failed ? -1 : outcomes[i].hw,
        failed ? -1 : outcomes[i].log_start_offset,
        error == ErrorCode::unknown_topic_or_partition || error == ErrorCode::unknown_topic_id};
  }
  auto told = context.sessions.finish(call.session, summary, context.world.loop.now().ms());
  if (is_unspeakable(context, call, outcomes))
    return answer_failed(*call.request, call.asked, ErrorCode::unsupported_version);
  Response response;
  response.error_code = told.error;
  response.session_id = told.session_id;
  uint64_t bytes = 0;
  for (size_t i : answer_order(summary)) {
    if (!told.include[i]) continue;
    const FetchPartition& asked = partitions[i];
    bool same_topic = !response.responses.empty() &&
                      response.responses.back().topic_id == asked.topic_id &&
                      response.responses.back().topic == asked.topic;
    if (!same_topic) {
      auto& topic = response.responses.emplace_back();
      topic.topic = asked.topic;
      topic.topic_id = asked.topic_id;
    }
    bytes += outcomes[i].slice.length;
    response.responses.back().partitions.push_back(
        entry_of(context, call, i, outcomes[i], response));
  }
  context.replicas.counters().bytes_out += bytes;
  call.request->reply(response, std::move(call.pieces));
}

// Off the loop for clients that need what they read in an older format.
void convert_and_finish(ApiContext& context, std::shared_ptr<Call> call,
                        std::vector<ReadOutcome> outcomes) {
  struct Job {
    std::vector<ReadOutcome> outcomes;
    std::vector<Conversion> conversions;
    std::vector<ConvertedRecords> converted;
  };
  call->request->client().cancel = nullptr;
  auto job = std::make_shared<Job>();
  job->conversions.resize(outcomes.size());
  const auto& partitions = call->session.partitions();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    Partition* partition = context.replicas.find(partitions[i].topic, partitions[i].partition);
    if (partition == nullptr || partition->log() == nullptr) continue;
    job->conversions[i] = {outcomes[i].slice, partition->log()->config().message_downconversion,
                           call->request->version(), partitions[i].fetch_offset};
  }
  job->outcomes = std::move(outcomes);
  auto work = [job] {
    for (const Conversion& one : job->conversions)
      job->converted.push_back(one.slice.length > 0 ? one.run() : ConvertedRecords{});
  };
  auto done = [&context, call, job] {
    call->converted = std::move(job->converted);
    finish(context, *call, std::move(job->outcomes));
  };
  context.replicas.openings().run(std::move(work), std::move(done),
                                  [call] { return call->request->is_awaited(); });
}

// An isolation level that does not exist is only noticed when there is something to read.
bool refuses_isolation(ApiContext& context, const kmsg::FetchRequest& asked,
                       const std::vector<ReadTarget>& targets) {
  if (asked.isolation_level == 0 || asked.isolation_level == 1) return false;
  return std::any_of(targets.begin(), targets.end(), [&](const ReadTarget& target) {
    return context.metadata().partition(target.tp.topic, target.tp.partition) != nullptr;
  });
}

}  // namespace

void handle_fetch(ApiContext& context, RequestPtr request) {
  auto call = std::make_unique<Call>();
  if (!decode(*request, call->asked)) return;
  kmsg::FetchRequest& asked = call->asked;
  int16_t version = request->version();
  call->session = context.sessions.begin(session_request(context, *request, asked),
                                         context.world.loop.now().ms());
  if (call->session.error() == ErrorCode::unknown_server_error)
    return answer_failed(*request, asked, ErrorCode::unknown_server_error);
  if (call->session.error() != ErrorCode::none) {
    Response response;
    response.error_code = call->session.error();
    return request->reply(response);
  }
  ReadParams params;
  params.follower = is_follower(asked);
  params.replica_id = std::max(asked.replica_id, asked.replica_state.replica_id);
  params.read_committed = asked.isolation_level == 1;
  params.at_least_one = version >= 3;
  params.max_wait_ms = asked.max_wait_ms;
  params.max_bytes = std::min(asked.max_bytes, context.config.fetch_max_bytes);
  // More than the answer may hold is not waited for.
  params.min_bytes = std::min(asked.min_bytes, static_cast<int32_t>(params.max_bytes));
  auto targets = targets_of(context, *request, call->session);
  if (refuses_isolation(context, asked, targets))
    return answer_failed(*request, asked, ErrorCode::unknown_server_error);
  call->request = std::move(request);
  std::shared_ptr<ClientInfo> client = call->request->shared_client();
  Purgatory::Id parked = context.replicas.read(
      std::move(targets), params,
      [&context, call = std::move(call)](std::vector<ReadOutcome> outcomes) mutable {
        bool old = call->request->version() < kFirstWithMagic2;
        if (!old) return finish(context, *call, std::move(outcomes));
        convert_and_finish(context, std::move(call), std::move(outcomes));
      });
  // A consumer that went away must not keep what it waits for in memory.
  if (parked != 0) client->cancel = [&context, parked] { context.replicas.cancel_read(parked); };
}

}  // namespace ottla::broker
