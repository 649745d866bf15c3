// Names of a partition's files and directories. Source: Kafka documentation, "Log".
#pragma once

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "broker/log/topic_partition.h"

namespace ottla::broker {

constexpr const char* kLogSuffix = ".log";
constexpr const char* kIndexSuffix = ".index";
constexpr const char* kTimeIndexSuffix = ".timeindex";
constexpr const char* kTxnIndexSuffix = ".txnindex";
constexpr const char* kSnapshotSuffix = ".snapshot";
constexpr const char* kDeletedSuffix = ".deleted";
constexpr const char* kCleanedSuffix = ".cleaned";
constexpr const char* kSwapSuffix = ".swap";
constexpr const char* kEpochFile = "leader-epoch-checkpoint";
constexpr const char* kPartitionMetadataFile = "partition.metadata";

inline std::string file_name(int64_t offset, const char* suffix) {
  return fmt::format("{:020}{}", offset, suffix);
}

// The offset that a file name with this suffix begins with.
inline std::optional<int64_t> offset_of_name(std::string_view name, std::string_view suffix) {
  if (name.size() != 20 + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  int64_t offset = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + 20, offset);
  if (error != std::errc() || end != name.data() + 20 || offset < 0) return std::nullopt;
  return offset;
}

// "topic-3": the part behind the last dash is the partition.
inline std::optional<TopicPartition> partition_of_name(std::string_view name) {
  size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) return std::nullopt;
  TopicPartition tp{std::string(name.substr(0, dash)), 0};
  auto [end, error] =
      std::from_chars(name.data() + dash + 1, name.data() + name.size(), tp.partition);
  if (error != std::errc() || end != name.data() + name.size() || tp.partition < 0)
    return std::nullopt;
  return tp;
}

}  // namespace ottla::broker
