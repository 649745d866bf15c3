// What a log or a validator answers a client: Kafka's protocol error codes, with the protocol's
// numbers, so that a server casts them. Only those that record sets and logs can cause are here.
// Source: Kafka protocol guide, error codes.
#pragma once

#include <cstdint>

namespace ottla::broker {

enum class Refusal : int16_t {
  unknown_server_error = -1,
  none = 0,
  offset_out_of_range = 1,
  corrupt_message = 2,
  unknown_topic_or_partition = 3,
  not_leader_or_follower = 6,
  message_too_large = 10,
  record_list_too_large = 18,
  invalid_timestamp = 32,
  unsupported_version = 35,
  unsupported_for_message_format = 43,
  policy_violation = 44,
  out_of_order_sequence_number = 45,
  invalid_producer_epoch = 47,
  invalid_txn_state = 48,
  transaction_coordinator_fenced = 52,
  kafka_storage_error = 56,
  unsupported_compression_type = 76,
  invalid_record = 87,
};

}  // namespace ottla::broker
