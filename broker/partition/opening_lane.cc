#include "broker/partition/opening_lane.h"

#include <utility>

namespace ottla::broker {

void OpeningLane::run(Fn<void()> work, Fn<void()> done, Fn<bool()> is_wanted) {
  waiting_.push_back({std::move(work), std::move(done), std::move(is_wanted)});
  if (!busy_) next();
}

void OpeningLane::next() {
  Job job;
  do {
    if (waiting_.empty()) return;
    job = std::move(waiting_.front());
    waiting_.pop_front();
  } while (!job.is_wanted());
  busy_ = true;
  world_.disk.run_blocking(std::move(job.work), [this, alive = std::weak_ptr<int>(alive_),
                                                 done = std::move(job.done)]() mutable {
    if (alive.expired()) return;
    busy_ = false;
    done();
    if (!alive.expired() && !busy_) next();
  });
}

}  // namespace ottla::broker
