// ClientConnection: one client's connection. Cuts frames out of the stream, carries out one request
// at a time in their order (later ones wait here, read ahead up to a bound), sends answers in that
// order. A large frame is read straight into a buffer of its size, so that a produce request's
// records are copied once: from the socket. Any bytes that are no request end the connection.
// Source: Kafka protocol guide, "Network" and "Common Request and Response Structure".
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "broker/api/request.h"
#include "common/rt/world.h"

namespace ottla::broker {

class ClientConnection;

// What connections share of their server.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void on_request(RequestPtr request) = 0;
  // A request was answered (or needed no answer), so long after its last byte was here.
  virtual void on_answered(int16_t api_key, int64_t total_ns) = 0;
  // The connection is over and its last answers have left; the owner lets go of it, later. Called
  // once.
  virtual void on_connection_over(uint64_t id) = 0;
  // May this many more bytes of requests be held? False: the connection pauses until resume(). A
  // Request gives back its own.
  virtual bool reserve_bytes(size_t bytes) = 0;
  virtual void release_bytes(size_t bytes) = 0;
};

struct ConnectionCounters {
  uint64_t requests = 0, bytes_in = 0, closed_for_garbage = 0;
};

class ClientConnection final : public ReplySink,
                               public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(rt::Loop& loop, ConnectionOwner& owner, std::unique_ptr<rt::Connection> socket,
                   std::shared_ptr<ClientInfo> client, size_t max_frame_bytes,
                   ConnectionCounters& counters);
  ~ClientConnection() override;

  void start();   // begins to read
  void resume();  // memory is there again
  void close();   // at once; what was not sent is dropped
  void end();     // carries out nothing more; closes when the answers so far were sent
  void finish();  // the same, after the answer to what is being carried out

  uint64_t id() const { return client_->connection_id; }
  bool paused_for_memory() const { return paused_; }
  // Nothing was asked, nothing is answered, and no answer got any further, for so long.
  bool is_idle(Instant now, int64_t idle_ns);
  const ClientInfo& client() const { return *client_; }

  void on_reply(std::vector<rt::OutPiece> pieces) override;
  void on_close() override;
  void on_dropped() override;

 private:
  static constexpr size_t kReadBytes = 8192;
  // Requests read ahead of the one in flight: how many, and at how many bytes reading stops; and
  // the bytes of unsent answers at which the next one waits for the client to take what it asked
  // for.
  static constexpr size_t kMaxAhead = 64;
  static constexpr size_t kMaxAheadBytes = 1u << 20;
  static constexpr uint64_t kMaxUnsentBytes = 256 * 1024;
  // What one connection may take of a turn of the loop before the others get theirs: so many
  // requests, no more begun after so long.
  static constexpr int kTurnRequests = 64;
  static constexpr int64_t kTurnNs = 1'000'000;
  // How long a client may take to read its last answers.
  static constexpr int64_t kEndMs = 10'000;

  void gone();
  void cancel();
  void drop_ahead();
  void read_more();
  void read_into(MutBytes into);
  void on_read(Result<size_t> result);
  void on_client_end();
  void take_frames();
  bool begin_frame(size_t size);
  void push_frame();
  void work();
  void post_work();
  bool reading_is_held() const {
    return ahead_.size() >= kMaxAhead || ahead_bytes_ >= kMaxAheadBytes || paused_ || finishing_ ||
           no_more_;
  }

  // Fixed after construction.
  rt::Loop& loop_;
  ConnectionOwner& owner_;
  std::unique_ptr<rt::Connection> socket_;
  std::shared_ptr<ClientInfo> client_;
  size_t max_frame_bytes_;
  ConnectionCounters& counters_;

  // Reading: small frames are cut out of buffer_, a large one fills frame_.
  Buffer buffer_;
  size_t begin_ = 0, end_ = 0;
  Buffer frame_;
  size_t filled_ = 0;
  bool in_frame_ = false;
  bool reading_ = false;
  bool paused_ = false;
  bool no_more_ = false;  // no frame follows those that were read: the client's end, or garbage

  std::deque<Buffer> ahead_;
  size_t ahead_bytes_ = 0;
  bool in_flight_ = false;
  int16_t in_flight_api_ = -1;
  Instant in_flight_since_;
  bool working_ = false;
  bool work_posted_ = false;
  bool finishing_ = false;
  bool over_ = false;
  bool gone_ = false;  // the owner knows
  std::unique_ptr<rt::Timer> end_timer_;
  Instant last_active_;
  uint64_t unsent_ = 0;  // when is_idle() was asked last
};

}  // namespace ottla::broker
