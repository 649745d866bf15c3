// Set-up, random requests of any API, and topics that come and go.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

#include "broker/record/batch_view.h"
#include "proto/kafka/api_key.h"
#include "test/interop/differential_kafka/world.h"

namespace ottla::differential {
namespace {

using kmsg::ApiKey;
constexpr int16_t k(ApiKey key) { return static_cast<int16_t>(key); }

// Metadata as version 9 of one topic, at one server.
std::unique_ptr<Message> metadata_of(Run& run, int server, const std::string& topic) {
  Typed<kmsg::MetadataRequest> request;
  request.body.topics->resize(1);
  (*request.body.topics)[0].name = topic;
  request.body.allow_auto_topic_creation = false;
  return run.ask_quietly(server, request, kmsg::MetadataRequest::kApiKey, 9);
}

// The least dynamic config of a broker: nothing here heeds it, and it is shown when it holds.
constexpr const char* kMarkKey = "log.cleaner.backoff.ms";

// Sizes of what the broker compresses are its library's: nothing may depend on them. Which topics
// are compressed by it is known from their names, and stays so.
template <class Request>
void tame_configs(Request& request, World& world) {
  constexpr int8_t kTopic = 2;
  for (auto& resource : request.resources) {
    const Topic* topic =
        resource.resource_type == kTopic ? world.find(resource.resource_name) : nullptr;
    bool recompressed = topic && topic->recompressed;
    for (auto& config : resource.configs) {
      if (!config.value) continue;
      bool codec = config.name == "compression.type" && *config.value == "lz4";
      bool limit = (config.name == "segment.bytes" || config.name == "max.message.bytes") &&
                   *config.value == "1000";
      if (codec && !recompressed) config.value = "uncompressed";
      if (limit && recompressed) config.value = "1";
    }
  }
}

// Takes out what a hash map decides at Apache's, and what would stop one server or slow it down.
void tame(Message& any, int16_t version, World& world) {
  if (auto* markers = body_of<kmsg::WriteTxnMarkersRequest>(&any)) {
    // Never answered: a marker that is written, and a later one for partitions that are not here.
    if (markers->markers.size() > 1)
      for (auto& marker : markers->markers) {
        std::erase_if(marker.topics, [](const auto& topic) { return topic.name == "plain"; });
        auto& topic = marker.topics.emplace_back();
        topic.name = "plain";
        topic.partition_indexes = {0};
      }
    for (size_t i = 0; i < markers->markers.size(); ++i)
      markers->markers[i].producer_id = static_cast<int64_t>(70'000 + i);
  } else if (auto* shutdown = body_of<kmsg::ControlledShutdownRequest>(&any)) {
    // With an epoch that holds, or without one, the broker would be gone for good.
    if (version < 2 || shutdown->broker_epoch == -1) shutdown->broker_id = 7;
  } else if (auto* add = body_of<kmsg::AddPartitionsToTxnRequest>(&any)) {
    // Never answered: a list of no transactions, or one twice.
    if (version >= 4 && add->transactions.empty())
      add->transactions.emplace_back().transactional_id = "a";
  } else if (auto* configs = body_of<kmsg::AlterConfigsRequest>(&any)) {
    tame_configs(*configs, world);
  } else if (auto* changes = body_of<kmsg::IncrementalAlterConfigsRequest>(&any)) {
    tame_configs(*changes, world);
  } else if (auto* offsets = body_of<kmsg::OffsetFetchRequest>(&any)) {
    // Never answered: no group at all.
    if (version >= 8 && offsets->groups.empty()) offsets->groups.emplace_back().group_id = "group0";
  } else if (auto* quotas = body_of<kmsg::AlterClientQuotasRequest>(&any)) {
    for (auto& entry : quotas->entries) {
      // Of several kinds that are none a map tells the first. A default holds for this run: never
      // less than it may need.
      for (size_t i = 0; i < entry.entity.size(); ++i)
        if ((entry.entity[i].entity_type != "user" && entry.entity[i].entity_type != "client-id") ||
            (entry.entity[i].entity_name && entry.entity[i].entity_name->empty()))
          entry.entity.resize(1);
      bool is_default = false;
      for (auto& each : entry.entity) is_default |= !each.entity_name;
      for (auto& op : entry.ops)
        if (is_default && !op.remove) op.value = 1e12;
    }
  }
}

}  // namespace

void Steps::settle_topic(const std::string& name) {
  run.wait_until("leaders of " + name, [&](int server) {
    auto reply = metadata_of(run, server, name);
    const auto& topics = body_of<kmsg::MetadataResponse>(reply.get())->topics;
    if (topics.size() != 1 || topics[0].error_code != kmsg::ErrorCode::none) return false;
    for (const auto& p : topics[0].partitions)
      if (p.error_code == kmsg::ErrorCode::leader_not_available) return false;
    return true;
  });
}

void Steps::settle_deleted(const std::string& name) {
  run.wait_until("the end of " + name, [&](int server) {
    auto reply = metadata_of(run, server, name);
    const auto& topics = body_of<kmsg::MetadataResponse>(reply.get())->topics;
    if (topics.size() != 1 || topics[0].error_code != kmsg::ErrorCode::unknown_topic_or_partition)
      return false;
    // Apache's forgets the name before it is told to remove the logs.
    Typed<kmsg::DescribeLogDirsRequest> logs;
    logs.body.topics.emplace().emplace_back().topic = name;
    for (int32_t p = 0; p < 8; ++p) (*logs.body.topics)[0].partitions.push_back(p);
    auto known = run.ask_quietly(server, logs, kmsg::DescribeLogDirsRequest::kApiKey, 1);
    for (const auto& dir : body_of<kmsg::DescribeLogDirsResponse>(known.get())->results)
      if (!dir.topics.empty()) return false;
    return true;
  });
}

// Apache's carries a changed config out in another thread, one after the other: when one that is
// set now holds, those before it do.
void Steps::settle_configs() {
  constexpr int8_t kBroker = 4;
  std::string mark = std::to_string(15'000 + ++config_marks_);
  bool taken[kServers];
  for (int server = 0; server < kServers; ++server) {
    Typed<kmsg::IncrementalAlterConfigsRequest> set;
    auto& resource = set.body.resources.emplace_back();
    resource.resource_type = kBroker;
    auto& config = resource.configs.emplace_back();
    config.name = kMarkKey;
    config.value = mark;
    auto reply = run.ask_quietly(server, set, kmsg::IncrementalAlterConfigsRequest::kApiKey, 0);
    taken[server] =
        body_of<kmsg::IncrementalAlterConfigsResponse>(reply.get())->responses.at(0).error_code ==
        kmsg::ErrorCode::none;
  }
  run.wait_until("configs", [&](int server) {
    if (!taken[server]) return true;
    Typed<kmsg::DescribeConfigsRequest> ask;
    auto& resource = ask.body.resources.emplace_back();
    resource.resource_type = kBroker;
    resource.configuration_keys = {kMarkKey};
    auto reply = run.ask_quietly(server, ask, kmsg::DescribeConfigsRequest::kApiKey, 1);
    const auto& shown = body_of<kmsg::DescribeConfigsResponse>(reply.get())->results.at(0).configs;
    return shown.size() == 1 && shown[0].value == mark;
  });
}

// A partition that is assigned anew has a new epoch a little after the answer, on either side.
void Steps::settle_epochs() {
  auto epochs = [&](int server) {
    Typed<kmsg::MetadataRequest> all;
    all.body.topics.reset();
    auto reply = run.ask_quietly(server, all, kmsg::MetadataRequest::kApiKey, 9);
    std::map<std::pair<std::string, int32_t>, int32_t> found;
    for (const auto& topic : body_of<kmsg::MetadataResponse>(reply.get())->topics)
      for (const auto& p : topic.partitions)
        found[{topic.name.value_or(""), p.partition_index}] = p.leader_epoch;
    return found;
  };
  run.wait_until("epochs", [&](int server) { return server == 0 || epochs(0) == epochs(1); });
}

int16_t Steps::version(int16_t key) {
  auto [low, high] = versions.at(key);
  return static_cast<int16_t>(run.prng.between(low, high));
}

void Steps::set_up() {
  using namespace std::chrono;
  constexpr int64_t kHourMs = 3'600'000;
  int64_t now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  world.start_ms = world.clock_ms = now / kHourMs * kHourMs - kHourMs;
  auto* apis = run.ask<kmsg::ApiVersionsResponse>(0, kmsg::ApiVersionsRequest{}, 0);
  if (!apis) return;
  // What ours advertises; Apache has them all.
  Typed<kmsg::ApiVersionsRequest> request;
  auto ours = run.ask_quietly(1, request, 18, 0);
  for (const auto& api : body_of<kmsg::ApiVersionsResponse>(ours.get())->api_keys)
    versions[api.api_key] = {api.min_version, api.max_version};

  struct Made {
    const char* name;
    int partitions;
    const char* key;
    const char* value;
    bool sizes_differ = false;
  };
  constexpr Made kTopics[] = {{"plain", 3, nullptr, nullptr},
                              {"small-segments", 1, "segment.bytes", "20000"},
                              {"append-time", 1, "message.timestamp.type", "LogAppendTime"},
                              {"compacted", 1, "cleanup.policy", "compact", true},
                              {"lz4", 1, "compression.type", "lz4", true},
                              {"uncompressed", 1, "compression.type", "uncompressed"},
                              {"zstd", 1, "compression.type", "zstd", true},
                              {"gzip", 1, "compression.type", "gzip", true},
                              {"narrow", 1, "max.message.bytes", "2000"},
                              {"strict", 1, "min.insync.replicas", "2"},
                              {"dated", 1, "message.timestamp.after.max.ms", "3600000", true}};
  for (const Made& made : kTopics) {
    kmsg::CreateTopicsRequest create;
    auto& topic = create.topics.emplace_back();
    topic.name = made.name;
    topic.num_partitions = made.partitions;
    topic.replication_factor = 1;
    if (made.key) topic.configs.push_back({made.key, made.value, {}});
    run.call(0, create, 7);
    settle_topic(made.name);
    world.topics.push_back({made.name, made.partitions,
                            std::vector<int64_t>(static_cast<size_t>(made.partitions)), true,
                            made.sizes_differ});
  }
  for (int i = 0; i < 4; ++i) world.groups.push_back(fmt::format("group{}", i));
  for (int i = 0; i < 3; ++i) world.groups.push_back(fmt::format("offsets{}", i));
  // The first makes the topic of offsets.
  Expect coordinator;
  coordinator.settling = [](Message& reply) {
    return body_of<kmsg::FindCoordinatorResponse>(&reply)->error_code ==
           kmsg::ErrorCode::coordinator_not_available;
  };
  kmsg::FindCoordinatorRequest find;
  find.key = "group0";
  run.call(0, find, 0, coordinator);
  settle_topic("__consumer_offsets");
  auto offsets = metadata_of(run, 0, "__consumer_offsets");
  world.group_partitions = static_cast<int32_t>(
      body_of<kmsg::MetadataResponse>(offsets.get())->topics.at(0).partitions.size());
  std::vector<std::string> all_groups = world.groups;
  all_groups.insert(all_groups.end(), world.strangers.begin(), world.strangers.end());
  // In which order the groups of one partition forget a topic, a hash map says.
  std::set<int32_t> taken;
  for (const std::string& group : all_groups)
    if (!taken.insert(world.partition_of_group(group)).second) {
      fmt::print(stderr, "{} shares its partition: choose offsets.topic.num.partitions\n", group);
      std::exit(4);
    }
  for (const std::string& group : all_groups) {
    Expect loaded;
    loaded.settling = [](Message& reply) {
      auto code = body_of<kmsg::HeartbeatResponse>(&reply)->error_code;
      // A group that is being loaded is answered "none", to keep its members calm.
      return code == kmsg::ErrorCode::none ||
             code == kmsg::ErrorCode::coordinator_load_in_progress ||
             code == kmsg::ErrorCode::not_coordinator ||
             code == kmsg::ErrorCode::coordinator_not_available;
    };
    kmsg::HeartbeatRequest beat;
    beat.group_id = group;
    beat.member_id = "x";
    run.call(0, beat, 0, loaded);
  }
  // Transactions of ids that nobody has begun: the topic must be there and loaded.
  find.key = "a";
  find.key_type = 1;
  run.call(0, find, 1, coordinator);
  settle_topic("__transaction_state");
  for (int i = 0; i < 16; ++i) {  // one id in each partition, and more
    Expect loaded;
    loaded.settling = [](Message& reply) {
      auto code = body_of<kmsg::EndTxnResponse>(&reply)->error_code;
      return code != kmsg::ErrorCode::invalid_producer_id_mapping;
    };
    kmsg::EndTxnRequest end;
    end.transactional_id = std::string(1, static_cast<char>('a' + i));
    run.call(0, end, 1, loaded);
  }
  kmsg::MetadataRequest all;
  run.call(0, all, 0);

  // These have steps of their own, since what they change must be waited for, or they wait.
  constexpr ApiKey kOwnSteps[] = {ApiKey::produce,           ApiKey::fetch,
                                  ApiKey::join_group,        ApiKey::sync_group,
                                  ApiKey::create_topics,     ApiKey::delete_topics,
                                  ApiKey::create_partitions, ApiKey::init_producer_id};
  for (const auto& [key, range] : versions) {
    bool out = false;
    for (ApiKey own : kOwnSteps) out |= key == k(own);
    if (!out) generic_.push_back(key);
  }
}

void Steps::one() {
  uint64_t die = run.prng.below(1000);
  if (die < 250) return produce();
  if (die < 450) return fetch();
  if (die < 650) return groups();
  if (die < 658) return create_topics();
  if (die < 665) return delete_topics();
  if (die < 670) return create_partitions();
  if (die < 680) return init_producer();
  if (die < 720) return frames();
  generic();
}

// What stands at the end: every record, every group and its offsets, every topic and its configs.
void Steps::finish() {
  kmsg::MetadataRequest all;
  all.topics.reset();
  auto* known = run.ask<kmsg::MetadataResponse>(0, all, 12);
  if (!known) return;
  std::vector<std::pair<std::string, int>> topics;
  for (const auto& topic : known->topics)
    if (topic.name) topics.emplace_back(*topic.name, static_cast<int>(topic.partitions.size()));
  kmsg::DescribeConfigsRequest configs;
  for (const auto& [name, partitions] : topics) {
    auto& resource = configs.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = name;
    resource.configuration_keys.reset();
    for (int p = 0; p < partitions; ++p) read_whole(name, p);
  }
  run.call(0, configs, 4);
  kmsg::ListGroupsRequest list;
  auto* groups = run.ask<kmsg::ListGroupsResponse>(0, list, 4);
  if (!groups) return;
  kmsg::DescribeGroupsRequest describe;
  std::vector<std::string> names;
  for (const auto& group : groups->groups) names.push_back(group.group_id);
  describe.groups = names;
  run.call(0, describe, 5);
  for (const std::string& name : names) {
    kmsg::OffsetFetchRequest offsets;
    offsets.group_id = name;
    offsets.topics.reset();
    run.call(0, offsets, 6);
  }
}

void Steps::read_whole(const std::string& name, int partition) {
  kmsg::ListOffsetsRequest ask;
  auto& topic = ask.topics.emplace_back();
  topic.name = name;
  topic.partitions.emplace_back().partition_index = partition;
  int64_t at = 0;
  for (int64_t timestamp : {-1, -2}) {
    topic.partitions[0].timestamp = timestamp;
    auto* found = run.ask<kmsg::ListOffsetsResponse>(0, ask, 5);
    if (!found || found->topics.empty() || found->topics[0].partitions.empty()) return;
    at = found->topics[0].partitions[0].offset;
  }
  constexpr int kMostFetches = 200;
  for (int i = 0; i < kMostFetches; ++i) {
    kmsg::FetchRequest fetch;
    fetch.max_wait_ms = 0;
    fetch.max_bytes = 50'000'000;
    auto& from = fetch.topics.emplace_back();
    from.topic = name;
    auto& p = from.partitions.emplace_back();
    p.partition = partition;
    p.fetch_offset = at;
    p.partition_max_bytes = 50'000'000;
    auto* reply = run.ask<kmsg::FetchResponse>(0, fetch, 11);
    if (!reply || reply->responses.empty()) return;
    broker::BatchCursor cursor(reply->responses[0].partitions.at(0).records.bytes);
    int64_t next = at;
    while (auto batch = cursor.next()) next = broker::BatchView(batch->bytes).last_offset() + 1;
    if (next == at) return;
    at = next;
  }
}

void Steps::generic() {
  int16_t key = generic_[run.prng.below(generic_.size())];
  int16_t v = version(key);
  auto request = make_message(key, true);
  fill(*request, key, v, world, run);
  tame(*request, v, world);
  auto* reply = run.call(static_cast<int>(run.prng.below(3)), *request, key, v);
  auto is_done = [](const auto& each) { return each.error_code == kmsg::ErrorCode::none; };
  auto any_done = [&](const auto& list) { return std::any_of(list.begin(), list.end(), is_done); };
  if (auto* altered = body_of<kmsg::AlterConfigsResponse>(reply);
      altered && any_done(altered->responses))
    settle_configs();
  if (auto* altered = body_of<kmsg::IncrementalAlterConfigsResponse>(reply);
      altered && any_done(altered->responses))
    settle_configs();
  if (auto* moved = body_of<kmsg::AlterPartitionReassignmentsResponse>(reply))
    for (const auto& topic : moved->responses)
      if (any_done(topic.partitions)) return settle_epochs();
  // What asked for metadata in versions that cannot forbid it has made topics.
  std::vector<std::string> made;
  if (auto* metadata = body_of<kmsg::MetadataResponse>(reply))
    for (const auto& topic : metadata->topics)
      if (topic.error_code == kmsg::ErrorCode::leader_not_available && topic.name)
        made.push_back(*topic.name);
  for (const std::string& name : made) add_topic(name, false);
}

// Waits for a topic that both have accepted, and remembers it.
void Steps::add_topic(const std::string& name, bool recompressed) {
  settle_topic(name);
  auto known = metadata_of(run, 0, name);
  size_t partitions = body_of<kmsg::MetadataResponse>(known.get())->topics[0].partitions.size();
  if (partitions == 0) return;
  if (!world.find(name))
    world.topics.push_back({name, static_cast<int>(partitions), std::vector<int64_t>(partitions),
                            false, recompressed});
  kmsg::MetadataRequest one;
  one.topics->resize(1);
  (*one.topics)[0].name = name;
  run.call(0, one, 12);
}

void Steps::create_topics() {
  kmsg::CreateTopicsRequest request;
  int16_t v = version(kmsg::CreateTopicsRequest::kApiKey);
  Prng& prng = run.prng;
  for (uint64_t n = prng.chance(0.8) ? 1 : prng.below(4); n > 0; --n) {
    auto& topic = request.topics.emplace_back();
    topic.name = prng.chance(0.7) ? fmt::format("made{}", ++world.made) : world.topic_name(prng);
    topic.num_partitions = pick(prng, {1, 1, 2, 3, -1, 0, -2});
    topic.replication_factor = pick<int16_t>(prng, {1, 1, 1, 1, -1, 0, 2, -2});
    if (prng.chance(0.25)) {
      if (prng.chance(0.8)) topic.num_partitions = -1, topic.replication_factor = -1;
      for (uint64_t p = 0, count = 1 + prng.below(3); p < count; ++p) {
        auto& a = topic.assignments.emplace_back();
        a.partition_index = prng.chance(0.9) ? static_cast<int32_t>(p) : world.partition(prng);
        a.broker_ids = {0};
        if (prng.chance(0.1)) a.broker_ids = {0, 0};
      }
    }
    static const std::pair<const char*, const char*> kConfigs[] = {
        {"segment.bytes", "50000000"},
        {"segment.bytes", "1"},
        {"cleanup.policy", "compact"},
        {"cleanup.policy", "nonsense"},
        {"no.such.key", "1"},
        {"compression.type", "gzip"},
        {"retention.ms", "-1"},
        {"retention.ms", "-2"},
        {"max.message.bytes", "abc"},
        {"min.insync.replicas", "0"},
        {"message.timestamp.type", "x"},
        {"flush.messages", "1"},
        {"compression.type", "LZ4"},
        {"unclean.leader.election.enable", "maybe"}};
    for (int more = prng.chance(0.35) ? 1 : 0; more > 0 && topic.configs.size() < 4;
         more = prng.chance(0.5) ? 1 : 0) {
      const auto& [key, value] = kConfigs[prng.below(std::size(kConfigs))];
      std::optional<std::string> text(value);
      if (prng.chance(0.05)) text.reset();
      // Where sizes differ, segments must not end by size.
      bool again = false;
      for (const auto& other : topic.configs) again |= other.name == key;
      if (!again) topic.configs.push_back({key, text, {}});
    }
  }
  request.timeout_ms = 30000;
  request.validate_only = v >= 1 && prng.chance(0.25);
  auto* reply = run.ask<kmsg::CreateTopicsResponse>(0, request, v);
  if (!reply || request.validate_only) return;
  std::vector<std::string> made;
  for (const auto& topic : reply->topics)
    if (topic.error_code == kmsg::ErrorCode::none) made.push_back(topic.name);
  for (const std::string& name : made) {
    bool codec = false;
    for (const auto& topic : request.topics)
      for (const auto& config : topic.configs)
        codec |= topic.name == name && config.name == "compression.type";
    add_topic(name, codec);
  }
}

void Steps::delete_topics() {
  Prng& prng = run.prng;
  int16_t v = version(kmsg::DeleteTopicsRequest::kApiKey);
  std::vector<std::string> names;
  for (uint64_t n = 1 + prng.below(2); n > 0; --n) {
    const Topic& topic = world.any_topic(prng);
    // Fixed topics stay, and the names that are no topic's may be asked for.
    // Two at once: whether the offsets of both leave their groups in one batch is chance.
    if (!topic.fixed && names.empty())
      names.push_back(topic.name);
    else if (prng.chance(0.5))
      names.push_back(pick<std::string>(prng, {"absent-1", "", "a/b"}));
  }
  if (prng.chance(0.1) && !names.empty()) names.push_back(names[0]);
  kmsg::DeleteTopicsRequest request;
  request.timeout_ms = 30000;
  if (v >= 6) {
    for (const std::string& name : names) {
      auto& state = request.topics.emplace_back();
      bool by_id = prng.chance(0.5) && run.symbols.topic_id(name, state.topic_id);
      if (!by_id || prng.chance(0.05)) state.name = name;
    }
  } else {
    request.topic_names = names;
  }
  auto* reply = run.ask<kmsg::DeleteTopicsResponse>(0, request, v);
  if (!reply) return;
  std::vector<std::string> gone;
  for (const auto& each : reply->responses)
    if (each.error_code == kmsg::ErrorCode::none && each.name) gone.push_back(*each.name);
  for (const std::string& name : gone) {
    settle_deleted(name);
    std::erase_if(world.topics, [&](const Topic& t) { return t.name == name; });
  }
}

void Steps::create_partitions() {
  Prng& prng = run.prng;
  kmsg::CreatePartitionsRequest request;
  int16_t v = version(kmsg::CreatePartitionsRequest::kApiKey);
  request.timeout_ms = 30000;
  request.validate_only = prng.chance(0.2);
  for (uint64_t n = 1 + prng.below(2); n > 0; --n) {
    const Topic& topic = world.any_topic(prng);
    auto& each = request.topics.emplace_back();
    bool grow = !topic.fixed && topic.partitions < 5;
    each.name = grow || prng.chance(0.5) ? topic.name : world.topic_name(prng);
    if (each.name == "__consumer_offsets") each.name = "absent-9";
    each.count =
        grow ? topic.partitions + static_cast<int>(prng.between(-1, 2)) : pick(prng, {1, 0, -1});
    each.assignments.reset();
    if (prng.chance(0.3)) {
      each.assignments.emplace();
      for (uint64_t a = prng.below(3); a > 0; --a)
        each.assignments->push_back({{pick(prng, {0, 0, 0, 5})}, {}});
    }
  }
  // A name that no path can have fails the whole at Apache's, after what stands before it was done:
  // docs/compat.md.
  for (auto& each : request.topics)
    if (each.name.empty() || each.name == "." || each.name == "..") {
      request.topics = {kmsg::CreatePartitionsRequest::CreatePartitionsTopic(each)};
      break;
    }
  auto* reply = run.ask<kmsg::CreatePartitionsResponse>(0, request, v);
  if (!reply || request.validate_only) return;
  for (const auto& done : reply->results) {
    if (done.error_code != kmsg::ErrorCode::none) continue;
    Topic* topic = world.find(done.name);
    if (!topic) continue;
    for (const auto& asked : request.topics)
      if (asked.name == done.name) topic->partitions = asked.count;
    topic->leo.resize(static_cast<size_t>(topic->partitions));
    run.wait_until("partitions of " + topic->name, [&](int server) {
      auto known = metadata_of(run, server, topic->name);
      const auto& topics = body_of<kmsg::MetadataResponse>(known.get())->topics;
      if (topics[0].partitions.size() != topic->leo.size()) return false;
      for (const auto& p : topics[0].partitions)
        if (p.leader_id < 0) return false;
      return true;
    });
  }
}

}  // namespace ottla::differential
