// Frames in, frames out: the byte vectors of a live server's session, order between sessions,
// expiry, moves, and any bytes at all.
#include "zk-ensemble/session/pipeline.h"

#include <catch2/catch.hpp>

#include "common/base/prng.h"
#include "zk-ensemble/session/test_service.h"

namespace ottla::zk {

using namespace testing;

TEST_CASE("a session of a live server, byte for byte") {
  Service s;
  s.open(1);
  s.send_hex(1,
             "00000000000000000000000000002710000000000000000000000010"
             "00000000000000000000000000000000"
             "00");
  CHECK(s.take(1) ==
        Frames{"00000000000027100100003de7f1000000000010759ba97f5e80534fdbe78a4ed7c2f97a00"});
  s.wall_ms = 0x000001a2008008ef;
  s.send_hex(1,
             "0000000100000001000000022f610000000268690000000100"
             "00001f00000005776f726c6400000006616e796f6e6500000000");
  CHECK(s.take(1) == Frames{"00000001000000000000000200000000"
                            "000000022f61"});
  s.send_hex(1, "0000000200000003000000022f6101");
  CHECK(s.take(1) == Frames{"00000002000000000000000200000000"
                            "00000000000000020000000000000002000001a2008008ef000001a2008008ef"
                            "0000000000000000000000000000000000000000"
                            "00000002"
                            "00000000"
                            "0000000000000002"});
  s.wall_ms = 0x000001a200800902;
  s.send_hex(1, "0000000300000005000000022f6100000002796f00000000");
  CHECK(s.take(1) == Frames{"ffffffff0000000000000003000000000000000300000003"
                            "000000022f61",
                            "00000003000000000000000300000000"
                            "00000000000000020000000000000003000001a2008008ef000001a200800902"
                            "0000000100000000000000000000000000000000"
                            "00000002"
                            "00000000"
                            "0000000000000002"});
  s.send_hex(1,
             "000000040000000e"
             "0000000d00ffffffff000000022f6100000001"
             "0000000200ffffffff000000052f6e6f7065ffffffff"
             "0000000500ffffffff000000022f61000000017affffffff"
             "ffffffff01ffffffff");
  CHECK(s.take(1) == Frames{"00000004000000000000000400000000"
                            "ffffffff000000000000000000"
                            "ffffffff00ffffff9bffffff9b"
                            "ffffffff00fffffffefffffffe"
                            "ffffffff01ffffffff"});
  s.send_hex(1, "fffffffe0000000b");
  CHECK(s.take(1) == Frames{"fffffffe000000000000000400000000"});
  s.send_hex(1, "00000006fffffff5");
  CHECK(s.take(1) == Frames{"00000006000000000000000500000000"});
  CHECK(s.closed[1]);
  CHECK(s.logged == std::vector<int64_t>{1, 2, 3, 4, 5});
  CHECK(s.tree.digest_mismatches() == 0);
}

TEST_CASE("nothing is answered before it is durable; reads wait for their own session alone") {
  Service s;
  s.connect(1);
  s.connect(2);
  s.take(1);
  s.take(2);
  s.durable_at_once = false;
  s.request(1, 1, OpCode::create, create_body("/a"));        // zxid 3
  s.request(1, 2, OpCode::exists, watch_body("/a", false));  // behind it
  s.request(1, -2, OpCode::ping);
  s.request(1, 3, OpCode::create, create_body("/a/b"));     // zxid 4
  s.request(2, 1, OpCode::exists, watch_body("/a", true));  // does not wait
  wire::Writer sync;
  put_string(sync, "/a");
  s.request(2, 2, OpCode::sync, sync.take());                  // waits for all
  s.request(2, 3, OpCode::exists, watch_body("/a/b", false));  // and what is behind it too
  CHECK(s.take(1).empty());
  CHECK(s.headers(2) == Frames{"1 2 -101"});
  s.durable(3);
  CHECK(s.headers(1) == Frames{"1 3 0", "2 3 0", "-2 3 0"});
  CHECK(s.headers(2) == Frames{"-1 3 0"});  // the watch fires
  s.durable(4);
  CHECK(s.headers(1) == Frames{"3 4 0"});
  CHECK(s.headers(2) == Frames{"2 4 0", "3 4 0"});
}

TEST_CASE("a session that moves closes where it was") {
  Service s;
  s.connect(1);
  int64_t session = *s.pipeline.session_of(1);
  s.request(1, 1, OpCode::create, create_body("/e", "", 1));
  s.request(1, 2, OpCode::exists, watch_body("/x", true));
  s.connect(2, session);
  CHECK(s.closed[1]);
  CHECK(s.take(2).size() == 1);
  CHECK(s.pipeline.watches().data().empty());
  CHECK(s.tree.ephemerals_of(session).size() == 1);
  // A wrong password: refused, and whoever had the session is gone all the same.
  s.open(3);
  wire::Writer out;
  out.i32(0);
  out.i64(0);
  out.i32(10000);
  out.i64(session);
  out.i32(2);
  out.raw("no");
  s.send(3, out.bytes());
  CHECK(s.take(3) ==
        Frames{"000000000000000000000000000000000000001000000000000000000000000000000000"});
  CHECK(s.closed[3]);
  CHECK(s.closed[2]);
}

TEST_CASE("a session left alone ends") {
  Service s;
  s.connect(1, 0, 4000);
  s.connect(2, 0, 40000);
  s.request(1, 1, OpCode::create, create_body("/e", "", 1));
  s.request(2, 1, OpCode::exists, watch_body("/e", true));
  s.take(2);
  int64_t session = *s.pipeline.session_of(1);
  s.now_ms = s.pipeline.next_deadline()->ms();
  CHECK(s.now_ms == 6000);  // (1000 + 4000) rounded up to a tick of 2000
  s.pipeline.on_tick(s.now(), s.wall_ms);
  s.pump();
  CHECK(s.closed[1]);
  CHECK(s.headers(2) == Frames{"-1 4 0"});
  CHECK(s.tree.find("/e") == nullptr);
  CHECK_FALSE(s.tree.sessions().contains(session));
  s.connect(3, session);
  CHECK(s.take(3).front().substr(8, 8) == "00000000");
  CHECK(s.closed[3]);
  CHECK(s.tree.digest_mismatches() == 0);
}

TEST_CASE("a client that has seen more than we have is sent away") {
  Service s;
  s.open(1);
  wire::Writer out;
  out.i32(0);
  out.i64(99);
  out.i32(10000);
  out.i64(0);
  out.i32(-1);
  s.send(1, out.bytes());
  CHECK(s.take(1).empty());
  CHECK(s.closed[1]);
  CHECK(s.logged.empty());
}

TEST_CASE("requests behind a closeSession are dropped; unknown ones end the connection") {
  Service s;
  s.connect(1);
  s.take(1);
  s.durable_at_once = false;
  s.request(1, 1, OpCode::close_session);
  s.request(1, 2, OpCode::create, create_body("/late"));
  s.durable(2);
  CHECK(s.headers(1) == Frames{"1 2 0"});
  CHECK(s.closed[1]);
  s.durable_at_once = true;
  s.connect(2);
  s.take(2);
  s.request(2, 5, OpCode::check);
  CHECK(s.headers(2) == Frames{"5 -1 -6"});
  CHECK(s.closed[2]);
}

TEST_CASE("a connection that goes while its writes are on the way") {
  Service s;
  s.connect(1);
  s.durable_at_once = false;
  s.request(1, 1, OpCode::create, create_body("/a"));
  s.request(1, 2, OpCode::exists, watch_body("/a", true));
  s.pipeline.on_closed(1);
  s.durable(2);
  CHECK(s.tree.find("/a") != nullptr);
  CHECK(s.pipeline.outstanding() == 0);
}

TEST_CASE("odd requests are answered as Apache answers them") {
  Service s;
  s.connect(1);
  s.take(1);
  // A multi of reads with a null path tells what it read before.
  wire::Writer reads;
  auto get_data = [&](bool null_path) {
    reads.i32(static_cast<int32_t>(OpCode::get_data));
    reads.boolean(false);
    reads.i32(-1);
    if (null_path)
      reads.i32(-1);
    else
      put_string(reads, "/none");
    reads.boolean(false);
  };
  get_data(false);
  get_data(true);
  reads.i32(-1);
  reads.boolean(true);
  reads.i32(-1);
  s.request(1, 1, OpCode::multi_read, reads.take());
  CHECK(s.take(1) == Frames{"000000010000000000000001fffffffb"
                            "ffffffff00ffffff9bffffff9b"
                            "ffffffff01ffffffff"});
  // A negative count is an empty list, null is not.
  wire::Writer lists;
  lists.i64(0);
  for (int32_t count : {-2, 0, INT32_MIN}) lists.i32(count);
  s.request(1, -8, OpCode::set_watches, lists.take());
  CHECK(s.headers(1) == Frames{"-8 1 0"});
  // A ping is answered with its own xid and remembered with the client's; a refusal has no name.
  s.request(1, 77, OpCode::ping);
  CHECK(s.headers(1) == Frames{"-2 1 0"});
  CHECK(s.pipeline.connections().front().last_cxid == 77);
  CHECK(s.pipeline.connections().front().last_op == "PING");
  s.request(1, 78, OpCode::remove, path_version_body("/none", -1));
  CHECK(s.pipeline.connections().front().last_op == "NA");
}

TEST_CASE("any bytes: answered or closed, never more") {
  Prng prng(4242);
  Service s;
  ConnId conn = 1;
  s.connect(conn);
  for (int round = 0; round < 30000; ++round) {
    if (s.closed[conn]) s.connect(++conn);
    wire::Writer out;
    static const OpCode kTypes[] = {OpCode::create,
                                    OpCode::remove,
                                    OpCode::exists,
                                    OpCode::get_data,
                                    OpCode::set_data,
                                    OpCode::get_acl,
                                    OpCode::set_acl,
                                    OpCode::get_children,
                                    OpCode::sync,
                                    OpCode::get_children2,
                                    OpCode::multi,
                                    OpCode::create2,
                                    OpCode::reconfig,
                                    OpCode::check_watches,
                                    OpCode::remove_watches,
                                    OpCode::create_container,
                                    OpCode::delete_container,
                                    OpCode::create_ttl,
                                    OpCode::multi_read,
                                    OpCode::auth,
                                    OpCode::set_watches,
                                    OpCode::sasl,
                                    OpCode::get_ephemerals,
                                    OpCode::get_all_children_number,
                                    OpCode::set_watches2,
                                    OpCode::add_watch,
                                    OpCode::who_am_i,
                                    OpCode::create_session};
    out.i32(static_cast<int32_t>(prng.below(100)));
    out.i32(static_cast<int32_t>(kTypes[prng.below(std::size(kTypes))]));
    // Bytes that look a little like fields: small numbers and short texts.
    for (uint64_t fields = prng.below(8); fields > 0; --fields) {
      if (prng.chance(0.5))
        out.i32(static_cast<int32_t>(prng.below(20)) - 2);
      else
        put_string(out, prng.chance(0.5) ? "/a" : "/a/b");
    }
    for (uint64_t junk = prng.below(4); junk > 0; --junk) out.u8(static_cast<uint8_t>(prng.next()));
    s.pipeline.on_frame(conn, out.bytes(), s.now(), s.wall_ms);
    while (s.pipeline.has_effects()) {
      Effects effects = s.pipeline.take_effects();
      for (const auto& send : effects.sends)
        if (send.close) {
          s.closed[send.conn] = true;
          s.pipeline.on_closed(send.conn);
        }
      if (!effects.entries.empty())
        s.pipeline.on_durable(effects.entries.back().zxid, s.now(), s.wall_ms);
    }
  }
  s.pipeline.check_invariants();
  s.tree.check_invariants();
  CHECK(s.tree.digest_mismatches() == 0);
}

}  // namespace ottla::zk
