#include "broker/group/coordinator.h"

#include <algorithm>

#include "broker/group/internal.h"
#include "common/base/check.h"
#include "proto/kafka/java_string.h"

namespace ottla::broker {

using kmsg::ErrorCode;

int32_t group_partition_for(std::string_view group_id, int32_t partition_count) {
  return kmsg::java_abs(kmsg::java_string_hash(group_id)) % partition_count;
}

GroupCoordinator::GroupCoordinator(const GroupConfig& config, GroupHooks hooks,
                                   int32_t partition_count)
    : config_(config), hooks_(std::move(hooks)), partition_count_(partition_count) {}
GroupCoordinator::~GroupCoordinator() = default;

void GroupCoordinator::set_partition_count(int32_t partition_count) {
  OTTLA_CHECK(partition_count > 0 && groups_.empty());
  partition_count_ = partition_count;
}

int32_t GroupCoordinator::partition_for(std::string_view group_id) const {
  return group_partition_for(group_id, partition_count_);
}

void GroupCoordinator::start(const GroupClock& clock, GroupEffects& effects) {
  active_ = true;
  next_expiry_check_ = after_ms(clock.now, config_.offsets_retention_check_interval_ms);
  effects.timer = next_deadline();
}

ErrorCode GroupCoordinator::refusal(std::string_view group_id, Api api) const {
  if (api == Api::needs_group_id && group_id.empty()) return ErrorCode::invalid_group_id;
  if (!active_) return ErrorCode::coordinator_not_available;
  int32_t partition = partition_for(group_id);
  if (loading_.contains(partition)) return ErrorCode::coordinator_load_in_progress;
  if (!owned_.contains(partition)) return ErrorCode::not_coordinator;
  return ErrorCode::none;
}

const Group* GroupCoordinator::find(std::string_view group_id) const {
  auto at = groups_.find(group_id);
  return at == groups_.end() ? nullptr : at->second.get();
}
Group* GroupCoordinator::find_mutable(std::string_view group_id) {
  auto at = groups_.find(group_id);
  return at == groups_.end() ? nullptr : at->second.get();
}
Group* GroupCoordinator::find_incarnation(std::string_view group_id, uint64_t incarnation) {
  Group* group = find_mutable(group_id);
  return group != nullptr && group->incarnation == incarnation ? group : nullptr;
}

Group& GroupCoordinator::create_group(std::string_view group_id, const GroupClock& clock) {
  auto group = std::make_unique<Group>(std::string(group_id), next_incarnation_++, clock.wall_ms);
  Group& created = *group;
  groups_[created.id] = std::move(group);
  return created;
}

void GroupCoordinator::forget(const Group& group) {
  for (int64_t producer_id : group.offsets.producers()) {
    auto at = groups_of_producer_.find(producer_id);
    if (at == groups_of_producer_.end()) continue;
    at->second.erase(group.id);
    if (at->second.empty()) groups_of_producer_.erase(at);
  }
  groups_.erase(groups_.find(group.id));
}

// -- Time --------------------------------------------------------------------------------------

std::optional<Instant> GroupCoordinator::next_deadline() const {
  if (!active_) return std::nullopt;
  return std::min(timers_.earliest().value_or(kNever), next_expiry_check_);
}

void GroupCoordinator::on_time(const GroupClock& clock, GroupEffects& effects) {
  Step step{clock, effects};
  if (active_ && next_expiry_check_ <= clock.now) {
    expire_offsets(step);
    next_expiry_check_ = after_ms(clock.now, config_.offsets_retention_check_interval_ms);
  }
  settle(step);
}

void GroupCoordinator::settle(Step& step) {
  while (auto due = timers_.pop_due(step.clock.now)) fire(step, due->second, due->first);
  step.effects.timer = next_deadline();
}

void GroupCoordinator::arm(Deadline& deadline, Instant at, TimerKey key) {
  deadline.at = at;
  if (at >= deadline.queued) return;  // the entry in the queue comes first and will be moved
  deadline.queued = at;
  timers_.push(at, std::move(key));
}

void GroupCoordinator::arm_session(Step& step, Group& group, Member& member) {
  arm(member.session, after_ms(step.clock.now, member.session_timeout_ms),
      {TimerKey::Kind::session, group.incarnation, group.id, member.member_id});
}

void GroupCoordinator::arm_new_member(Step& step, Group& group, Member& member) {
  arm(member.session, after_ms(step.clock.now, kNewMemberJoinTimeoutMs),
      {TimerKey::Kind::session, group.incarnation, group.id, member.member_id});
}

void GroupCoordinator::arm_join(Step& step, Group& group, int64_t delay_ms) {
  arm(group.join_deadline, after_ms(step.clock.now, delay_ms),
      {TimerKey::Kind::join, group.incarnation, group.id, {}});
}

void GroupCoordinator::fire(Step& step, const TimerKey& key, Instant at) {
  Group* group = find_incarnation(key.group_id, key.incarnation);
  if (group == nullptr) return;
  Deadline* deadline = nullptr;
  switch (key.kind) {
    case TimerKey::Kind::session:
      if (Member* member = group->find(key.member_id)) deadline = &member->session;
      break;
    case TimerKey::Kind::pending_member: {
      auto pending = group->pending_members.find(key.member_id);
      if (pending != group->pending_members.end()) deadline = &pending->second;
      break;
    }
    case TimerKey::Kind::join:
      deadline = &group->join_deadline;
      break;
    case TimerKey::Kind::sync:
      deadline = &group->sync_deadline;
      break;
  }
  if (deadline == nullptr || deadline->queued != at) return;  // an entry that was overtaken
  deadline->queued = kNever;
  if (!deadline->armed()) return;
  if (deadline->at > step.clock.now) {
    arm(*deadline, deadline->at, key);
    return;
  }
  deadline->disarm();
  switch (key.kind) {
    case TimerKey::Kind::session:
      fire_session(step, *group, key.member_id);
      break;
    case TimerKey::Kind::pending_member:
      remove_pending_member(step, *group, key.member_id);
      break;
    case TimerKey::Kind::join:
      fire_join(step, *group);
      break;
    case TimerKey::Kind::sync:
      fire_sync(step, *group);
      break;
  }
}

// -- Append outcomes -----------------------------------------------------------------------------

namespace {

// What members are told when their group's record could not be appended.
ErrorCode map_group_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
      return ErrorCode::coordinator_not_available;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::kafka_storage_error:
      return ErrorCode::not_coordinator;
    case ErrorCode::request_timed_out:
      return ErrorCode::rebalance_in_progress;
    case ErrorCode::message_too_large:
    case ErrorCode::record_list_too_large:
    case ErrorCode::invalid_fetch_size:
      return ErrorCode::unknown_server_error;
    default:
      return error;
  }
}

}  // namespace

void GroupCoordinator::on_appended(AppendTicket ticket, ErrorCode error, int64_t base_offset,
                                   const GroupClock& clock, GroupEffects& effects) {
  Step step{clock, effects};
  auto at = pending_.find(ticket);
  OTTLA_CHECK(at != pending_.end(), "an append is answered once");
  std::unique_ptr<PendingAppend> pending = std::move(at->second);
  pending_.erase(at);
  Group* group = find_incarnation(pending->group_id, pending->incarnation);
  switch (pending->kind) {
    case PendingAppend::Kind::empty_group:
      if (error != ErrorCode::none)
        effects.notes.push_back(fmt::format("group {}: its empty state could not be stored: {}",
                                            pending->group_id, kmsg::error_name(error)));
      break;
    case PendingAppend::Kind::assignment:
      if (group != nullptr) finish_assignment(step, *group, *pending, map_group_error(error));
      break;
    case PendingAppend::Kind::static_replacement:
      if (group != nullptr)
        finish_static_replacement(step, *group, *pending, map_group_error(error));
      break;
    case PendingAppend::Kind::commit:
    case PendingAppend::Kind::txn_commit:
      finish_commit(step, group, *pending, error, base_offset);
      break;
  }
  settle(step);
}

void GroupCoordinator::append_group(Step& step, Group& group,
                                    const std::map<std::string, std::string>* assignments,
                                    PendingAppend pending) {
  kmsg::GroupMetadataValue value;
  value.protocol_type = group.protocol_type.value_or("");
  value.generation = group.generation;
  value.protocol = group.protocol_name;
  value.leader = group.leader_id;
  value.current_state_timestamp = group.state_timestamp_ms;
  for (const auto& [member_id, member] : group.members()) {
    auto& stored = value.members.emplace_back();
    stored.member_id = member_id;
    stored.group_instance_id = member.instance_id;
    stored.client_id = member.client_id;
    stored.client_host = member.client_host;
    stored.rebalance_timeout = member.rebalance_timeout_ms;
    stored.session_timeout = member.session_timeout_ms;
    const std::string* metadata = member.metadata(group.protocol_name.value_or(""));
    OTTLA_CHECK(metadata != nullptr, group.describe());
    stored.subscription = *metadata;
    if (assignments == nullptr) {
      stored.assignment = member.assignment;
    } else if (auto given = assignments->find(member_id); given != assignments->end()) {
      stored.assignment = given->second;
    }
  }
  pending.group_id = group.id;
  pending.incarnation = group.incarnation;
  pending.generation = group.generation;
  GroupEffects::Append& append = step.effects.appends.emplace_back();
  append.partition = partition_for(group.id);
  append.ticket = next_ticket_++;
  append.required_acks = config_.offsets_commit_required_acks;
  append.timestamp_ms = step.clock.wall_ms;
  append.records.push_back(group_record(group.id, value));
  pending_[append.ticket] = std::make_unique<PendingAppend>(std::move(pending));
}

// -- Views ---------------------------------------------------------------------------------------

GroupCoordinator::Counts GroupCoordinator::counts() const {
  Counts counts;
  for (const auto& [group_id, group] : groups_) {
    ++counts.groups;
    counts.offsets += group->offsets.committed().size();
    switch (group->state()) {
      case GroupState::empty:
        ++counts.empty;
        break;
      case GroupState::preparing_rebalance:
        ++counts.preparing_rebalance;
        break;
      case GroupState::completing_rebalance:
        ++counts.completing_rebalance;
        break;
      case GroupState::stable:
        ++counts.stable;
        break;
      case GroupState::dead:
        ++counts.dead;
        break;
    }
  }
  return counts;
}

std::string GroupCoordinator::describe() const {
  std::string text = fmt::format(
      "group coordinator: {} partitions loaded, {} loading, {} appends "
      "pending",
      owned_.size(), loading_.size(), pending_.size());
  for (const auto& [group_id, group] : groups_) text += "\n" + group->describe();
  return text;
}

void GroupCoordinator::check_invariants() const {
  for (const auto& [group_id, group] : groups_) {
    OTTLA_CHECK(group->id == group_id && !group->is(GroupState::dead), group->describe());
    int32_t partition = partition_for(group_id);
    OTTLA_CHECK(owned_.contains(partition) || loading_.contains(partition), group->describe());
    group->check_invariants();
  }
  for (const auto& [partition, loading] : loading_)
    OTTLA_CHECK(!owned_.contains(partition), describe());
  for (const auto& [producer_id, group_ids] : groups_of_producer_)
    for (const std::string& group_id : group_ids) OTTLA_CHECK(groups_.contains(group_id), group_id);
}

}  // namespace ottla::broker
