// Becoming and ceasing to be coordinator of a partition; and the questions that change nothing.
#include <algorithm>
#include <set>

#include "broker/group/internal.h"
#include "common/base/check.h"
#include "common/wire/repeats.h"

namespace ottla::broker {

using kmsg::ErrorCode;

bool GroupCoordinator::begin_load(int32_t partition, int32_t epoch) {
  auto [known, is_new] = epochs_.try_emplace(partition, epoch);
  if (!is_new && known->second > epoch) return false;  // a newer leadership is known
  known->second = epoch;
  if (owned_.contains(partition) || loading_.contains(partition)) return false;
  loading_[partition] = std::make_unique<Loading>();
  return true;
}

void GroupCoordinator::replay(int32_t partition, const LoadedRecord& record) {
  auto at = loading_.find(partition);
  if (at == loading_.end()) return;  // unloaded while the log was being read
  Loading& loading = *at->second;
  ParsedRecord parsed = parse_group_record(record.key, record.value);
  if (auto* offset = std::get_if<ParsedOffset>(&parsed)) {
    Loading::GroupTopicPartition key{std::move(offset->group_id), std::move(offset->partition)};
    auto& target =
        record.is_transactional ? loading.pending_txn[record.producer_id] : loading.offsets;
    if (offset->value)
      target[std::move(key)] = {std::move(*offset->value), record.batch_base_offset};
    else
      target.erase(key);
  } else if (auto* group = std::get_if<ParsedGroup>(&parsed)) {
    std::string group_id = group->group_id;
    if (group->value)
      loading.groups[group_id] = std::move(*group);
    else
      loading.groups.erase(group_id);
  } else {
    ++loading.unknown[std::get<UnknownRecord>(parsed).reason];
  }
}

void GroupCoordinator::replay_marker(int32_t partition, int64_t producer_id, bool commit) {
  auto at = loading_.find(partition);
  if (at == loading_.end()) return;
  Loading& loading = *at->second;
  auto txn = loading.pending_txn.find(producer_id);
  if (txn == loading.pending_txn.end()) return;
  if (commit) {
    for (auto& [key, logged] : txn->second) {
      auto [known, is_new] = loading.offsets.try_emplace(key, logged);
      if (!is_new && known->second.log_offset < logged.log_offset) known->second = logged;
    }
  }
  loading.pending_txn.erase(txn);
}

namespace {

void restore_members(Group& group, const ParsedGroup& parsed) {
  const kmsg::GroupMetadataValue& value = *parsed.value;
  for (const auto& stored : value.members) {
    if (group.has(stored.member_id)) continue;
    if (stored.group_instance_id && group.static_member_id(*stored.group_instance_id)) continue;
    Member member;
    member.member_id = stored.member_id;
    member.instance_id = stored.group_instance_id;
    member.client_id = stored.client_id;
    member.client_host = stored.client_host;
    member.session_timeout_ms = stored.session_timeout;
    // Version 0 had one timeout for both.
    member.rebalance_timeout_ms =
        parsed.version == 0 ? stored.session_timeout : stored.rebalance_timeout;
    member.protocols = {{value.protocol.value_or(""), stored.subscription}};
    member.assignment = stored.assignment;
    group.add(std::move(member), value.protocol_type);
  }
}

}  // namespace

void GroupCoordinator::finish_load(int32_t partition, const GroupClock& clock,
                                   GroupEffects& effects) {
  Step step{clock, effects};
  auto at = loading_.find(partition);
  if (at == loading_.end()) return;
  std::unique_ptr<Loading> loading = std::move(at->second);
  loading_.erase(at);
  owned_.insert(partition);
  for (const auto& [reason, count] : loading->unknown)
    effects.notes.push_back(fmt::format("{}-{}: {} records of an unknown kind ignored ({})",
                                        kGroupMetadataTopic, partition, count, reason));

  auto is_ours = [&](const std::string& group_id) { return partition_for(group_id) == partition; };
  for (const auto& [group_id, parsed] : loading->groups) {
    if (!is_ours(group_id)) continue;
    const kmsg::GroupMetadataValue& value = *parsed.value;
    Group& group = create_group(group_id, clock);
    group.generation = value.generation;
    if (!value.protocol_type.empty()) group.protocol_type = value.protocol_type;
    restore_members(group, parsed);
    bool has_members = !group.members().empty();
    if (has_members) {
      group.protocol_name = value.protocol.value_or("");
      if (value.leader && group.has(*value.leader)) group.leader_id = value.leader;
      group.become(GroupState::stable, clock.wall_ms);
    }
    group.state_timestamp_ms = parsed.version >= 2 ? value.current_state_timestamp : -1;
    group.refresh_subscriptions();
  }
  auto group_of = [&](const std::string& group_id) -> Group& {
    Group* known = find_mutable(group_id);
    return known != nullptr ? *known : create_group(group_id, clock);
  };
  for (auto& [key, logged] : loading->offsets)
    if (is_ours(key.first)) group_of(key.first).offsets.restore(key.second, std::move(logged));
  for (auto& [producer_id, offsets] : loading->pending_txn) {
    for (auto& [key, logged] : offsets) {
      if (!is_ours(key.first)) continue;
      group_of(key.first).offsets.restore_txn(producer_id, key.second, std::move(logged));
      groups_of_producer_[producer_id].insert(key.first);
    }
  }
  size_t group_count = 0;
  for (const auto& [group_id, group] : groups_) {
    if (!is_ours(group_id)) continue;
    ++group_count;
    // Whoever is still there says so within a session timeout from now.
    for (const auto& [member_id, unused] : group->members())
      arm_session(step, *group, *group->find(member_id));
    if (group->members().size() > static_cast<size_t>(config_.max_size))
      prepare_rebalance(step, *group, "loaded with more members than group.max.size");
  }
  effects.notes.push_back(
      fmt::format("{}-{}: {} groups loaded", kGroupMetadataTopic, partition, group_count));
  settle(step);
}

void GroupCoordinator::unload(int32_t partition, std::optional<int32_t> epoch,
                              GroupEffects& effects) {
  if (epoch) {
    auto [known, is_new] = epochs_.try_emplace(partition, *epoch);
    if (!is_new && known->second > *epoch) return;
    known->second = *epoch;
  } else {
    epochs_.erase(partition);  // deleted: one of that name begins anew
  }
  loading_.erase(partition);
  if (owned_.erase(partition) == 0) return;
  GroupClock clock;  // nothing is armed, nothing is stored
  Step step{clock, effects};
  size_t group_count = 0;
  for (auto at = groups_.begin(); at != groups_.end();) {
    Group& group = *at->second;
    ++at;  // forget() erases this one
    if (partition_for(group.id) != partition) continue;
    ++group_count;
    for (const auto& [member_id, unused] : group.members()) {
      Member& member = *group.find(member_id);
      reply_join(step, group, member, join_error(member_id, ErrorCode::not_coordinator));
      reply_sync(step, member, sync_error(ErrorCode::not_coordinator));
    }
    forget(group);
  }
  effects.notes.push_back(
      fmt::format("{}-{}: {} groups unloaded", kGroupMetadataTopic, partition, group_count));
  effects.timer = next_deadline();
}

// -- Questions
// ---------------------------------------------------------------------------------------

namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view kGroupType = "classic";
// READ, DELETE and DESCRIBE, by the bits of AclOperation: all there is to a group.
constexpr int32_t kGroupOperations = 1 << 3 | 1 << 6 | 1 << 8;

// group: nullptr for one that is not known.
void describe_group(const Group* group, kmsg::DescribeGroupsResponse::DescribedGroup& described) {
  described.group_state = group_state_name(group ? group->state() : GroupState::dead);
  if (group == nullptr) return;
  bool is_stable = group->is(GroupState::stable);
  described.protocol_type = group->protocol_type.value_or("");
  if (is_stable) described.protocol_data = *group->protocol_name;
  for (const auto& [member_id, member] : group->members()) {
    auto& out = described.members.emplace_back();
    out.member_id = member_id;
    out.group_instance_id = member.instance_id;
    out.client_id = member.client_id;
    out.client_host = member.client_host;
    if (!is_stable) continue;  // between generations neither means anything
    const std::string* metadata = member.metadata(*group->protocol_name);
    if (metadata != nullptr) out.member_metadata = *metadata;
    out.member_assignment = member.assignment;
  }
}

}  // namespace

kmsg::ListGroupsResponse GroupCoordinator::list_groups(
    const kmsg::ListGroupsRequest& request) const {
  kmsg::ListGroupsResponse response;
  if (!active_) {
    response.error_code = ErrorCode::coordinator_not_available;
    return response;
  }
  if (!loading_.empty()) response.error_code = ErrorCode::coordinator_load_in_progress;
  // Looked for once a filter and not once a group: a request may hold very many of them.
  auto passes = [](const std::vector<std::string>& filter, std::string_view value) {
    return filter.empty() ||
           std::any_of(filter.begin(), filter.end(),
                       [&](std::string_view wanted) { return equal_ignoring_case(wanted, value); });
  };
  if (!passes(request.types_filter, kGroupType)) return response;
  std::set<GroupState> states;
  for (GroupState state : kGroupStates)
    if (passes(request.states_filter, group_state_name(state))) states.insert(state);
  for (const auto& [group_id, group] : groups_) {
    if (!states.contains(group->state())) continue;
    auto& listed = response.groups.emplace_back();
    listed.group_id = group_id;
    listed.protocol_type = group->protocol_type.value_or("");
    listed.group_state = group_state_name(group->state());
    listed.group_type = kGroupType;
  }
  return response;
}

kmsg::DescribeGroupsResponse GroupCoordinator::describe_groups(
    const kmsg::DescribeGroupsRequest& request, const GroupContext& context) const {
  kmsg::DescribeGroupsResponse response;
  wire::Repeats<std::string> repeats;
  for (const std::string& group_id : request.groups) {
    if (!repeats.admits(group_id)) continue;
    auto& described = response.groups.emplace_back();
    described.group_id = group_id;
    described.error_code = refusal(group_id, Api::allows_empty_group_id);
    if (described.error_code == ErrorCode::none) {
      if (context.api_version >= 3 && request.include_authorized_operations)
        described.authorized_operations = kGroupOperations;
      describe_group(find(group_id), described);
    }
    repeats.told(described, context.api_version);
  }
  return response;
}

}  // namespace ottla::broker
