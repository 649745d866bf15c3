// BrokerChannel: the controller's way to brokers, itself included. Requests to one broker are
// carried out in the order given; `done` comes later on the loop, never from inside the call, and
// never when the broker was removed first. A failed delivery is repeated by the channel, not by the
// controller. Source: KIP-380 (broker epochs), ControllerChannelManager behaviour.
#pragma once

#include <cstdint>

#include "broker/zk/znodes.h"
#include "common/base/fn.h"
#include "proto/kafka/leader_and_isr.h"
#include "proto/kafka/stop_replica.h"
#include "proto/kafka/update_metadata.h"

namespace ottla::broker {

class BrokerChannel {
 public:
  virtual ~BrokerChannel() = default;
  // A broker came (or came back with another epoch) or went, as this controller sees it.
  virtual void add_broker(const BrokerRegistration& broker, int64_t broker_epoch) = 0;
  virtual void remove_broker(int32_t broker_id) = 0;

  virtual void leader_and_isr(int32_t broker_id, kmsg::LeaderAndIsrRequest request,
                              Fn<void(kmsg::LeaderAndIsrResponse)> done) = 0;
  virtual void update_metadata(int32_t broker_id, kmsg::UpdateMetadataRequest request,
                               Fn<void(kmsg::UpdateMetadataResponse)> done) = 0;
  virtual void stop_replica(int32_t broker_id, kmsg::StopReplicaRequest request,
                            Fn<void(kmsg::StopReplicaResponse)> done) = 0;
};

// A broker, as its controller's requests see it: what arrives through LocalChannel or over TCP.
// Carried out one at a time, in the order given; `done` may come from inside the call.
class RequestExecutor {
 public:
  virtual ~RequestExecutor() = default;
  virtual void execute(kmsg::LeaderAndIsrRequest request,
                       Fn<void(kmsg::LeaderAndIsrResponse)> done) = 0;
  virtual void execute(kmsg::UpdateMetadataRequest request,
                       Fn<void(kmsg::UpdateMetadataResponse)> done) = 0;
  virtual void execute(kmsg::StopReplicaRequest request,
                       Fn<void(kmsg::StopReplicaResponse)> done) = 0;
};

}  // namespace ottla::broker
