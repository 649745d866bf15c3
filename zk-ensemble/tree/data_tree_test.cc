// Stat rules, replay over a state that is already ahead, sessions, containers, quotas, snapshots.
#include "zk-ensemble/tree/data_tree.h"

#include <catch2/catch.hpp>

#include "zk-ensemble/tree/test_requests.h"

namespace ottla::zk {

using namespace testing;

TEST_CASE("stat of a node and of its parent") {
  TreeHarness h;
  CHECK(h.stat("/").cversion == -1);
  CHECK(h.stat("/zookeeper").cversion == -2);
  CHECK(h.stat("/zookeeper/config").aversion == -1);
  REQUIRE(h.run(OpCode::create, create_body("/p", "abc")) == ZkError::ok);  // zxid 1, time 1000
  Stat p = h.stat("/p");
  CHECK((p.czxid == 1 && p.mzxid == 1 && p.pzxid == 1 && p.ctime == 1000 && p.mtime == 1000));
  CHECK((p.version == 0 && p.cversion == 0 && p.aversion == 0 && p.data_length == 3));
  h.run(OpCode::create, create_body("/p/c"));  // 2
  p = h.stat("/p");
  CHECK((p.cversion == 1 && p.num_children == 1 && p.pzxid == 2 && p.mzxid == 1));
  h.run(OpCode::create, create_body("/p/c/d"));  // 3: grandchildren do not count
  CHECK(h.stat("/p").pzxid == 2);
  h.run(OpCode::set_data, set_data_body("/p/c", "x"));  // 4
  CHECK((h.stat("/p").pzxid == 2 && h.stat("/p/c").mzxid == 4 && h.stat("/p/c").version == 1));
  h.run(OpCode::set_acl, set_acl_body("/p", *read_acl()));  // 5
  p = h.stat("/p");
  CHECK((p.aversion == 1 && p.mzxid == 1 && p.version == 0));
  h.run(OpCode::remove, path_version_body("/p/c/d", -1));  // 6
  CHECK(h.stat("/p/c").cversion == 2);
  CHECK(h.stat("/p/c").pzxid == 6);
  CHECK(h.tree.node_count() == 7);
  CHECK(h.tree.find("/p//c") == nullptr);
  CHECK(h.tree.find("/p/c/") == nullptr);
  CHECK(h.tree.find("p/c") == nullptr);
  CHECK(h.tree.find("") == h.tree.find("/"));
  CHECK(h.tree.digest_mismatches() == 0);
  h.tree.check_invariants();
}

TEST_CASE("null data is not empty data") {
  TreeHarness h;
  wire::Writer body;
  put_create(body, "/n", std::nullopt, *open_acl(), 0);
  h.run(OpCode::create, body.take());
  h.run(OpCode::create, create_body("/e"));
  CHECK(h.tree.find("/n")->data_is_null());
  CHECK_FALSE(h.tree.find("/e")->data_is_null());
  h.tree.check_invariants();
}

TEST_CASE("replaying what is already there") {
  CoreOptions options;
  DataTree tree(options);
  auto create = [&](const char* path, int64_t zxid, int32_t parent_cversion, AclRef acls,
                    OpCode type) {
    Txn txn;
    txn.header = {1, 0, zxid, 10 * zxid, type};
    txn.body = CreateTxn{path, std::string("d"), std::move(acls), false, parent_cversion, 0};
    ApplyResult result;
    tree.replay(txn, result);
    return result.error;
  };
  auto remove = [&](const char* path, int64_t zxid) {
    Txn txn;
    txn.header = {1, 0, zxid, 10 * zxid, OpCode::remove};
    txn.body = DeleteTxn{path};
    ApplyResult result;
    tree.replay(txn, result);
    return result.error;
  };
  create("/p", 1, 1, open_acl(), OpCode::create);
  create("/p/a", 2, 1, open_acl(), OpCode::create);
  // Again: only the ACL is taken over, the parent's counters do not fall.
  CHECK(create("/p/a", 2, 1, read_acl(), OpCode::create) == ZkError::node_exists);
  CHECK(*tree.acls_of(*tree.find("/p/a")) == *read_acl());
  CHECK(tree.find("/p")->persisted().cversion == 1);
  // Later create of a node that is there: type 1 raises the parent, type 15 does not.
  create("/p/a", 5, 4, open_acl(), OpCode::create2);
  CHECK(tree.find("/p")->persisted().cversion == 1);
  create("/p/a", 5, 4, open_acl(), OpCode::create);
  CHECK(tree.find("/p")->persisted().cversion == 4);
  CHECK(tree.find("/p")->persisted().pzxid == 5);
  // Delete of a missing node still moves the parent's pzxid, and never back.
  CHECK(remove("/p/x", 9) == ZkError::no_node);
  CHECK(tree.find("/p")->persisted().pzxid == 9);
  CHECK(remove("/p/x", 7) == ZkError::no_node);
  CHECK(tree.find("/p")->persisted().pzxid == 9);
  // A create whose counter is not larger leaves both alone.
  create("/p/b", 11, 3, open_acl(), OpCode::create);
  CHECK(tree.find("/p")->persisted().pzxid == 9);
  create("/p/c", 12, -1, open_acl(), OpCode::create);  // a log of old: count up
  CHECK(tree.find("/p")->persisted().cversion == 5);
  // A delete that the snapshot ran ahead of takes the children along.
  CHECK(remove("/p", 13) == ZkError::ok);
  CHECK(tree.node_count() == 5);
  CHECK(create("/q/x", 14, 1, open_acl(), OpCode::create) == ZkError::no_node);
  tree.check_invariants();
}

TEST_CASE("a path of two slashes is no child of the root") {
  CoreOptions options;
  DataTree tree(options);
  Txn txn;
  txn.header = {1, 0, 1, 10, OpCode::create};
  txn.body = CreateTxn{"//x", std::string("d"), open_acl(), false, 1, 0};
  ApplyResult result;
  tree.replay(txn, result);
  CHECK(result.error == ZkError::no_node);
  CHECK_FALSE(tree.load_node("//x", Bytes{}, -1, {}));
  tree.check_invariants();
}

TEST_CASE("closing a session") {
  TreeHarness h;
  h.held.push_back(h.preparer.prepare_create_session(42, 0, 6000, 1));
  h.apply();
  CHECK(h.tree.sessions().at(42) == 6000);
  h.run(OpCode::create, create_body("/e1", "", 1), 42);
  h.run(OpCode::create, create_body("/e2", "", 1), 42);
  h.run(OpCode::create, create_body("/mine", "", 1), 43);
  CHECK(h.tree.ephemeral_count() == 3);
  CHECK(h.stat("/e1").ephemeral_owner == 42);
  // In flight: a delete and a create of the same session.
  CHECK(h.prepare(OpCode::remove, path_version_body("/e1", -1), 42) == ZkError::ok);
  CHECK(h.prepare(OpCode::create, create_body("/e3", "", 1), 42) == ZkError::ok);
  h.held.push_back(h.preparer.prepare_close_session(42, 5, 1));
  CHECK(std::get<CloseSessionTxn>(h.held.back().body).paths ==
        std::vector<std::string>{"/e2", "/e3"});
  CHECK(h.prepare(OpCode::create, create_body("/e2", "", 0), 43) == ZkError::ok);
  h.apply();
  CHECK(h.tree.ephemerals_of(42).empty());
  CHECK(h.stat("/e2").ephemeral_owner == 0);
  CHECK(h.tree.sessions().empty());
  CHECK(h.tree.digest_mismatches() == 0);
  // Session 43 has no session record: after a recovery its nodes go.
  CHECK(h.tree.drop_orphans() == std::vector<std::string>{"/mine"});
  h.tree.check_invariants();
}

TEST_CASE("containers and TTL nodes") {
  CoreOptions options;
  options.extended_types = true;
  TreeHarness h(options);
  h.run(OpCode::create_container, create_body("/c", "", 4));
  wire::Writer ttl;
  put_create(ttl, "/t", std::string(), *open_acl(), 5);
  ttl.i64(500);
  h.wall_ms = 10000;
  REQUIRE(h.run(OpCode::create_ttl, ttl.take()) == ZkError::ok);
  CHECK(h.stat("/c").ephemeral_owner == 0);
  CHECK(h.stat("/t").ephemeral_owner == 0);
  CHECK(h.tree.find("/t")->persisted().ephemeral_owner == (kTtlOwnerMask | 500));
  CHECK(h.tree.expired_containers(10500).empty());
  CHECK(h.tree.expired_containers(10501) == std::vector<std::string>{"/t"});
  h.run(OpCode::create, create_body("/c/x"));
  CHECK(h.tree.expired_containers(10000).empty());
  h.run(OpCode::remove, path_version_body("/c/x", -1));
  CHECK(h.tree.expired_containers(10000) == std::vector<std::string>{"/c"});
  // Used again since it was found due, or replaced; the write may still be on its way.
  h.wall_ms = 10501;
  h.prepare(OpCode::set_data, set_data_body("/t", "x"));
  CHECK_FALSE(h.preparer.prepare_delete_container("/t", 10502));
  h.apply();
  CHECK_FALSE(h.preparer.prepare_delete_container("/t", 11001));
  h.prepare(OpCode::create, create_body("/c/x"));
  CHECK_FALSE(h.preparer.prepare_delete_container("/c", 11001));
  h.prepare(OpCode::remove, path_version_body("/c/x", -1));
  h.held.push_back(*h.preparer.prepare_delete_container("/c", 11001));
  CHECK_FALSE(h.preparer.prepare_delete_container("/c", 11001));
  h.prepare(OpCode::create, create_body("/c"));
  CHECK_FALSE(h.preparer.prepare_delete_container("/c", 11001));
  h.apply();
  CHECK(h.stat("/c").czxid == h.tree.last_zxid());
  h.held.push_back(*h.preparer.prepare_delete_container("/t", 11002));
  CHECK(h.apply() == ZkError::ok);
  CHECK(h.tree.find("/t") == nullptr);
  h.tree.check_invariants();
}

TEST_CASE("quota statistics") {
  CoreOptions options;
  options.enforce_quota = true;
  TreeHarness h(options);
  h.run(OpCode::create, create_body("/q", "12345"));
  h.run(OpCode::create, create_body("/zookeeper/quota/q"));
  h.run(OpCode::create, create_body("/zookeeper/quota/q/zookeeper_limits",
                                    "count=-1,bytes=-1=;byteHardLimit=9;countHardLimit=3"));
  h.run(OpCode::create, create_body("/zookeeper/quota/q/zookeeper_stats", "count=0,bytes=0"));
  auto stats = [&] {
    return std::string(as_text(h.tree.find("/zookeeper/quota/q/zookeeper_stats")->data()));
  };
  CHECK(stats() == "count=1,bytes=5");
  CHECK(h.run(OpCode::create, create_body("/q/a", "1")) == ZkError::ok);
  CHECK(stats() == "count=2,bytes=6");
  CHECK(h.run(OpCode::set_data, set_data_body("/q/a", "1234")) == ZkError::ok);
  CHECK(stats() == "count=2,bytes=9");
  CHECK(h.run(OpCode::set_data, set_data_body("/q/a", "12345")) == ZkError::quota_exceeded);
  CHECK(h.run(OpCode::create, create_body("/q/b")) == ZkError::ok);
  CHECK(h.run(OpCode::create, create_body("/q/c")) == ZkError::quota_exceeded);
  h.run(OpCode::remove, path_version_body("/q/b", -1));
  CHECK(stats() == "count=2,bytes=9");
  // A client may have written any numbers; sums wrap around.
  h.run(OpCode::set_data, set_data_body("/zookeeper/quota/q/zookeeper_stats",
                                        "count=9223372036854775807,bytes=9223372036854775806"));
  CHECK(h.run(OpCode::create, create_body("/q/b", "12")) == ZkError::ok);
  CHECK(stats() == "count=-9223372036854775808,bytes=-9223372036854775808");
  CHECK(h.tree.digest_mismatches() == 0);
  h.tree.check_invariants();
}

namespace {

// Fills `into` with a snapshot's bytes; gives the paths in their order.
std::vector<std::string> load(Bytes snapshot, int64_t zxid, DataTree& into) {
  wire::Reader in(snapshot);
  into.load_begin();
  CHECK(in.i32() == 0);  // sessions
  for (int32_t lists = in.i32(); lists > 0; --lists) {
    int64_t ref = in.i64();
    AclList acls;
    REQUIRE(decode_acls(in, acls));
    into.load_acl(ref, std::move(acls));
  }
  std::vector<std::string> order;
  while (!in.at_end()) {
    std::string path = get_string(in);
    std::optional<std::string_view> data = get_view(in);
    int64_t ref = in.i64();
    StatPersisted stat;
    REQUIRE(stat.decode(in));
    std::optional<Bytes> bytes;
    if (data) bytes = as_bytes(*data);
    REQUIRE(into.load_node(path, bytes, ref, stat));
    order.push_back(path);
  }
  into.load_end(zxid, std::nullopt);
  return order;
}

}  // namespace

TEST_CASE("a snapshot and what is loaded from it") {
  TreeHarness h;
  h.run(OpCode::create, create_body("/a", "data"));
  h.run(OpCode::create, create_body("/a/b", "", 1, *read_acl()), 9);
  wire::Writer out;
  SnapshotCursor cursor(h.tree);
  cursor.write_header(out);
  while (cursor.write_nodes(out, 1)) {
  }
  DataTree loaded(h.options);
  CHECK(load(out.bytes(), 2, loaded).front() == "");
  CHECK(loaded.digest() == h.tree.digest());
  CHECK(loaded.ephemerals_of(9) == std::vector<std::string>{"/a/b"});
  CHECK(loaded.approximate_data_size() == h.tree.approximate_data_size());
  loaded.check_invariants();
  CHECK_FALSE(loaded.load_node("/no/parent", std::nullopt, -1, {}));
  CHECK_FALSE(loaded.load_node("noslash", std::nullopt, -1, {}));
}

// Its ACL map is that of the beginning; the nodes behind it may name lists made since.
TEST_CASE("an ACL that is set while a snapshot is written is there after the log is replayed") {
  TreeHarness h;
  for (const char* path : {"/a", "/b", "/c"}) h.run(OpCode::create, create_body(path));
  AclList one{{kPermRead, {"ip", "10.0.0.1"}}}, two{{kPermRead, {"ip", "10.0.0.2"}}};
  wire::Writer out;
  SnapshotCursor cursor(h.tree);
  cursor.write_header(out);
  h.prepare(OpCode::set_acl, set_acl_body("/a", one));
  h.prepare(OpCode::set_acl, set_acl_body("/b", two));
  std::vector<Txn> log = h.held;
  h.apply();
  while (cursor.write_nodes(out, 1)) {
  }
  DataTree loaded(h.options);
  load(out.bytes(), 3, loaded);
  for (Txn& txn : log) loaded.replay(std::move(txn));
  loaded.check_invariants();
  CHECK(*loaded.acls_of(*loaded.find("/a")) == one);
  CHECK(*loaded.acls_of(*loaded.find("/b")) == two);
  CHECK(loaded.acl_count() == h.tree.acl_count());
}

}  // namespace ottla::zk
