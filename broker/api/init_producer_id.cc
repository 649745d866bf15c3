// InitProducerId for idempotent producers. A transactional id is answered with UNSUPPORTED_VERSION:
// the transaction coordinator is not built yet (docs/compat.md).
// Source: KIP-98, KIP-360.
#include "proto/kafka/init_producer_id.h"

#include "broker/api/handlers.h"
#include "broker/api/producer_ids.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void handle_init_producer_id(ApiContext& context, RequestPtr request) {
  kmsg::InitProducerIdRequest asked;
  if (!decode(*request, asked)) return;
  auto refuse = [&](ErrorCode error) {
    kmsg::InitProducerIdResponse response;
    response.error_code = error;
    response.producer_epoch = -1;
    request->reply(response);
  };
  const bool half = (asked.producer_id == -1) != (asked.producer_epoch == -1);
  if (half) return refuse(ErrorCode::invalid_request);
  if (asked.transactional_id) {
    if (asked.transactional_id->empty()) return refuse(ErrorCode::invalid_request);
    if (asked.transaction_timeout_ms <= 0 ||
        asked.transaction_timeout_ms > context.config.transaction_max_timeout_ms)
      return refuse(ErrorCode::invalid_transaction_timeout);
    return refuse(ErrorCode::unsupported_version);
  }
  context.producer_ids.next([request = std::move(request)](ErrorCode error, int64_t id) {
    kmsg::InitProducerIdResponse response;
    response.error_code = error;
    response.producer_id = id;
    response.producer_epoch = error == ErrorCode::none ? 0 : -1;
    request->reply(response);
  });
}

}  // namespace ottla::broker
