// Random requests of any API: the schema gives the shape, the names of fields their meaning.
#include "test/interop/differential_kafka/world.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "proto/kafka/api_key.h"

namespace ottla::differential {

std::string World::topic_name(Prng& prng) {
  switch (prng.below(24)) {
    case 0:
      return pick<std::string>(prng, {"", ".", "..", "a/b", "with space", "ü", "a:b"});
    case 1:
      return std::string(prng.chance(0.5) ? 249 : 250, 'x');
    case 2:
      return "absent-" + std::to_string(prng.below(3));
    case 3:
      return "__consumer_offsets";
    default:
      return any_topic(prng).name;
  }
}

int32_t World::partition(Prng& prng) {
  if (prng.chance(0.1)) return pick(prng, {-1, 3, 7, 99, INT32_MAX, INT32_MIN});
  return static_cast<int32_t>(prng.below(prng.chance(0.6) ? 1 : 3));
}

int64_t World::offset(Prng& prng) {
  if (prng.chance(0.1)) return pick<int64_t>(prng, {-1, -2, -3, INT64_MAX, INT64_MIN, 1'000'000});
  const Topic& topic = any_topic(prng);
  int64_t leo = topic.leo[prng.below(topic.leo.size())];
  if (prng.chance(0.2)) return leo + prng.between(-1, 1);
  return static_cast<int64_t>(prng.below(static_cast<uint64_t>(leo) + 1));
}

std::string World::group(Prng& prng) {
  switch (prng.below(16)) {
    case 0:
      return "";
    case 1:
      return strangers[1 + prng.below(strangers.size() - 1)];
    default:
      return groups[prng.below(groups.size())];
  }
}

// As Java's String.hashCode() and Kafka have it.
int32_t World::partition_of_group(const std::string& group) const {
  uint32_t hash = 0;
  for (char c : group) hash = 31 * hash + static_cast<uint8_t>(c);
  return std::abs(static_cast<int32_t>(hash)) % group_partitions;
}

namespace {

class Filler : public wire::Walker {
 public:
  Filler(int16_t key, int16_t version, World& world, Run& run)
      : key_(static_cast<kmsg::ApiKey>(key)),
        version_(version),
        world_(world),
        run_(run),
        prng_(run.prng) {}

  void boolean(const wire::FieldInfo& f, bool& value) override {
    value = prng_.chance(0.5);
    // A topic made by every second Metadata request would soon be a thousand.
    if (f.name == "allow_auto_topic_creation") value = false;
  }
  void integer(const wire::FieldInfo& f, int64_t& value, int64_t min, int64_t max) override {
    value = number(f.name, value, min, max);
    value = std::clamp(value, min, max);
    if (is_partition(f.name)) {
      std::string text = std::to_string(value);
      for (int i = 0; !is_first(text) && i < 8; ++i) {
        value = 10 + static_cast<int64_t>(prng_.below(90));
        text = std::to_string(value);
      }
    }
  }
  void text(const wire::FieldInfo& f, std::string& value) override {
    value = word(f.name);
    if (is_name(f.name)) make_unique(value);
  }
  void bytes(const wire::FieldInfo&, std::string& value) override {
    value.assign(prng_.below(20), 'b');
  }
  void uuid(const wire::FieldInfo& f, std::span<uint8_t, 16> value) override {
    kmsg::Uuid id;
    if (f.name == "topic_id" && prng_.chance(0.85) &&
        run_.symbols.topic_id(world_.any_topic(prng_).name, id)) {
      // A name beside it must be absent or it is a wrong request; both are wanted.
    } else if (prng_.chance(0.5)) {
      for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(prng_.below(256));
    }
    std::memcpy(value.data(), id.bytes.data(), 16);
  }
  bool present(const wire::FieldInfo& f, bool) override {
    if (f.name == "transactional_id") return false;
    if (f.name == "name" && key_ == kmsg::ApiKey::metadata && version_ >= 12)
      return prng_.chance(0.5);
    if (f.kind == wire::FieldKind::structure && f.nullable) return prng_.chance(0.85);
    return !f.nullable || prng_.chance(0.7);
  }
  void list(const wire::FieldInfo& f, wire::List& list) override {
    uint64_t die = prng_.below(20);
    size_t size = die < 2 ? 0 : die < 14 ? 1 : die < 18 ? 2 : 3 + prng_.below(4);
    // A list without an element below a topic: docs/compat.md.
    if (size == 0 && (f.name.starts_with("partition") && pattern().find('.') != std::string::npos))
      size = 1;
    if (f.name == "forgotten_topics_data") size = 0;
    list.resize(size);
  }

 private:
  // A request that names a topic, partition or resource twice is answered from a map at Apache's
  // and item by item at ours (docs/compat.md): so each name comes once in a request, each partition
  // once in its list.
  static bool is_name(std::string_view name) {
    return name == "topic" || name == "topic_name" || name == "topic_names" || name == "name" ||
           name == "topics" || name == "groups" || name == "groups_names" ||
           name == "resource_name" || name == "group_id" || name == "coordinator_keys" ||
           name == "configuration_keys" || name == "config_names" || name == "feature" ||
           name == "transactional_id" || name == "entity_type";
  }
  static bool is_partition(std::string_view name) {
    return name == "partition" || name == "partition_index" || name == "partition_indexes" ||
           name == "partitions" || name == "partition_id";
  }
  // Of the list around the place where the walk is.
  bool is_first(const std::string& value) {
    std::string list = path().substr(0, path().rfind('['));
    return seen_.insert(list + "=" + value).second;
  }
  void make_unique(std::string& value) {
    for (int i = 0; !is_first(value) && i < 20; ++i) value = "other-" + std::to_string(i);
  }

  int64_t wild(int64_t min, int64_t max) {
    switch (prng_.below(6)) {
      case 0:
        return min;
      case 1:
        return max;
      case 2:
        return -1;
      case 3:
        return 0;
      default:
        return prng_.between(-3, 120);
    }
  }

  int64_t number(std::string_view name, int64_t preset, int64_t min, int64_t max) {
    auto is = [&](std::initializer_list<std::string_view> names) {
      for (std::string_view each : names)
        if (each == name) return true;
      return false;
    };
    if (is({"partition", "partition_index", "partition_id", "partition_indexes", "partitions",
            "index"}))
      return world_.partition(prng_);
    if (is({"offset", "committed_offset", "fetch_offset", "start_offset"}))
      return world_.offset(prng_);
    if (is({"leader_epoch", "current_leader_epoch", "committed_leader_epoch",
            "last_fetched_epoch"}))
      return pick<int64_t>(prng_, {-1, -1, 0, 0, 0, 1, 5, min, max});
    // Between brokers: only what is stale, lest one run ends the controller's world.
    if (is({"controller_epoch", "transaction_coordinator_epoch"}))
      return pick<int64_t>(prng_, {0, -1, min});
    if (is({"broker_epoch", "replica_epoch"})) return pick<int64_t>(prng_, {0, 1, -2});
    if (is({"broker_ids", "replicas", "replica_ids", "node_id", "broker_id"}))
      return pick<int64_t>(prng_, {0, 0, 0, 0, 1, 5, -1});
    if (name == "isolation_level") return pick<int64_t>(prng_, {0, 0, 1, 1, 2, -1});
    if (name == "timestamp") {
      if (prng_.chance(0.6)) return pick<int64_t>(prng_, {-1, -2, -3, -4, -5, -6, -1, -2});
      // Version 0 looks at the times of files.
      if (version_ == 0) return pick<int64_t>(prng_, {0, 1, INT64_MAX});
      return prng_.chance(0.2) ? pick<int64_t>(prng_, {0, min, max})
                               : prng_.between(world_.start_ms - 10, world_.clock_ms + 5);
    }
    if (name == "commit_timestamp" || name == "retention_time_ms") return -1;
    if (name == "replica_id") return pick<int64_t>(prng_, {-1, -1, -1, -1, -2, 5});
    if (name == "generation_id" || name == "generation_id_or_member_epoch" ||
        name == "member_epoch")
      return pick<int64_t>(prng_, {-1, -1, -1, 0, 1, 2, 3, max});
    if (name == "timeout_ms") return pick<int64_t>(prng_, {5000, 30000});
    if (name == "transaction_timeout_ms") return pick<int64_t>(prng_, {1000, 60000, 0, -1});
    if (name == "resource_type")
      return pick<int64_t>(prng_, {2, 2, 2, 4, 4, 8, 16, 0, 1, 3, 5, 32, 99, -1});
    if (name == "key_type") return pick<int64_t>(prng_, {0, 0, 0, 0, 2, 3, -1});
    if (name == "config_operation") return pick<int64_t>(prng_, {0, 0, 0, 1, 1, 2, 3, 4, -1});
    if (name == "max_num_offsets") return pick<int64_t>(prng_, {1, 1, 2, 10, 0, -1, max});
    if (name == "producer_id" || name == "producer_epoch")
      return pick<int64_t>(prng_, {-1, -1, 0, 1, 99});
    if (name == "iterations") return pick<int64_t>(prng_, {4096, 4096, 8192, 4095, 16385, 0, -1});
    if (name == "mechanism") return pick<int64_t>(prng_, {1, 2, 1, 2, 0, 3, -1});
    if (name == "election_type") return pick<int64_t>(prng_, {0, 0, 1, 2, -1});
    if (name == "match_type") return pick<int64_t>(prng_, {0, 1, 2, 3, -1});
    if (name == "endpoint_type") return pick<int64_t>(prng_, {1, 1, 1, 2, 0, -1});
    if (is({"operation", "permission_type", "pattern_type", "resource_pattern_type",
            "pattern_type_filter", "resource_type_filter"}))
      return prng_.between(-1, 16);
    return prng_.chance(0.15) ? wild(min, max) : preset;
  }

  std::string word(std::string_view name) {
    using kmsg::ApiKey;
    bool topics = pattern().find("topic") != std::string::npos;
    if (name == "topic" || name == "topic_name" || name == "topic_names" || name == "topics" ||
        (name == "name" && topics && pattern().find("configs") == std::string::npos))
      return world_.topic_name(prng_);
    if (name == "group_id" || name == "groups" || name == "groups_names" || name == "group_ids" ||
        (name == "key" && key_ == ApiKey::find_coordinator) || name == "coordinator_keys")
      return world_.group(prng_);
    if (name == "principal_type" || name == "owner_principal_type") return "User";
    if (name == "member_id") return pick<std::string>(prng_, {"", "", "nobody", "client1-x"});
    if (name == "resource_name" || name == "resource")
      return prng_.chance(0.6)
                 ? world_.topic_name(prng_)
                 : pick<std::string>(prng_, {"0", "0", "", "1", "-1", "kafka", "ROOT", "x"});
    if (name == "config_names" || name == "configuration_keys" || name == "name")
      return pick<std::string>(
          prng_, {"retention.ms", "cleanup.policy", "segment.bytes", "max.message.bytes",
                  "no.such.key", "", "compression.type", "min.insync.replicas",
                  "message.timestamp.type", "flush.ms", "log.retention.ms", "num.partitions",
                  "background.threads", "log.cleaner.threads", "listeners"});
    if (name == "value")
      return pick<std::string>(prng_, {"1000", "1", "-1", "compact", "delete", "lz4", "", "none",
                                       "abc", "99999999999", "CreateTime", "true"});
    if (name == "committed_metadata" || name == "reason")
      return std::string(prng_.chance(0.03) ? 4090 + prng_.below(12) : prng_.below(8), 'm');
    if (name == "states_filter")
      return pick<std::string>(
          prng_, {"Stable", "Empty", "stable", "Dead", "PreparingRebalance", "nonsense", ""});
    if (name == "types_filter")
      return pick<std::string>(prng_, {"classic", "consumer", "Classic", "x", ""});
    // Nobody who is in a group: who leads it next may be chance.
    if (name == "group_instance_id" && key_ == ApiKey::leave_group)
      return pick<std::string>(prng_, {"static1", "static9", ""});
    if (name == "group_instance_id") return pick<std::string>(prng_, {"static1", "static2", ""});
    if (name == "client_software_name" || name == "client_software_version")
      return pick<std::string>(prng_, {"x", "apache-kafka-java", "3.9.1", "", "-bad", "a b"});
    if (name == "mechanism") return pick<std::string>(prng_, {"PLAIN", "SCRAM-SHA-256", ""});
    if (name == "entity_type")
      return pick<std::string>(prng_, {"user", "client-id", "ip", "x", ""});
    if (name == "entity_name" || name == "match")
      return pick<std::string>(prng_, {"u1", "u2", "127.0.0.1", "", "x/y"});
    if (key_ == ApiKey::alter_client_quotas || key_ == ApiKey::describe_client_quotas)
      return pick<std::string>(
          prng_, {"producer_byte_rate", "consumer_byte_rate", "request_percentage", "x"});
    return pick<std::string>(prng_, {"", "a", "b", "User:x", "*"});
  }

  kmsg::ApiKey key_;
  int16_t version_;
  World& world_;
  Run& run_;
  Prng& prng_;
  std::set<std::string> seen_;
};

}  // namespace

void fill(Message& request, int16_t key, int16_t version, World& world, Run& run) {
  Filler filler(key, version, world, run);
  request.walk_fields(filler, version);
}

}  // namespace ottla::differential
