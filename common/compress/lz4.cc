// LZ4 frames as Kafka writes them: independent 64 KB blocks, no checksums but the header's. Magic 0
// messages carry a header checksum computed over the frame magic too. Frames are taken apart here,
// for two reasons: Kafka's own reader differs from the library's (it refuses blocks that depend on
// each other, and does not look at a content checksum), and each block goes into memory that is
// used again.
#include <lz4.h>
#include <lz4frame.h>

#include <algorithm>
#include <bit>

#include "common/base/endian.h"
#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {

constexpr size_t kFrameMagicSize = 4;

constexpr uint32_t kFrameMagic = 0x184D2204u;
constexpr uint32_t kStoredBit = 0x80000000u;

// xxHash32 with seed 0.
uint32_t xxh32(Bytes bytes) {
  constexpr uint32_t kP1 = 2654435761u, kP2 = 2246822519u, kP3 = 3266489917u, kP4 = 668265263u,
                     kP5 = 374761393u;
  size_t i = 0;
  uint32_t hash = kP5;
  if (bytes.size() >= 16) {
    uint32_t lanes[4] = {kP1 + kP2, kP2, 0, 0u - kP1};
    for (; i + 16 <= bytes.size(); i += 16)
      for (size_t lane = 0; lane < 4; ++lane)
        lanes[lane] =
            std::rotl(lanes[lane] + load_le<uint32_t>(bytes.data() + i + 4 * lane) * kP2, 13) * kP1;
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
           std::rotl(lanes[3], 18);
  }
  hash += static_cast<uint32_t>(bytes.size());
  for (; i + 4 <= bytes.size(); i += 4)
    hash = std::rotl(hash + load_le<uint32_t>(bytes.data() + i) * kP3, 17) * kP4;
  for (; i < bytes.size(); ++i) hash = std::rotl(hash + bytes[i] * kP5, 11) * kP1;
  hash = (hash ^ (hash >> 15)) * kP2;
  hash = (hash ^ (hash >> 13)) * kP3;
  return hash ^ (hash >> 16);
}
uint8_t header_checksum(Bytes header) { return static_cast<uint8_t>(xxh32(header) >> 8); }

// Where the header checksum byte lies: after magic, flags, block descriptor, optional content size.
// 0 when the frame is too short or of a form that old Kafka clients never wrote.
size_t checksum_position(Bytes frame) {
  if (frame.size() < 7) return 0;
  bool content_size = frame[4] & 0x08, dictionary = frame[4] & 0x01;
  size_t at = kFrameMagicSize + 2 + (content_size ? 8 : 0);
  return dictionary || frame.size() <= at ? 0 : at;
}

class Lz4Stream final : public Stream {
 public:
  Result<void> begin(Bytes input, const Format& format) override {
    if (out_.capacity() > kKeptBytes) out_ = Buffer();
    ended_ = false;
    rest_ = {};
    size_t checksum = checksum_position(input);
    if (checksum == 0) return corrupt("lz4", "no frame header");
    uint8_t flags = input[4], block = input[5];
    if (load_le<uint32_t>(input.data()) != kFrameMagic) return corrupt("lz4", "no frame");
    if (flags >> 6 != 1 || (flags & 0x03) != 0 || !(flags & 0x20))
      return corrupt("lz4", "a frame of an unknown version, or with blocks that need each other");
    if ((block & 0x8f) != 0 || block < 0x40) return corrupt("lz4", "an unknown block size");
    Bytes header = input.subspan(kFrameMagicSize, checksum - kFrameMagicSize);
    if (!format.lz4_broken_checksum && input[checksum] != header_checksum(header))
      return corrupt("lz4", "the frame header's checksum is wrong");
    block_checksums_ = flags & 0x10;
    content_checksum_ = flags & 0x04;
    max_block_ = size_t{1} << (2 * (block >> 4) + 8);
    rest_ = input.subspan(checksum + 1);
    return {};
  }
  Result<Bytes> next() override {
    Bytes piece;
    while (piece.empty() && !ended_) {
      OTTLA_ASSIGN(uint32_t head, take_u32());
      size_t size = head & ~kStoredBit;
      if (size == 0) {
        ended_ = true;
        if (content_checksum_) OTTLA_TRY(take_u32());  // there, but Kafka does not look at it
        break;
      }
      if (size > max_block_ || size > rest_.size())
        return corrupt("lz4", "a block's size is wrong");
      Bytes block = rest_.first(size);
      rest_ = rest_.subspan(size);
      OTTLA_ASSIGN(piece, head & kStoredBit ? Result<Bytes>(block) : open_block(block));
      if (!block_checksums_) continue;
      OTTLA_ASSIGN(uint32_t checksum, take_u32());
      if (checksum != xxh32(block)) return corrupt("lz4", "a block fails its checksum");
    }
    return piece;
  }

 private:
  Result<uint32_t> take_u32() {
    if (rest_.size() < 4) return corrupt("lz4", "it is cut short");
    auto value = load_le<uint32_t>(rest_.data());
    rest_ = rest_.subspan(4);
    return value;
  }
  Result<Bytes> open_block(Bytes block) {
    out_.resize_uninitialized(max_block_);
    int size = LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()),
                                   reinterpret_cast<char*>(out_.data()),
                                   static_cast<int>(block.size()), static_cast<int>(max_block_));
    if (size < 0) return corrupt("lz4", "a block is damaged");
    return out_.bytes().first(static_cast<size_t>(size));
  }
  Bytes rest_;
  Buffer out_;
  size_t max_block_ = 0;
  bool block_checksums_ = false, content_checksum_ = false, ended_ = true;
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
  if (LZ4F_isError(size))
    return fail(Errc::invalid, std::string("lz4: ") + LZ4F_getErrorName(size));
  out.resize_uninitialized(at + size);
  if (broken_checksum) {
    size_t checksum = checksum_position(out.bytes().subspan(at));
    OTTLA_CHECK(checksum != 0);
    out.data()[at + checksum] = header_checksum(out.bytes().subspan(at, checksum));
  }
  return {};
}

std::unique_ptr<Stream> lz4_stream() { return std::make_unique<Lz4Stream>(); }

}  // namespace ottla::compress::detail
