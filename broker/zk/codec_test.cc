// Requests as ZooKeeper reads them and replies as it writes them: every operation of ZkClient, with
// a chroot and without; replies that are cut anywhere, or answer something else.
#include "broker/zk/codec.h"

#include <catch2/catch.hpp>

namespace ottla::broker {
namespace {

template <class Record>
Record sent(const ZkRequest& request, std::string_view chroot = "/c") {
  wire::Writer w;
  encode_zk_body(w, request, chroot);
  wire::Reader r(w.bytes());
  Record record;
  REQUIRE(record.decode(r));
  CHECK(r.at_end());
  return record;
}

jute::Stat stat_of(int32_t version) {
  jute::Stat stat;
  stat.czxid = 7;
  stat.version = version;
  return stat;
}

// The reply to a body; each beginning of it alone is refused.
ZkReply answered(const ZkRequest& request, const wire::Writer& body, bool cut = true) {
  for (size_t size = 0; cut && size < body.size(); ++size) {
    wire::Reader r(body.bytes().first(size));
    ZkReply reply;
    INFO("cut to " << size);
    CHECK_FALSE(decode_zk_body(r, request, "/c", reply));
  }
  wire::Reader r(body.bytes());
  ZkReply reply;
  REQUIRE(decode_zk_body(r, request, "/c", reply));
  CHECK(r.at_end());
  return reply;
}
template <class Record>
ZkReply answered(const ZkRequest& request, const Record& record) {
  wire::Writer w;
  record.encode(w);
  return answered(request, w);
}

void put_header(wire::Writer& w, OpCode op, bool done = false, int32_t error = 0) {
  jute::MultiHeader header;
  header.type = op;
  header.done = done;
  header.err = static_cast<decltype(header.err)>(error);
  header.encode(w);
}

const jute::ACL kReaders{.perms = 1, .id = {.scheme = "ip", .id = "10.0.0.0/8"}};

}  // namespace

TEST_CASE("paths below a chroot") {
  CHECK(with_chroot("", "/a") == "/a");
  CHECK(with_chroot("/c", "/") == "/c");
  CHECK(with_chroot("/c", "/a") == "/c/a");
  CHECK(without_chroot("", "/a") == "/a");
  CHECK(without_chroot("/c", "/c") == "/");
  CHECK(without_chroot("/c", "/c/a") == "/a");
  CHECK(without_chroot("/c", "/elsewhere") == "/elsewhere");
}

TEST_CASE("requests are laid out as ZooKeeper's records") {
  auto create = sent<jute::CreateRequest>(
      ZkRequest::create("/a", std::nullopt, CreateMode::ephemeral_sequential));
  CHECK(create.path == "/c/a");
  CHECK_FALSE(create.data.has_value());
  CHECK(create.flags == 3);
  REQUIRE(create.acl);
  CHECK(create.acl->at(0).perms == 31);
  CHECK(create.acl->at(0).id.scheme == "world");
  ZkRequest closed = ZkRequest::create("/a", "x");
  closed.acl = {kReaders};
  CHECK(sent<jute::CreateRequest>(closed).acl->at(0) == kReaders);
  CHECK(sent<jute::DeleteRequest>(ZkRequest::remove("/a", 4)).version == 4);
  CHECK(sent<jute::SetDataRequest>(ZkRequest::set("/a", "x", 5)).data == "x");
  CHECK(sent<jute::CheckVersionRequest>(ZkRequest::check("/a", 6)).version == 6);
  CHECK(sent<jute::GetDataRequest>(ZkRequest::get("/a", true)).watch);
  CHECK_FALSE(sent<jute::GetDataRequest>(ZkRequest::exists("/a")).watch);
  CHECK(sent<jute::GetDataRequest>(ZkRequest::children("/"), "/c").path == "/c");
  CHECK(sent<jute::SyncRequest>(ZkRequest::sync("/"), "").path == "/");
  CHECK(sent<jute::SyncRequest>(ZkRequest::get_acl("/a")).path == "/c/a");
  auto acl = sent<jute::SetACLRequest>(ZkRequest::set_acl("/a", {kReaders}, 8));
  CHECK(acl.version == 8);
  CHECK(acl.acl->at(0) == kReaders);
  ZkRequest ping;
  ping.op = OpCode::ping;
  wire::Writer nothing;
  encode_zk_body(nothing, ping, "/c");
  CHECK(nothing.size() == 0);
  ZkRequest auth = ZkRequest::add_auth("digest", "u:p");
  CHECK(auth.op == OpCode::auth);
  CHECK(auth.scheme == "digest");
  CHECK(auth.data == "u:p");
}

TEST_CASE("replies are read, and refused where they end early") {
  jute::Create2Response created;
  created.path = "/c/a0001";
  created.stat = stat_of(0);
  auto reply = answered(ZkRequest::create("/a", ""), created);
  CHECK(reply.path == "/a0001");
  CHECK(reply.stat.czxid == 7);
  ZkRequest old = ZkRequest::create("/a", "");
  old.op = OpCode::create;
  jute::CreateResponse path_alone;
  path_alone.path = "/c/a";
  CHECK(answered(old, path_alone).path == "/a");
  jute::SetDataResponse stat;
  stat.stat = stat_of(3);
  CHECK(answered(ZkRequest::set("/a", ""), stat).stat.version == 3);
  CHECK(answered(ZkRequest::exists("/a"), stat).stat.version == 3);
  CHECK(answered(ZkRequest::set_acl("/a", {}), stat).stat.version == 3);
  jute::GetDataResponse data;
  data.data = std::string("x\0y", 3);
  CHECK(answered(ZkRequest::get("/a"), data).data == data.data);
  jute::GetChildren2Response children;
  children.children = {{"b", "a"}};
  CHECK(answered(ZkRequest::children("/a"), children).children ==
        std::vector<std::string>{"a", "b"});
  children.children.reset();
  CHECK(answered(ZkRequest::children("/a"), children).children.empty());
  jute::GetACLResponse acl;
  acl.acl = {{kReaders}};
  CHECK(answered(ZkRequest::get_acl("/a"), acl).acl == std::vector<jute::ACL>{kReaders});
  CHECK(answered(ZkRequest::remove("/a"), wire::Writer()).ok());
}

TEST_CASE("a multi's results: one for each operation, the first error is the whole's") {
  ZkRequest request = ZkRequest::multi({ZkRequest::create("/a", ""), ZkRequest::set("/b", ""),
                                        ZkRequest::remove("/d"), ZkRequest::check("/e", 1),
                                        ZkRequest::create("/f", "")});
  request.ops[4].op = OpCode::create;
  jute::Create2Response created;
  created.path = "/c/a";
  jute::SetDataResponse set;
  set.stat = stat_of(4);
  jute::CreateResponse path_alone;
  path_alone.path = "/c/f";
  wire::Writer good;
  put_header(good, OpCode::create2), created.encode(good);
  put_header(good, OpCode::set_data), set.encode(good);
  put_header(good, OpCode::remove);
  put_header(good, OpCode::check);
  put_header(good, OpCode::create), path_alone.encode(good);
  put_header(good, OpCode::error, true, -1);
  ZkReply reply = answered(request, good);
  CHECK(reply.ok());
  REQUIRE(reply.ops.size() == 5);
  CHECK(reply.ops[0].path == "/a");
  CHECK(reply.ops[1].stat.version == 4);
  CHECK(reply.ops[4].path == "/f");

  auto errors = [&](size_t count) {
    wire::Writer w;
    for (size_t i = 0; i < count; ++i) {
      put_header(w, OpCode::error);
      jute::ErrorResponse error;
      error.err = i < 2 ? ZkError::ok : i == 2 ? ZkError::no_node : ZkError::runtime_inconsistency;
      error.encode(w);
    }
    put_header(w, OpCode::error, true, -1);
    return w;
  };
  reply = answered(request, errors(5));
  CHECK(reply.error == ZkError::no_node);
  CHECK(reply.ops[4].error == ZkError::runtime_inconsistency);
  for (size_t count : {4, 6}) {
    wire::Writer wrong = errors(count);
    wire::Reader r(wrong.bytes());
    ZkReply refused;
    CHECK_FALSE(decode_zk_body(r, request, "/c", refused));
  }
  wire::Writer stranger;
  put_header(stranger, OpCode::get_data);
  wire::Reader r(stranger.bytes());
  ZkReply refused;
  CHECK_FALSE(decode_zk_body(r, request, "/c", refused));
}

}  // namespace ottla::broker
