#include "common/rt_asio/runtime.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <cerrno>

#include "common/rt_asio/disk.h"
#include "common/rt_asio/loop.h"
#include "common/rt_asio/net.h"

namespace ottla::rt_asio {

namespace {

class KernelEntropy final : public rt::Entropy {
 public:
  void fill(MutBytes into) override {
    size_t filled = 0;
    while (filled < into.size()) {
      ssize_t got = ::getrandom(into.data() + filled, into.size() - filled, 0);
      if (got < 0 && errno == EINTR) continue;
      OTTLA_CHECK(got > 0, "getrandom");
      filled += static_cast<size_t>(got);
    }
  }
};

constexpr Instant kNever{INT64_MAX};

// The low default is for programs that use select(); none here does. What is allowed is taken.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct AsioRuntime::Parts {
  AsioLoop loop;
  AsioNet net{loop};
  AsioDisk disk{loop};  // destroyed before the loop that its threads post to
  KernelEntropy entropy;
};

AsioRuntime::AsioRuntime() : parts_(std::make_unique<Parts>()) {
  ::signal(SIGPIPE, SIG_IGN);  // sendfile has no flag against it
  raise_descriptor_limit();
}

AsioRuntime::~AsioRuntime() = default;

rt::World AsioRuntime::world() {
  return {parts_->loop, parts_->net, parts_->disk, parts_->entropy};
}

void AsioRuntime::run() {
  while (!parts_->loop.take_stop()) parts_->loop.turn(kNever);
}

void AsioRuntime::stop() { parts_->loop.stop(); }

bool AsioRuntime::run_until(Fn<bool()> done, int64_t timeout_ms) {
  Instant deadline = after_ms(parts_->loop.now(), timeout_ms);
  while (!done()) {
    if (parts_->loop.now() >= deadline) return false;
    parts_->loop.turn(deadline);
  }
  return true;
}

void AsioRuntime::on_signal(std::vector<int> signals, Fn<void(int)> handler) {
  std::erase_if(signals, [](int number) {
    struct sigaction now{};
    return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
  });
  parts_->loop.on_signal(signals, std::move(handler));
}

}  // namespace ottla::rt_asio
