// Stat as clients see it and as nodes keep it.
#pragma once

#include <cstdint>
#include <string>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::zk {

// What is kept and written to disk. `cversion` counts the creates ever done below the node; clients
// are shown 2 * cversion - children, so that creates and deletes each add one.
struct StatPersisted {
  int64_t czxid = 0, mzxid = 0, ctime = 0, mtime = 0;
  int32_t version = 0, cversion = 0, aversion = 0;
  int64_t ephemeral_owner = 0, pzxid = 0;
  bool operator==(const StatPersisted&) const = default;
  void encode(wire::Writer& out) const;
  bool decode(wire::Reader& in);
};

struct Stat {
  int64_t czxid = 0, mzxid = 0, ctime = 0, mtime = 0;
  int32_t version = 0, cversion = 0, aversion = 0;
  int64_t ephemeral_owner = 0;
  int32_t data_length = 0, num_children = 0;
  int64_t pzxid = 0;
  bool operator==(const Stat&) const = default;
  void encode(wire::Writer& out) const;  // 68 bytes
};

}  // namespace ottla::zk
