// Session ids and passwords. Every server of an ensemble derives the same password from an id: that
// is what lets a session move. Source: java.util.Random's documented generator.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/bytes.h"

namespace ottla::zk {

using SessionPassword = std::array<uint8_t, 16>;

SessionPassword session_password(int64_t session);
// First id of a server that starts at `clock_ms`: 8 bits of server, 40 of clock, 16 of counter.
int64_t first_session_id(int64_t server_id, int64_t clock_ms);

}  // namespace ottla::zk
