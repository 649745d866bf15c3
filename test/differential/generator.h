// Generator: the seeded stream of steps. It looks at the reference's answers only to know which
// nodes there are (most steps should hit something), so the stream is the same as long as the
// answers are.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/prng.h"
#include "proto/zookeeper/records.h"
#include "test/differential/step.h"

namespace ottla::differential {

class Player;

struct GeneratorOptions {
  bool as_38 = false;     // leaves out what 3.8 answers otherwise or dies of (README.md)
  bool many_ids = false;  // connections gather several digest ids
  bool huge = true;       // requests near jute.maxbuffer
};

class Generator {
 public:
  Generator(uint64_t seed, GeneratorOptions options) : prng_(seed), options_(options) {}

  // The next batch for what the player's places are now.
  std::vector<Step> next(const Player& player);
  // What the reference answered to it.
  void learn(const std::vector<Step>& batch, const std::vector<std::string>& answers);

 private:
  using Text = std::optional<std::string>;
  struct Place {
    int ids = 0;  // digest ids given
  };

  // scenario choice (generator.cc)
  std::vector<Step> session_life(int place, const Player& player);
  std::vector<Step> connect(int place);
  std::vector<Step> lone_request(int place);
  std::vector<Step> quota_step(int place);
  std::vector<Step> huge_step(int place);
  std::vector<Step> requests_or_ping(int place);
  std::vector<Step> requests(int place, const Player& player);
  Step request(int place, jute::OpCode type, std::string body);
  Step sealed(Step step);

  // single operations (operations.cc)
  Step operation(int place, int64_t last_zxid, bool& ends_batch);
  Step read(int place, int64_t last_zxid);
  Step write(int place, bool& ends_batch);
  Step create(int place);
  Step garbage(int place, Step step);
  Step watch_list(int place, int64_t last_zxid);
  std::string multi_body(bool reads);
  jute::CreateRequest create_request(bool odd_flags);
  jute::CreateTTLRequest ttl_request();
  Text path();
  std::string plain_path();
  Text odd_path();
  Text data();
  int32_t version();
  std::optional<std::vector<jute::ACL>> acl();

  int32_t next_xid() { return ++xid_; }
  void seen(const std::string& path);
  void gone(const std::string& path);
  bool one_in(uint64_t n) { return prng_.below(n) == 0; }

  Prng prng_;
  GeneratorOptions options_;
  int32_t xid_ = 0;
  Place places_[8];
  std::vector<std::string> alive_;  // nodes believed to be there
  std::unordered_map<std::string, size_t> alive_at_;
  std::deque<std::vector<Step>> queued_;  // scenarios of several batches
  bool null_in_acl_ = false;              // an ACL made since this was cleared has one
};

template <class Record>
std::string encoded(const Record& record) {
  wire::Writer out;
  record.encode(out);
  return to_string(out.bytes());
}

}  // namespace ottla::differential
