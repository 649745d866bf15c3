#include "zk-ensemble/tree/digest.h"

#include <zlib.h>

#include "common/base/endian.h"

namespace ottla::zk {

bool digest_covers(std::string_view path) { return !path.starts_with("/zookeeper/"); }

uint32_t digest_prefix(std::string_view path, Bytes data) {
  uLong crc = 0;
  if (path.size() > 1) crc = crc32_z(crc, reinterpret_cast<const Bytef*>(path.data()), path.size());
  if (!data.empty()) crc = crc32_z(crc, data.data(), data.size());
  return static_cast<uint32_t>(crc);
}

uint32_t digest_node(uint32_t prefix, const StatPersisted& stat) {
  uint8_t block[60];
  store_be(block, stat.czxid);
  store_be(block + 8, stat.mzxid);
  store_be(block + 16, stat.pzxid);
  store_be(block + 24, stat.ctime);
  store_be(block + 32, stat.mtime);
  store_be(block + 40, stat.version);
  store_be(block + 44, stat.cversion);
  store_be(block + 48, stat.aversion);
  store_be(block + 52, stat.ephemeral_owner);
  return static_cast<uint32_t>(crc32_z(prefix, block, sizeof(block)));
}

}  // namespace ottla::zk
