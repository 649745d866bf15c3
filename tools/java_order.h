// The order in which Java's HashMap gives its keys back: Apache's tools print topics, configs and
// partitions in it, and people compare outputs. Keys come as (hash, insertion order).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/kafka/java_string.h"

namespace ottla::tools {

// Sorts `items` as a HashMap created for `expected` entries (0: its default) would iterate over
// them; hash_of(item) is the Java hashCode. Items keep their order within a bucket.
template <class Item, class HashOf>
void java_map_order(std::vector<Item>& items, size_t expected, HashOf&& hash_of) {
  size_t buckets = 1;
  if (expected == 0) buckets = 16;
  while (buckets < expected) buckets *= 2;
  while (items.size() * 4 > buckets * 3) buckets *= 2;
  std::map<uint32_t, std::vector<Item>> table;
  for (Item& item : items) {
    auto hash = static_cast<uint32_t>(hash_of(item));
    table[(hash ^ hash >> 16) & static_cast<uint32_t>(buckets - 1)].push_back(std::move(item));
  }
  items.clear();
  for (auto& [bucket, held] : table)
    for (Item& item : held) items.push_back(std::move(item));
}

inline void java_map_order(std::vector<std::string>& keys, size_t expected = 0) {
  java_map_order(keys, expected,
                 [](const std::string& key) { return kmsg::java_string_hash(key); });
}

// hashCode of org.apache.kafka.common.TopicPartition.
inline int32_t topic_partition_hash(std::string_view topic, int32_t partition) {
  uint32_t hash = 31 * (31 + static_cast<uint32_t>(partition));
  return static_cast<int32_t>(hash + static_cast<uint32_t>(kmsg::java_string_hash(topic)));
}

}  // namespace ottla::tools
