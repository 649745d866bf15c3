#include "proto/kafka/java_string.h"
#include "broker/group/records.h"
#include "broker/group/subscription.h"
#include "broker/group/test_driver.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

int64_t fetch_offset(const Driver& driver, const std::string& group,
                     ErrorCode expected = ErrorCode::none, bool require_stable = false) {
  kmsg::OffsetFetchRequest request;
  request.group_id = group;
  request.require_stable = require_stable;
  request.topics.emplace().emplace_back();
  request.topics->back().name = "abc";
  request.topics->back().partition_indexes = {0};
  auto response = driver.core->offset_fetch(request, driver.context(7));
  CHECK(response.error_code == ErrorCode::none);
  REQUIRE(response.topics.size() == 1);
  CHECK(response.topics[0].partitions.at(0).error_code == expected);
  return response.topics[0].partitions.at(0).committed_offset;
}

// A stable group of one; gives back its member's id.
std::string stable_member(Driver& driver, const std::string& group,
                          std::optional<std::string> instance = std::nullopt) {
  auto ticket = driver.join(join_request(group, "", std::move(instance)), 3);
  auto joined = driver.reply<kmsg::JoinGroupResponse>(ticket);
  REQUIRE(joined.error_code == ErrorCode::none);
  auto sync = driver.sync(
      sync_request(group, joined.member_id, joined.generation_id, {{joined.member_id, "mine"}}));
  REQUIRE(driver.reply<kmsg::SyncGroupResponse>(sync).assignment == "mine");
  return joined.member_id;
}

ErrorCode commit_error(const Driver& driver, ReplyTicket ticket) {
  return driver.reply<kmsg::OffsetCommitResponse>(ticket).topics.at(0).partitions.at(0).error_code;
}

}  // namespace

TEST_CASE("java strings") {
  CHECK(kmsg::java_string_hash("abc") == 96354);
  CHECK(kmsg::java_string_hash("polygenelubricants") == std::numeric_limits<int32_t>::min());
  CHECK(group_partition_for("polygenelubricants", 50) == 0);
  CHECK(group_partition_for("abc", 50) == 4);
  CHECK(kmsg::java_string_hash("\xf0\x9f\x98\x80") == 31 * 0xd83d + 0xde00);
  CHECK(kmsg::utf16_length("\xf0\x9f\x98\x80z\xc3\xa9") == 4);
  CHECK(kmsg::utf16_length("\xff\xc3") == 2);
}

TEST_CASE("records have Apache's layout") {
  CommittedOffset value{5, 7, "m", 0x0102, std::nullopt};
  GroupRecord record = offset_record("g", {"t", 3}, value);
  CHECK(to_hex(record.key) ==
        "0001"
        "000167"
        "000174"
        "00000003");
  CHECK(to_hex(*record.value) ==
        "0003"
        "0000000000000005"
        "00000007"
        "00016d"
        "0000000000000102");
  value.expire_timestamp_ms = 9;
  CHECK(to_hex(*offset_record("g", {"t", 3}, value).value) ==
        "0001"
        "0000000000000005"
        "00016d"
        "0000000000000102"
        "0000000000000009");
  CHECK(to_hex(group_tombstone("g").key) ==
        "0002"
        "000167");

  auto parsed = std::get<ParsedOffset>(parse_group_record(record.key, record.value->bytes()));
  CHECK(parsed.group_id == "g");
  CHECK(parsed.partition == GroupTopicPartition{"t", 3});
  CHECK(parsed.value->leader_epoch == 7);
  std::string later = from_hex("0003000167");  // a key version of some later coordinator
  CHECK(std::holds_alternative<UnknownRecord>(parse_group_record(as_bytes(later), std::nullopt)));
  CHECK(std::holds_alternative<UnknownRecord>(parse_group_record({}, std::nullopt)));
}

TEST_CASE("subscriptions") {
  CHECK(subscription_topics(kSubscription) == std::vector<std::string>{"abc"});
  CHECK_FALSE(subscription_topics("").has_value());
  CHECK_FALSE(subscription_topics(from_hex("00007fffffff")).has_value());
}

TEST_CASE("a first rebalance waits for members to arrive together") {
  Driver driver;
  auto first = driver.join(join_request("g"), 3);
  driver.advance_ms(2'900);
  auto second = driver.join(join_request("g"), 3);
  driver.advance_ms(200);
  CHECK_FALSE(driver.answered(first));  // extended by the second's arrival
  driver.advance_ms(3'000);
  REQUIRE(driver.answered(first));
  CHECK(driver.reply<kmsg::JoinGroupResponse>(first).generation_id == 1);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(second).generation_id == 1);
}

TEST_CASE("a member that is told its id has a session timeout to come back") {
  Driver driver(no_delay());
  auto asked = driver.join(join_request("g"), 4);
  auto told = driver.reply<kmsg::JoinGroupResponse>(asked);
  CHECK(told.error_code == ErrorCode::member_id_required);
  CHECK(told.protocol_name == "");
  driver.advance_ms(10'001);
  auto late = driver.join(join_request("g", told.member_id), 4);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(late).error_code == ErrorCode::unknown_member_id);
}

TEST_CASE("silent members go, a rebalance does not wait for the dead for ever") {
  Driver driver(no_delay());
  std::string member = stable_member(driver, "g");
  auto second = driver.join(join_request("g"), 3);
  CHECK_FALSE(driver.answered(second));  // the first member has to rejoin
  CHECK(driver.heartbeat("g", member, 1) == ErrorCode::rebalance_in_progress);
  driver.advance_ms(10'001);
  auto joined = driver.reply<kmsg::JoinGroupResponse>(second);
  CHECK(joined.generation_id == 2);
  CHECK(joined.leader == joined.member_id);
  CHECK(driver.heartbeat("g", member, 1) == ErrorCode::unknown_member_id);
  // It never syncs: after the rebalance timeout it is gone as well (its session ends before).
  driver.advance_ms(60'001);
  CHECK(driver.core->find("g")->is(GroupState::empty));
}

TEST_CASE("members that do not rejoin in time are left out, static ones kept") {
  Driver driver(no_delay());
  auto request = join_request("g", "", "one");
  request.session_timeout_ms = 300'000;
  auto first = driver.join(request, 5);
  auto joined = driver.reply<kmsg::JoinGroupResponse>(first);
  driver.sync(sync_request("g", joined.member_id, 1, {{joined.member_id, "x"}}));
  auto second = driver.join(join_request("g"), 3);
  driver.advance_ms(59'000);
  CHECK_FALSE(driver.answered(second));
  driver.advance_ms(2'000);
  auto formed = driver.reply<kmsg::JoinGroupResponse>(second);
  CHECK(formed.generation_id == 2);
  CHECK(formed.members.size() == 2);
}

TEST_CASE("a protocol named twice is supported once") {
  Driver driver(no_delay());
  auto request = join_request("g");
  request.protocols.push_back(request.protocols.front());
  auto ticket = driver.join(request, 3);
  driver.advance_ms(10'000);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(ticket).error_code == ErrorCode::none);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(ticket).protocol_name == "range");
}

TEST_CASE("group.max.size") {
  GroupConfig config = no_delay();
  config.max_size = 1;
  Driver driver(config);
  stable_member(driver, "g");
  auto refused = driver.reply<kmsg::JoinGroupResponse>(driver.join(join_request("g"), 3));
  CHECK(refused.error_code == ErrorCode::group_max_size_reached);
  CHECK(refused.member_id.empty());
}

TEST_CASE("a static member that restarts keeps its partitions") {
  Driver driver(no_delay());
  std::string old_id = stable_member(driver, "g", "one");
  auto again = driver.reply<kmsg::JoinGroupResponse>(driver.join(join_request("g", "", "one")));
  CHECK(again.error_code == ErrorCode::none);
  CHECK(again.generation_id == 1);
  CHECK(again.skip_assignment);
  CHECK(again.member_id != old_id);
  auto synced = driver.sync(sync_request("g", again.member_id, 1));
  CHECK(driver.reply<kmsg::SyncGroupResponse>(synced).assignment == "mine");

  // Not stored, not done: the old id stays the member.
  driver.append_error = ErrorCode::not_enough_replicas;
  auto failed = driver.reply<kmsg::JoinGroupResponse>(driver.join(join_request("g", "", "one")));
  CHECK(failed.error_code == ErrorCode::coordinator_not_available);
  CHECK(driver.heartbeat("g", again.member_id, 1) == ErrorCode::none);

  // A new coordinator knows the new id.
  driver.append_error = ErrorCode::none;
  driver.restart();
  CHECK(driver.heartbeat("g", again.member_id, 1) == ErrorCode::none);
  CHECK(driver.heartbeat("g", old_id, 1) == ErrorCode::unknown_member_id);
}

TEST_CASE("a static member's successor whose group gives it up while it is stored is answered") {
  Driver driver(no_delay());
  auto first = driver.reply<kmsg::JoinGroupResponse>(driver.join(join_request("g"), 3));
  driver.join(join_request("g", "", "one"));
  auto ticket = driver.join(join_request("g", first.member_id), 3);
  auto leader = driver.reply<kmsg::JoinGroupResponse>(ticket);
  REQUIRE(leader.members.size() == 2);
  driver.sync(sync_request("g", leader.member_id, 2, {{leader.member_id, "mine"}}));
  REQUIRE(driver.core->find("g")->is(GroupState::stable));
  driver.acknowledge_at_once = false;
  auto successor = driver.join(join_request("g", "", "one"));
  for (int i = 0; i < 12; ++i) {
    CHECK_FALSE(driver.answered(successor));
    driver.heartbeat("g", leader.member_id, 2);
    driver.advance_ms(5'000);
  }
  auto told = driver.reply<kmsg::JoinGroupResponse>(successor);
  CHECK(told.error_code == ErrorCode::unknown_member_id);
  driver.acknowledge();
  CHECK(driver.core->find("g")->members().size() == 1);
}

TEST_CASE("what the log refuses is told in the words members understand") {
  Driver driver(no_delay());
  auto joined = driver.reply<kmsg::JoinGroupResponse>(driver.join(join_request("g"), 3));
  driver.append_error = ErrorCode::request_timed_out;
  auto sync = driver.sync(sync_request("g", joined.member_id, 1, {{joined.member_id, "x"}}));
  CHECK(driver.reply<kmsg::SyncGroupResponse>(sync).error_code == ErrorCode::rebalance_in_progress);
  CHECK(driver.core->find("g")->is(GroupState::preparing_rebalance));

  driver.topics["abc"] = 1;
  const std::pair<ErrorCode, ErrorCode> told[] = {
      {ErrorCode::not_enough_replicas, ErrorCode::coordinator_not_available},
      {ErrorCode::unknown_topic_or_partition, ErrorCode::coordinator_not_available},
      {ErrorCode::not_leader_or_follower, ErrorCode::not_coordinator},
      {ErrorCode::kafka_storage_error, ErrorCode::not_coordinator},
      {ErrorCode::message_too_large, ErrorCode::invalid_commit_offset_size},
      {ErrorCode::request_timed_out, ErrorCode::request_timed_out},
  };
  for (auto [error, expected] : told) {
    driver.append_error = error;
    CHECK(commit_error(driver, driver.commit(commit_request("s", 1))) == expected);
  }
  CHECK(fetch_offset(driver, "s") == -1);
}

TEST_CASE("of two commits the later in the log wins, and pending ones are unstable") {
  Driver driver(no_delay());
  driver.topics["abc"] = 1;
  driver.acknowledge_at_once = false;
  auto first = driver.commit(commit_request("g", 5));
  CHECK(fetch_offset(driver, "g") == -1);
  CHECK(fetch_offset(driver, "g", ErrorCode::unstable_offset_commit, true) == -1);
  auto second = driver.commit(commit_request("g", 4));
  driver.acknowledge();
  CHECK(commit_error(driver, first) == ErrorCode::none);
  CHECK(fetch_offset(driver, "g") == 5);
  driver.acknowledge();
  CHECK(commit_error(driver, second) == ErrorCode::none);
  CHECK(fetch_offset(driver, "g", ErrorCode::none, true) == 4);
  driver.restart();
  CHECK(fetch_offset(driver, "g") == 4);
}

TEST_CASE("while a partition is loaded its members are kept waiting, not lost") {
  Driver driver(no_delay());
  driver.restart(false);
  int32_t partition = driver.core->partition_for("g");
  auto not_ours = driver.join(join_request("g"), 3);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(not_ours).error_code == ErrorCode::not_coordinator);
  REQUIRE(driver.core->begin_load(partition, 3));
  CHECK_FALSE(driver.core->begin_load(partition, 3));
  CHECK_FALSE(driver.core->begin_load(partition, 2));
  auto loading = driver.join(join_request("g"), 3);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(loading).error_code ==
        ErrorCode::coordinator_load_in_progress);
  CHECK(driver.heartbeat("g", "m", 1) == ErrorCode::none);
  auto sync = driver.sync(sync_request("g", "m", 1));
  CHECK(driver.reply<kmsg::SyncGroupResponse>(sync).error_code == ErrorCode::rebalance_in_progress);
  GroupEffects effects;
  driver.core->finish_load(partition, driver.clock, effects);
  driver.pump(effects);

  // A stale resignation changes nothing; a real one answers who is parked.
  stable_member(driver, "g");
  auto parked = driver.join(join_request("g"), 3);
  driver.core->unload(partition, 2, effects);
  CHECK(driver.core->find("g") != nullptr);
  driver.core->unload(partition, 4, effects);
  driver.pump(effects);
  CHECK(driver.reply<kmsg::JoinGroupResponse>(parked).error_code == ErrorCode::not_coordinator);
  CHECK(driver.core->find("g") == nullptr);
}

TEST_CASE("a partition that was deleted begins with the first epoch again") {
  Driver driver(no_delay());
  driver.restart(false);
  GroupEffects effects;
  REQUIRE(driver.core->begin_load(0, 5));
  driver.core->finish_load(0, driver.clock, effects);
  driver.core->unload(0, 6, effects);
  CHECK_FALSE(driver.core->begin_load(0, 5));
  driver.core->unload(0, std::nullopt, effects);
  CHECK(driver.core->begin_load(0, 0));
}

TEST_CASE("an outcome that comes after the group moved away still answers") {
  Driver driver(no_delay());
  driver.topics["abc"] = 1;
  driver.acknowledge_at_once = false;
  auto ticket = driver.commit(commit_request("g", 5));
  GroupEffects effects;
  driver.core->unload(driver.core->partition_for("g"), std::nullopt, effects);
  driver.pump(effects);
  driver.acknowledge(ErrorCode::not_leader_or_follower);
  CHECK(commit_error(driver, ticket) == ErrorCode::not_coordinator);
}

TEST_CASE("offsets expire by who uses them") {
  GroupConfig config = no_delay();
  config.offsets_retention_ms = 1'000'000;
  config.offsets_retention_check_interval_ms = 100'000;
  Driver driver(config);
  driver.topics["abc"] = 1;
  driver.commit(commit_request("simple", 5));
  auto short_lived = commit_request("short", 5);
  short_lived.retention_time_ms = 150'000;
  driver.commit(short_lived, 4);
  std::string member = stable_member(driver, "used");
  driver.commit(commit_request("used", 6, member, 1));
  for (int i = 0; i < 11; ++i) {
    for (int k = 0; k < 20; ++k) {
      driver.advance_ms(5'000);
      REQUIRE(driver.heartbeat("used", member, 1) == ErrorCode::none);
    }
    CHECK((fetch_offset(driver, "simple") == 5) == (i < 9));
    CHECK((fetch_offset(driver, "short") == 5) == (i < 1));
  }
  CHECK(fetch_offset(driver, "used") == 6);  // its topic is subscribed to
  driver.advance_ms(20'000);                 // the session ends: from now on it is empty
  CHECK(driver.core->find("used")->is(GroupState::empty));
  driver.advance_ms(1'100'000);
  CHECK(driver.core->find("used") == nullptr);
  driver.restart();
  CHECK(driver.core->counts().groups == 0);  // the tombstones say the same
}

TEST_CASE("offsets of a transaction count from its marker") {
  Driver driver(no_delay());
  driver.topics["abc"] = 1;
  driver.commit(commit_request("g", 1));
  auto commit_in_txn = [&](int64_t offset) {
    kmsg::TxnOffsetCommitRequest request;
    request.group_id = "g";
    request.producer_id = 77;
    request.producer_epoch = 0;
    auto& topic = request.topics.emplace_back();
    topic.name = "abc";
    topic.partitions.emplace_back().committed_offset = offset;
    GroupEffects effects;
    driver.core->txn_offset_commit(driver.next_ticket++, request, driver.context(3), effects);
    driver.pump(effects);
  };
  commit_in_txn(9);
  CHECK(fetch_offset(driver, "g") == 1);
  CHECK(fetch_offset(driver, "g", ErrorCode::unstable_offset_commit, true) == -1);
  driver.restart();
  CHECK(fetch_offset(driver, "g", ErrorCode::unstable_offset_commit, true) == -1);
  driver.core->complete_txn(77, {driver.core->partition_for("g")}, true);
  CHECK(fetch_offset(driver, "g", ErrorCode::none, true) == 9);
  commit_in_txn(11);
  driver.core->complete_txn(77, {driver.core->partition_for("g")}, false);
  CHECK(fetch_offset(driver, "g", ErrorCode::none, true) == 9);
}

TEST_CASE("a rebalance timeout of zero ends, it does not spin") {
  Driver driver(no_delay());
  auto request = join_request("g", "", "one");
  request.rebalance_timeout_ms = 0;
  auto first = driver.join(request, 5);
  auto joined = driver.reply<kmsg::JoinGroupResponse>(first);
  CHECK(joined.error_code == ErrorCode::none);
  driver.advance_ms(30'000);
  CHECK(driver.core->find("g")->is(GroupState::empty));
}

TEST_CASE("a deletion takes along what is on its way to the log, for good") {
  Driver driver(no_delay());
  driver.topics["abc"] = 1;
  auto deleted_by = [&](auto deletion) {
    driver.acknowledge_at_once = false;
    auto commit = driver.commit(commit_request("g", 5));
    GroupEffects effects;
    deletion(effects);
    driver.acknowledge_at_once = true;
    driver.pump(effects);
    CHECK(commit_error(driver, commit) == ErrorCode::none);
    CHECK(driver.core->find("g") == nullptr);
    driver.restart();
    CHECK(driver.core->find("g") == nullptr);
  };
  deleted_by([&](GroupEffects& effects) {
    kmsg::DeleteGroupsRequest request;
    request.groups_names = {"g"};
    driver.core->delete_groups(request, driver.context(2), effects);
  });
  deleted_by([&](GroupEffects& effects) {
    kmsg::OffsetDeleteRequest request;
    request.group_id = "g";
    request.topics.emplace_back().name = "abc";
    request.topics[0].partitions.emplace_back();
    driver.core->offset_delete(request, driver.context(0), effects);
  });
  deleted_by([&](GroupEffects& effects) {
    driver.core->on_partitions_deleted({{"abc", 0}}, driver.clock, effects);
  });
}

TEST_CASE("a group with very many offsets is deleted in batches that the log takes") {
  Driver driver(no_delay());
  driver.topics["abc"] = 100;
  std::string group(20'000, 'g');
  auto request = commit_request(group, 5);
  request.topics[0].partitions.resize(100);
  for (int32_t i = 0; i < 100; ++i) request.topics[0].partitions[size_t(i)].partition_index = i;
  driver.commit(request);
  kmsg::DeleteGroupsRequest deletion;
  deletion.groups_names = {group};
  GroupEffects effects;
  driver.core->delete_groups(deletion, driver.context(2), effects);
  REQUIRE(effects.appends.size() > 1);
  for (const auto& append : effects.appends) {
    size_t bytes = 0;
    for (const GroupRecord& record : append.records) bytes += record.key.size();
    CHECK(bytes < 1'000'000);
  }
  driver.pump(effects);
  driver.restart();
  CHECK(driver.core->find(group) == nullptr);
}

TEST_CASE("deleted partitions take their offsets and emptied groups along") {
  Driver driver(no_delay());
  driver.topics["abc"] = 1;
  driver.commit(commit_request("g", 5));
  GroupEffects effects;
  driver.core->on_partitions_deleted({{"abc", 0}}, driver.clock, effects);
  driver.pump(effects);
  CHECK(driver.core->find("g") == nullptr);
  driver.restart();
  CHECK(driver.core->find("g") == nullptr);
}

}  // namespace ottla::broker
