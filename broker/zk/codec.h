// ZkRequest and ZkReply as frames of ZooKeeper's client protocol: what stands after the xid and the
// op code, and after the reply header. `chroot` is put before paths on the way out and taken off on
// the way in. Decoding is bounded and never trusts a count. Source: ZooKeeper, zookeeper.jute.
#pragma once

#include <string>
#include <string_view>

#include "broker/zk/zk_client.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::broker {

std::string with_chroot(std::string_view chroot, std::string_view path);
std::string without_chroot(std::string_view chroot, std::string_view path);

void encode_zk_body(wire::Writer& w, const ZkRequest& request, std::string_view chroot);
// Body of a reply whose header said ok; false: not what this request can be answered with.
bool decode_zk_body(wire::Reader& r, const ZkRequest& request, std::string_view chroot,
                    ZkReply& reply);

}  // namespace ottla::broker
