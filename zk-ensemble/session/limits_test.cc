// What a server may ask of its clients beyond the protocol, what the operator may do to them, and
// what is counted of them.
#include <catch2/catch.hpp>

#include "zk-ensemble/session/test_service.h"

namespace ottla::zk {

using namespace testing;

namespace {

Buffer auth_body(std::optional<std::string_view> scheme, std::optional<std::string_view> data) {
  wire::Writer out;
  out.i32(0);
  for (const auto& part : {scheme, data})
    if (part)
      put_string(out, *part);
    else
      out.i32(-1);
  return out.take();
}

}  // namespace

TEST_CASE("a server that enforces a scheme serves nobody without it") {
  Service s({.enforced_schemes = {"sasl", "digest"}});
  s.connect(1);
  s.take(1);
  s.request(1, 1, OpCode::exists, watch_body("/", false));
  CHECK(s.headers(1) == Frames{"1 0 -124"});
  CHECK(s.closed[1]);
  s.connect(2);
  s.take(2);
  s.request(2, -4, OpCode::auth, auth_body("digest", "u:p"));
  s.request(2, 1, OpCode::exists, watch_body("/", false));
  CHECK(s.headers(2) == Frames{"-4 0 0", "1 2 0"});
  CHECK_FALSE(s.closed[2]);
}

TEST_CASE("large requests share a budget; one too many closes its connection") {
  Service s({.large_request_threshold = 100, .large_request_max_bytes = 300});
  s.connect(1);
  s.connect(2);
  s.durable_at_once = false;
  const std::string data(150, 'x');
  s.request(1, 1, OpCode::create, create_body("/a", data));
  s.request(2, 1, OpCode::exists, watch_body("/a", false));  // a small one is never refused
  CHECK_FALSE(s.closed[2]);
  s.request(2, 2, OpCode::create, create_body("/b", data));
  CHECK(s.closed[2]);
  CHECK(s.pipeline.stats().large_requests_rejected == 1);
  CHECK_FALSE(s.pipeline.accepts_length(151));
  s.durable(3);  // what is answered gives its share back
  CHECK(s.pipeline.accepts_length(300));
  CHECK_FALSE(s.pipeline.accepts_length(301));
  CHECK(s.tree.find("/a") != nullptr);
  CHECK(s.tree.find("/b") == nullptr);
}

TEST_CASE("a request that was held back too long is answered so, but for pings and ends") {
  Service s({.throttled_op_wait_ms = 100});
  s.connect(1);
  s.take(1);
  s.request(1, 1, OpCode::create, create_body("/a"), 101);
  s.request(1, 2, OpCode::create, create_body("/b"), 100);
  s.request(1, -2, OpCode::ping, {}, 500);
  s.request(1, 3, OpCode::close_session, {}, 500);
  CHECK(s.headers(1) == Frames{"1 1 -127", "2 2 0", "-2 2 0", "3 3 0"});
  CHECK(s.pipeline.stats().throttled_ops == 1);
  CHECK(s.tree.find("/a") == nullptr);
}

TEST_CASE("connections beyond the throttle are closed without a word") {
  Service s({.connects = {.tokens = 1, .fill_time_ms = 1'000'000}});
  s.connect(1);
  s.connect(2);
  CHECK_FALSE(s.closed[1]);
  CHECK(s.closed[2]);
  CHECK(s.take(2).empty());
  CHECK(s.pipeline.stats().connects_throttled == 1);
}

TEST_CASE("credentials that do not hold close the connection") {
  Service s;
  ConnId conn = 0;
  for (const Buffer& body : {auth_body("krb", "x"), auth_body("digest", std::nullopt),
                             auth_body(std::nullopt, "x"), auth_body("world", "anyone")}) {
    s.connect(++conn);
    s.take(conn);
    s.request(conn, -4, OpCode::auth, body);
    INFO(conn);
    CHECK(s.headers(conn) == Frames{"-4 0 -115"});
    CHECK(s.closed[conn]);
  }
  CHECK(s.pipeline.stats().auth_failures == 4);
  s.connect(++conn);
  s.take(conn);
  s.request(conn, -4, OpCode::auth, string_body("cut"));
  CHECK(s.take(conn).empty());
  CHECK(s.closed[conn]);
}

TEST_CASE("a connection keeps a bounded number of ids") {
  Service s;
  s.connect(1);
  s.take(1);
  for (int i = 1; i < 1000; ++i)  // one is its address
    s.request(1, -4, OpCode::auth, auth_body("digest", fmt::format("u{}:p", i)));
  CHECK(s.headers(1).back() == "-4 0 0");
  s.request(1, -4, OpCode::auth, auth_body("digest", "more:p"));
  CHECK(s.headers(1) == Frames{"-4 0 -115"});
  CHECK(s.closed[1]);
}

TEST_CASE("and a bounded number of their bytes") {
  Service s;
  s.connect(1);
  s.take(1);
  s.request(1, -4, OpCode::auth, auth_body("digest", std::string(900'000, 'u') + ":p"));
  CHECK(s.headers(1) == Frames{"-4 0 0"});
  s.request(1, -4, OpCode::auth, auth_body("digest", std::string(900'000, 'v') + ":p"));
  CHECK(s.headers(1) == Frames{"-4 0 -115"});
  CHECK(s.closed[1]);
}

TEST_CASE("what one request asks to be stored or read many times is bounded") {
  Service s;
  s.connect(1);
  s.request(1, -4, OpCode::auth, auth_body("digest", std::string(900'000, 'u') + ":p"));
  s.request(1, 1, OpCode::create, create_body("/a", std::string(900'000, 'd')));
  MultiBody creates, reads;
  for (int i = 0; i < 100; ++i) {
    creates.add(OpCode::create, create_body(fmt::format("/b{}", i), "", 0, {{kPermAll, {"auth", ""}}}));
    reads.add(OpCode::get_data, watch_body("/a", false));
  }
  s.request(1, 2, OpCode::multi, creates.take());
  CHECK(s.tree.find("/b0") == nullptr);
  s.take(1);
  wire::Writer frame;
  frame.i32(3);
  frame.i32(static_cast<int32_t>(OpCode::multi_read));
  frame.raw(reads.take().bytes());
  s.pipeline.on_frame(1, frame.bytes(), s.now(), s.wall_ms);
  Effects effects = s.pipeline.take_effects();
  Bytes answer = effects.sends.at(0).bytes.bytes();
  CHECK(answer.size() < 70'000'000);
  wire::Reader end(answer.subspan(answer.size() - 13));  // of the last read, and the end of all
  CHECK(end.i32() == -127);
}

TEST_CASE("what the answers to reads that wait will take is known while they wait") {
  Service s;
  s.connect(1);
  s.connect(2);
  MultiBody reads;
  for (int i = 0; i < 5; ++i) {
    reads.add(OpCode::get_data, watch_body("/a", false));
    reads.add(OpCode::get_children, watch_body("/a", false));
  }
  wire::Writer lists;
  lists.i64(0);
  lists.i32(0);
  lists.i32(1000);  // each there: an event for each
  for (int i = 0; i < 1000; ++i) put_string(lists, "");
  lists.i32(0);
  const std::pair<OpCode, Buffer> asked[] = {{OpCode::ping, Buffer()},
                                             {OpCode::exists, watch_body("/a", false)},
                                             {OpCode::get_data, watch_body("/a", false)},
                                             {OpCode::get_children, watch_body("/a", false)},
                                             {OpCode::get_children2, watch_body("/a", false)},
                                             {OpCode::get_acl, string_body("/a")},
                                             {OpCode::multi_read, reads.take()},
                                             {OpCode::get_ephemerals, string_body("/")},
                                             {OpCode::who_am_i, Buffer()},
                                             {OpCode::set_watches, lists.take()}};
  s.request(1, 1, OpCode::create, create_body("/a"));
  s.request(1, 1, OpCode::create, create_body("/b", std::string(50'000, 'b')));
  s.request(1, 1, OpCode::create, create_body("/a/" + std::string(5000, 'n'), "", 1));
  s.request(1, -4, OpCode::auth, auth_body("digest", std::string(20'000, 'u') + ":p"));
  s.durable_at_once = false;
  int64_t zxid = s.tree.last_zxid();
  for (int i = 0; const auto& [type, body] : asked) {
    INFO(static_cast<int>(type));
    // All of it was proposed before the read and makes more of its answer; but for the last, which
    // it does not see.
    s.request(2, 1, OpCode::set_data, set_data_body("/a", std::string(10'000, 'd')));
    s.request(2, 2, OpCode::set_acl,
              set_acl_body("/a", AclList(1000, Acl{kPermAll, {"world", "anyone"}})));
    s.request(1, 3, OpCode::create, create_body(fmt::format("/a/{:05000}", ++i), "", 1));
    s.request(2, 4, OpCode::set_data, set_data_body("/a", ""));
    s.take(1);
    s.request(1, 5, type, body);
    size_t room = s.pipeline.waiting_room(1), answered = 0;
    CHECK(s.pipeline.waiting_room() == room);
    s.durable(zxid + 3);
    Frames frames = s.take(1);
    for (size_t at = 1; at < frames.size(); ++at) answered += 4 + frames[at].size() / 2;
    CHECK(answered >= 20);
    CHECK(room >= answered);
    CHECK(s.pipeline.waiting_room() == 0);
    s.durable(zxid += 4);
  }
  s.request(1, 6, OpCode::sync, string_body("/"));
  s.request(2, 7, OpCode::set_data, set_data_body("/a", ""));
  s.request(1, 8, OpCode::get_data, watch_body("/b", false));
  CHECK(s.pipeline.waiting_room() == 0);  // nothing to wait for
  s.request(1, 9, OpCode::remove, path_version_body("/missing", -1));
  s.request(1, 10, OpCode::get_data, watch_body("/b", false));
  CHECK(s.pipeline.waiting_room(1) < 51'000);
  CHECK(s.pipeline.waiting_room(2) == 0);
  s.pipeline.on_closed(1);
  CHECK(s.pipeline.waiting_room() == 0);
}

TEST_CASE("sasl: the empty answer of a server that has no mechanism") {
  Service s;
  s.connect(1);
  s.take(1);
  s.request(1, 5, OpCode::sasl, string_body("token"));
  CHECK(s.take(1) == Frames{"00000005000000000000000000000000ffffffff"});
  s.request(1, 6, OpCode::sasl, string_body(std::nullopt));
  CHECK(s.take(1).empty());
  CHECK(s.closed[1]);
}

TEST_CASE("frames that are no requests close the connection") {
  Service s;
  s.open(1);
  s.send_hex(1, "0000");  // a connect request that is cut
  CHECK(s.closed[1]);
  s.connect(2);
  s.take(2);
  s.send_hex(2, "00000001");
  CHECK(s.closed[2]);
  CHECK(s.take(2).empty());
  s.send_hex(2, "000000010000000b");  // one that is gone
  CHECK(s.take(2).empty());
}

TEST_CASE("a session asked for within a session: as Apache, a transaction and a connect answer") {
  Service s;
  s.connect(1);
  s.take(1);
  wire::Writer body;
  body.i32(7000);
  s.request(1, 9, OpCode::create_session, body.take());
  REQUIRE(s.take(1).size() == 1);
  CHECK(s.logged.size() == 2);
  s.request(1, 10, OpCode::create_session);
  CHECK(s.headers(1) == Frames{"10 2 -5"});
}

TEST_CASE("containers go one by one once they have lost their children") {
  CoreOptions core;
  core.container_check_interval_ms = 60000;
  core.container_max_per_minute = 60;  // one a second
  Service s({}, core);
  s.connect(1);
  s.take(1);
  for (const char* path : {"/c1", "/c2", "/c3"}) {
    s.request(1, 1, OpCode::create_container, create_body(path, "", 4));
    s.request(1, 2, OpCode::create, create_body(std::string(path) + "/child"));
    s.request(1, 3, OpCode::remove, path_version_body(std::string(path) + "/child", -1));
  }
  s.request(1, 4, OpCode::create_container, create_body("/unused", "", 4));
  auto tick = [&](int64_t at_ms) {
    s.now_ms = at_ms;
    s.request(1, -2, OpCode::ping);  // lives on
    s.pipeline.on_tick(s.now(), s.wall_ms);
    s.pump();
    return s.tree.node_count();
  };
  int64_t before = s.tree.node_count();
  CHECK(tick(9000) == before);
  CHECK(tick(17000) == before);
  CHECK(tick(25000) == before);
  CHECK(tick(33000) == before);
  CHECK(tick(41000) == before);
  CHECK(tick(49000) == before);
  CHECK(tick(57000) == before);
  CHECK(tick(61000) == before);  // found due
  CHECK(tick(62000) == before - 1);
  CHECK(tick(62500) == before - 1);
  CHECK(tick(63000) == before - 2);
  // An acknowledged write since then: the node is another one.
  s.request(1, 5, OpCode::remove, path_version_body("/c3", -1));
  s.request(1, 6, OpCode::create, create_body("/c3"));
  CHECK(tick(64000) == before - 2);
  CHECK(s.tree.find("/c3") != nullptr);
  CHECK(s.tree.find("/c1") == nullptr);
  CHECK(s.tree.find("/c2") == nullptr);
  CHECK(s.tree.find("/unused") != nullptr);
  CHECK(tick(70000) == before - 2);
}

TEST_CASE("the operator ends sessions and connections") {
  Service s;
  for (ConnId conn : {1, 2, 3}) s.connect(conn);
  int64_t session = *s.pipeline.session_of(1);
  s.request(1, 1, OpCode::create, create_body("/e", "", 1));
  s.pipeline.close_session(session, s.wall_ms);
  s.pipeline.close_session(session, s.wall_ms);  // once is enough
  s.pump();
  CHECK(s.closed[1]);
  CHECK(s.tree.find("/e") == nullptr);
  CHECK(s.logged.size() == 5);
  CHECK_FALSE(s.pipeline.session_of(1));
  CHECK(s.pipeline.connection_count() == 2);
  s.pipeline.close_connection(2);
  s.pipeline.close_connection(77);
  s.pump();
  CHECK(s.closed[2]);
  s.open(4);
  CHECK_FALSE(s.pipeline.session_of(4));
  CHECK(s.pipeline.timeout_of(4) == INT64_MAX);
  CHECK(s.pipeline.timeout_of(3) == 10000);
  s.pipeline.close_all_connections();
  s.pump();
  CHECK(s.pipeline.connection_count() == 0);
  CHECK(s.tree.sessions().size() == 2);  // they may come back
}

TEST_CASE("figures of a connection, and the words that clear them") {
  Service s;
  s.connect(1);
  s.durable_at_once = false;
  s.now_ms = 1500;
  s.request(1, 7, OpCode::create, create_body("/top/a"));  // refused: no parent
  s.request(1, 8, OpCode::create, create_body("/top", "12345"));
  CHECK(s.pipeline.outstanding() == 2);
  CHECK(s.pipeline.outstanding(1) == 2);
  CHECK(s.pipeline.outstanding(9) == 0);
  CHECK(s.pipeline.piled_bytes(1) == 0);
  s.now_ms = 1530;
  s.pipeline.on_durable(3, s.now(), s.wall_ms);
  CHECK(s.pipeline.piled_bytes(1) > 0);
  CHECK(s.pipeline.piled_bytes(9) == 0);
  s.pump();
  ConnectionInfo info = s.pipeline.connections().at(0);
  CHECK(info.last_cxid == 8);
  CHECK(info.last_zxid == 3);
  CHECK(info.last_op == "CREA");
  CHECK(info.last_latency_ms == 30);
  CHECK(info.latency.max_ms == 30);
  CHECK(info.packets_received == 3);
  s.pipeline.count_word(1, false);
  s.pipeline.count_word(1, true);
  s.pipeline.count_word(9, true);
  info = s.pipeline.connections().at(0);
  CHECK(info.packets_received == 4);
  CHECK(info.packets_sent == 4);
  const ServerStats& stats = s.pipeline.stats();
  CHECK(stats.packets_sent == 5);
  CHECK(stats.refused_writes == 1);
  CHECK(stats.writes == 2);
  CHECK(stats.latency.average() == 20);
  CHECK(stats.write_bytes.at("top").total_ms == 9);  // "/top" and five bytes
  CHECK(stats.response_min == 16);
  CHECK(stats.response_last == 24);
  s.pipeline.reset_connection_stats();
  info = s.pipeline.connections().at(0);
  CHECK(info.last_op == "NA");
  CHECK(info.last_cxid == -1);
  CHECK(info.packets_received == 0);
  s.pipeline.reset_stats();
  CHECK(stats.packets_sent == 0);
  CHECK(stats.latency.average() == 0);
  CHECK(stats.latency.min() == 0);
  CHECK(stats.write_bytes.at("top").count == 0);  // stays listed
}

TEST_CASE("a clock that was set back gives no id of a living session out again") {
  constexpr int64_t kClock = 0x3de7f1;
  CoreOptions options;
  DataTree tree(options);
  Txn known;
  known.header = {first_session_id(1, kClock), 0, 1, 1, OpCode::create_session};
  known.body = CreateSessionTxn{10000};
  tree.replay(std::move(known));
  Instant now{ms_to_ns(1000)};
  Pipeline pipeline(tree, options, kClock, now);
  pipeline.on_open(1, "127.0.0.1", now);
  wire::Writer connect;
  connect.i32(0);
  connect.i64(0);
  connect.i32(10000);
  connect.i64(0);
  connect.i32(-1);
  pipeline.on_frame(1, connect.bytes(), now, 1);
  CHECK(pipeline.session_of(1) == first_session_id(1, kClock) + 1);
}

TEST_CASE("writes are counted by namespace when they are done, under names of a sensible length") {
  Service s;
  s.connect(1);
  s.request(1, 1, OpCode::multi,
            MultiBody()
                .add(OpCode::create, create_body("/a"))
                .add(OpCode::remove, path_version_body("/missing", -1))
                .take());
  s.request(1, 2, OpCode::create, create_body("/" + std::string(300, 'n')));
  CHECK(s.pipeline.stats().write_bytes.empty());
  s.request(1, 3, OpCode::multi, MultiBody().add(OpCode::create, create_body("/a")).take());
  CHECK(s.pipeline.stats().write_bytes.at("a").count == 1);
}

TEST_CASE("the throttle's chance falls again when its bucket fills") {
  auto at = [](int64_t ms) { return Instant{ms_to_ns(ms)}; };
  ConnectionThrottle blue({.tokens = 2,
                           .fill_time_ms = 10,
                           .fill_count = 1,
                           .freeze_time_ms = 5,
                           .drop_increase = 1,
                           .drop_decrease = 0.5,
                           .decrease_ratio = 0.5},
                          1, at(0));
  CHECK(blue.admit(false, at(1)));
  CHECK(blue.admit(false, at(1)));
  CHECK_FALSE(blue.admit(false, at(8)));  // empty: everybody is refused
  CHECK(blue.drop_probability() == 1);
  CHECK_FALSE(blue.admit(false, at(9)));
  (void)blue.admit(false, at(40));  // full again
  CHECK(blue.drop_probability() == 0.5);
  (void)blue.admit(false, at(80));
  CHECK(blue.drop_probability() == 0);
  CHECK(blue.admit(false, at(81)));
  ConnectionThrottle odd(
      {.tokens = 1, .weighted = true, .global_weight = 0, .local_weight = 0, .renew_weight = -1}, 1,
      at(0));
  CHECK(odd.admit(false, at(0)));  // weights of nothing are the defaults
  CHECK(odd.deficit() == 3);
}

}  // namespace ottla::zk
