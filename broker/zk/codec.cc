// Room broker/zk: bodies of requests and replies, from the generated Jute records. Pure.
#include "broker/zk/codec.h"

#include <algorithm>

namespace ottla::broker {
namespace {

constexpr int32_t kPermAll = 31;

std::vector<jute::ACL> open_acl() {
  jute::ACL all;
  all.perms = kPermAll;
  all.id.scheme = "world";
  all.id.id = "anyone";
  return {all};
}

template <class Record>
bool take(wire::Reader& r, Record& record) {
  return record.decode(r) && r.ok();
}

void encode_multi(wire::Writer& w, const ZkRequest& request, std::string_view chroot) {
  for (const ZkRequest& op : request.ops) {
    jute::MultiHeader header;
    header.type = op.op;
    header.err = static_cast<ZkError>(-1);
    header.encode(w);
    encode_zk_body(w, op, chroot);
  }
  jute::MultiHeader end;
  end.type = OpCode::error;
  end.done = true;
  end.err = static_cast<ZkError>(-1);
  end.encode(w);
}

// Results stand in the order of the operations; the reply's error is the first one of them.
bool decode_multi(wire::Reader& r, const ZkRequest& request, std::string_view chroot,
                  ZkReply& reply) {
  for (;;) {
    jute::MultiHeader header;
    if (!take(r, header)) return false;
    if (header.done) break;
    if (reply.ops.size() == request.ops.size()) return false;
    ZkOpResult result;
    switch (header.type) {
      case OpCode::error: {
        jute::ErrorResponse body;
        if (!take(r, body)) return false;
        result.error = body.err;
        break;
      }
      case OpCode::create: {
        jute::CreateResponse body;
        if (!take(r, body)) return false;
        result.path = without_chroot(chroot, body.path.value_or(""));
        break;
      }
      case OpCode::create2: {
        jute::Create2Response body;
        if (!take(r, body)) return false;
        result.path = without_chroot(chroot, body.path.value_or(""));
        result.stat = body.stat;
        break;
      }
      case OpCode::set_data: {
        jute::SetDataResponse body;
        if (!take(r, body)) return false;
        result.stat = body.stat;
        break;
      }
      case OpCode::remove:
      case OpCode::check:
        break;
      default:
        return false;
    }
    // What comes after the failing operation is no reason of its own.
    if (reply.ok() && result.error != ZkError::ok) reply.error = result.error;
    reply.ops.push_back(std::move(result));
  }
  return reply.ops.size() == request.ops.size();
}

}  // namespace

std::string with_chroot(std::string_view chroot, std::string_view path) {
  if (chroot.empty()) return std::string(path);
  if (path == "/") return std::string(chroot);
  return std::string(chroot) + std::string(path);
}

std::string without_chroot(std::string_view chroot, std::string_view path) {
  if (chroot.empty() || !path.starts_with(chroot)) return std::string(path);
  std::string_view rest = path.substr(chroot.size());
  return rest.empty() ? "/" : std::string(rest);
}

void encode_zk_body(wire::Writer& w, const ZkRequest& request, std::string_view chroot) {
  std::string path = with_chroot(chroot, request.path);
  switch (request.op) {
    case OpCode::create:
    case OpCode::create2: {
      jute::CreateRequest body;
      body.path = std::move(path);
      body.data = request.data;
      body.acl = request.acl.empty() ? open_acl() : request.acl;
      body.flags = static_cast<int32_t>(request.mode);
      return body.encode(w);
    }
    case OpCode::remove: {
      jute::DeleteRequest body;
      body.path = std::move(path);
      body.version = request.version;
      return body.encode(w);
    }
    case OpCode::set_data: {
      jute::SetDataRequest body;
      body.path = std::move(path);
      body.data = request.data;
      body.version = request.version;
      return body.encode(w);
    }
    case OpCode::check: {
      jute::CheckVersionRequest body;
      body.path = std::move(path);
      body.version = request.version;
      return body.encode(w);
    }
    case OpCode::exists:
    case OpCode::get_data:
    case OpCode::get_children2: {
      jute::GetDataRequest body;  // the three share one layout
      body.path = std::move(path);
      body.watch = request.watch;
      return body.encode(w);
    }
    case OpCode::get_acl:
    case OpCode::sync: {
      jute::SyncRequest body;
      body.path = std::move(path);
      return body.encode(w);
    }
    case OpCode::set_acl: {
      jute::SetACLRequest body;
      body.path = std::move(path);
      body.acl = request.acl;
      body.version = request.version;
      return body.encode(w);
    }
    case OpCode::multi:
      return encode_multi(w, request, chroot);
    default:
      return;  // closeSession, ping: no body
  }
}

bool decode_zk_body(wire::Reader& r, const ZkRequest& request, std::string_view chroot,
                    ZkReply& reply) {
  switch (request.op) {
    case OpCode::create2: {
      jute::Create2Response body;
      if (!take(r, body)) return false;
      reply.path = without_chroot(chroot, body.path.value_or(""));
      reply.stat = body.stat;
      return true;
    }
    case OpCode::create: {
      jute::CreateResponse body;
      if (!take(r, body)) return false;
      reply.path = without_chroot(chroot, body.path.value_or(""));
      return true;
    }
    case OpCode::exists:
    case OpCode::set_data:
    case OpCode::set_acl: {
      jute::SetDataResponse body;  // the three answer with a Stat alone
      if (!take(r, body)) return false;
      reply.stat = body.stat;
      return true;
    }
    case OpCode::get_data: {
      jute::GetDataResponse body;
      if (!take(r, body)) return false;
      reply.data = std::move(body.data);
      reply.stat = body.stat;
      return true;
    }
    case OpCode::get_children2: {
      jute::GetChildren2Response body;
      if (!take(r, body)) return false;
      reply.stat = body.stat;
      if (body.children) reply.children = std::move(*body.children);
      std::sort(reply.children.begin(), reply.children.end());
      return true;
    }
    case OpCode::get_acl: {
      jute::GetACLResponse body;
      if (!take(r, body)) return false;
      if (body.acl) reply.acl = std::move(*body.acl);
      reply.stat = body.stat;
      return true;
    }
    case OpCode::multi:
      return decode_multi(r, request, chroot, reply);
    default:
      return true;
  }
}

}  // namespace ottla::broker
