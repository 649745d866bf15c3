#include "zk-ensemble/tree/acl.h"

#include <catch2/catch.hpp>

#include "zk-ensemble/tree/path.h"
#include "zk-ensemble/tree/quota.h"

namespace ottla::zk {

TEST_CASE("paths that writes may name") {
  for (const char* good :
       {"/", "/a", "/a/b", "/a.b", "/...", "/\xc3\xa4", "/\xe4\xb8\xad", "/a b", "/\xc2\xa0"})
    CHECK(valid_path(good));
  for (std::string bad : {"",
                          "a",
                          "//",
                          "/a/",
                          "/a//b",
                          "/./a",
                          "/a/..",
                          "/a/.",
                          "/\x01",
                          "/\x1f",
                          "/\x7f",
                          "/\xc2\x80",
                          "/\xc2\x9f",
                          "/\xee\x80\x80",
                          "/\xef\xbf\xb0",
                          "/\xf0\x9f\x98\x80",
                          "/\xff",
                          "/\xc3",
                          "/\xed\xa0\x80",
                          "/\xc0\x80"})
    CHECK_FALSE(valid_path(bad));
  CHECK_FALSE(valid_path(std::string_view("/a\0b", 4)));
  CHECK(parent_path("/a") == "");
  CHECK(parent_path("/a/b") == "/a");
  CHECK(base_name("/a/b") == "b");
  CHECK(sequential_path("/q-", 7) == "/q-0000000007");
  CHECK(sequential_path("/q-", INT32_MIN) == "/q--2147483648");
}

TEST_CASE("digest ids") {
  CHECK(digest_id("super:test") == "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
  CHECK(digest_id("nocolon").starts_with("nocolon:"));
  CHECK(digest_id("super:test", "SHA-256") == "super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig=");
  CHECK(digest_available("SHA3-256"));
  CHECK_FALSE(digest_available("SHA-9"));
  CoreOptions options;
  options.super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
  auto granted = authenticate("digest", as_bytes("super:test"), "1.2.3.4", options);
  REQUIRE(granted);
  CHECK((*granted)[0].scheme == "super");
  CHECK((*granted)[1].scheme == "digest");
  CHECK_FALSE(authenticate("nobody", {}, "1.2.3.4", options));
  CHECK(authenticate("ip", {}, "1.2.3.4", options)->front().id == "1.2.3.4");
  CHECK(user_of({"digest", "bob:hash"}) == "bob");
}

TEST_CASE("ip expressions") {
  CHECK(ip_expression_valid("10.0.0.1", false));
  CHECK(ip_expression_valid("10.0.0.0/8", false));
  for (const char* bad : {"10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/", "x",
                          "", "::1", "1.2.3.4.5"})
    CHECK_FALSE(ip_expression_valid(bad, false));
  CHECK(ip_matches("10.1.2.3", "10.0.0.0/8", false));
  CHECK_FALSE(ip_matches("11.1.2.3", "10.0.0.0/8", false));
  CHECK(ip_matches("10.0.0.7", "10.0.0.0/29", false));
  CHECK_FALSE(ip_matches("10.0.0.8", "10.0.0.0/29", false));
  CHECK(ip_matches("9.9.9.9", "1.1.1.1/0", false));
  CHECK(ip_matches("fe80:0:0:0:0:0:0:1", "fe80::/10", true));
  CHECK_FALSE(ip_matches("::2", "::1", true));
  CHECK_FALSE(ip_matches("10.0.0.1", "::1/0", true));
  CHECK_FALSE(ip_expression_valid("1::2::3", true));
  CHECK_FALSE(ip_expression_valid("1:2:3:4:5:6:7:8:9", true));
}

TEST_CASE("normalising what a client gave") {
  CoreOptions options;
  AuthInfo auth = {{"ip", "1.1.1.1"}, {"digest", "a:x"}, {"digest", "b:y"}};
  AclRef out;
  size_t room = options.request_max_bytes;
  auto one = [&](std::vector<RawAcl> raw) { return normalize_acls(raw, auth, options, room, out); };
  CHECK(one({}) == ZkError::invalid_acl);
  CHECK(one({{31, "world", "anyone"}}) == ZkError::ok);
  CHECK(out == open_acl());
  CHECK(one({{1, "world", "anyone"}, {1, "world", "anyone"}, {2, "ip", "1.2.3.4"}}) == ZkError::ok);
  CHECK(out->size() == 2);
  CHECK(one({{4, "auth", ""}}) == ZkError::ok);
  CHECK(*out == AclList{{4, {"digest", "a:x"}}, {4, {"digest", "b:y"}}});
  CHECK(one({{31, "world", "someone"}}) == ZkError::invalid_acl);
  CHECK(one({{31, "martian", "x"}}) == ZkError::invalid_acl);
  CHECK(one({{31, std::nullopt, "x"}}) == ZkError::invalid_acl);
  CHECK(one({{31, "world", std::nullopt}}) == ZkError::marshalling_error);
  // A null is an error of its own where the search for duplicates must compare it.
  CHECK(one({{31, "ip", "1.2.3"}, {31, "ip", std::nullopt}}) == ZkError::marshalling_error);
  CHECK(one({{31, "ip", "1.2.3"}, {30, "ip", std::nullopt}}) == ZkError::invalid_acl);
  CHECK(one({{31, "ip", "1.2.3"}, {31, std::nullopt, "x"}}) == ZkError::marshalling_error);
  CHECK(one({{31, std::nullopt, "x"}, {31, "ip", "1.2.3"}}) == ZkError::invalid_acl);
  CHECK(one({{31, "digest", "x:"}}) == ZkError::invalid_acl);
  CHECK(one({{31, "digest", ":y"}}) == ZkError::ok);
  CHECK(one({{31, "digest", "a:b:c"}}) == ZkError::invalid_acl);
  auth = {{"ip", "1.1.1.1"}};
  CHECK(one({{4, "auth", ""}}) == ZkError::invalid_acl);
}

TEST_CASE("long lists take no longer than they are, and grow no further") {
  CoreOptions options;
  AclRef out;
  // As many different entries as one request can hold; looking each up in all before it would stop
  // the server for seconds.
  std::vector<RawAcl> raw;
  for (int32_t i = 0; i < 45'000; ++i) raw.push_back({i, "world", "anyone"});
  size_t room = options.request_max_bytes;
  for (int repeat = 0; repeat < 5; ++repeat)
    CHECK(normalize_acls(raw, {}, options, room, out) == ZkError::ok);
  CHECK(out->size() == raw.size());
  AuthInfo many;
  for (int i = 0; i < 1000; ++i) many.push_back({"digest", "u" + std::to_string(i) + ":x"});
  for (RawAcl& acl : raw) acl = {acl.perms, "auth", ""};
  CHECK(room == options.request_max_bytes);
  CHECK(normalize_acls(raw, many, options, room, out) == ZkError::invalid_acl);
  // Few ids that are long; and lists of one request that are short, but many.
  room = options.request_max_bytes;
  many = {{"digest", std::string(1 << 16, 'u') + ":x"}};
  CHECK(normalize_acls(raw, many, options, room, out) == ZkError::invalid_acl);
  room = options.request_max_bytes;
  raw.resize(1);
  int lists = 0;
  while (normalize_acls(raw, many, options, room, out) == ZkError::ok) ++lists;
  CHECK(lists == 15);
}

TEST_CASE("what a list allows") {
  CoreOptions options;
  AclList list = {{kPermRead, {"world", "anyone"}},
                  {kPermAll, {"digest", "a:x"}},
                  {kPermWrite, {"ip", "10.0.0.0/8"}}};
  CHECK(acl_allows(list, kPermRead, {}, options));
  CHECK_FALSE(acl_allows(list, kPermWrite, {}, options));
  CHECK(acl_allows(list, kPermWrite | kPermRead, {}, options));
  CHECK(acl_allows(list, kPermDelete, {{"digest", "a:x"}}, options));
  CHECK(acl_allows(list, kPermWrite, {{"ip", "10.9.9.9"}}, options));
  CHECK(acl_allows(list, kPermAdmin, {{"super", ""}}, options));
  CHECK(acl_allows({}, kPermAdmin, {}, options));
  options.skip_acl = true;
  CHECK(acl_allows(list, kPermAdmin, {}, options));
}

TEST_CASE("the cache shares and forgets") {
  AclCache cache;
  AclRef list = std::make_shared<AclList>(AclList{{1, {"digest", "a:x"}}});
  AclRef same = std::make_shared<AclList>(*list);
  CHECK(cache.acquire(open_acl()) == -1);
  CHECK(cache.acquire(read_acl()) == 1);
  CHECK(cache.acquire(list) == 2);
  CHECK(cache.acquire(same) == 2);
  CHECK(cache.size() == 2);
  cache.release(2);
  CHECK(*cache.list(2) == *list);
  cache.release(2);
  CHECK(cache.size() == 1);
  CHECK_FALSE(acl_allows(*cache.list(2), kPermRead, {}, {}));  // unknown: nobody
  CHECK(cache.acquire(list) == 3);                             // never reused
  cache.check_invariants();
}

TEST_CASE("quota texts") {
  auto track = QuotaTrack::parse("count=4,bytes=5=;byteHardLimit=7;countHardLimit=9");
  REQUIRE(track);
  CHECK(track->count() == 4);
  CHECK(track->bytes() == 5);
  CHECK(track->byte_hard_limit() == 7);
  CHECK(track->count_hard_limit() == 9);
  CHECK(track->text() == "count=4,bytes=5=;byteHardLimit=7;countHardLimit=9");
  CHECK(QuotaTrack::parse("")->text() == "count=-1,bytes=-1");
  CHECK(QuotaTrack::parse("count==4,bytes=2")->count() == -1);
  CHECK(QuotaTrack::parse("count=1,bytes=2,;,")->bytes() == 2);
  CHECK(QuotaTrack::parse(";,")->count() == -1);
  CHECK_FALSE(QuotaTrack::parse("count=,bytes=2"));
  CHECK_FALSE(QuotaTrack::parse("count==,bytes=2"));
  CHECK_FALSE(QuotaTrack::parse(",count=1"));
  CHECK_FALSE(QuotaTrack::parse("count=+-1"));
  CHECK_FALSE(QuotaTrack::parse("count=x"));
  CHECK_FALSE(QuotaTrack::parse("count"));
  QuotaTrie trie;
  trie.add("/a/b");
  CHECK(trie.covering("/a/b/c") == "/a/b");
  CHECK(trie.covering("/a/b") == "/a/b");
  CHECK(trie.covering("/a") == "");
  CHECK(trie.covering("/a/bc") == "");
  trie.remove("/a/b");
  CHECK(trie.covering("/a/b/c") == "");
  std::string deep;
  for (int depth = 0; depth < 500'000; ++depth) deep += "/a";
  trie.add(deep);
  CHECK(trie.covering(deep + "/b") == deep);
}

}  // namespace ottla::zk
