// WireClient: a ZooKeeper session over rt::Net. One connection at a time, requests pipelined on it
// up to max_in_flight; pings at a third of the timeout; on loss tries the other servers of the
// connect string, sets its watches again, sends what may be retried again; on expiry fails what is
// queued and opens a new session. Decoding is bounded; a reply that does not decode ends the
// connection. Runs on the loop of its World. Source: ZooKeeper Programmer's Guide, "ZooKeeper
// Sessions", "Watches".
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/zk/connect_string.h"
#include "broker/zk/zk_client.h"
#include "common/base/prng.h"
#include "common/base/result.h"
#include "common/rt/world.h"

namespace ottla::broker {

struct WireClientOptions {
  ConnectString servers;
  int32_t session_timeout_ms = 18000;
  int32_t connection_timeout_ms = 18000;  // for the first connection alone
  int32_t max_in_flight = 10;             // requests on the wire
  bool create_chroot = true;              // makes the chroot's path when it is missing
  uint32_t max_frame_bytes = 4 << 20;     // Kafka's jute.maxbuffer
};

class WireClient final : public ZkClient {
 public:
  WireClient(rt::World& world, WireClientOptions options);
  ~WireClient() override;  // drops the connection without closing the session

  // `ready` once: when the first session is there (and the chroot), or after connection_timeout_ms
  // with one line that names the servers and the remedy. Later losses are told to listeners.
  void start(Fn<void(Result<void>)> ready);
  // Ends the session at the server, so that its ephemerals vanish; `closed` in any case, at the
  // latest after `timeout_ms`, with whether the session is certainly gone: no server could be told
  // (false), and it may live on until it times out. No more requests after this.
  void close(int32_t timeout_ms, Fn<void(bool gone)> closed);
  // For tests: drops the connection as a network failure would.
  void drop_connection();

  void submit(ZkRequest request, ZkDone done) override;
  void add_listener(ZkListener* listener) override;
  void remove_listener(ZkListener* listener) override;
  bool connected() const override { return state_ == State::connected; }
  ZkSessionCredentials session() const override { return credentials_; }

  // Connects with the credentials of an earlier run and closes that session. `done`: true when the
  // session is certainly gone (closed now or expired before), an error when no server could be
  // asked within timeout_ms. Nothing but that session is touched.
  static std::unique_ptr<WireClient> end_session(rt::World& world, WireClientOptions options,
                                                 ZkSessionCredentials old,
                                                 Fn<void(Result<void>)> done);

 private:
  enum class State {
    idle,          // not started
    disconnected,  // waiting to try the next server
    connecting,    // to a server
    handshake,     // ConnectRequest sent
    preparing,     // session there; the chroot is being made
    connected,     //
    closing,       // closeSession sent
    closed,        //
  };
  enum class WatchKind { data, exist, child };  // the order of setWatches
  struct Pending {
    ZkRequest request;
    ZkDone done;
    int32_t xid = 0;
    size_t frame_bytes = 0;
    bool retried = false;
    bool internal = false;  // chroot and closeSession: absolute paths, never retried
  };

  void connect_next();
  void retry_later();
  void on_connect(Result<std::unique_ptr<rt::Connection>> result);
  void send_connect_request();
  void prepare_session();
  void on_chroot_checked(ZkReply reply);
  void set_watches_again();
  void enter_connected();
  void give_up_start();

  void read_more();
  void on_read(Result<size_t> result);
  // Each false when the connection (or the client itself) is gone.
  bool on_connect_response(Bytes frame);
  bool on_frame(Bytes frame);
  bool on_auth_reply(ZkError error);
  bool on_reply(int32_t xid, ZkError error, wire::Reader& r);
  bool on_notification(wire::Reader& r);
  void remember_watch(const ZkRequest& request, const ZkReply& reply);

  void on_lost(const char* why);
  void on_expired();
  void retire_connection();
  void fail_all(std::deque<Pending> pending, ZkError error);
  void finish_close(bool gone);

  void pump();
  void submit_internal(ZkRequest request, ZkDone done);
  void send_pending(Pending pending);
  void send_auth(const std::string& scheme, const std::string& auth);
  void send_frame(Buffer frame);
  void tick();
  void arm_tick();
  void notify(ZkSessionEvent event);

  // Fixed after construction.
  rt::World world_;
  WireClientOptions options_;
  bool ending_old_session_ = false;

  // The session.
  ZkSessionCredentials credentials_;
  int32_t negotiated_timeout_ms_ = 0;
  int64_t last_zxid_ = 0;
  bool chroot_ready_ = false;
  bool fresh_session_ = false;
  std::set<std::pair<WatchKind, std::string>> watches_;  // absolute paths
  std::vector<std::pair<std::string, std::string>> auths_;

  // The connection.
  State state_ = State::idle;
  std::vector<rt::Endpoint> order_;
  size_t next_server_ = 0;
  size_t failed_in_a_row_ = 0;
  std::string last_failure_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> connection_;
  Buffer in_;
  size_t in_used_ = 0;
  int32_t next_xid_ = 1;
  std::deque<Pending> queued_;
  std::deque<Pending> in_flight_;
  std::deque<Pending> auth_in_flight_;  // answered out of order with the others
  Instant last_sent_;
  Instant last_received_;
  std::unique_ptr<rt::Timer> tick_timer_;
  std::unique_ptr<rt::Timer> connect_timer_;
  std::unique_ptr<rt::Timer> start_timer_;
  std::unique_ptr<rt::Timer> close_timer_;
  Prng prng_;

  std::vector<ZkListener*> listeners_;
  Fn<void(Result<void>)> ready_;
  Fn<void(bool gone)> closed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::broker
