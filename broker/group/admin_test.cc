// What operators and their tools ask of a coordinator: list, describe, delete, remove a member;
// requests to one that is not (yet) theirs; old forms of requests.
#include <algorithm>

#include "broker/group/test_driver.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

struct Scene : Driver {
  Scene() : Driver(no_delay()) { topics = {{"abc", 2}, {"other", 1}}; }

  kmsg::JoinGroupRequest join_of(const std::string& group,
                                 std::optional<std::string> instance = std::nullopt) const {
    return join_request(group, "", std::move(instance));
  }
  kmsg::JoinGroupResponse join_now(const std::string& group,
                                   std::optional<std::string> instance = std::nullopt) {
    auto joined = reply<kmsg::JoinGroupResponse>(join(join_of(group, std::move(instance)), 3));
    REQUIRE(joined.error_code == ErrorCode::none);
    return joined;
  }
  kmsg::SyncGroupRequest sync_of(const std::string& group, const kmsg::JoinGroupResponse& joined) {
    auto request =
        sync_request(group, joined.member_id, joined.generation_id, {{joined.member_id, "mine"}});
    request.protocol_type = "consumer";
    request.protocol_name = "range";
    return request;
  }
  ErrorCode sync_error(const kmsg::SyncGroupRequest& request) {
    return reply<kmsg::SyncGroupResponse>(sync(request, 5)).error_code;
  }
  std::string member_of(const std::string& group,
                        std::optional<std::string> instance = std::nullopt) {
    auto joined = join_now(group, std::move(instance));
    REQUIRE(sync_error(sync_of(group, joined)) == ErrorCode::none);
    return joined.member_id;
  }
  ErrorCode commit_of(const std::string& group, const std::string& topic, int64_t offset,
                      const std::string& member = "", int32_t generation = -1,
                      const std::string& metadata = "") {
    auto request = commit_request(group, offset, member, generation, topic);
    request.topics[0].partitions[0].committed_metadata = metadata;
    auto response = reply<kmsg::OffsetCommitResponse>(commit(request));
    return response.topics.at(0).partitions.at(0).error_code;
  }
  ErrorCode commit_in_txn(const std::string& group, int64_t producer_id, int64_t offset) {
    kmsg::TxnOffsetCommitRequest request;
    request.group_id = group;
    request.producer_id = producer_id;
    request.producer_epoch = 0;
    request.topics.emplace_back().name = "abc";
    request.topics[0].partitions.emplace_back().committed_offset = offset;
    GroupEffects effects;
    ReplyTicket ticket = next_ticket++;
    core->txn_offset_commit(ticket, request, context(3), effects);
    pump(effects);
    return reply<kmsg::TxnOffsetCommitResponse>(ticket).topics.at(0).partitions.at(0).error_code;
  }
  kmsg::DescribeGroupsResponse::DescribedGroup describe(const std::string& group,
                                                        int16_t version = 5) const {
    kmsg::DescribeGroupsRequest request;
    request.groups = {group};
    request.include_authorized_operations = true;
    auto response = core->describe_groups(request, context(version));
    REQUIRE(response.groups.size() == 1);
    return response.groups[0];
  }
  std::vector<std::string> list(std::vector<std::string> states = {},
                                std::vector<std::string> types = {}) const {
    kmsg::ListGroupsRequest request;
    request.states_filter = std::move(states);
    request.types_filter = std::move(types);
    std::vector<std::string> lines;
    for (const auto& group : core->list_groups(request).groups)
      lines.push_back(group.group_id + " " + group.protocol_type + " " + group.group_state + " " +
                      group.group_type);
    return lines;
  }
  std::vector<ErrorCode> remove(const std::vector<std::string>& groups) {
    kmsg::DeleteGroupsRequest request;
    request.groups_names = groups;
    GroupEffects effects;
    auto response = core->delete_groups(request, context(2), effects);
    pump(effects);
    std::vector<ErrorCode> errors;
    for (const auto& result : response.results) errors.push_back(result.error_code);
    return errors;
  }
  // The request's error, or that of partition 0 of each topic.
  std::vector<ErrorCode> remove_offsets(const std::string& group,
                                        const std::vector<std::string>& names) {
    kmsg::OffsetDeleteRequest request;
    request.group_id = group;
    for (const std::string& name : names) {
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      topic.partitions.emplace_back().partition_index = 0;
    }
    GroupEffects effects;
    auto response = core->offset_delete(request, context(0), effects);
    pump(effects);
    if (response.error_code != ErrorCode::none) return {response.error_code};
    std::vector<ErrorCode> errors;
    for (const auto& topic : response.topics) errors.push_back(topic.partitions.at(0).error_code);
    return errors;
  }
  std::map<std::string, int64_t> offsets(const std::string& group, int16_t version = 8) const {
    kmsg::OffsetFetchRequest request;
    std::map<std::string, int64_t> out;
    auto note = [&](const auto& topics) {
      for (const auto& topic : topics)
        for (const auto& partition : topic.partitions)
          out[topic.name + "-" + std::to_string(partition.partition_index)] =
              partition.committed_offset;
    };
    if (version >= 8) {
      request.groups.emplace_back().group_id = group;
      request.groups[0].topics = std::nullopt;
      auto response = core->offset_fetch(request, context(version));
      REQUIRE(response.groups.size() == 1);
      CHECK(response.groups[0].error_code == ErrorCode::none);
      note(response.groups[0].topics);
    } else {
      request.group_id = group;
      request.topics = std::nullopt;
      note(core->offset_fetch(request, context(version)).topics);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("groups are listed by state and type, in any case") {
  Scene scene;
  scene.member_of("stable");
  scene.commit_of("simple", "abc", 1);
  auto joined = scene.join_now("completing");
  scene.join(scene.join_of("stable"), 3);  // the first member does not come back yet
  using Lines = std::vector<std::string>;
  CHECK(scene.list() == Lines{"completing consumer CompletingRebalance classic",
                              "simple  Empty classic",
                              "stable consumer PreparingRebalance classic"});
  CHECK(scene.list({"EMPTY", "stable"}) == Lines{"simple  Empty classic"});
  CHECK(scene.list({}, {"Classic"}).size() == 3);
  CHECK(scene.list({}, {"consumer"}).empty());
  auto counts = scene.core->counts();
  CHECK(counts.groups == 3);
  CHECK(counts.preparing_rebalance == 1);
  CHECK(counts.completing_rebalance == 1);
  CHECK(counts.empty == 1);
  CHECK(counts.stable == 0);
  CHECK(counts.dead == 0);
  CHECK(counts.offsets == 1);
  CHECK(scene.core->offset_commits() == 1);
  CHECK(scene.core->describe().find("stable") != std::string::npos);
  REQUIRE(scene.sync_error(scene.sync_of("completing", joined)) == ErrorCode::none);
  CHECK(scene.core->counts().stable == 1);
}

TEST_CASE("a group is described with its members, once they have a generation") {
  Scene scene;
  std::string member = scene.member_of("g", "one");
  auto group = scene.describe("g");
  CHECK(group.error_code == ErrorCode::none);
  CHECK(group.group_state == "Stable");
  CHECK(group.protocol_type == "consumer");
  CHECK(group.protocol_data == "range");
  CHECK(group.authorized_operations == 0b101001000);
  REQUIRE(group.members.size() == 1);
  CHECK(group.members[0].member_id == member);
  CHECK(group.members[0].group_instance_id == "one");
  CHECK(group.members[0].client_id == "client");
  CHECK(group.members[0].client_host == "/127.0.0.1");
  CHECK(group.members[0].member_metadata == kSubscription);
  CHECK(group.members[0].member_assignment == "mine");
  CHECK(scene.describe("g", 2).authorized_operations == INT32_MIN);
  scene.join(scene.join_of("g"), 3);
  group = scene.describe("g");
  CHECK(group.group_state == "PreparingRebalance");
  CHECK(group.protocol_data == "");
  CHECK(group.members.at(0).member_assignment == "");
  CHECK(scene.describe("nobody").group_state == "Dead");
  CHECK(scene.describe("nobody").error_code == ErrorCode::none);
}

TEST_CASE("what is asked for twice") {
  Scene scene;
  scene.commit_of("g", "abc", 1);
  kmsg::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics.emplace().resize(2);
  for (auto& topic : *fetch.topics) {
    topic.name = "abc";
    topic.partition_indexes = {0, 0, 1};
  }
  auto old = scene.core->offset_fetch(fetch, scene.context(7));
  REQUIRE(old.topics.size() == 2);
  REQUIRE(old.topics[0].partitions.size() == 2);
  CHECK(old.topics[0].partitions[0].committed_offset == 1);
  CHECK(old.topics[1].partitions.empty());

  // A group named again is answered again, until that becomes much.
  scene.commit_of("large", "abc", 1, "", -1, std::string(4000, 'm'));
  kmsg::OffsetFetchRequest groups;
  groups.groups.resize(5000);
  for (auto& group : groups.groups) group.group_id = "large";
  groups.groups.back().group_id = "other";
  for (auto& group : groups.groups) group.topics = std::nullopt;
  auto several = scene.core->offset_fetch(groups, scene.context(8));
  CHECK(several.groups.size() > 1000);
  CHECK(several.groups.size() < 1100);
  CHECK(several.groups[1].topics.size() == 1);
  CHECK(several.groups.back().group_id == "other");

  kmsg::DescribeGroupsRequest describe;
  describe.groups = {"g", "other", "g"};
  auto described = scene.core->describe_groups(describe, scene.context(5));
  REQUIRE(described.groups.size() == 3);
  CHECK(described.groups[0] == described.groups[2]);
}

TEST_CASE("a coordinator that is not theirs says so, each API in its own place") {
  Scene scene;
  scene.restart(false);
  CHECK(scene.describe("g").error_code == ErrorCode::not_coordinator);
  CHECK(scene.remove({"g"}) == std::vector{ErrorCode::not_coordinator});
  CHECK(scene.remove_offsets("g", {"abc"}) == std::vector{ErrorCode::not_coordinator});
  CHECK(scene.commit_of("g", "abc", 1) == ErrorCode::not_coordinator);
  CHECK(scene.heartbeat("g", "m", 1) == ErrorCode::not_coordinator);
  CHECK(scene.core->refuse_txn_offset_commit("g", scene.clock) == ErrorCode::not_coordinator);
  kmsg::LeaveGroupRequest leave;
  leave.group_id = "g";
  CHECK(scene.leave(leave).error_code == ErrorCode::not_coordinator);
  kmsg::SyncGroupRequest sync;
  sync.group_id = "g";
  sync.protocol_type = "consumer";
  sync.protocol_name = "range";
  CHECK(scene.sync_error(sync) == ErrorCode::not_coordinator);
  // Fetches of before version 2 have no place for it but the partitions.
  kmsg::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics.emplace().emplace_back();
  fetch.topics->back().name = "abc";
  fetch.topics->back().partition_indexes = {0, 1};
  auto old = scene.core->offset_fetch(fetch, scene.context(1));
  CHECK(old.error_code == ErrorCode::none);
  REQUIRE(old.topics.at(0).partitions.size() == 2);
  CHECK(old.topics[0].partitions[1].error_code == ErrorCode::not_coordinator);
  CHECK(scene.core->offset_fetch(fetch, scene.context(2)).error_code == ErrorCode::not_coordinator);

  REQUIRE(scene.core->begin_load(scene.core->partition_for("g"), 1));
  CHECK(scene.describe("g").error_code == ErrorCode::coordinator_load_in_progress);
  kmsg::ListGroupsRequest list;
  CHECK(scene.core->list_groups(list).error_code == ErrorCode::coordinator_load_in_progress);
  GroupCoordinator not_started({}, {});
  CHECK(not_started.list_groups(list).error_code == ErrorCode::coordinator_not_available);
}

TEST_CASE("only empty groups are deleted, with their offsets, for good") {
  Scene scene;
  scene.commit_of("gone", "abc", 1);
  scene.commit_of("gone", "other", 2);
  CHECK(scene.commit_in_txn("half", 5, 3) == ErrorCode::none);
  std::string member = scene.member_of("used");
  scene.commit_of("used", "abc", 4, member, 1);
  using Errors = std::vector<ErrorCode>;
  CHECK(scene.remove({"gone", "used", "nobody", "gone", "", "half"}) ==
        Errors{ErrorCode::none, ErrorCode::non_empty_group, ErrorCode::group_id_not_found,
               ErrorCode::group_id_not_found, ErrorCode::none});
  CHECK(scene.core->find("gone") == nullptr);
  // A transaction's marker that comes late finds nothing.
  scene.core->complete_txn(5, {scene.core->partition_for("half")}, true);
  CHECK(scene.offsets("half").empty());
  CHECK(scene.offsets("used") == std::map<std::string, int64_t>{{"abc-0", 4}});
  scene.restart();
  CHECK(scene.offsets("gone").empty());
  CHECK(scene.core->find("gone") == nullptr);
}

TEST_CASE("offsets are deleted one by one where nobody subscribes to them") {
  Scene scene;
  using Errors = std::vector<ErrorCode>;
  CHECK(scene.remove_offsets("nobody", {"abc"}) == Errors{ErrorCode::group_id_not_found});
  CHECK(scene.remove_offsets("", {"abc"}) == Errors{ErrorCode::invalid_group_id});
  std::string member = scene.member_of("g");
  scene.commit_of("g", "abc", 1, member, 1);
  scene.commit_of("g", "other", 2, member, 1);
  CHECK(scene.remove_offsets("g", {"abc", "other", "missing"}) ==
        Errors{ErrorCode::group_subscribed_to_topic, ErrorCode::none,
               ErrorCode::unknown_topic_or_partition});
  CHECK(scene.offsets("g") == std::map<std::string, int64_t>{{"abc-0", 1}});
  CHECK(scene.core->offset_deletions() == 1);
  CHECK(scene.remove_offsets("g", {"other"}) == Errors{ErrorCode::none});  // gone already
  auto custom = scene.join_of("connect");
  custom.protocol_type = "connect";
  REQUIRE(scene.reply<kmsg::JoinGroupResponse>(scene.join(custom, 3)).error_code ==
          ErrorCode::none);
  CHECK(scene.remove_offsets("connect", {"abc"}) == Errors{ErrorCode::non_empty_group});
  // Of an empty group everything may go, and the group with it.
  scene.commit_of("simple", "abc", 1);
  CHECK(scene.remove_offsets("simple", {"abc"}) == Errors{ErrorCode::none});
  CHECK(scene.core->find("simple") == nullptr);
  scene.restart();
  CHECK(scene.core->find("simple") == nullptr);
  CHECK(scene.offsets("g", 7) == std::map<std::string, int64_t>{{"abc-0", 1}});
}

TEST_CASE("members leave by id, by instance, before they joined, in the old form") {
  Scene scene;
  std::string member = scene.member_of("g", "one");
  auto told = scene.reply<kmsg::JoinGroupResponse>(scene.join(scene.join_of("g"), 4));
  REQUIRE(told.error_code == ErrorCode::member_id_required);
  kmsg::LeaveGroupRequest request;
  request.group_id = "g";
  request.members.resize(5);
  request.members[0].member_id = "stranger";
  request.members[1].group_instance_id = "two";
  request.members[2].member_id = told.member_id;
  request.members[3].member_id = "stranger";
  request.members[3].group_instance_id = "one";
  request.members[4].group_instance_id = "one";
  auto response = scene.leave(request);
  CHECK(response.error_code == ErrorCode::none);
  std::vector<ErrorCode> errors;
  for (const auto& left : response.members) errors.push_back(left.error_code);
  CHECK(errors == std::vector{ErrorCode::unknown_member_id, ErrorCode::unknown_member_id,
                              ErrorCode::none, ErrorCode::fenced_instance_id, ErrorCode::none});
  CHECK(scene.core->find("g")->is(GroupState::empty));
  kmsg::LeaveGroupRequest old;
  old.group_id = "h";
  old.member_id = "stranger";
  CHECK(scene.leave(old, 2).error_code == ErrorCode::unknown_member_id);
  old.member_id = scene.member_of("h");
  CHECK(scene.leave(old, 2).error_code == ErrorCode::none);
  CHECK(scene.core->find("h")->is(GroupState::empty));
}

TEST_CASE("a sync is refused by what does not fit the generation") {
  Scene scene;
  auto joined = scene.join_now("g");
  auto sync = scene.sync_of("g", joined);
  auto refused = [&](auto change) {
    auto request = sync;
    change(request);
    return scene.sync_error(request);
  };
  CHECK(refused([](auto& r) { r.group_id = "nobody"; }) == ErrorCode::unknown_member_id);
  CHECK(refused([](auto& r) { r.group_id = ""; }) == ErrorCode::invalid_group_id);
  CHECK(refused([](auto& r) { r.member_id = "stranger"; }) == ErrorCode::unknown_member_id);
  CHECK(refused([](auto& r) { r.generation_id = 9; }) == ErrorCode::illegal_generation);
  CHECK(refused([](auto& r) { r.protocol_type = "connect"; }) ==
        ErrorCode::inconsistent_group_protocol);
  CHECK(refused([](auto& r) { r.protocol_name = "sticky"; }) ==
        ErrorCode::inconsistent_group_protocol);
  CHECK(scene.sync_error(sync) == ErrorCode::none);
  CHECK(scene.sync_error(sync) == ErrorCode::none);  // its answer was lost: the same again
  scene.join(scene.join_of("g"), 3);
  CHECK(scene.sync_error(sync) == ErrorCode::rebalance_in_progress);
}

TEST_CASE("a join that is sent again gets the generation it needs, another protocol a new one") {
  Scene scene;
  auto first = scene.join_of("g");
  first.member_id = scene.join_now("g").member_id;
  auto again = scene.reply<kmsg::JoinGroupResponse>(scene.join(first, 3));
  CHECK(again.generation_id == 1);
  CHECK(again.members.size() == 1);
  auto other = first;
  other.protocols.push_back(other.protocols[0]);
  other.protocols[1].name = "sticky";
  CHECK(scene.reply<kmsg::JoinGroupResponse>(scene.join(other, 3)).generation_id == 2);
  // A member whose id is still pending has no instance.
  auto told = scene.reply<kmsg::JoinGroupResponse>(scene.join(scene.join_of("g"), 4));
  auto pending = scene.join_of("g", "one");
  pending.member_id = told.member_id;
  CHECK(scene.reply<kmsg::JoinGroupResponse>(scene.join(pending, 5)).error_code ==
        ErrorCode::unknown_server_error);
}

TEST_CASE("each failure of an append has its words, for assignments and commits") {
  const std::pair<ErrorCode, ErrorCode> groups[] = {
      {ErrorCode::not_enough_replicas, ErrorCode::coordinator_not_available},
      {ErrorCode::not_leader_or_follower, ErrorCode::not_coordinator},
      {ErrorCode::message_too_large, ErrorCode::unknown_server_error},
      {ErrorCode::request_timed_out, ErrorCode::rebalance_in_progress},
      {ErrorCode::corrupt_message, ErrorCode::corrupt_message},
  };
  for (auto [error, told] : groups) {
    Scene scene;
    auto joined = scene.join_now("g");
    scene.append_error = error;
    CHECK(scene.sync_error(scene.sync_of("g", joined)) == told);
    CHECK(scene.core->find("g")->is(GroupState::preparing_rebalance));
  }
  Scene scene;
  scene.append_error = ErrorCode::network_exception;
  CHECK(scene.commit_of("g", "abc", 1) == ErrorCode::coordinator_load_in_progress);
  scene.append_error = ErrorCode::record_list_too_large;
  CHECK(scene.commit_in_txn("g", 5, 3) == ErrorCode::invalid_commit_offset_size);
  scene.append_error = ErrorCode::none;
  CHECK(scene.commit_of("g", "abc", 1, "", -1, std::string(4097, 'x')) ==
        ErrorCode::offset_metadata_too_large);
  CHECK(scene.commit_of("g", "missing", 1) == ErrorCode::unknown_topic_or_partition);
  CHECK(scene.offsets("g").empty());
  // A group that empties goes on, whether that could be stored or not.
  std::string member = scene.member_of("h");
  scene.append_error = ErrorCode::not_enough_replicas;
  kmsg::LeaveGroupRequest leave;
  leave.group_id = "h";
  leave.members.emplace_back().member_id = member;
  CHECK(scene.leave(leave).members.at(0).error_code == ErrorCode::none);
  CHECK(scene.core->find("h")->is(GroupState::empty));
  CHECK(scene.notes.back().find("could not be stored: NOT_ENOUGH_REPLICAS") != std::string::npos);
}

TEST_CASE("a log with transactions and records of later versions is replayed") {
  Scene scene;
  int32_t partition = scene.core->partition_for("g");
  REQUIRE(scene.commit_in_txn("g", 5, 30) == ErrorCode::none);
  REQUIRE(scene.commit_in_txn("g", 6, 40) == ErrorCode::none);
  scene.restart(false);
  REQUIRE(scene.core->begin_load(partition, 2));
  for (const auto& batch : scene.log[partition])
    for (const GroupRecord& record : batch.append.records) {
      LoadedRecord loaded;
      loaded.key = record.key;
      loaded.value = record.value->bytes();
      loaded.batch_base_offset = batch.base_offset;
      loaded.is_transactional = true;
      loaded.producer_id = batch.append.producer_id;
      scene.core->replay(partition, loaded);
    }
  std::string later = from_hex("0009000167");
  LoadedRecord unknown;
  unknown.key = as_bytes(later);
  scene.core->replay(partition, unknown);
  scene.core->replay_marker(partition, 5, true);
  scene.core->replay_marker(partition, 6, false);
  scene.core->replay_marker(partition, 7, true);      // of a transaction without offsets
  scene.core->replay_marker(partition + 1, 5, true);  // of a partition that is not being loaded
  GroupEffects effects;
  scene.core->finish_load(partition + 1, scene.clock, effects);
  CHECK(effects.notes.empty());
  scene.core->finish_load(partition, scene.clock, effects);
  scene.pump(effects);
  CHECK(scene.offsets("g") == std::map<std::string, int64_t>{{"abc-0", 30}});
  CHECK(std::any_of(scene.notes.begin(), scene.notes.end(), [](const std::string& note) {
    return note.find("1 records of an unknown kind ignored") != std::string::npos;
  }));
  // A later leader takes it away, an earlier one's word does not count.
  GroupEffects gone;
  scene.core->unload(partition, 1, gone);
  CHECK(scene.core->is_loaded(partition));
  scene.core->unload(partition, 3, gone);
  CHECK_FALSE(scene.core->is_loaded(partition));
  CHECK(scene.core->find("g") == nullptr);
}

TEST_CASE("groups of a loaded log are taken over a few at a time, while markers come") {
  Scene scene;
  int32_t partition = scene.core->partition_for("g");
  std::vector<std::string> names;
  for (int i = 0; names.size() < 4; ++i) {
    std::string name = "g" + std::to_string(i);
    if (scene.core->partition_for(name) == partition) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  std::string member = scene.member_of(names[0]);
  scene.commit_of(names[0], "abc", 1, member, 1);
  for (size_t i = 1; i < names.size(); ++i) scene.commit_of(names[i], "abc", 1);
  REQUIRE(scene.commit_in_txn(names[1], 5, 50) == ErrorCode::none);
  REQUIRE(scene.commit_in_txn(names[3], 5, 51) == ErrorCode::none);
  REQUIRE(scene.commit_in_txn(names[3], 6, 60) == ErrorCode::none);
  for (bool unloaded_between : {true, false}) {
    scene.restart(false);
    scene.read_log(partition, 1);
    CHECK_FALSE(scene.take_over(partition, 2));
    CHECK_FALSE(scene.core->is_loaded(partition));
    CHECK(scene.describe(names[0]).error_code == ErrorCode::coordinator_load_in_progress);
    scene.core->check_invariants();
    if (!unloaded_between) break;
    GroupEffects gone;
    scene.core->unload(partition, 2, gone);
    CHECK(scene.core->find(names[0]) == nullptr);
    scene.core->check_invariants();
  }
  // Of one group that was taken over and one that was not.
  scene.core->complete_txn(5, {partition}, true);
  while (!scene.take_over(partition, 1)) scene.core->check_invariants();
  scene.core->check_invariants();
  CHECK(scene.describe(names[0]).group_state == "Stable");
  auto offset_of = [&](size_t i) { return scene.offsets(names[i]).at("abc-0"); };
  CHECK(offset_of(0) == 1);
  CHECK(offset_of(1) == 50);
  CHECK(offset_of(2) == 1);
  CHECK(offset_of(3) == 51);
  scene.core->complete_txn(6, {partition}, true);
  CHECK(offset_of(3) == 60);
  CHECK(scene.notes.back().find("4 groups loaded") != std::string::npos);
}

}  // namespace ottla::broker
