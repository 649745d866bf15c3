// Groups through their whole life. Three members a group, each with a connection; a JoinGroup or
// SyncGroup that waits for the others stays parked while the run goes on. Session and rebalance
// times are long: nothing here happens by the clock.
#include "test/interop/differential_kafka/steps_groups.h"
#include "test/interop/differential_kafka/steps_records.h"

#include <fmt/core.h>

namespace ottla::differential {
namespace {

constexpr int kFirstConn = 10;
constexpr int kMembers = 3;
using kmsg::ErrorCode;

}  // namespace

Steps::Steps(Run& r)
    : run(r), records_(std::make_unique<Records>()), groups_(std::make_unique<Groups>()) {
  int conn = kFirstConn;
  for (int g = 0; g < 4; ++g) {
    Groups::Group group{fmt::format("group{}", g), {}, false, {}};
    for (int m = 0; m < kMembers; ++m) {
      Groups::Member member;
      member.conn = conn++;
      if (g >= 2 && m != 1) member.instance = fmt::format("static{}", m);
      group.members.push_back(member);
    }
    groups_->groups.push_back(std::move(group));
  }
}

Steps::~Steps() = default;

void Steps::groups() {
  using State = Groups::State;
  Prng& prng = run.prng;
  Groups::Group& group = groups_->groups[prng.below(groups_->groups.size())];

  auto absorb = [&](Groups::Group& g, Groups::Member& m, Message* body) {
    if (auto* join = body_of<kmsg::JoinGroupResponse>(body)) {
      if (join->error_code == ErrorCode::none) {
        m.id = join->member_id;
        m.generation = join->generation_id;
        m.leads = join->leader == join->member_id;
        g.leader = join->leader;
        m.members.clear();
        for (const auto& each : join->members) m.members.push_back(each.member_id);
        m.state = State::joined;
        g.rebalancing = false;
      } else {
        m.state = State::out;
        m.id = join->error_code == ErrorCode::member_id_required ? join->member_id : std::string();
      }
    } else if (auto* sync = body_of<kmsg::SyncGroupResponse>(body)) {
      m.state = sync->error_code == ErrorCode::none ? State::stable : State::out;
      if (sync->error_code == ErrorCode::unknown_member_id) m.id.clear();
    }
  };
  auto take_unparked = [&] {
    for (Run::Unparked& done : run.take_unparked())
      for (auto& g : groups_->groups)
        for (auto& m : g.members)
          if (m.conn == done.conn) {
            m.state = State::out;
            absorb(g, m, done.body.get());
          }
  };
  take_unparked();

  auto join = [&](Groups::Member& m) {
    int16_t v = version(kmsg::JoinGroupRequest::kApiKey);
    if (m.instance && v < 5) v = 7;
    kmsg::JoinGroupRequest request;
    request.group_id = group.name;
    request.session_timeout_ms = 1'800'000;  // the most that is allowed
    if (v >= 1) request.rebalance_timeout_ms = 3'600'000;
    request.member_id = m.id;
    if (m.instance) request.group_instance_id = m.instance;
    request.protocol_type = "consumer";
    request.protocols.push_back(
        {"range", std::string(prng.below(6), static_cast<char>(97 + prng.below(26))), {}});
    if (prng.chance(0.5))
      request.protocols.push_back(
          {"roundrobin", std::string(prng.below(6), static_cast<char>(97 + prng.below(26))), {}});
    if (v >= 8) request.reason = pick<std::string>(prng, {"", "because", std::string(300, 'r')});
    uint64_t wrong = prng.below(40);
    if (wrong == 0) request.protocol_type = pick<std::string>(prng, {"connect", ""});
    if (wrong == 1) request.protocols.clear();
    if (wrong == 2) request.session_timeout_ms = pick(prng, {1, -1, INT32_MAX, 1800001});
    if (wrong == 3) request.member_id = "nobody";
    if (wrong == 4) request.protocols = {{"sticky", "x", {}}};
    if (wrong == 5) request.group_id = "";
    State before = m.state;
    m.state = State::joining;
    Expect expect;
    expect.may_park = true;
    // The first member's answer comes from a timer's thread at Apache's: nobody else may join
    // before.
    bool alone = true;
    for (const Groups::Member& each : group.members)
      if (&each != &m && each.state != State::out) alone = false;
    if (alone && run.state_of_group(group.name, 0) == "Empty") expect.patience_ms = 5000;
    Message* body = run.call(m.conn, request, v, expect);
    if (run.is_parked(m.conn)) {
      group.rebalancing = true;
    } else if (body) {
      auto* reply = body_of<kmsg::JoinGroupResponse>(body);
      std::string id = m.id;
      absorb(group, m, body);
      if (reply->error_code != ErrorCode::none &&
          reply->error_code != ErrorCode::member_id_required && wrong < 6) {
        // A wrong request: the member is what it was, unless it was never there.
        m.state = before;
        m.id = id;
      }
    } else {
      m.state = State::out;
    }
  };
  auto sync = [&](Groups::Member& m) {
    int16_t v = version(kmsg::SyncGroupRequest::kApiKey);
    if (m.instance && v < 3) v = 4;
    kmsg::SyncGroupRequest request;
    request.group_id = group.name;
    request.generation_id = m.generation;
    request.member_id = m.id;
    if (m.instance) request.group_instance_id = m.instance;
    if (v >= 5) {
      request.protocol_type = "consumer";
      request.protocol_name = "range";
      if (prng.chance(0.05)) request.protocol_name = "nonsense";
    }
    if (m.leads)
      for (const std::string& member : m.members)
        if (prng.chance(0.95))
          request.assignments.push_back(
              {member, std::string(prng.below(6), static_cast<char>(97 + prng.below(26))), {}});
    bool wrong = prng.chance(0.05);
    if (wrong) request.generation_id += pick(prng, {-1, 1});
    Expect expect;
    expect.may_park = true;
    State before = m.state;
    m.state = State::syncing;
    Message* body = run.call(m.conn, request, v, expect);
    if (run.is_parked(m.conn)) return;
    if (!body) {
      m.state = State::out;
      return;
    }
    auto* reply = body_of<kmsg::SyncGroupResponse>(body);
    if (reply->error_code == ErrorCode::none)
      m.state = State::stable;
    else if (reply->error_code == ErrorCode::rebalance_in_progress)
      m.state = State::joined, group.rebalancing = true;
    else
      m.state = before;
  };
  auto leave = [&](Groups::Member& m) {
    int16_t v = version(kmsg::LeaveGroupRequest::kApiKey);
    kmsg::LeaveGroupRequest request;
    request.group_id = group.name;
    if (v <= 2) {
      request.member_id = m.id;
    } else {
      auto& each = request.members.emplace_back();
      each.member_id = m.instance && prng.chance(0.5) ? "" : m.id;
      if (m.instance) each.group_instance_id = m.instance;
      if (v >= 5) each.reason = pick<std::string>(prng, {"", "done"});
      if (prng.chance(0.1)) request.members.push_back({"nobody", std::nullopt, std::nullopt, {}});
    }
    std::string before = run.state_of_group(group.name, 0);
    auto* reply = run.ask<kmsg::LeaveGroupResponse>(0, request, v);
    if (!reply || reply->error_code != ErrorCode::none) return;
    if (v >= 3 && !reply->members.empty() && reply->members[0].error_code != ErrorCode::none)
      return;
    if (m.state == State::joining || m.state == State::syncing) run.drop_connection(m.conn);
    // A rebalance that begins without members ends by a timer's thread at Apache's, at once.
    if (!before.starts_with("PreparingRebalance"))
      run.wait_until("the end of a rebalance of " + group.name, [&](int server) {
        return run.state_of_group(group.name, server) != "PreparingRebalance without members";
      });
    m = Groups::Member{m.conn, {}, m.instance, -1, false, State::out, {}};
    group.rebalancing = true;
  };
  auto commit = [&](const Groups::Member& m) {
    int16_t v = version(kmsg::OffsetCommitRequest::kApiKey);
    if (v == 0) v = 1;
    kmsg::OffsetCommitRequest request;
    request.group_id = group.name;
    request.generation_id_or_member_epoch = m.generation;
    request.member_id = m.id;
    if (v >= 7 && m.instance) request.group_instance_id = m.instance;
    for (uint64_t n = 1 + prng.below(2); n > 0; --n) {
      std::string name = world.topic_name(prng);
      if (!request.topics.empty() && request.topics[0].name == name) break;  // docs/compat.md
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      auto& p = topic.partitions.emplace_back();
      p.partition_index = world.partition(prng);
      p.committed_offset = world.offset(prng);
      if (v >= 6) p.committed_leader_epoch = pick(prng, {-1, 0, 1});
      if (prng.chance(0.7))
        p.committed_metadata = std::string(prng.chance(0.03) ? 4097 : prng.below(6), 'm');
    }
    run.call(0, request, v);
  };
  auto heartbeat = [&](const Groups::Member& m) {
    int16_t v = version(kmsg::HeartbeatRequest::kApiKey);
    kmsg::HeartbeatRequest request;
    request.group_id = group.name;
    request.generation_id = m.generation + (prng.chance(0.1) ? 1 : 0);
    request.member_id = m.id;
    if (v >= 3 && m.instance) request.group_instance_id = m.instance;
    if (v >= 3 && prng.chance(0.05)) request.group_instance_id = "static9";
    auto* reply = run.ask<kmsg::HeartbeatResponse>(0, request, v);
    if (reply && reply->error_code == ErrorCode::rebalance_in_progress) group.rebalancing = true;
  };
  auto describe = [&] {
    kmsg::DescribeGroupsRequest request;
    request.groups = {group.name};
    if (prng.chance(0.2)) request.groups.push_back(world.group(prng));
    run.call(0, request, version(kmsg::DescribeGroupsRequest::kApiKey));
  };

  Groups::Member& m = group.members[prng.below(group.members.size())];
  uint64_t die = prng.below(20);
  if (die < 3) {
    describe();
  } else if (die < 5) {
    heartbeat(m);
  } else if (die < 7) {
    commit(m);
  } else if (die == 7) {
    // The next leader comes from a hash map over random ids, where there is a choice.
    if (m.state == State::out) return;
    kmsg::DescribeGroupsRequest ask;
    ask.groups = {group.name};
    auto* now = run.ask<kmsg::DescribeGroupsResponse>(0, ask, 0);
    // One who became leader because another left has not been told of.
    bool known = false;
    if (now)
      for (const auto& each : now->groups[0].members) known |= each.member_id == group.leader;
    bool choice = !now || (now->groups[0].members.size() > 2 &&
                           (m.leads || m.id == group.leader || m.id.empty() || !known));
    if (!choice) leave(m);
  } else {
    switch (m.state) {
      case State::out:
        join(m);
        break;
      case State::joined:
        group.rebalancing&& prng.chance(0.5) ? join(m) : sync(m);
        break;
      case State::stable:
        if (group.rebalancing || prng.chance(0.1)) join(m);
        break;
      case State::joining:
      case State::syncing:
        break;
    }
  }
  take_unparked();
}

}  // namespace ottla::differential
