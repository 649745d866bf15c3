// OpeningLane: computations that would hold up a turn of the loop (record sets that open to many
// times their size), done on the disk pool one at a time in the order they came, so that they take
// neither the loop's time nor more than one thread, and stand decompressed one at a time.
// Loop thread; `work` must touch nothing that the loop may touch meanwhile.
#pragma once

#include <deque>
#include <memory>

#include "common/rt/world.h"

namespace ottla::broker {

class OpeningLane {
 public:
  explicit OpeningLane(rt::World& world) : world_(world) {}

  // `work` elsewhere, then `done` on the loop. Neither is called once the lane is gone, but a
  // `work` that has begun ends; nor when `is_wanted`, asked on the loop before it begins, says no.
  void run(Fn<void()> work, Fn<void()> done, Fn<bool()> is_wanted);
  size_t size() const { return waiting_.size() + (busy_ ? 1 : 0); }

 private:
  struct Job {
    Fn<void()> work, done;
    Fn<bool()> is_wanted;
  };
  void next();

  rt::World& world_;
  std::deque<Job> waiting_;
  bool busy_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace ottla::broker
