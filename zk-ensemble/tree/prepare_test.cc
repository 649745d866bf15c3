// Which error wins, sequence names, multi and its rollback, requests that overtake their own
// effects.
#include "zk-ensemble/tree/prepare.h"

#include <catch2/catch.hpp>

#include "zk-ensemble/tree/test_requests.h"

namespace ottla::zk {

using namespace testing;

TEST_CASE("a request may build on one that is not applied") {
  TreeHarness h;
  CHECK(h.prepare(OpCode::create, create_body("/a")) == ZkError::ok);
  CHECK(h.prepare(OpCode::create, create_body("/a/b")) == ZkError::ok);
  CHECK(h.prepare(OpCode::create, create_body("/a")) == ZkError::node_exists);
  CHECK(h.prepare(OpCode::set_data, set_data_body("/a", "x", 0)) == ZkError::ok);
  CHECK(h.prepare(OpCode::set_data, set_data_body("/a", "y", 0)) == ZkError::bad_version);
  CHECK(h.prepare(OpCode::set_data, set_data_body("/a", "y", 1)) == ZkError::ok);
  CHECK(h.prepare(OpCode::remove, path_version_body("/a", -1)) == ZkError::not_empty);
  CHECK(h.prepare(OpCode::remove, path_version_body("/a/b", -1)) == ZkError::ok);
  CHECK(h.prepare(OpCode::remove, path_version_body("/a", 2)) == ZkError::ok);
  CHECK(h.prepare(OpCode::create, create_body("/a/c")) == ZkError::no_node);
  CHECK(h.prepare(OpCode::create, create_body("/a", "again")) == ZkError::ok);
  h.apply();
  CHECK(h.preparer.pending_changes() == 0);
  CHECK(as_text(h.tree.find("/a")->data()) == "again");
  CHECK(h.tree.digest_mismatches() == 0);
  CHECK(h.tree.last_zxid() == 11);  // refused ones took theirs
}

TEST_CASE("which error wins") {
  TreeHarness h;
  AclList nobody = {{kPermRead, {"digest", "x:y"}}};
  h.run(OpCode::create, create_body("/eph", "", 1));
  h.run(OpCode::create, create_body("/locked", "", 0, nobody));
  auto create = [&](const Buffer& body) { return h.prepare(OpCode::create, body); };
  CHECK(create(create_body("nosuch", "", 99)) == ZkError::bad_arguments);
  CHECK(create(create_body("/x", "", 5)) == ZkError::unimplemented);
  CHECK(create(create_body("noslash")) == ZkError::bad_arguments);
  CHECK(create(create_body("/x", "", 0, {})) == ZkError::invalid_acl);
  CHECK(create(create_body("/no/x", "", 0, {})) == ZkError::invalid_acl);
  CHECK(create(create_body("/no/..")) == ZkError::no_node);
  CHECK(create(create_body("/locked/..")) == ZkError::no_auth);
  CHECK(create(create_body("/eph/..")) == ZkError::bad_arguments);
  CHECK(create(create_body("/eph/x")) == ZkError::no_children_for_ephemerals);
  CHECK(create(create_body("/")) == ZkError::node_exists);
  CHECK(create(create_body("/", "", 2)) == ZkError::ok);  // "/0000000003"
  CHECK(h.prepare(OpCode::remove, path_version_body("/zookeeper", -1)) == ZkError::bad_arguments);
  CHECK(h.prepare(OpCode::remove, path_version_body("//x", -1)) == ZkError::no_node);
  CHECK(h.prepare(OpCode::remove, path_version_body("/eph", 3)) == ZkError::bad_version);
  CHECK(h.prepare(OpCode::set_data, set_data_body("/locked", "", 9)) == ZkError::no_auth);
  CHECK(h.prepare(OpCode::set_acl, set_acl_body("/nosuch", {})) == ZkError::invalid_acl);
  AuthInfo super = {{"super", ""}};
  CHECK(h.prepare(OpCode::set_data, set_data_body("/locked", "", 9), 1, &super) ==
        ZkError::bad_version);
  Buffer cut = create_body("/y");
  cut.resize_uninitialized(cut.size() - 1);
  int64_t before = h.preparer.last_zxid();
  CHECK(create(cut) == ZkError::marshalling_error);
  CHECK(h.preparer.last_zxid() == before);  // never proposed
}

TEST_CASE("a negative count of ACLs is an empty list") {
  TreeHarness h;
  wire::Writer body;
  put_string(body, "/a");
  put_string(body, "");
  body.i32(-100663295);
  body.i32(0);
  CHECK(h.prepare(OpCode::create, body.take()) == ZkError::invalid_acl);
  CHECK(h.preparer.last_zxid() == 1);
}

TEST_CASE("what a few bytes stand for is no longer than a request may be") {
  CoreOptions options;
  TreeHarness h(options);
  AuthInfo ids;
  for (int i = 0; i < 900; ++i) ids.push_back({"digest", std::string(1000, 'n') + std::to_string(i) + ":x"});
  const AclList auth = {{kPermAll, {"auth", ""}}};
  CHECK(h.run(OpCode::create, create_body("/one", "", 0, auth), 1, &ids) == ZkError::ok);
  MultiBody two;
  two.add(OpCode::create, create_body("/a", "", 0, auth)).add(OpCode::create, create_body("/b", "", 0, auth));
  (void)h.prepare(OpCode::multi, two.take(), 1, &ids);
  wire::Writer record;
  h.held.back().encode(record);
  CHECK(record.size() < options.request_max_bytes);
  h.apply();
  CHECK(h.tree.find("/a") == nullptr);
}

TEST_CASE("a container's removal with a null path is never proposed") {
  TreeHarness h;
  wire::Writer null_path;
  null_path.i32(-1);
  CHECK(h.prepare(OpCode::delete_container, null_path.take()) == ZkError::marshalling_error);
  CHECK(h.preparer.last_zxid() == 0);
}

TEST_CASE("a multi's create with a null ACL list is never proposed") {
  TreeHarness h;
  wire::Writer null_acls;
  put_string(null_acls, "/a");
  put_string(null_acls, "");
  null_acls.i32(-1);
  null_acls.i32(0);
  Buffer body = null_acls.take();
  int64_t before = h.preparer.last_zxid();
  CHECK(h.prepare(OpCode::multi, MultiBody().add(OpCode::create, body).take()) ==
        ZkError::marshalling_error);
  CHECK(h.preparer.last_zxid() == before);
  CHECK(h.prepare(OpCode::create, body) == ZkError::invalid_acl);
  // Reads before it decode; that they do not belong there is found later.
  wire::Writer read;
  put_string(read, "/a");
  read.boolean(false);
  Buffer get = read.take();
  Buffer mixed = MultiBody().add(OpCode::get_data, get).add(OpCode::create, body).take();
  CHECK(h.prepare(OpCode::multi, mixed) == ZkError::marshalling_error);
  CHECK(h.preparer.last_zxid() == before + 1);  // by the plain create above
  // What does not decode before it is an error transaction.
  Buffer bad = MultiBody().add(OpCode::sync, body).add(OpCode::create, body).take();
  CHECK(h.prepare(OpCode::multi, bad) == ZkError::marshalling_error);
  CHECK(h.preparer.last_zxid() == before + 2);
}

TEST_CASE("sequence names count creates") {
  TreeHarness h;
  h.run(OpCode::create, create_body("/q"));
  auto name = [&](int32_t flags) {
    h.prepare(OpCode::create, create_body("/q/n-", "", flags));
    return std::get<CreateTxn>(h.held.back().body).path;
  };
  CHECK(name(2) == "/q/n-0000000000");
  CHECK(name(3) == "/q/n-0000000001");
  h.prepare(OpCode::create, create_body("/q/plain"));
  CHECK(name(2) == "/q/n-0000000003");
  h.prepare(OpCode::remove, path_version_body("/q/plain", -1));
  h.prepare(OpCode::create, create_body("/q/plain/no"));
  CHECK(name(2) == "/q/n-0000000004");
  h.apply();
  CHECK(name(2) == "/q/n-0000000005");
}

TEST_CASE("a multi is all or nothing") {
  TreeHarness h;
  h.run(OpCode::create, create_body("/a"));
  SECTION("later operations see earlier ones") {
    Buffer body = MultiBody()
                      .add(OpCode::create, create_body("/a/b", "", 2))
                      .add(OpCode::create, create_body("/a/b", "", 2))
                      .add(OpCode::set_data, set_data_body("/a/b0000000001", "x", 0))
                      .add(OpCode::check, path_version_body("/a/b0000000001", 1))
                      .add(OpCode::remove, path_version_body("/a/b0000000000", 0))
                      .take();
    CHECK(h.prepare(OpCode::multi, body) == ZkError::ok);
    Txn& txn = h.held.back();
    ApplyResult result;
    h.tree.replay(txn, result);
    CHECK(result.error == ZkError::ok);
    REQUIRE(result.multi.size() == 5);
    CHECK(result.multi[1].path == "/a/b0000000001");
    CHECK(result.multi[2].stat.version == 1);
    CHECK(h.stat("/a").num_children == 1);
    CHECK(h.tree.digest_mismatches() == 0);
  }
  SECTION("a failure takes everything back") {
    h.prepare(OpCode::create, create_body("/a/s", "", 2));
    Buffer body = MultiBody()
                      .add(OpCode::create, create_body("/a/s", "", 2))
                      .add(OpCode::set_data, set_data_body("/a", "x"))
                      .add(OpCode::remove, path_version_body("/no", -1))
                      .add(OpCode::remove, path_version_body("/a", -1))
                      .take();
    CHECK(h.prepare(OpCode::multi, body) == ZkError::ok);
    const auto& multi = std::get<MultiTxn>(h.held.back().body);
    CHECK(h.held.back().header.type == OpCode::multi);
    CHECK(multi.txns[0].type == OpCode::create);
    CHECK(std::get<CreateTxn>(multi.txns[0].body).path == "/a/s0000000001");
    CHECK(std::get<ErrorTxn>(multi.txns[2].body).error == ZkError::no_node);
    CHECK(std::get<ErrorTxn>(multi.txns[3].body).error == ZkError::runtime_inconsistency);
    CHECK(h.held[h.held.size() - 2].digest == h.held.back().digest);
    h.prepare(OpCode::create, create_body("/a/s", "", 2));
    CHECK(std::get<CreateTxn>(h.held.back().body).path == "/a/s0000000001");
    CHECK(h.apply() == ZkError::ok);
    CHECK(h.stat("/a").num_children == 2);
    CHECK(h.stat("/a").version == 0);
    CHECK(h.tree.digest_mismatches() == 0);
  }
  SECTION("what does not decode is one error") {
    Buffer body = MultiBody().add(OpCode::set_acl, set_acl_body("/a", *open_acl())).take();
    CHECK(h.prepare(OpCode::multi, body) == ZkError::marshalling_error);
    CHECK(h.prepare(OpCode::multi, MultiBody().take()) == ZkError::ok);
    CHECK(h.prepare(OpCode::multi,
                    MultiBody().add(OpCode::create, create_body("/z", "", 9)).take()) ==
          ZkError::marshalling_error);
  }
}

TEST_CASE("versions wrap as Java's do") {
  TreeHarness h;
  h.run(OpCode::create, create_body("/v"));
  StatPersisted stat = h.tree.find("/v")->persisted();
  stat.version = INT32_MAX;
  REQUIRE(h.tree.load_node("/v", Bytes(), -1, stat));
  CHECK(h.run(OpCode::set_data, set_data_body("/v", "", INT32_MAX)) == ZkError::ok);
  CHECK(h.stat("/v").version == INT32_MIN);
}

TEST_CASE("what a session will own when it ends, applied or not") {
  TreeHarness h;
  h.run(OpCode::create, create_body("/kept", "", 1));
  h.run(OpCode::create, create_body("/deleted", "", 1));
  h.run(OpCode::create, create_body("/again", "", 1));
  h.prepare(OpCode::remove, path_version_body("/deleted", -1));
  h.prepare(OpCode::remove, path_version_body("/again", -1));
  h.prepare(OpCode::create, create_body("/again", "", 1));
  h.prepare(OpCode::create, create_body("/new", "", 1));
  h.prepare(OpCode::create, create_body("/other", "", 1), 2);
  h.prepare(OpCode::create, create_body("/brief", "", 1));
  h.prepare(OpCode::remove, path_version_body("/brief", -1));
  h.prepare(OpCode::set_data, set_data_body("/new", "x", 0));
  Txn close = h.preparer.prepare_close_session(1, 9, 1000);
  CHECK(std::get<CloseSessionTxn>(close.body).paths ==
        std::vector<std::string>{"/kept", "/again", "/new"});
  h.held.push_back(std::move(close));
  h.apply();
  CHECK(h.tree.digest_mismatches() == 0);
  CHECK(h.tree.ephemerals_of(1).empty());
  CHECK(h.tree.ephemerals_of(2).size() == 1);
}

TEST_CASE("many sessions that end at once") {
  TreeHarness h;
  constexpr int64_t kSessions = 20'000;
  for (int64_t session = 1; session <= kSessions; ++session)
    h.prepare(OpCode::create, create_body("/e" + std::to_string(session), "", 1), session);
  // A look at all that is pending for each of them would take minutes.
  for (int64_t session = 1; session <= kSessions; ++session)
    h.held.push_back(h.preparer.prepare_close_session(session, 1, 1000));
  h.apply();
  CHECK(h.preparer.pending_changes() == 0);
  CHECK(h.tree.ephemeral_count() == 0);
  CHECK(h.tree.digest_mismatches() == 0);
}

}  // namespace ottla::zk
