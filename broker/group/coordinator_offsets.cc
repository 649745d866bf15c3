// Committed offsets: commit, fetch, delete, expire; also what deletes a group.
#include <algorithm>
#include <set>

#include "broker/group/internal.h"
#include "common/base/check.h"
#include "common/wire/repeats.h"
#include "proto/kafka/java_string.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

// What a committer is told when the log refuses.
ErrorCode map_commit_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
      return ErrorCode::coordinator_not_available;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::kafka_storage_error:
      return ErrorCode::not_coordinator;
    case ErrorCode::message_too_large:
    case ErrorCode::record_list_too_large:
    case ErrorCode::invalid_fetch_size:
      return ErrorCode::invalid_commit_offset_size;
    case ErrorCode::network_exception:
      return ErrorCode::coordinator_load_in_progress;
    default:
      return error;
  }
}

// One partition of a commit: where it stands in the answer, and what is to be committed.
struct Asked {
  size_t topic = 0;
  size_t partition = 0;
  CommittedOffset committed;
};

constexpr int64_t kUnset = -1;

CommittedOffset committed_of(const auto& partition, int64_t wall_ms) {
  CommittedOffset committed;
  committed.offset = partition.committed_offset;
  committed.leader_epoch = partition.committed_leader_epoch;
  committed.metadata = partition.committed_metadata.value_or("");
  committed.commit_timestamp_ms = wall_ms;
  return committed;
}

CommittedOffset committed_of(const kmsg::OffsetCommitRequest& request, const auto& partition,
                             const GroupContext& context) {
  CommittedOffset committed = committed_of(partition, context.clock.wall_ms);
  if (context.api_version == 1 && partition.commit_timestamp != kUnset)
    committed.commit_timestamp_ms = partition.commit_timestamp;
  if (request.retention_time_ms != kUnset)
    committed.expire_timestamp_ms = request.retention_time_ms > INT64_MAX - context.clock.wall_ms
                                        ? INT64_MAX
                                        : context.clock.wall_ms + request.retention_time_ms;
  return committed;
}
CommittedOffset committed_of(const kmsg::TxnOffsetCommitRequest&, const auto& partition,
                             const GroupContext& context) {
  return committed_of(partition, context.clock.wall_ms);
}

// An entry in the answer for every partition asked, once each; of duplicates the last counts.
template <class Request, class Response>
std::map<GroupTopicPartition, Asked> lay_out(const Request& request, const GroupContext& context,
                                             Response& response) {
  std::map<GroupTopicPartition, Asked> asked;
  std::map<std::string_view, size_t> topics;
  for (const auto& topic : request.topics) {
    auto [known, is_new] = topics.try_emplace(topic.name, response.topics.size());
    if (is_new) response.topics.emplace_back().name = topic.name;
    auto& partitions = response.topics[known->second].partitions;
    for (const auto& partition : topic.partitions) {
      auto [at, first] = asked.try_emplace({topic.name, partition.partition_index});
      at->second.committed = committed_of(request, partition, context);
      if (!first) continue;
      at->second.topic = known->second;
      at->second.partition = partitions.size();
      partitions.emplace_back().partition_index = partition.partition_index;
    }
  }
  return asked;
}

int32_t generation_of(const kmsg::OffsetCommitRequest& request) {
  return request.generation_id_or_member_epoch;
}
int32_t generation_of(const kmsg::TxnOffsetCommitRequest& request) { return request.generation_id; }

}  // namespace

ErrorCode GroupCoordinator::validate_commit(const Group& group, int32_t generation,
                                            const std::string& member_id,
                                            const std::optional<std::string>& instance_id,
                                            bool is_transactional) const {
  // A simple consumer: offsets kept here, partitions assigned elsewhere.
  if (generation < 0 && group.is(GroupState::empty)) return ErrorCode::none;
  if (generation >= 0 || !member_id.empty() || instance_id) {
    ErrorCode error = validate_member(group, member_id, instance_id);
    if (error != ErrorCode::none) return error;
    return generation == group.generation ? ErrorCode::none : ErrorCode::illegal_generation;
  }
  return is_transactional ? ErrorCode::none : ErrorCode::unknown_member_id;
}

template <class Response, class Request>
void GroupCoordinator::commit(Step& step, ReplyTicket ticket, const Request& request,
                              const GroupContext& context) {
  constexpr bool is_txn = std::is_same_v<Request, kmsg::TxnOffsetCommitRequest>;
  Response response;
  std::map<GroupTopicPartition, Asked> asked = lay_out(request, context, response);
  auto answer = [&](const GroupTopicPartition& partition, ErrorCode error) {
    const Asked& at = asked.at(partition);
    response.topics[at.topic].partitions[at.partition].error_code = error;
  };
  auto reply_now = [&] { step.effects.replies.push_back({ticket, std::move(response)}); };

  std::vector<GroupTopicPartition> known;
  for (const auto& [partition, unused] : asked) {
    if (hooks_.partition_exists(partition.first, partition.second))
      known.push_back(partition);
    else
      answer(partition, ErrorCode::unknown_topic_or_partition);
  }
  if (known.empty()) return reply_now();

  Group* group = nullptr;
  ErrorCode error = commit_target(step, request.group_id, generation_of(request), request.member_id,
                                  request.group_instance_id, is_txn, &group);
  if (error != ErrorCode::none) {
    for (const GroupTopicPartition& partition : known) answer(partition, error);
    return reply_now();
  }
  PendingAppend pending;
  pending.kind = is_txn ? PendingAppend::Kind::txn_commit : PendingAppend::Kind::commit;
  for (const GroupTopicPartition& partition : known) {
    CommittedOffset& committed = asked.at(partition).committed;
    if (kmsg::utf16_length(committed.metadata) >
        static_cast<size_t>(config_.offset_metadata_max_bytes))
      answer(partition, ErrorCode::offset_metadata_too_large);
    else
      pending.offsets.emplace_back(partition, std::move(committed));
  }
  if (pending.offsets.empty()) return reply_now();

  pending.reply = {ticket, std::move(response)};
  int16_t producer_epoch = -1;
  if constexpr (is_txn) {
    pending.producer_id = request.producer_id;
    producer_epoch = request.producer_epoch;
  }
  append_commit(step, *group, std::move(pending), producer_epoch);
}

void GroupCoordinator::offset_commit(ReplyTicket ticket, const kmsg::OffsetCommitRequest& request,
                                     const GroupContext& context, GroupEffects& effects) {
  Step step{context.clock, effects};
  commit<kmsg::OffsetCommitResponse>(step, ticket, request, context);
  settle(step);
}

void GroupCoordinator::txn_offset_commit(ReplyTicket ticket,
                                         const kmsg::TxnOffsetCommitRequest& request,
                                         const GroupContext& context, GroupEffects& effects) {
  Step step{context.clock, effects};
  commit<kmsg::TxnOffsetCommitResponse>(step, ticket, request, context);
  settle(step);
}

ErrorCode GroupCoordinator::refuse_txn_offset_commit(const std::string& group_id,
                                                     const GroupClock& clock) {
  ErrorCode error = refusal(group_id, Api::needs_group_id);
  if (error != ErrorCode::none) return error;
  if (find(group_id) == nullptr) create_group(group_id, clock);
  return ErrorCode::invalid_producer_id_mapping;
}

// The group a commit goes to, created for a simple consumer's first one; or why it may not.
ErrorCode GroupCoordinator::commit_target(Step& step, const std::string& group_id,
                                          int32_t generation, const std::string& member_id,
                                          const std::optional<std::string>& instance_id,
                                          bool is_transactional, Group** target) {
  Api api = is_transactional ? Api::needs_group_id : Api::allows_empty_group_id;
  ErrorCode error = refusal(group_id, api);
  if (error != ErrorCode::none) return error;
  Group* group = find_mutable(group_id);
  if (group == nullptr) {
    if (!is_transactional && generation >= 0) return ErrorCode::illegal_generation;
    group = &create_group(group_id, step.clock);
  }
  error = validate_commit(*group, generation, member_id, instance_id, is_transactional);
  if (error != ErrorCode::none) return error;
  if (!is_transactional) {
    if (group->is(GroupState::completing_rebalance)) return ErrorCode::rebalance_in_progress;
    Member* member = group->find(member_id);
    if (member != nullptr) arm_session(step, *group, *member);
  }
  *target = group;
  return ErrorCode::none;
}

void GroupCoordinator::append_commit(Step& step, Group& group, PendingAppend pending,
                                     int16_t producer_epoch) {
  bool is_txn = pending.kind == PendingAppend::Kind::txn_commit;
  pending.group_id = group.id;
  pending.incarnation = group.incarnation;
  pending.generation = group.generation;
  GroupEffects::Append& append = step.effects.appends.emplace_back();
  append.partition = partition_for(group.id);
  append.ticket = next_ticket_++;
  append.required_acks = config_.offsets_commit_required_acks;
  append.timestamp_ms = step.clock.wall_ms;
  append.base_sequence = 0;
  if (is_txn) {
    append.producer_id = pending.producer_id;
    append.producer_epoch = producer_epoch;
    append.is_transactional = true;
    groups_of_producer_[pending.producer_id].insert(group.id);
  }
  for (const auto& [partition, committed] : pending.offsets) {
    append.records.push_back(offset_record(group.id, partition, committed));
    if (is_txn)
      group.offsets.prepare_txn(pending.producer_id, partition, committed);
    else
      group.offsets.prepare(partition, committed);
  }
  pending_[append.ticket] = std::make_unique<PendingAppend>(std::move(pending));
}

// group: null if it was deleted or unloaded since. The commit is in the log all the same.
void GroupCoordinator::finish_commit(Step& step, Group* group, PendingAppend& pending,
                                     ErrorCode error, int64_t base_offset) {
  bool is_txn = pending.kind == PendingAppend::Kind::txn_commit;
  bool accepted = error == ErrorCode::none;
  if (group != nullptr) {
    for (const auto& [partition, committed] : pending.offsets) {
      if (is_txn && accepted)
        group->offsets.appended_txn(pending.producer_id, partition, committed, base_offset);
      else if (is_txn)
        group->offsets.failed_txn(pending.producer_id, partition);
      else if (accepted)
        group->offsets.appended(partition, committed, base_offset);
      else
        group->offsets.failed(partition, committed);
    }
    if (is_txn && !group->offsets.has_txn(pending.producer_id))
      forget_producer(pending.producer_id, group->id);
  }
  if (accepted) {
    offset_commits_ += pending.offsets.size();
  } else {
    ErrorCode told = map_commit_error(error);
    std::visit(
        [&](auto& response) {
          if constexpr (requires { response.topics; })
            for (auto& topic : response.topics)
              for (auto& partition : topic.partitions)
                if (partition.error_code == ErrorCode::none) partition.error_code = told;
        },
        pending.reply.response);
  }
  step.effects.replies.push_back(std::move(pending.reply));
}

void GroupCoordinator::forget_producer(int64_t producer_id, const std::string& group_id) {
  auto at = groups_of_producer_.find(producer_id);
  if (at == groups_of_producer_.end()) return;
  at->second.erase(group_id);
  if (at->second.empty()) groups_of_producer_.erase(at);
}

void GroupCoordinator::complete_txn(int64_t producer_id, const std::vector<int32_t>& partitions,
                                    bool commit) {
  // What reads the log of one that is being loaded may be past the marker's place.
  for (int32_t partition : partitions) replay_marker(partition, producer_id, commit);
  auto at = groups_of_producer_.find(producer_id);
  if (at == groups_of_producer_.end()) return;
  std::set<std::string> group_ids = at->second;
  for (const std::string& group_id : group_ids) {
    bool is_concerned = std::find(partitions.begin(), partitions.end(), partition_for(group_id)) !=
                        partitions.end();
    if (!is_concerned) continue;
    if (Group* group = find_mutable(group_id)) group->offsets.complete_txn(producer_id, commit);
    forget_producer(producer_id, group_id);
  }
}

// -- OffsetFetch
// -----------------------------------------------------------------------------------

namespace {

// Fills an answered partition. missing: what to say where nothing is committed.
void answer_offset(const Group* group, const GroupTopicPartition& partition, bool require_stable,
                   ErrorCode missing, auto& answered) {
  answered.partition_index = partition.second;
  answered.committed_offset = kUnset;
  answered.committed_leader_epoch = -1;
  answered.metadata = "";
  if (group != nullptr && require_stable && group->offsets.has_pending(partition)) {
    answered.error_code = ErrorCode::unstable_offset_commit;
    return;
  }
  const CommittedOffset* committed = group ? group->offsets.find(partition) : nullptr;
  if (committed == nullptr) {
    answered.error_code = missing;
    return;
  }
  answered.committed_offset = committed->offset;
  answered.committed_leader_epoch = committed->leader_epoch;
  answered.metadata = committed->metadata;
}

// asked: the optional list of topics of a request (null: all that is committed). What is asked for
// twice is answered once: four bytes of a request may stand for 4 KB of committed metadata.
template <class AskedTopics, class AnsweredTopics>
void answer_offsets(const Group* group, const AskedTopics& asked, bool require_stable,
                    ErrorCode missing, AnsweredTopics& answered) {
  if (asked) {
    std::set<GroupTopicPartition> seen;
    for (const auto& topic : *asked) {
      auto& out = answered.emplace_back();
      out.name = topic.name;
      for (int32_t index : topic.partition_indexes) {
        GroupTopicPartition partition{topic.name, index};
        if (!seen.insert(partition).second) continue;
        answer_offset(group, partition, require_stable, missing, out.partitions.emplace_back());
      }
    }
    return;
  }
  if (group == nullptr) return;
  for (const auto& [partition, unused] : group->offsets.committed()) {
    if (answered.empty() || answered.back().name != partition.first)
      answered.emplace_back().name = partition.first;
    answer_offset(group, partition, require_stable, missing,
                  answered.back().partitions.emplace_back());
  }
}

}  // namespace

kmsg::OffsetFetchResponse GroupCoordinator::offset_fetch(const kmsg::OffsetFetchRequest& request,
                                                         const GroupContext& context) const {
  kmsg::OffsetFetchResponse response;
  if (context.api_version >= 8) {
    wire::Repeats<std::string> repeats;
    for (const auto& asked : request.groups) {
      if (!repeats.admits(asked.group_id)) continue;
      auto& answered = response.groups.emplace_back();
      answered.group_id = asked.group_id;
      ErrorCode error = refusal(asked.group_id, Api::allows_empty_group_id);
      answered.error_code = error;
      if (error == ErrorCode::none)
        answer_offsets(find(asked.group_id), asked.topics, request.require_stable, ErrorCode::none,
                       answered.topics);
      repeats.told(answered, context.api_version);
    }
    return response;
  }
  ErrorCode error = refusal(request.group_id, Api::allows_empty_group_id);
  if (error == ErrorCode::none) {
    answer_offsets(find(request.group_id), request.topics, request.require_stable, ErrorCode::none,
                   response.topics);
  } else if (context.api_version >= 2) {
    response.error_code = error;
  } else {  // no place for a group's error but its partitions
    answer_offsets(nullptr, request.topics, false, error, response.topics);
  }
  return response;
}

// -- Deletion and expiry
// -----------------------------------------------------------------------------

// Of all that a group may hold one batch could be more than max.message.bytes allows, and what was
// deleted would come back with the next load.
constexpr size_t kTombstoneBytes = 256 << 10;

void GroupCoordinator::append_tombstones(Step& step, Group& group,
                                         const std::vector<GroupTopicPartition>& removed) {
  std::vector<GroupRecord> records;
  for (const GroupTopicPartition& partition : removed)
    records.push_back(offset_tombstone(group.id, partition));
  bool is_done = group.is(GroupState::empty) && group.offsets.empty();
  // A group that never completed a round has no record of its own.
  if (is_done && group.generation > 0) records.push_back(group_tombstone(group.id));
  GroupEffects::Append* append = nullptr;
  size_t bytes = 0;
  for (GroupRecord& record : records) {
    bytes += record.key.size();
    if (append == nullptr || bytes > kTombstoneBytes) {
      append = &step.effects.appends.emplace_back();
      append->partition = partition_for(group.id);
      append->required_acks = 0;
      append->timestamp_ms = step.clock.wall_ms;
      bytes = record.key.size();
    }
    append->records.push_back(std::move(record));
  }
  if (!is_done) return;
  step.effects.notes.push_back(
      fmt::format("group {}: gone in generation {}", group.id, group.generation));
  group.become(GroupState::dead, step.clock.wall_ms);
  forget(group);
}

void GroupCoordinator::expire_offsets(Step& step) {
  int64_t wall_ms = step.clock.wall_ms;
  int64_t retention_ms = config_.offsets_retention_ms;
  std::vector<std::string> group_ids;
  for (const auto& [group_id, group] : groups_) group_ids.push_back(group_id);
  for (const std::string& group_id : group_ids) {
    Group& group = *find_mutable(group_id);
    // KIP-211: from when on the retention runs depends on who uses the offsets.
    bool is_empty = group.protocol_type && group.is(GroupState::empty);
    bool is_subscribed =
        group.is_consumer_group() && group.subscribed_topics && group.is(GroupState::stable);
    std::vector<GroupTopicPartition> removed;
    if (is_empty || is_subscribed || !group.protocol_type) {
      removed = group.offsets.remove_if(
          [&](const GroupTopicPartition& partition, const CommittedOffset& committed) {
            if (is_subscribed && group.subscribed_topics->contains(partition.first)) return false;
            if (committed.expire_timestamp_ms) return wall_ms >= *committed.expire_timestamp_ms;
            bool from_state = is_empty && group.state_timestamp_ms != -1;
            int64_t since = from_state ? group.state_timestamp_ms : committed.commit_timestamp_ms;
            return since <= wall_ms - retention_ms;  // `since` may be any number a client chose
          });
    }
    offset_expirations_ += removed.size();
    append_tombstones(step, group, removed);
  }
}

kmsg::DeleteGroupsResponse GroupCoordinator::delete_groups(const kmsg::DeleteGroupsRequest& request,
                                                           const GroupContext& context,
                                                           GroupEffects& effects) {
  Step step{context.clock, effects};
  kmsg::DeleteGroupsResponse response;
  std::set<std::string_view> seen;
  for (const std::string& group_id : request.groups_names) {
    if (!seen.insert(group_id).second) continue;
    auto& result = response.results.emplace_back();
    result.group_id = group_id;
    ErrorCode error = refusal(group_id, Api::allows_empty_group_id);
    Group* group = error == ErrorCode::none ? find_mutable(group_id) : nullptr;
    if (error == ErrorCode::none && group == nullptr) error = ErrorCode::group_id_not_found;
    if (group != nullptr && !group->is(GroupState::empty)) error = ErrorCode::non_empty_group;
    result.error_code = error;
    if (error != ErrorCode::none) continue;
    for (int64_t producer_id : group->offsets.producers()) forget_producer(producer_id, group_id);
    append_tombstones(step, *group, group->offsets.remove_all());
  }
  settle(step);
  return response;
}

kmsg::OffsetDeleteResponse GroupCoordinator::offset_delete(const kmsg::OffsetDeleteRequest& request,
                                                           const GroupContext& context,
                                                           GroupEffects& effects) {
  Step step{context.clock, effects};
  kmsg::OffsetDeleteResponse response;
  ErrorCode error = refusal(request.group_id, Api::needs_group_id);
  Group* group = error == ErrorCode::none ? find_mutable(request.group_id) : nullptr;
  if (error == ErrorCode::none && group == nullptr) error = ErrorCode::group_id_not_found;
  bool is_empty = group != nullptr && group->is(GroupState::empty);
  if (group != nullptr && !is_empty && !group->is_consumer_group())
    error = ErrorCode::non_empty_group;
  response.error_code = error;
  if (error == ErrorCode::none) {
    std::vector<GroupTopicPartition> removed;
    bool may_remove = false;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& partition : topic.partitions) {
        auto& result = answered.partitions.emplace_back();
        result.partition_index = partition.partition_index;
        if (!hooks_.partition_exists(topic.name, partition.partition_index)) {
          result.error_code = ErrorCode::unknown_topic_or_partition;
        } else if (!is_empty && group->is_subscribed(topic.name)) {
          result.error_code = ErrorCode::group_subscribed_to_topic;
        } else {
          may_remove = true;
          if (group->offsets.remove({topic.name, partition.partition_index}))
            removed.emplace_back(topic.name, partition.partition_index);
        }
      }
    }
    offset_deletions_ += removed.size();
    // A request that names nothing it may remove leaves a group without offsets where it is.
    if (may_remove) append_tombstones(step, *group, removed);
  }
  settle(step);
  return response;
}

void GroupCoordinator::on_partitions_deleted(
    const std::vector<std::pair<std::string, int32_t>>& partitions, const GroupClock& clock,
    GroupEffects& effects) {
  Step step{clock, effects};
  std::map<std::string, std::vector<int32_t>> deleted;
  for (const auto& [topic, index] : partitions) deleted[topic].push_back(index);
  for (auto at = groups_.begin(); at != groups_.end();) {
    Group& group = *at->second;
    ++at;  // append_tombstones() may erase this one
    std::vector<GroupTopicPartition> removed;
    for (const auto& [topic, indexes] : deleted) {
      if (!group.offsets.knows(topic)) continue;
      for (int32_t index : indexes)
        if (group.offsets.remove({topic, index})) removed.emplace_back(topic, index);
    }
    append_tombstones(step, group, removed);
  }
  settle(step);
}

}  // namespace ottla::broker
