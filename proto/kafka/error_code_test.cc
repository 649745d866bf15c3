#include <catch2/catch.hpp>

#include "proto/kafka/error_code.h"

namespace ottla::kmsg {

TEST_CASE("error codes have Kafka's numbers, names and messages") {
  CHECK(static_cast<int16_t>(ErrorCode::not_leader_or_follower) == 6);
  CHECK(static_cast<int16_t>(ErrorCode::fenced_leader_epoch) == 74);
  CHECK(error_name(ErrorCode::not_coordinator) == "NOT_COORDINATOR");
  CHECK(error_message(ErrorCode::not_coordinator) == "This is not the correct coordinator.");
  CHECK(error_message(ErrorCode::none).empty());
  CHECK(error_name(static_cast<ErrorCode>(9999)) == "UNKNOWN_SERVER_ERROR");
}

}  // namespace ottla::kmsg
