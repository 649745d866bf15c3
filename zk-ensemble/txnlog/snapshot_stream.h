// The bytes of a snapshot file, front to back, compressed or not: what Apache's
// snapshot.compression.method makes of it (gz: gzip; snappy: snappy-java's stream). Which it is shows in
// the first bytes. Blocking reads; any bytes in the file give an end or an error.
// Source: ZooKeeper Administrator's Guide (snapshot.compression.method); RFC 1952; snappy-java's stream.
#pragma once

#include <memory>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/rt/world.h"

namespace ottla::zk {

enum class SnapshotCoding { plain, gz, snappy };
SnapshotCoding snapshot_coding(std::string_view method);  // of the key's value
std::string_view snapshot_extension(SnapshotCoding coding);  // "", ".gz", ".snappy"

class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  static std::unique_ptr<SnapshotSource> open(std::shared_ptr<rt::File> file);
  // Up to the length of `into`; 0 at the end.
  virtual Result<size_t> read(MutBytes into) = 0;
  // More than this is not to come.
  virtual uint64_t left_at_most() const = 0;
};

// Compresses piece by piece; `finish` once, behind the last.
class SnapshotEncoder {
 public:
  virtual ~SnapshotEncoder() = default;
  static std::unique_ptr<SnapshotEncoder> make(SnapshotCoding coding);
  virtual Result<Buffer> add(Buffer piece) = 0;
  virtual Result<Buffer> finish() = 0;
};

}  // namespace ottla::zk
