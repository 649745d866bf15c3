// ClientPort: the sockets of clients. Cuts the byte stream into frames, tells four-letter words from
// frames on a fresh connection, and holds slow or greedy connections back. It knows no operation: frames
// go to its host, bytes come back.
// Thread: the loop's.
// Source: ZooKeeper Administrator's Guide (maxClientCnxns, jute.maxbuffer, globalOutstandingLimit).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/rt/world.h"
#include "zk-ensemble/tree/watches.h"  // ConnId

namespace ottla::zk {

struct ClientPortOptions {
  rt::Endpoint listen_at;
  size_t frame_max_bytes = 1048575;
  int32_t per_address_max = 60;  // connections; 0 is no limit
  int32_t total_max = 0;
  int64_t sessionless_timeout_ms = 10000;
};

struct ClientPortStats {
  int64_t accepted = 0;
  int64_t rejected = 0;             // over a limit
  int64_t sessionless_expired = 0;
  int64_t dropped_slow = 0;         // did not read what it asked for
  int64_t bytes_received = 0;
  int64_t bytes_sent = 0;
};

class ClientPort {
 public:
  class Host {
   public:
    virtual ~Host() = default;
    virtual void on_client_open(ConnId conn, const std::string& address) = 0;
    // `waited_ms`: how long accepts_frames() held it back.
    virtual void on_client_frame(ConnId conn, Bytes frame, int64_t waited_ms) = 0;
    virtual void on_client_closed(ConnId conn) = 0;
    // The answer of a known word; the connection is closed behind it.
    virtual std::string on_word(ConnId conn, std::string_view word, Bytes argument) = 0;
    // False: the server has as much in process as it wants, some of it of this connection; its frames
    // wait until resume().
    virtual bool accepts_frames(ConnId conn) = 0;
    // False: a frame of this length is not taken at all; its connection closes.
    virtual bool accepts_length(size_t length) = 0;
    // Some frames were handed over: give out what they caused, now (their answers may be large).
    virtual void on_frames_done() = 0;
    virtual std::vector<ConnId> without_session() const = 0;
  };
  struct Client;

  ClientPort(rt::World world, const ClientPortOptions& options, Host& host);
  ~ClientPort();
  ClientPort(const ClientPort&) = delete;
  ClientPort& operator=(const ClientPort&) = delete;

  Result<void> start();
  void stop_listening() { listener_.reset(); }
  // Reads and hands over nothing more; what is queued still goes out.
  void stop_reading() { stopped_ = true; }
  void close_all();

  // Frames with their lengths; unknown connections are ignored (they closed meanwhile).
  void send(ConnId conn, Buffer bytes, bool close);
  void resume();  // accepts_frames() may be true again for some

  // Connections that live but are not read from, by no fault of their own: held back, or busy since
  // this was last asked with answers that are large.
  std::vector<ConnId> unheard();

  uint16_t port() const;
  size_t count() const { return clients_.size(); }
  const ClientPortStats& stats() const { return stats_; }
  void reset_stats() { stats_ = {}; }
  std::string address_of(ConnId conn) const;  // "/ip:port" as the words show it
  uint64_t unsent_bytes() const;              // of all connections

 private:
  void accept(std::unique_ptr<rt::Connection> connection);
  void read(Client& client);
  void on_read(ConnId id, Result<size_t> got);
  void parse(Client& client);
  void rest(Client& client);
  void go_on();
  bool take_word(Client& client);
  void answer_word(Client& client, std::string_view word, Bytes argument);
  void on_drained(ConnId id);
  void drop(ConnId id);
  void sweep();
  Client* find(ConnId id);

  rt::World world_;
  ClientPortOptions options_;
  Host& host_;
  std::unique_ptr<rt::Listener> listener_;
  std::map<ConnId, std::unique_ptr<Client>> clients_;
  std::map<std::string, int32_t> per_address_;
  std::vector<ConnId> held_;     // waiting for resume()
  std::vector<ConnId> resting_;  // waiting for the next turn
  std::vector<std::unique_ptr<Client>> graveyard_;  // destroyed outside of their own callbacks
  std::unique_ptr<rt::Timer> sweep_timer_;
  ConnId last_id_ = 0;
  bool stopped_ = false;
  ClientPortStats stats_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// True for the words that end frame detection, whitelisted or not.
bool is_known_word(std::string_view four_bytes);

}  // namespace ottla::zk
