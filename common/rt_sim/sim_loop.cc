// Loop and timers of a node. Its monotonic clock has an origin of its own, so that a program that
// compares instants of two nodes is found out.
#include "common/rt_sim/core.h"

namespace ottla::sim {

namespace {

class SimTimer final : public rt::Timer {
 public:
  SimTimer(Life& life, Fn<void()> on_fire) : life_(life), state_(std::make_shared<State>()) {
    state_->on_fire = std::move(on_fire);
  }
  ~SimTimer() override {
    cancel();
    state_->gone = true;
  }

  void arm_at(Instant at) override {
    cancel();
    if (!life_.alive()) return;
    Instant when = life_.host.virtual_time(at);
    state_->armed = true;
    state_->id = life_.core.schedule(life_.host, &life_, when, "timer", [state = state_] {
      state->armed = false;
      Fn<void()> on_fire = std::move(state->on_fire);
      on_fire();
      if (!state->gone) state->on_fire = std::move(on_fire);
    });
  }

  void cancel() override {
    if (!state_->armed) return;
    state_->armed = false;
    if (!life_.alive()) return;
    auto event = life_.host.queue.extract(state_->id);
  }

  bool armed() const override { return state_->armed && life_.alive(); }

 private:
  struct State {
    Fn<void()> on_fire;
    EventId id;
    bool armed = false;
    bool gone = false;
  };
  Life& life_;
  std::shared_ptr<State> state_;
};

class SimLoop final : public rt::Loop {
 public:
  explicit SimLoop(Life& life) : life_(life) {}
  Instant now() const override { return life_.host.clock_origin + life_.host.elapsed_ns(life_.core.now); }
  int64_t wall_ms() const override {
    return life_.core.options.wall_origin_ms + life_.host.elapsed_ns(life_.core.now) / 1'000'000 +
           life_.host.wall_skew_ms;
  }
  void post(Fn<void()> work) override {
    if (!life_.alive()) return;
    life_.core.schedule(life_.host, &life_, life_.core.now, "post", std::move(work));
  }
  std::unique_ptr<rt::Timer> make_timer(Fn<void()> on_fire) override {
    return std::make_unique<SimTimer>(life_, std::move(on_fire));
  }

 private:
  Life& life_;
};

}  // namespace

std::unique_ptr<rt::Loop> make_loop(Life& life) { return std::make_unique<SimLoop>(life); }

}  // namespace ottla::sim
