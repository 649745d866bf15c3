// The name of a partition, and of its directory.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace ottla::broker {

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
  std::string to_string() const { return topic + "-" + std::to_string(partition); }
};

}  // namespace ottla::broker
