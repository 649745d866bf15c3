// The tree's digest: a sum over nodes of CRC-32(path, data, 60 bytes of stat), kept up step by
// step. Replicas compare it after every transaction. Nodes below /zookeeper/ are left out (their
// quota statistics differ between servers). Source: ZooKeeper 3.6 release notes, "data consistency:
// predictive digest" (ZOOKEEPER-3114).
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/bytes.h"
#include "zk-ensemble/tree/stat.h"

namespace ottla::zk {

inline constexpr int32_t kDigestVersion = 2;

bool digest_covers(std::string_view path);
// CRC-32 of path and data: kept with the node, so that a change of its stat alone never reads its
// data.
uint32_t digest_prefix(std::string_view path, Bytes data);  // "/" counts as ""
uint32_t digest_node(uint32_t prefix, const StatPersisted& stat);

}  // namespace ottla::zk
