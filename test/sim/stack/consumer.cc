#include "test/sim/stack/consumer.h"

#include <algorithm>

#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/heartbeat.h"
#include "proto/kafka/offset_commit.h"

namespace ottla::test {

using kmsg::ErrorCode;

namespace {

constexpr const char* kGroup = "group";
constexpr int64_t kBeatMs = 500;

// Only clients read an assignment: "topic:partition" a line.
std::string encode_assignment(const std::vector<TopicPartition>& mine) {
  std::string text;
  for (const TopicPartition& tp : mine) text += fmt::format("{}:{}\n", tp.topic, tp.partition);
  return text;
}

std::vector<TopicPartition> decode_assignment(std::string_view text) {
  std::vector<TopicPartition> mine;
  for (size_t at = 0; at < text.size();) {
    size_t colon = text.find(':', at), end = text.find('\n', at);
    mine.push_back({std::string(text.substr(at, colon - at)),
                    std::atoi(std::string(text.substr(colon + 1, end - colon - 1)).c_str())});
    at = end + 1;
  }
  return mine;
}

std::string subscription_to(const std::map<std::string, int32_t>& topics) {
  wire::Writer writer;
  writer.i16(0);
  writer.i32(static_cast<int32_t>(topics.size()));
  for (const auto& [topic, partitions] : topics) {
    writer.i16(static_cast<int16_t>(topic.size()));
    writer.raw(topic);
  }
  writer.i32(-1);
  return to_string(writer.bytes());
}

}  // namespace

Consumer::Consumer(rt::World world, const ConsumerOptions& options, uint64_t seed, History& history)
    : Actor(world, fmt::format("consumer-{}", options.number), seed, history), options_(options) {}

std::string Consumer::describe() const {
  std::string text =
      fmt::format("{} state={} generation={} last={}", name_, static_cast<int>(state_), generation_,
                  kmsg::error_name(last_error_));
  for (const auto& [tp, at] : position_) text += fmt::format(" {}@{}", tp.to_string(), at);
  return text;
}

void Consumer::vanish() {
  link_.drop();
  member_id_.clear();
  state_ = State::looking;
  again(prng_.between(10, 2000));
}

void Consumer::step() {
  if (history_.traffic.empty()) return again(50);
  switch (state_) {
    case State::looking:
      return find_coordinator();
    case State::joining:
    case State::syncing:
      return join();
    case State::loading:
      return load_offsets();
    case State::reading:
      break;
  }
  Instant now = world_.loop.now();
  if (now >= beat_at_) return heartbeat();
  if (now >= commit_at_ && position_ != committed_) return commit();
  if (mine_.empty()) return again(100);
  fetch();
}

void Consumer::no_answer() {
  state_ = state_ == State::syncing ? State::joining : state_;
  lost();
}

void Consumer::on_group_error(const char* where, ErrorCode error) {
  last_error_ = error;
  switch (error) {
    case ErrorCode::unknown_member_id:
      member_id_.clear();
      state_ = State::joining;
      break;
    case ErrorCode::illegal_generation:
    case ErrorCode::rebalance_in_progress:
      state_ = State::joining;
      break;
    case ErrorCode::not_coordinator:
    case ErrorCode::coordinator_not_available:
      state_ = State::looking;
      break;
    default:
      if (!is_passing(error)) return unexpected(where, error);
  }
  again(prng_.between(1, 50));
}

void Consumer::find_coordinator() {
  kmsg::FindCoordinatorRequest request;
  request.key = kGroup;
  link_.call<kmsg::FindCoordinatorResponse>(
      request, 2, 3000, [this](kmsg::FindCoordinatorResponse* response) {
        if (response == nullptr) return no_answer();
        if (response->error_code != ErrorCode::none)
          return on_group_error("FindCoordinator", response->error_code);
        if (response->host != "broker" || response->port != 9092)
          history_.violated("AnswersFitRequests",
                            fmt::format("coordinator {}:{}", response->host, response->port));
        state_ = State::joining;
        step();
      });
}

void Consumer::join() {
  state_ = State::joining;
  kmsg::JoinGroupRequest request;
  request.group_id = kGroup;
  request.session_timeout_ms = options_.session_timeout_ms;
  request.rebalance_timeout_ms = 2 * options_.session_timeout_ms;
  request.member_id = member_id_;
  request.protocol_type = "consumer";
  auto& protocol = request.protocols.emplace_back();
  protocol.name = "range";
  protocol.metadata = subscription_to(history_.traffic);
  link_.call<kmsg::JoinGroupResponse>(request, 5, 10'000,
                                      [this](kmsg::JoinGroupResponse* response) {
                                        if (response == nullptr) return no_answer();
                                        on_joined(*response);
                                      });
}

void Consumer::on_joined(const kmsg::JoinGroupResponse& response) {
  if (response.error_code == ErrorCode::member_id_required) {
    member_id_ = response.member_id;
    return step();
  }
  if (response.error_code != ErrorCode::none)
    return on_group_error("JoinGroup", response.error_code);
  member_id_ = response.member_id;
  generation_ = response.generation_id;
  std::vector<std::string> members;
  if (response.leader == member_id_)
    for (const auto& member : response.members) members.push_back(member.member_id);
  state_ = State::syncing;
  sync(members);
}

void Consumer::sync(const std::vector<std::string>& members) {
  kmsg::SyncGroupRequest request;
  request.group_id = kGroup;
  request.generation_id = generation_;
  request.member_id = member_id_;
  std::map<std::string, std::vector<TopicPartition>> shares;
  size_t next = 0;
  if (!members.empty())
    for (const TopicPartition& tp : history_.partitions())
      shares[members[next++ % members.size()]].push_back(tp);
  for (const std::string& member : members) {
    auto& one = request.assignments.emplace_back();
    one.member_id = member;
    one.assignment = encode_assignment(shares[member]);
  }
  link_.call<kmsg::SyncGroupResponse>(request, 3, 10'000,
                                      [this](kmsg::SyncGroupResponse* response) {
                                        if (response == nullptr) return no_answer();
                                        if (response->error_code != ErrorCode::none) {
                                          state_ = State::joining;
                                          return on_group_error("SyncGroup", response->error_code);
                                        }
                                        on_synced(*response);
                                      });
}

void Consumer::on_synced(const kmsg::SyncGroupResponse& response) {
  mine_ = decode_assignment(response.assignment);
  history_.note(fmt::format("{} generation {} has {}", name_, generation_, mine_.size()));
  ++history_.generations;
  for (const TopicPartition& tp : mine_)
    OneOwnerPerGeneration::judge(generation_, member_id_, tp, history_);
  position_.clear();
  committed_.clear();
  beat_at_ = after_ms(world_.loop.now(), kBeatMs);
  state_ = State::loading;
  step();
}

void Consumer::load_offsets() {
  kmsg::OffsetFetchRequest request;
  request.group_id = kGroup;
  request.topics->clear();
  for (const TopicPartition& tp : mine_) {
    if (request.topics->empty() || request.topics->back().name != tp.topic)
      request.topics->emplace_back().name = tp.topic;
    request.topics->back().partition_indexes.push_back(tp.partition);
  }
  link_.call<kmsg::OffsetFetchResponse>(
      request, 5, 3000, [this, floor = history_.committed](kmsg::OffsetFetchResponse* response) {
        if (response == nullptr) return no_answer();
        if (response->error_code != ErrorCode::none)
          return on_group_error("OffsetFetch", response->error_code);
        on_offsets(*response, floor);
      });
}

void Consumer::on_offsets(const kmsg::OffsetFetchResponse& response,
                          const std::map<TopicPartition, int64_t>& floor) {
  for (const auto& topic : response.topics)
    for (const auto& partition : topic.partitions) {
      if (partition.error_code != ErrorCode::none)
        return on_group_error("OffsetFetch", partition.error_code);
      TopicPartition tp{topic.name, partition.partition_index};
      auto known = floor.find(tp);
      if (known != floor.end())
        CommittedOffsetNeverRegresses::judge(tp, known->second, partition.committed_offset,
                                             "fetched", history_);
      position_[tp] = committed_[tp] = std::max<int64_t>(partition.committed_offset, 0);
      // A commit without an answer may be there; once read it is as good as acknowledged.
      if (partition.committed_offset > 0)
        history_.committed[tp] = std::max(history_.committed[tp], partition.committed_offset);
    }
  state_ = State::reading;
  step();
}

void Consumer::heartbeat() {
  kmsg::HeartbeatRequest request;
  request.group_id = kGroup;
  request.generation_id = generation_;
  request.member_id = member_id_;
  beat_at_ = after_ms(world_.loop.now(), kBeatMs);
  link_.call<kmsg::HeartbeatResponse>(request, 3, 3000, [this](kmsg::HeartbeatResponse* response) {
    if (response == nullptr) return no_answer();
    if (response->error_code != ErrorCode::none)
      return on_group_error("Heartbeat", response->error_code);
    step();
  });
}

void Consumer::commit() {
  kmsg::OffsetCommitRequest request;
  request.group_id = kGroup;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = member_id_;
  std::map<TopicPartition, int64_t> sent;
  for (const auto& [tp, at] : position_) {
    if (committed_[tp] == at) continue;
    sent[tp] = at;
    if (request.topics.empty() || request.topics.back().name != tp.topic)
      request.topics.emplace_back().name = tp.topic;
    auto& one = request.topics.back().partitions.emplace_back();
    one.partition_index = tp.partition;
    one.committed_offset = at;
    one.committed_metadata = "";
  }
  commit_at_ = after_ms(world_.loop.now(), options_.commit_every_ms);
  history_.note(fmt::format("{} commits {}", name_, sent.size()));
  link_.call<kmsg::OffsetCommitResponse>(
      request, 7, 6000,
      [this, sent, floor = history_.committed](kmsg::OffsetCommitResponse* response) mutable {
        if (response == nullptr) return no_answer();
        ErrorCode failed = ErrorCode::none;
        for (const auto& topic : response->topics)
          for (const auto& partition : topic.partitions) {
            if (partition.error_code != ErrorCode::none) {
              failed = partition.error_code;
              continue;
            }
            TopicPartition tp{topic.name, partition.partition_index};
            CommittedOffsetNeverRegresses::judge(tp, floor[tp], sent[tp], "committed", history_);
            history_.note(fmt::format("{} committed {} at {}", name_, tp.to_string(), sent[tp]));
            history_.committed[tp] = std::max(history_.committed[tp], sent[tp]);
            committed_[tp] = sent[tp];
            ++history_.commits;
          }
        if (failed != ErrorCode::none) return on_group_error("OffsetCommit", failed);
        step();
      });
}

void Consumer::fetch() {
  kmsg::FetchRequest request;
  request.max_wait_ms = 200;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  for (const TopicPartition& tp : mine_) {
    if (request.topics.empty() || request.topics.back().topic != tp.topic)
      request.topics.emplace_back().topic = tp.topic;
    auto& one = request.topics.back().partitions.emplace_back();
    one.partition = tp.partition;
    one.fetch_offset = position_[tp];
    one.partition_max_bytes = options_.partition_max_bytes;
  }
  link_.call<kmsg::FetchResponse>(request, options_.fetch_version, 3000,
                                  [this, floor = history_.hw](kmsg::FetchResponse* response) {
                                    if (response == nullptr) return no_answer();
                                    if (response->error_code != ErrorCode::none)
                                      return on_group_error("Fetch", response->error_code);
                                    on_fetched(*response, floor);
                                  });
}

void Consumer::on_fetched(const kmsg::FetchResponse& response,
                          const std::map<TopicPartition, int64_t>& hw_floor) {
  bool pause = false;
  for (const auto& topic : response.responses)
    for (const auto& partition : topic.partitions) {
      TopicPartition tp{topic.topic, partition.partition_index};
      if (partition.error_code != ErrorCode::none) {
        last_error_ = partition.error_code;
        if (!is_passing(last_error_))
          return unexpected(fmt::format("Fetch of {} at {}", tp.to_string(), position_[tp]).c_str(),
                            last_error_);
        pause = true;
        continue;
      }
      auto floor = hw_floor.find(tp);
      HwMonotonic::judge(tp, floor == hw_floor.end() ? 0 : floor->second, partition.high_watermark,
                         history_);
      int64_t& at = position_[tp];
      int64_t next = NoCorruptOrReordered::judge_fetch(tp, at, partition.records.bytes, history_);
      if (next > partition.high_watermark)
        history_.violated(
            "NothingUnconfirmedIsRead",
            fmt::format("{}: up to {}, hw {}", tp.to_string(), next, partition.high_watermark));
      if (next != at) history_.note(fmt::format("{} read {} to {}", name_, tp.to_string(), next));
      at = next;
    }
  if (pause) return again(50);
  step();
}

}  // namespace ottla::test
