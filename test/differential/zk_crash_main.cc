// zk_crash: writes that can be checked after a kill. Each client works alone in its own subtree, by
// a stream of operations that its seed alone decides, many in flight. What was acknowledged is
// written to a file when the connection breaks; `verify` finds, for each client, a prefix of its
// stream that explains the tree and holds all that was acknowledged.
//
//   zk_crash load PORT SEED CLIENTS FILE      until the server is gone
//   zk_crash verify PORT FILE...
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/wire/writer.h"
#include "fmt/core.h"
#include "proto/zookeeper/records.h"
#include "test/differential/link.h"
#include "test/differential/tree_dump.h"

using namespace ottla;
using namespace ottla::differential;

namespace {

using jute::OpCode;
constexpr size_t kInFlight = 64;

template <class Record>
std::string encoded(const Record& record) {
  wire::Writer out;
  record.encode(out);
  return to_string(out.bytes());
}

// A client's subtree and what it does next; the same for whoever has the seed.
class Story {
 public:
  struct Node {
    std::string data;
    int32_t version = 0, aversion = 0;
    bool ephemeral = false;
    bool operator==(const Node&) const = default;
  };

  Story(uint64_t seed, int client)
      : prng_(seed * 1000 + static_cast<uint64_t>(client)),
        root_(fmt::format("/s{}c{}", seed, client)) {}

  const std::string& root() const { return root_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  // The next request; the subtree is as if it had succeeded.
  std::string next() {
    ++told_;
    if (told_ == 1) return create(root_, "", 0);
    std::string path = fmt::format("{}/n{}", root_, prng_.below(30));
    switch (prng_.below(10)) {
      case 0: {
        std::string name = fmt::format("{}/s-{:010d}", root_, creates_);
        ++creates_;
        std::string data = text();
        nodes_[name] = {data, 0, 0, false};
        return header(OpCode::create) + create_body(root_ + "/s-", data, 2);
      }
      case 1: {
        std::string other = fmt::format("{}/n{}", root_, 30 + prng_.below(10));
        return header(OpCode::multi) + multi(path, other);
      }
      case 2:
        if (nodes_.contains(path)) {
          ++nodes_[path].aversion;
          jute::SetACLRequest ask;
          ask.path = path;
          ask.acl = acl();
          ask.version = -1;
          return header(OpCode::set_acl) + encoded(ask);
        }
        [[fallthrough]];
      default:
        return header(kind(path)) + change(path);
    }
  }

 private:
  std::string text() {
    return std::string(prng_.below(20) == 0 ? prng_.below(20'000) : prng_.below(100),
                       static_cast<char>('a' + prng_.below(26)));
  }
  std::string header(OpCode type) {
    jute::RequestHeader one;
    one.xid = static_cast<int32_t>(told_);
    one.type = type;
    return encoded(one);
  }
  std::vector<jute::ACL> acl() {
    jute::ACL one;
    one.perms = 31;
    bool mine = prng_.below(3) == 0;
    one.id.scheme = mine ? "ip" : "world";
    one.id.id = mine ? "127.0.0.1" : "anyone";
    return {one};
  }
  std::string create_body(const std::string& path, const std::string& data, int32_t flags) {
    jute::CreateRequest ask;
    ask.path = path;
    ask.data = data;
    ask.acl = acl();
    ask.flags = flags;
    return encoded(ask);
  }
  std::string create(const std::string& path, const std::string& data, int32_t flags) {
    nodes_[path] = {data, 0, 0, flags == 1};
    return header(OpCode::create) + create_body(path, data, flags);
  }
  // A missing node is made, one that is there is changed or removed: change() has kind()'s body.
  OpCode kind(const std::string& path) {
    if (!nodes_.contains(path)) return kind_ = OpCode::create;
    return kind_ = prng_.below(4) == 0 ? OpCode::remove : OpCode::set_data;
  }
  std::string change(const std::string& path) {
    if (kind_ == OpCode::create) {
      ++creates_;
      bool ephemeral = prng_.below(5) == 0;
      std::string data = text();
      nodes_[path] = {data, 0, 0, ephemeral};
      return create_body(path, data, ephemeral ? 1 : 0);
    }
    if (kind_ == OpCode::remove) {
      nodes_.erase(path);
      jute::DeleteRequest ask;
      ask.path = path;
      ask.version = -1;
      return encoded(ask);
    }
    Node& node = nodes_[path];
    jute::SetDataRequest ask;
    ask.path = path;
    ask.data = node.data = text();
    ask.version = node.version++;
    return encoded(ask);
  }
  std::string multi(const std::string& a, const std::string& b) {
    std::string body;
    jute::MultiHeader one;
    one.err = static_cast<jute::ZkError>(-1);
    for (const std::string* path : {&a, &b}) {
      one.type = kind(*path);
      body += encoded(one) + change(*path);
    }
    one.type = OpCode::error;
    one.done = true;
    return body + encoded(one);
  }

  Prng prng_;
  std::string root_;
  std::map<std::string, Node> nodes_;
  int64_t told_ = 0;
  int32_t creates_ = 0;  // below the root
  OpCode kind_ = OpCode::error;
};

struct Client {
  Client(uint64_t seed, int number) : story(seed, number) {}
  Story story;
  Link link;
  int64_t sent = 0, acknowledged = 0;
  bool connected = false;
};

int load(int port, uint64_t seed, int count, const std::string& file) {
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Link*> links;
  for (int i = 0; i < count; ++i) {
    Client& client = *clients.emplace_back(std::make_unique<Client>(seed, i));
    if (!client.link.open(port)) return 1;
    jute::ConnectRequest ask;
    ask.time_out = 1'000'000;
    ask.passwd = std::string(16, '\0');
    client.link.send_frame(encoded(ask));
    links.push_back(&client.link);
  }
  for (bool any = true; any;) {
    any = false;
    pump(links, 100);
    for (auto& client : clients) {
      for (; !client->link.frames.empty(); client->link.frames.pop_front()) {
        wire::Reader in(as_bytes(client->link.frames.front()));
        jute::ReplyHeader header;
        if (!client->connected) {
          client->connected = true;
          continue;
        }
        if (!header.decode(in) || static_cast<int>(header.err) != 0 ||
            header.xid != client->acknowledged + 1) {
          fmt::print("client of {}: answer {} has xid {} and error {}\n", client->story.root(),
                     client->acknowledged + 1, header.xid, static_cast<int>(header.err));
          return 1;
        }
        ++client->acknowledged;
      }
      if (client->link.ended()) continue;
      any = true;
      while (client->connected &&
             client->sent - client->acknowledged < static_cast<int64_t>(kInFlight)) {
        client->link.send_frame(client->story.next());
        ++client->sent;
      }
    }
  }
  std::ofstream out(file);
  int64_t acknowledged = 0;
  for (int i = 0; i < count; ++i) {
    out << seed << " " << i << " " << clients[static_cast<size_t>(i)]->acknowledged << " "
        << clients[static_cast<size_t>(i)]->sent << "\n";
    acknowledged += clients[static_cast<size_t>(i)]->acknowledged;
  }
  fmt::print("{}\n", acknowledged);
  return 0;
}

using Tree = std::map<std::string, TreeNode>;

bool explains(const Story& story, const Tree& tree) {
  size_t seen = 0;
  for (auto it = tree.lower_bound(story.root());
       it != tree.end() && it->first.starts_with(story.root()); ++it) {
    if (it->first != story.root() && it->first[story.root().size()] != '/') continue;
    ++seen;
    auto node = story.nodes().find(it->first);
    if (node == story.nodes().end()) return false;
    const jute::Stat& stat = it->second.stat;
    if (node->second != Story::Node{it->second.data.value_or(""), stat.version, stat.aversion,
                                    stat.ephemeral_owner != 0})
      return false;
  }
  return seen == story.nodes().size();
}

int verify(int port, const std::vector<std::string>& files) {
  Tree tree;
  if (!read_tree(port, tree)) {
    fmt::print("the server on port {} cannot be read\n", port);
    return 1;
  }
  for (const std::string& file : files) {
    std::ifstream in(file);
    uint64_t seed = 0;
    int client = 0;
    int64_t acknowledged = 0, sent = 0;
    while (in >> seed >> client >> acknowledged >> sent) {
      Story story(seed, client);
      int64_t told = 0;
      for (; told < acknowledged; ++told) (void)story.next();
      bool found = explains(story, tree);
      for (; !found && told < sent; ++told) {
        (void)story.next();
        found = explains(story, tree);
      }
      if (found) continue;
      fmt::print("{}: no prefix of {} to {} operations explains what is there\n", story.root(),
                 acknowledged, sent);
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string mode = argc > 3 ? argv[1] : "";
  if (mode == "load" && argc == 6)
    return load(std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10), std::atoi(argv[4]),
                argv[5]);
  if (mode == "verify") return verify(std::atoi(argv[2]), {argv + 3, argv + argc});
  fmt::print(stderr,
             "usage: zk_crash load PORT SEED CLIENTS FILE | zk_crash verify PORT FILE...\n");
  return 2;
}
