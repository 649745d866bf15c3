// Producer id blocks: claimed in /latest_producer_id_block by a conditional write, 1000 at a time.
// Source: KIP-360, KIP-730 (ZkProducerIdManager behaviour).
#pragma once

#include <cstdint>

#include "broker/zk/zk_client.h"
#include "broker/zk/znodes.h"
#include "common/base/fn.h"
#include "common/base/result.h"

namespace ottla::broker {

inline constexpr int64_t kProducerIdBlockSize = 1000;

// `done` with the block now owned by `broker_id`. Errc::closed when the session expired.
void claim_producer_ids(ZkClient& zk, int32_t broker_id, Fn<void(Result<ProducerIdBlock>)> done);

}  // namespace ottla::broker
