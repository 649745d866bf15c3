// What the steps about records remember: idempotent producers and fetch sessions.
#pragma once

#include "test/interop/differential_kafka/world.h"

namespace ottla::differential {

struct Steps::Records {
  struct Sent {
    int32_t sequence, count;
  };
  struct Producer {
    int64_t id;
    int16_t epoch;
    // By partition: the next sequence, and what was sent last.
    std::map<std::pair<std::string, int32_t>, std::pair<int32_t, std::vector<Sent>>> at;
  };
  struct Session {
    int32_t id, epoch;  // the epoch that the next request must have
    bool by_id;
    bool recompressed;  // a topic in it is
  };

  Producer& any_producer(Prng& prng);
  Buffer batch(Prng& prng, World& known, const Topic& topic, int32_t partition, bool zstd_allowed);
  void damage(Prng& prng, Buffer& set);

  std::vector<Producer> producers;
  std::vector<Session> sessions;
  // Of the batch made last.
  int32_t last_count = 0, last_sequence = -1;
  int64_t last_producer = -1;
  int16_t last_epoch = -1;
};

}  // namespace ottla::differential
