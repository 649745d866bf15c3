#include <catch2/catch.hpp>

#include "zk-ensemble/session/connection_throttle.h"
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
  CHECK(tracker.touch(7, 1000, at_ms(1500)));  // 3000: who comes back may ask for less
  CHECK(tracker.next_expiry() == at_ms(3000));
  CHECK(tracker.touch(7, 3000, at_ms(1500)));
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

using namespace ottla;
using namespace ottla::zk;

TEST_CASE("connection throttle: tokens, weights, and chance while the bucket is empty") {
  auto at = [](int64_t ms) { return Instant{ms_to_ns(ms)}; };
  ConnectionThrottle off({}, 1, at(0));
  for (int i = 0; i < 1000; ++i) CHECK(off.admit(false, at(0)));
  ConnectionThrottle plain({.tokens = 2, .fill_time_ms = 100, .fill_count = 1}, 1, at(0));
  CHECK(plain.admit(false, at(1)));
  CHECK(plain.admit(true, at(1)));
  CHECK_FALSE(plain.admit(false, at(1)));
  CHECK(plain.deficit() == 2);
  CHECK(plain.admit(false, at(201)));  // two came back
  CHECK(plain.admit(false, at(201)));
  CHECK_FALSE(plain.admit(false, at(201)));
  ConnectionThrottle weighted({.tokens = 2, .fill_time_ms = 1'000'000, .weighted = true}, 1, at(0));
  CHECK(weighted.admit(false, at(0)));  // 3 of 6
  CHECK(weighted.admit(true, at(0)));   // 2
  CHECK_FALSE(weighted.admit(true, at(0)));
  ConnectionThrottle blue({.tokens = 1, .fill_time_ms = 1, .fill_count = 0, .freeze_time_ms = 10, .drop_increase = 0.5},
                          1, at(0));
  CHECK(blue.admit(false, at(5)));
  for (int64_t ms : {20, 40, 60}) CHECK_FALSE(blue.admit(false, at(ms)));
  CHECK(blue.drop_probability() == 1);
}
