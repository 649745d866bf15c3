#include <zstd.h>

#include <algorithm>

#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {
struct StreamGuard {
  ZSTD_DStream* stream = ZSTD_createDStream();
  ~StreamGuard() { ZSTD_freeDStream(stream); }
};
}  // namespace

Result<void> zstd_compress(Bytes input, Buffer& out, int level) {
  size_t at = out.size();
  out.resize_uninitialized(at + ZSTD_compressBound(input.size()));
  size_t size = ZSTD_compress(out.data() + at, out.size() - at, input.data(), input.size(), level);
  if (ZSTD_isError(size)) return fail(Errc::invalid, std::string("zstd: ") + ZSTD_getErrorName(size));
  out.resize_uninitialized(at + size);
  return {};
}

// Frames may follow each other.
Result<Buffer> zstd_decompress(Bytes input, size_t max_bytes) {
  StreamGuard guard;
  if (guard.stream == nullptr || ZSTD_isError(ZSTD_initDStream(guard.stream)))
    return corrupt("zstd", "no memory");
  Buffer out;
  size_t produced = 0, hint = 1;
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  while (in.pos < in.size || hint != 0) {
    uint8_t spare[1];
    bool at_limit = produced == out.size() && !grow_output(out, produced, input.size(), max_bytes);
    ZSTD_outBuffer piece{at_limit ? spare : out.data() + produced,
                         at_limit ? 1 : out.size() - produced, 0};
    size_t before = in.pos;
    hint = ZSTD_decompressStream(guard.stream, &piece, &in);
    if (ZSTD_isError(hint)) return corrupt("zstd", ZSTD_getErrorName(hint));
    if (at_limit && piece.pos > 0) return too_large("zstd", max_bytes);
    if (!at_limit) produced += piece.pos;
    if (hint != 0 && in.pos == before && piece.pos == 0) return corrupt("zstd", "it is cut short");
  }
  out.resize_uninitialized(produced);
  return out;
}

}  // namespace ottla::compress::detail
