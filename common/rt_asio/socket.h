// A connected TCP socket. Connection objects that users hold are thin handles of it
// (AsioConnection); the loop's lists hold it while it has something to do, so a handle may be
// destroyed anywhere.
#pragma once

#include <optional>
#include <vector>

#include "common/rt_asio/loop.h"

namespace ottla::rt_asio {

class Socket final : public Source {
 public:
  Socket(AsioLoop& loop, int fd, const Address& peer) : loop_(loop), fd_(fd), peer_(peer) {}
  ~Socket() override { shut(); }

  void read(MutBytes into, Fn<void(Result<size_t>)> done);
  void send(std::vector<rt::OutPiece> pieces);
  uint64_t unsent_bytes() const { return unsent_; }
  void on_drained(Fn<void()> drained);
  void on_send_error(Fn<void(Error)> failed) { send_failed_ = std::move(failed); }
  void close();
  void close_after_send();
  rt::Endpoint local() const;
  rt::Endpoint peer() const;
  int descriptor() const { return fd_; }
  void abandon();  // the handle is destroyed: close, and call nobody any more

  void on_events(uint32_t events) override;
  void serve() override;
  void flush() override;

 private:
  enum class Step { progressed, blocked, failed };

  bool is_open() const { return fd_ >= 0; }
  void shut();
  void complete_read(Result<size_t> result);
  Step send_buffers();
  Step send_slice(rt::FileSlice& slice);
  void sent(size_t bytes);
  void drop_queue();
  void fail_send(Error error);
  void report_drained();
  void linger();
  void drain_lingering();

  AsioLoop& loop_;
  int fd_;
  Address peer_;

  // Input. Edge-triggered: readable_ stays set until a read shows that nothing is left.
  bool readable_ = false;
  bool ended_ = false;  // the peer closed or the connection broke: a short read proves nothing
  MutBytes into_;
  Fn<void(Result<size_t>)> read_done_;

  // Output. queue_[0, head_) is sent and freed; head_sent_ bytes of the head are.
  bool writable_ = true;
  std::vector<rt::OutPiece> queue_;
  size_t head_ = 0;
  size_t head_sent_ = 0;
  uint64_t unsent_ = 0;
  Fn<void()> drained_;
  bool drained_replaced_ = false;  // while drained_ runs
  Fn<void(Error)> send_failed_;
  std::optional<Error> send_error_;  // to be reported in the next serve()

  // Closing: after the last byte, the sending side is shut and input is thrown away until the peer
  // closes too. Closing with unread input would make the kernel reset what was sent last.
  bool close_when_sent_ = false;
  bool lingering_ = false;
  std::unique_ptr<rt::Timer> linger_end_;
  bool abandoned_ = false;
};

class AsioConnection final : public rt::Connection {
 public:
  explicit AsioConnection(std::shared_ptr<Socket> socket) : socket_(std::move(socket)) {}
  ~AsioConnection() override { socket_->abandon(); }
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
  rt::Endpoint peer() const override { return socket_->peer(); }

 private:
  std::shared_ptr<Socket> socket_;
};

}  // namespace ottla::rt_asio
