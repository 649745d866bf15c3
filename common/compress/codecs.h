// The codecs behind codec.h, one file each. `out` is appended to.
#pragma once

#include "common/compress/codec.h"

namespace ottla::compress::detail {

Result<void> gzip_compress(Bytes input, Buffer& out, int level);
Result<void> snappy_compress(Bytes input, Buffer& out);
Result<void> lz4_compress(Bytes input, Buffer& out, int level, bool broken_checksum);
Result<void> zstd_compress(Bytes input, Buffer& out, int level);

std::unique_ptr<Stream> gzip_stream();
std::unique_ptr<Stream> snappy_stream();
std::unique_ptr<Stream> lz4_stream();
std::unique_ptr<Stream> zstd_stream();

constexpr size_t kPieceBytes = 64 * 1024;   // of output, where the codec leaves the choice
constexpr size_t kKeptBytes = 1024 * 1024;  // more than that is given back after an input

inline std::unexpected<Error> corrupt(const char* codec, const std::string& why) {
  return fail(Errc::invalid, std::string(codec) + " data does not decode: " + why);
}

}  // namespace ottla::compress::detail
