// The log that a live Apache server wrote (the reference's appendix): decoded, encoded to the same
// bytes, and replayed with every digest agreeing.
#include "zk-ensemble/tree/txn.h"

#include <catch2/catch.hpp>

#include "zk-ensemble/tree/data_tree.h"

namespace ottla::zk {

namespace {

const char* const kLog[] = {
    "0100003de7f10000"
    "00000000"
    "0000000000000001"
    "000001a2008008e2"
    "fffffff6"
    "00002710"
    "00000002"
    "0000000051c6d660",
    "0100003de7f10000"
    "00000001"
    "0000000000000002"
    "000001a2008008ef"
    "00000001"
    "000000022f61"
    "000000026869"
    "00000001"
    "0000001f"
    "00000005776f726c64"
    "00000006616e796f6e65"
    "00"
    "00000001"
    "00000002"
    "000000014eec4cdb",
    "0100003de7f10000"
    "00000003"
    "0000000000000003"
    "000001a200800902"
    "00000005"
    "000000022f61"
    "00000002796f"
    "00000001"
    "00000002"
    "00000001409edb45",
    "0100003de7f10000"
    "00000004"
    "0000000000000004"
    "000001a20080090d"
    "0000000e"
    "00000003"
    "0000000d"
    "0000000a"
    "000000022f61"
    "00000002"
    "ffffffff"
    "00000004"
    "ffffff9b"
    "ffffffff"
    "00000004"
    "fffffffe"
    "00000002"
    "00000001409edb45",
    "0100003de7f10000"
    "00000005"
    "0000000000000005"
    "000001a200800913"
    "00000001"
    "000000022f65"
    "00000000"
    "00000001"
    "0000001f"
    "00000005776f726c64"
    "00000006616e796f6e65"
    "01"
    "00000002"
    "00000002"
    "00000002bafd133f",
    "0100003de7f10000"
    "00000006"
    "0000000000000006"
    "000001a200800917"
    "fffffff5"
    "00000001"
    "000000022f65"
    "00000002"
    "000000020e15a4d6",
};

}  // namespace

TEST_CASE("Apache's log of a session") {
  CoreOptions options;
  DataTree tree(options);
  CHECK(tree.digest() == 1371985504);
  CHECK(tree.node_count() == 5);
  CHECK(tree.approximate_data_size() == 44);
  for (const char* hex : kLog) {
    std::string entry = from_hex(hex);
    auto txn = Txn::decode(as_bytes(entry));
    REQUIRE(txn);
    wire::Writer again;
    txn->encode(again);
    CHECK(to_hex(again.bytes()) == hex);
    tree.replay(*std::move(txn));
    tree.check_invariants();
  }
  CHECK(tree.digest_mismatches() == 0);
  CHECK(tree.digest() == 0x20e15a4d6);
  CHECK(tree.last_zxid() == 6);
  CHECK(tree.sessions().empty());
  CHECK(tree.find("/e") == nullptr);
  REQUIRE(tree.find("/a") != nullptr);
  CHECK(as_text(tree.find("/a")->data()) == "yo");
}

TEST_CASE("transactions that do not decode") {
  std::string entry = from_hex(kLog[1]);
  for (size_t cut = 0; cut < entry.size() - 16; ++cut) {
    if (cut == entry.size() - 12 - 4) continue;
    auto txn = Txn::decode(as_bytes(std::string_view(entry).substr(0, cut)));
    if (txn)
      CHECK(std::get<CreateTxn>(txn->body).parent_cversion ==
            -1);  // the old form, without a counter
  }
  // An unknown type, a multi within a multi, a ttl that cannot be applied.
  wire::Writer out;
  Txn txn;
  txn.header.type = OpCode::exists;
  txn.body = ErrorTxn{};
  txn.encode(out);
  CHECK_FALSE(Txn::decode(out.bytes()));
  wire::Writer nested;
  txn.header.type = OpCode::multi;
  MultiTxn inner, outer;
  outer.txns.push_back({OpCode::multi, inner});
  txn.body = outer;
  txn.encode(nested);
  CHECK_FALSE(Txn::decode(nested.bytes()));
  wire::Writer ttl;
  txn.header.type = OpCode::create_ttl;
  txn.body = CreateTxn{"/t", std::nullopt, open_acl(), false, 1, -1};
  txn.encode(ttl);
  CHECK_FALSE(Txn::decode(ttl.bytes()));
}

TEST_CASE("a closed session without its list, and with a digest behind it") {
  Txn txn;
  txn.header = {7, 3, 9, 1000, OpCode::close_session};
  txn.body = CloseSessionTxn{};  // closeSessionTxn.enabled=false
  txn.digest = TxnDigest{kDigestVersion, 0x1234567890abcdef};
  wire::Writer bytes;
  txn.encode(bytes);
  auto decoded = Txn::decode(bytes.bytes());
  REQUIRE(decoded);
  CHECK_FALSE(std::get<CloseSessionTxn>(decoded->body).paths);
  REQUIRE(decoded->digest);
  CHECK(decoded->digest->tree == 0x1234567890abcdef);
}

}  // namespace ottla::zk
