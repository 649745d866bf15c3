// Reads from the applied tree: what each answers, what it may show, the watches it leaves.
#include <catch2/catch.hpp>

#include "zk-ensemble/session/test_service.h"

namespace ottla::zk {

using namespace testing;

namespace {

Buffer number_body(std::string_view path, int32_t number) {
  return path_version_body(path, number);
}

struct Reading : Service {
  Reading() {
    connect(1);
    take(1);
  }
  // The error of one request, and its body as a reader's bytes.
  std::pair<int32_t, std::string> ask(OpCode type, const Buffer& body, ConnId conn = 1) {
    request(conn, 1, type, body);
    std::vector<std::string> frames = take(conn);
    REQUIRE(frames.size() == 1);
    std::string bytes = from_hex(frames[0]);
    wire::Reader in(as_bytes(bytes));
    in.skip(12);
    int32_t error = in.i32();
    return {error, bytes.substr(16)};
  }
  int32_t error(OpCode type, const Buffer& body, ConnId conn = 1) {
    return ask(type, body, conn).first;
  }
  std::string_view last_op() { return pipeline.connections().front().last_op; }
};

Buffer set_watches_body(int64_t zxid, const std::vector<std::vector<std::string>>& lists) {
  wire::Writer out;
  out.i64(zxid);
  for (const auto& list : lists) {
    out.i32(static_cast<int32_t>(list.size()));
    for (const std::string& path : list) put_string(out, path);
  }
  return out.take();
}

}  // namespace

TEST_CASE("each operation answers, and is named as `stat` names it") {
  Reading s;
  struct Row {
    OpCode type;
    Buffer body;
    int32_t error;
    const char* name;
  };
  Row rows[] = {
      {OpCode::create, create_body("/a", "hi"), 0, "CREA"},
      {OpCode::create2, create_body("/a/b", ""), 0, "CREA"},
      {OpCode::set_data, set_data_body("/a", "ho"), 0, "SETD"},
      {OpCode::set_acl, set_acl_body("/a", *open_acl()), 0, "SETA"},
      {OpCode::exists, watch_body("/a", false), 0, "EXIS"},
      {OpCode::get_data, watch_body("/a", false), 0, "GETD"},
      {OpCode::get_children, watch_body("/a", false), 0, "GETC"},
      {OpCode::get_children2, watch_body("/a", false), 0, "GETC"},
      {OpCode::get_acl, string_body("/a"), 0, "GETA"},
      {OpCode::get_all_children_number, string_body("/"), 0, "GETACN"},
      {OpCode::get_ephemerals, string_body("/"), 0, "GETE"},
      {OpCode::who_am_i, Buffer(), 0, "HOMI"},
      {OpCode::sync, string_body("/a"), 0, "SYNC"},
      {OpCode::sync, string_body(std::nullopt), 0, "SYNC"},
      {OpCode::sync, Buffer(), -5, "SYNC"},
      {OpCode::add_watch, number_body("/a", 0), 0, "ADDW"},
      {OpCode::add_watch, number_body("/a", 2), -5, "ADDW"},
      {OpCode::check_watches, number_body("/a", 3), 0, "CHKW"},
      {OpCode::remove_watches, number_body("/a", 3), 0, "REMW"},
      {OpCode::remove_watches, number_body("/a", 3), -121, "REMW"},
      {OpCode::set_watches, set_watches_body(0, {{}, {}, {}}), 0, "SETW"},
      {OpCode::set_watches2, set_watches_body(0, {{}, {}, {}, {}, {}}), 0, "STW2"},
      {OpCode::multi_read, MultiBody().take(), 0, "MLTR"},
      {OpCode::multi, MultiBody().take(), 0, "MULT"},
      {OpCode::remove, path_version_body("/a/b", -1), 0, "DELE"},
      {OpCode::reconfig, Buffer(), -5, "NA"},
      {OpCode::exists, watch_body("/none", false), -101, "EXIS"},
      {OpCode::exists, Buffer(), -5, "EXIS"},
      {OpCode::get_ephemerals, Buffer(), -5, "GETE"},
  };
  for (const Row& row : rows) {
    INFO(static_cast<int>(row.type) << " " << row.name);
    CHECK(s.error(row.type, row.body) == row.error);
    CHECK(s.last_op() == row.name);
  }
}

TEST_CASE("a list shows hashes to those alone who may change it") {
  Reading s;
  s.request(1, -4, OpCode::auth, [] {
    wire::Writer out;
    out.i32(0);
    put_string(out, "digest");
    put_string(out, "u:p");
    return out.take();
  }());
  s.take(1);
  AclList acls = {{kPermAll, {"auth", ""}}, {kPermRead, {"world", "anyone"}}};
  CHECK(s.error(OpCode::create, create_body("/secret", "", 0, acls)) == 0);
  auto ids = [&](ConnId conn) {
    auto [error, body] = s.ask(OpCode::get_acl, string_body("/secret"), conn);
    CHECK(error == 0);
    wire::Reader in(as_bytes(body));
    AclList shown;
    REQUIRE(decode_acls(in, shown));
    std::vector<std::string> out;
    for (const Acl& acl : shown) out.push_back(acl.id.id);
    return out;
  };
  std::vector<std::string> own = ids(1);
  CHECK(own.front().starts_with("u:"));
  CHECK(own.front().size() == 2 + 28);
  s.connect(2);
  s.take(2);
  CHECK(ids(2) == std::vector<std::string>{"u:x", "anyone"});
  // Who am I: the address and the user, without the hash.
  CHECK(s.ask(OpCode::who_am_i, {}).second.find("digest") != std::string::npos);
  CHECK(s.ask(OpCode::who_am_i, {}).second.ends_with(std::string("\0\0\0\1u", 5)));
  AclList closed = {{kPermAll, {"digest", own.front()}}};
  CHECK(s.error(OpCode::create, create_body("/closed", "", 0, closed)) == 0);
  CHECK(s.error(OpCode::get_data, watch_body("/closed", false), 2) == -102);
  CHECK(s.error(OpCode::get_acl, string_body("/closed"), 2) == -102);
}

TEST_CASE("a session's ephemerals, all or below a prefix") {
  Reading s;
  for (const char* path : {"/e1", "/e2"})
    CHECK(s.error(OpCode::create, create_body(path, "", 1)) == 0);
  auto count = [&](std::optional<std::string_view> prefix) {
    auto [error, body] = s.ask(OpCode::get_ephemerals, string_body(prefix));
    CHECK(error == 0);
    wire::Reader in(as_bytes(body));
    return in.i32();
  };
  CHECK(count("/") == 2);
  CHECK(count(" ") == 2);
  CHECK(count(std::nullopt) == 2);
  CHECK(count("/e1") == 1);
  CHECK(count("/x") == 0);
}

TEST_CASE("who comes back is told what it missed, and watches the rest again") {
  Reading s;
  for (const char* path : {"/changed", "/same", "/parent", "/quiet", "/made"})
    CHECK(s.error(OpCode::create, create_body(path)) == 0);
  int64_t seen = s.tree.last_zxid();
  CHECK(s.error(OpCode::set_data, set_data_body("/changed", "2")) == 0);
  CHECK(s.error(OpCode::create, create_body("/parent/child")) == 0);
  s.connect(2);
  s.take(2);
  s.request(2, -8, OpCode::set_watches2,
            set_watches_body(seen, {{"/changed", "/same", "/gone"},
                                    {"/made", "/not-yet"},
                                    {"/parent", "/quiet", "/gone"},
                                    {"/persistent"},
                                    {"/deep"}}));
  std::vector<std::string> events;
  for (const std::string& hex : s.take(2)) {
    std::string bytes = from_hex(hex);
    wire::Reader in(as_bytes(bytes));
    int32_t xid = in.i32();
    int64_t zxid = in.i64();
    in.skip(4);
    if (xid != -1) {
      CHECK(xid == -8);
      continue;
    }
    CHECK(zxid == -1);
    int32_t type = in.i32();
    in.skip(4);
    events.push_back(fmt::format("{} {}", type, get_view(in).value_or("")));
  }
  CHECK(events ==
        std::vector<std::string>{"3 /changed", "2 /gone", "1 /made", "4 /parent", "2 /gone"});
  CHECK(s.error(OpCode::set_data, set_data_body("/same", "2")) == 0);
  CHECK(s.error(OpCode::create, create_body("/not-yet")) == 0);
  CHECK(s.error(OpCode::create, create_body("/quiet/child")) == 0);
  CHECK(s.error(OpCode::create, create_body("/deep")) == 0);
  CHECK(s.error(OpCode::create, create_body("/deep/er")) == 0);
  CHECK(s.take(2).size() == 5);
  // Nulls and promises that the bytes do not keep.
  wire::Writer null_path;
  null_path.i64(0);
  null_path.i32(1);
  null_path.i32(-1);
  null_path.i32(0);
  null_path.i32(0);
  s.request(2, -8, OpCode::set_watches, null_path.take());
  wire::Writer huge;
  huge.i64(0);
  huge.i32(1 << 30);
  s.request(2, -8, OpCode::set_watches, huge.take());
  wire::Writer null_list;
  null_list.i64(0);
  for (int i = 0; i < 3; ++i) null_list.i32(-1);
  s.request(2, -8, OpCode::set_watches, null_list.take());
  for (const std::string& header : s.headers(2)) CHECK(header.ends_with(" -5"));
}

TEST_CASE("a multi of reads takes reads alone") {
  Reading s;
  CHECK(s.error(OpCode::create, create_body("/a", "hi")) == 0);
  auto [error, body] =
      s.ask(OpCode::multi_read, MultiBody()
                                    .add(OpCode::get_data, watch_body("/a", true))
                                    .add(OpCode::get_children, watch_body("/", true))
                                    .add(OpCode::get_data, watch_body("/x", true))
                                    .take());
  CHECK(error == 0);
  wire::Reader in(as_bytes(body));
  CHECK(in.i32() == 4);
  in.skip(5);
  CHECK(get_view(in) == "hi");
  CHECK(s.pipeline.watches().data().empty());  // their watch flags leave nothing
  CHECK(s.pipeline.watches().children().empty());
  auto writes = s.ask(OpCode::multi_read,
                      MultiBody().add(OpCode::remove, path_version_body("/a", -1)).take());
  CHECK(writes.first == -5);
  CHECK(writes.second.size() == 9);
  CHECK(s.error(OpCode::multi_read, MultiBody()
                                        .add(OpCode::get_data, watch_body("/a", false))
                                        .add(OpCode::remove, path_version_body("/a", -1))
                                        .take()) == -5);
  CHECK(s.error(OpCode::multi_read, string_body("cut")) == -5);
  CHECK(s.tree.find("/a") != nullptr);
}

}  // namespace ottla::zk
