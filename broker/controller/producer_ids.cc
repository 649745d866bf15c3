// Room broker/controller: producer id blocks. See the header.
#include "broker/controller/producer_ids.h"

#include <fmt/core.h>

namespace ottla::broker {

void claim_producer_ids(ZkClient& zk, int32_t broker_id, Fn<void(Result<ProducerIdBlock>)> done) {
  zk.submit(ZkRequest::get(zpath::kProducerIds), [&zk, broker_id,
                                                  done = std::move(done)](ZkReply node) mutable {
    if (!node.ok())
      return done(fail(Errc::closed, fmt::format("{} cannot be read: {}", zpath::kProducerIds,
                                                 jute::error_name(node.error))));
    ProducerIdBlock block{broker_id, 0, kProducerIdBlockSize - 1};
    if (node.data && !node.data->empty()) {
      auto last = decode_producer_id_block(*node.data);
      if (!last) return done(std::unexpected(last.error()));
      if (last->last > INT64_MAX - kProducerIdBlockSize)
        return done(fail(Errc::invalid, "all producer ids are used up"));
      block.first = last->last + 1;
      block.last = last->last + kProducerIdBlockSize;
    }
    auto write =
        ZkRequest::set(zpath::kProducerIds, encode_producer_id_block(block), node.stat.version);
    // Beaten by another broker, or by our own first attempt whose reply was lost: a block that is
    // given up costs nothing.
    zk.submit(std::move(write),
              [&zk, broker_id, block, done = std::move(done)](ZkReply written) mutable {
                if (written.ok()) return done(block);
                if (written.error == ZkError::bad_version)
                  return claim_producer_ids(zk, broker_id, std::move(done));
                done(fail(Errc::closed, fmt::format("{} cannot be written: {}", zpath::kProducerIds,
                                                    jute::error_name(written.error))));
              });
  });
}

}  // namespace ottla::broker
