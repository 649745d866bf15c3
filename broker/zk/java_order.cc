// Room broker/zk: hash orders of other languages' maps. Pure; see the header.
#include "broker/zk/java_order.h"

#include <algorithm>

namespace ottla::broker {
namespace {

uint32_t mixed(std::string_view key) {
  auto hash = static_cast<uint32_t>(java_string_hash(key));
  return hash ^ (hash >> 16);
}

// A table of 16 bins doubles when it is three quarters full.
std::vector<std::string> in_bins(std::vector<std::string> keys, uint32_t mask, bool by_hash) {
  uint32_t bins = 16;
  while (keys.size() >= bins - bins / 4) bins *= 2;
  struct Place {
    uint32_t bin;
    int32_t rank;
    size_t index;
    auto operator<=>(const Place&) const = default;
  };
  std::vector<Place> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    uint32_t hash = mixed(keys[i]) & mask;
    places.push_back({hash & (bins - 1), by_hash ? static_cast<int32_t>(hash) : 0, i});
  }
  std::sort(places.begin(), places.end());
  std::vector<std::string> out;
  for (const Place& place : places) out.push_back(std::move(keys[place.index]));
  return out;
}

}  // namespace

// Keys here are ASCII (configuration names, numbers): one byte is one UTF-16 unit.
int32_t java_string_hash(std::string_view utf8) {
  uint32_t hash = 0;
  for (char c : utf8) hash = hash * 31 + static_cast<uint8_t>(c);
  return static_cast<int32_t>(hash);
}

std::vector<std::string> properties_order(std::vector<std::string> keys) {
  // Within a bin, order of insertion (doubling keeps it well enough: at this load few bins hold
  // two).
  return in_bins(std::move(keys), 0x7fffffff, false);
}

std::vector<std::string> scala_map_order(std::vector<std::string> keys) {
  return in_bins(std::move(keys), 0xffffffff, true);
}

}  // namespace ottla::broker
