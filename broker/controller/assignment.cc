// Room broker/controller: replica assignment. Pure.
#include "broker/controller/assignment.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace ottla::broker {
namespace {

struct Draw {
  uint32_t start;
  uint32_t shift;
};

uint32_t follower_index(uint32_t first, uint32_t shift, uint32_t second, uint32_t count) {
  return (first + 1 + (shift + second) % (count - 1)) % count;
}

Assignment rack_unaware(const std::vector<BrokerRack>& brokers, int32_t partitions, int32_t factor,
                        Draw draw, int32_t start_partition) {
  Assignment out;
  auto n = static_cast<uint32_t>(brokers.size());
  auto p = static_cast<uint32_t>(std::max(0, start_partition));
  for (int32_t i = 0; i < partitions; ++i, ++p) {
    if (p > 0 && p % n == 0) ++draw.shift;
    uint32_t first = (p + draw.start) % n;
    std::vector<int32_t>& replicas = out[static_cast<int32_t>(p)];
    replicas.push_back(brokers[first].id);
    for (uint32_t j = 0; j + 1 < static_cast<uint32_t>(factor); ++j)
      replicas.push_back(brokers[follower_index(first, draw.shift, j, n)].id);
  }
  return out;
}

// Brokers of the racks in turn, so that neighbours in the list stand in different racks.
std::vector<BrokerRack> alternated(const std::vector<BrokerRack>& brokers) {
  std::map<std::string, std::vector<BrokerRack>> by_rack;
  for (const BrokerRack& broker : brokers) by_rack[*broker.rack].push_back(broker);
  std::vector<BrokerRack> out;
  for (size_t row = 0; out.size() < brokers.size(); ++row)
    for (const auto& [rack, members] : by_rack)
      if (row < members.size()) out.push_back(members[row]);
  return out;
}

Assignment rack_aware(const std::vector<BrokerRack>& sorted, int32_t partitions, int32_t factor,
                      Draw draw, int32_t start_partition) {
  std::vector<BrokerRack> brokers = alternated(sorted);
  std::set<std::string> all_racks;
  for (const BrokerRack& broker : brokers) all_racks.insert(*broker.rack);
  Assignment out;
  auto n = static_cast<uint32_t>(brokers.size());
  auto racks = static_cast<uint32_t>(all_racks.size());
  auto p = static_cast<uint32_t>(std::max(0, start_partition));
  for (int32_t i = 0; i < partitions; ++i, ++p) {
    if (p > 0 && p % n == 0) ++draw.shift;
    uint32_t first = (p + draw.start) % n;
    std::vector<int32_t>& replicas = out[static_cast<int32_t>(p)];
    replicas.push_back(brokers[first].id);
    std::set<std::string> used_racks{*brokers[first].rack};
    std::set<int32_t> used{brokers[first].id};
    uint32_t k = 0;
    while (replicas.size() < static_cast<size_t>(factor)) {
      const BrokerRack& next = brokers[follower_index(first, draw.shift * racks, k++, n)];
      if (used_racks.contains(*next.rack) && used_racks.size() < racks) continue;
      if (used.contains(next.id)) continue;
      replicas.push_back(next.id);
      used.insert(next.id);
      used_racks.insert(*next.rack);
    }
  }
  return out;
}

}  // namespace

std::vector<BrokerRack> broker_racks(const MetadataImage& image) {
  std::vector<BrokerRack> out;
  for (const auto& [id, broker] : image.brokers()) out.push_back({id, broker.rack});
  return out;
}

AssignmentOutcome assign_replicas(const std::vector<BrokerRack>& brokers, int32_t partitions,
                                  int32_t replication_factor, Prng& prng,
                                  std::optional<int32_t> fixed_start, int32_t start_partition) {
  using kmsg::ErrorCode;
  AssignmentOutcome out;
  auto refuse = [&](ErrorCode error, std::string message) {
    out.error = error;
    out.message = std::move(message);
    return out;
  };
  if (partitions <= 0)
    return refuse(ErrorCode::invalid_partitions, "Number of partitions must be larger than 0.");
  if (int64_t{std::max(0, start_partition)} + partitions > kMaxPlannedPartitions)
    return refuse(ErrorCode::invalid_partitions,
                  fmt::format("Number of partitions must not be larger than {}.",
                              kMaxPlannedPartitions));
  if (replication_factor <= 0)
    return refuse(ErrorCode::invalid_replication_factor,
                  "Replication factor must be larger than 0.");
  if (static_cast<size_t>(replication_factor) > brokers.size())
    return refuse(ErrorCode::invalid_replication_factor,
                  fmt::format("Replication factor: {} larger than available brokers: {}.",
                              replication_factor, brokers.size()));
  auto with_rack = static_cast<size_t>(std::count_if(
      brokers.begin(), brokers.end(), [](const BrokerRack& b) { return b.rack.has_value(); }));
  if (with_rack > 0 && with_rack < brokers.size())
    return refuse(ErrorCode::unknown_server_error,
                  "Not all brokers have rack information for replica rack aware assignment.");
  auto n = static_cast<uint64_t>(brokers.size());
  Draw draw{static_cast<uint32_t>(prng.below(n)), static_cast<uint32_t>(prng.below(n))};
  if (fixed_start && *fixed_start >= 0)
    draw = {static_cast<uint32_t>(*fixed_start), static_cast<uint32_t>(*fixed_start)};
  out.assignment =
      with_rack > 0 ? rack_aware(brokers, partitions, replication_factor, draw, start_partition)
                    : rack_unaware(brokers, partitions, replication_factor, draw, start_partition);
  return out;
}

}  // namespace ottla::broker
