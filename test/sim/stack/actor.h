// What the simulated Kafka clients share: a link, a timer to try again with, and the history.
#pragma once

#include <fmt/core.h>

#include <memory>
#include <string>

#include "common/base/prng.h"
#include "proto/kafka/error_code.h"
#include "test/sim/stack/history.h"
#include "test/sim/stack/kafka_link.h"

namespace ottla::test {

class Actor {
 public:
  Actor(rt::World world, std::string name, uint64_t seed, History& history)
      : world_(world), name_(std::move(name)), prng_(seed), history_(history), link_(world, name_) {
    timer_ = world_.loop.make_timer([this] { step(); });
  }
  virtual ~Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  void start() { again(0); }
  virtual bool finished() const = 0;
  virtual std::string describe() const = 0;
  const KafkaLink& link() const { return link_; }

 protected:
  virtual void step() = 0;  // asks for the next thing; nothing is asked at this moment
  void again(int64_t delay_ms) { timer_->arm_at(after_ms(world_.loop.now(), delay_ms)); }
  void lost() {
    ++history_.lost_answers;
    again(prng_.between(5, 100));
  }
  // For what a healthy client never gets told, faults or not.
  void unexpected(const char* where, kmsg::ErrorCode error) {
    history_.violated("OnlyErrorsOfFaults",
                      fmt::format("{}: {} answers {}", name_, where, kmsg::error_name(error)));
  }

  rt::World world_;
  std::string name_;
  Prng prng_;
  History& history_;
  KafkaLink link_;
  std::unique_ptr<rt::Timer> timer_;
};

// Errors that any request may get while a broker starts, moves, or is out of touch with ZooKeeper.
bool is_passing(kmsg::ErrorCode error);

}  // namespace ottla::test
