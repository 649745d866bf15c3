// The five codecs of Kafka's record format, whole-buffer and bounded. Used only where records must
// be opened: recompression, old formats, compacted topics. Stateless; any thread.
//
// Source: KIP-57 (LZ4 frames), KIP-110 (zstd), KIP-390 (levels); the LZ4 frame and snappy framing
// descriptions; snappy-java's stream format, which Kafka calls "snappy".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace ottla::compress {

// Values are the low three attribute bits of a batch.
enum class Codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
constexpr int kCodecCount = 5;

std::string_view codec_name(Codec codec);                     // "none", "gzip", ...
std::optional<Codec> codec_from_name(std::string_view name);  // also "uncompressed"

// Levels as Kafka's compression.<codec>.level; snappy and none have none.
struct Levels {
  int gzip = -1;
  int lz4 = 9;
  int zstd = 3;
  bool operator==(const Levels&) const = default;
};

// What the record format says about a codec besides its number.
struct Format {
  // Magic 0 messages carry LZ4 frames whose header checksum was computed over the wrong bytes.
  bool lz4_broken_checksum = false;
};

// Appends the compressed form of `input` to `out`.
Result<void> compress(Codec codec, Bytes input, Buffer& out, const Levels& levels = {},
                      const Format& format = {});

// Decompresses all of `input`. Errc::corrupt when it does not decode, Errc::too_large when the
// output would pass `max_bytes`: memory is claimed as output appears, never from a header's
// promise.
Result<Buffer> decompress(Codec codec, Bytes input, size_t max_bytes, const Format& format = {});

}  // namespace ottla::compress
