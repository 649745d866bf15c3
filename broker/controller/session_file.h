// ottla.session, in a log dir: the ZooKeeper session under which this broker registered last.
// Written durably before the registration, removed at a clean shutdown. After a kill the next start
// finds in it the right to end that session, so that its ephemerals vanish at once instead of after
// the session timeout. Text, one key=value a line, with a checksum: a torn file counts as none.
//
//   version=0
//   session.id=100001f179e0000
//   session.password=00e48bfc8d45fd32de16504e1e79ef7a
//   broker.id=0
//   cluster.id=oHkQ5Dq2R5a7_Q0EUPv-SQ
//   zookeeper.chroot=/a
//   crc32c=9a3c1f02
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/zk/zk_client.h"
#include "common/base/result.h"
#include "common/rt/world.h"

namespace ottla::broker {

inline constexpr const char* kSessionFileName = "ottla.session";

struct SessionRecord {
  ZkSessionCredentials session;
  int32_t broker_id = -1;
  std::string cluster_id;
  std::string chroot;
};

std::string encode_session(const SessionRecord& record);
std::optional<SessionRecord> decode_session(std::string_view text);  // nullopt: torn or foreign

// Missing and unreadable count as none: the worst that follows is waiting for the session's
// timeout.
std::optional<SessionRecord> read_session_file(rt::Disk& disk, const std::string& dir);
Result<void> write_session_file(rt::Disk& disk, const std::string& dir,
                                const SessionRecord& record);

}  // namespace ottla::broker
