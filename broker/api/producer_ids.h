// ProducerIds: hands out producer ids from blocks that the control plane claims in ZooKeeper, the
// next block being fetched before the present one is used up. Source: KIP-730.
#pragma once

#include <cstdint>
#include <deque>

#include "broker/controller/control_plane.h"
#include "common/base/fn.h"

namespace ottla::broker {

class ProducerIds {
 public:
  explicit ProducerIds(ControlPlane& control) : control_(control) {}
  // Calls `done` now when an id is at hand, else when a block has come or was refused.
  void next(Fn<void(kmsg::ErrorCode, int64_t)> done);

 private:
  void fetch();

  ControlPlane& control_;
  int64_t next_ = 0;
  int64_t end_ = 0;
  bool fetching_ = false;
  std::deque<Fn<void(kmsg::ErrorCode, int64_t)>> waiting_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace ottla::broker
