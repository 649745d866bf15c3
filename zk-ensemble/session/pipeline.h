// Pipeline: the whole service of one standalone server, without IO: client frames and the passing
// of time in; log entries, frames to clients and closed connections out. Requests are decided at
// once against the state to come (prepare.h), logged, and applied once durable; a quorum will slide
// in between. Runs on one loop; nothing here blocks, logs or looks at a clock.
//
// Order. Replies of a connection are in the order of its requests (auth excepted: at once, as
// Apache's). Reads wait for the connection's own earlier writes alone. Events of a transaction go
// to a connection before any reply that could show its effect. Source: ZooKeeper programmer's
// guide, "Consistency guarantees"; internals, "Request pipeline".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/time.h"
#include "common/wire/writer.h"
#include "zk-ensemble/session/connection_throttle.h"
#include "zk-ensemble/session/server_stats.h"
#include "zk-ensemble/session/session_id.h"
#include "zk-ensemble/session/session_tracker.h"
#include "zk-ensemble/tree/data_tree.h"
#include "zk-ensemble/tree/prepare.h"
#include "zk-ensemble/tree/watches.h"

namespace ottla::zk {

// What the shell must do, in this order: append `log` (and sync it, then call on_durable), then
// send. Nothing in `sends` depends on the durability of anything in `log`: what does comes out of
// on_durable.
struct Effects {
  struct Entry {
    int64_t zxid = 0;
    size_t offset = 0;  // in `log`
    size_t length = 0;
  };
  struct Send {
    ConnId conn = 0;
    Buffer bytes;        // whole frames, length prefixes included; may be empty
    bool close = false;  // after the bytes are sent
  };
  wire::Writer log;            // encoded transactions, back to back
  std::vector<Entry> entries;  // zxids rise
  std::vector<Send> sends;     // one for each connection
  bool empty() const { return entries.empty() && sends.empty(); }
};

// What is asked of clients beyond the protocol. Fixed after construction.
struct PipelineLimits {
  ConnectionThrottleOptions connects;
  // Requests larger than the threshold (-1: none is large) may have so many bytes in process together.
  int64_t large_request_threshold = -1;
  int64_t large_request_max_bytes = 100 << 20;
  // Only clients with an id of one of these schemes are served; empty: all are.
  std::vector<std::string> enforced_schemes;
  // A request that was held back longer than this is answered "throttled"; 0: none is.
  int64_t throttled_op_wait_ms = 0;
};

// One client connection as cons and the log show it. Owned by the pipeline.
struct ConnectionInfo {
  ConnId id = 0;
  std::string remote_address;  // of the ip scheme: no port
  int64_t session = 0;         // 0: no session yet
  int64_t timeout_ms = 0;
  Instant established;
  int64_t outstanding = 0;  // requests not answered yet
  int64_t packets_received = 0, packets_sent = 0;
  int32_t last_cxid = 0;
  int64_t last_zxid = 0;
  Instant last_response;
  int64_t last_latency_ms = 0;
  LatencyStats latency;
  std::string_view last_op = "null";  // none yet; "PING", "CREA", ..., "NA" for a refused write
};

class Pipeline final : private WatchSink {
 public:
  // `tree` is recovered; its sessions get fresh deadlines. `session_clock_ms` seeds the session ids
  // and must grow from start to start (wall clock). All references must outlive the pipeline.
  Pipeline(DataTree& tree, const CoreOptions& options, int64_t session_clock_ms, Instant now,
           PipelineLimits limits = {});
  ~Pipeline();

  // --- events. Each may add to the effects.
  void on_open(ConnId conn, std::string remote_address, Instant now);
  // One frame without its length. The first must be a ConnectRequest. Frames for a connection that
  // is closing are ignored. `waited_ms`: how long the shell held it back.
  void on_frame(ConnId conn, Bytes frame, Instant now, int64_t wall_ms, int64_t waited_ms = 0);
  // The connection is gone (or was closed on our demand). Its watches go; its session stays.
  void on_closed(ConnId conn);
  // Everything up to and including `zxid` is durable: applies it and answers.
  void on_durable(int64_t zxid, Instant now, int64_t wall_ms);
  // Its client is known to live though no frame came.
  void touch(ConnId conn, Instant now);
  // Expires sessions, reaps containers. Call at next_deadline() or later; calling early is
  // harmless.
  void on_tick(Instant now, int64_t wall_ms);
  std::optional<Instant> next_deadline() const;

  // Everything that has piled up since the last call.
  Effects take_effects();
  bool has_effects() const;

  // --- the operator
  void close_session(int64_t session, int64_t wall_ms);  // as if it had expired
  void close_connection(ConnId conn);
  void close_all_connections();                          // `kill` of the admin server; at shutdown
  size_t connection_count() const { return conns_.size(); }
  std::vector<ConnectionInfo> connections() const;  // by id
  int64_t outstanding() const { return outstanding_; }
  int64_t outstanding(ConnId conn) const;
  // Reads that wait are answered together: what they and their answers will take, at most.
  size_t waiting_room() const { return room_; }
  size_t waiting_room(ConnId conn) const;
  int64_t timeout_of(ConnId conn) const;  // of its session, ms
  size_t piled_bytes(ConnId conn) const;  // for it, since the last take_effects()
  // False: a request of so many bytes is rejected, counted, and its connection is to be closed.
  bool accepts_length(size_t bytes);
  double connection_drop_probability() const { return throttle_.drop_probability(); }
  const ServerStats& stats() const { return stats_; }
  void count_word(ConnId conn, bool answered);  // a four-letter word came; its answer went
  void reset_stats();             // srst
  void reset_connection_stats();  // crst
  const Watches& watches() const { return watches_; }
  const SessionTracker& sessions() const { return tracker_; }
  const DataTree& tree() const { return tree_; }
  DataTree& mutable_tree() { return tree_; }  // for SnapshotCursor
  std::optional<int64_t> session_of(
      ConnId conn) const;  // nothing: no such connection, or no session yet
  int64_t last_proposed() const { return preparer_.last_zxid(); }

  void check_invariants() const;

 private:
  struct Waiting;  // a request that cannot be answered yet
  struct Conn;
  struct Proposed;  // a transaction that is not durable yet

  // Frames in (pipeline.cc).
  void handle_connect(Conn& conn, Bytes frame, Instant now, int64_t wall_ms);
  void handle_request(Conn& conn, Bytes frame, Instant now, int64_t wall_ms, int64_t waited_ms);
  bool is_enforced(const Conn& conn) const;
  bool is_large(size_t bytes) const;
  Waiting take_front(Conn& conn);
  void forget_outstanding(Conn& conn);
  void handle_auth(Conn& conn, int32_t xid, Bytes body);
  void handle_sasl(Conn& conn, int32_t xid, Bytes body);
  void handle_write(Conn& conn, OpCode type, Waiting waiting, Bytes body, Instant now, int64_t wall_ms);
  void propose(Txn txn, ConnId conn);
  void wait(Conn& conn, Waiting waiting);

  // Transactions applied, answers out (answers.cc).
  void apply_front(Instant now, int64_t wall_ms);
  void count_write(const TxnBody& body);
  void answer_write(Conn& conn, const Waiting& waiting, const Txn& txn, const ApplyResult& result,
                    Instant now);
  void answer_multi(Conn& conn, const ApplyResult& result);
  void answer_connect(Conn& conn, bool valid);
  void answer_error(Conn& conn, int32_t xid, ZkError error);
  void drain(Conn& conn, Instant now);
  void count(Conn& conn, OpCode type, int32_t xid, Instant asked, Instant now);
  void mark_dirty(Conn& conn);
  void end(Conn& conn);  // closes after what is written; the rest of its requests is dropped
  void notify(const std::vector<ConnId>& watchers, EventType type, std::string_view path,
              int64_t zxid, const AclList& acls) override;
  void send_event(Conn& conn, EventType type, std::string_view path, int64_t zxid);

  // Reads (reads.cc). Each writes its body after the reply's header and gives the error.
  void answer_read(Conn& conn, OpCode type, int32_t xid, Bytes body, const AuthInfo& auth);
  ZkError read(Conn& conn, OpCode type, Bytes body, const AuthInfo& auth, wire::Writer& out);
  ZkError read_node(Conn& conn, OpCode type, wire::Reader& in, const AuthInfo& auth,
                    wire::Writer& out);
  ZkError read_ephemerals(const Conn& conn, wire::Reader& in, wire::Writer& out);
  ZkError read_multi(Conn& conn, Bytes body, const AuthInfo& auth, wire::Writer& out);
  ZkError watch_op(Conn& conn, OpCode type, wire::Reader& in, wire::Writer& out);
  ZkError set_watches(Conn& conn, OpCode type, wire::Reader& in);
  size_t room_of(const Conn& conn, OpCode type, Bytes body) const;
  size_t room_of_node(OpCode type, std::string_view path) const;

  Conn* find(ConnId id);
  void reap_containers(Instant now, int64_t wall_ms);

  DataTree& tree_;
  const CoreOptions& options_;
  Preparer preparer_;
  SessionTracker tracker_;
  PipelineLimits limits_;
  ConnectionThrottle throttle_;
  Watches watches_;
  int64_t next_session_id_;
  std::map<ConnId, std::unique_ptr<Conn>> conns_;
  std::unordered_map<int64_t, ConnId> by_session_;
  std::deque<Proposed> proposed_;  // logged or being logged, not applied; zxids rise
  size_t proposed_bytes_ = 0;
  std::multimap<int64_t, ConnId>
      barriers_;  // connections whose next request waits for others' zxid
  Effects effects_;
  std::vector<ConnId> dirty_;  // connections with bytes or a close to hand out
  ServerStats stats_;
  int64_t outstanding_ = 0;
  int64_t large_bytes_ = 0;  // of the large ones among them
  size_t room_ = 0;          // of the reads among them
  Instant next_reap_;
  std::deque<std::string> to_reap_;  // found due at the last check, one removed at a time
};

}  // namespace ottla::zk
