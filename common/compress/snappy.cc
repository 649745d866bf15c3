// Kafka's "snappy" is snappy-java's stream: 16 bytes of header (magic, version 1, compatible 1),
// then blocks of raw snappy, each behind its int32 size. Some clients send one raw block without
// header.
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

class SnappyStream final : public Stream {
 public:
  Result<void> begin(Bytes input, const Format&) override {
    if (out_.capacity() > kKeptBytes) out_ = Buffer();
    rest_ = {};
    if (input.empty()) return corrupt("snappy", "it is empty");
    stream_ = has_header(input);
    rest_ = stream_ ? input.subspan(kHeaderSize) : input;
    return {};
  }
  Result<Bytes> next() override {
    out_.clear();
    if (!stream_) {
      if (!rest_.empty()) OTTLA_TRY(open_block(std::exchange(rest_, {})));
      return out_.bytes();
    }
    while (out_.empty()) {
      while (has_header(rest_)) rest_ = rest_.subspan(kHeaderSize);  // streams one after the other
      if (rest_.size() < 4) break;
      int32_t size = load_be<int32_t>(rest_.data());
      rest_ = rest_.subspan(4);
      if (size < 0 || static_cast<size_t>(size) > rest_.size())
        return corrupt("snappy", "a block's size is wrong");
      OTTLA_TRY(open_block(rest_.first(static_cast<size_t>(size))));
      rest_ = rest_.subspan(static_cast<size_t>(size));
    }
    return out_.bytes();
  }

 private:
  Result<void> open_block(Bytes block) {
    const char* data = reinterpret_cast<const char*>(block.data());
    size_t size = 0;
    if (!snappy::GetUncompressedLength(data, block.size(), &size))
      return corrupt("snappy", "a block has no length");
    // A block cannot grow by more than 64/3 per byte (its copies reach 64 bytes for 3): larger
    // promises are lies, and memory is not spent on them.
    if (size / 24 > block.size())
      return corrupt("snappy", "a block promises more than it can hold");
    out_.resize_uninitialized(size);
    if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(out_.data())))
      return corrupt("snappy", "a block is damaged");
    return {};
  }
  Bytes rest_;
  Buffer out_;
  bool stream_ = false;
};

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

std::unique_ptr<Stream> snappy_stream() { return std::make_unique<SnappyStream>(); }

}  // namespace ottla::compress::detail
