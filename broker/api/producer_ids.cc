#include "broker/api/producer_ids.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void ProducerIds::next(Fn<void(ErrorCode, int64_t)> done) {
  if (next_ < end_ && waiting_.empty()) return done(ErrorCode::none, next_++);
  waiting_.push_back(std::move(done));
  fetch();
}

void ProducerIds::fetch() {
  if (fetching_) return;
  fetching_ = true;
  control_.allocate_producer_ids(
      [this, alive = std::weak_ptr<int>(alive_)](ErrorCode error, ProducerIdRange range) {
        if (alive.expired()) return;
        fetching_ = false;
        if (error == ErrorCode::none) {
          next_ = range.first;
          end_ = range.first + range.count;
        }
        while (!waiting_.empty() && (error != ErrorCode::none || next_ < end_)) {
          auto done = std::move(waiting_.front());
          waiting_.pop_front();
          done(error, error == ErrorCode::none ? next_++ : -1);
        }
        if (!waiting_.empty()) fetch();
      });
}

}  // namespace ottla::broker
