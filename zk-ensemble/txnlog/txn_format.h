// The transaction log and snapshot layout of Apache's `version-2` directories, byte for byte.
// Source: ZooKeeper Administrator's Guide "Data File Management"; ZooKeeper jute persistence records.
//
// log.<hex zxid of its first record>
//   offset  size  meaning
//   0       4     magic "ZKLG"
//   4       4     version 2
//   8       8     dbid 0
//   16      ...   records, then zero padding
// One record
//   0       8     Adler-32 of the entry, high half zero
//   8       4     n, length of the entry; 0 is padding: the end of the log
//   12      n     TxnHeader (32 bytes), txn record, TxnDigest (12 bytes, absent in error txns)
//   12+n    1     0x42
// Example: createSession of session 0x0100003de7f10000, zxid 1, timeout 10000 (n = 48):
//   00000000dbce0a9e 00000030 0100003de7f10000 00000000 0000000000000001 000001a2008008e2 fffffff6
//   00002710 00000002 0000000051c6d660 42
//
// snapshot.<hex zxid applied when it was begun>
//   FileHeader {"ZKSN", 2, dbid -1}; sessions; ACL map; nodes in pre-order from ""; ustring "/";
//   seal; {zxid, 2, tree digest}; seal; {last processed zxid}; seal.
//   A seal is the Adler-32 of every byte before it as a long, and ustring "/".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/endian.h"

namespace ottla::zk {

constexpr int32_t kLogMagic = 0x5a4b4c47;
constexpr int32_t kSnapshotMagic = 0x5a4b534e;
constexpr int32_t kFormatVersion = 2;
constexpr int64_t kLogDbId = 0;
constexpr int64_t kSnapshotDbId = -1;
constexpr size_t kFileHeaderBytes = 16;
constexpr size_t kRecordPrefixBytes = 12;  // checksum and length
constexpr uint8_t kRecordEnd = 0x42;
constexpr size_t kTxnHeaderBytes = 32;     // clientId, cxid, zxid, time, type
constexpr size_t kTxnHeaderZxidAt = 12;
// The log grows when a record would end less than this before the end of the file.
constexpr uint64_t kGrowMarginBytes = 4096;
// What one group commit writes at most before its sync, but for one record longer than it. After a
// crash nothing older than this before the end of the log can be torn.
constexpr uint64_t kMaxCommitBytes = 4 << 20;

// Running Adler-32 (zlib's); the checksum of no bytes is 1.
uint32_t adler32(uint32_t so_far, Bytes bytes);
inline uint32_t adler32(Bytes bytes) { return adler32(1, bytes); }

std::string log_name(int64_t zxid);       // "log.1f"
std::string snapshot_name(int64_t zxid);  // "snapshot.0"
// The zxid in a file's name, when it is exactly PREFIX.<hex>.
std::optional<int64_t> zxid_of_name(std::string_view name, std::string_view prefix);
std::optional<int64_t> zxid_of_snapshot(std::string_view name);  // also .gz and .snappy

}  // namespace ottla::zk
