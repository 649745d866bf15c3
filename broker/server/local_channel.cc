#include "broker/server/local_channel.h"

namespace ottla::broker {

template <class Message, class Response>
void LocalChannel::post(Message request, Fn<void(Response)> done) {
  loop_.post([this, alive = std::weak_ptr<int>(alive_), generation = generation_,
              request = std::move(request), done = std::move(done)]() mutable {
    if (alive.expired() || generation != generation_) return;
    executor_.execute(std::move(request),
                      [this, alive, generation, done = std::move(done)](Response response) mutable {
                        if (!alive.expired() && generation == generation_)
                          done(std::move(response));
                      });
  });
}

void LocalChannel::add_broker(const BrokerRegistration&, int64_t) {}
void LocalChannel::remove_broker(int32_t) { ++generation_; }

void LocalChannel::leader_and_isr(int32_t, kmsg::LeaderAndIsrRequest request,
                                  Fn<void(kmsg::LeaderAndIsrResponse)> done) {
  post<kmsg::LeaderAndIsrRequest, kmsg::LeaderAndIsrResponse>(std::move(request), std::move(done));
}
void LocalChannel::update_metadata(int32_t, kmsg::UpdateMetadataRequest request,
                                   Fn<void(kmsg::UpdateMetadataResponse)> done) {
  post<kmsg::UpdateMetadataRequest, kmsg::UpdateMetadataResponse>(std::move(request),
                                                                  std::move(done));
}
void LocalChannel::stop_replica(int32_t, kmsg::StopReplicaRequest request,
                                Fn<void(kmsg::StopReplicaResponse)> done) {
  post<kmsg::StopReplicaRequest, kmsg::StopReplicaResponse>(std::move(request), std::move(done));
}

}  // namespace ottla::broker
