// The requests of operators and brokers, from their message to their answer: a controller on an
// ensemble in memory, and this broker's metadata, which follows at once or is held back.
#include <fmt/core.h>

#include "broker/controller/partition_admin.h"
#include "broker/controller/test_scene.h"
#include "broker/controller/topic_admin.h"
#include "common/rt_sim/simulator.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

struct Asking : Scene, TopicAdminHost {
  sim::Simulator simulator{1};
  rt::World world{simulator.add_node("b")};
  MetadataPtr image = MetadataImage::empty("c");
  bool active = true, hold_metadata = false;
  std::set<std::string> queued;
  size_t applied = 0;
  std::map<std::string, ConfigMap> written;
  std::optional<PartitionAdmin> partitions;
  std::optional<TopicAdmin> topics;

  explicit Asking(std::initializer_list<int32_t> ids, TopicAdminOptions options = {}) : Scene(ids) {
    Controller& controller = start(*ids.begin());
    partitions.emplace(world, controller, *this);
    topics.emplace(world, *admin, *this, options);
    topics->on_config_written(
        [this](const std::string& topic, const ConfigMap& config) { written[topic] = config; });
    settle();
  }

  MetadataPtr metadata() const override { return image; }
  bool is_active_controller() const override { return active; }
  bool is_queued_for_deletion(const std::string& topic) const override {
    return queued.contains(topic);
  }
  UntoldTopics untold_topics() const override {
    return untold(controllers.begin()->second->state(), *image);
  }
  AdminRefusal validate_topic_config(const ConfigMap& config) const override {
    if (!config.contains("no.such")) return {};
    return {ErrorCode::invalid_config, "Unknown topic config name: no.such"};
  }

  void settle(int64_t ms = 1) {
    for (int round = 0; round < 4; ++round) {
      run();
      while (!hold_metadata && applied < brokers.update_metadatas.size())
        image = MetadataImage::apply(image, brokers.update_metadatas[applied++]).image;
      partitions->on_metadata_changed();
      topics->on_metadata_changed();
      simulator.run_for(ms_to_ns(round == 0 ? ms : 1));
    }
  }
  // Answered exactly once, within ms.
  template <class Response, class Start>
  Response ask(Start&& start_request, int64_t ms = 1) {
    std::optional<Response> out;
    start_request([&](Response response) {
      REQUIRE_FALSE(out.has_value());
      out = std::move(response);
    });
    settle(ms);
    REQUIRE(out.has_value());
    return std::move(*out);
  }

  // As "t-0 NONE".
  std::vector<std::string> elect(std::optional<std::vector<std::string>> names, int8_t type = 0,
                                 int64_t ms = 1) {
    kmsg::ElectLeadersRequest request;
    request.election_type = type;
    request.timeout_ms = 500;
    request.topic_partitions = std::nullopt;
    if (names) {
      request.topic_partitions.emplace();
      for (const std::string& name : *names) {
        auto& topic = request.topic_partitions->emplace_back();
        topic.topic = name;
        topic.partitions = {0};
      }
    }
    auto response = ask<kmsg::ElectLeadersResponse>(
        [&](auto done) { partitions->elect_leaders(request, std::move(done)); }, ms);
    std::vector<std::string> lines;
    if (response.error_code != ErrorCode::none)
      lines.emplace_back(kmsg::error_name(response.error_code));
    for (const auto& topic : response.replica_election_results)
      for (const auto& one : topic.partition_result)
        lines.push_back(topic.topic + "-" + std::to_string(one.partition_id) + " " +
                        std::string(kmsg::error_name(one.error_code)));
    return lines;
  }
  std::vector<ErrorCode> remove(const kmsg::DeleteTopicsRequest& request, int16_t version = 6) {
    auto results = ask<std::vector<DeleteTopicResult>>(
        [&](auto done) { topics->delete_topics(request, version, std::move(done)); });
    std::vector<ErrorCode> errors;
    for (const auto& result : results) errors.push_back(result.error);
    return errors;
  }
  void give_leadership_to_2() {
    zk.apply(ZkRequest::set(
        zpath::partition_state("t", 0),
        R"({"controller_epoch":1,"leader":2,"version":1,"leader_epoch":5,"isr":[2,1]})"));
    zk.apply(ZkRequest::create(std::string(zpath::kIsrChanges) + "/isr_change_0",
                               R"({"version":1,"partitions":[{"topic":"t","partition":0}]})"));
    settle();
    REQUIRE(image->partition("t", 0)->leader == 2);
  }
};

std::string names(const std::vector<CreateTopicResult>& results) {
  std::string out;
  for (const auto& result : results)
    out += result.name + " " + std::string(kmsg::error_name(result.error)) + "\n";
  return out;
}
kmsg::CreateTopicsRequest create_of(std::vector<std::string> topic_names, int32_t count = 1,
                                    int16_t factor = 1) {
  kmsg::CreateTopicsRequest request;
  request.timeout_ms = 1000;
  for (std::string& name : topic_names) {
    auto& topic = request.topics.emplace_back();
    topic.name = std::move(name);
    topic.num_partitions = count;
    topic.replication_factor = factor;
  }
  return request;
}

}  // namespace

TEST_CASE("elections are answered when this broker's metadata shows them, or in time") {
  using Answer = std::vector<std::string>;
  Asking scene({1, 2});
  scene.create_topic("t", kTwoReplicas);
  scene.settle();
  CHECK(scene.elect(Answer{"t", "x"}) ==
        Answer{"t-0 ELECTION_NOT_NEEDED", "x-0 UNKNOWN_TOPIC_OR_PARTITION"});
  CHECK(scene.elect(std::nullopt).empty());  // what needs none is not named then
  CHECK(scene.elect(Answer{"t"}, 7) == Answer{"UNKNOWN_SERVER_ERROR", "t-0 UNKNOWN_SERVER_ERROR"});
  CHECK(scene.elect(std::nullopt, 7) == Answer{"UNKNOWN_SERVER_ERROR"});
  scene.give_leadership_to_2();
  CHECK(scene.elect(std::nullopt) == Answer{"t-0 NONE"});
  CHECK(scene.image->partition("t", 0)->leader == 1);
  scene.zk.apply(ZkRequest::remove(std::string(zpath::kIsrChanges) + "/isr_change_0"));
  scene.settle();
  Asking held({1, 2});
  held.create_topic("t", kTwoReplicas);
  held.settle();
  held.give_leadership_to_2();
  held.hold_metadata = true;
  CHECK(held.elect(Answer{"t"}, 0, 600) == Answer{"t-0 REQUEST_TIMED_OUT"});
}

TEST_CASE("reassignments are begun and shown by request, by the controller alone") {
  Asking scene({1, 2, 3});
  scene.create_topic("t", kTwoReplicas);
  scene.settle();
  kmsg::AlterPartitionReassignmentsRequest alter;
  auto& topic = alter.topics.emplace_back();
  topic.name = "t";
  topic.partitions.resize(2);
  topic.partitions[0].replicas = std::vector<int32_t>{3, 2};
  topic.partitions[1].partition_index = 9;
  topic.partitions[1].replicas = std::vector<int32_t>{3};
  auto change = [&] {
    return scene.ask<kmsg::AlterPartitionReassignmentsResponse>(
        [&](auto done) { scene.partitions->alter_reassignments(alter, std::move(done)); });
  };
  kmsg::ListPartitionReassignmentsRequest list;
  auto show = [&] {
    return scene.ask<kmsg::ListPartitionReassignmentsResponse>(
        [&](auto done) { scene.partitions->list_reassignments(list, std::move(done)); });
  };
  scene.active = false;
  CHECK(change().error_code == ErrorCode::not_controller);
  CHECK(show().error_code == ErrorCode::not_controller);
  scene.active = true;
  auto begun = change();
  CHECK(begun.error_code == ErrorCode::none);
  REQUIRE(begun.responses.size() == 1);
  CHECK(begun.responses[0].partitions.at(0).error_code == ErrorCode::none);
  CHECK(begun.responses[0].partitions.at(1).error_code == ErrorCode::unknown_topic_or_partition);
  list.topics = std::nullopt;
  auto all = show();
  REQUIRE(all.topics.size() == 1);
  CHECK(all.topics[0].name == "t");
  CHECK(all.topics[0].partitions.at(0).replicas == std::vector<int32_t>{3, 2, 1});
  CHECK(all.topics[0].partitions[0].adding_replicas == std::vector<int32_t>{3});
  CHECK(all.topics[0].partitions[0].removing_replicas == std::vector<int32_t>{1});
  list.topics.emplace().emplace_back().name = "t";
  list.topics->back().partition_indexes = {1};
  CHECK(show().topics.empty());
  list.topics->back().partition_indexes = {0};
  CHECK(show().topics.size() == 1);
}

TEST_CASE("a broker's change of an ISR: whose it is, by name and by id") {
  Asking scene({1, 2});
  scene.create_topic("t", kTwoReplicas);
  scene.settle();
  kmsg::AlterPartitionRequest request;
  request.broker_id = 1;
  request.broker_epoch = *scene.controllers.at(1)->broker_epoch(1);
  auto& topic = request.topics.emplace_back();
  topic.topic_name = "t";
  topic.topic_id = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
  auto& partition = topic.partitions.emplace_back();
  partition.new_isr = {1};
  auto change = [&](int16_t version) {
    return scene.ask<kmsg::AlterPartitionResponse>(
        [&](auto done) { scene.partitions->alter_partition(request, version, std::move(done)); });
  };
  scene.active = false;
  CHECK(change(1).error_code == ErrorCode::not_controller);
  scene.active = true;
  ++request.broker_epoch;
  CHECK(change(1).error_code == ErrorCode::stale_broker_epoch);
  --request.broker_epoch;
  auto by_name = change(1);
  CHECK(by_name.error_code == ErrorCode::none);
  const auto& shrunk = by_name.topics.at(0).partitions.at(0);
  CHECK(shrunk.error_code == ErrorCode::none);
  CHECK(shrunk.isr == std::vector<int32_t>{1});
  CHECK(shrunk.leader_id == 1);
  CHECK(shrunk.partition_epoch == 1);
  auto stale = change(1);  // as it is already
  CHECK(stale.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
  partition.new_isr.clear();
  partition.new_isr_with_epochs.resize(2);
  partition.new_isr_with_epochs[0].broker_id = 1;
  partition.new_isr_with_epochs[1].broker_id = 2;
  CHECK(change(3).topics.at(0).partitions.at(0).error_code == ErrorCode::invalid_update_version);
  partition.partition_epoch = 1;
  auto by_id = change(3);
  CHECK(by_id.topics.at(0).partitions.at(0).isr == std::vector<int32_t>{1, 2});
  topic.topic_id = *kmsg::Uuid::from_string("AAAAAAAAAAAAAAAAAAAAAQ");
  CHECK(change(3).topics.at(0).partitions.at(0).error_code == ErrorCode::unknown_topic_id);
}

TEST_CASE("a broker that wants to leave hears what it still leads") {
  Asking scene({1, 2});
  scene.create_topic("t", kTwoReplicas);
  scene.create_topic("u", kOneReplica);  // nobody else could lead it: not named
  scene.settle();
  kmsg::ControlledShutdownRequest request;
  request.broker_id = 1;
  auto leave = [&] {
    return scene.ask<kmsg::ControlledShutdownResponse>(
        [&](auto done) { scene.partitions->controlled_shutdown(request, std::move(done)); });
  };
  auto left = leave();
  CHECK(left.error_code == ErrorCode::none);
  REQUIRE(left.remaining_partitions.size() == 1);
  CHECK(left.remaining_partitions[0].topic_name == "t");
  request.broker_epoch = 0;
  CHECK(leave().error_code == ErrorCode::stale_broker_epoch);
  request.broker_id = 9;
  CHECK(leave().error_code == ErrorCode::unknown_server_error);
  request.broker_epoch = -1;
  CHECK(leave().error_code == ErrorCode::broker_not_available);
  scene.active = false;
  CHECK(leave().error_code == ErrorCode::stale_controller_epoch);
}

TEST_CASE("topics are created, or refused each for itself") {
  Asking scene({1, 2});
  auto create = [&](const kmsg::CreateTopicsRequest& request, int64_t ms = 1) {
    return scene.ask<std::vector<CreateTopicResult>>(
        [&](auto done) { scene.topics->create_topics(request, std::move(done)); }, ms);
  };
  auto request = create_of({"a.b", "twice", "twice", "__cluster_metadata", "no name"});
  CHECK(names(create(request)) ==
        "a.b NONE\ntwice INVALID_REQUEST\ntwice INVALID_REQUEST\n"
        "__cluster_metadata INVALID_REQUEST\nno name INVALID_TOPIC_EXCEPTION\n");
  CHECK(scene.image->topic("a.b") != nullptr);
  auto collides = create(create_of({"a_b", "a.b"}));
  CHECK(collides[0].error == ErrorCode::invalid_topic_exception);
  CHECK(collides[0].message == "Topic 'a_b' collides with existing topics: a.b");
  CHECK(collides[1].message == "Topic 'a.b' already exists.");
  scene.zk.apply(ZkRequest::create(zpath::delete_topic("doomed"), std::nullopt));
  CHECK(names(create(create_of({"many"}, 1, 3))) == "many INVALID_REPLICATION_FACTOR\n");
  request = create_of({"c"});
  auto& entry = request.topics[0].configs.emplace_back();
  entry.name = "no.such";
  entry.value = "1";
  CHECK(create(request)[0].message == "Unknown topic config name: no.such");
  // A partition below 0 alone: its config is looked at first.
  request.topics[0].num_partitions = request.topics[0].replication_factor = -1;
  request.topics[0].assignments.emplace_back().partition_index = -1;
  request.topics[0].assignments[0].broker_ids = {1};
  CHECK(create(request)[0].error == ErrorCode::invalid_config);
  entry.name = "retention.ms";
  CHECK(create(request)[0].error == ErrorCode::unknown_server_error);
  request = create_of({"c"});
  request.topics[0].configs.push_back({"retention.ms", "1", {}});
  request.validate_only = true;
  auto shown = create(request);
  CHECK(names(shown) == "c NONE\n");
  CHECK(shown[0].num_partitions == 1);
  CHECK(shown[0].topic_id.is_zero());
  CHECK_FALSE(scene.zk.exists(zpath::topic("c")));
  request.validate_only = false;
  scene.hold_metadata = true;
  CHECK(names(create(request, 1100)) == "c REQUEST_TIMED_OUT\n");
  CHECK(scene.zk.exists(zpath::topic("c")));
  CHECK(scene.written.at("c") == ConfigMap{{"retention.ms", "1"}});
  // Of two at once one is refused, and its config is nobody's.
  scene.hold_metadata = false;
  auto first = create_of({"race"}), second = create_of({"race"});
  first.topics[0].configs.push_back({"retention.ms", "1", {}});
  second.topics[0].configs.push_back({"retention.ms", "2", {}});
  std::string told;
  scene.topics->create_topics(first, [&](auto results) { told = names(results); });
  CHECK(names(create(second)) == "race TOPIC_ALREADY_EXISTS\n");
  CHECK(told == "race NONE\n");
  CHECK(scene.written.at("race") == ConfigMap{{"retention.ms", "1"}});
  scene.active = false;
  CHECK(names(create(create_of({"d"}))) == "d NOT_CONTROLLER\n");
}

TEST_CASE("topics are deleted by name and by id, where that is allowed") {
  Asking scene({1});
  scene.create_topic("t", kOneReplica);
  scene.settle();
  kmsg::DeleteTopicsRequest request;
  request.timeout_ms = 1000;
  request.topics.resize(4);
  request.topics[0].topic_id = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
  request.topics[1].topic_id = *kmsg::Uuid::from_string("AAAAAAAAAAAAAAAAAAAAAQ");
  request.topics[2].name = "nobody";
  request.topics[3].name = std::nullopt;
  using Errors = std::vector<ErrorCode>;
  scene.active = false;
  CHECK(scene.remove(request) == Errors(4, ErrorCode::not_controller));
  scene.active = true;
  CHECK(scene.remove(request) == Errors{ErrorCode::none, ErrorCode::unknown_topic_id,
                                        ErrorCode::unknown_topic_or_partition,
                                        ErrorCode::topic_authorization_failed});
  CHECK(scene.image->topic("t") == nullptr);
  CHECK_FALSE(scene.zk.exists(zpath::topic("t")));
  TopicAdminOptions options;
  options.delete_topic_enable = false;
  Asking kept({1}, options);
  request.topics.resize(1);
  CHECK(kept.remove(request, 2) == Errors{ErrorCode::invalid_request});
  CHECK(kept.remove(request, 3) == Errors{ErrorCode::topic_deletion_disabled});
}

// Seed 1795401023042 of sim_stack: a restarted broker called a topic unknown that was there.
TEST_CASE("a topic that the controller has yet to tell of is not called unknown") {
  Asking scene({1});
  scene.create_topic("nowhere", R"({"partitions":{"0":[7]},"version":2})");
  scene.settle();
  scene.hold_metadata = true;
  scene.create_topic("t", kOneReplica);
  scene.settle();
  kmsg::DeleteTopicsRequest request;
  request.timeout_ms = 1000;
  request.topics.resize(4);
  request.topics[0].topic_id = *kmsg::Uuid::from_string("yrHP8pdTTl-15EDiMQmS5Q");
  request.topics[1].name = "t";
  request.topics[2].name = "nobody";
  request.topics[3].name = "nowhere";  // no broker of it lives: nobody is told of it
  using Errors = std::vector<ErrorCode>;
  constexpr ErrorCode kUnknown = ErrorCode::unknown_topic_or_partition;
  CHECK(scene.remove(request) ==
        Errors{ErrorCode::not_controller, ErrorCode::not_controller, kUnknown, kUnknown});
  CHECK(scene.zk.exists(zpath::topic("t")));

  // A controller that is elected anew has everything to load.
  Controller& controller = *scene.controllers.at(1);
  controller.stop();
  scene.zk.apply(ZkRequest::remove(zpath::kController));
  std::optional<bool> loads;
  scene.sessions.at(1)->lose_reply = [&](const ZkRequest&) {
    if (controller.active() && !loads) loads = scene.untold_topics().loading;
    return false;
  };
  controller.start();
  CHECK_FALSE(scene.untold_topics().loading);  // not elected yet
  scene.run();
  scene.sessions.at(1)->lose_reply = nullptr;
  CHECK(loads == true);
  CHECK_FALSE(scene.untold_topics().loading);
  CHECK(scene.untold_topics().names == std::set<std::string>{"t"});

  scene.hold_metadata = false;
  scene.settle();
  CHECK(scene.remove(request) == Errors{ErrorCode::none, ErrorCode::none, kUnknown, kUnknown});
  CHECK_FALSE(scene.zk.exists(zpath::topic("t")));
}

TEST_CASE("partitions are added, or refused each for itself") {
  Asking scene({1});
  scene.create_topic("t", kOneReplica);
  scene.settle();
  scene.queued = {"doomed"};
  kmsg::CreatePartitionsRequest request;
  request.timeout_ms = 1000;
  auto add = [&](const char* name, int32_t count) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.count = count;
    topic.assignments = std::nullopt;
  };
  auto grow = [&](int64_t ms = 1) {
    auto results = scene.ask<std::vector<CreatePartitionsResult>>(
        [&](auto done) { scene.topics->create_partitions(request, std::move(done)); }, ms);
    std::map<std::string, ErrorCode> errors;
    for (const auto& result : results) errors[result.name] = result.error;
    return errors;
  };
  using Errors = std::map<std::string, ErrorCode>;
  add("twice", 2), add("twice", 3), add("doomed", 2);
  CHECK(grow() == Errors{{"twice", ErrorCode::invalid_request},
                         {"doomed", ErrorCode::invalid_topic_exception}});
  add("t", 3), add("nobody", 2), add("no name", 2);
  request.validate_only = true;
  Errors wanted = {{"twice", ErrorCode::invalid_request},
                   {"doomed", ErrorCode::invalid_topic_exception},
                   {"t", ErrorCode::none},
                   {"nobody", ErrorCode::unknown_topic_or_partition},
                   {"no name", ErrorCode::unknown_topic_or_partition}};
  CHECK(grow() == wanted);
  CHECK(scene.image->partition("t", 2) == nullptr);
  request.validate_only = false;
  CHECK(grow() == wanted);
  CHECK(scene.image->partition("t", 2) != nullptr);
  request.topics.clear();
  add("t", 3);
  CHECK(grow() == Errors{{"t", ErrorCode::invalid_partitions}});
  scene.hold_metadata = true;
  request.topics[0].count = 4;
  CHECK(grow(1100) == Errors{{"t", ErrorCode::request_timed_out}});
  scene.active = false;
  CHECK(grow() == Errors{{"t", ErrorCode::not_controller}});
}

TEST_CASE("topics that clients name come by themselves, internal ones with settings of their own") {
  TopicAdminOptions options;
  options.offsets_topic_num_partitions = 2;
  options.offsets_topic_replication_factor = 1;
  Asking scene({1}, options);
  CHECK(scene.topics->auto_create("no name") == ErrorCode::invalid_topic_exception);
  CHECK(scene.topics->auto_create("a.b") == ErrorCode::leader_not_available);
  CHECK(scene.topics->auto_create("a.b") == ErrorCode::unknown_topic_or_partition);  // under way
  scene.settle();
  CHECK(scene.image->topic("a.b") != nullptr);
  CHECK(scene.topics->auto_create("a_b") == ErrorCode::invalid_topic_exception);
  CHECK(scene.topics->auto_create("__consumer_offsets") == ErrorCode::leader_not_available);
  CHECK(scene.topics->auto_create("__transaction_state") == ErrorCode::invalid_replication_factor);
  scene.settle();
  CHECK(scene.image->partition("__consumer_offsets", 1) != nullptr);
  CHECK(scene.written.at("__consumer_offsets") == ConfigMap{{"cleanup.policy", "compact"},
                                                            {"compression.type", "producer"},
                                                            {"segment.bytes", "104857600"}});
  options.transaction_topic_replication_factor = 1;
  Asking other({1}, options);
  CHECK(other.topics->auto_create("__transaction_state") == ErrorCode::leader_not_available);
  other.settle();
  CHECK(other.written.at("__transaction_state").at("unclean.leader.election.enable") == "false");
}

TEST_CASE("topics that one request names are created together") {
  Asking scene({1});
  int listed = 0;
  scene.admin->lose_reply = [&](const ZkRequest& request) {
    listed += request.op == OpCode::get_children2 && request.path == zpath::kTopics ? 1 : 0;
    return false;
  };
  for (int i = 0; i < 50; ++i)
    CHECK(scene.topics->auto_create(fmt::format("t{}", i)) == ErrorCode::leader_not_available);
  scene.settle();
  CHECK(scene.image->topics().size() == 50);
  CHECK(listed == 1);
}

}  // namespace ottla::broker
