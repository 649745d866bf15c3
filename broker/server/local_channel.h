// LocalChannel: the controller's requests to the one broker there is, this one, handed over in the
// next turn of the loop, in the order given. A channel over TCP takes its place when brokers are
// many.
#pragma once

#include <memory>

#include "broker/controller/broker_channel.h"
#include "common/rt/world.h"

namespace ottla::broker {

class LocalChannel final : public BrokerChannel {
 public:
  LocalChannel(rt::Loop& loop, RequestExecutor& executor) : loop_(loop), executor_(executor) {}

  void add_broker(const BrokerRegistration& broker, int64_t broker_epoch) override;
  void remove_broker(int32_t broker_id) override;
  void leader_and_isr(int32_t broker_id, kmsg::LeaderAndIsrRequest request,
                      Fn<void(kmsg::LeaderAndIsrResponse)> done) override;
  void update_metadata(int32_t broker_id, kmsg::UpdateMetadataRequest request,
                       Fn<void(kmsg::UpdateMetadataResponse)> done) override;
  void stop_replica(int32_t broker_id, kmsg::StopReplicaRequest request,
                    Fn<void(kmsg::StopReplicaResponse)> done) override;

 private:
  template <class Message, class Response>
  void post(Message request, Fn<void(Response)> done);

  rt::Loop& loop_;
  RequestExecutor& executor_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  uint64_t generation_ = 0;  // of the broker: an answer to an earlier one is not delivered
};

}  // namespace ottla::broker
