// ConnectionThrottle: how many clients may ask for a session in a time: a bucket of tokens, and when
// that stays empty, a growing share of refusals by chance (BLUE, as routers do it), so that a storm of
// reconnecting clients does not take the server's whole time. No clock, no sockets.
// Source: ZooKeeper Administrator's Guide, "connection_throttle_*"; ZOOKEEPER-3242.
#pragma once

#include <cstdint>

#include "common/base/prng.h"
#include "common/base/time.h"

namespace ottla::zk {

struct ConnectionThrottleOptions {
  int64_t tokens = 0;  // 0: no limit
  int64_t fill_time_ms = 1;
  int64_t fill_count = 1;
  int64_t freeze_time_ms = -1;  // -1: nobody is refused by chance
  double drop_increase = 0.02;
  double drop_decrease = 0.002;
  double decrease_ratio = 0;
  bool weighted = false;  // a new session costs more than one that is taken up again
  int64_t global_weight = 3, local_weight = 1, renew_weight = 2;
};

class ConnectionThrottle {
 public:
  ConnectionThrottle(const ConnectionThrottleOptions& options, uint64_t seed, Instant now);
  // True: the client may have its session; takes its tokens.
  bool admit(bool renews, Instant now);
  int64_t deficit() const { return max_ - tokens_; }
  double drop_probability() const { return drop_; }

 private:
  bool spared(Instant now);

  ConnectionThrottleOptions options_;
  int64_t max_, fill_count_;
  int64_t tokens_;
  Instant filled_, froze_;
  double drop_ = 0;
  Prng prng_;
};

}  // namespace ottla::zk
