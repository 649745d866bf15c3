// The five codecs of Kafka's record format. compress() takes a whole buffer; Decompressor gives the
// output piece by piece, so that what is only looked at never stands in memory whole, and
// decompress() puts the pieces together within a bound.
//
// Source: KIP-57 (LZ4 frames), KIP-110 (zstd), KIP-390 (levels); the LZ4 frame and snappy framing
// descriptions; snappy-java's stream format, which Kafka calls "snappy".
#pragma once

#include <array>
#include <cstdint>
#include <memory>
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
  // Magic 0 messages carry LZ4 frames whose header checksum was computed over the wrong bytes:
  // written so, and not looked at when read.
  bool lz4_broken_checksum = false;
};

// Appends the compressed form of `input` to `out`.
Result<void> compress(Codec codec, Bytes input, Buffer& out, const Levels& levels = {},
                      const Format& format = {});

// Decompresses all of `input`. Errc::invalid when it does not decode, Errc::too_large when the
// output would pass `max_bytes`: memory is claimed as output appears, never from a header's
// promise.
Result<Buffer> decompress(Codec codec, Bytes input, size_t max_bytes, const Format& format = {});

// One codec at work; what it allocated serves the next input.
class Stream {
 public:
  virtual ~Stream() = default;
  // `input` stays valid until the last next().
  virtual Result<void> begin(Bytes input, const Format& format) = 0;
  // The next piece of output, of 64 KB or one block of the codec (snappy: 24 times the input at
  // most; LZ4: 4 MB), valid until the call after this one;
  // empty at the end. Errc::invalid when the input does not decode.
  virtual Result<Bytes> next() = 0;
};

// Opens inputs one after the other with the same memory. Not for two inputs at once.
class Decompressor {
 public:
  Result<void> begin(Codec codec, Bytes input, const Format& format = {});
  Result<Bytes> next() { return current_->next(); }

 private:
  std::array<std::unique_ptr<Stream>, kCodecCount> streams_;
  Stream* current_ = nullptr;
};

}  // namespace ottla::compress
