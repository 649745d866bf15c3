// For tests of the control plane: a broker that is alone, whose requests from its controller are
// carried out on its own loop: its metadata follows, replicas stop without a fault.
#pragma once

#include <memory>
#include <utility>

#include "broker/controller/control_plane.h"
#include "common/base/check.h"

namespace ottla::broker {

struct LoneBroker : ControlPlaneHost, BrokerChannel {
  LoneBroker(rt::World w, ControlPlaneOptions options)
      : world(w), plane(std::make_unique<ControlPlane>(world, std::move(options), *this, *this)) {}

  MetadataPtr metadata() const override { return image; }

  void add_broker(const BrokerRegistration&, int64_t) override {}
  void remove_broker(int32_t) override {}
  void leader_and_isr(int32_t, kmsg::LeaderAndIsrRequest,
                      Fn<void(kmsg::LeaderAndIsrResponse)> done) override {
    world.loop.post([done = std::move(done)]() mutable { done({}); });
  }
  void update_metadata(int32_t, kmsg::UpdateMetadataRequest request,
                       Fn<void(kmsg::UpdateMetadataResponse)> done) override {
    world.loop.post([this, request = std::move(request), done = std::move(done)]() mutable {
      OTTLA_CHECK(request.controller_epoch >= image->controller_epoch());
      image = MetadataImage::apply(image, request).image;
      plane->on_metadata_changed();
      done({});
    });
  }
  void stop_replica(int32_t, kmsg::StopReplicaRequest request,
                    Fn<void(kmsg::StopReplicaResponse)> done) override {
    kmsg::StopReplicaResponse response;
    for (const auto& topic : request.topic_states)
      for (const auto& partition : topic.partition_states) {
        auto& error = response.partition_errors.emplace_back();
        error.topic_name = topic.topic_name;
        error.partition_index = partition.partition_index;
      }
    world.loop.post([done = std::move(done), response]() mutable { done(std::move(response)); });
  }

  rt::World world;
  MetadataPtr image = MetadataImage::empty("");
  std::unique_ptr<ControlPlane> plane;
};

}  // namespace ottla::broker
