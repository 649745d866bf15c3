// Quotas, delegation tokens, configs, partitions, and what brokers ask of each other.
#include "broker/zk/znodes.h"
#include "proto/kafka/alter_client_quotas.h"
#include "proto/kafka/create_delegation_token.h"
#include "proto/kafka/create_partitions.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/describe_client_quotas.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/incremental_alter_configs.h"
#include "proto/kafka/leader_and_isr.h"
#include "proto/kafka/stop_replica.h"
#include "proto/kafka/update_metadata.h"
#include "test/sim/api/api_world.h"

namespace ottla::test {

using kmsg::ErrorCode;

namespace {

using Alter = kmsg::AlterClientQuotasRequest;
using Name = std::optional<std::string>;

Alter::EntryData entry_of(std::initializer_list<std::pair<const char*, Name>> parts,
                          const std::string& key, double value) {
  Alter::EntryData entry;
  for (const auto& [type, name] : parts) {
    auto& part = entry.entity.emplace_back();
    part.entity_type = type;
    part.entity_name = name;
  }
  auto& op = entry.ops.emplace_back();
  op.key = key;
  op.value = value;
  return entry;
}

std::vector<ErrorCode> alter(ApiWorld& world, std::vector<Alter::EntryData> entries) {
  Alter request;
  request.entries = std::move(entries);
  auto answer = world.ask<kmsg::AlterClientQuotasResponse>(request, 1);
  REQUIRE(answer);
  std::vector<ErrorCode> errors;
  for (const auto& entry : answer->entries) errors.push_back(entry.error_code);
  return errors;
}

constexpr int8_t kExact = 0, kDefault = 1, kAny = 2;

kmsg::DescribeClientQuotasResponse describe(
    ApiWorld& world, std::initializer_list<std::tuple<const char*, int8_t, Name>> components,
    bool strict = false) {
  kmsg::DescribeClientQuotasRequest request;
  for (const auto& [type, match, name] : components) {
    auto& one = request.components.emplace_back();
    one.entity_type = type;
    one.match_type = match;
    one.match = name;
  }
  request.strict = strict;
  auto answer = world.ask<kmsg::DescribeClientQuotasResponse>(request, 1);
  REQUIRE(answer);
  return *answer;
}

}  // namespace

TEST_CASE("quotas: what is stored is shown to whoever asks for it, the last word counting") {
  ApiWorld world;
  constexpr const char* kRate = "producer_byte_rate";
  CHECK(alter(world, {entry_of({{"user", "alice"}}, kRate, 100),
                      entry_of({{"user", std::nullopt}}, kRate, 200),
                      entry_of({{"user", "alice"}, {"client-id", "c"}}, kRate, 300),
                      entry_of({{"user", "alice"}}, kRate, 150)}) ==
        std::vector<ErrorCode>(3, ErrorCode::none));  // an answer an entity
  auto shown = describe(world, {{"user", kExact, "alice"}}, true);
  REQUIRE(shown.entries);
  REQUIRE(shown.entries->size() == 1);
  CHECK(shown.entries->at(0).values.at(0).value == 150);
  CHECK(describe(world, {{"user", kDefault, std::nullopt}}, true).entries->size() == 1);
  CHECK(describe(world, {{"user", kAny, std::nullopt}}, true).entries->size() == 2);
  CHECK(describe(world, {{"user", kAny, std::nullopt}}).entries->size() == 3);
}

TEST_CASE("quotas: entities and keys that there are not") {
  ApiWorld world;
  const Alter::EntryData bad[] = {
      entry_of({}, "producer_byte_rate", 1),
      entry_of({{"user", ""}}, "producer_byte_rate", 1),
      entry_of({{"group", "g"}}, "producer_byte_rate", 1),
      entry_of({{"ip", "1.2.3.4"}, {"user", "u"}}, "connection_creation_rate", 1),
      entry_of({{"ip", "256.1"}}, "connection_creation_rate", 1),
      entry_of({{"user", "u"}}, "connection_creation_rate", 1),
      entry_of({{"user", "u"}}, "producer_byte_rate", 1.5),
  };
  for (const auto& entry : bad)
    CHECK(alter(world, {entry}) == std::vector{ErrorCode::invalid_request});
  CHECK(describe(world, {}).entries->empty());
}

TEST_CASE("quotas: filters that cannot be") {
  ApiWorld world;
  auto error = [&](std::initializer_list<std::tuple<const char*, int8_t, Name>> components,
                   bool strict = false) {
    auto answer = describe(world, components, strict);
    if (answer.error_code != ErrorCode::none) CHECK_FALSE(answer.entries);
    return answer.error_code;
  };
  CHECK(error({{"user", 3, "u"}}) == ErrorCode::unknown_server_error);
  CHECK(error({{"user", kExact, std::nullopt}}) == ErrorCode::unknown_server_error);
  CHECK(error({{"", kExact, "u"}}) == ErrorCode::invalid_request);
  CHECK(error({{"group", kExact, "u"}}) == ErrorCode::unsupported_version);
  CHECK(error({{"user", kAny, std::nullopt}, {"user", kExact, "u"}}) == ErrorCode::invalid_request);
  CHECK(error({{"user", kAny, std::nullopt}, {"ip", kAny, std::nullopt}}) ==
        ErrorCode::invalid_request);
  // A name of no letters, where it is that name's own place that would be looked at.
  CHECK(error({{"user", kExact, ""}}, true) == ErrorCode::unknown_server_error);
  CHECK(error({{"user", kExact, ""}}) == ErrorCode::none);
  CHECK(error({{"ip", kExact, ""}}) == ErrorCode::unknown_server_error);
  CHECK(error({{"user", kExact, ""}, {"client-id", kExact, "c"}}) ==
        ErrorCode::unknown_server_error);
  CHECK(error({{"user", kExact, ""}, {"client-id", kAny, std::nullopt}}) == ErrorCode::none);
}

TEST_CASE("delegation tokens: nobody is proven, so there are none, for whomever they are") {
  ApiWorld world;
  auto ask = [&](Name type, Name name, int16_t version) {
    kmsg::CreateDelegationTokenRequest request;
    request.owner_principal_type = std::move(type);
    request.owner_principal_name = std::move(name);
    auto answer = world.ask<kmsg::CreateDelegationTokenResponse>(request, version);
    REQUIRE(answer);
    CHECK(answer->issue_timestamp_ms == -1);
    CHECK(answer->token_id.empty());
    return std::pair(answer->error_code, answer->principal_type + ":" + answer->principal_name);
  };
  constexpr ErrorCode kRefused = ErrorCode::delegation_token_request_not_allowed;
  CHECK(ask("", "", 2) == std::pair(kRefused, std::string("User:ANONYMOUS")));
  CHECK(ask("", "", 3) == std::pair(kRefused, std::string("User:ANONYMOUS")));
  CHECK(ask("User", "alice", 3) == std::pair(kRefused, std::string("User:alice")));
  CHECK(ask("", "alice", 3) == std::pair(kRefused, std::string(":alice")));
  CHECK(ask(std::nullopt, "alice", 3).first == ErrorCode::unknown_server_error);
}

TEST_CASE("create topics: each is answered, in order, however many; configs from v5 on") {
  ApiWorld world;
  kmsg::CreateTopicsRequest request;
  request.validate_only = true;
  for (int i = 0; i < 250; ++i) {
    auto& topic = request.topics.emplace_back();
    topic.name = i == 120 ? "no/name" : "many-" + std::to_string(i);
    topic.num_partitions = topic.replication_factor = 1;
  }
  for (int16_t version : {int16_t{4}, int16_t{5}}) {
    auto answer = world.ask<kmsg::CreateTopicsResponse>(request, version);
    REQUIRE(answer);
    REQUIRE(answer->topics.size() == 250);
    for (size_t i = 0; i < 250; ++i) {
      const auto& topic = answer->topics[i];
      CHECK(topic.name == request.topics[i].name);
      CHECK((topic.error_code == ErrorCode::none) == (i != 120));
      CHECK((topic.configs && !topic.configs->empty()) == (version == 5 && i != 120));
    }
  }
}

TEST_CASE("create partitions: a name that is no znode's fails all, but for names that come twice") {
  ApiWorld world;
  auto ask = [&](std::vector<std::string> names) {
    kmsg::CreatePartitionsRequest request;
    request.timeout_ms = 5000;
    for (std::string& name : names) {
      auto& topic = request.topics.emplace_back();
      topic.name = std::move(name);
      topic.count = 3;
      topic.assignments.reset();
    }
    auto answer = world.ask<kmsg::CreatePartitionsResponse>(request, 2);
    REQUIRE(answer);
    std::map<std::string, ErrorCode> errors;
    for (const auto& result : answer->results) errors[result.name] = result.error_code;
    return errors;
  };
  for (const char* name : {"", ".", ".."})
    CHECK(ask({"t", name}) ==
          std::map<std::string, ErrorCode>{{"t", ErrorCode::unknown_server_error},
                                           {name, ErrorCode::unknown_server_error}});
  CHECK(ask({"t", ".", "."}) == std::map<std::string, ErrorCode>{
                                    {"t", ErrorCode::none}, {".", ErrorCode::invalid_request}});
  CHECK(ask({"a b"}) ==
        std::map<std::string, ErrorCode>{{"a b", ErrorCode::unknown_topic_or_partition}});
}

TEST_CASE(
    "incremental configs: topics that cannot be, resources that come twice, values that are none") {
  ApiWorld world;
  constexpr int8_t kTopic = 2, kSet = 0;
  using Pairs = std::vector<std::pair<std::string, Name>>;
  auto ask = [&](std::vector<std::pair<std::string, Pairs>> resources) {
    kmsg::IncrementalAlterConfigsRequest request;
    for (auto& [name, pairs] : resources) {
      auto& resource = request.resources.emplace_back();
      resource.resource_type = kTopic;
      resource.resource_name = name;
      for (auto& [key, value] : pairs) {
        auto& config = resource.configs.emplace_back();
        config.name = key;
        config.config_operation = kSet;
        config.value = value;
      }
    }
    auto answer = world.ask<kmsg::IncrementalAlterConfigsResponse>(request, 1);
    REQUIRE(answer);
    std::vector<ErrorCode> errors;
    for (const auto& one : answer->responses) errors.push_back(one.error_code);
    return errors;
  };
  const Pairs good = {{"retention.ms", "5"}};
  CHECK(ask({{"t", good}}) == std::vector{ErrorCode::none});
  CHECK(ask({{"nowhere", good}}) == std::vector{ErrorCode::unknown_topic_or_partition});
  CHECK(ask({{"t", good}, {"t", good}}) == std::vector(2, ErrorCode::invalid_request));
  CHECK(ask({{"t", {{"retention.ms", "x"}}}}) == std::vector{ErrorCode::invalid_config});
  CHECK(ask({{"t", {{"retention.ms", std::nullopt}}}}) == std::vector{ErrorCode::invalid_request});
}

TEST_CASE("between brokers: controllers of another kind, listeners of no protocol") {
  ApiWorld world;
  kmsg::LeaderAndIsrRequest lead;
  lead.is_kraft_controller = true;
  lead.broker_epoch = 5;
  lead.topic_states.emplace_back().partition_states.emplace_back().partition_index = 3;
  auto led = world.ask<kmsg::LeaderAndIsrResponse>(lead, 7);
  REQUIRE(led);
  CHECK(led->error_code == ErrorCode::unknown_server_error);
  CHECK(led->topics.at(0).partition_errors.at(0).partition_index == 3);
  CHECK(led->topics[0].partition_errors[0].error_code == ErrorCode::unknown_server_error);
  kmsg::StopReplicaRequest stop;
  stop.is_kraft_controller = true;
  stop.broker_epoch = 5;
  stop.topic_states.emplace_back().topic_name = "t";
  stop.topic_states[0].partition_states.emplace_back();
  auto stopped = world.ask<kmsg::StopReplicaResponse>(stop, 4);
  REQUIRE(stopped);
  CHECK(stopped->error_code == ErrorCode::unknown_server_error);
  CHECK(stopped->partition_errors.at(0).topic_name == "t");
  CHECK(world.fetch("t", 0, 12).entry.error_code == ErrorCode::none);  // it still leads

  kmsg::UpdateMetadataRequest update;
  update.live_brokers.emplace_back().endpoints.emplace_back().security_protocol = 9;
  CHECK_FALSE(world.ask<kmsg::UpdateMetadataResponse>(update, 2));  // hung up
  CHECK(world.fetch("t", 0, 12).entry.error_code == ErrorCode::none);
}

TEST_CASE("describe configs: all, or those that are named, however many names there are") {
  ApiWorld world;
  auto names = [&](int8_t type, const std::string& resource,
                   std::optional<std::vector<std::string>> keys) {
    kmsg::DescribeConfigsRequest request;
    auto& one = request.resources.emplace_back();
    one.resource_type = type;
    one.resource_name = resource;
    one.configuration_keys = std::move(keys);
    auto answer = world.ask<kmsg::DescribeConfigsResponse>(request, 1);
    REQUIRE(answer);
    std::vector<std::string> found;
    for (const auto& config : answer->results.at(0).configs) found.push_back(config.name);
    return found;
  };
  constexpr int8_t kTopic = 2, kBroker = 4, kLogger = 8;
  CHECK(names(kTopic, "t", std::nullopt).size() > 10);
  CHECK(names(kTopic, "t", std::vector<std::string>{}).size() > 10);
  std::vector<std::string> keys(150'000, "x");
  keys.insert(keys.end(), {"retention.ms", "log.retention.ms", "retention.ms"});
  CHECK(names(kTopic, "t", keys) == std::vector<std::string>{"retention.ms"});
  CHECK(names(kBroker, "0", keys) == std::vector<std::string>{"log.retention.ms"});
  auto loggers = names(kLogger, "0", std::nullopt);
  REQUIRE(loggers.size() > 2);
  keys.push_back(loggers[1]);
  CHECK(names(kLogger, "0", keys) == std::vector<std::string>{loggers[1]});
}

TEST_CASE("a topic whose znodes somebody else wrote has its own config from the first record on") {
  ApiWorld world;
  broker::TopicNode node;
  node.partitions[0] = {0};
  world.write_znodes(
      {broker::ZkRequest::create(broker::zpath::config("topics", "theirs"),
                                 broker::encode_config({{"max.message.bytes", "100"}})),
       broker::ZkRequest::create(broker::zpath::topic("theirs"), broker::encode_topic(node))});
  auto* replicas = world.broker().replicas();
  REQUIRE(world.run_until([&] { return replicas->is_known("theirs", 0); }));
  Buffer large = batch_of(std::string(1000, 'x'));
  auto refused = world.produce("theirs", large);
  REQUIRE(refused);
  CHECK(refused->error_code == ErrorCode::message_too_large);
}

}  // namespace ottla::test
