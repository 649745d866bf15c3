#include "common/rt_asio/socket.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/rt_asio/disk.h"
#include "common/rt_asio/net.h"

namespace ottla::rt_asio {

namespace {
// A connection may take this much of a turn before the others get theirs.
constexpr uint64_t kFlushBudget = 4 << 20;
// File slices up to this size are copied and leave together with their neighbours: below it a
// sendfile costs more than the copy.
constexpr uint64_t kCopyBelow = 8 << 10;
constexpr size_t kMaxPieces = IOV_MAX;
constexpr int64_t kLingerMs = 1000;

uint64_t piece_size(const rt::OutPiece& piece) {
  struct Size {
    uint64_t operator()(const Buffer& buffer) const { return buffer.size(); }
    uint64_t operator()(const rt::SharedBuffer& buffer) const { return buffer->size(); }
    uint64_t operator()(const rt::FileSlice& slice) const { return slice.length; }
  };
  return std::visit(Size{}, piece);
}

Bytes piece_bytes(const rt::OutPiece& piece) {
  if (const auto* own = std::get_if<Buffer>(&piece)) return own->bytes();
  return std::get<rt::SharedBuffer>(piece)->bytes();
}

// Replaces a small slice by its bytes; false when the file does not hold them (any more).
bool copy_small_slice(rt::OutPiece& piece) {
  auto& slice = std::get<rt::FileSlice>(piece);
  Buffer copy(slice.length);
  auto got = slice.file->read_at(slice.offset, copy.mutable_bytes());
  if (!got || *got != slice.length) return false;
  piece = std::move(copy);
  return true;
}
}  // namespace

void Socket::shut() {
  if (!is_open()) return;
  loop_.poller().remove(fd_);
  ::close(fd_);
  fd_ = -1;
}

void Socket::abandon() {
  abandoned_ = true;
  drained_replaced_ = true;
  read_done_ = nullptr;
  drained_ = nullptr;
  send_failed_ = nullptr;
  linger_end_.reset();
  shut();
  drop_queue();
}

void Socket::on_events(uint32_t events) {
  constexpr uint32_t kBroken = EPOLLHUP | EPOLLERR;
  if (events & (EPOLLIN | EPOLLRDHUP | kBroken)) {
    readable_ = true;
    if (events & (EPOLLRDHUP | kBroken)) ended_ = true;
    if (read_done_ || lingering_) loop_.serve_soon(this);
  }
  if (events & (EPOLLOUT | kBroken) && !writable_) {
    writable_ = true;
    if (unsent_ > 0) loop_.flush_soon(this);
  }
}

// ------------------------------------------------------------------------------------------- input

void Socket::read(MutBytes into, Fn<void(Result<size_t>)> done) {
  OTTLA_CHECK(!read_done_, "one read at a time");
  OTTLA_CHECK(!into.empty());
  into_ = into;
  read_done_ = std::move(done);
  if (readable_ || !is_open()) loop_.serve_soon(this);
}

void Socket::complete_read(Result<size_t> result) {
  Fn<void(Result<size_t>)> done = std::exchange(read_done_, nullptr);
  done(std::move(result));
}

void Socket::serve() {
  if (send_error_) {
    Error error = *std::exchange(send_error_, std::nullopt);
    Fn<void(Error)> failed = std::exchange(send_failed_, nullptr);
    if (failed) failed(std::move(error));
  }
  if (lingering_) drain_lingering();
  if (!read_done_) return;
  if (!is_open()) return complete_read(fail(Errc::closed, "connection is closed"));
  if (!readable_ || close_when_sent_) return;
  ssize_t got;
  do got = ::recv(fd_, into_.data(), into_.size(), 0);
  while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    readable_ = false;
    return;
  }
  if (got < 0) return complete_read(fail_errno(errno, "read from " + rt::to_string(peer())));
  // The next arrival, or the end, raises a new event (epoll(7), "stream-oriented files").
  if (static_cast<size_t>(got) < into_.size() && !ended_) readable_ = false;
  complete_read(static_cast<size_t>(got));
}

// ------------------------------------------------------------------------------------------ output

void Socket::send(std::vector<rt::OutPiece> pieces) {
  if (!is_open() || close_when_sent_) return;
  for (rt::OutPiece& piece : pieces) {
    uint64_t size = piece_size(piece);
    if (size == 0) continue;
    unsent_ += size;
    queue_.push_back(std::move(piece));
  }
  if (unsent_ > 0 && writable_) loop_.flush_soon(this);
}

void Socket::on_drained(Fn<void()> drained) {
  drained_ = std::move(drained);
  drained_replaced_ = true;
}

void Socket::flush() {
  if (!is_open()) return;
  uint64_t stop_at = unsent_ > kFlushBudget ? unsent_ - kFlushBudget : 0;
  bool had_some = unsent_ > 0;
  while (unsent_ > stop_at && writable_) {
    auto* slice = std::get_if<rt::FileSlice>(&queue_[head_]);
    bool whole = slice != nullptr && (slice->length > kCopyBelow || head_sent_ > 0);
    Step step = whole ? send_slice(*slice) : send_buffers();
    if (step == Step::failed) return;
    if (step == Step::blocked) writable_ = false;
  }
  if (unsent_ > 0) {
    if (writable_) loop_.flush_soon(this);
    return;
  }
  if (close_when_sent_) {
    if (!lingering_) linger();
    return;
  }
  if (had_some) report_drained();
}

Socket::Step Socket::send_buffers() {
  iovec vectors[kMaxPieces];
  size_t count = 0;
  size_t bytes = 0;
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  for (size_t at = head_; at < queue_.size() && count < kMaxPieces && bytes < kFlushBudget; ++at) {
    if (const auto* slice = std::get_if<rt::FileSlice>(&queue_[at])) {
      if (slice->length > kCopyBelow) {
        flags |= MSG_MORE;  // the kernel joins the header and the file bytes that follow
        break;
      }
      if (!copy_small_slice(queue_[at])) {
        fail_send(Error{Errc::io, "file ends before the slice that is sent"});
        return Step::failed;
      }
    }
    Bytes piece = piece_bytes(queue_[at]);
    if (at == head_) piece = piece.subspan(head_sent_);
    vectors[count].iov_base = const_cast<uint8_t*>(piece.data());
    vectors[count].iov_len = piece.size();
    bytes += piece.size();
    ++count;
  }
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  ssize_t taken;
  do taken = ::sendmsg(fd_, &message, flags);
  while (taken < 0 && errno == EINTR);
  if (taken < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Step::blocked;
    fail_send(fail_errno(errno, "send to " + rt::to_string(peer())).error());
    return Step::failed;
  }
  sent(static_cast<size_t>(taken));
  return static_cast<size_t>(taken) < bytes ? Step::blocked : Step::progressed;
}

Socket::Step Socket::send_slice(rt::FileSlice& slice) {
  auto* file = dynamic_cast<AsioFile*>(slice.file.get());
  OTTLA_CHECK(file != nullptr, "a file of this runtime");
  size_t want = std::min<uint64_t>(slice.length - head_sent_, kFlushBudget);
  off_t offset = static_cast<off_t>(slice.offset + head_sent_);
  ssize_t taken;
  do taken = ::sendfile(fd_, file->descriptor(), &offset, want);
  while (taken < 0 && errno == EINTR);
  if (taken < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Step::blocked;
    fail_send(fail_errno(errno, "send " + file->path() + " to " + rt::to_string(peer())).error());
    return Step::failed;
  }
  if (taken == 0) {
    fail_send(Error{Errc::io, file->path() + " ends before the slice that is sent"});
    return Step::failed;
  }
  sent(static_cast<size_t>(taken));
  // Short does not mean blocked: a slice may end at a page boundary of the pipe in between.
  return Step::progressed;
}

void Socket::sent(size_t bytes) {
  unsent_ -= bytes;
  while (bytes > 0) {
    uint64_t left = piece_size(queue_[head_]) - head_sent_;
    if (bytes < left) {
      head_sent_ += bytes;
      break;
    }
    bytes -= left;
    head_sent_ = 0;
    queue_[head_++] = Buffer();
  }
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
  } else if (head_ >= 64 && head_ * 2 > queue_.size()) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Socket::drop_queue() {
  queue_.clear();
  head_ = head_sent_ = 0;
  unsent_ = 0;
}

void Socket::fail_send(Error error) {
  drop_queue();
  bool reported = send_error_.has_value();
  if (!reported) send_error_ = std::move(error);
  // What follows would leave a hole in the stream: nothing more goes out, and the peer sees the
  // end.
  ::shutdown(fd_, SHUT_RDWR);
  readable_ = ended_ = true;
  close_when_sent_ = false;
  loop_.serve_soon(this);
}

void Socket::report_drained() {
  if (!drained_) return;
  Fn<void()> drained = std::move(drained_);
  drained_replaced_ = false;
  drained();  // may replace itself, or destroy the connection
  if (!drained_replaced_) drained_ = std::move(drained);
}

// ----------------------------------------------------------------------------------------- closing

void Socket::close() {
  linger_end_.reset();
  lingering_ = false;
  shut();
  drop_queue();
  if (read_done_) loop_.serve_soon(this);
}

void Socket::close_after_send() {
  if (!is_open() || close_when_sent_) return;
  close_when_sent_ = true;
  if (writable_ || unsent_ == 0) loop_.flush_soon(this);
}

void Socket::linger() {
  lingering_ = true;
  ::shutdown(fd_, SHUT_WR);
  linger_end_ = loop_.make_timer([this] { close(); });
  linger_end_->arm_at(after_ms(loop_.now(), kLingerMs));
  readable_ = true;
  loop_.serve_soon(this);
}

void Socket::drain_lingering() {
  uint8_t waste[16 << 10];
  for (int round = 0; round < 16; ++round) {
    ssize_t got = ::recv(fd_, waste, sizeof waste, 0);
    if (got > 0) continue;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    close();
    return;
  }
  loop_.serve_soon(this);
}

rt::Endpoint Socket::local() const {
  Address address;
  address.length = sizeof address.storage;
  if (!is_open() || ::getsockname(fd_, address.get(), &address.length) != 0) return {};
  return to_endpoint(address);
}

rt::Endpoint Socket::peer() const { return to_endpoint(peer_); }

}  // namespace ottla::rt_asio
