// Kafka's "snappy" is snappy-java's stream: 16 bytes of header (magic, version 1, compatible 1), then
// blocks of raw snappy, each behind its int32 size. Some clients send one raw block without header.
#include <snappy.h>

#include <algorithm>

#include "common/base/endian.h"
#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {

constexpr uint8_t kMagic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr size_t kHeaderSize = 16;
constexpr size_t kBlockSize = 32 * 1024;

bool has_header(Bytes input) {
  return input.size() >= kHeaderSize && std::memcmp(input.data(), kMagic, sizeof kMagic) == 0;
}

Result<void> append_block(Bytes block, Buffer& out, size_t max_bytes) {
  const char* data = reinterpret_cast<const char*>(block.data());
  size_t size = 0;
  if (!snappy::GetUncompressedLength(data, block.size(), &size))
    return corrupt("snappy", "a block has no length");
  if (size > max_bytes - out.size()) return too_large("snappy", max_bytes);
  // A block cannot grow by more than 64/3 per byte (its copies reach 64 bytes for 3): larger
  // promises are lies, and memory is not spent on them.
  if (size / 24 > block.size()) return corrupt("snappy", "a block promises more than it can hold");
  size_t at = out.size();
  out.resize_uninitialized(at + size);
  if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(out.data() + at)))
    return corrupt("snappy", "a block is damaged");
  return {};
}

}  // namespace

Result<void> snappy_compress(Bytes input, Buffer& out) {
  uint8_t header[kHeaderSize];
  std::memcpy(header, kMagic, sizeof kMagic);
  store_be<int32_t>(header + 8, 1);
  store_be<int32_t>(header + 12, 1);
  out.append(Bytes(header));
  for (size_t from = 0; from < input.size(); from += kBlockSize) {
    Bytes block = input.subspan(from, std::min(kBlockSize, input.size() - from));
    size_t at = out.size();
    out.resize_uninitialized(at + 4 + snappy::MaxCompressedLength(block.size()));
    size_t size = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                        reinterpret_cast<char*>(out.data() + at + 4), &size);
    store_be(out.data() + at, static_cast<int32_t>(size));
    out.resize_uninitialized(at + 4 + size);
  }
  return {};
}

Result<Buffer> snappy_decompress(Bytes input, size_t max_bytes) {
  Buffer out;
  if (!has_header(input)) {
    OTTLA_TRY(append_block(input, out, max_bytes));
    return out;
  }
  size_t at = kHeaderSize;
  while (at < input.size()) {
    if (has_header(input.subspan(at))) {  // streams written one after the other
      at += kHeaderSize;
      continue;
    }
    if (input.size() - at < 4) return corrupt("snappy", "a block's size is cut short");
    int32_t size = load_be<int32_t>(input.data() + at);
    at += 4;
    if (size < 0 || static_cast<size_t>(size) > input.size() - at)
      return corrupt("snappy", "a block's size is wrong");
    OTTLA_TRY(append_block(input.subspan(at, static_cast<size_t>(size)), out, max_bytes));
    at += static_cast<size_t>(size);
  }
  return out;
}

}  // namespace ottla::compress::detail
