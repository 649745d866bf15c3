// ListOffsets. Source: KIP-79, KIP-207, KIP-396, KIP-734 (max timestamp), KIP-405, KIP-1005.
#include "proto/kafka/list_offsets.h"

#include <deque>
#include <set>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using ListRequest = kmsg::ListOffsetsRequest;
using Answer = kmsg::ListOffsetsResponse::ListOffsetsPartitionResponse;

namespace {

constexpr int64_t kLatest = -1, kEarliest = -2, kMaxTimestamp = -3, kEarliestLocal = -4,
                  kLatestTiered = -5;
constexpr int16_t kFirstWithEpochs = 4;
constexpr int32_t kConsumer =
    -1;  // below: a tool that looks for faults, and sees what followers see

bool is_allowed(int64_t timestamp, int16_t version) {
  if (timestamp >= kEarliest) return true;
  if (timestamp == kMaxTimestamp) return version >= 7;
  if (timestamp == kEarliestLocal) return version >= 8;
  if (timestamp == kLatestTiered) return version >= 9;
  return false;
}

// Version 0 lists segments. A partition that is named again is answered again until that looked at
// so many of them, and left out behind them: 16 bytes of a request would each time stand for all.
constexpr uint64_t kSegmentsAgain = 10'000;

struct Asked {
  int16_t version = 0;
  int32_t replica_id = -1;
  int8_t isolation_level = 0;
  bool read_committed() const { return isolation_level == 1; }
  bool from_consumer() const { return replica_id == kConsumer; }
};

void answer_v0(PartitionLog& log, const Asked& how, const Partition& partition,
               const ListRequest::ListOffsetsPartition& asked, Answer& answer) {
  if (asked.max_num_offsets < 0) {
    answer.error_code = ErrorCode::unknown_server_error;
    return;
  }
  std::vector<int64_t> offsets = log.legacy_offsets_before(asked.timestamp, asked.max_num_offsets);
  if (how.from_consumer()) {
    // A consumer sees nothing above the high watermark, which then stands first.
    int64_t hw = partition.read_limit(false);
    bool above = false;
    std::erase_if(offsets, [&](int64_t offset) { return offset > hw && (above = true); });
    if (above) offsets.insert(offsets.begin(), hw);
  }
  answer.old_style_offsets = std::move(offsets);
}

void answer_found(const TimestampOffset& found, Answer& answer) {
  answer.timestamp = found.timestamp;
  answer.offset = found.offset;
  answer.leader_epoch = found.leader_epoch;
}

int64_t limit_of(const Partition& partition, const Asked& how) {
  return how.from_consumer() ? partition.read_limit(how.read_committed()) : partition.log()->leo();
}

// none, or what a consumer is told while its offsets may still change.
ErrorCode unsettled(const Partition& partition, const Asked& how) {
  if (!how.from_consumer() || partition.hw_is_settled()) return ErrorCode::none;
  return how.version >= 5 ? ErrorCode::offset_not_available : ErrorCode::leader_not_available;
}

ErrorCode answer_search(const Partition& partition, const Asked& how,
                        const Result<std::optional<TimestampOffset>>& found, Answer& answer) {
  if (!found) return to_error_code(refusal_of(found.error()));
  if (!*found || (*found)->offset >= limit_of(partition, how)) return unsettled(partition, how);
  answer_found(**found, answer);
  return ErrorCode::none;
}

ErrorCode answer_offset(Partition& partition, const Asked& how, int64_t timestamp, Answer& answer,
                        std::optional<TimestampSearch>& left) {
  PartitionLog& log = *partition.log();
  if (timestamp == kLatest) {
    if (ErrorCode error = unsettled(partition, how); error != ErrorCode::none) return error;
    answer.offset = limit_of(partition, how);
    answer.leader_epoch = partition.leader_epoch();
    return ErrorCode::none;
  }
  if (timestamp == kEarliest || timestamp == kEarliestLocal) {
    answer.offset = log.log_start_offset();
    auto earliest = log.epochs().earliest();
    if (earliest && earliest->start_offset <= answer.offset) answer.leader_epoch = earliest->epoch;
    return ErrorCode::none;
  }
  if (timestamp == kLatestTiered) return ErrorCode::none;  // nothing is tiered: -1
  auto found = timestamp == kMaxTimestamp ? log.offset_of_max_timestamp(&left)
                                          : log.offset_for_timestamp(timestamp, &left);
  if (left) return ErrorCode::none;  // it is looked at elsewhere
  return answer_search(partition, how, found, answer);
}

Answer answer_partition(ApiContext& context, const Asked& how, const std::string& topic,
                        const ListRequest::ListOffsetsPartition& asked, bool repeated,
                        std::optional<TimestampSearch>& left) {
  Answer answer;
  answer.partition_index = asked.partition_index;
  if (repeated) {
    answer.error_code = ErrorCode::invalid_request;
    return answer;
  }
  if (!is_allowed(asked.timestamp, how.version)) {
    answer.error_code = ErrorCode::unsupported_version;
    return answer;
  }
  if (how.from_consumer() && how.isolation_level != 0 && how.isolation_level != 1) {
    answer.error_code = ErrorCode::unknown_server_error;  // before the partition is looked for
    return answer;
  }
  auto [partition, error] =
      context.replicas.leader_of(topic, asked.partition_index, asked.current_leader_epoch);
  if (error == ErrorCode::none && asked.current_leader_epoch < -1)
    error = ErrorCode::fenced_leader_epoch;  // older than any epoch; -1 asks for no check
  if (error == ErrorCode::none) {
    if (how.version == 0)
      answer_v0(*partition->log(), how, *partition, asked, answer);
    else
      error = answer_offset(*partition, how, asked.timestamp, answer, left);
  }
  if (error != ErrorCode::none) answer.error_code = error;
  if (how.version < kFirstWithEpochs) answer.leader_epoch = -1;
  return answer;
}

// A request some of whose searches take longer than a turn of the loop may.
struct Call {
  struct Left {
    size_t topic, partition;
    TimestampSearch search;
    Result<std::optional<TimestampOffset>> found;
  };
  RequestPtr request;
  Asked how;
  kmsg::ListOffsetsResponse response;
  std::deque<Left> left;
};

void finish(ApiContext& context, std::shared_ptr<Call> call) {
  if (call->left.empty()) return call->request->reply(call->response);
  auto work = [call] {
    Call::Left& one = call->left.front();
    one.found = one.search.run(kMaxOpenedBatchBytes);
  };
  auto done = [&context, call] {
    Call::Left one = std::move(call->left.front());
    call->left.pop_front();
    auto& topic = call->response.topics[one.topic];
    Answer& answer = topic.partitions[one.partition];
    auto [partition, error] = context.replicas.leader_of(topic.name, answer.partition_index);
    if (error == ErrorCode::none && one.found && !*one.found) {
      std::optional<TimestampSearch> left;
      one.found = partition->log()->offset_for_timestamp(one.search.timestamp, &left,
                                                         one.search.next_offset);
      if (left) {
        one.search = std::move(*left);
        call->left.push_front(std::move(one));
        return finish(context, call);
      }
    }
    if (error == ErrorCode::none) error = answer_search(*partition, call->how, one.found, answer);
    answer.error_code = error;
    if (call->how.version < kFirstWithEpochs) answer.leader_epoch = -1;
    finish(context, call);
  };
  context.replicas.openings().run(std::move(work), std::move(done),
                                  [call] { return call->request->is_awaited(); });
}

}  // namespace

void handle_list_offsets(ApiContext& context, RequestPtr request) {
  kmsg::ListOffsetsRequest asked;
  if (!decode(*request, asked)) return;
  Asked how{request->version(), asked.replica_id, asked.isolation_level};
  using Name = std::pair<std::string, int32_t>;
  std::set<Name> seen, repeated;
  for (const auto& topic : asked.topics)
    for (const auto& partition : topic.partitions)
      if (!seen.emplace(topic.name, partition.partition_index).second)
        repeated.emplace(topic.name, partition.partition_index);
  std::set<Name> listed;
  uint64_t listed_again = 0;  // segments
  auto is_left_out = [&](const Name& name) {
    if (how.version > 0 || listed.insert(name).second) return false;
    if (listed_again >= kSegmentsAgain) return true;
    auto [partition, error] = context.replicas.leader_of(name.first, name.second);
    if (error == ErrorCode::none) listed_again += partition->log()->stats().segments;
    return false;
  };
  auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->how = how;
  for (const auto& topic : asked.topics) {
    auto& answer = call->response.topics.emplace_back();
    answer.name = topic.name;
    for (const auto& partition : topic.partitions) {
      Name name{topic.name, partition.partition_index};
      if (is_left_out(name)) continue;
      bool twice = how.version > 0 && repeated.contains(name);
      std::optional<TimestampSearch> left;
      answer.partitions.push_back(
          answer_partition(context, how, topic.name, partition, twice, left));
      if (!left) continue;
      call->left.push_back({call->response.topics.size() - 1, answer.partitions.size() - 1,
                            std::move(*left), std::nullopt});
    }
  }
  finish(context, std::move(call));
}

}  // namespace ottla::broker
