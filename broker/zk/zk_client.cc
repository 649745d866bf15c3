// Room broker/zk: request factories and the batch helper of ZkClient.
#include "broker/zk/zk_client.h"

#include <memory>

namespace ottla::broker {

ZkRequest ZkRequest::create(std::string path, std::optional<std::string> data, CreateMode mode) {
  ZkRequest r;
  r.op = OpCode::create2;
  r.path = std::move(path);
  r.data = std::move(data);
  r.mode = mode;
  return r;
}
ZkRequest ZkRequest::remove(std::string path, int32_t version) {
  ZkRequest r;
  r.op = OpCode::remove;
  r.path = std::move(path);
  r.version = version;
  return r;
}
ZkRequest ZkRequest::exists(std::string path, bool watch) {
  ZkRequest r;
  r.op = OpCode::exists;
  r.path = std::move(path);
  r.watch = watch;
  return r;
}
ZkRequest ZkRequest::get(std::string path, bool watch) {
  ZkRequest r;
  r.op = OpCode::get_data;
  r.path = std::move(path);
  r.watch = watch;
  return r;
}
ZkRequest ZkRequest::set(std::string path, std::optional<std::string> data, int32_t version) {
  ZkRequest r;
  r.op = OpCode::set_data;
  r.path = std::move(path);
  r.data = std::move(data);
  r.version = version;
  return r;
}
ZkRequest ZkRequest::children(std::string path, bool watch) {
  ZkRequest r;
  r.op = OpCode::get_children2;
  r.path = std::move(path);
  r.watch = watch;
  return r;
}
ZkRequest ZkRequest::check(std::string path, int32_t version) {
  ZkRequest r;
  r.op = OpCode::check;
  r.path = std::move(path);
  r.version = version;
  return r;
}
ZkRequest ZkRequest::multi(std::vector<ZkRequest> ops) {
  ZkRequest r;
  r.op = OpCode::multi;
  r.ops = std::move(ops);
  return r;
}
ZkRequest ZkRequest::get_acl(std::string path) {
  ZkRequest r;
  r.op = OpCode::get_acl;
  r.path = std::move(path);
  return r;
}
ZkRequest ZkRequest::set_acl(std::string path, std::vector<jute::ACL> acl, int32_t version) {
  ZkRequest r;
  r.op = OpCode::set_acl;
  r.path = std::move(path);
  r.acl = std::move(acl);
  r.version = version;
  return r;
}
ZkRequest ZkRequest::sync(std::string path) {
  ZkRequest r;
  r.op = OpCode::sync;
  r.path = std::move(path);
  return r;
}
ZkRequest ZkRequest::add_auth(std::string scheme, std::string auth) {
  ZkRequest r;
  r.op = OpCode::auth;
  r.scheme = std::move(scheme);
  r.data = std::move(auth);
  return r;
}

void ZkClient::submit_all(std::vector<ZkRequest> requests, Fn<void(std::vector<ZkReply>)> done) {
  OTTLA_CHECK(!requests.empty());
  struct Batch {
    std::vector<ZkReply> replies;
    size_t left;
    Fn<void(std::vector<ZkReply>)> done;
  };
  auto batch = std::make_shared<Batch>();
  batch->replies.resize(requests.size());
  batch->left = requests.size();
  batch->done = std::move(done);
  for (size_t i = 0; i < requests.size(); ++i) {
    submit(std::move(requests[i]), [batch, i](ZkReply reply) {
      batch->replies[i] = std::move(reply);
      if (--batch->left == 0) batch->done(std::move(batch->replies));
    });
  }
}

}  // namespace ottla::broker
