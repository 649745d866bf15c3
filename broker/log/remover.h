// Remover: takes files and directories away, one at a time and each by a job of its own on the disk
// pool: large files take their time, and flushes, checkpoints and openings share its threads. What
// is not gone at the end is found by the next start. Loop thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/rt/world.h"

namespace ottla::broker {

class Remover : public std::enable_shared_from_this<Remover> {
 public:
  explicit Remover(rt::Disk& disk) : disk_(disk) {}
  void remove(const std::vector<std::string>& paths) {
    doomed_.insert(doomed_.end(), paths.begin(), paths.end());
    if (!busy_) next();
  }

 private:
  void next() {
    busy_ = !doomed_.empty();
    if (!busy_) return;
    auto work = [&disk = disk_, path = std::move(doomed_.front())] {
      (void)disk.remove_tree(path);
    };
    doomed_.pop_front();
    disk_.run_blocking(std::move(work), [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->next();
    });
  }

  rt::Disk& disk_;
  std::deque<std::string> doomed_;
  bool busy_ = false;
};

}  // namespace ottla::broker
