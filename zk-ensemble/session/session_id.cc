#include "zk-ensemble/session/session_id.h"

#include "common/base/endian.h"

namespace ottla::zk {

SessionPassword session_password(int64_t session) {
  constexpr uint64_t kSecret = 0xB3415C00, kMultiplier = 0x5DEECE66D,
                     kMask = (uint64_t{1} << 48) - 1;
  uint64_t state = ((static_cast<uint64_t>(session) ^ kSecret) ^ kMultiplier) & kMask;
  SessionPassword password;
  for (size_t i = 0; i < password.size(); i += 4) {
    state = (state * kMultiplier + 0xB) & kMask;
    store_le(password.data() + i, static_cast<uint32_t>(state >> 16));
  }
  return password;
}

int64_t first_session_id(int64_t server_id, int64_t clock_ms) {
  uint64_t id = (static_cast<uint64_t>(clock_ms) << 24) >> 8;
  id |= static_cast<uint64_t>(server_id) << 56;
  if (id == uint64_t{1} << 63) ++id;  // that number marks container nodes
  return static_cast<int64_t>(id);
}

}  // namespace ottla::zk
