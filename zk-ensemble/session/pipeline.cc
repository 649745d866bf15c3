// Events in: connections, frames, durability, time. See answers.cc for what goes out and reads.cc
// for what is answered from the applied tree.
#include "zk-ensemble/session/pipeline.h"

#include <algorithm>

#include "common/base/check.h"
#include "zk-ensemble/session/pipeline_state.h"
#include "zk-ensemble/tree/jute_io.h"

namespace ottla::zk {

namespace {

constexpr SessionOwner kHere = 0;
// Ids of one connection: each access check looks at all of them. And their bytes.
constexpr size_t kMaxAuthIds = 1000;
constexpr size_t kMaxAuthBytes = 1 << 20;

// Session ids whose top byte is 0xff would read as TTL owners, 0 as none.
bool usable_session_id(int64_t id) {
  return id != 0 && id != kContainerOwner && (id & kTtlOwnerMask) != kTtlOwnerMask;
}

// What is answered with unimplemented and a close: everything no server knows, and what a client
// may ask inside a multi alone.
bool is_known(OpCode type) {
  switch (type) {
    case OpCode::create:
    case OpCode::remove:
    case OpCode::exists:
    case OpCode::get_data:
    case OpCode::set_data:
    case OpCode::get_acl:
    case OpCode::set_acl:
    case OpCode::get_children:
    case OpCode::sync:
    case OpCode::ping:
    case OpCode::get_children2:
    case OpCode::multi:
    case OpCode::create2:
    case OpCode::reconfig:
    case OpCode::check_watches:
    case OpCode::remove_watches:
    case OpCode::create_container:
    case OpCode::delete_container:
    case OpCode::create_ttl:
    case OpCode::multi_read:
    case OpCode::set_watches:
    case OpCode::get_ephemerals:
    case OpCode::get_all_children_number:
    case OpCode::set_watches2:
    case OpCode::add_watch:
    case OpCode::who_am_i:
    case OpCode::create_session:
    case OpCode::close_session:
      return true;
    case OpCode::auth:
    case OpCode::sasl:  // both are handled before
    case OpCode::error:
    case OpCode::notification:
    case OpCode::check:
      return false;
  }
  return false;
}

}  // namespace

Pipeline::Pipeline(DataTree& tree, const CoreOptions& options, int64_t session_clock_ms,
                   Instant now, PipelineLimits limits)
    : tree_(tree),
      options_(options),
      preparer_(tree, options, tree.last_zxid()),
      tracker_(options.tick_time_ms),
      limits_(std::move(limits)),
      throttle_(limits_.connects, static_cast<uint64_t>(session_clock_ms), now),
      watches_(*this),
      next_session_id_(first_session_id(options.server_id, session_clock_ms)),
      next_reap_(after_ms(now, options.container_check_interval_ms)) {
  tree_.set_listener(&watches_);
  for (const auto& [session, timeout_ms] : tree_.sessions())
    tracker_.track(session, timeout_ms, now);
}

Pipeline::~Pipeline() { tree_.set_listener(nullptr); }

Pipeline::Conn* Pipeline::find(ConnId id) {
  auto it = conns_.find(id);
  return it == conns_.end() ? nullptr : it->second.get();
}

// -------------------------------------------------------------------------------- connections

void Pipeline::on_open(ConnId id, std::string remote_address, Instant now) {
  OTTLA_CHECK(id != 0 && !conns_.contains(id));
  auto conn = std::make_unique<Conn>();
  conn->info.id = id;
  conn->info.established = now;
  conn->info.last_response = now;
  conn->auth = with_auth(nullptr, {"ip", remote_address});
  conn->info.remote_address = std::move(remote_address);
  conns_.emplace(id, std::move(conn));
}

void Pipeline::on_closed(ConnId id) {
  auto it = conns_.find(id);
  if (it == conns_.end()) return;
  forget_outstanding(*it->second);
  watches_.remove_watcher(id);
  if (auto of = by_session_.find(it->second->info.session);
      of != by_session_.end() && of->second == id)
    by_session_.erase(of);
  conns_.erase(it);
}

void Pipeline::on_frame(ConnId id, Bytes frame, Instant now, int64_t wall_ms, int64_t waited_ms) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->state == Conn::State::closing) return;
  ++stats_.packets_received;
  ++conn->info.packets_received;
  if (conn->state == Conn::State::fresh)
    handle_connect(*conn, frame, now, wall_ms);
  else
    handle_request(*conn, frame, now, wall_ms, waited_ms);
}

void Pipeline::handle_connect(Conn& conn, Bytes frame, Instant now, int64_t wall_ms) {
  wire::Reader in(frame);
  (void)in.i32();  // protocol version: there is one
  int64_t last_zxid_seen = in.i64();
  int32_t wanted_ms = in.i32();
  int64_t session = in.i64();
  std::optional<std::string_view> password = get_view(in);
  if (in.ok() && !in.at_end()) {
    (void)in.boolean();
    conn.read_only_byte = true;
  }
  if (!in.ok()) return end(conn);
  if (!throttle_.admit(session != 0, now)) {
    ++stats_.connects_throttled;
    return end(conn);
  }
  stats_.token_deficit.add(static_cast<uint64_t>(throttle_.deficit()));
  ++stats_.connects;
  // A client that has seen the future of this server must not see its past.
  if ( last_zxid_seen > tree_.last_zxid()) return end(conn);
  conn.info.timeout_ms = std::clamp<int64_t>(wanted_ms, options_.min_session_timeout_ms,
                                             options_.max_session_timeout_ms);
  conn.state = Conn::State::connected;
  Waiting waiting;
  waiting.type = OpCode::create_session;
  waiting.asked = now;
  if (session == 0) {
    // A clock that was set back gives ids out again; some may live.
    while (!usable_session_id(next_session_id_) || tracker_.known(next_session_id_)) ++next_session_id_;
    session = next_session_id_++;
    tracker_.track(session, conn.info.timeout_ms, now);
    tracker_.set_owner(session, kHere);
    propose(preparer_.prepare_create_session(session, 0, static_cast<int32_t>(conn.info.timeout_ms),
                                             wall_ms),
            conn.info.id);
    waiting.is_write = true;
  } else {
    // Whoever holds this session here loses it, before the password is looked at.
    if (auto of = by_session_.find(session); of != by_session_.end()) {
      if (Conn* other = find(of->second); other != nullptr && other != &conn) end(*other);
      by_session_.erase(of);
    }
    SessionPassword expected = session_password(session);
    if (password != as_text(expected) || !tracker_.touch(session, conn.info.timeout_ms, now)) {
      answer_connect(conn, false);
      return end(conn);
    }
    tracker_.set_owner(session, kHere);
    ++stats_.reconnects;
  }
  conn.info.session = session;
  by_session_[session] = conn.info.id;
  waiting.zxid = preparer_.last_zxid();
  wait(conn, std::move(waiting));
  drain(conn, now);
}

// ----------------------------------------------------------------------------------- requests

bool Pipeline::is_enforced(const Conn& conn) const {
  if (limits_.enforced_schemes.empty()) return false;
  return std::ranges::none_of(*conn.auth, [&](const AuthId& id) {
    return std::ranges::find(limits_.enforced_schemes, id.scheme) != limits_.enforced_schemes.end();
  });
}

bool Pipeline::is_large(size_t bytes) const {
  return limits_.large_request_threshold >= 0 &&
         bytes > static_cast<size_t>(limits_.large_request_threshold);
}

bool Pipeline::accepts_length(size_t bytes) {
  if (!is_large(bytes) ||
      large_bytes_ + static_cast<int64_t>(bytes) <= limits_.large_request_max_bytes)
    return true;
  ++stats_.large_requests_rejected;
  return false;
}

void Pipeline::handle_request(Conn& conn, Bytes frame, Instant now, int64_t wall_ms,
                              int64_t waited_ms) {
  wire::Reader in(frame);
  int32_t xid = in.i32();
  auto type = static_cast<OpCode>(in.i32());
  if (!in.ok()) return end(conn);
  Bytes body = frame.subspan(in.position());
  if (type == OpCode::auth) return handle_auth(conn, xid, body);
  if (type == OpCode::sasl) return handle_sasl(conn, xid, body);
  if (is_enforced(conn)) {
    conn.end_frame(conn.begin_reply(xid, 0, ZkError::session_closed_require_sasl_auth));
    ++stats_.packets_sent;
    ++conn.info.packets_sent;
    return end(conn);
  }
  if (!accepts_length(frame.size())) return end(conn);
  stats_.throttle_queue_ms.add(static_cast<uint64_t>(std::max<int64_t>(waited_ms, 0)));
  // A session that is closing gets no answers any more.
  if (!tracker_.touch(conn.info.session, conn.info.timeout_ms, now)) return;

  Waiting waiting;
  waiting.type = type;
  waiting.xid = xid;
  waiting.asked = Instant{now.ns - ms_to_ns(waited_ms)};
  if (is_large(frame.size())) waiting.large_bytes = static_cast<int64_t>(frame.size());
  bool of_session = type == OpCode::create_session || type == OpCode::close_session;
  if (limits_.throttled_op_wait_ms > 0 && waited_ms > limits_.throttled_op_wait_ms && !of_session &&
      type != OpCode::ping) {
    ++stats_.throttled_ops;
    waiting.error = ZkError::throttled_op;
    wait(conn, std::move(waiting));
    return drain(conn, now);
  }
  if (!is_known(type)) {
    waiting.error = ZkError::unimplemented;
    waiting.ends = true;
    wait(conn, std::move(waiting));
    return drain(conn, now);
  }
  if (of_session || Preparer::is_write(type))
    return handle_write(conn, type, std::move(waiting), body, now, wall_ms);

  ZkError session_error = tracker_.check(conn.info.session, kHere);
  if (session_error == ZkError::session_moved) return end(conn);
  waiting.error = session_error;
  if (type == OpCode::sync) waiting.zxid = preparer_.last_zxid();
  if (conn.queue.empty() && waiting.zxid <= tree_.last_zxid() && session_error == ZkError::ok) {
    answer_read(conn, type, waiting.xid, body, *conn.auth);
    return count(conn, type, waiting.xid, waiting.asked, now);
  }
  waiting.body = Buffer(body);
  waiting.auth = conn.auth;
  waiting.room = room_of(conn, type, body);
  wait(conn, std::move(waiting));
  drain(conn, now);
}

void Pipeline::handle_write(Conn& conn, OpCode type, Waiting waiting, Bytes body, Instant now,
                            int64_t wall_ms) {
  int32_t xid = waiting.xid;
  std::optional<Txn> txn;
  int64_t session = conn.info.session;
  if (type == OpCode::close_session) {
    txn = preparer_.prepare_close_session(session, xid, wall_ms);
    tracker_.set_closing(session);
  } else if (type == OpCode::create_session) {
    wire::Reader in(body);
    int32_t timeout_ms = in.i32();
    if (in.ok()) {
      tracker_.track(session, timeout_ms, now);
      txn = preparer_.prepare_create_session(session, xid, timeout_ms, wall_ms);
    }
  } else {
    txn = preparer_.prepare(
        {session, xid, type, body, conn.auth.get(), tracker_.check(session, kHere)}, wall_ms);
  }
  if (txn) {
    waiting.is_write = true;
    waiting.zxid = txn->header.zxid;
    propose(std::move(*txn), conn.info.id);
  } else {
    // Apache gives the error the zxid of the last proposal: it is answered after that.
    waiting.error = ZkError::marshalling_error;
    waiting.zxid = preparer_.last_zxid();
  }
  wait(conn, std::move(waiting));
  drain(conn, now);
}

void Pipeline::propose(Txn txn, ConnId conn) {
  Effects::Entry entry;
  entry.zxid = txn.header.zxid;
  entry.offset = effects_.log.size();
  txn.encode(effects_.log);
  entry.length = effects_.log.size() - entry.offset;
  effects_.entries.push_back(entry);
  proposed_bytes_ += entry.length;
  proposed_.push_back({std::move(txn), conn, entry.length});
}

void Pipeline::wait(Conn& conn, Waiting waiting) {
  large_bytes_ += waiting.large_bytes;
  conn.room += waiting.room;
  room_ += waiting.room;
  conn.queue.push_back(std::move(waiting));
  ++conn.info.outstanding;
  ++outstanding_;
}

Pipeline::Waiting Pipeline::take_front(Conn& conn) {
  Waiting waiting = std::move(conn.queue.front());
  conn.queue.pop_front();
  large_bytes_ -= waiting.large_bytes;
  conn.room -= waiting.room;
  room_ -= waiting.room;
  --conn.info.outstanding;
  --outstanding_;
  return waiting;
}

void Pipeline::forget_outstanding(Conn& conn) {
  while (!conn.queue.empty()) (void)take_front(conn);
}

// Answered at once, whatever else of the connection waits.
void Pipeline::handle_auth(Conn& conn, int32_t xid, Bytes body) {
  wire::Reader in(body);
  (void)in.i32();
  std::optional<std::string_view> scheme = get_view(in), data = get_view(in);
  if (!in.ok()) return end(conn);
  std::optional<AuthInfo> granted;
  if (scheme && (data || *scheme == "ip"))
    granted =
        authenticate(*scheme, as_bytes(data.value_or("")), conn.info.remote_address, options_);
  size_t kept = data ? data->size() : 0;
  for (const AuthId& id : *conn.auth) kept += id.id.size();
  if (conn.auth->size() >= kMaxAuthIds || kept > kMaxAuthBytes) granted.reset();
  if (granted)
    for (AuthId& id : *granted) conn.auth = with_auth(conn.auth, std::move(id));
  size_t at = conn.begin_reply(xid, 0, granted ? ZkError::ok : ZkError::auth_failed);
  conn.end_frame(at);
  ++stats_.packets_sent;
  ++conn.info.packets_sent;
  mark_dirty(conn);
  if (granted) return;
  ++stats_.auth_failures;
  end(conn);
}

// No mechanism is configured: the empty answer of a server without SASL.
void Pipeline::handle_sasl(Conn& conn, int32_t xid, Bytes body) {
  wire::Reader in(body);
  std::optional<std::string_view> token = get_view(in);
  if (!in.ok() || !token) return end(conn);
  size_t at = conn.begin_reply(xid, 0, ZkError::ok);
  conn.out.i32(-1);
  conn.end_frame(at);
  ++stats_.packets_sent;
  ++conn.info.packets_sent;
  mark_dirty(conn);
}

// --------------------------------------------------------------------------------------- time

void Pipeline::touch(ConnId id, Instant now) {
  const Conn* conn = find(id);
  if (conn != nullptr && conn->info.session != 0)
    (void)tracker_.touch(conn->info.session, conn->info.timeout_ms, now);
}

void Pipeline::on_tick(Instant now, int64_t wall_ms) {
  for (int64_t session : tracker_.expire(now)) {
    ++stats_.sessions_expired;
    propose(preparer_.prepare_close_session(session, 0, wall_ms), 0);
  }
  reap_containers(now, wall_ms);
}

void Pipeline::reap_containers(Instant now, int64_t wall_ms) {
  if (now < next_reap_) return;
  if (to_reap_.empty()) {
    std::vector<std::string> due = tree_.expired_containers(wall_ms);
    to_reap_.assign(due.begin(), due.end());
  } else {
    // Meanwhile it may have been used again, or replaced by another node.
    if (auto txn = preparer_.prepare_delete_container(to_reap_.front(), wall_ms)) propose(std::move(*txn), 0);
    to_reap_.pop_front();
  }
  int64_t spacing_ms =
      std::max<int64_t>(1, 60000 / std::max<int64_t>(1, options_.container_max_per_minute));
  next_reap_ = after_ms(now, to_reap_.empty() ? options_.container_check_interval_ms : spacing_ms);
}

std::optional<Instant> Pipeline::next_deadline() const {
  std::optional<Instant> expiry = tracker_.next_expiry();
  return expiry && *expiry < next_reap_ ? *expiry : next_reap_;
}

// ----------------------------------------------------------------------------------- operator

void Pipeline::close_session(int64_t session, int64_t wall_ms) {
  if (!tracker_.alive(session)) return;
  tracker_.set_closing(session);
  propose(preparer_.prepare_close_session(session, 0, wall_ms), 0);
}

void Pipeline::close_connection(ConnId id) {
  if (Conn* conn = find(id); conn != nullptr) end(*conn);
}

void Pipeline::close_all_connections() {
  for (auto& [id, conn] : conns_) end(*conn);
}

std::vector<ConnectionInfo> Pipeline::connections() const {
  std::vector<ConnectionInfo> infos;
  infos.reserve(conns_.size());
  for (const auto& [id, conn] : conns_) infos.push_back(conn->info);
  return infos;
}

std::optional<int64_t> Pipeline::session_of(ConnId id) const {
  auto it = conns_.find(id);
  if (it == conns_.end() || it->second->info.session == 0) return std::nullopt;
  return it->second->info.session;
}

int64_t Pipeline::outstanding(ConnId id) const {
  auto it = conns_.find(id);
  return it == conns_.end() ? 0 : it->second->info.outstanding;
}

size_t Pipeline::waiting_room(ConnId id) const {
  auto it = conns_.find(id);
  return it == conns_.end() ? 0 : it->second->room;
}

int64_t Pipeline::timeout_of(ConnId id) const {
  auto it = conns_.find(id);
  return it == conns_.end() || it->second->info.session == 0 ? INT64_MAX : it->second->info.timeout_ms;
}

size_t Pipeline::piled_bytes(ConnId id) const {
  auto it = conns_.find(id);
  return it == conns_.end() ? 0 : it->second->out.size();
}

void Pipeline::count_word(ConnId id, bool answered) {
  ++(answered ? stats_.packets_sent : stats_.packets_received);
  Conn* conn = find(id);
  if (conn != nullptr) ++(answered ? conn->info.packets_sent : conn->info.packets_received);
}

// Namespaces stay listed, as Apache's do.
void Pipeline::reset_stats() {
  ServerStats fresh;
  for (const auto& [name, bytes] : stats_.read_bytes) fresh.read_bytes[name];
  for (const auto& [name, bytes] : stats_.write_bytes) fresh.write_bytes[name];
  stats_ = std::move(fresh);
}

void Pipeline::reset_connection_stats() {
  for (auto& [id, conn] : conns_) {
    ConnectionInfo& info = conn->info;
    info.packets_received = info.packets_sent = 0;
    info.last_cxid = -1;
    info.last_zxid = -1;
    info.last_latency_ms = 0;
    info.latency = {};
    info.last_op = "NA";
  }
}

bool Pipeline::has_effects() const { return !effects_.entries.empty() || !dirty_.empty(); }

Effects Pipeline::take_effects() {
  for (ConnId id : dirty_) {
    Conn* conn = find(id);
    if (conn == nullptr) continue;
    conn->dirty = false;
    effects_.sends.push_back({id, conn->out.take(), conn->state == Conn::State::closing});
  }
  dirty_.clear();
  return std::exchange(effects_, {});
}

void Pipeline::check_invariants() const {
  tracker_.check_invariants();
  preparer_.check_invariants();
  watches_.data().check_invariants();
  watches_.children().check_invariants();
  int64_t outstanding = 0, large_bytes = 0;
  size_t room = 0;
  for (const auto& [id, conn] : conns_) {
    OTTLA_CHECK(conn->info.outstanding == static_cast<int64_t>(conn->queue.size()));
    outstanding += conn->info.outstanding;
    room += conn->room;
    size_t of_conn = 0;
    for (const Waiting& waiting : conn->queue) {
      large_bytes += waiting.large_bytes;
      of_conn += waiting.room;
    }
    OTTLA_CHECK(of_conn == conn->room);
    if (!conn->queue.empty() && conn->queue.front().is_write)
      OTTLA_CHECK(conn->queue.front().zxid > tree_.last_zxid());
  }
  OTTLA_CHECK(outstanding == outstanding_ && large_bytes == large_bytes_ && room == room_);
  int64_t last = tree_.last_zxid();
  size_t proposed_bytes = 0;
  for (const Proposed& proposed : proposed_) {
    OTTLA_CHECK(proposed.txn.header.zxid == last + 1);
    last = proposed.txn.header.zxid;
    proposed_bytes += proposed.bytes;
  }
  OTTLA_CHECK(proposed_bytes == proposed_bytes_);
  OTTLA_CHECK(last == preparer_.last_zxid());
}

}  // namespace ottla::zk
