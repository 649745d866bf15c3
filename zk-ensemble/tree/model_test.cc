// The tree against a map, over seeded random requests that arrive while earlier ones are still
// pending; and a snapshot taken meanwhile, loaded and brought forward by the log, against the tree
// itself.
#include <catch2/catch.hpp>
#include <map>
#include <optional>

#include "common/base/prng.h"
#include "fmt/core.h"
#include "zk-ensemble/tree/path.h"
#include "zk-ensemble/tree/test_requests.h"

namespace ottla::zk {

using namespace testing;

namespace {

struct ModelNode {
  std::string data;
  int32_t version = 0;
  int32_t creates = 0;
  int32_t children = 0;
  int64_t czxid = 0, mzxid = 0, pzxid = 0;
  int64_t owner = 0;
};

// The rules of the service, said as plainly as possible.
struct Model {
  std::map<std::string, ModelNode> nodes;
  Model() {
    nodes[""].children = 1;
    nodes["/zookeeper"].children = 2;
    nodes["/zookeeper/config"];
    nodes["/zookeeper/quota"];
  }

  ZkError create(std::string& path, const std::string& data, int32_t flags, int64_t session,
                 int64_t zxid) {
    auto parent = nodes.find(std::string(parent_path(path)));
    if (parent == nodes.end()) return ZkError::no_node;
    if (flags >= 2) path = fmt::format("{}{:010}", path, parent->second.creates);
    if (nodes.contains(path)) return ZkError::node_exists;
    if (parent->second.owner != 0) return ZkError::no_children_for_ephemerals;
    ++parent->second.creates;
    ++parent->second.children;
    parent->second.pzxid = zxid;
    ModelNode& node = nodes[path];
    node.data = data;
    node.czxid = node.mzxid = node.pzxid = zxid;
    if (flags % 2 == 1) node.owner = session;
    return ZkError::ok;
  }
  ZkError remove(const std::string& path, int32_t version, int64_t zxid) {
    auto parent = nodes.find(std::string(parent_path(path)));
    auto node = nodes.find(path);
    if (parent == nodes.end() || node == nodes.end()) return ZkError::no_node;
    if (version != -1 && version != node->second.version) return ZkError::bad_version;
    if (node->second.children > 0) return ZkError::not_empty;
    --parent->second.children;
    parent->second.pzxid = zxid;
    nodes.erase(node);
    return ZkError::ok;
  }
  ZkError set(const std::string& path, const std::string& data, int32_t version, int64_t zxid) {
    auto node = nodes.find(path);
    if (node == nodes.end()) return ZkError::no_node;
    if (version != -1 && version != node->second.version) return ZkError::bad_version;
    node->second.data = data;
    ++node->second.version;
    node->second.mzxid = zxid;
    return ZkError::ok;
  }
  void close(int64_t session, int64_t zxid) {
    std::vector<std::string> gone;
    for (const auto& [path, node] : nodes)
      if (session != 0 && node.owner == session) gone.push_back(path);
    for (const std::string& path : gone) (void)remove(path, -1, zxid);
  }
};

void compare(const Model& model, const DataTree& tree) {
  REQUIRE(tree.node_count() == static_cast<int64_t>(model.nodes.size()) + 1);
  for (const auto& [path, wanted] : model.nodes) {
    const Node* node = tree.find(path);
    REQUIRE(node != nullptr);
    REQUIRE(node->path() == path);
    Stat stat = tree.stat_of(*node);
    REQUIRE(as_text(node->data()) == wanted.data);
    REQUIRE(stat.version == wanted.version);
    REQUIRE(stat.num_children == wanted.children);
    REQUIRE(stat.cversion == 2 * wanted.creates - wanted.children);
    REQUIRE(
        (stat.czxid == wanted.czxid && stat.mzxid == wanted.mzxid && stat.pzxid == wanted.pzxid));
    REQUIRE(stat.ephemeral_owner == wanted.owner);
  }
}

struct Run {
  explicit Run(uint64_t seed) : prng(seed) {}
  Prng prng;
  TreeHarness h;
  Model model;
  std::vector<Buffer> log;  // encoded; log[i] has zxid i + 1
  std::optional<SnapshotCursor> cursor;
  wire::Writer snapshot;

  std::string some_path() {
    std::string path;
    for (uint64_t depth = 1 + prng.below(3); depth > 0; --depth)
      path += fmt::format("/n{}", prng.below(4));
    return path;
  }
  int32_t some_version(const std::string& path) {
    if (prng.chance(0.5)) return -1;
    auto it = model.nodes.find(path);
    return it == model.nodes.end() || prng.chance(0.2) ? 3 : it->second.version;
  }
  // Everybody may do everything, by lists that differ.
  AclList some_acls() {
    AclList acls = *open_acl();
    if (uint64_t host = prng.below(200); host >= 100)
      acls.push_back({kPermRead, {"ip", fmt::format("10.0.0.{}", host)}});
    return acls;
  }
  // One operation, into the model and, as a body, into `multi` or the preparer.
  ZkError step(int64_t session, int64_t zxid, MultiBody* multi, Model& on) {
    std::string path = some_path(), data(prng.below(40), 'd');
    OpCode type = OpCode::create;
    Buffer body;
    ZkError wanted = ZkError::ok;
    switch (prng.below(4)) {
      case 0:
      case 1: {
        auto flags = static_cast<int32_t>(prng.below(4));
        body = create_body(path, data, flags, some_acls());
        wanted = on.create(path, data, flags, session, zxid);
        break;
      }
      case 2: {
        type = OpCode::remove;
        int32_t version = some_version(path);
        body = path_version_body(path, version);
        wanted = on.remove(path, version, zxid);
        break;
      }
      default: {
        type = OpCode::set_data;
        int32_t version = some_version(path);
        body = set_data_body(path, data, version);
        wanted = on.set(path, data, version, zxid);
        break;
      }
    }
    if (multi != nullptr)
      multi->add(type, body);
    else
      REQUIRE(h.prepare(type, body, session) == wanted);
    return wanted;
  }
  void request() {
    int64_t session = 1 + static_cast<int64_t>(prng.below(3));
    int64_t zxid = h.preparer.last_zxid() + 1;
    if (prng.chance(0.02)) {
      h.held.push_back(h.preparer.prepare_close_session(session, 0, 1));
      model.close(session, zxid);
    } else if (prng.chance(0.1)) {
      Model copy = model;
      MultiBody multi;
      ZkError failed = ZkError::ok;
      for (uint64_t ops = prng.below(5); ops > 0; --ops) {
        ZkError error = step(session, zxid, &multi, copy);
        if (failed == ZkError::ok) failed = error;
      }
      REQUIRE(h.prepare(OpCode::multi, multi.take(), session) == ZkError::ok);
      if (failed == ZkError::ok) model = std::move(copy);
    } else if (prng.chance(0.1)) {
      std::string path = some_path();
      ZkError wanted = model.nodes.contains(path) ? ZkError::ok : ZkError::no_node;
      REQUIRE(h.prepare(OpCode::set_acl, set_acl_body(path, some_acls()), session) == wanted);
    } else {
      (void)step(session, zxid, nullptr, model);
    }
  }
  void apply() {
    for (const Txn& txn : h.held) {
      wire::Writer bytes;
      txn.encode(bytes);
      log.push_back(bytes.take());
    }
    h.apply();
    compare(model, h.tree);
    REQUIRE(h.tree.digest_mismatches() == 0);
  }
};

}  // namespace

TEST_CASE("random requests, held back and applied in bursts") {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    Run run(seed);
    for (int burst = 0; burst < 60; ++burst) {
      for (uint64_t i = run.prng.below(20); i > 0; --i) run.request();
      run.apply();
      if (burst == 20) run.cursor.emplace(run.h.tree);
      if (burst == 20) run.cursor->write_header(run.snapshot);
      if (burst >= 20 && !run.cursor->done()) run.cursor->write_nodes(run.snapshot, 100);
    }
    run.h.tree.check_invariants();

    // The fuzzy snapshot and the log from its start give the same tree.
    while (run.cursor->write_nodes(run.snapshot, 1000)) {
    }
    DataTree loaded(run.h.options);
    loaded.load_begin();
    wire::Reader in(run.snapshot.bytes());
    REQUIRE(in.i32() == 0);
    for (int32_t lists = in.i32(); lists > 0; --lists) {
      int64_t ref = in.i64();
      AclList acls;
      REQUIRE(decode_acls(in, acls));
      loaded.load_acl(ref, std::move(acls));
    }
    while (!in.at_end()) {
      std::string path = get_string(in);
      std::optional<std::string_view> data = get_view(in);
      int64_t ref = in.i64();
      StatPersisted stat;
      REQUIRE(stat.decode(in));
      REQUIRE(loaded.load_node(path, data ? std::optional<Bytes>(as_bytes(*data)) : std::nullopt,
                               ref, stat));
    }
    int64_t from = run.cursor->start_zxid();
    // Digests agree again where the snapshot was complete.
    loaded.load_end(
        from, DataTree::DigestAt{run.h.tree.last_zxid(), kDigestVersion, run.h.tree.digest()});
    for (size_t i = static_cast<size_t>(from); i < run.log.size(); ++i)
      loaded.replay(*Txn::decode(run.log[i].bytes()));
    loaded.check_invariants();
    compare(run.model, loaded);
    for (const auto& [path, node] : run.model.nodes)
      REQUIRE(*loaded.acls_of(*loaded.find(path)) == *run.h.tree.acls_of(*run.h.tree.find(path)));
    REQUIRE(loaded.digest() == run.h.tree.digest());
    REQUIRE(loaded.digest_mismatches() == 0);
    run.cursor.reset();
  }
}

}  // namespace ottla::zk
