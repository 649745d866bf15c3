// Becoming and ceasing to be coordinator of a partition; and the questions that change nothing.
#include <algorithm>
#include <set>

#include "broker/group/internal.h"
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
    if (partition_for(offset->group_id) != partition) return;
    auto& target = record.is_transactional
                       ? loading.pending_txn[record.producer_id][std::move(offset->group_id)]
                       : loading.groups[std::move(offset->group_id)].offsets;
    if (offset->value)
      target[std::move(offset->partition)] = {std::move(*offset->value), record.batch_base_offset};
    else
      target.erase(offset->partition);
  } else if (auto* group = std::get_if<ParsedGroup>(&parsed)) {
    if (partition_for(group->group_id) != partition) return;
    auto& stored = loading.groups[group->group_id].record;
    stored.reset();
    if (group->value) stored = std::move(*group);
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
  for (auto& [group_id, offsets] : txn->second) {
    if (!commit) break;
    Group* handed_over = find_mutable(group_id);
    for (auto& [key, logged] : offsets) {
      if (handed_over != nullptr) {
        handed_over->offsets.restore(key, std::move(logged));
        continue;
      }
      auto [known, is_new] = loading.groups[group_id].offsets.try_emplace(key, logged);
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

// With the members' sessions: whoever is still there says so within a timeout from now.
void GroupCoordinator::restore_group(Step& step, Group& group, const ParsedGroup& parsed) {
  const kmsg::GroupMetadataValue& value = *parsed.value;
  group.generation = value.generation;
  if (!value.protocol_type.empty()) group.protocol_type = value.protocol_type;
  restore_members(group, parsed);
  if (!group.members().empty()) {
    group.protocol_name = value.protocol.value_or("");
    if (value.leader && group.has(*value.leader)) group.leader_id = value.leader;
    group.become(GroupState::stable, step.clock.wall_ms);
  }
  group.state_timestamp_ms = parsed.version >= 2 ? value.current_state_timestamp : -1;
  group.refresh_subscriptions();
  for (const auto& [member_id, unused] : group.members())
    arm_session(step, group, *group.find(member_id));
  if (group.members().size() > static_cast<size_t>(config_.max_size))
    prepare_rebalance(step, group, "loaded with more members than group.max.size");
}

bool GroupCoordinator::finish_load(int32_t partition, const GroupClock& clock,
                                   GroupEffects& effects, size_t max_groups) {
  Step step{clock, effects};
  auto at = loading_.find(partition);
  if (at == loading_.end()) return true;
  Loading& loading = *at->second;
  for (size_t done = 0; done < max_groups && !loading.groups.empty(); ++done) {
    auto one = loading.groups.extract(loading.groups.begin());
    auto& [record, offsets] = one.mapped();
    if (!record && offsets.empty()) continue;  // all of it was deleted
    Group& group = create_group(one.key(), clock);
    group.offsets.restore(std::move(offsets));
    if (record) restore_group(step, group, *record);
    ++loading.handed_over;
  }
  if (loading.groups.empty()) {
    own(partition, loading, step);
    loading_.erase(at);
  }
  settle(step);
  return owned_.contains(partition);
}

void GroupCoordinator::own(int32_t partition, Loading& loading, Step& step) {
  for (auto& [producer_id, groups] : loading.pending_txn) {
    for (auto& [group_id, offsets] : groups) {
      if (offsets.empty()) continue;
      Group* known = find_mutable(group_id);
      if (known == nullptr) ++loading.handed_over;
      Group& group = known != nullptr ? *known : create_group(group_id, step.clock);
      for (auto& [key, logged] : offsets)
        group.offsets.restore_txn(producer_id, key, std::move(logged));
      groups_of_producer_[producer_id].insert(group_id);
    }
  }
  owned_.insert(partition);
  for (const auto& [reason, count] : loading.unknown)
    step.effects.notes.push_back(fmt::format("{}-{}: {} records of an unknown kind ignored ({})",
                                             kGroupMetadataTopic, partition, count, reason));
  step.effects.notes.push_back(
      fmt::format("{}-{}: {} groups loaded", kGroupMetadataTopic, partition, loading.handed_over));
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
  // Of one that is being loaded some groups may be here.
  if (loading_.erase(partition) + owned_.erase(partition) == 0) return;
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
