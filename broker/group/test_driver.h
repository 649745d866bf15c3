// A shell for tests: a log of __consumer_offsets in memory, virtual time, and answers by ticket.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/group/coordinator.h"
#include "common/base/prng.h"

namespace ottla::broker {

// ConsumerProtocolSubscription version 1 of one topic "abc", no user data, no owned partitions.
inline const std::string kSubscription = from_hex(
    "000100000001000361626300000000"
    "00000000");

inline GroupConfig no_delay() {
  GroupConfig config;
  config.initial_rebalance_delay_ms = 0;
  return config;
}

inline kmsg::JoinGroupRequest join_request(const std::string& group, const std::string& member = "",
                                           std::optional<std::string> instance = std::nullopt) {
  kmsg::JoinGroupRequest request;
  request.group_id = group;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 60'000;
  request.member_id = member;
  request.group_instance_id = std::move(instance);
  request.protocol_type = "consumer";
  auto& protocol = request.protocols.emplace_back();
  protocol.name = "range";
  protocol.metadata = kSubscription;
  return request;
}

inline kmsg::SyncGroupRequest sync_request(
    const std::string& group, const std::string& member, int32_t generation,
    const std::map<std::string, std::string>& assignments = {}) {
  kmsg::SyncGroupRequest request;
  request.group_id = group;
  request.member_id = member;
  request.generation_id = generation;
  for (const auto& [id, assignment] : assignments) {
    auto& given = request.assignments.emplace_back();
    given.member_id = id;
    given.assignment = assignment;
  }
  return request;
}

inline kmsg::OffsetCommitRequest commit_request(const std::string& group, int64_t offset,
                                                const std::string& member = "",
                                                int32_t generation = -1,
                                                const std::string& topic = "abc") {
  kmsg::OffsetCommitRequest request;
  request.group_id = group;
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  request.topics.emplace_back().name = topic;
  request.topics[0].partitions.emplace_back().committed_offset = offset;
  return request;
}

struct Driver {
  struct Batch {
    int64_t base_offset = 0;
    GroupEffects::Append append;
  };
  using Response = decltype(GroupEffects::Reply::response);

  explicit Driver(GroupConfig group_config = {}, int32_t partition_count = 4, uint64_t seed = 1)
      : config(group_config), partitions(partition_count), prng(seed) {
    restart();
  }

  GroupConfig config;
  int32_t partitions;
  Prng prng;
  GroupClock clock{Instant{1'000'000'000'000}, 1'700'000'000'000};
  std::map<std::string, int32_t, std::less<>> topics;  // name -> partition count
  std::map<int32_t, std::vector<Batch>> log;
  std::map<int32_t, int64_t> leo;
  std::map<ReplyTicket, Response> replies;
  std::deque<std::pair<int32_t, Batch>> unacknowledged;
  bool acknowledge_at_once = true;
  kmsg::ErrorCode append_error = kmsg::ErrorCode::none;
  ReplyTicket next_ticket = 1;
  std::unique_ptr<GroupCoordinator> core;
  std::vector<std::string> notes;

  // A new coordinator that loads everything from the log, as after a crash or a change of leader.
  void restart(bool load = true) {
    GroupHooks hooks;
    hooks.random = [this] { return prng.next(); };
    hooks.partition_exists = [this](std::string_view topic, int32_t partition) {
      auto at = topics.find(topic);
      return at != topics.end() && partition >= 0 && partition < at->second;
    };
    core = std::make_unique<GroupCoordinator>(config, std::move(hooks), partitions);
    unacknowledged.clear();
    GroupEffects effects;
    core->start(clock, effects);
    pump(effects);
    for (int32_t partition = 0; load && partition < partitions; ++partition)
      load_partition(partition, 1);
  }

  void load_partition(int32_t partition, int32_t epoch) {
    read_log(partition, epoch);
    take_over(partition);
  }
  void read_log(int32_t partition, int32_t epoch) {
    REQUIRE(core->begin_load(partition, epoch));
    for (const Batch& batch : log[partition]) {
      for (const GroupRecord& record : batch.append.records) {
        LoadedRecord loaded;
        loaded.key = record.key;
        if (record.value) loaded.value = record.value->bytes();
        loaded.batch_base_offset = batch.base_offset;
        loaded.is_transactional = batch.append.is_transactional;
        loaded.producer_id = batch.append.producer_id;
        core->replay(partition, loaded);
      }
    }
  }
  // False: so many groups were, and there are more.
  bool take_over(int32_t partition, size_t max_groups = SIZE_MAX) {
    GroupEffects effects;
    bool is_loaded = core->finish_load(partition, clock, effects, max_groups);
    pump(effects);
    return is_loaded;
  }

  GroupContext context(int16_t version, std::string_view client_id = "client") const {
    return {clock, version, client_id, "/127.0.0.1"};
  }

  void pump(GroupEffects& effects) {
    for (auto& reply : effects.replies) {
      INFO("ticket " << reply.ticket);
      REQUIRE(replies.emplace(reply.ticket, std::move(reply.response)).second);
    }
    notes.insert(notes.end(), effects.notes.begin(), effects.notes.end());
    for (auto& append : effects.appends) {
      int32_t partition = append.partition;
      unacknowledged.emplace_back(partition, Batch{0, std::move(append)});
    }
    effects = {};
    core->check_invariants();
    while (acknowledge_at_once && !unacknowledged.empty()) acknowledge(append_error);
  }

  // The oldest append's outcome; without error it is in the log.
  void acknowledge(kmsg::ErrorCode error = kmsg::ErrorCode::none) {
    auto [partition, batch] = std::move(unacknowledged.front());
    unacknowledged.pop_front();
    batch.base_offset = leo[partition];
    AppendTicket ticket = batch.append.ticket;
    int64_t base_offset = batch.base_offset;
    if (error == kmsg::ErrorCode::none) {
      leo[partition] += static_cast<int64_t>(batch.append.records.size());
      log[partition].push_back(std::move(batch));
    }
    if (ticket == 0) return;
    GroupEffects effects;
    core->on_appended(ticket, error, base_offset, clock, effects);
    pump(effects);
  }

  void advance_to(Instant target) {
    for (;;) {
      auto deadline = core->next_deadline();
      if (!deadline || *deadline > target) break;
      if (*deadline > clock.now) move_clock(*deadline);
      GroupEffects effects;
      core->on_time(clock, effects);
      pump(effects);
    }
    move_clock(target);
  }
  void advance_ms(int64_t ms) { advance_to(after_ms(clock.now, ms)); }
  void move_clock(Instant to) {
    clock.wall_ms += (to - clock.now) / 1'000'000;
    clock.now = to;
  }

  // -- Requests; parked ones give back their ticket
  // ------------------------------------------------
  ReplyTicket join(const kmsg::JoinGroupRequest& request, int16_t version = 9,
                   std::string_view client_id = "client") {
    GroupEffects effects;
    core->join_group(next_ticket, request, context(version, client_id), effects);
    pump(effects);
    return next_ticket++;
  }
  ReplyTicket sync(const kmsg::SyncGroupRequest& request, int16_t version = 3) {
    GroupEffects effects;
    core->sync_group(next_ticket, request, context(version), effects);
    pump(effects);
    return next_ticket++;
  }
  ReplyTicket commit(const kmsg::OffsetCommitRequest& request, int16_t version = 9) {
    GroupEffects effects;
    core->offset_commit(next_ticket, request, context(version), effects);
    pump(effects);
    return next_ticket++;
  }
  kmsg::ErrorCode heartbeat(const std::string& group, const std::string& member,
                            int32_t generation) {
    kmsg::HeartbeatRequest request;
    request.group_id = group;
    request.member_id = member;
    request.generation_id = generation;
    GroupEffects effects;
    auto response = core->heartbeat(request, context(4), effects);
    pump(effects);
    return response.error_code;
  }
  kmsg::LeaveGroupResponse leave(const kmsg::LeaveGroupRequest& request, int16_t version = 5) {
    GroupEffects effects;
    auto response = core->leave_group(request, context(version), effects);
    pump(effects);
    return response;
  }

  bool answered(ReplyTicket ticket) const { return replies.contains(ticket); }
  template <class T>
  const T& reply(ReplyTicket ticket) const {
    REQUIRE(replies.contains(ticket));
    return std::get<T>(replies.at(ticket));
  }
};

}  // namespace ottla::broker
