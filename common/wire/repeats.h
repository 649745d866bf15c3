// Repeats: what a request asks for again. It is answered again until that made so many bytes, and
// left out behind them: a few bytes of a request may stand for much, and would each time.
#pragma once

#include <cstddef>
#include <set>
#include <utility>

#include "common/wire/writer.h"

namespace ottla::wire {

template <class Key>
class Repeats {
 public:
  static constexpr size_t kBytes = 4 << 20;

  // Whether `key` is answered. Behind a true, the answer is shown to told().
  bool admits(Key key) {
    again_ = !seen_.insert(std::move(key)).second;
    return !again_ || bytes_ < kBytes;
  }
  // `answer`: a generated struct, as it goes to the wire in `version`.
  template <class Answer>
  void told(const Answer& answer, int16_t version) {
    if (!again_) return;
    Writer writer;
    (void)answer.put(writer, version);
    bytes_ += writer.size();
  }

 private:
  std::set<Key> seen_;
  bool again_ = false;
  size_t bytes_ = 0;
};

}  // namespace ottla::wire
