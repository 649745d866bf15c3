// Room broker/zk: the session over a connection. Runs on the loop of its World; nothing here
// blocks. What happens on a loss of the connection or of the session is told in wire_client.h.
// Source: ZooKeeper Programmer's Guide (sessions, watches); client behaviour of KafkaZkClient.
#include "broker/zk/wire_client.h"

#include <fmt/core.h>

#include <algorithm>

#include "broker/zk/codec.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {

constexpr log::Room kLog{"broker.zk"};

constexpr int32_t kXidNotification = -1;
constexpr int32_t kXidPing = -2;
constexpr int32_t kXidAuth = -4;
constexpr int32_t kXidSetWatches = -8;
constexpr int32_t kPasswordBytes = 16;
constexpr size_t kReadChunk = 16 << 10;
constexpr size_t kMaxWatchBytesInFrame = 128 << 10;
constexpr int64_t kBackoffMinMs = 10;
constexpr int64_t kBackoffMaxMs = 1000;
// A server's jute.maxbuffer when nothing else is set: who is sent a longer frame hangs up.
constexpr size_t kServerTakesBytes = 0xfffff;

// The frame's length stands in front and is patched when the frame is whole.
wire::Writer begin_frame() {
  wire::Writer w(256);
  w.i32(0);
  return w;
}
Buffer end_frame(wire::Writer& w) {
  w.patch_i32(0, static_cast<int32_t>(w.size()) - 4);
  return w.take();
}

std::string servers_text(const ConnectString& connect) {
  std::string out;
  for (const rt::Endpoint& server : connect.servers)
    out += (out.empty() ? "" : ",") + rt::to_string(server);
  return out;
}

}  // namespace

WireClient::WireClient(rt::World& world, WireClientOptions options)
    : world_(world), options_(std::move(options)), prng_(world.entropy.u64()) {
  order_ = options_.servers.servers;
  // Each broker asks the servers in an order of its own, so that an ensemble shares its clients.
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[prng_.below(i)]);
  tick_timer_ = world_.loop.make_timer([this] { tick(); });
  connect_timer_ = world_.loop.make_timer([this] {
    if (state_ == State::idle || state_ == State::disconnected)
      connect_next();
    else
      on_lost("no answer to the connection attempt");
  });
}

WireClient::~WireClient() { *alive_ = false; }

void WireClient::start(Fn<void(Result<void>)> ready) {
  OTTLA_CHECK(state_ == State::idle);
  ready_ = std::move(ready);
  start_timer_ = world_.loop.make_timer([this] { give_up_start(); });
  start_timer_->arm_at(after_ms(world_.loop.now(), options_.connection_timeout_ms));
  connect_next();
}

void WireClient::give_up_start() {
  if (!ready_) return;
  state_ = State::closed;
  attempt_.reset();
  connection_.reset();
  connect_timer_->cancel();
  auto ready = std::move(ready_);
  ready_ = nullptr;
  ready(fail(Errc::timed_out,
             fmt::format("no ZooKeeper server of {} answered within {} ms (last: {}); start the "
                         "ensemble, or correct zookeeper.connect",
                         servers_text(options_.servers), options_.connection_timeout_ms,
                         last_failure_.empty() ? "no connection" : last_failure_)));
}

// ---------------------------------------------------------------------------------- connecting

void WireClient::connect_next() {
  state_ = State::connecting;
  const rt::Endpoint& server = order_[next_server_];
  // One slow server must not eat the session: Java's client, too, gives each its share. A session
  // that lives has time for another try even at a single server, which may have taken the
  // connection while it was still starting and never answer.
  auto shares = static_cast<int64_t>(order_.size());
  int64_t timeout_ms = options_.session_timeout_ms;
  if (credentials_.session_id != 0) {
    shares = std::max<int64_t>(shares, 3);
    if (negotiated_timeout_ms_ > 0) timeout_ms = negotiated_timeout_ms_;
  }
  int64_t share_ms = std::max<int64_t>(timeout_ms / shares, 500);
  connect_timer_->arm_at(after_ms(world_.loop.now(), share_ms));
  attempt_ = world_.net.connect(server, [this](auto result) { on_connect(std::move(result)); });
}

void WireClient::retry_later() {
  state_ = State::disconnected;
  next_server_ = (next_server_ + 1) % order_.size();
  ++failed_in_a_row_;
  size_t rounds = failed_in_a_row_ / order_.size();
  int64_t delay_ms = 0;
  if (failed_in_a_row_ % order_.size() == 0) {
    delay_ms = std::min<int64_t>(kBackoffMaxMs, kBackoffMinMs << std::min<size_t>(rounds, 7));
    delay_ms = delay_ms / 2 + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(delay_ms)));
  }
  connect_timer_->arm_at(after_ms(world_.loop.now(), delay_ms));
}

void WireClient::on_connect(Result<std::unique_ptr<rt::Connection>> result) {
  // The attempt's object dies with the next one; destroying it inside its own call is not safe.
  if (state_ != State::connecting) return;
  if (!result) {
    last_failure_ = result.error().context;
    retry_later();
    return;
  }
  connection_ = std::move(*result);
  connection_->on_send_error([this](Error) { on_lost("a send failed"); });
  in_used_ = 0;
  state_ = State::handshake;
  send_connect_request();
  read_more();
}

void WireClient::send_connect_request() {
  wire::Writer w = begin_frame();
  w.i32(0);  // protocol version
  w.i64(last_zxid_);
  w.i32(options_.session_timeout_ms);
  w.i64(credentials_.session_id);
  std::string password = credentials_.password;
  password.resize(kPasswordBytes, '\0');
  w.i32(kPasswordBytes);
  w.raw(password);
  w.boolean(false);  // not content with a read-only server
  send_frame(end_frame(w));
}

bool WireClient::on_connect_response(Bytes frame) {
  wire::Reader r(frame);
  r.i32();  // protocol version
  int32_t timeout_ms = r.i32();
  int64_t session_id = r.i64();
  int32_t password_bytes = r.i32();
  if (password_bytes < 0 || password_bytes > 64) r.set_failed();
  std::string password(r.text(static_cast<size_t>(r.ok() ? password_bytes : 0)));
  if (!r.ok()) {
    on_lost("an answer to the connect request that does not decode");
    return false;
  }
  connect_timer_->cancel();
  failed_in_a_row_ = 0;
  if (timeout_ms <= 0) {
    on_expired();
    return false;
  }
  fresh_session_ = credentials_.session_id != session_id;
  credentials_ = {session_id, std::move(password)};
  negotiated_timeout_ms_ = timeout_ms;
  last_received_ = world_.loop.now();
  arm_tick();
  if (ending_old_session_) {
    state_ = State::connected;
    close(options_.connection_timeout_ms, [this](bool gone) {
      auto ready = std::exchange(ready_, nullptr);
      if (!ready) return;
      if (gone) return ready({});
      ready(fail(Errc::closed, "the connection was lost before the server answered"));
    });
    return true;
  }
  state_ = State::preparing;
  prepare_session();
  return true;
}

void WireClient::prepare_session() {
  for (const auto& [scheme, auth] : auths_) send_auth(scheme, auth);
  if (options_.create_chroot && !options_.servers.chroot.empty() && !chroot_ready_) {
    submit_internal(ZkRequest::exists(options_.servers.chroot),
                    [this](ZkReply reply) { on_chroot_checked(std::move(reply)); });
    return;
  }
  enter_connected();
}

void WireClient::on_chroot_checked(ZkReply reply) {
  // Lost: prepared again after the reconnect; or closed meanwhile.
  if (state_ != State::preparing || reply.error == ZkError::connection_loss) return;
  if (reply.ok()) {
    chroot_ready_ = true;
    enter_connected();
    return;
  }
  const std::string& chroot = options_.servers.chroot;
  for (size_t at = 1; at != std::string::npos;) {
    at = chroot.find('/', at + 1);
    bool last = at == std::string::npos;
    submit_internal(
        ZkRequest::create(chroot.substr(0, at), std::nullopt), [this, last](ZkReply made) {
          if (state_ != State::preparing || made.error == ZkError::connection_loss || !last) return;
          if (made.ok() || made.error == ZkError::node_exists) {
            chroot_ready_ = true;
            enter_connected();
          } else {
            last_failure_ = fmt::format("the chroot {} cannot be made: {}", options_.servers.chroot,
                                        jute::error_name(made.error));
            on_lost("the chroot cannot be made");
          }
        });
  }
}

void WireClient::enter_connected() {
  state_ = State::connected;
  if (!fresh_session_) set_watches_again();
  if (start_timer_) start_timer_->cancel();
  auto alive = alive_;
  log::info(kLog, fresh_session_ ? "session established" : "session reconnected",
            "session=0x{:x} timeout_ms={} server={}",
            static_cast<uint64_t>(credentials_.session_id), negotiated_timeout_ms_,
            rt::to_string(connection_->peer()));
  notify(fresh_session_ ? ZkSessionEvent::connected : ZkSessionEvent::reconnected);
  if (!*alive) return;
  if (auto ready = std::exchange(ready_, nullptr)) ready({});
  if (*alive) pump();
}

// One frame holds about 128 KiB of paths, so that no server finds it too large.
void WireClient::set_watches_again() {
  auto it = watches_.begin();
  while (it != watches_.end()) {
    std::vector<std::string> paths[3];
    for (size_t bytes = 0; it != watches_.end() && bytes < kMaxWatchBytesInFrame; ++it) {
      paths[static_cast<int>(it->first)].push_back(it->second);
      bytes += it->second.size() + 4;
    }
    wire::Writer w = begin_frame();
    w.i32(kXidSetWatches);
    w.i32(static_cast<int32_t>(OpCode::set_watches));
    w.i64(last_zxid_);
    for (const auto& list : paths) {
      w.i32(static_cast<int32_t>(list.size()));
      for (const std::string& path : list) {
        w.i32(static_cast<int32_t>(path.size()));
        w.raw(path);
      }
    }
    send_frame(end_frame(w));
  }
}

// --------------------------------------------------------------------------------------- losses

void WireClient::drop_connection() {
  if (connection_) on_lost("dropped by the test");
}

void WireClient::on_lost(const char* why) {
  if (state_ == State::closed || state_ == State::idle) return;
  if (state_ == State::closing) {
    if (!ending_old_session_) return finish_close(false);
    // Whether the session is gone is not known: the next connection ends it or finds it expired.
    closed_ = nullptr;
    close_timer_->cancel();
  }
  bool was_connected = state_ == State::connected;
  if (last_failure_.empty() || was_connected)
    last_failure_ = fmt::format("{}: {}", rt::to_string(order_[next_server_]), why);
  if (was_connected)
    log::warn(kLog, "connection to ZooKeeper lost, trying the next server", "why=\"{}\"", why);
  retire_connection();
  tick_timer_->cancel();
  std::vector<Pending> failed;
  for (size_t i = in_flight_.size(); i-- > 0;) {
    Pending& pending = in_flight_[i];
    // What may be why the server hung up is not sent to it for ever.
    bool again = pending.request.retry && pending.frame_bytes <= kServerTakesBytes;
    if (again && !pending.internal) {
      pending.retried = true;
      queued_.push_front(std::move(pending));
    } else {
      failed.push_back(std::move(pending));
    }
  }
  in_flight_.clear();
  for (Pending& pending : auth_in_flight_) failed.insert(failed.begin(), std::move(pending));
  auth_in_flight_.clear();
  retry_later();
  auto alive = alive_;
  for (size_t i = failed.size(); i-- > 0 && *alive;) {
    ZkReply reply;
    reply.error = ZkError::connection_loss;
    failed[i].done(std::move(reply));
  }
  if (*alive && was_connected) notify(ZkSessionEvent::disconnected);
}

// The connection may be calling us: it is destroyed from the loop's next turn.
void WireClient::retire_connection() {
  attempt_.reset();
  if (!connection_) return;
  connection_->close();
  world_.loop.post([dead = std::shared_ptr<rt::Connection>(std::move(connection_))] {});
}

void WireClient::on_expired() {
  auto alive = alive_;
  retire_connection();
  tick_timer_->cancel();
  if (ending_old_session_ || state_ == State::closing) {
    credentials_ = {};
    state_ = State::closed;
    if (closed_) return finish_close(true);
    if (auto ready = std::exchange(ready_, nullptr)) ready({});
    return;
  }
  log::warn(kLog, "session expired, opening a new one", "session=0x{:x}",
            static_cast<uint64_t>(credentials_.session_id));
  credentials_ = {};
  watches_.clear();
  state_ = State::disconnected;
  connect_timer_->arm_at(world_.loop.now());
  std::deque<Pending> lost;
  lost.swap(queued_);
  fail_all(std::move(lost), ZkError::session_expired);
  if (*alive) notify(ZkSessionEvent::expired);
}

void WireClient::fail_all(std::deque<Pending> pending, ZkError error) {
  auto alive = alive_;
  for (Pending& one : pending) {
    if (!*alive) return;
    ZkReply reply;
    reply.error = error;
    reply.retried = one.retried;
    one.done(std::move(reply));
  }
}

// ---------------------------------------------------------------------------------------- input

void WireClient::read_more() {
  if (in_.size() < in_used_ + kReadChunk) in_.resize_uninitialized(in_used_ + kReadChunk);
  connection_->read(in_.mutable_bytes().subspan(in_used_),
                    [this](Result<size_t> result) { on_read(std::move(result)); });
}

void WireClient::on_read(Result<size_t> result) {
  if (!connection_) return;
  if (!result || *result == 0) {
    on_lost(result ? "closed by the server" : "the connection broke");
    return;
  }
  in_used_ += *result;
  rt::Connection* before = connection_.get();
  auto alive = alive_;
  size_t at = 0;
  // A callback may lose the connection, or destroy the client.
  while (in_used_ - at >= 4) {
    auto length = load_be<uint32_t>(in_.data() + at);
    if (length > options_.max_frame_bytes) return on_lost("a frame larger than jute.maxbuffer");
    if (in_used_ - at - 4 < length) break;
    Bytes frame(in_.data() + at + 4, length);
    at += 4 + length;
    bool go_on = state_ == State::handshake ? on_connect_response(frame) : on_frame(frame);
    if (!*alive || !go_on || connection_.get() != before) return;
  }
  if (at > 0) {
    std::memmove(in_.data(), in_.data() + at, in_used_ - at);
    in_used_ -= at;
  }
  if (in_used_ >= 4) {
    size_t whole = 4 + size_t{load_be<uint32_t>(in_.data())};
    if (whole > in_.size()) in_.resize_uninitialized(whole);
  }
  read_more();
  pump();
}

bool WireClient::on_frame(Bytes frame) {
  last_received_ = world_.loop.now();
  wire::Reader r(frame);
  int32_t xid = r.i32();
  int64_t zxid = r.i64();
  auto error = static_cast<ZkError>(r.i32());
  if (!r.ok()) {
    on_lost("a reply without a header");
    return false;
  }
  if (zxid > 0) last_zxid_ = std::max(last_zxid_, zxid);
  switch (xid) {
    case kXidPing:
    case kXidSetWatches:
      return true;
    case kXidAuth:
      return on_auth_reply(error);
    case kXidNotification:
      return on_notification(r);
    default:
      return on_reply(xid, error, r);
  }
}

bool WireClient::on_auth_reply(ZkError error) {
  auto alive = alive_;
  if (!auth_in_flight_.empty()) {
    Pending pending = std::move(auth_in_flight_.front());
    auth_in_flight_.pop_front();
    ZkReply reply;
    reply.error = error;
    if (pending.done) pending.done(std::move(reply));
  }
  if (*alive && error != ZkError::ok) notify(ZkSessionEvent::auth_failed);
  return *alive;
}

bool WireClient::on_reply(int32_t xid, ZkError error, wire::Reader& r) {
  if (in_flight_.empty() || in_flight_.front().xid != xid) {
    on_lost("a reply out of order");
    return false;
  }
  Pending pending = std::move(in_flight_.front());
  in_flight_.pop_front();
  ZkReply reply;
  reply.error = error;
  reply.retried = pending.retried;
  std::string_view chroot = pending.internal ? std::string_view() : options_.servers.chroot;
  if (error == ZkError::ok && !decode_zk_body(r, pending.request, chroot, reply)) {
    in_flight_.push_front(std::move(pending));
    on_lost("a reply that does not decode");
    return false;
  }
  if (pending.request.op == OpCode::close_session) {
    finish_close(true);
    return false;
  }
  remember_watch(pending.request, reply);
  auto alive = alive_;
  pending.done(std::move(reply));
  return *alive;
}

bool WireClient::on_notification(wire::Reader& r) {
  int32_t type = r.i32();
  r.i32();  // state: servers send SyncConnected alone
  int32_t length = r.i32();
  if (length < 0) r.set_failed();
  std::string path(r.text(static_cast<size_t>(r.ok() ? length : 0)));
  if (!r.ok()) {
    on_lost("a notification that does not decode");
    return false;
  }
  if (type < 1 || type > 4) return true;
  auto event = static_cast<ZkEventType>(type);
  watches_.erase(
      {event == ZkEventType::children_changed ? WatchKind::child : WatchKind::data, path});
  if (event != ZkEventType::children_changed) watches_.erase({WatchKind::exist, path});
  if (event == ZkEventType::deleted) watches_.erase({WatchKind::child, path});
  ZkEvent told{event, without_chroot(options_.servers.chroot, path)};
  auto alive = alive_;
  auto listeners = listeners_;
  for (ZkListener* listener : listeners) {
    listener->on_zk_event(told);
    if (!*alive) return false;
  }
  return true;
}

void WireClient::remember_watch(const ZkRequest& request, const ZkReply& reply) {
  if (!request.watch) return;
  std::string path = with_chroot(options_.servers.chroot, request.path);
  if (request.op == OpCode::exists && reply.error == ZkError::no_node)
    watches_.insert({WatchKind::exist, path});
  else if (!reply.ok())
    return;
  else if (request.op == OpCode::get_children2)
    watches_.insert({WatchKind::child, path});
  else
    watches_.insert({WatchKind::data, path});
}

// --------------------------------------------------------------------------------------- output

void WireClient::submit(ZkRequest request, ZkDone done) {
  Pending pending;
  pending.request = std::move(request);
  pending.done = std::move(done);
  if (state_ == State::closing || state_ == State::closed) {
    world_.loop.post([alive = alive_, pending = std::move(pending)]() mutable {
      if (!*alive) return;
      ZkReply reply;
      reply.error = ZkError::session_expired;
      pending.done(std::move(reply));
    });
    return;
  }
  if (pending.request.op == OpCode::auth)
    auths_.emplace_back(pending.request.scheme, pending.request.data.value_or(""));
  queued_.push_back(std::move(pending));
  pump();
}

void WireClient::pump() {
  if (state_ != State::connected) return;
  while (!queued_.empty() && in_flight_.size() < static_cast<size_t>(options_.max_in_flight)) {
    Pending pending = std::move(queued_.front());
    queued_.pop_front();
    if (pending.request.op == OpCode::auth) {
      send_auth(pending.request.scheme, pending.request.data.value_or(""));
      auth_in_flight_.push_back(std::move(pending));
    } else {
      send_pending(std::move(pending));
    }
  }
}

void WireClient::submit_internal(ZkRequest request, ZkDone done) {
  Pending pending;
  pending.request = std::move(request);
  pending.done = std::move(done);
  pending.internal = true;
  send_pending(std::move(pending));
}

void WireClient::send_pending(Pending pending) {
  pending.xid = next_xid_;
  next_xid_ = next_xid_ == INT32_MAX ? 1 : next_xid_ + 1;
  wire::Writer w = begin_frame();
  w.i32(pending.xid);
  w.i32(static_cast<int32_t>(pending.request.op));
  encode_zk_body(w, pending.request,
                 pending.internal ? std::string_view() : options_.servers.chroot);
  Buffer frame = end_frame(w);
  pending.frame_bytes = frame.size();
  in_flight_.push_back(std::move(pending));
  send_frame(std::move(frame));
}

void WireClient::send_auth(const std::string& scheme, const std::string& auth) {
  wire::Writer w = begin_frame();
  w.i32(kXidAuth);
  w.i32(static_cast<int32_t>(OpCode::auth));
  w.i32(0);
  w.i32(static_cast<int32_t>(scheme.size()));
  w.raw(scheme);
  w.i32(static_cast<int32_t>(auth.size()));
  w.raw(auth);
  send_frame(end_frame(w));
}

void WireClient::send_frame(Buffer frame) {
  last_sent_ = world_.loop.now();
  connection_->send(std::move(frame));
}

// --------------------------------------------------------------------------- liveness and close

void WireClient::arm_tick() {
  int64_t third_ns = ms_to_ns(negotiated_timeout_ms_) / 3;
  tick_timer_->arm_at(std::min(last_sent_ + third_ns, last_received_ + 2 * third_ns));
}

void WireClient::tick() {
  if (!connection_) return;
  Instant now = world_.loop.now();
  int64_t third_ns = ms_to_ns(negotiated_timeout_ms_) / 3;
  if (now - last_received_ >= 2 * third_ns)
    return on_lost("nothing heard for two thirds of the timeout");
  if (now - last_sent_ >= third_ns) {
    wire::Writer w = begin_frame();
    w.i32(kXidPing);
    w.i32(static_cast<int32_t>(OpCode::ping));
    send_frame(end_frame(w));
  }
  arm_tick();
}

void WireClient::close(int32_t timeout_ms, Fn<void(bool gone)> closed) {
  closed_ = std::move(closed);
  bool can_say = state_ == State::connected || state_ == State::preparing;
  state_ = State::closing;
  ready_ = ending_old_session_ ? std::move(ready_) : nullptr;
  connect_timer_->cancel();
  close_timer_ = world_.loop.make_timer([this] { finish_close(false); });
  if (!can_say) {
    close_timer_->arm_at(world_.loop.now());
    return;
  }
  close_timer_->arm_at(after_ms(world_.loop.now(), timeout_ms));
  ZkRequest request;
  request.op = OpCode::close_session;
  submit_internal(std::move(request), [](ZkReply) {});
}

void WireClient::finish_close(bool gone) {
  if (state_ == State::closed && !closed_) return;
  state_ = State::closed;
  retire_connection();
  tick_timer_->cancel();
  connect_timer_->cancel();
  if (close_timer_) close_timer_->cancel();
  credentials_ = {};
  std::deque<Pending> lost;
  lost.swap(queued_);
  auto alive = alive_;
  fail_all(std::move(lost), ZkError::session_expired);
  if (!*alive) return;
  if (auto closed = std::exchange(closed_, nullptr)) closed(gone);
}

std::unique_ptr<WireClient> WireClient::end_session(rt::World& world, WireClientOptions options,
                                                    ZkSessionCredentials old,
                                                    Fn<void(Result<void>)> done) {
  options.create_chroot = false;
  auto client = std::make_unique<WireClient>(world, std::move(options));
  client->credentials_ = std::move(old);
  client->ending_old_session_ = true;
  client->start(std::move(done));
  return client;
}

void WireClient::add_listener(ZkListener* listener) { listeners_.push_back(listener); }
void WireClient::remove_listener(ZkListener* listener) { std::erase(listeners_, listener); }

void WireClient::notify(ZkSessionEvent event) {
  auto alive = alive_;
  auto listeners = listeners_;
  for (ZkListener* listener : listeners) {
    listener->on_zk_session(event);
    if (!*alive) return;
  }
}

}  // namespace ottla::broker
