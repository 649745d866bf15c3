// What has no descriptor that our epoll set could wait on: signals and name resolution. Asio's
// io_context waits for them on a thread of its own, begun when first needed; what happens is posted
// to the loop. Thread: the loop's calls in; nothing here runs user code.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/fn.h"
#include "common/base/result.h"
#include "common/rt_asio/address.h"

namespace ottla::rt_asio {

class AsioLoop;

class AsioThread {
 public:
  explicit AsioThread(AsioLoop& loop);
  // Gives the signals back. Never waits for a name that is still being resolved: the resolver of
  // the system cannot be interrupted, so its thread is left behind with all that it needs.
  ~AsioThread();
  AsioThread(const AsioThread&) = delete;
  AsioThread& operator=(const AsioThread&) = delete;

  void on_signal(const std::vector<int>& signals, Fn<void(int)> handler);
  void resolve(const std::string& host, uint16_t port, Fn<void(Result<std::vector<Address>>)> done);

 private:
  struct Shared;
  void start();

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace ottla::rt_asio
