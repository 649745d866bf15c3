// Admin: creates the topics that the others use, and short-lived ones beside them, some of which it
// deletes again, and makes again under the same names. What has no answer is asked again until it
// is known. A short-lived topic gets a record that names its life, and holds no other life's.
#pragma once

#include <map>
#include <string>

#include "test/sim/stack/actor.h"

namespace ottla::test {

class Admin final : public Actor {
 public:
  Admin(rt::World world, std::map<std::string, int32_t> traffic, int others, uint64_t seed,
        History& history);
  bool finished() const override {
    return wanted_.empty() && others_ == 0 && victim_.empty() && to_fill_.empty() &&
           to_audit_.empty();
  }
  std::string describe() const override;

 private:
  void step() override;
  void create(const std::string& topic, int32_t partitions);
  void choose();
  void fill();
  void audit();
  void remove();

  std::map<std::string, int32_t> traffic_;
  std::map<std::string, int32_t> wanted_;
  int others_;
  int lives_ = 0;
  std::map<std::string, std::string> life_;  // of each short-lived topic: what its records say
  std::string to_fill_, to_audit_;
  int fill_attempts_ = 0;
  std::string victim_;
  bool victim_may_be_gone_ = false;
  bool may_exist_ = false;  // an earlier attempt has no answer
  kmsg::ErrorCode last_error_ = kmsg::ErrorCode::none;
};

}  // namespace ottla::test
