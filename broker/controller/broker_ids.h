// Generated broker ids: every write of /brokers/seqid counts its version up by one, and the version
// is the id, above those that operators may set. A number that is lost (a reply that did not come,
// a crash before meta.properties was written) is never given again. A core over ZkClient.
// Source: Kafka's broker.id.generation.enable and reserved.broker.max.id.
#pragma once

#include <cstdint>

#include "broker/zk/zk_client.h"
#include "common/base/fn.h"
#include "common/base/result.h"

namespace ottla::broker {

// `done` with reserved_max + the new version, or one line. Errc::closed when the session expired.
void generate_broker_id(ZkClient& zk, int32_t reserved_max, Fn<void(Result<int32_t>)> done);

}  // namespace ottla::broker
