#include "common/rt_asio/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

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

Poller::Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) { OTTLA_CHECK(fd_ >= 0); }
Poller::~Poller() { ::close(fd_); }

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

int Poller::collect() {
  epoll_event events[kMaxEvents];
  int count = ::epoll_wait(fd_, events, kMaxEvents, 0);
  for (int i = 0; i < count; ++i)
    static_cast<Source*>(events[i].data.ptr)->on_events(events[i].events);
  return count < 0 ? 0 : count;
}

}  // namespace ottla::rt_asio
