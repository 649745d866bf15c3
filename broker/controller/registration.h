// Registration: this broker's ephemeral under /brokers/ids, made as Kafka makes it (create and set
// in one multi; its czxid is the broker's epoch), and the checks before it. A core over ZkClient.
// Source: KIP-380; Kafka's KafkaZkClient.registerBroker (behaviour).
#pragma once

#include <memory>
#include <string>

#include "broker/zk/zk_client.h"
#include "broker/zk/znodes.h"
#include "common/base/fn.h"
#include "common/base/result.h"

namespace ottla::broker {

struct RegistrationRules {
  bool single_broker = true;  // refuse when another broker lives in this cluster
  std::string connect;        // zookeeper.connect, for messages
};

// `done`: the broker's epoch, or one line with the remedy. `zk` must outlive the call's end; an
// expired session ends it with Errc::closed.
void register_broker(ZkClient& zk, BrokerRegistration self, RegistrationRules rules,
                     Fn<void(Result<int64_t>)> done);

}  // namespace ottla::broker
