// LZ4 frames as Kafka writes them: independent 64 KB blocks, no checksums but the header's. Magic 0
// messages carry a header checksum computed over the frame magic too; such a frame is repaired
// before, or spoiled after, the library does its work.
#include <lz4frame.h>

#include <algorithm>
#include <bit>

#include "common/base/endian.h"
#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {

constexpr size_t kFrameMagicSize = 4;

// xxHash32 with seed 0 of fewer than 16 bytes: all that a frame header needs.
uint32_t short_xxh32(Bytes bytes) {
  constexpr uint32_t kP1 = 2654435761u, kP2 = 2246822519u, kP3 = 3266489917u, kP4 = 668265263u,
                     kP5 = 374761393u;
  OTTLA_CHECK(bytes.size() < 16);
  uint32_t hash = kP5 + static_cast<uint32_t>(bytes.size());
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4)
    hash = std::rotl(hash + load_le<uint32_t>(bytes.data() + i) * kP3, 17) * kP4;
  for (; i < bytes.size(); ++i) hash = std::rotl(hash + bytes[i] * kP5, 11) * kP1;
  hash = (hash ^ (hash >> 15)) * kP2;
  hash = (hash ^ (hash >> 13)) * kP3;
  return hash ^ (hash >> 16);
}
uint8_t header_checksum(Bytes header) { return static_cast<uint8_t>(short_xxh32(header) >> 8); }

// Where the header checksum byte lies: after magic, flags, block descriptor, optional content size.
// 0 when the frame is too short or of a form that old Kafka clients never wrote.
size_t checksum_position(Bytes frame) {
  if (frame.size() < 7) return 0;
  bool content_size = frame[4] & 0x08, dictionary = frame[4] & 0x01;
  size_t at = kFrameMagicSize + 2 + (content_size ? 8 : 0);
  return dictionary || frame.size() <= at ? 0 : at;
}

struct DecoderGuard {
  LZ4F_dctx* context = nullptr;
  ~DecoderGuard() { LZ4F_freeDecompressionContext(context); }
};

}  // namespace

Result<void> lz4_compress(Bytes input, Buffer& out, int level, bool broken_checksum) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level == 9 ? 0 : level;  // Kafka's default 9 means the fast coder
  size_t at = out.size();
  out.resize_uninitialized(at + LZ4F_compressFrameBound(input.size(), &preferences));
  size_t size = LZ4F_compressFrame(out.data() + at, out.size() - at, input.data(), input.size(),
                                   &preferences);
  if (LZ4F_isError(size)) return fail(Errc::invalid, std::string("lz4: ") + LZ4F_getErrorName(size));
  out.resize_uninitialized(at + size);
  if (broken_checksum) {
    size_t checksum = checksum_position(out.bytes().subspan(at));
    OTTLA_CHECK(checksum != 0);
    out.data()[at + checksum] = header_checksum(out.bytes().subspan(at, checksum));
  }
  return {};
}

Result<Buffer> lz4_decompress(Bytes input, size_t max_bytes, bool broken_checksum) {
  Buffer repaired;
  if (broken_checksum) {
    size_t checksum = checksum_position(input);
    if (checksum == 0) return corrupt("lz4", "no frame header");
    repaired.append(input);
    repaired.data()[checksum] =
        header_checksum(input.subspan(kFrameMagicSize, checksum - kFrameMagicSize));
    input = repaired.bytes();
  }
  DecoderGuard decoder;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&decoder.context, LZ4F_VERSION)))
    return corrupt("lz4", "no memory");
  Buffer out;
  size_t produced = 0, consumed = 0, hint = 1;
  while (hint != 0) {
    uint8_t spare[1];
    uint8_t* into = spare;
    size_t room = 0;
    if (produced < out.size() || grow_output(out, produced, input.size(), max_bytes)) {
      into = out.data() + produced;
      room = out.size() - produced;
    } else {
      room = 1;  // at the limit: any further byte is one too many
    }
    bool at_limit = into == spare;
    size_t took = input.size() - consumed, gave = room;
    hint = LZ4F_decompress(decoder.context, into, &gave, input.data() + consumed, &took, nullptr);
    if (LZ4F_isError(hint)) return corrupt("lz4", LZ4F_getErrorName(hint));
    consumed += took;
    if (at_limit && gave > 0) return too_large("lz4", max_bytes);
    if (!at_limit) produced += gave;
    if (hint != 0 && took == 0 && gave == 0) return corrupt("lz4", "it is cut short");
  }
  out.resize_uninitialized(produced);
  return out;
}

}  // namespace ottla::compress::detail
