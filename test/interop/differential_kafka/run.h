// One run: the connections to both servers, the exchange of one request in lock step, the
// comparison, what was found. Steps (steps_*.cc) draw requests from `prng` and hand them here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/base/prng.h"
#include "test/interop/differential_kafka/compare.h"
#include "test/interop/differential_kafka/link.h"
#include "test/interop/differential_kafka/symbols.h"

namespace ottla::differential {

struct Settings {
  int ports[kServers] = {0, 0};
  uint64_t seed = 1;
  int64_t requests = 5000;
  bool keep_going = false;
  bool trace = false;
  bool times = false;   // where the run spent its time, at the end
  std::string command;  // that repeats this run
};

enum class Kind { answered, closed, silent };

struct Reply {
  Kind kind = Kind::silent;
  Buffer frame;
  std::unique_ptr<Message> body;  // of an answer that decodes, with symbols for names
  std::string describe() const;
};

struct Expect {
  // Answers of these codes are asked again, at the server that gave them, unless both gave the
  // same.
  std::function<bool(Message&)> settling;
  bool may_park = false;   // the answer may have to wait for other requests
  int patience_ms = 0;     // of a request that may park but should not
  bool no_answer = false;  // acks=0
  bool lone = true;        // false: the answer itself is not compared (helpers of other steps)
};

class Stopwatch;

class Run {
 public:
  explicit Run(const Settings& settings);

  Prng prng;
  Symbols symbols;
  const Settings& settings() const { return settings_; }
  int64_t position() const { return position_; }
  const std::string& client_id(int conn) const;

  // One request to both servers. Apache's answer, with symbols for names; nullptr when there is
  // none (closed, parked, acks=0). Valid until the next call.
  Message* call(int conn, Message& request, int16_t key, int16_t version,
                const Expect& expect = {});
  template <class M>
  Message* call(int conn, M request, int16_t version, const Expect& expect = {}) {
    Typed<M> typed;
    typed.body = std::move(request);
    return call(conn, typed, M::kApiKey, version, expect);
  }
  template <class Response, class M>
  Response* ask(int conn, M request, int16_t version, const Expect& expect = {}) {
    return body_of<Response>(call(conn, std::move(request), version, expect));
  }
  // Any bytes in a frame of their own; answers are compared byte by byte, in pieces that are left.
  void call_frame(int conn, Bytes frame, std::string_view what);
  // Any bytes as they are; then the connection is closed.
  void call_raw(Bytes bytes, std::string_view what);

  // Asks one server, without comparing: for waiting until both have done what they acknowledged.
  std::unique_ptr<Message> ask_quietly(int server, Message& request, int16_t key, int16_t version);
  void wait_until(std::string_view what, const std::function<bool(int server)>& done);

  // Offset and time of the first record that Apache's has of that time or a later one, found by
  // reading.
  std::optional<std::pair<int64_t, int64_t>> first_record_at(const std::string& topic,
                                                             int32_t partition, int64_t timestamp);

  // A server's word for it; a group that nobody knows is "Empty" too.
  std::string state_of_group(const std::string& group, int server);

  bool is_parked(int conn) const;
  // Answers to parked requests, since the last call: connection, request and Apache's answer.
  struct Unparked {
    int conn;
    int16_t key;
    std::unique_ptr<Message> body;
  };
  std::vector<Unparked> take_unparked();
  void drop_connection(int conn);

  bool failed() const { return differences_ != 0; }
  bool stop() const { return failed() && !settings_.keep_going; }
  int64_t sent() const { return sent_; }
  void report() const;

 private:
  struct Pair {
    std::unique_ptr<Link> link[kServers];
    std::string client_id;
  };
  struct Parked {
    int conn;
    int16_t key, version;
    std::string request;
    int64_t position;
    std::unique_ptr<Reply> reply[kServers];
  };

  Pair& pair(int conn);
  Buffer encode(int server, Message& request, int16_t key, int16_t version, const Pair& pair);
  Reply wait_reply(Link& link, int timeout_ms);
  Reply quiet_reply(int server, Message& request, int16_t key, int16_t version);
  void decode(int server, Reply& reply, int16_t key, int16_t version);
  void judge(int16_t key, int16_t version, Message* asked,
             const std::function<std::string()>& request, Reply (&reply)[kServers]);
  bool is_left_alone(int16_t key, int16_t version, Reply& ours);
  void barrier();
  void collect_parked();
  void poll_parked(Parked& parked, int server, int timeout_ms);
  void learn_parked();
  void note(const std::string& kind, const std::string& text);

  Settings settings_;
  std::map<int, Pair> pairs_;
  std::vector<Parked> parked_;
  std::vector<Unparked> unparked_;
  Reply last_[kServers];
  int32_t correlation_ = 0;
  int64_t position_ = 0, sent_ = 0, differences_ = 0, closes_ = 0, silences_ = 0, parks_ = 0;
  std::map<std::string_view, int64_t> excused_;  // by reason
  struct Spent {
    int64_t count = 0, us = 0;
  };
  std::map<std::string, Spent> spent_;  // by API, and by what is waited for
  friend class Stopwatch;
  std::map<std::string, std::pair<int64_t, int64_t>> kinds_;  // kind: how often, first position
};

}  // namespace ottla::differential
