// Whole frames that are not what they should be. Compared: the answer, or that the connection ends.
#include <fmt/core.h>

#include "common/base/endian.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/headers.h"
#include "test/interop/differential_kafka/world.h"

namespace ottla::differential {
namespace {

using kmsg::ApiKey;

// Requests that change nothing, so that any damage to them is harmless.
constexpr ApiKey kHarmless[] = {
    ApiKey::list_offsets,      ApiKey::offset_fetch, ApiKey::describe_groups,
    ApiKey::list_groups,       ApiKey::heartbeat,    ApiKey::describe_configs,
    ApiKey::describe_cluster,  ApiKey::api_versions, ApiKey::offset_for_leader_epoch,
    ApiKey::describe_producers};

}  // namespace

void Steps::frames() {
  Prng& prng = run.prng;
  constexpr int kConn = 5;
  auto key = static_cast<int16_t>(kHarmless[prng.below(std::size(kHarmless))]);
  int16_t v = version(key);
  auto request = make_message(key, true);
  fill(*request, key, v, world, run);
  kmsg::RequestHeader header;
  header.request_api_key = key;
  header.request_api_version = v;
  header.correlation_id = static_cast<int32_t>(prng.below(1000));
  header.client_id = "frames";
  if (prng.chance(0.1)) header.client_id.reset();
  int16_t header_version = kmsg::request_header_version(*kmsg::find_api(key), v);

  auto build = [&](int16_t as_header) {
    wire::Writer w;
    OTTLA_CHECK(header.encode(w, as_header).has_value());
    OTTLA_CHECK(request->encode(w, v).has_value());
    return w.take();
  };
  switch (prng.below(8)) {
    case 0: {
      header.request_api_key =
          pick<int16_t>(prng, {-1, 52, 62, 63, 64, 70, 90, 127, INT16_MAX, INT16_MIN});
      return run.call_frame(kConn, build(header_version), "unknown api key");
    }
    case 1: {
      auto [low, high] = versions.at(key);
      header.request_api_version =
          prng.chance(0.5) ? static_cast<int16_t>(high + 1 + static_cast<int16_t>(prng.below(3)))
                           : pick<int16_t>(prng, {-1, INT16_MAX, INT16_MIN});
      bool flexible = header.request_api_version >= kmsg::find_api(key)->flexible_from;
      return run.call_frame(kConn, build(flexible ? 2 : 1), "unknown version");
    }
    case 2: {
      Buffer frame = build(header_version);
      frame.resize_uninitialized(prng.below(frame.size()));
      return run.call_frame(kConn, frame, "cut short");
    }
    case 3: {
      Buffer frame = build(header_version);
      frame.append(std::string(1 + prng.below(40), prng.chance(0.5) ? '\0' : 'z'));
      return run.call_frame(kConn, frame, "bytes after the end");
    }
    case 4:
      return run.call_frame(kConn, build(header_version == 2 ? 1 : 2), "wrong header version");
    case 5: {
      Buffer frame = build(header_version);
      // Not the key, the version or the correlation id.
      if (frame.size() > 8)
        frame.data()[8 + prng.below(frame.size() - 8)] ^= static_cast<uint8_t>(1 << prng.below(7));
      return run.call_frame(kConn, frame, "one bit turned");
    }
    case 6: {
      Buffer raw(size_t{4});
      store_be(raw.data(), pick(prng, {-1, INT32_MIN, INT32_MAX, 104857601, 0, 1, 7}));
      raw.append(std::string(8, '\0'));
      return run.call_raw(raw, "a length");
    }
    default: {
      Buffer frame = build(header_version);
      for (int i = 0; i < 4 && frame.size() > 8; ++i)
        frame.data()[8 + prng.below(frame.size() - 8)] = static_cast<uint8_t>(prng.below(128));
      return run.call_frame(kConn, frame, "four bytes put in");
    }
  }
}

}  // namespace ottla::differential
