// What the coordinator's own files share; no one else includes this.
#pragma once

#include <fmt/core.h>

#include "broker/group/coordinator.h"
#include "broker/group/records.h"

namespace ottla::broker {

struct GroupCoordinator::Step {
  const GroupClock& clock;
  GroupEffects& effects;
};

// What an append was for, and what is to be done with its outcome.
struct GroupCoordinator::PendingAppend {
  enum class Kind : uint8_t { empty_group, assignment, static_replacement, commit, txn_commit };
  Kind kind = Kind::empty_group;
  std::string group_id;
  uint64_t incarnation = 0;
  int32_t generation = 0;

  std::map<std::string, std::string> assignments;  // assignment

  // static_replacement: how the member was, to be restored if the log refuses
  std::string instance_id;
  std::string old_member_id;
  std::string new_member_id;
  std::string old_leader;
  std::vector<GroupProtocol> old_protocols;
  int32_t old_rebalance_timeout_ms = 0;
  int32_t old_session_timeout_ms = 0;
  Member::Parked parked;

  // commit, txn_commit: the answer if the log accepts, and what was accepted
  GroupEffects::Reply reply;
  std::vector<std::pair<GroupTopicPartition, CommittedOffset>> offsets;
  int64_t producer_id = -1;
};

// A partition whose log is being read, and then, some groups at a time, handed over to groups_.
struct GroupCoordinator::Loading {
  struct OfGroup {
    std::optional<ParsedGroup> record;
    GroupOffsets::Offsets offsets;
  };
  std::map<std::string, OfGroup> groups;
  std::map<int64_t, std::map<std::string, GroupOffsets::Offsets>> pending_txn;  // by producer
  std::map<std::string, uint64_t> unknown;  // reason -> how often
  size_t handed_over = 0;
};

inline kmsg::JoinGroupResponse join_error(std::string member_id, kmsg::ErrorCode error) {
  kmsg::JoinGroupResponse response;
  response.error_code = error;
  response.generation_id = -1;
  response.protocol_name = std::nullopt;
  response.member_id = std::move(member_id);
  return response;
}

inline kmsg::SyncGroupResponse sync_error(kmsg::ErrorCode error) {
  kmsg::SyncGroupResponse response;
  response.error_code = error;
  return response;
}

// A null protocol name had no form before version 7, an empty one has none since.
inline GroupEffects::Reply join_reply(ReplyTicket ticket, int16_t version,
                                      kmsg::JoinGroupResponse response) {
  if (version < 7 && !response.protocol_name) response.protocol_name = "";
  if (version >= 7 && response.protocol_name == "") response.protocol_name.reset();
  return {ticket, std::move(response)};
}

}  // namespace ottla::broker
