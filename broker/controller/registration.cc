// Room broker/controller: registration of this broker. See the header.
#include "broker/controller/registration.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::broker {
namespace {

struct Attempt {
  ZkClient& zk;
  BrokerRegistration self;
  RegistrationRules rules;
  Fn<void(Result<int64_t>)> done;
};
using AttemptPtr = std::shared_ptr<Attempt>;

void write(AttemptPtr attempt);

std::string address(const BrokerRegistration& broker) {
  if (broker.endpoints.empty()) return "no address";
  return fmt::format("{}:{}", broker.endpoints.front().host, broker.endpoints.front().port);
}

Error session_lost() { return {Errc::closed, "the ZooKeeper session expired during registration"}; }

std::optional<Error> other_broker(const Attempt& attempt, const BrokerRegistration& other) {
  if (attempt.rules.single_broker)
    return Error{
        Errc::in_use,
        fmt::format("broker {} at {} is registered under zookeeper.connect={}; clusters of "
                    "several brokers are not built yet: give each broker its own chroot "
                    "(host:port/name)",
                    other.id, address(other), attempt.rules.connect)};
  for (const BrokerEndpoint& mine : attempt.self.endpoints)
    for (const BrokerEndpoint& theirs : other.endpoints)
      if (mine.host == theirs.host && mine.port == theirs.port)
        return Error{
            Errc::in_use,
            fmt::format("{}:{} in advertised.listeners is already registered by broker {}; "
                        "correct advertised.listeners of one of them",
                        mine.host, mine.port, other.id)};
  return std::nullopt;
}

// The node of our own id is there. Left by our own session (a retried write): it is ours to
// replace.
void on_taken(AttemptPtr attempt, const ZkReply& node) {
  int64_t owner = node.stat.ephemeral_owner;
  if (owner == attempt->zk.session().session_id) {
    attempt->zk.submit(ZkRequest::remove(zpath::broker(attempt->self.id), node.stat.version),
                       [attempt](ZkReply) { write(attempt); });
    return;
  }
  auto other = decode_broker(attempt->self.id, node.data.value_or(""));
  attempt->done(
      fail(Errc::in_use,
           fmt::format(
               "broker.id={} is taken: {}/{} belongs to session 0x{:x} ({}); stop that broker or "
               "set another broker.id here; after a crash on another disk, wait until that session "
               "times out",
               attempt->self.id, zpath::kBrokerIds, attempt->self.id, static_cast<uint64_t>(owner),
               other ? address(*other) : "no address")));
}

void write(AttemptPtr attempt) {
  std::string path = zpath::broker(attempt->self.id);
  auto multi = ZkRequest::multi({ZkRequest::create(path, std::nullopt, CreateMode::ephemeral),
                                 ZkRequest::set(path, encode_broker(attempt->self), 0)});
  attempt->zk.submit(std::move(multi), [attempt, path](ZkReply reply) {
    if (reply.ok()) return attempt->done(reply.ops[1].stat.czxid);
    if (reply.error == ZkError::session_expired)
      return attempt->done(std::unexpected(session_lost()));
    if (reply.error != ZkError::node_exists)
      return attempt->done(
          fail(Errc::io, fmt::format("registration at {} failed: ZooKeeper answered {}", path,
                                     jute::error_name(reply.error))));
    attempt->zk.submit(ZkRequest::get(path), [attempt, retried = reply.retried](ZkReply node) {
      if (node.error == ZkError::session_expired)
        return attempt->done(std::unexpected(session_lost()));
      if (!node.ok()) return write(attempt);  // vanished meanwhile
      bool own = node.stat.ephemeral_owner == attempt->zk.session().session_id;
      if (own && retried) return attempt->done(node.stat.czxid);  // our first attempt went through
      on_taken(attempt, node);
    });
  });
}

// The sync makes what follows see everything that was answered before, on whichever server.
void check(AttemptPtr attempt) {
  attempt->zk.submit_all(
      {ZkRequest::sync("/"), ZkRequest::children(zpath::kBrokerIds)},
      [attempt](std::vector<ZkReply> replies) {
        if (replies[1].error == ZkError::session_expired)
          return attempt->done(std::unexpected(session_lost()));
        std::vector<ZkRequest> gets;
        std::vector<int32_t> ids;
        for (const std::string& name : replies[1].children) {
          gets.push_back(ZkRequest::get(std::string(zpath::kBrokerIds) + "/" + name));
          ids.push_back(std::atoi(name.c_str()));
        }
        if (gets.empty()) return write(attempt);
        attempt->zk.submit_all(std::move(gets), [attempt, ids](std::vector<ZkReply> nodes) {
          for (size_t i = 0; i < nodes.size(); ++i) {
            if (!nodes[i].ok()) continue;
            if (ids[i] == attempt->self.id) return on_taken(attempt, nodes[i]);
          }
          for (size_t i = 0; i < nodes.size(); ++i) {
            if (!nodes[i].ok()) continue;
            BrokerRegistration other;
            other.id = ids[i];
            if (auto decoded = decode_broker(ids[i], nodes[i].data.value_or("")))
              other = std::move(*decoded);
            if (auto error = other_broker(*attempt, other))
              return attempt->done(std::unexpected(std::move(*error)));
          }
          write(attempt);
        });
      });
}

}  // namespace

void register_broker(ZkClient& zk, BrokerRegistration self, RegistrationRules rules,
                     Fn<void(Result<int64_t>)> done) {
  check(std::make_shared<Attempt>(Attempt{zk, std::move(self), std::move(rules), std::move(done)}));
}

}  // namespace ottla::broker
