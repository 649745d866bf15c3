#include <catch2/catch.hpp>

#include "zk-ensemble/session/session_id.h"
#include "zk-ensemble/session/session_tracker.h"

namespace ottla::zk {

namespace {
Instant at_ms(int64_t ms) { return {ms_to_ns(ms)}; }
std::string password_hex(uint64_t id) { return to_hex(session_password(static_cast<int64_t>(id))); }
}  // namespace

TEST_CASE("passwords are java.util.Random's") {
  CHECK(password_hex(0x0000000000000001) == "054cc74a37327db215e702e20c73f005");
  CHECK(password_hex(0xff00000000000001) == "054cc74a37327db215e702e20c73f005");
  CHECK(password_hex(0x100000abcdef0001) == "76b39f6d54c3bc4f6ebe2fdff1198ecf");
  CHECK(password_hex(0x0123456789abcdef) == "f7cd1b8b3f946c477425d41be3f667c6");
  CHECK(password_hex(0x0100001f179e0000) == "00e48bfc8d45fd32de16504e1e79ef7a");
  CHECK(password_hex(0x0100003de7f10000) == "759ba97f5e80534fdbe78a4ed7c2f97a");
}

TEST_CASE("first session id") {
  CHECK(first_session_id(1, 0x12345678) == 0x0100123456780000);
  CHECK(first_session_id(1, 0x7f12345678) == 0x017f123456780000);
  CHECK(first_session_id(128, 0) == INT64_MIN + 1);
}

TEST_CASE("sessions die in ticks") {
  SessionTracker tracker(1000);
  CHECK(tracker.track(7, 3000, at_ms(100)));  // bucket of 3100: 4000
  CHECK_FALSE(tracker.track(7, 3000, at_ms(200)));
  CHECK(tracker.next_expiry() == at_ms(4000));
  CHECK(tracker.expire(at_ms(3999)).empty());
  CHECK(tracker.touch(7, 3000, at_ms(1500)));  // 5000
  CHECK(tracker.touch(7, 1000, at_ms(1500)));  // never nearer
  CHECK(tracker.expire(at_ms(4000)).empty());
  tracker.check_invariants();
  CHECK(tracker.expire(at_ms(5000)) == std::vector<int64_t>{7});
  CHECK_FALSE(tracker.touch(7, 3000, at_ms(5000)));
  CHECK(tracker.check(7, 0) == ZkError::session_expired);
  CHECK(tracker.known(7));
  CHECK_FALSE(tracker.alive(7));
  tracker.remove(7);
  CHECK(tracker.check(7, 0) == ZkError::unknown_session);
  CHECK_FALSE(tracker.next_expiry());
  tracker.check_invariants();
}

TEST_CASE("a negative timeout, as a client may write one into the log, dies too") {
  SessionTracker tracker(1000);
  CHECK(tracker.track(7, INT32_MIN, at_ms(100)));
  tracker.check_invariants();
  CHECK(tracker.next_expiry() == at_ms(1000));
  CHECK(tracker.expire(at_ms(1000)) == std::vector<int64_t>{7});
}

TEST_CASE("owners") {
  SessionTracker tracker(1000);
  tracker.track(1, 3000, at_ms(0));
  CHECK(tracker.check(1, 5) == ZkError::ok);  // adopts the first asker
  CHECK(tracker.check(1, 6) == ZkError::session_moved);
  tracker.set_owner(1, 6);
  CHECK(tracker.check(1, 6) == ZkError::ok);
  CHECK(tracker.check(1, 5) == ZkError::session_moved);
}

}  // namespace ottla::zk
