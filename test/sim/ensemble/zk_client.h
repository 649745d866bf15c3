// A ZooKeeper client of the simulation: pipelines random operations on a small set of paths, keeps its
// session over lost connections, and writes down everything it was promised. It trusts nothing: what a
// server may not do to a client is checked here, as it happens.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/rt/world.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "test/sim/ensemble/history.h"

namespace ottla::test {

struct ClientOptions {
  rt::Endpoint server;
  int32_t session_timeout_ms = 2000;
  int operations = 150;      // then the session is closed
  size_t outstanding_max = 12;
  int paths = 8;
};

class ZkClient {
 public:
  ZkClient(int number, rt::World world, const ClientOptions& options, uint64_t seed, History& history);
  void start() { connect(); }
  // The process is gone: nothing is sent or closed any more. Its session must expire.
  void vanish();
  bool finished() const { return state_ == State::finished; }
  std::string describe() const;

 private:
  enum class State { connecting, handshaking, serving, waiting, finished };
  struct Request {
    int32_t xid = 0;
    int32_t type = 0;
    std::string path;
    std::string data;
    bool watch = false;
    bool last = false;  // closeSession
    Instant sent;
  };

  void connect();
  void on_connected(Result<std::unique_ptr<rt::Connection>> connection);
  void on_lost();
  void on_beat();
  void read_more();
  void on_bytes(size_t count);
  void on_frame(Bytes frame);
  void on_handshake(Bytes frame);
  void on_event(wire::Reader& in, int64_t zxid);
  void on_reply(wire::Reader& in, int32_t xid, int64_t zxid, int32_t error);
  void on_node_seen(const Request& request, int64_t mzxid);
  void fill_pipeline();
  void send_random();
  void send(Request request, wire::Writer body);
  void send_close();
  std::string random_path();
  void retry_later();

  int number_;
  rt::World world_;
  ClientOptions options_;
  Prng prng_;
  History& history_;
  State state_ = State::connecting;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> connection_;
  std::unique_ptr<rt::Timer> timer_;
  std::unique_ptr<rt::Timer> ping_timer_;
  Buffer chunk_ = Buffer(16 << 10);
  Buffer in_;
  int64_t session_ = 0;
  std::string password_ = std::string(16, '\0');
  int64_t last_zxid_ = 0;
  int32_t last_xid_ = 0;
  int left_;
  std::deque<Request> outstanding_;
  std::deque<Instant> pings_;  // sent and not answered
  bool closed_ = false;        // asked to close the session, on whatever connection
  int64_t timeout_ms_ = 0;     // as agreed upon
  Instant began_;              // this attempt to connect
  Instant heard_;              // when the last answer came
  Instant asked_;              // when the last request was sent that has an answer
  int64_t reply_zxid_ = 0;     // of this connection
  // One-shot watches of this connection that have not fired: path -> the mzxid that the client knows
  // (0: no such node; not kept for children).
  std::map<std::string, int64_t> data_watches_, child_watches_;
};

}  // namespace ottla::test
