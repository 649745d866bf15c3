// Reads a tree level by level, all of a level's requests in flight at once.
#include "test/differential/tree_dump.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "fmt/core.h"
#include "proto/zookeeper/records.h"
#include "test/differential/link.h"
#include "test/differential/side.h"

namespace ottla::differential {

namespace {

using jute::OpCode;
constexpr size_t kInFlight = 300;  // requests; below any server's limit of outstanding ones

template <class Record>
std::string encoded(const Record& record) {
  wire::Writer out;
  record.encode(out);
  return to_string(out.bytes());
}

bool next_frame(Link& link, std::string& frame) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (link.frames.empty()) {
    if (link.ended() || std::chrono::steady_clock::now() > deadline) return false;
    pump({&link}, 100);
  }
  frame = std::move(link.frames.front());
  link.frames.pop_front();
  return true;
}

std::string request(OpCode type, const std::string& body) {
  jute::RequestHeader header;
  header.xid = 1;
  header.type = type;
  return encoded(header) + body;
}

bool sign_on(Link& link, int port) {
  jute::ConnectRequest ask;
  ask.time_out = 30'000;
  ask.passwd = std::string(16, '\0');
  jute::AuthPacket super;
  super.scheme = "digest";
  super.auth = "super:test";
  std::string frame;
  if (!link.open(port)) return false;
  link.send_frame(encoded(ask));
  if (!next_frame(link, frame)) return false;
  link.send_frame(request(OpCode::auth, encoded(super)));
  return next_frame(link, frame) && frame.size() == 16 && frame.substr(12) == std::string(4, '\0');
}

bool take_answer(OpCode type, const std::string& frame, TreeNode& node,
                 std::vector<std::string>& children) {
  wire::Reader in(as_bytes(frame));
  jute::ReplyHeader header;
  if (!header.decode(in) || static_cast<int>(header.err) != 0) return false;
  if (type == OpCode::get_children) {
    jute::GetChildrenResponse answer;
    if (!answer.decode(in)) return false;
    children = answer.children.value_or(std::vector<std::string>());
    return true;
  }
  if (type == OpCode::get_acl) {
    jute::GetACLResponse answer;
    if (!answer.decode(in)) return false;
    std::vector<std::string> each;
    for (const jute::ACL& acl : answer.acl.value_or(std::vector<jute::ACL>()))
      each.push_back(fmt::format(" {}:{}:{}", acl.perms, shown(acl.id.scheme), shown(acl.id.id)));
    std::ranges::sort(each);
    for (const std::string& one : each) node.acls += one;
    return true;
  }
  jute::GetDataResponse answer;
  if (!answer.decode(in)) return false;
  node.data = std::move(answer.data);
  node.stat = answer.stat;
  return true;
}

}  // namespace

bool read_tree(int port, std::map<std::string, TreeNode>& tree) {
  Link link;
  if (!sign_on(link, port)) return false;
  std::vector<std::string> level = {"/"};
  constexpr OpCode kAsked[] = {OpCode::get_data, OpCode::get_acl, OpCode::get_children};
  std::string frame;
  while (!level.empty()) {
    std::vector<std::string> below, children;
    for (size_t from = 0; from < level.size(); from += kInFlight / 3) {
      size_t to = std::min(level.size(), from + kInFlight / 3);
      for (size_t i = from; i < to; ++i) {
        jute::GetDataRequest ask;
        ask.path = level[i];
        std::string body = encoded(ask);
        for (OpCode type : kAsked)
          link.send_frame(
              request(type, type == OpCode::get_acl ? body.substr(0, body.size() - 1) : body));
      }
      for (size_t i = from; i < to; ++i) {
        for (OpCode type : kAsked)
          if (!next_frame(link, frame) || !take_answer(type, frame, tree[level[i]], children))
            return false;
        for (const std::string& child : children)
          below.push_back((level[i] == "/" ? "" : level[i]) + "/" + child);
      }
    }
    level = std::move(below);
  }
  link.send_frame(request(OpCode::close_session, ""));
  return next_frame(link, frame);
}

std::string dump_tree(int port, bool anonymous) {
  std::map<std::string, TreeNode> tree;
  if (!read_tree(port, tree)) return {};
  std::string out;
  for (auto& [path, node] : tree) {
    if (anonymous) {
      node.stat.ctime = node.stat.mtime = 0;
      node.stat.ephemeral_owner = node.stat.ephemeral_owner != 0 ? 1 : 0;
    }
    out += shown(path) + " " + shown(node.data) + " " + node.stat.describe() + node.acls + "\n";
  }
  return out;
}

}  // namespace ottla::differential
