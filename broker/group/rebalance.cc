// A rebalance: members gather (preparing), a generation is formed and its leader assigns
// (completing), the assignment is stored and handed out (stable). Also what ends membership.
#include <algorithm>

#include "broker/group/internal.h"
#include "common/base/check.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void GroupCoordinator::maybe_prepare_rebalance(Step& step, Group& group, std::string_view reason) {
  if (group.can_rebalance()) prepare_rebalance(step, group, reason);
}

void GroupCoordinator::prepare_rebalance(Step& step, Group& group, std::string_view reason) {
  if (group.is(GroupState::completing_rebalance)) {
    for (const auto& [member_id, unused] : group.members())
      group.find(member_id)->assignment.clear();
    propagate_assignment(step, group, ErrorCode::rebalance_in_progress);
  }
  group.pending_sync.clear();
  group.sync_deadline.disarm();

  // The first members of an empty group are given time to arrive together.
  group.initial_delay = group.is(GroupState::empty);
  int64_t delay_ms = group.rebalance_timeout_ms();
  if (group.initial_delay) {
    group.initial_delay_ms = config_.initial_rebalance_delay_ms;
    group.initial_remaining_ms = std::max<int64_t>(delay_ms - group.initial_delay_ms, 0);
    delay_ms = group.initial_delay_ms;
  }
  group.become(GroupState::preparing_rebalance, step.clock.wall_ms);
  arm_join(step, group, delay_ms);
  step.effects.notes.push_back(fmt::format("group {}: preparing to rebalance generation {} ({})",
                                           group.id, group.generation, reason));
  maybe_complete_join(step, group);
}

void GroupCoordinator::maybe_complete_join(Step& step, Group& group) {
  if (group.is(GroupState::preparing_rebalance) && !group.initial_delay && group.all_joined())
    complete_join(step, group);
}

void GroupCoordinator::fire_join(Step& step, Group& group) {
  if (!group.is(GroupState::preparing_rebalance)) return;
  if (group.initial_delay && group.new_member_added && group.initial_remaining_ms != 0) {
    group.new_member_added = false;
    int64_t delay_ms =
        std::min<int64_t>(config_.initial_rebalance_delay_ms, group.initial_remaining_ms);
    group.initial_remaining_ms =
        std::max<int64_t>(group.initial_remaining_ms - group.initial_delay_ms, 0);
    group.initial_delay_ms = delay_ms;
    arm_join(step, group, delay_ms);
    return;
  }
  complete_join(step, group);
}

void GroupCoordinator::complete_join(Step& step, Group& group) {
  std::vector<std::string> missing;
  for (const auto& [member_id, member] : group.members())
    if (!member.awaiting_join && !member.instance_id) missing.push_back(member_id);
  for (const std::string& member_id : missing) {
    step.effects.notes.push_back(
        fmt::format("group {}: member {} did not rejoin in time", group.id, member_id));
    group.remove(member_id);
  }
  if (!group.elect_joined_leader() && !group.members().empty()) {
    // Only static members are left and none has come: their partitions are kept for them.
    group.initial_delay = false;
    arm_join(step, group, std::max(1, group.rebalance_timeout_ms()));
    return;
  }
  group.begin_generation(step.clock.wall_ms);
  if (group.is(GroupState::empty)) {
    step.effects.notes.push_back(
        fmt::format("group {}: generation {} is empty", group.id, group.generation));
    append_group(step, group, nullptr, {});
    return;
  }
  step.effects.notes.push_back(fmt::format("group {}: generation {} formed by {} members", group.id,
                                           group.generation, group.members().size()));
  kmsg::JoinGroupResponse for_leader;
  for_leader.generation_id = group.generation;
  for_leader.protocol_type = group.protocol_type;
  for_leader.protocol_name = group.protocol_name;
  for_leader.leader = *group.leader_id;
  kmsg::JoinGroupResponse for_others = for_leader;
  for (const auto& [member_id, member] : group.members()) {
    auto& listed = for_leader.members.emplace_back();
    listed.member_id = member_id;
    listed.group_instance_id = member.instance_id;
    listed.metadata = *member.metadata(*group.protocol_name);
  }
  for (const auto& [member_id, unused] : group.members()) {
    Member& member = *group.find(member_id);
    kmsg::JoinGroupResponse response = group.is_leader(member_id) ? for_leader : for_others;
    response.member_id = member_id;
    reply_join(step, group, member, std::move(response));
    member.is_new = false;
    arm_session(step, group, member);
    group.pending_sync.insert(member_id);
  }
  arm(group.sync_deadline, after_ms(step.clock.now, group.rebalance_timeout_ms()),
      {TimerKey::Kind::sync, group.incarnation, group.id, {}});
}

// -- SyncGroup
// -------------------------------------------------------------------------------------

void GroupCoordinator::sync_group(ReplyTicket ticket, const kmsg::SyncGroupRequest& request,
                                  const GroupContext& context, GroupEffects& effects) {
  Step step{context.clock, effects};
  handle_sync(step, ticket, request, context);
  settle(step);
}

void GroupCoordinator::handle_sync(Step& step, ReplyTicket ticket,
                                   const kmsg::SyncGroupRequest& request,
                                   const GroupContext& context) {
  auto refuse = [&](ErrorCode code) { step.effects.replies.push_back({ticket, sync_error(code)}); };
  // KIP-559: since version 5 the member says which protocol it believes in.
  if (context.api_version >= 5 && !(request.protocol_type && request.protocol_name))
    return refuse(ErrorCode::inconsistent_group_protocol);
  ErrorCode error = refusal(request.group_id, Api::needs_group_id);
  if (error == ErrorCode::coordinator_load_in_progress)
    return refuse(ErrorCode::rebalance_in_progress);  // rejoining is what it has to do anyway
  if (error != ErrorCode::none) return refuse(error);
  Group* group = find_mutable(request.group_id);
  if (group == nullptr) return refuse(ErrorCode::unknown_member_id);
  error = validate_member(*group, request.member_id, request.group_instance_id);
  if (error != ErrorCode::none) return refuse(error);
  if (request.generation_id != group->generation) return refuse(ErrorCode::illegal_generation);
  if ((request.protocol_type && request.protocol_type != group->protocol_type) ||
      (request.protocol_name && request.protocol_name != group->protocol_name))
    return refuse(ErrorCode::inconsistent_group_protocol);

  Member& member = *group->find(request.member_id);
  switch (group->state()) {
    case GroupState::empty:
    case GroupState::dead:
      return refuse(ErrorCode::unknown_member_id);
    case GroupState::preparing_rebalance:
      return refuse(ErrorCode::rebalance_in_progress);
    case GroupState::stable: {
      synced(*group, member.member_id);
      kmsg::SyncGroupResponse response;
      response.protocol_type = group->protocol_type;
      response.protocol_name = group->protocol_name;
      response.assignment = member.assignment;
      step.effects.replies.push_back({ticket, std::move(response)});
      return arm_session(step, *group, member);
    }
    case GroupState::completing_rebalance:
      break;
  }
  reply_sync(step, member, sync_error(ErrorCode::rebalance_in_progress));  // an older one of its
  member.awaiting_sync = Member::Parked{ticket, context.api_version};
  synced(*group, member.member_id);
  if (!group->is_leader(member.member_id)) return;

  PendingAppend pending;
  pending.kind = PendingAppend::Kind::assignment;
  for (const auto& [member_id, unused] : group->members()) pending.assignments[member_id];
  for (const auto& assignment : request.assignments)
    pending.assignments[assignment.member_id] = assignment.assignment;
  std::map<std::string, std::string> assignments = pending.assignments;
  append_group(step, *group, &assignments, std::move(pending));
  ++completed_rebalances_;
}

void GroupCoordinator::synced(Group& group, const std::string& member_id) {
  group.pending_sync.erase(member_id);
  if (group.pending_sync.empty()) group.sync_deadline.disarm();
}

void GroupCoordinator::finish_assignment(Step& step, Group& group, PendingAppend& pending,
                                         ErrorCode error) {
  if (!group.is(GroupState::completing_rebalance) || group.generation != pending.generation)
    return;  // overtaken by another rebalance, which has told the members
  for (const auto& [member_id, unused] : group.members()) {
    Member& member = *group.find(member_id);
    member.assignment = error == ErrorCode::none ? std::move(pending.assignments[member_id]) : "";
  }
  propagate_assignment(step, group, error);
  if (error == ErrorCode::none)
    group.become(GroupState::stable, step.clock.wall_ms);
  else
    maybe_prepare_rebalance(step, group,
                            fmt::format("assignment not stored: {}", kmsg::error_name(error)));
}

void GroupCoordinator::propagate_assignment(Step& step, Group& group, ErrorCode error) {
  for (const auto& [member_id, unused] : group.members()) {
    Member& member = *group.find(member_id);
    kmsg::SyncGroupResponse response = sync_error(error);
    response.assignment = member.assignment;
    if (error == ErrorCode::none) {
      response.protocol_type = group.protocol_type;
      response.protocol_name = group.protocol_name;
    }
    if (reply_sync(step, member, std::move(response))) arm_session(step, group, member);
  }
}

void GroupCoordinator::fire_sync(Step& step, Group& group) {
  if (!group.is(GroupState::completing_rebalance) && !group.is(GroupState::stable)) return;
  if (group.pending_sync.empty()) return;
  std::set<std::string> silent = group.pending_sync;
  for (const std::string& member_id : silent) {
    // A static member's successor may be waiting for its record.
    reply_join(step, group, *group.find(member_id), join_error("", ErrorCode::unknown_member_id));
    group.remove(member_id);
  }
  prepare_rebalance(step, group, fmt::format("{} members sent no SyncGroup", silent.size()));
}

// -- Replies to parked members -----------------------------------------------------------------

void GroupCoordinator::reply_join(Step& step, Group& group, Member& member,
                                  kmsg::JoinGroupResponse response) {
  if (!member.awaiting_join) return;
  Member::Parked parked = *member.awaiting_join;
  group.park_join(member, std::nullopt);
  step.effects.replies.push_back(
      join_reply(parked.ticket, parked.api_version, std::move(response)));
}

bool GroupCoordinator::reply_sync(Step& step, Member& member, kmsg::SyncGroupResponse response) {
  if (!member.awaiting_sync) return false;
  step.effects.replies.push_back({member.awaiting_sync->ticket, std::move(response)});
  member.awaiting_sync.reset();
  return true;
}

// -- The end of membership
// -------------------------------------------------------------------------

ErrorCode GroupCoordinator::validate_member(const Group& group, const std::string& member_id,
                                            const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const std::string* current = group.static_member_id(*instance_id);
    if (current == nullptr) return ErrorCode::unknown_member_id;
    return *current == member_id ? ErrorCode::none : ErrorCode::fenced_instance_id;
  }
  return group.has(member_id) ? ErrorCode::none : ErrorCode::unknown_member_id;
}

void GroupCoordinator::remove_member(Step& step, Group& group, const std::string& member_id,
                                     std::string_view reason) {
  Member& member = *group.find(member_id);
  reply_join(step, group, member, join_error("", ErrorCode::unknown_member_id));
  reply_sync(step, member, sync_error(ErrorCode::unknown_member_id));
  std::string note = fmt::format("member {} {}", member_id, reason);
  group.remove(member_id);
  switch (group.state()) {
    case GroupState::stable:
    case GroupState::completing_rebalance:
      return prepare_rebalance(step, group, note);
    case GroupState::preparing_rebalance:
      return maybe_complete_join(step, group);
    case GroupState::empty:
    case GroupState::dead:
      return;
  }
}

void GroupCoordinator::remove_pending_member(Step& step, Group& group,
                                             const std::string& member_id) {
  group.remove(member_id);
  maybe_complete_join(step, group);
}

void GroupCoordinator::fire_session(Step& step, Group& group, const std::string& member_id) {
  Member& member = *group.find(member_id);
  // Who is parked waits for us, not we for it; its answer arms the session again.
  if (!member.is_new && (member.awaiting_join || member.awaiting_sync)) return;
  step.effects.notes.push_back(
      fmt::format("group {}: member {} failed: no heartbeat in time", group.id, member_id));
  remove_member(step, group, member_id, "failed");
}

kmsg::HeartbeatResponse GroupCoordinator::heartbeat(const kmsg::HeartbeatRequest& request,
                                                    const GroupContext& context,
                                                    GroupEffects& effects) {
  Step step{context.clock, effects};
  auto decide = [&]() -> ErrorCode {
    ErrorCode error = refusal(request.group_id, Api::needs_group_id);
    // A member of a group that is being loaded must not lose its place.
    if (error == ErrorCode::coordinator_load_in_progress) return ErrorCode::none;
    if (error != ErrorCode::none) return error;
    Group* group = find_mutable(request.group_id);
    if (group == nullptr) return ErrorCode::unknown_member_id;
    error = validate_member(*group, request.member_id, request.group_instance_id);
    if (error != ErrorCode::none) return error;
    if (request.generation_id != group->generation) return ErrorCode::illegal_generation;
    if (group->is(GroupState::empty)) return ErrorCode::unknown_member_id;
    arm_session(step, *group, *group->find(request.member_id));
    return group->is(GroupState::preparing_rebalance) ? ErrorCode::rebalance_in_progress
                                                      : ErrorCode::none;
  };
  kmsg::HeartbeatResponse response;
  response.error_code = decide();
  settle(step);
  return response;
}

kmsg::LeaveGroupResponse GroupCoordinator::leave_group(const kmsg::LeaveGroupRequest& request,
                                                       const GroupContext& context,
                                                       GroupEffects& effects) {
  Step step{context.clock, effects};
  Group* group = nullptr;
  auto leave = [&](const std::string& member_id,
                   const std::optional<std::string>& instance_id) -> ErrorCode {
    if (group == nullptr) return ErrorCode::unknown_member_id;
    if (member_id.empty()) {  // by instance id alone: an operator removes a static member
      const std::string* current = instance_id ? group->static_member_id(*instance_id) : nullptr;
      if (current == nullptr) return ErrorCode::unknown_member_id;
      remove_member(step, *group, std::string(*current), "left");
      return ErrorCode::none;
    }
    if (group->pending_members.contains(member_id)) {
      remove_pending_member(step, *group, member_id);
      return ErrorCode::none;
    }
    ErrorCode error = validate_member(*group, member_id, instance_id);
    if (error == ErrorCode::none) remove_member(step, *group, member_id, "left");
    return error;
  };

  kmsg::LeaveGroupResponse response;
  ErrorCode error = refusal(request.group_id, Api::needs_group_id);
  if (error == ErrorCode::none) group = find_mutable(request.group_id);
  if (error == ErrorCode::none && context.api_version < 3) {
    error = leave(request.member_id, std::nullopt);
  } else if (error == ErrorCode::none) {
    for (const auto& leaving : request.members) {
      auto& left = response.members.emplace_back();
      left.member_id = leaving.member_id;
      left.group_instance_id = leaving.group_instance_id;
      left.error_code = leave(leaving.member_id, leaving.group_instance_id);
    }
  }
  response.error_code = error;
  settle(step);
  return response;
}

}  // namespace ottla::broker
