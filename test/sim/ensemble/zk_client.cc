#include "test/sim/ensemble/zk_client.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::test {
namespace {

constexpr int32_t kCreate = 1, kDelete = 2, kExists = 3, kGetData = 4, kSetData = 5, kGetChildren = 8,
                  kPing = 11, kCheck = 13, kMulti = 14, kCloseSession = -11;
constexpr int32_t kPingXid = -2;
constexpr int64_t kRetryMs = 40;
constexpr int32_t kEphemeral = 1, kSequential = 2;

void put_text(wire::Writer& out, std::string_view text) {
  out.i32(static_cast<int32_t>(text.size()));
  out.raw(text);
}
void put_open_acl(wire::Writer& out) {
  out.i32(1);
  out.i32(31);
  put_text(out, "world");
  put_text(out, "anyone");
}
std::string get_text(wire::Reader& in) {
  int32_t length = in.i32();
  return length <= 0 ? std::string() : std::string(in.text(static_cast<size_t>(length)));
}
Buffer framed(const wire::Writer& body) {
  wire::Writer frame(body.size() + 4);
  frame.i32(static_cast<int32_t>(body.size()));
  frame.raw(body.bytes());
  return frame.take();
}
bool is_write(int32_t type) {
  return type == kCreate || type == kDelete || type == kSetData || type == kMulti;
}

}  // namespace

ZkClient::ZkClient(int number, rt::World world, const ClientOptions& options, uint64_t seed,
                   History& history)
    : number_(number), world_(world), options_(options), prng_(seed), history_(history),
      left_(options.operations) {
  timer_ = world_.loop.make_timer([this] { connect(); });
  ping_timer_ = world_.loop.make_timer([this] { on_beat(); });
}

// Pings; and gives up, as every client does, a connection or an attempt that nothing comes of. What was
// sent on it may still arrive.
void ZkClient::on_beat() {
  Instant now = world_.loop.now();
  int64_t beat_ms = options_.session_timeout_ms / 3;
  if (state_ == State::connecting || state_ == State::handshaking) {
    if (now - began_ >= ms_to_ns(options_.session_timeout_ms)) {
      attempt_.reset();
      connection_.reset();
      return on_lost();
    }
  } else if (state_ == State::serving) {
    if (now - heard_ > ms_to_ns(2 * beat_ms)) {
      connection_.reset();
      return on_lost();
    }
    wire::Writer body;
    body.i32(kPingXid);
    body.i32(kPing);
    connection_->send(framed(body));
    pings_.push_back(now);
    fill_pipeline();
  } else {
    return;
  }
  ping_timer_->arm_at(after_ms(now, beat_ms));
}

void ZkClient::vanish() {
  state_ = State::finished;
  attempt_.reset();
  connection_.reset();
  timer_->cancel();
  ping_timer_->cancel();
}

// -------------------------------------------------------------------------------------- connection

void ZkClient::connect() {
  state_ = State::connecting;
  connection_.reset();
  began_ = world_.loop.now();
  ping_timer_->arm_at(after_ms(began_, options_.session_timeout_ms / 3));
  attempt_ = world_.net.connect(options_.server, [this](Result<std::unique_ptr<rt::Connection>> got) {
    on_connected(std::move(got));
  });
}

void ZkClient::on_connected(Result<std::unique_ptr<rt::Connection>> connection) {
  if (!connection) return retry_later();
  connection_ = std::move(*connection);
  state_ = State::handshaking;
  in_.clear();
  pings_.clear();
  reply_zxid_ = 0;
  began_ = world_.loop.now();
  data_watches_.clear();
  child_watches_.clear();
  wire::Writer body;
  body.i32(0);
  body.i64(last_zxid_);
  body.i32(options_.session_timeout_ms);
  body.i64(session_);
  put_text(body, password_);
  body.u8(0);
  connection_->send(framed(body));
  read_more();
}

void ZkClient::retry_later() {
  state_ = State::waiting;
  timer_->arm_at(after_ms(world_.loop.now(), kRetryMs));
}

// What was asked and not answered is unknown: it may have happened or not.
void ZkClient::on_lost() {
  if (state_ == State::finished) return;
  ++history_.reconnects;
  bool was_closing = !outstanding_.empty() && outstanding_.back().last;
  outstanding_.clear();
  ping_timer_->cancel();
  if (was_closing) left_ = 0;
  retry_later();
}

void ZkClient::read_more() {
  connection_->read(chunk_.mutable_bytes(), [this](Result<size_t> got) {
    if (!got || *got == 0) return on_lost();
    on_bytes(*got);
  });
}

void ZkClient::on_bytes(size_t count) {
  in_.append(chunk_.bytes().first(count));
  size_t at = 0;
  while (in_.size() - at >= 4 && state_ != State::finished) {
    auto length = static_cast<size_t>(load_be<int32_t>(in_.data() + at));
    if (in_.size() - at - 4 < length) break;
    Buffer frame(in_.bytes().subspan(at + 4, length));
    at += 4 + length;
    on_frame(frame.bytes());
    if (state_ == State::waiting) return;
  }
  if (state_ == State::finished) return;
  in_.consume(at);
  fill_pipeline();
  read_more();
}

void ZkClient::on_frame(Bytes frame) {
  if (state_ == State::handshaking) return on_handshake(frame);
  wire::Reader in(frame);
  int32_t xid = in.i32();
  int64_t zxid = in.i64();
  int32_t error = in.i32();
  if (xid == -1) return on_event(in, zxid);
  if (zxid > 0 && zxid < last_zxid_)
    history_.violated("RepliesNeverGoBack", fmt::format("client {}: zxid {} after {}", number_, zxid, last_zxid_));
  if (zxid > 0) last_zxid_ = reply_zxid_ = zxid;
  heard_ = world_.loop.now();
  if (xid == kPingXid) {
    if (pings_.empty()) return history_.violated("RepliesInOrder", "a pong that nobody asked for");
    asked_ = std::max(asked_, pings_.front());
    pings_.pop_front();
    return;
  }
  on_reply(in, xid, zxid, error);
}

void ZkClient::on_handshake(Bytes frame) {
  wire::Reader in(frame);
  in.i32();
  int32_t timeout_ms = in.i32();
  int64_t session = in.i64();
  std::string password = get_text(in);
  if (timeout_ms <= 0) {
    // Expired: a new session is asked for, with nothing of the old one. A server's clock may be fast,
    // its wall clock may jump, but it heard this client at asked_ or later.
    int64_t quiet_ms = (world_.loop.now() - asked_) / 1'000'000;
    if (session_ != 0 && !closed_ && quiet_ms < timeout_ms_ * 8 / 10)
      history_.violated("SessionsLiveTheirTimeout",
                        fmt::format("client {}: heard {} ms ago, expired, its timeout is {} ms", number_,
                                    quiet_ms, timeout_ms_));
    ++history_.expirations;
    history_.session_closed(session_);
    session_ = 0;
    closed_ = false;
    password_.assign(16, '\0');
    return retry_later();
  }
  if (session_ != 0 && session != session_)
    history_.violated("SessionMovesWhole", fmt::format("client {}: asked for its session, got another", number_));
  session_ = session;
  password_ = password;
  timeout_ms_ = timeout_ms;
  asked_ = began_;
  heard_ = world_.loop.now();
  history_.session_opened(session_, number_);
  state_ = State::serving;
  ping_timer_->arm_at(after_ms(world_.loop.now(), options_.session_timeout_ms / 3));
}

// --------------------------------------------------------------------------------- events, answers

void ZkClient::on_event(wire::Reader& in, int64_t zxid) {
  int32_t type = in.i32();
  in.i32();
  std::string path = get_text(in);
  ++history_.events;
  if (zxid > 0 && zxid < reply_zxid_)
    history_.violated("WatchFiresBeforeLaterData",
                      fmt::format("client {}: event of {} at zxid {} after an answer at {}", number_, path,
                                  zxid, reply_zxid_));
  // Created, deleted and changed are of the data table; deleted may be of the children table instead.
  bool fired = false;
  auto take = [&](std::map<std::string, int64_t>& watches) {
    auto found = watches.find(path);
    if (found == watches.end()) return;
    watches.erase(found);
    fired = true;
  };
  if (type != 4) take(data_watches_);
  if (type == 4 || type == 2) take(child_watches_);
  if (!fired)
    history_.violated("WatchFiresOnce", fmt::format("client {}: event {} of {} at zxid {} without a watch",
                                                    number_, type, path, zxid));
}

void ZkClient::on_reply(wire::Reader& in, int32_t xid, int64_t zxid, int32_t error) {
  if (outstanding_.empty() || outstanding_.front().xid != xid) {
    return history_.violated("RepliesInOrder", fmt::format("client {}: reply {} where {} is due", number_, xid,
                                                           outstanding_.empty() ? 0 : outstanding_.front().xid));
  }
  Request request = std::move(outstanding_.front());
  outstanding_.pop_front();
  asked_ = std::max(asked_, request.sent);
  if (request.last) {
    history_.session_closed(session_);
    return vanish();
  }
  if (!is_write(request.type)) {
    ++history_.reads;
    if (request.type == kGetChildren) {
      if (request.watch && error == 0) child_watches_.try_emplace(request.path, 0);
      return;
    }
    int64_t mzxid = 0;
    if (error == 0) {
      if (request.type == kGetData) in.skip(static_cast<size_t>(std::max(in.i32(), 0)));
      in.i64();
      mzxid = in.i64();
    }
    if (mzxid > zxid)
      history_.violated("ReadsAreApplied", fmt::format("client {}: {} at {}", number_, mzxid, zxid));
    on_node_seen(request, mzxid);
    if (request.watch && (error == 0 || request.type == kExists)) data_watches_.try_emplace(request.path, mzxid);
    return;
  }
  if (request.type == kCreate && error == 0) request.path = get_text(in);
  history_.promised({number_, session_, xid, request.type, zxid, error, request.path, request.data});
}

// A node that changed while a watch on it stands, and no event came first: the watch did not fire.
void ZkClient::on_node_seen(const Request& request, int64_t mzxid) {
  auto watch = data_watches_.find(request.path);
  if (watch == data_watches_.end() || watch->second == mzxid) return;
  history_.violated("WatchFiresOnce", fmt::format("client {}: {} went from mzxid {} to {} without an event",
                                                  number_, request.path, watch->second, mzxid));
}

// --------------------------------------------------------------------------------------- requests

void ZkClient::fill_pipeline() {
  if (state_ != State::serving) return;
  if (!outstanding_.empty() && outstanding_.back().last) return;
  size_t wanted = 1 + prng_.below(options_.outstanding_max);
  while (left_ > 0 && outstanding_.size() < wanted) {
    --left_;
    send_random();
  }
  if (left_ == 0 && outstanding_.empty()) send_close();
}

std::string ZkClient::random_path() {
  std::string path = fmt::format("/k{}", prng_.below(static_cast<uint64_t>(options_.paths)));
  if (prng_.chance(0.4)) path += fmt::format("/c{}", prng_.below(4));
  return path;
}

void ZkClient::send_random() {
  Request request;
  request.path = random_path();
  wire::Writer body;
  uint64_t dice = prng_.below(100);
  if (dice < 35) {
    request.type = kCreate;
    int32_t flags = prng_.chance(0.3) ? kEphemeral : 0;
    if (prng_.chance(0.2)) flags |= kSequential;
    request.data = fmt::format("{}.{}", number_, last_xid_ + 1) + std::string(prng_.below(300), 'x');
    put_text(body, request.path);
    put_text(body, request.data);
    put_open_acl(body);
    body.i32(flags);
  } else if (dice < 55) {
    request.type = kSetData;
    request.data = fmt::format("{}.{}", number_, last_xid_ + 1) + std::string(prng_.below(900), 'y');
    put_text(body, request.path);
    put_text(body, request.data);
    body.i32(prng_.chance(0.2) ? static_cast<int32_t>(prng_.below(3)) : -1);
  } else if (dice < 65) {
    request.type = kDelete;
    put_text(body, request.path);
    body.i32(-1);
  } else if (dice < 72) {
    request.type = kMulti;
    auto header = [&](int32_t type, bool done) {
      body.i32(type);
      body.boolean(done);
      body.i32(-1);
    };
    header(kCheck, false);
    put_text(body, "/k0");
    body.i32(prng_.chance(0.5) ? -1 : 0);
    header(kSetData, false);
    put_text(body, request.path);
    put_text(body, "multi");
    body.i32(-1);
    header(-1, true);
  } else {
    request.type = dice < 84 ? kGetData : dice < 92 ? kGetChildren : kExists;
    request.watch = prng_.chance(0.5);
    put_text(body, request.path);
    body.boolean(request.watch);
  }
  send(std::move(request), std::move(body));
}

void ZkClient::send_close() {
  closed_ = true;
  Request request;
  request.type = kCloseSession;
  request.last = true;
  send(std::move(request), {});
}

void ZkClient::send(Request request, wire::Writer body) {
  request.xid = ++last_xid_;
  request.sent = world_.loop.now();
  wire::Writer whole;
  whole.i32(request.xid);
  whole.i32(request.type);
  whole.raw(body.bytes());
  outstanding_.push_back(std::move(request));
  connection_->send(framed(whole));
}

std::string ZkClient::describe() const {
  return fmt::format("client {} state {} session 0x{:x} left {} outstanding {} last zxid {}", number_,
                     static_cast<int>(state_), static_cast<uint64_t>(session_), left_, outstanding_.size(),
                     last_zxid_);
}

}  // namespace ottla::test
