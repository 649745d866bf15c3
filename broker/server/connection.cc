#include "broker/server/connection.h"

#include <algorithm>
#include <utility>

#include "common/base/endian.h"
#include "common/base/log.h"

namespace ottla::broker {

namespace {
constexpr log::Room kLog{"broker.server"};
constexpr size_t kSizeBytes = 4;
}  // namespace

ClientConnection::ClientConnection(rt::Loop& loop, ConnectionOwner& owner,
                                   std::unique_ptr<rt::Connection> socket,
                                   std::shared_ptr<ClientInfo> client, size_t max_frame_bytes,
                                   ConnectionCounters& counters)
    : loop_(loop),
      owner_(owner),
      socket_(std::move(socket)),
      client_(std::move(client)),
      max_frame_bytes_(max_frame_bytes),
      counters_(counters),
      buffer_(kReadBytes),
      last_active_(loop.now()) {}

ClientConnection::~ClientConnection() {
  client_->is_gone = true;
  size_t held = in_frame_ ? frame_.size() : 0;
  for (const Buffer& frame : ahead_) held += frame.size();
  owner_.release_bytes(held);
}

void ClientConnection::start() {
  socket_->on_drained([this] { post_work(); });
  socket_->on_send_error([this](const Error&) { close(); });
  read_more();
}

void ClientConnection::close() {
  over_ = client_->is_gone = true;
  socket_->close();
  cancel();
  gone();
}

void ClientConnection::end() {
  if (over_) return;
  over_ = client_->is_gone = true;
  drop_ahead();
  cancel();
  socket_->close_after_send();
  end_timer_ = loop_.make_timer([this] { gone(); });
  end_timer_->arm_at(after_ms(loop_.now(), kEndMs));
  if (!reading_) read_into(buffer_.mutable_bytes());  // ends when the last byte has left
}

void ClientConnection::finish() {
  finishing_ = true;
  drop_ahead();
  if (!in_flight_) end();
}

void ClientConnection::gone() {
  if (!std::exchange(gone_, true)) owner_.on_connection_over(id());
}

void ClientConnection::cancel() {
  if (Fn<void()> cancel = std::exchange(client_->cancel, nullptr)) cancel();
}

void ClientConnection::drop_ahead() {
  for (const Buffer& frame : ahead_) owner_.release_bytes(frame.size());
  ahead_.clear();
  ahead_bytes_ = 0;
}

void ClientConnection::on_close() { end(); }

// Of a client that is gone nobody answers, and what it sent behind is carried out all the same.
void ClientConnection::on_dropped() {
  if (over_ || !client_->is_gone) return end();
  in_flight_ = false;
  if (!working_) post_work();
}

bool ClientConnection::is_idle(Instant now, int64_t idle_ns) {
  uint64_t unsent = socket_->unsent_bytes();
  if (unsent != unsent_) last_active_ = now;
  unsent_ = unsent;
  return !in_flight_ && now - last_active_ > idle_ns;
}

// ------------------------------------------------------------------------------------------
// reading

void ClientConnection::read_more() {
  if (reading_ || over_ || reading_is_held()) return;
  if (in_frame_) return read_into(frame_.mutable_bytes().subspan(filled_));
  if (begin_ > 0) {
    std::copy(buffer_.data() + begin_, buffer_.data() + end_, buffer_.data());
    end_ -= begin_;
    begin_ = 0;
  }
  read_into(buffer_.mutable_bytes().subspan(end_));
}

void ClientConnection::read_into(MutBytes into) {
  reading_ = true;
  socket_->read(into, [this](Result<size_t> result) { on_read(std::move(result)); });
}

void ClientConnection::on_read(Result<size_t> result) {
  reading_ = false;
  if (over_) return gone();
  if (!result && ahead_.empty()) return close();
  auto self = shared_from_this();  // a request may end this connection
  if (!result || *result == 0) return on_client_end();
  last_active_ = loop_.now();
  counters_.bytes_in += *result;
  if (in_frame_) {
    filled_ += *result;
    if (filled_ == frame_.size()) push_frame();
  } else {
    end_ += *result;
    take_frames();
  }
  if (!work_posted_) work();
  if (!over_) read_more();
}

// What was read before is carried out: a producer that wants no answers (acks=0) may send and
// leave. Nobody waits for what is parked.
void ClientConnection::on_client_end() {
  no_more_ = client_->is_gone = true;
  if (in_flight_ && ahead_.empty()) return end();
  cancel();
  if (!work_posted_) work();
}

// Cuts whole frames out of the buffer; a frame that is not whole yet goes on in a buffer of its
// own.
void ClientConnection::take_frames() {
  while (!over_ && !in_frame_ && !paused_ && !no_more_ && end_ - begin_ >= kSizeBytes) {
    auto size = load_be<int32_t>(buffer_.data() + begin_);
    if (size <= 0 || static_cast<size_t>(size) > max_frame_bytes_) {
      ++counters_.closed_for_garbage;
      log::debug(kLog, "closing: not the size of a request", "peer={} size={}", client_->host,
                 size);
      no_more_ = true;  // what came before it is answered first
      return;
    }
    if (!begin_frame(static_cast<size_t>(size))) return;
  }
}

// False: there is no memory for it now.
bool ClientConnection::begin_frame(size_t size) {
  if (!owner_.reserve_bytes(size)) {
    paused_ = true;
    return false;
  }
  begin_ += kSizeBytes;
  frame_ = client_->pool->take(size);
  size_t here = std::min(size, end_ - begin_);
  std::copy_n(buffer_.data() + begin_, here, frame_.data());
  begin_ += here;
  filled_ = here;
  in_frame_ = true;
  if (filled_ == size) push_frame();
  return true;
}

void ClientConnection::push_frame() {
  in_frame_ = false;
  ahead_bytes_ += frame_.size();
  ahead_.push_back(std::move(frame_));
  frame_ = Buffer();
}

void ClientConnection::resume() {
  if (!paused_ || over_) return;
  paused_ = false;
  take_frames();
  post_work();
}

// ------------------------------------------------------------------------------------------
// working

// Carries out what was read, as long as answers come at once, and the turn lasts.
void ClientConnection::work() {
  if (working_) return;
  working_ = true;
  Instant began = loop_.now();
  int done = 0;
  while (!over_ && !in_flight_ && !ahead_.empty() && socket_->unsent_bytes() <= kMaxUnsentBytes) {
    Instant now = loop_.now();
    if (done++ == kTurnRequests || now - began > kTurnNs) {
      post_work();
      break;
    }
    Buffer frame = std::move(ahead_.front());
    ahead_.pop_front();
    ahead_bytes_ -= frame.size();
    in_flight_ = true;
    ++counters_.requests;
    auto request = std::make_unique<Request>(weak_from_this(), client_, std::move(frame));
    request->received = now;
    if (!request->parse_header()) {
      ++counters_.closed_for_garbage;
      log::debug(kLog, "closing: not a request that is spoken here", "peer={}", client_->host);
      end();
      break;
    }
    in_flight_api_ = static_cast<int16_t>(request->api());
    in_flight_since_ = request->received;
    owner_.on_request(std::move(request));
  }
  working_ = false;
  if (no_more_ && !in_flight_ && ahead_.empty()) end();
}

void ClientConnection::post_work() {
  if (work_posted_ || over_) return;
  work_posted_ = true;
  loop_.post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    auto* connection = static_cast<ClientConnection*>(self.get());
    connection->work_posted_ = false;
    connection->work();
    connection->read_more();
  });
}

void ClientConnection::on_reply(std::vector<rt::OutPiece> pieces) {
  if (over_) return;
  in_flight_ = false;
  client_->cancel = nullptr;
  last_active_ = loop_.now();
  owner_.on_answered(in_flight_api_, last_active_ - in_flight_since_);
  if (!pieces.empty()) socket_->send(std::move(pieces));
  if (finishing_) return finish();
  // From inside work() its loop goes on; otherwise what waits is taken up in the next turn.
  if (!working_ && (!ahead_.empty() || !reading_)) post_work();
}

}  // namespace ottla::broker
