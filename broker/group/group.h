// Group: the state of one classic consumer group and the rules that need nothing but that state.
// The coordinator decides; what lies here only changes by the verbs below. Members are kept in the
// order of their ids, so that every answer is the same under the same seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/offsets.h"
#include "broker/group/timers.h"

namespace ottla::broker {

enum class GroupState : uint8_t {
  empty,                 // no members; offsets may remain
  preparing_rebalance,   // members are joining: joins are parked
  completing_rebalance,  // a generation is formed, its leader's assignment is awaited: syncs are
                         // parked
  stable,                // the assignment is stored
  dead,                  // deleted or unloaded: about to be forgotten
};
inline constexpr GroupState kGroupStates[] = {GroupState::empty, GroupState::preparing_rebalance,
                                              GroupState::completing_rebalance, GroupState::stable,
                                              GroupState::dead};
std::string_view group_state_name(GroupState state);  // as Kafka prints it

struct GroupProtocol {
  std::string name;
  std::string metadata;  // opaque to the broker
  bool operator==(const GroupProtocol&) const = default;
};

struct Member {
  struct Parked {
    uint64_t ticket = 0;
    int16_t api_version = 0;
  };
  std::string member_id;
  std::optional<std::string> instance_id;  // static member
  std::string client_id;
  std::string client_host;
  int32_t rebalance_timeout_ms = 0;
  int32_t session_timeout_ms = 0;
  std::vector<GroupProtocol> protocols;  // in order of preference
  std::string assignment;

  bool is_new = false;  // has not completed a join yet: the long first timeout applies
  std::optional<Parked> awaiting_join;
  std::optional<Parked> awaiting_sync;
  Deadline session;

  const std::string* metadata(std::string_view protocol) const;
};

class Group {
 public:
  Group(std::string id, uint64_t incarnation, int64_t wall_ms);

  // -- Fixed --------------------------------------------------------------------------------------
  const std::string id;
  const uint64_t incarnation;

  // -- State --------------------------------------------------------------------------------------
  GroupState state() const { return state_; }
  bool is(GroupState state) const { return state_ == state; }
  bool can_rebalance() const;  // may become preparing_rebalance
  void become(GroupState state, int64_t wall_ms);
  // Ends the join phase: a new generation, completing_rebalance or, without members, empty.
  void begin_generation(int64_t wall_ms);

  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;  // of the generation
  std::optional<std::string> leader_id;
  int32_t generation = 0;
  int64_t state_timestamp_ms = -1;  // since when in this state; -1: unknown (old records)
  // Topics of the members' subscriptions; null when not a consumer group or not understood.
  std::optional<std::set<std::string>> subscribed_topics;
  GroupOffsets offsets;

  // -- Members ------------------------------------------------------------------------------------
  const std::map<std::string, Member>& members() const { return members_; }
  bool has(const std::string& member_id) const { return members_.contains(member_id); }
  Member* find(const std::string& member_id);
  const Member* find(const std::string& member_id) const;
  Member& add(Member member, std::string_view type);
  void remove(const std::string& member_id);  // also when it is only pending
  // The same member under a new id; the caller has answered what was parked for the old one.
  Member& rename_static(const std::string& instance_id, const std::string& old_id,
                        const std::string& new_id);
  void set_protocols(Member& member, std::vector<GroupProtocol> protocols);
  const std::string* static_member_id(const std::string& instance_id) const;
  bool is_leader(const std::string& member_id) const { return leader_id == member_id; }
  // Keeps the leader if it rejoined, else elects one that did; false if nobody did.
  bool elect_joined_leader();

  void park_join(Member& member, std::optional<Member::Parked> parked);
  size_t awaiting_join() const { return awaiting_join_; }
  bool all_joined() const;
  int32_t rebalance_timeout_ms() const;  // the longest of the members'
  bool supports(std::string_view type, const std::vector<std::string_view>& names) const;
  std::string vote() const;  // the protocol most members prefer among those all support
  bool is_consumer_group() const { return protocol_type == "consumer"; }
  bool is_subscribed(const std::string& topic) const;
  void refresh_subscriptions();

  // Members told to come back with the id they were given, until they do or time out.
  std::map<std::string, Deadline> pending_members;
  // Members of this generation that have not sent their SyncGroup.
  std::set<std::string> pending_sync;
  Deadline sync_deadline;

  // The join phase
  Deadline join_deadline;
  bool initial_delay = false;    // the delay of a first rebalance is running
  int64_t initial_delay_ms = 0;  // of the present step of it
  int64_t initial_remaining_ms = 0;
  bool new_member_added = false;  // since that step began

  std::string describe() const;
  void check_invariants() const;

 private:
  void count_protocols(const Member& member, int delta);

  GroupState state_ = GroupState::empty;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> static_members_;  // instance id -> member id
  std::map<std::string, size_t, std::less<>> protocol_support_;
  size_t awaiting_join_ = 0;
};

}  // namespace ottla::broker
