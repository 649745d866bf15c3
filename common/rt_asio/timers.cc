#include "common/rt_asio/timers.h"

namespace ottla::rt_asio {

namespace {

class HeapTimer final : public rt::Timer {
 public:
  HeapTimer(TimerHeap& heap, Fn<void()> on_fire) : heap_(heap) {
    node_.on_fire = std::move(on_fire);
  }
  ~HeapTimer() override { heap_.forget(&node_); }
  void arm_at(Instant at) override { heap_.arm(&node_, at); }
  void cancel() override { heap_.cancel(&node_); }
  bool armed() const override { return node_.place != TimerHeap::kNowhere; }

 private:
  TimerHeap& heap_;
  TimerHeap::Node node_;
};

}  // namespace

std::unique_ptr<rt::Timer> TimerHeap::make(Fn<void()> on_fire) {
  return std::make_unique<HeapTimer>(*this, std::move(on_fire));
}

void TimerHeap::arm(Node* node, Instant at) {
  node->at = at;
  node->order = next_order_++;
  if (node->place == kNowhere) {
    heap_.push_back(node);
    node->place = heap_.size() - 1;
  }
  sift(node->place);
}

void TimerHeap::cancel(Node* node) {
  if (node->place != kNowhere) take_out(node->place);
}

void TimerHeap::forget(Node* node) {
  cancel(node);
  if (running_ == node) running_ = nullptr;
}

std::optional<Instant> TimerHeap::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->at;
}

void TimerHeap::fire(Instant now) {
  uint64_t first_new = next_order_;
  while (!heap_.empty() && heap_.front()->at <= now && heap_.front()->order < first_new) {
    Node* node = heap_.front();
    take_out(0);
    // Moved out while it runs: it may destroy its own timer.
    Fn<void()> on_fire = std::move(node->on_fire);
    running_ = node;
    on_fire();
    if (running_ != nullptr) node->on_fire = std::move(on_fire);
    running_ = nullptr;
  }
}

void TimerHeap::put(size_t place, Node* node) {
  heap_[place] = node;
  node->place = place;
}

void TimerHeap::sift(size_t place) {
  Node* node = heap_[place];
  while (place > 0 && before(node, heap_[(place - 1) / 2])) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  for (;;) {
    size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], node)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, node);
}

void TimerHeap::take_out(size_t place) {
  heap_[place]->place = kNowhere;
  Node* last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  put(place, last);
  sift(place);
}

}  // namespace ottla::rt_asio
