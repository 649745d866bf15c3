#include "common/rt_asio/asio_thread.h"

#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstring>
#include <mutex>
#include <optional>

#include "common/base/check.h"
#include "common/rt_asio/loop.h"

namespace ottla::rt_asio {

namespace asio = boost::asio;

// Lives as long as the thread. Handlers sit inside of `context`, so they may point here.
struct AsioThread::Shared {
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::ip::tcp::resolver resolver{context};
  std::optional<asio::signal_set> signals;

  std::mutex mutex;          // guards all below, and `signals` once the thread runs
  AsioLoop* loop = nullptr;  // null when it is gone
  std::shared_ptr<Fn<void(int)>> signal_handler;  // called on the loop
  size_t resolving = 0;

  void await_signal() {
    signals->async_wait([this](const boost::system::error_code& error, int number) {
      std::lock_guard lock(mutex);
      if (error || loop == nullptr) return;
      loop->post([handler = signal_handler, number] { (*handler)(number); });
      await_signal();
    });
  }
};

AsioThread::AsioThread(AsioLoop& loop) : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
}

AsioThread::~AsioThread() {
  bool resolving;
  {
    std::lock_guard lock(shared_->mutex);
    shared_->loop = nullptr;
    resolving = shared_->resolving > 0;
    boost::system::error_code ignored;
    if (shared_->signals) shared_->signals->clear(ignored);
  }
  if (!thread_.joinable()) return;
  shared_->context.stop();
  if (!resolving) {
    thread_.join();
    return;
  }
  // A look-up cannot be broken off, and the context's destructor waits for it. Whoever lets go last runs
  // that destructor: the context's thread or this one, but never the caller.
  thread_.detach();
  std::thread([last = std::move(shared_)] {}).detach();
}

void AsioThread::start() {
  if (thread_.joinable()) return;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([shared = shared_] { shared->context.run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void AsioThread::on_signal(const std::vector<int>& signals, Fn<void(int)> handler) {
  {
    std::lock_guard lock(shared_->mutex);
    OTTLA_CHECK(!shared_->signals, "once");
    shared_->signal_handler = std::make_shared<Fn<void(int)>>(std::move(handler));
    shared_->signals.emplace(shared_->context);
    for (int number : signals) shared_->signals->add(number);
    shared_->await_signal();
  }
  start();
}

void AsioThread::resolve(const std::string& host, uint16_t port,
                         Fn<void(Result<std::vector<Address>>)> done) {
  {
    std::lock_guard lock(shared_->mutex);
    ++shared_->resolving;
  }
  shared_->resolver.async_resolve(
      host, std::to_string(port),
      [shared = shared_.get(), host, done = std::move(done)](
          const boost::system::error_code& error,
          const asio::ip::tcp::resolver::results_type& found) mutable {
        Result<std::vector<Address>> result;
        if (error) {
          result = fail(Errc::not_found, "resolve " + host + ": " + error.message());
        } else {
          for (const auto& entry : found) {
            Address address;
            address.length = static_cast<socklen_t>(entry.endpoint().size());
            std::memcpy(&address.storage, entry.endpoint().data(), address.length);
            result->push_back(address);
          }
        }
        std::lock_guard lock(shared->mutex);
        --shared->resolving;
        if (shared->loop == nullptr) return;
        shared->loop->post([done = std::move(done), result = std::move(result)]() mutable {
          done(std::move(result));
        });
      });
  start();
}

}  // namespace ottla::rt_asio
