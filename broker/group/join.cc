// JoinGroup: who asks, whether it may, and what its member becomes.
#include <set>

#include "broker/group/internal.h"
#include "common/base/check.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

std::vector<std::string_view> protocol_names(const kmsg::JoinGroupRequest& request) {
  std::vector<std::string_view> names;
  for (const auto& protocol : request.protocols) names.push_back(protocol.name);
  return names;
}

std::vector<GroupProtocol> protocols_of(const kmsg::JoinGroupRequest& request) {
  std::vector<GroupProtocol> protocols;
  std::set<std::string_view> seen;  // a name given twice would count as two members' support
  for (const auto& protocol : request.protocols)
    if (seen.insert(protocol.name).second)
      protocols.push_back({protocol.name, protocol.metadata});
  return protocols;
}

int32_t rebalance_timeout_ms(const kmsg::JoinGroupRequest& request, int16_t version) {
  return version == 0 ? request.session_timeout_ms : request.rebalance_timeout_ms;
}

std::string_view reason_of(const kmsg::JoinGroupRequest& request) {
  return request.reason ? std::string_view(*request.reason) : "not provided";
}

// The present generation, as a member learns it that need not wait for a new one.
kmsg::JoinGroupResponse generation_of(const Group& group, const std::string& member_id,
                                      bool with_members) {
  kmsg::JoinGroupResponse response;
  response.generation_id = group.generation;
  response.protocol_type = group.protocol_type;
  response.protocol_name = group.protocol_name;
  response.leader = group.leader_id.value_or("");
  response.member_id = member_id;
  if (!with_members) return response;
  for (const auto& [id, member] : group.members()) {
    auto& listed = response.members.emplace_back();
    listed.member_id = id;
    listed.group_instance_id = member.instance_id;
    const std::string* metadata = member.metadata(group.protocol_name.value_or(""));
    if (metadata != nullptr) listed.metadata = *metadata;
  }
  return response;
}

// Whether group.max.size leaves room for this member.
bool has_room(const Group& group, const std::string& member_id, size_t max_size) {
  switch (group.state()) {
    case GroupState::empty:
    case GroupState::dead:
      return true;
    case GroupState::preparing_rebalance: {
      const Member* member = group.find(member_id);
      return (member != nullptr && member->awaiting_join) || group.awaiting_join() < max_size;
    }
    case GroupState::completing_rebalance:
    case GroupState::stable:
      return group.has(member_id) || group.members().size() < max_size;
  }
  return false;
}

}  // namespace

void GroupCoordinator::join_group(ReplyTicket ticket, const kmsg::JoinGroupRequest& request,
                                  const GroupContext& context, GroupEffects& effects) {
  Step step{context.clock, effects};
  handle_join(step, ticket, request, context);
  settle(step);
}

void GroupCoordinator::handle_join(Step& step, ReplyTicket ticket,
                                   const kmsg::JoinGroupRequest& request,
                                   const GroupContext& context) {
  auto refuse = [&](std::string member_id, ErrorCode error) {
    step.effects.replies.push_back(
        join_reply(ticket, context.api_version, join_error(std::move(member_id), error)));
  };
  ErrorCode error = refusal(request.group_id, Api::needs_group_id);
  if (error != ErrorCode::none) return refuse(request.member_id, error);
  if (request.session_timeout_ms < config_.min_session_timeout_ms ||
      request.session_timeout_ms > config_.max_session_timeout_ms)
    return refuse(request.member_id, ErrorCode::invalid_session_timeout);

  Group* group = find_mutable(request.group_id);
  if (group == nullptr) {
    if (!request.member_id.empty()) return refuse(request.member_id, ErrorCode::unknown_member_id);
    group = &create_group(request.group_id, step.clock);
  }
  if (!has_room(*group, request.member_id, static_cast<size_t>(config_.max_size))) {
    group->remove(request.member_id);
    refuse("", ErrorCode::group_max_size_reached);
  } else if (!group->supports(request.protocol_type, protocol_names(request))) {
    refuse(request.member_id, ErrorCode::inconsistent_group_protocol);
  } else if (request.member_id.empty()) {
    join_new_member(step, *group, ticket, request, context);
  } else {
    join_known_member(step, *group, ticket, request, context);
  }
  maybe_complete_join(step, *group);
}

void GroupCoordinator::join_new_member(Step& step, Group& group, ReplyTicket ticket,
                                       const kmsg::JoinGroupRequest& request,
                                       const GroupContext& context) {
  if (request.group_instance_id) {
    std::string member_id = make_member_id(*request.group_instance_id);
    const std::string* old_member_id = group.static_member_id(*request.group_instance_id);
    if (old_member_id != nullptr)
      replace_static_member(step, group, std::string(*old_member_id), member_id, ticket, request,
                            context);
    else
      add_member(step, group, std::move(member_id), ticket, request, context);
    return;
  }
  std::string member_id = make_member_id(context.client_id);
  if (context.api_version < 4) {
    add_member(step, group, std::move(member_id), ticket, request, context);
    return;
  }
  // KIP-394: a client that never hears this answer leaves no member behind.
  Deadline& deadline = group.pending_members[member_id];
  arm(deadline, after_ms(step.clock.now, request.session_timeout_ms),
      {TimerKey::Kind::pending_member, group.incarnation, group.id, member_id});
  step.effects.replies.push_back(join_reply(ticket, context.api_version,
                                            join_error(member_id, ErrorCode::member_id_required)));
}

void GroupCoordinator::join_known_member(Step& step, Group& group, ReplyTicket ticket,
                                         const kmsg::JoinGroupRequest& request,
                                         const GroupContext& context) {
  auto answer = [&](kmsg::JoinGroupResponse response) {
    step.effects.replies.push_back(join_reply(ticket, context.api_version, std::move(response)));
  };
  if (group.pending_members.contains(request.member_id)) {
    if (request.group_instance_id)  // only dynamic members are ever pending
      return answer(join_error("", ErrorCode::unknown_server_error));
    return add_member(step, group, request.member_id, ticket, request, context);
  }
  ErrorCode error = validate_member(group, request.member_id, request.group_instance_id);
  if (error != ErrorCode::none) return answer(join_error(request.member_id, error));

  Member& member = *group.find(request.member_id);
  bool same_protocols = member.protocols == protocols_of(request);
  bool is_leader = group.is_leader(member.member_id);
  switch (group.state()) {
    case GroupState::preparing_rebalance:
      return update_member(step, group, member, ticket, request, context, "member rejoins");
    case GroupState::completing_rebalance:
      // Most likely the answer to its join was lost: the generation is still the one it needs.
      if (same_protocols) return answer(generation_of(group, member.member_id, is_leader));
      return update_member(step, group, member, ticket, request, context, "protocols changed");
    case GroupState::stable:
      // A leader rejoins to have partitions assigned anew (metadata changed).
      if (is_leader)
        return update_member(step, group, member, ticket, request, context, "leader rejoins");
      if (!same_protocols)
        return update_member(step, group, member, ticket, request, context, "protocols changed");
      return answer(generation_of(group, member.member_id, false));
    case GroupState::empty:
    case GroupState::dead:
      return answer(join_error(request.member_id, ErrorCode::unknown_member_id));
  }
}

void GroupCoordinator::add_member(Step& step, Group& group, std::string member_id,
                                  ReplyTicket ticket, const kmsg::JoinGroupRequest& request,
                                  const GroupContext& context) {
  Member added;
  added.member_id = std::move(member_id);
  added.instance_id = request.group_instance_id;
  added.client_id = context.client_id;
  added.client_host = context.client_host;
  added.rebalance_timeout_ms = rebalance_timeout_ms(request, context.api_version);
  added.session_timeout_ms = request.session_timeout_ms;
  added.protocols = protocols_of(request);
  added.is_new = true;
  added.awaiting_join = Member::Parked{ticket, context.api_version};
  // The initial delay is only extended in the first round of a group's life.
  if (group.is(GroupState::preparing_rebalance) && group.generation == 0)
    group.new_member_added = true;
  Member& member = group.add(std::move(added), request.protocol_type);
  arm_new_member(step, group, member);
  maybe_prepare_rebalance(
      step, group,
      fmt::format("member {} added; client: {}", member.member_id, reason_of(request)));
}

void GroupCoordinator::update_member(Step& step, Group& group, Member& member, ReplyTicket ticket,
                                     const kmsg::JoinGroupRequest& request,
                                     const GroupContext& context, std::string_view reason) {
  // Its older join, on another connection, is told to try again.
  if (member.awaiting_join)
    reply_join(step, group, member, join_error(member.member_id, ErrorCode::rebalance_in_progress));
  group.set_protocols(member, protocols_of(request));
  member.rebalance_timeout_ms = rebalance_timeout_ms(request, context.api_version);
  member.session_timeout_ms = request.session_timeout_ms;
  group.park_join(member, Member::Parked{ticket, context.api_version});
  maybe_prepare_rebalance(
      step, group, fmt::format("{}: {}; client: {}", reason, member.member_id, reason_of(request)));
}

void GroupCoordinator::replace_static_member(Step& step, Group& group,
                                             const std::string& old_member_id,
                                             const std::string& new_member_id, ReplyTicket ticket,
                                             const kmsg::JoinGroupRequest& request,
                                             const GroupContext& context) {
  PendingAppend pending;
  pending.kind = PendingAppend::Kind::static_replacement;
  pending.instance_id = *request.group_instance_id;
  pending.old_member_id = old_member_id;
  pending.new_member_id = new_member_id;
  pending.old_leader = group.leader_id.value_or("");
  pending.parked = {ticket, context.api_version};

  Member& old_member = *group.find(old_member_id);
  reply_join(step, group, old_member, join_error(old_member_id, ErrorCode::fenced_instance_id));
  reply_sync(step, old_member, sync_error(ErrorCode::fenced_instance_id));
  pending.old_protocols = old_member.protocols;
  pending.old_rebalance_timeout_ms = old_member.rebalance_timeout_ms;
  pending.old_session_timeout_ms = old_member.session_timeout_ms;

  Member& member = group.rename_static(pending.instance_id, old_member_id, new_member_id);
  arm_session(step, group, member);
  group.set_protocols(member, protocols_of(request));
  member.rebalance_timeout_ms = rebalance_timeout_ms(request, context.api_version);
  member.session_timeout_ms = request.session_timeout_ms;
  group.park_join(member, pending.parked);
  step.effects.notes.push_back(fmt::format("group {}: static member {} replaces {}", group.id,
                                           new_member_id, old_member_id));
  switch (group.state()) {
    case GroupState::stable:
      // Stored before it is answered, else a new coordinator would fence the new id.
      if (group.protocol_name == group.vote())
        append_group(step, group, nullptr, std::move(pending));
      else
        maybe_prepare_rebalance(step, group, "a static member's protocols change the vote");
      break;
    case GroupState::completing_rebalance:
      prepare_rebalance(step, group, fmt::format("static member {} rejoins", new_member_id));
      break;
    case GroupState::preparing_rebalance:
    case GroupState::empty:
    case GroupState::dead:
      break;
  }
}

void GroupCoordinator::finish_static_replacement(Step& step, Group& group, PendingAppend& pending,
                                                 ErrorCode error) {
  Member* member = group.find(pending.new_member_id);
  if (member == nullptr || !member->awaiting_join) return;  // answered meanwhile
  if (error != ErrorCode::none) {
    kmsg::JoinGroupResponse response = generation_of(group, "", false);
    response.leader = pending.old_leader;
    response.error_code = error;
    reply_join(step, group, *member, std::move(response));
    // Others may have joined by what it brought; then that must stay.
    if (group.is(GroupState::stable) && group.generation == pending.generation)
      group.set_protocols(*member, std::move(pending.old_protocols));
    member->rebalance_timeout_ms = pending.old_rebalance_timeout_ms;
    member->session_timeout_ms = pending.old_session_timeout_ms;
    Member& restored =
        group.rename_static(pending.instance_id, pending.new_member_id, pending.old_member_id);
    arm_session(step, group, restored);
    return;
  }
  // A rebalance that began meanwhile answers the join with its own generation.
  if (!group.is(GroupState::stable) || group.generation != pending.generation) return;
  bool can_skip_assignment = pending.parked.api_version >= 9;
  bool is_leader = group.is_leader(member->member_id);
  kmsg::JoinGroupResponse response =
      generation_of(group, member->member_id, can_skip_assignment && is_leader);
  if (can_skip_assignment)
    response.skip_assignment = is_leader;  // KIP-814: it sees the members but does not assign
  else
    response.leader = pending.old_leader;  // so that an old client does not take itself for one
  reply_join(step, group, *member, std::move(response));
  arm_session(step, group, *member);
}

std::string GroupCoordinator::make_member_id(std::string_view prefix) {
  uint64_t high = (hooks_.random() & ~0xf000ull) | 0x4000ull;
  uint64_t low = (hooks_.random() & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", prefix, high >> 32,
                     (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffffffffffffull);
}

}  // namespace ottla::broker
