// Room broker/controller: topic administration on the broker's loop: what all of its requests need,
// above all the wait until this broker's metadata shows an outcome.
// Source: Kafka's ZkAdminManager, DelayedOperationPurgatory (behaviour).
#include "broker/controller/topic_admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/controller/topic_admin_impl.h"

namespace ottla::broker {

AdminRefusal zk_refusal(ZkError error) {
  return {error == ZkError::session_expired ? kmsg::ErrorCode::request_timed_out
                                            : kmsg::ErrorCode::unknown_server_error,
          fmt::format("ZooKeeper answered {}", jute::error_name(error))};
}

TopicAdmin::TopicAdmin(rt::World& world, ZkClient& zk, TopicAdminHost& host,
                       TopicAdminOptions options)
    : impl_(std::make_unique<Impl>(world, zk, host, options)) {}
TopicAdmin::~TopicAdmin() = default;

void TopicAdmin::on_config_written(Fn<void(const std::string&, const ConfigMap&)> told) {
  impl_->on_created_config = std::move(told);
}

// Answers at once when nothing is waited for; with a timeout of nothing, as late.
void TopicAdmin::Impl::wait(Waiter waiter, int32_t timeout_ms) {
  if (timeout_ms > 0 && settle(waiter, *host.metadata())) return;
  if (timeout_ms <= 0) {
    std::set<std::string> late = waiter.gone;
    for (const auto& [topic, partitions] : waiter.leaders) late.insert(topic);
    return waiter.done(late);
  }
  waiter.deadline = after_ms(world.loop.now(), timeout_ms);
  waiters.push_back(std::move(waiter));
  arm();
}

bool TopicAdmin::Impl::settle(Waiter& waiter, const MetadataImage& image) {
  for (auto it = waiter.leaders.begin(); it != waiter.leaders.end();) {
    std::erase_if(it->second, [&](int32_t partition) {
      const PartitionView* view = image.partition(it->first, partition);
      return view != nullptr && view->leader >= 0;
    });
    it = it->second.empty() ? waiter.leaders.erase(it) : std::next(it);
  }
  std::erase_if(waiter.gone,
                [&](const std::string& topic) { return image.topic(topic) == nullptr; });
  if (!waiter.leaders.empty() || !waiter.gone.empty()) return false;
  waiter.done({});
  return true;
}

void TopicAdmin::Impl::check_waiters(bool expire) {
  MetadataPtr image = host.metadata();
  Instant now = world.loop.now();
  auto token = alive;
  // Answers may bring new requests: those stand behind and are not looked at again here.
  std::list<Waiter> looked_at;
  looked_at.swap(waiters);
  while (!looked_at.empty()) {
    Waiter& waiter = looked_at.front();
    bool done = settle(waiter, *image);
    if (!*token) return;
    if (!done && expire && waiter.deadline <= now) {
      std::set<std::string> late = waiter.gone;
      for (const auto& [topic, partitions] : waiter.leaders) late.insert(topic);
      waiter.done(late);
      if (!*token) return;
      done = true;
    }
    if (done)
      looked_at.pop_front();
    else
      waiters.splice(waiters.end(), looked_at, looked_at.begin());
  }
  arm();
}

void TopicAdmin::Impl::arm() {
  timer->cancel();
  if (waiters.empty()) return;
  Instant first = waiters.front().deadline;
  for (const Waiter& waiter : waiters) first = std::min(first, waiter.deadline);
  timer->arm_at(first);
}
void TopicAdmin::Impl::on_timer() { check_waiters(true); }

void TopicAdmin::on_metadata_changed() { impl_->check_waiters(false); }

}  // namespace ottla::broker
