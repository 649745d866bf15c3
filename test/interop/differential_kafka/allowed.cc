// The differences that a run passes over, each with its reason. Everything else is a finding. Rows
// of docs/compat.md that a run meets stand here too; a row that is fixed there goes here as well.
#include <chrono>
#include <cstdlib>

#include "proto/kafka/api_key.h"
#include "test/interop/differential_kafka/compare.h"

namespace ottla::differential {
namespace {

constexpr int16_t k(kmsg::ApiKey key) { return static_cast<int16_t>(key); }
using kmsg::ApiKey;

constexpr std::string_view kMap = "the order of a hash map";

constexpr Rule kRules[] = {
    // What each server has its own.
    {k(ApiKey::metadata), "brokers[].port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::metadata), "cluster_id", Allow::text, "made at random"},
    {k(ApiKey::describe_cluster), "brokers[].port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::describe_cluster), "cluster_id", Allow::text, "made at random"},
    {k(ApiKey::find_coordinator), "port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::find_coordinator), "coordinators[].port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::produce), "node_endpoints[].port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::fetch), "node_endpoints[].port", Allow::ignore, "two servers, two ports"},
    {k(ApiKey::describe_log_dirs), "results[].total_bytes", Allow::both_set, "a disk's own"},
    {k(ApiKey::describe_log_dirs), "results[].usable_bytes", Allow::both_set, "a disk's own"},
    // Time.
    {k(ApiKey::produce), "responses[].partition_responses[].log_append_time_ms", Allow::both_set,
     "the clock"},
    {k(ApiKey::produce),
     "responses[].partition_responses[].record_errors[].batch_index_error_message", Allow::text,
     "the clock, and how Java prints a record"},
    {k(ApiKey::produce), "responses[].partition_responses[].error_message", Allow::times,
     "the clock"},
    {k(ApiKey::list_offsets), "topics[].partitions[].timestamp", Allow::near,
     "the clock, where the topic stamps records"},
    {k(ApiKey::describe_producers), "topics[].partitions[].active_producers[].last_timestamp",
     Allow::both_set, "the clock, where the topic stamps records"},
    {k(ApiKey::describe_log_dirs), "results[].topics[].partitions[].partition_size",
     Allow::both_set,
     "batches of the internal topic carry the clock, in numbers of variable length"},
    // Orders that Apache takes from a hash map over random ids, or from a set.
    {k(ApiKey::produce), "responses", Allow::unordered, kMap},
    {k(ApiKey::produce), "responses[].partition_responses", Allow::unordered, kMap},
    {k(ApiKey::fetch), "responses", Allow::unordered, kMap},
    {k(ApiKey::fetch), "responses[].partitions", Allow::unordered, kMap},
    {k(ApiKey::list_offsets), "topics", Allow::unordered, kMap},
    {k(ApiKey::list_offsets), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::metadata), "topics", Allow::unordered, kMap},
    {k(ApiKey::metadata), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::offset_commit), "topics", Allow::unordered, kMap},
    {k(ApiKey::offset_commit), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::offset_fetch), "topics", Allow::unordered, kMap},
    {k(ApiKey::offset_fetch), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::offset_fetch), "groups[].topics", Allow::unordered, kMap},
    {k(ApiKey::offset_fetch), "groups[].topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::api_versions), "api_keys", Allow::unordered, kMap},
    {k(ApiKey::create_topics), "topics", Allow::unordered, kMap},
    {k(ApiKey::create_topics), "topics[].configs", Allow::unordered, kMap},
    {k(ApiKey::delete_topics), "responses", Allow::unordered, kMap},
    {k(ApiKey::delete_records), "topics", Allow::unordered, kMap},
    {k(ApiKey::delete_records), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::offset_for_leader_epoch), "topics", Allow::unordered, kMap},
    {k(ApiKey::offset_for_leader_epoch), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::offset_delete), "topics", Allow::unordered, kMap},
    {k(ApiKey::offset_delete), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::describe_configs), "results", Allow::unordered, kMap},
    {k(ApiKey::describe_configs), "results[].configs", Allow::unordered, kMap},
    {k(ApiKey::alter_replica_log_dirs), "results", Allow::unordered, kMap},
    {k(ApiKey::alter_replica_log_dirs), "results[].partitions", Allow::unordered, kMap},
    {k(ApiKey::describe_log_dirs), "results[].topics", Allow::unordered, kMap},
    {k(ApiKey::describe_log_dirs), "results[].topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::create_partitions), "results", Allow::unordered, kMap},
    {k(ApiKey::delete_groups), "results", Allow::unordered, kMap},
    {k(ApiKey::elect_leaders), "replica_election_results", Allow::unordered, kMap},
    {k(ApiKey::elect_leaders), "replica_election_results[].partition_result", Allow::unordered,
     kMap},
    {k(ApiKey::alter_configs), "responses", Allow::unordered, kMap},
    {k(ApiKey::incremental_alter_configs), "responses", Allow::unordered, kMap},
    {k(ApiKey::alter_partition_reassignments), "responses", Allow::unordered, kMap},
    {k(ApiKey::alter_partition_reassignments), "responses[].partitions", Allow::unordered, kMap},
    {k(ApiKey::list_partition_reassignments), "topics", Allow::unordered, kMap},
    {k(ApiKey::list_partition_reassignments), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::describe_client_quotas), "entries[].values", Allow::unordered, kMap},
    {k(ApiKey::describe_client_quotas), "entries[].entity", Allow::unordered, kMap},
    {k(ApiKey::describe_client_quotas), "entries", Allow::unordered, kMap},
    {k(ApiKey::alter_client_quotas), "entries[].entity", Allow::unordered, kMap},
    {k(ApiKey::alter_client_quotas), "entries", Allow::unordered, kMap},
    {k(ApiKey::describe_user_scram_credentials), "results", Allow::unordered, kMap},
    {k(ApiKey::alter_user_scram_credentials), "results", Allow::unordered, kMap},
    {k(ApiKey::update_features), "results", Allow::unordered, kMap},
    {k(ApiKey::describe_producers), "topics", Allow::unordered, kMap},
    {k(ApiKey::describe_producers), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::describe_producers), "topics[].partitions[].active_producers", Allow::unordered,
     kMap},
    {k(ApiKey::list_transactions), "unknown_state_filters", Allow::unordered, kMap},
    {k(ApiKey::txn_offset_commit), "topics", Allow::unordered, kMap},
    {k(ApiKey::txn_offset_commit), "topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::write_txn_markers), "markers", Allow::unordered, kMap},
    {k(ApiKey::write_txn_markers), "markers[].topics", Allow::unordered, kMap},
    {k(ApiKey::write_txn_markers), "markers[].topics[].partitions", Allow::unordered, kMap},
    {k(ApiKey::add_partitions_to_txn), "results_by_transaction", Allow::unordered, kMap},
    {k(ApiKey::add_partitions_to_txn), "results_by_transaction[].topic_results", Allow::unordered,
     kMap},
    {k(ApiKey::add_partitions_to_txn),
     "results_by_transaction[].topic_results[].results_by_partition", Allow::unordered, kMap},
    {k(ApiKey::add_partitions_to_txn), "results_by_topic_v3_and_below", Allow::unordered, kMap},
    {k(ApiKey::add_partitions_to_txn), "results_by_topic_v3_and_below[].results_by_partition",
     Allow::unordered, kMap},
    {k(ApiKey::join_group), "members", Allow::unordered, "a hash map over random member ids"},
    {k(ApiKey::describe_groups), "groups[].members", Allow::unordered,
     "a hash map over random member ids"},
    {k(ApiKey::list_groups), "groups", Allow::unordered, "a concurrent hash map"},
    // What stands in docs/compat.md.
    {k(ApiKey::fetch), "responses[].partitions[].aborted_transactions", Allow::text,
     "null or empty where a limit lets no record through: clients take both as none"},
    {k(ApiKey::api_versions), "api_keys", Allow::common_only,
     "the answer names only what is built"},
    {k(ApiKey::api_versions), "finalized_features_epoch", Allow::ignore,
     "counts writes of /feature in ZooKeeper"},
    {k(ApiKey::describe_configs), "results[].configs[].documentation", Allow::text,
     "the documentation of a key is in our words"},
};

// By the server, as it was appended: times that are drawn are an hour old (World::start_ms). Of
// several such records the clock says which has the newest millisecond.
bool is_stamped(int64_t timestamp) {
  using namespace std::chrono;
  int64_t now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  constexpr int64_t kLongestRunMs = 55 * 60'000;
  return timestamp > now - kLongestRunMs && timestamp <= now;
}

// docs/compat.md. Makes the answers alike where ours found what is there and Apache's found
// nothing, and where the clock alone decides.
bool finds_more(const kmsg::ListOffsetsRequest& asked, kmsg::ListOffsetsResponse& apache,
                const kmsg::ListOffsetsResponse& ours, const FirstAt& first_at) {
  auto timestamp_of = [&](const std::string& name, int32_t partition) -> int64_t {
    for (const auto& topic : asked.topics)
      for (const auto& p : topic.partitions)
        if (topic.name == name && p.partition_index == partition) return p.timestamp;
    return -1;
  };
  bool any = false;
  for (auto& topic : apache.topics)
    for (auto& a : topic.partitions)
      for (const auto& other : ours.topics)
        for (const auto& o : other.partitions) {
          if (topic.name != other.name || a.partition_index != o.partition_index) continue;
          int64_t timestamp = timestamp_of(topic.name, a.partition_index);
          constexpr int64_t kMaxTimestamp = -3, kNearMs = 30'000;
          if (timestamp == kMaxTimestamp && is_stamped(a.timestamp) && is_stamped(o.timestamp) &&
              a.timestamp != o.timestamp) {
            a.offset = o.offset;
            any = true;
          }
          bool is_candidate = timestamp >= 0 && a.error_code == kmsg::ErrorCode::none &&
                              a.offset == -1 && a.timestamp == -1 && o.offset > 0;
          if (!is_candidate) continue;
          auto found = first_at(topic.name, a.partition_index, timestamp);
          // Its time may be when each appended it.
          if (!found || found->first != o.offset ||
              std::llabs(found->second - o.timestamp) > kNearMs)
            continue;
          a.offset = o.offset, a.timestamp = o.timestamp, a.leader_epoch = o.leader_epoch;
          any = true;
        }
  return any;
}

}  // namespace

std::span<const Rule> allowed_differences() { return kRules; }

bool is_never_answered(int16_t version, Message& ours) {
  constexpr int16_t kFirstWithGroups = 8;
  auto* offsets = body_of<kmsg::OffsetFetchResponse>(&ours);
  return offsets && version >= kFirstWithGroups && offsets->groups.empty();
}

bool closes_midway(int16_t version, Message& ours) {
  constexpr int16_t kLastConverted = 3;
  constexpr size_t kConvertedAtOnce = 128 * 1024;
  auto* fetched = body_of<kmsg::FetchResponse>(&ours);
  if (!fetched || version > kLastConverted) return false;
  for (const auto& topic : fetched->responses)
    for (const auto& p : topic.partitions)
      if (p.records.bytes.size() > kConvertedAtOnce) return true;
  return false;
}

std::string_view excuse(Message* request, Message& apache, Message& ours, const FirstAt& first_at) {
  auto* asked = body_of<kmsg::ListOffsetsRequest>(request);
  auto* a = body_of<kmsg::ListOffsetsResponse>(&apache);
  auto* o = body_of<kmsg::ListOffsetsResponse>(&ours);
  if (asked && a && o && finds_more(*asked, *a, *o, first_at))
    return "ListOffsets by time: ours looks on behind deleted records; the newest of the clock's";
  return {};
}

}  // namespace ottla::differential
