// The codecs behind codec.h, one file each. `out` is appended to; decoders stop at `max_bytes`.
#pragma once

#include "common/compress/codec.h"

namespace ottla::compress::detail {

Result<void> gzip_compress(Bytes input, Buffer& out, int level);
Result<Buffer> gzip_decompress(Bytes input, size_t max_bytes);
Result<void> snappy_compress(Bytes input, Buffer& out);
Result<Buffer> snappy_decompress(Bytes input, size_t max_bytes);
Result<void> lz4_compress(Bytes input, Buffer& out, int level, bool broken_checksum);
Result<Buffer> lz4_decompress(Bytes input, size_t max_bytes, bool broken_checksum);
Result<void> zstd_compress(Bytes input, Buffer& out, int level);
Result<Buffer> zstd_decompress(Bytes input, size_t max_bytes);

inline std::unexpected<Error> corrupt(const char* codec, const char* why) {
  return fail(Errc::corrupt, std::string(codec) + " data does not decode: " + why);
}
inline std::unexpected<Error> too_large(const char* codec, size_t max_bytes) {
  return fail(Errc::too_large, std::string(codec) + " data decompresses to more than " +
                                   std::to_string(max_bytes) + " bytes");
}
// Room for the next piece of output: grows by doubling, from a guess that the input can justify.
inline bool grow_output(Buffer& out, size_t produced, size_t input_size, size_t max_bytes) {
  if (produced >= max_bytes) return false;
  size_t wanted = produced == 0 ? std::max<size_t>(input_size * 4, 4096) : produced * 2;
  out.resize_uninitialized(std::min(wanted, max_bytes));
  return true;
}

}  // namespace ottla::compress::detail
