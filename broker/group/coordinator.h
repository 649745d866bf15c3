// GroupCoordinator: the classic group protocol and committed offsets, for the partitions of
// __consumer_offsets this broker leads. A plain single-threaded core (one shard calls it):
// requests, append outcomes and time come in, effects come out; no clock, no log, no socket.
//
// Rule: what must survive is first decided, then appended, and takes effect when the append is
// acknowledged; loading a partition applies the same records through the same functions. Membership
// itself is not logged: a group's record is written when the leader's assignment arrives.
//
// It does not know topics (hooks.partition_exists), authorization, throttling, or ZooKeeper: offset
// requests of version 0 are the caller's to serve from /consumers, else they are served from here.
// Source: KIP-62, KIP-134, KIP-211, KIP-345, KIP-389, KIP-394, KIP-447, KIP-518, KIP-709, KIP-814;
// Kafka protocol guide; behaviour of Apache Kafka 3.9's classic coordinator.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/config.h"
#include "broker/group/effects.h"
#include "broker/group/group.h"
#include "broker/group/timers.h"
#include "proto/kafka/delete_groups.h"
#include "proto/kafka/describe_groups.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/heartbeat.h"
#include "proto/kafka/leave_group.h"
#include "proto/kafka/list_groups.h"
#include "proto/kafka/offset_delete.h"
#include "proto/kafka/offset_fetch.h"

namespace ottla::broker {

struct ParsedGroup;

constexpr std::string_view kGroupMetadataTopic = "__consumer_offsets";

// abs(String.hashCode(group_id)) % partition_count, over UTF-16 code units, as every Kafka does.
int32_t group_partition_for(std::string_view group_id, int32_t partition_count);

class GroupCoordinator {
 public:
  // partition_count: of __consumer_offsets; may be set again until the first begin_load().
  GroupCoordinator(const GroupConfig& config, GroupHooks hooks, int32_t partition_count = 50);
  ~GroupCoordinator();
  void set_partition_count(int32_t partition_count);
  int32_t partition_for(std::string_view group_id) const;
  // Until then every request is answered COORDINATOR_NOT_AVAILABLE.
  void start(const GroupClock& clock, GroupEffects& effects);

  // -- Leadership of a partition of __consumer_offsets -------------------------------------------
  // Became leader in `epoch`: false if an equal or newer epoch is loaded or loading (nothing to
  // do). Then the shell reads the log from its start and calls replay() for every record that is
  // not of a control batch, replay_marker() for every control batch, and finish_load() at the end,
  // until that is true: each call takes over so many groups.
  bool begin_load(int32_t partition, int32_t epoch);
  void replay(int32_t partition, const LoadedRecord& record);
  void replay_marker(int32_t partition, int64_t producer_id, bool commit);
  bool finish_load(int32_t partition, const GroupClock& clock, GroupEffects& effects,
                   size_t max_groups = SIZE_MAX);
  // No longer leader (epoch: the new one if known), or the partition is deleted. Parked joins and
  // syncs are answered NOT_COORDINATOR.
  void unload(int32_t partition, std::optional<int32_t> epoch, GroupEffects& effects);

  // -- Requests that may be parked: answered by effects.replies, now or later
  // ----------------------
  void join_group(ReplyTicket ticket, const kmsg::JoinGroupRequest& request,
                  const GroupContext& context, GroupEffects& effects);
  void sync_group(ReplyTicket ticket, const kmsg::SyncGroupRequest& request,
                  const GroupContext& context, GroupEffects& effects);
  void offset_commit(ReplyTicket ticket, const kmsg::OffsetCommitRequest& request,
                     const GroupContext& context, GroupEffects& effects);
  // The caller has verified the transaction; the commit stays pending until complete_txn().
  // A commit of a transaction that nobody knows: its group is made all the same.
  kmsg::ErrorCode refuse_txn_offset_commit(const std::string& group_id, const GroupClock& clock);
  void txn_offset_commit(ReplyTicket ticket, const kmsg::TxnOffsetCommitRequest& request,
                         const GroupContext& context, GroupEffects& effects);

  // -- Requests answered at once
  // -------------------------------------------------------------------
  kmsg::HeartbeatResponse heartbeat(const kmsg::HeartbeatRequest& request,
                                    const GroupContext& context, GroupEffects& effects);
  kmsg::LeaveGroupResponse leave_group(const kmsg::LeaveGroupRequest& request,
                                       const GroupContext& context, GroupEffects& effects);
  kmsg::OffsetFetchResponse offset_fetch(const kmsg::OffsetFetchRequest& request,
                                         const GroupContext& context) const;
  kmsg::ListGroupsResponse list_groups(const kmsg::ListGroupsRequest& request) const;
  kmsg::DescribeGroupsResponse describe_groups(const kmsg::DescribeGroupsRequest& request,
                                               const GroupContext& context) const;
  kmsg::DeleteGroupsResponse delete_groups(const kmsg::DeleteGroupsRequest& request,
                                           const GroupContext& context, GroupEffects& effects);
  kmsg::OffsetDeleteResponse offset_delete(const kmsg::OffsetDeleteRequest& request,
                                           const GroupContext& context, GroupEffects& effects);

  // -- Other inputs
  // -------------------------------------------------------------------------------- Outcome of an
  // Append; base_offset is that of the batch, meaningful when error is none. error is what the log
  // or the replication said, not yet mapped.
  void on_appended(AppendTicket ticket, kmsg::ErrorCode error, int64_t base_offset,
                   const GroupClock& clock, GroupEffects& effects);
  void on_time(const GroupClock& clock, GroupEffects& effects);
  // A transaction's marker was written to these partitions of __consumer_offsets.
  void complete_txn(int64_t producer_id, const std::vector<int32_t>& partitions, bool commit);
  // Partitions deleted from the cluster: their offsets go, with tombstones.
  void on_partitions_deleted(const std::vector<std::pair<std::string, int32_t>>& partitions,
                             const GroupClock& clock, GroupEffects& effects);

  // -- Queries
  // -------------------------------------------------------------------------------------
  std::optional<Instant> next_deadline() const;
  bool is_loaded(int32_t partition) const { return owned_.contains(partition); }
  struct Counts {
    size_t groups = 0, preparing_rebalance = 0, completing_rebalance = 0, stable = 0, empty = 0,
           dead = 0, offsets = 0;
  };
  Counts counts() const;
  uint64_t completed_rebalances() const { return completed_rebalances_; }
  uint64_t offset_commits() const { return offset_commits_; }
  uint64_t offset_expirations() const { return offset_expirations_; }
  uint64_t offset_deletions() const { return offset_deletions_; }
  const Group* find(std::string_view group_id) const;
  std::string describe() const;
  void check_invariants() const;

 private:
  struct Step;  // one call's clock and effects; runs what is due at its end
  struct Loading;
  struct PendingAppend;
  enum class Api : uint8_t { needs_group_id, allows_empty_group_id };

  // Who answers: none, or the code that refuses every request about this group.
  kmsg::ErrorCode refusal(std::string_view group_id, Api api) const;
  Group* find_mutable(std::string_view group_id);
  Group* find_incarnation(std::string_view group_id, uint64_t incarnation);
  Group& create_group(std::string_view group_id, const GroupClock& clock);
  void restore_group(Step& step, Group& group, const ParsedGroup& parsed);
  void own(int32_t partition, Loading& loading, Step& step);
  void forget(const Group& group);

  // join.cc: a JoinGroup request and what it makes of its member
  void handle_join(Step& step, ReplyTicket ticket, const kmsg::JoinGroupRequest& request,
                   const GroupContext& context);
  void join_new_member(Step& step, Group& group, ReplyTicket ticket,
                       const kmsg::JoinGroupRequest& request, const GroupContext& context);
  void join_known_member(Step& step, Group& group, ReplyTicket ticket,
                         const kmsg::JoinGroupRequest& request, const GroupContext& context);
  void replace_static_member(Step& step, Group& group, const std::string& old_member_id,
                             const std::string& new_member_id, ReplyTicket ticket,
                             const kmsg::JoinGroupRequest& request, const GroupContext& context);
  void finish_static_replacement(Step& step, Group& group, PendingAppend& pending,
                                 kmsg::ErrorCode error);
  void add_member(Step& step, Group& group, std::string member_id, ReplyTicket ticket,
                  const kmsg::JoinGroupRequest& request, const GroupContext& context);
  void update_member(Step& step, Group& group, Member& member, ReplyTicket ticket,
                     const kmsg::JoinGroupRequest& request, const GroupContext& context,
                     std::string_view reason);
  std::string make_member_id(std::string_view prefix);

  // rebalance.cc: from the first join of a round to the assignments
  void maybe_prepare_rebalance(Step& step, Group& group, std::string_view reason);
  void prepare_rebalance(Step& step, Group& group, std::string_view reason);
  void maybe_complete_join(Step& step, Group& group);
  void complete_join(Step& step, Group& group);
  void remove_member(Step& step, Group& group, const std::string& member_id,
                     std::string_view reason);
  void remove_pending_member(Step& step, Group& group, const std::string& member_id);
  void handle_sync(Step& step, ReplyTicket ticket, const kmsg::SyncGroupRequest& request,
                   const GroupContext& context);
  void synced(Group& group, const std::string& member_id);
  void propagate_assignment(Step& step, Group& group, kmsg::ErrorCode error);
  void finish_assignment(Step& step, Group& group, PendingAppend& pending, kmsg::ErrorCode error);
  void reply_join(Step& step, Group& group, Member& member, kmsg::JoinGroupResponse response);
  bool reply_sync(Step& step, Member& member, kmsg::SyncGroupResponse response);
  kmsg::ErrorCode validate_member(const Group& group, const std::string& member_id,
                                  const std::optional<std::string>& instance_id) const;
  // Appends the group's record with these assignments (null: the members' present ones).
  void append_group(Step& step, Group& group, const std::map<std::string, std::string>* assignments,
                    PendingAppend pending);

  // Time
  void settle(Step& step);  // the end of every call: what is due is done, the timer is told
  void arm(Deadline& deadline, Instant at, TimerKey key);
  void arm_session(Step& step, Group& group, Member& member);
  void arm_new_member(Step& step, Group& group, Member& member);
  void arm_join(Step& step, Group& group, int64_t delay_ms);
  void fire(Step& step, const TimerKey& key, Instant at);
  void fire_join(Step& step, Group& group);
  void fire_sync(Step& step, Group& group);
  void fire_session(Step& step, Group& group, const std::string& member_id);

  // coordinator_offsets.cc
  template <class Response, class Request>
  void commit(Step& step, ReplyTicket ticket, const Request& request, const GroupContext& context);
  kmsg::ErrorCode commit_target(Step& step, const std::string& group_id, int32_t generation,
                                const std::string& member_id,
                                const std::optional<std::string>& instance_id,
                                bool is_transactional, Group** target);
  void append_commit(Step& step, Group& group, PendingAppend pending, int16_t producer_epoch);
  void forget_producer(int64_t producer_id, const std::string& group_id);
  kmsg::ErrorCode validate_commit(const Group& group, int32_t generation,
                                  const std::string& member_id,
                                  const std::optional<std::string>& instance_id,
                                  bool is_transactional) const;
  void finish_commit(Step& step, Group* group, PendingAppend& pending, kmsg::ErrorCode error,
                     int64_t base_offset);
  void expire_offsets(Step& step);
  // Appends tombstones for these offsets; forgets the group once nothing is left in it.
  void append_tombstones(Step& step, Group& group, const std::vector<GroupTopicPartition>& removed);

  // Fixed after construction
  GroupConfig config_;
  GroupHooks hooks_;
  int32_t partition_count_;

  // Durable: rebuilt from __consumer_offsets
  std::map<std::string, std::unique_ptr<Group>, std::less<>> groups_;
  std::map<int64_t, std::set<std::string>> groups_of_producer_;  // with pending txn offsets

  // Volatile
  bool active_ = false;
  std::set<int32_t> owned_;  // partitions loaded
  std::map<int32_t, std::unique_ptr<Loading>> loading_;
  std::map<int32_t, int32_t> epochs_;  // partition -> newest epoch seen
  std::map<AppendTicket, std::unique_ptr<PendingAppend>> pending_;
  AppendTicket next_ticket_ = 1;
  uint64_t next_incarnation_ = 1;
  TimerQueue timers_;
  Instant next_expiry_check_;
  uint64_t completed_rebalances_ = 0;
  uint64_t offset_commits_ = 0;
  uint64_t offset_expirations_ = 0;
  uint64_t offset_deletions_ = 0;
};

}  // namespace ottla::broker
