// Room broker/controller: generated broker ids. See the header.
#include "broker/controller/broker_ids.h"

#include <fmt/core.h>

#include "broker/zk/znodes.h"

namespace ottla::broker {
namespace {

Result<int32_t> id_of(int32_t reserved_max, int32_t version) {
  int64_t id = int64_t{reserved_max} + version;
  if (id > INT32_MAX || version < 0)
    return fail(
        Errc::invalid,
        fmt::format("broker.id: no number above reserved.broker.max.id={} is left ({} is at "
                    "version {}); set broker.id, or a smaller reserved.broker.max.id",
                    reserved_max, zpath::kBrokerSeqId, version));
  return static_cast<int32_t>(id);
}

}  // namespace

void generate_broker_id(ZkClient& zk, int32_t reserved_max, Fn<void(Result<int32_t>)> done) {
  // The create is for a path that somebody removed; as a rule it is there already.
  zk.submit(ZkRequest::set(zpath::kBrokerSeqId, ""), [&zk, reserved_max, done = std::move(done)](
                                                         ZkReply reply) mutable {
    if (reply.ok()) return done(id_of(reserved_max, reply.stat.version));
    if (reply.error == ZkError::session_expired)
      return done(fail(Errc::closed, "the ZooKeeper session expired"));
    if (reply.error != ZkError::no_node)
      return done(fail(Errc::permission,
                       fmt::format("broker.id cannot be generated: ZooKeeper answered {} for {}; "
                                   "check the ACLs below the chroot, or set broker.id",
                                   jute::error_name(reply.error), zpath::kBrokerSeqId)));
    zk.submit_all(
        {ZkRequest::create("/brokers", std::nullopt), ZkRequest::create(zpath::kBrokerSeqId, "")},
        [&zk, reserved_max, done = std::move(done)](std::vector<ZkReply> made) mutable {
          ZkError error = made[1].error;
          if (error == ZkError::ok || error == ZkError::node_exists)
            return generate_broker_id(zk, reserved_max, std::move(done));
          Errc code = error == ZkError::session_expired ? Errc::closed : Errc::permission;
          done(fail(code, fmt::format("{} cannot be made: ZooKeeper answered {}; check "
                                      "the ACLs below the chroot, or set broker.id",
                                      zpath::kBrokerSeqId, jute::error_name(error))));
        });
  });
}

}  // namespace ottla::broker
