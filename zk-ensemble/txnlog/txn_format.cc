#include "zk-ensemble/txnlog/txn_format.h"

#include <fmt/core.h>
#include <zlib.h>

namespace ottla::zk {

uint32_t adler32(uint32_t so_far, Bytes bytes) {
  return static_cast<uint32_t>(::adler32_z(so_far, bytes.data(), bytes.size()));
}

std::string log_name(int64_t zxid) { return fmt::format("log.{:x}", static_cast<uint64_t>(zxid)); }
std::string snapshot_name(int64_t zxid) {
  return fmt::format("snapshot.{:x}", static_cast<uint64_t>(zxid));
}

std::optional<int64_t> zxid_of_snapshot(std::string_view name) {
  for (std::string_view extension : {".gz", ".snappy"})
    if (name.ends_with(extension)) return zxid_of_name(name.substr(0, name.size() - extension.size()), "snapshot");
  return zxid_of_name(name, "snapshot");
}

std::optional<int64_t> zxid_of_name(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.size() < 2 || name.size() > 17 || name[0] != '.') return std::nullopt;
  uint64_t value = 0;
  for (char c : name.substr(1)) {
    uint64_t digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return static_cast<int64_t>(value);
}

}  // namespace ottla::zk
