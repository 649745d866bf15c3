// OneByOne: steps of a request that is carried out one part after the other, where a part ends at
// once or in a later turn of the loop. Whoever ends a part asks for the next with run(); parts that
// end at once make a loop of it, so that a request of a million parts does not nest a million calls.
#pragma once

#include <utility>

namespace ottla::broker {

class OneByOne {
 public:
  // Calls `step` now, or once more after the one that is running: it is the same every time. It may
  // not destroy this object.
  template <class Step>
  void run(Step step) {
    wanted_ = true;
    if (running_) return;
    running_ = true;
    while (std::exchange(wanted_, false)) step();
    running_ = false;
  }

 private:
  bool running_ = false;
  bool wanted_ = false;
};

}  // namespace ottla::broker
