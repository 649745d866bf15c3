// Net of a node: TCP above the segment. Bytes arrive in order or the connection breaks; a cut holds
// them; a sender runs at most one buffer ahead of its reader.
#include <algorithm>
#include <optional>

#include "common/base/crc32c.h"
#include "common/rt_sim/core.h"

namespace ottla::sim {

constexpr int64_t kLingerNs = 1'000'000'000;
constexpr uint64_t kSegment = 64 << 10;

// One end of a connection. Its handle (SimConnection) is the user's; messages on their way hold it.
class SimSocket final : public std::enable_shared_from_this<SimSocket> {
 public:
  SimSocket(Life& life, Host& peer, rt::Endpoint local, rt::Endpoint remote)
      : life_(life), peer_host_(peer), local_(std::move(local)), remote_(std::move(remote)) {}

  void start(const std::shared_ptr<SimSocket>& peer) {
    peer_ = peer;
    std::erase_if(life_.sockets, [](const auto& weak) { return weak.expired(); });
    life_.sockets.push_back(weak_from_this());
  }

  // ---- the user's verbs
  void read(MutBytes into, Fn<void(Result<size_t>)> done) {
    OTTLA_CHECK(!read_done_, "one read at a time");
    OTTLA_CHECK(!into.empty());
    if (!life_.alive()) return;
    into_ = into;
    read_done_ = std::move(done);
    serve_soon();
  }

  void send(std::vector<rt::OutPiece> pieces) {
    if (!life_.alive() || closed_ || close_when_sent_) return;
    for (rt::OutPiece& piece : pieces) {
      uint64_t size = size_of(piece);
      if (size == 0) continue;
      unsent_ += size;
      queue_.push_back(std::move(piece));
    }
    if (unsent_ > 0) flush_soon();
  }

  uint64_t unsent_bytes() const { return unsent_; }
  void on_drained(Fn<void()> drained) {
    drained_ = std::move(drained);
    drained_replaced_ = true;
  }
  void on_send_error(Fn<void(Error)> failed) { send_failed_ = std::move(failed); }

  void close() {
    if (!life_.alive() || closed_) return;
    // Unread or unsent bytes make it an abort, as a kernel does.
    bool clean = inbox_.empty() && unsent_ == 0;
    closed_ = true;
    drop_queue();
    inbox_.clear();
    if (!broken_ && peer_.lock()) tell_peer(clean ? "fin" : "rst", clean);
    if (read_done_) serve_soon();
  }

  void close_after_send() {
    if (!life_.alive() || closed_ || close_when_sent_) return;
    close_when_sent_ = true;
    flush_soon();
  }

  void abandon() {
    read_done_ = nullptr;
    drained_ = nullptr;
    drained_replaced_ = true;
    send_failed_ = nullptr;
    close();
  }

  const rt::Endpoint& local() const { return local_; }
  const rt::Endpoint& remote() const { return remote_; }
  Host& peer_host() { return peer_host_; }

  // ---- messages
  void receive(std::string bytes) {
    if (closed_) return tell_peer("rst", false);  // nobody reads here any more
    life_.core.mix(crc32c(as_bytes(bytes)));
    if (close_when_sent_ && fin_sent_) return acknowledge(bytes.size());
    inbox_ += bytes;
    serve_soon();
  }
  void receive_ack(uint64_t bytes) {
    in_flight_ -= std::min(bytes, in_flight_);
    if (unsent_ > 0) flush_soon();
  }
  void receive_fin() {
    peer_ended_ = true;
    if (fin_sent_) closed_ = true;
    serve_soon();
  }
  void receive_reset(const std::string& why) {
    if (closed_ || broken_) return;
    broken_ = Error{Errc::closed, "connection to " + rt::to_string(remote_) + ": " + why};
    if (unsent_ > 0) send_error_ = broken_;
    drop_queue();
    serve_soon();
  }
  void reset(const std::string& why) {
    if (closed_ || broken_) return;
    tell_peer("rst", false);
    receive_reset(why);
  }

 private:
  static uint64_t size_of(const rt::OutPiece& piece) {
    if (const auto* own = std::get_if<Buffer>(&piece)) return own->size();
    if (const auto* shared = std::get_if<rt::SharedBuffer>(&piece)) return (*shared)->size();
    return std::get<rt::FileSlice>(piece).length;
  }

  template <class Body>
  void soon(bool& wanted, const char* what, Body body) {
    if (!life_.alive() || std::exchange(wanted, true)) return;
    life_.core.schedule(life_.host, &life_, life_.core.now, what,
                        [self = shared_from_this(), &wanted, body] {
                          wanted = false;
                          body(*self);
                        });
  }
  void serve_soon() {
    soon(serve_wanted_, "read", [](SimSocket& self) { self.serve(); });
  }
  void flush_soon() {
    soon(flush_wanted_, "send", [](SimSocket& self) { self.flush(); });
  }

  void complete_read(Result<size_t> result) {
    auto done = std::exchange(read_done_, nullptr);
    done(std::move(result));
  }

  void serve() {
    if (send_error_) {
      Error error = *std::exchange(send_error_, std::nullopt);
      auto failed = std::exchange(send_failed_, nullptr);
      if (failed) failed(std::move(error));
    }
    if (!read_done_) return;
    if (closed_) return complete_read(fail(Errc::closed, "connection is closed"));
    if (close_when_sent_) return;
    if (!inbox_.empty()) {
      size_t count = std::min(into_.size(), inbox_.size());
      Prng& prng = life_.core.prng;
      if (count > 1 && prng.chance(life_.core.options.net.partial_read))
        count = 1 + prng.below(count);
      std::memcpy(into_.data(), inbox_.data(), count);
      inbox_.erase(0, count);
      acknowledge(count);
      return complete_read(count);
    }
    if (broken_) return complete_read(std::unexpected(*broken_));
    if (peer_ended_) return complete_read(size_t{0});
  }

  void flush() {
    if (closed_) return;
    if (broken_) {
      if (unsent_ > 0 && !send_error_) send_error_ = broken_;
      drop_queue();
      return serve_soon();
    }
    uint64_t window = life_.core.options.net.buffer_bytes;
    bool had_some = unsent_ > 0;
    while (unsent_ > 0 && in_flight_ < window) {
      std::string segment;
      uint64_t room = std::min(window - in_flight_, kSegment);
      if (!take(room, segment)) return fail_send();
      in_flight_ += segment.size();
      if (life_.core.prng.chance(life_.core.options.net.reset)) return reset("injected reset");
      to_peer("segment", [segment = std::move(segment)](SimSocket& peer) mutable {
        peer.receive(std::move(segment));
      });
    }
    if (unsent_ > 0) return;
    if (close_when_sent_ && !fin_sent_) return linger();
    if (had_some && drained_) {
      Fn<void()> drained = std::move(drained_);
      drained_replaced_ = false;
      drained();
      if (!drained_replaced_) drained_ = std::move(drained);
    }
  }

  // Moves up to `room` bytes off the queue; false when a file does not hold its slice.
  bool take(uint64_t room, std::string& into) {
    while (room > 0 && !queue_.empty()) {
      rt::OutPiece& head = queue_.front();
      uint64_t left = size_of(head) - head_sent_;
      uint64_t count = std::min(room, left);
      if (auto* slice = std::get_if<rt::FileSlice>(&head)) {
        Buffer bytes(count);
        auto got = slice->file->read_at(slice->offset + head_sent_, bytes.mutable_bytes());
        if (!got || *got != count) return false;
        into += as_text(bytes.bytes());
      } else {
        Bytes bytes = std::holds_alternative<Buffer>(head)
                          ? std::get<Buffer>(head).bytes()
                          : std::get<rt::SharedBuffer>(head)->bytes();
        into += as_text(bytes.subspan(head_sent_, count));
      }
      room -= count;
      unsent_ -= count;
      head_sent_ += count;
      if (count == left) {
        queue_.erase(queue_.begin());
        head_sent_ = 0;
      }
    }
    return true;
  }

  void fail_send() {
    send_error_ = Error{Errc::io, "file ends before the slice that is sent"};
    tell_peer("rst", false);
    broken_ = send_error_;
    drop_queue();
    serve_soon();
  }

  void linger() {
    fin_sent_ = true;
    acknowledge(inbox_.size());
    inbox_.clear();
    tell_peer("fin", true);
    if (peer_ended_ || broken_) {
      closed_ = true;
      return serve_soon();
    }
    life_.core.schedule(life_.host, &life_, life_.core.now + kLingerNs, "linger end",
                        [self = shared_from_this()] {
                          if (self->closed_) return;
                          self->closed_ = true;
                          self->serve_soon();
                        });
  }

  void drop_queue() {
    queue_.clear();
    head_sent_ = 0;
    unsent_ = 0;
  }

  void acknowledge(uint64_t bytes) {
    if (bytes > 0 && peer_.lock())
      to_peer("ack", [bytes](SimSocket& peer) { peer.receive_ack(bytes); });
  }
  void tell_peer(const char* what, bool clean) {
    to_peer(what, [clean](SimSocket& peer) {
      if (clean)
        peer.receive_fin();
      else
        peer.receive_reset("reset by peer");
    });
  }

  template <class Body>
  void to_peer(const char* what, Body body) {
    auto peer = peer_.lock();
    if (!peer) {  // closed and forgotten there: the kernel answers what arrives with a reset
      life_.core.schedule(life_.host, &life_,
                          life_.core.now + life_.core.options.net.latency_max_ns, "rst",
                          [self = shared_from_this()] { self->receive_reset("peer is gone"); });
      return;
    }
    Message message;
    message.to = &peer_host_;
    message.life = &peer->life_;
    message.what = what;
    message.fifo = fifo_;
    message.deliver = [peer, body = std::move(body)]() mutable { body(*peer); };
    life_.core.transmit(life_.host, std::move(message));
  }

  Life& life_;
  Host& peer_host_;
  rt::Endpoint local_, remote_;
  std::weak_ptr<SimSocket> peer_;
  Fifo fifo_ = std::make_shared<Instant>();

  std::string inbox_;
  MutBytes into_;
  Fn<void(Result<size_t>)> read_done_;

  std::vector<rt::OutPiece> queue_;
  uint64_t head_sent_ = 0;
  uint64_t unsent_ = 0;
  uint64_t in_flight_ = 0;
  Fn<void()> drained_;
  bool drained_replaced_ = false;
  Fn<void(Error)> send_failed_;
  std::optional<Error> send_error_;

  bool serve_wanted_ = false;
  bool flush_wanted_ = false;
  bool close_when_sent_ = false;
  bool fin_sent_ = false;
  bool peer_ended_ = false;
  bool closed_ = false;
  std::optional<Error> broken_;
};

void reset_socket(SimSocket& socket, const std::string& why) { socket.reset(why); }
Host& peer_host(SimSocket& socket) { return socket.peer_host(); }

namespace {

class SimConnection final : public rt::Connection {
 public:
  explicit SimConnection(std::shared_ptr<SimSocket> socket) : socket_(std::move(socket)) {}
  ~SimConnection() override { socket_->abandon(); }
  using rt::Connection::send;
  void read(MutBytes into, Fn<void(Result<size_t>)> done) override {
    socket_->read(into, std::move(done));
  }
  void send(std::vector<rt::OutPiece> pieces) override { socket_->send(std::move(pieces)); }
  uint64_t unsent_bytes() const override { return socket_->unsent_bytes(); }
  void on_drained(Fn<void()> drained) override { socket_->on_drained(std::move(drained)); }
  void on_send_error(Fn<void(Error)> failed) override { socket_->on_send_error(std::move(failed)); }
  void close() override { socket_->close(); }
  void close_after_send() override { socket_->close_after_send(); }
  rt::Endpoint local() const override { return socket_->local(); }
  rt::Endpoint peer() const override { return socket_->remote(); }

 private:
  std::shared_ptr<SimSocket> socket_;
};

class SimListener final : public rt::Listener {
 public:
  explicit SimListener(std::shared_ptr<Listening> state) : state_(std::move(state)) {}
  ~SimListener() override {
    state_->closed = true;
    if (!state_->calling) state_->on_accept = nullptr;
    if (state_->life->alive()) state_->life->host.listeners.erase(state_->port);
  }
  uint16_t port() const override { return state_->port; }

 private:
  std::shared_ptr<Listening> state_;
};

// What both ends of an attempt to connect know of it.
struct Connecting {
  Life* life = nullptr;
  rt::Endpoint to;
  Fn<void(Result<std::unique_ptr<rt::Connection>>)> done;

  void finish(Result<std::unique_ptr<rt::Connection>> result) {
    auto taken = std::exchange(done, nullptr);
    if (taken) taken(std::move(result));
  }
};

class SimAttempt final : public rt::Net::Attempt {
 public:
  explicit SimAttempt(std::shared_ptr<Connecting> state) : state_(std::move(state)) {}
  ~SimAttempt() override { state_->done = nullptr; }

 private:
  std::shared_ptr<Connecting> state_;
};

void transmit(Core& core, Host& from, Host& to, const Life* life, const char* what,
              const Fifo& fifo, Fn<void()> deliver) {
  Message message;
  message.to = &to;
  message.life = life;
  message.what = what;
  message.fifo = fifo;
  message.deliver = std::move(deliver);
  core.transmit(from, std::move(message));
}

class SimNet final : public rt::Net {
 public:
  explicit SimNet(Life& life) : life_(life) {}

  Result<std::unique_ptr<rt::Listener>> listen(
      const rt::Endpoint& at, Fn<void(std::unique_ptr<rt::Connection>)> on_accept) override {
    Host& host = life_.host;
    if (!life_.alive()) return fail(Errc::closed, "the node is down");
    if (!at.host.empty() && at.host != "0.0.0.0" && at.host != "::" &&
        life_.core.resolve(host, at.host) != &host)
      return fail(Errc::invalid,
                  "listen on " + rt::to_string(at) + ": not an address of this node");
    uint16_t port = at.port != 0 ? at.port : free_port();
    if (host.listeners.contains(port))
      return fail(Errc::in_use, "listen on " + rt::to_string(at) + ": Address already in use");
    auto state = std::make_shared<Listening>();
    state->life = &life_;
    state->port = port;
    state->on_accept = std::move(on_accept);
    host.listeners[port] = state;
    return std::make_unique<SimListener>(std::move(state));
  }

  std::unique_ptr<Attempt> connect(
      const rt::Endpoint& to, Fn<void(Result<std::unique_ptr<rt::Connection>>)> done) override {
    auto state = std::make_shared<Connecting>();
    state->life = &life_;
    state->to = to;
    state->done = std::move(done);
    if (!life_.alive()) return std::make_unique<SimAttempt>(std::move(state));
    Core& core = life_.core;
    Host* target = core.resolve(life_.host, to.host);
    if (target == nullptr) {
      core.schedule(life_.host, &life_, core.now, "unresolved", [state] {
        state->finish(fail(Errc::not_found, "resolve " + state->to.host + ": no such node"));
      });
      return std::make_unique<SimAttempt>(std::move(state));
    }
    core.schedule(life_.host, &life_, core.now + core.options.net.connect_timeout_ns,
                  "connect timeout", [state] {
                    state->finish(fail(Errc::timed_out, "connect to " + rt::to_string(state->to)));
                  });
    rt::Endpoint local{life_.host.address, free_port()};
    auto fifo = std::make_shared<Instant>();
    transmit(core, life_.host, *target, nullptr, "syn", fifo,
             [&core, state, target, local, fifo] { arrived(core, state, *target, local, fifo); });
    return std::make_unique<SimAttempt>(std::move(state));
  }

 private:
  uint16_t free_port() {
    uint16_t& next = life_.host.next_port;
    do next = next >= 60'000 ? uint16_t{40'000} : static_cast<uint16_t>(next + 1);
    while (life_.host.listeners.contains(next));
    return next;
  }

  // The request to connect is at its target.
  static void arrived(Core& core, const std::shared_ptr<Connecting>& state, Host& target,
                      const rt::Endpoint& from, const Fifo& fifo);

  Life& life_;
};

void SimNet::arrived(Core& core, const std::shared_ptr<Connecting>& state, Host& target,
                     const rt::Endpoint& from, const Fifo& fifo) {
  Host& origin = state->life->host;
  auto found = target.listeners.find(state->to.port);
  if (found == target.listeners.end() || !state->life->alive()) {
    transmit(core, target, origin, state->life, "refused", fifo, [state] {
      state->finish(
          fail(Errc::refused, "connect to " + rt::to_string(state->to) + ": Connection refused"));
    });
    return;
  }
  std::shared_ptr<Listening> listening = found->second;
  rt::Endpoint here{target.address, state->to.port};
  auto server = std::make_shared<SimSocket>(*listening->life, origin, here, from);
  auto client = std::make_shared<SimSocket>(*state->life, target, from, here);
  server->start(client);
  client->start(server);
  transmit(core, target, origin, state->life, "connected", fifo, [state, client] {
    if (!state->done) return client->close();
    state->finish(std::make_unique<SimConnection>(client));
  });
  core.schedule(target, listening->life, core.now, "accept", [listening, server] {
    if (listening->closed) return server->reset("listener closed");
    listening->calling = true;
    listening->on_accept(std::make_unique<SimConnection>(server));
    listening->calling = false;
    if (listening->closed) listening->on_accept = nullptr;
  });
}

}  // namespace

std::unique_ptr<rt::Net> make_net(Life& life) { return std::make_unique<SimNet>(life); }

}  // namespace ottla::sim
