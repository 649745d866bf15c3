#include "broker/group/group.h"

#include <fmt/core.h>

#include <algorithm>

#include "broker/group/subscription.h"
#include "common/base/check.h"

namespace ottla::broker {

std::string_view group_state_name(GroupState state) {
  switch (state) {
    case GroupState::empty:
      return "Empty";
    case GroupState::preparing_rebalance:
      return "PreparingRebalance";
    case GroupState::completing_rebalance:
      return "CompletingRebalance";
    case GroupState::stable:
      return "Stable";
    case GroupState::dead:
      return "Dead";
  }
  return "";
}

const std::string* Member::metadata(std::string_view protocol) const {
  for (const GroupProtocol& candidate : protocols)
    if (candidate.name == protocol) return &candidate.metadata;
  return nullptr;
}

Group::Group(std::string group_id, uint64_t group_incarnation, int64_t wall_ms)
    : id(std::move(group_id)), incarnation(group_incarnation), state_timestamp_ms(wall_ms) {}

bool Group::can_rebalance() const {
  return state_ == GroupState::stable || state_ == GroupState::completing_rebalance ||
         state_ == GroupState::empty;
}

void Group::become(GroupState next, int64_t wall_ms) {
  bool legal = false;
  switch (next) {
    case GroupState::empty:
      legal = state_ == GroupState::preparing_rebalance;
      break;
    case GroupState::preparing_rebalance:
      legal = can_rebalance();
      break;
    case GroupState::completing_rebalance:
      legal = state_ == GroupState::preparing_rebalance;
      break;
    // Loading restores a stable group from the state a group is born in.
    case GroupState::stable:
      legal = state_ == GroupState::completing_rebalance || state_ == GroupState::empty;
      break;
    case GroupState::dead:
      legal = true;
      break;
  }
  OTTLA_CHECK(legal, describe());
  state_ = next;
  state_timestamp_ms = wall_ms;
}

void Group::begin_generation(int64_t wall_ms) {
  ++generation;
  protocol_name.reset();
  if (!members_.empty()) protocol_name = vote();
  refresh_subscriptions();
  become(members_.empty() ? GroupState::empty : GroupState::completing_rebalance, wall_ms);
  pending_sync.clear();
  join_deadline.disarm();
  initial_delay = false;
  new_member_added = false;
}

Member* Group::find(const std::string& member_id) {
  auto at = members_.find(member_id);
  return at == members_.end() ? nullptr : &at->second;
}
const Member* Group::find(const std::string& member_id) const {
  auto at = members_.find(member_id);
  return at == members_.end() ? nullptr : &at->second;
}

Member& Group::add(Member member, std::string_view type) {
  if (member.instance_id) {
    bool added = static_members_.try_emplace(*member.instance_id, member.member_id).second;
    OTTLA_CHECK(added, member.member_id);
  }
  if (members_.empty()) protocol_type = type;
  OTTLA_CHECK(protocol_type == type);
  if (!leader_id) leader_id = member.member_id;
  pending_members.erase(member.member_id);
  count_protocols(member, 1);
  if (member.awaiting_join) ++awaiting_join_;
  std::string member_id = member.member_id;
  auto [at, added] = members_.emplace(std::move(member_id), std::move(member));
  OTTLA_CHECK(added, at->first);
  return at->second;
}

void Group::remove(const std::string& member_id) {
  std::string removed_id = member_id;  // the argument may live in what is removed
  auto at = members_.find(removed_id);
  if (at != members_.end()) {
    count_protocols(at->second, -1);
    if (at->second.awaiting_join) --awaiting_join_;
    if (at->second.instance_id) static_members_.erase(*at->second.instance_id);
    members_.erase(at);
  }
  if (leader_id == removed_id) {
    leader_id.reset();
    if (!members_.empty()) leader_id = members_.begin()->first;
  }
  pending_members.erase(removed_id);
  pending_sync.erase(removed_id);
}

Member& Group::rename_static(const std::string& instance_id, const std::string& old_id,
                             const std::string& new_id) {
  auto node = members_.extract(old_id);
  OTTLA_CHECK(!node.empty(), old_id);
  bool was_leader = leader_id == node.key();
  bool was_pending_sync = pending_sync.erase(node.key()) != 0;
  node.key() = new_id;
  node.mapped().member_id = new_id;
  node.mapped().session.queued = kNever;  // its entry in the queue is under the old id
  auto inserted = members_.insert(std::move(node));
  OTTLA_CHECK(inserted.inserted, new_id);
  if (was_leader) leader_id = new_id;
  if (was_pending_sync) pending_sync.insert(new_id);
  static_members_[instance_id] = new_id;
  return inserted.position->second;
}

void Group::set_protocols(Member& member, std::vector<GroupProtocol> protocols) {
  count_protocols(member, -1);
  member.protocols = std::move(protocols);
  count_protocols(member, 1);
}

const std::string* Group::static_member_id(const std::string& instance_id) const {
  auto at = static_members_.find(instance_id);
  return at == static_members_.end() ? nullptr : &at->second;
}

bool Group::elect_joined_leader() {
  if (!leader_id) return false;
  const Member* leader = find(*leader_id);
  OTTLA_CHECK(leader != nullptr, *leader_id);
  if (leader->awaiting_join) return true;
  for (const auto& [member_id, member] : members_) {
    if (!member.awaiting_join) continue;
    leader_id = member_id;
    return true;
  }
  return false;
}

void Group::park_join(Member& member, std::optional<Member::Parked> parked) {
  if (parked && !member.awaiting_join) ++awaiting_join_;
  if (!parked && member.awaiting_join) --awaiting_join_;
  member.awaiting_join = parked;
}

bool Group::all_joined() const {
  return awaiting_join_ == members_.size() && pending_members.empty();
}

int32_t Group::rebalance_timeout_ms() const {
  int32_t longest = 0;
  for (const auto& [member_id, member] : members_)
    longest = std::max(longest, member.rebalance_timeout_ms);
  return longest;
}

bool Group::supports(std::string_view type, const std::vector<std::string_view>& names) const {
  if (is(GroupState::empty)) return !type.empty() && !names.empty();
  if (protocol_type != type) return false;
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    auto support = protocol_support_.find(name);
    return (support == protocol_support_.end() ? 0 : support->second) == members_.size();
  });
}

std::string Group::vote() const {
  std::map<std::string_view, size_t> votes;
  for (const auto& [member_id, member] : members_) {
    for (const GroupProtocol& protocol : member.protocols) {
      auto support = protocol_support_.find(protocol.name);
      if (support->second != members_.size()) continue;
      ++votes[protocol.name];
      break;
    }
  }
  OTTLA_CHECK(!votes.empty(), id);
  auto winner = votes.begin();
  for (auto at = votes.begin(); at != votes.end(); ++at)
    if (at->second > winner->second) winner = at;
  return std::string(winner->first);
}

bool Group::is_subscribed(const std::string& topic) const {
  return !subscribed_topics || subscribed_topics->contains(topic);
}

void Group::refresh_subscriptions() {
  subscribed_topics.reset();
  if (!is_consumer_group()) return;
  if (!members_.empty() && !protocol_name) return;
  std::set<std::string> topics;
  for (const auto& [member_id, member] : members_) {
    const std::string* metadata = member.metadata(*protocol_name);
    auto subscribed = metadata ? subscription_topics(*metadata) : std::nullopt;
    if (!subscribed) return;
    topics.insert(subscribed->begin(), subscribed->end());
  }
  subscribed_topics = std::move(topics);
}

void Group::count_protocols(const Member& member, int delta) {
  for (const GroupProtocol& protocol : member.protocols) {
    auto at = protocol_support_.try_emplace(protocol.name, 0).first;
    if (delta > 0) {
      ++at->second;
    } else if (--at->second == 0) {
      protocol_support_.erase(at);
    }
  }
}

std::string Group::describe() const {
  std::string text =
      fmt::format("group {} {} generation={} members={} leader={} pending={} offsets={}", id,
                  group_state_name(state_), generation, members_.size(), leader_id.value_or("-"),
                  pending_members.size(), offsets.committed().size());
  for (const auto& [member_id, member] : members_)
    text +=
        fmt::format("\n  {}{}{}{}", member_id, member.is_new ? " new" : "",
                    member.awaiting_join ? " joining" : "", member.awaiting_sync ? " syncing" : "");
  return text;
}

void Group::check_invariants() const {
  size_t joining = 0;
  size_t with_instance = 0;
  for (const auto& [member_id, member] : members_) {
    OTTLA_CHECK(member.member_id == member_id, describe());
    OTTLA_CHECK(!pending_members.contains(member_id), describe());
    joining += member.awaiting_join ? 1 : 0;
    if (member.instance_id) {
      ++with_instance;
      const std::string* current = static_member_id(*member.instance_id);
      OTTLA_CHECK(current != nullptr && *current == member_id, describe());
    }
    // Who is neither parked nor watched would stay for ever.
    OTTLA_CHECK(member.session.armed() || member.awaiting_join || member.awaiting_sync, describe());
    if (member.awaiting_sync) OTTLA_CHECK(is(GroupState::completing_rebalance), describe());
  }
  OTTLA_CHECK(joining == awaiting_join_, describe());
  OTTLA_CHECK(with_instance == static_members_.size(), describe());
  OTTLA_CHECK(leader_id.has_value() == !members_.empty(), describe());
  if (leader_id) OTTLA_CHECK(has(*leader_id), describe());
  for (const std::string& member_id : pending_sync) OTTLA_CHECK(has(member_id), describe());
  switch (state_) {
    case GroupState::empty:
      OTTLA_CHECK(members_.empty(), describe());
      break;
    case GroupState::preparing_rebalance:
      OTTLA_CHECK(join_deadline.armed(), describe());
      break;
    case GroupState::completing_rebalance:
    case GroupState::stable:
      OTTLA_CHECK(!members_.empty() && protocol_name, describe());
      break;
    case GroupState::dead:
      break;
  }
}

}  // namespace ottla::broker
