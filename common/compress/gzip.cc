#include <zlib.h>

#include <algorithm>

#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {
constexpr int kGzipWindow = 15 + 16;  // zlib's way to say "gzip wrapper"
}

Result<void> gzip_compress(Bytes input, Buffer& out, int level) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(Errc::invalid, "gzip does not start at level " + std::to_string(level));
  // "Unknown" as the operating system, as Java writes it, so that equal records give equal bytes.
  gz_header header{};
  header.os = 255;
  deflateSetHeader(&stream, &header);
  size_t at = out.size();
  out.resize_uninitialized(at + deflateBound(&stream, input.size()));
  stream.next_in = const_cast<uint8_t*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = out.data() + at;
  stream.avail_out = static_cast<uInt>(out.size() - at);
  int status = deflate(&stream, Z_FINISH);
  out.resize_uninitialized(out.size() - stream.avail_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) return fail(Errc::invalid, "gzip did not finish");
  return {};
}

// Members may follow each other; what follows and is no member is ignored, as Java's reader does.
Result<Buffer> gzip_decompress(Bytes input, size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return corrupt("gzip", "no memory");
  Buffer out;
  size_t produced = 0;
  stream.next_in = const_cast<uint8_t*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  int status = Z_OK;
  bool bounded = true;
  while (true) {
    if (produced == out.size() && !grow_output(out, produced, input.size(), max_bytes)) {
      uint8_t one;  // exactly max_bytes is allowed: see whether the stream ends here
      stream.next_out = &one;
      stream.avail_out = 1;
      status = inflate(&stream, Z_NO_FLUSH);
      bounded = stream.avail_out == 1;
    } else {
      stream.next_out = out.data() + produced;
      stream.avail_out = static_cast<uInt>(out.size() - produced);
      status = inflate(&stream, Z_NO_FLUSH);
      produced = out.size() - stream.avail_out;
    }
    if (!bounded) break;
    if (status == Z_STREAM_END) {
      if (stream.avail_in < 2 || stream.next_in[0] != 0x1f || stream.next_in[1] != 0x8b) break;
      inflateReset(&stream);
    } else if (status != Z_OK) {
      break;
    }
  }
  inflateEnd(&stream);
  if (!bounded) return too_large("gzip", max_bytes);
  if (status != Z_STREAM_END) return corrupt("gzip", stream.msg ? stream.msg : "it is cut short");
  out.resize_uninitialized(produced);
  return out;
}

}  // namespace ottla::compress::detail
