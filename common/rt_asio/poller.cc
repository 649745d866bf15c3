#include "common/rt_asio/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/check.h"

namespace ottla::rt_asio {

namespace {
epoll_event interest(Source* source) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = source;
  return event;
}
}  // namespace

// The eventfd is edge-triggered and never read: each write to it is an edge.
Poller::Poller()
    : fd_(::epoll_create1(EPOLL_CLOEXEC)), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  OTTLA_CHECK(fd_ >= 0 && wake_fd_ >= 0, "out of file descriptors");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  OTTLA_CHECK(::epoll_ctl(fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0);
}

Poller::~Poller() {
  ::close(fd_);
  ::close(wake_fd_);
}

void Poller::wake() {
  uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

bool Poller::add(int descriptor, Source* source) {
  epoll_event event = interest(source);
  return ::epoll_ctl(fd_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void Poller::change(int descriptor, Source* source) {
  epoll_event event = interest(source);
  OTTLA_CHECK(::epoll_ctl(fd_, EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void Poller::remove(int descriptor) {
  epoll_event event{};
  ::epoll_ctl(fd_, EPOLL_CTL_DEL, descriptor, &event);
}

int Poller::wait_for(epoll_event* events, int64_t wait_ns) {
  constexpr int64_t kForeverNs = 3600'000'000'000;
  if (wait_ns <= 0) return ::epoll_wait(fd_, events, kMaxEvents, 0);
  if (wait_ns >= kForeverNs) return ::epoll_wait(fd_, events, kMaxEvents, -1);
  if (precise_) {
    timespec wait{wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
    int count = ::epoll_pwait2(fd_, events, kMaxEvents, &wait, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    precise_ = false;  // an older kernel, or a filter that does not know the call
  }
  return ::epoll_wait(fd_, events, kMaxEvents, static_cast<int>((wait_ns + 999'999) / 1'000'000));
}

int Poller::collect(int64_t wait_ns) {
  epoll_event events[kMaxEvents];
  int count = std::max(wait_for(events, wait_ns), 0);  // interrupted: nothing is ready
  for (int i = 0; i < count; ++i)
    if (auto* source = static_cast<Source*>(events[i].data.ptr); source != nullptr)
      source->on_events(events[i].events);
  return count;
}

}  // namespace ottla::rt_asio
