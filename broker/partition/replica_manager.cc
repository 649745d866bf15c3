// Roles and look-ups; appending is in append.cc, reading in read.cc.
#include "broker/partition/replica_manager.h"

#include "common/base/log.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {
constexpr log::Room kLog{"broker.partition"};
// A leader epoch of StopReplica that stands for none, and for a topic that is being deleted.
constexpr int32_t kNoEpoch = -1, kEpochDuringDelete = -2;
}  // namespace

ReplicaManager::ReplicaManager(rt::World& world, int32_t broker_id, LogManager& logs,
                               ReplicaListener& listener)
    : world_(world),
      broker_id_(broker_id),
      logs_(logs),
      listener_(listener),
      produce_(world.loop),
      fetch_(world.loop),
      openings_(world) {}
ReplicaManager::~ReplicaManager() = default;

ErrorCode to_error_code(Refusal refusal) { return static_cast<ErrorCode>(refusal); }

// ------------------------------------------------------------------------- the controller's
// requests

ErrorCode ReplicaManager::check_controller(int32_t controller_epoch, int64_t broker_epoch) {
  if (broker_epoch != -1 && broker_epoch < broker_epoch_) return ErrorCode::stale_broker_epoch;
  if (controller_epoch < controller_epoch_) return ErrorCode::stale_controller_epoch;
  controller_epoch_ = controller_epoch;
  return ErrorCode::none;
}

kmsg::LeaderAndIsrResponse ReplicaManager::apply(const kmsg::LeaderAndIsrRequest& request) {
  LeaderAndIsrOrder order;
  order.request = request;
  apply_some(order, SIZE_MAX);
  return std::move(order.response);
}

bool ReplicaManager::apply_some(LeaderAndIsrOrder& order, size_t limit) {
  using State = kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState;
  using Error = kmsg::LeaderAndIsrResponse::LeaderAndIsrPartitionError;
  const kmsg::LeaderAndIsrRequest& request = order.request;
  kmsg::LeaderAndIsrResponse& response = order.response;
  // Each time: the broker may have come back under another epoch meanwhile.
  ErrorCode refused = check_controller(request.controller_epoch, request.broker_epoch);
  response.error_code = refused;
  std::vector<TopicPartition> touched;
  auto one = [&](const std::string& topic, const kmsg::Uuid& id, const State& state) {
    Error error;
    error.topic_name = topic;
    error.partition_index = state.partition_index;
    // Refused as a whole, and each partition of it.
    error.error_code = refused;
    if (refused != ErrorCode::none) return error;
    error.error_code = apply_one(topic, id, state);
    if (error.error_code != ErrorCode::none &&
        error.error_code != ErrorCode::stale_controller_epoch)
      log::warn(kLog, "the controller's order is refused",
                "partition={}-{} leader={} leader_epoch={} error={}", topic, state.partition_index,
                state.leader, state.leader_epoch, kmsg::error_name(error.error_code));
    touched.push_back({topic, state.partition_index});
    return error;
  };
  const auto& ungrouped = request.ungrouped_partition_states;
  for (; order.ungrouped < ungrouped.size() && limit > 0; ++order.ungrouped, --limit) {
    const State& state = ungrouped[order.ungrouped];
    response.partition_errors.push_back(one(state.topic_name, {}, state));
  }
  for (; order.topic < request.topic_states.size() && limit > 0; --limit) {
    const auto& topic = request.topic_states[order.topic];
    if (order.partition == 0) response.topics.emplace_back().topic_id = topic.topic_id;
    if (order.partition < topic.partition_states.size()) {
      Error error = one(topic.topic_name, topic.topic_id, topic.partition_states[order.partition]);
      response.partition_errors.push_back(error);
      response.topics.back().partition_errors.push_back(std::move(error));
      ++order.partition;
    }
    if (order.partition < topic.partition_states.size()) continue;
    ++order.topic;
    order.partition = 0;
  }
  for (const TopicPartition& tp : touched) wake(tp);
  return order.ungrouped == ungrouped.size() && order.topic == request.topic_states.size();
}

namespace {
// The controller checked it; a request that only says that it is the controller's did not.
bool names_a_directory(std::string_view topic) {
  constexpr std::string_view kLegal =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !topic.empty() && topic.size() <= 249 && topic != "." && topic != ".." &&
         topic.find_first_not_of(kLegal) == std::string_view::npos;
}
}  // namespace

ErrorCode ReplicaManager::apply_one(
    const std::string& topic, const kmsg::Uuid& topic_id,
    const kmsg::LeaderAndIsrRequest::LeaderAndIsrPartitionState& state) {
  if (!names_a_directory(topic) || state.partition_index < 0)
    return ErrorCode::invalid_topic_exception;
  TopicPartition tp{topic, state.partition_index};
  if (logs_.is_offline(tp)) return ErrorCode::kafka_storage_error;
  bool is_replica = false;
  for (int32_t replica : state.replicas) is_replica |= replica == broker_id_;
  Partition* known = find(topic, state.partition_index);
  if (known != nullptr && known->log() == nullptr) return ErrorCode::kafka_storage_error;
  std::string id_text = topic_id.is_zero() ? std::string() : topic_id.to_string();
  if (known != nullptr && !id_text.empty() && !known->log()->topic_id().empty() &&
      known->log()->topic_id() != id_text)
    return ErrorCode::inconsistent_topic_id;
  if (known != nullptr && state.leader_epoch <= known->leader_epoch()) {
    // Only a missing topic id may still be learnt.
    if (state.leader_epoch != known->leader_epoch() || id_text.empty() ||
        !known->log()->topic_id().empty())
      return ErrorCode::stale_controller_epoch;
    known->log()->set_topic_id(id_text);
    return ErrorCode::none;
  }
  if (state.leader_epoch < 0) return ErrorCode::stale_controller_epoch;
  if (!is_replica) return ErrorCode::unknown_topic_or_partition;

  // Not new and not here: it may lie in a directory that is offline, with all its records. Another
  // one, empty, in the next directory would hide them.
  if (!state.is_new && known == nullptr && logs_.find(tp) == nullptr && logs_.has_offline_dir())
    return ErrorCode::kafka_storage_error;
  auto log = logs_.get_or_create(tp, id_text);
  if (!log) {
    log::error(kLog, "cannot create the partition's log", "partition={} why={}", tp.to_string(),
               log.error().context);
    return ErrorCode::kafka_storage_error;
  }
  if (!id_text.empty() && !(*log)->topic_id().empty() && (*log)->topic_id() != id_text)
    return ErrorCode::inconsistent_topic_id;
  if (!id_text.empty()) (*log)->set_topic_id(id_text);
  if (known == nullptr)
    known =
        partitions_.emplace(tp, std::make_unique<Partition>(tp, broker_id_)).first->second.get();
  known->set_log(*log);
  LeaderAndIsrState next{state.controller_epoch, state.leader, state.leader_epoch,
                         state.partition_epoch,  state.isr,    state.replicas};
  bool was_leader = known->is_leader();
  if (state.leader == broker_id_) {
    known->become_leader(next);
    listener_.on_became_leader(tp, state.leader_epoch);
  } else {
    known->become_follower(next);
    if (was_leader) listener_.on_resigned(tp, state.leader_epoch);
  }
  return ErrorCode::none;
}

kmsg::StopReplicaResponse ReplicaManager::apply(const kmsg::StopReplicaRequest& request) {
  kmsg::StopReplicaResponse response;
  ErrorCode refused = check_controller(request.controller_epoch, request.broker_epoch);
  if (refused != ErrorCode::none) {
    response.error_code = refused;
    return response;
  }
  auto stop = [&](const std::string& topic, int32_t index, int32_t epoch, bool remove) {
    TopicPartition tp{topic, index};
    ErrorCode error = ErrorCode::none;
    Partition* partition = find(topic, index);
    if (logs_.is_offline(tp)) {
      error = ErrorCode::kafka_storage_error;
    } else if (partition != nullptr && epoch != kEpochDuringDelete && epoch != kNoEpoch &&
               epoch < partition->leader_epoch()) {
      error = ErrorCode::fenced_leader_epoch;
    } else {
      bool was_leader = partition != nullptr && partition->is_leader();
      std::optional<int32_t> last_epoch;
      if (partition != nullptr && epoch >= 0) last_epoch = epoch;
      if (remove) {
        partitions_.erase(tp);
        if (auto removed = logs_.remove(tp); !removed) error = ErrorCode::kafka_storage_error;
      }
      if (was_leader && remove) listener_.on_resigned(tp, last_epoch);
      wake(tp);
    }
    kmsg::StopReplicaResponse::StopReplicaPartitionError answer;
    answer.topic_name = topic;
    answer.partition_index = index;
    answer.error_code = error;
    response.partition_errors.push_back(std::move(answer));
  };
  for (const auto& one : request.ungrouped_partitions)
    stop(one.topic_name, one.partition_index, kNoEpoch, request.delete_partitions);
  for (const auto& topic : request.topics)
    for (int32_t index : topic.partition_indexes)
      stop(topic.name, index, kNoEpoch, request.delete_partitions);
  for (const auto& topic : request.topic_states)
    for (const auto& one : topic.partition_states)
      stop(topic.topic_name, one.partition_index, one.leader_epoch, one.delete_partition);
  // The controller forgets the topic once we answer: a log that came back after that would stay.
  if (auto gone = logs_.sync_removals(); !gone)
    for (auto& answer : response.partition_errors)
      if (answer.error_code == ErrorCode::none) answer.error_code = ErrorCode::kafka_storage_error;
  return response;
}

// ---------------------------------------------------------------------------------------- looking
// up

Partition* ReplicaManager::find(std::string_view topic, int32_t index) {
  auto found = partitions_.find(ByName::View(topic, index));
  return found == partitions_.end() ? nullptr : found->second.get();
}

ReplicaManager::Found ReplicaManager::leader_of(std::string_view topic, int32_t index,
                                                int32_t current_leader_epoch) {
  if (Partition* partition = find(topic, index))
    return {partition, partition->check_leader(current_leader_epoch)};
  if (logs_.is_offline({std::string(topic), index}))
    return {nullptr, ErrorCode::kafka_storage_error};
  if (metadata_ != nullptr && metadata_->partition(topic, index) != nullptr)
    return {nullptr, ErrorCode::not_leader_or_follower};
  return {nullptr, ErrorCode::unknown_topic_or_partition};
}

ErrorCode ReplicaManager::alter_dir(const TopicPartition& tp, const std::string& dir) {
  // On its way the replica lies in TOPIC-N.<32 digits>-future.
  constexpr size_t kMaxName = 255, kFutureSuffix = 1 + 32 + 7;
  if (tp.to_string().size() + kFutureSuffix > kMaxName) return ErrorCode::invalid_topic_exception;
  switch (logs_.dir_state(dir)) {
    case LogManager::DirState::unknown:
      return ErrorCode::log_dir_not_found;
    case LogManager::DirState::offline:
      return ErrorCode::kafka_storage_error;
    case LogManager::DirState::online:
      break;
  }
  if (logs_.is_offline(tp)) return ErrorCode::kafka_storage_error;
  std::string now = logs_.dir_of(tp);
  if (now == dir) return ErrorCode::none;
  if (find(tp.topic, tp.partition) == nullptr || now.empty()) {
    logs_.prefer_dir(tp, dir);
    return is_known(tp.topic, tp.partition) ? ErrorCode::replica_not_available
                                            : ErrorCode::unknown_topic_or_partition;
  }
  return ErrorCode::kafka_storage_error;
}

void ReplicaManager::for_each(const std::function<void(Partition&)>& visit) {
  for (auto& [tp, partition] : partitions_) visit(*partition);
}

void ReplicaManager::on_dir_offline(const std::vector<TopicPartition>& lost) {
  for (const TopicPartition& tp : lost) {
    if (Partition* partition = find(tp.topic, tp.partition)) partition->set_log(nullptr);
    wake(tp);
  }
}

void ReplicaManager::wake(const TopicPartition& tp) {
  produce_.check(tp);
  fetch_.check(tp);
}

void ReplicaManager::expire_all() {
  produce_.expire_all();
  fetch_.expire_all();
}

void ReplicaManager::check_invariants() const {
  for (const auto& [tp, partition] : partitions_) partition->check_invariants();
}

}  // namespace ottla::broker
