// The loop's timers: an indexed binary heap, ordered by due time and then by the order of arming,
// so that re-arming (which servers do for every message) moves one entry and allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/rt/world.h"

namespace ottla::rt_asio {

class TimerHeap {
 public:
  static constexpr size_t kNowhere = SIZE_MAX;
  struct Node {
    Fn<void()> on_fire;
    Instant at;
    uint64_t order = 0;
    size_t place = kNowhere;  // index in heap_
  };

  void arm(Node* node, Instant at);
  void cancel(Node* node);
  void forget(Node* node);  // before the node is destroyed, perhaps by its own callback
  std::optional<Instant> next() const;
  // Calls what is due at `now`; what the callbacks arm waits for the next call, even if due.
  void fire(Instant now);
  std::unique_ptr<rt::Timer> make(Fn<void()> on_fire);

 private:
  bool before(const Node* a, const Node* b) const {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
  }
  void put(size_t place, Node* node);
  void sift(size_t place);
  void take_out(size_t place);

  std::vector<Node*> heap_;
  uint64_t next_order_ = 0;
  Node* running_ = nullptr;  // whose callback runs; null once that timer is destroyed
};

}  // namespace ottla::rt_asio
