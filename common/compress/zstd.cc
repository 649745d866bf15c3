#include <zstd.h>

#include <algorithm>

#include "common/compress/codecs.h"

namespace ottla::compress::detail {
namespace {

struct CompressorGuard {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~CompressorGuard() { ZSTD_freeCCtx(context); }
};

// Frames may follow each other. The library refuses windows above 128 MB; what a large one took is
// given back with the input that asked for it.
class ZstdStream final : public Stream {
 public:
  ~ZstdStream() override { ZSTD_freeDStream(stream_); }
  Result<void> begin(Bytes input, const Format&) override {
    if (stream_ != nullptr && ZSTD_sizeof_DStream(stream_) > kKeptBytes) {
      ZSTD_freeDStream(stream_);
      stream_ = nullptr;
    }
    if (stream_ == nullptr) stream_ = ZSTD_createDStream();
    if (stream_ == nullptr || ZSTD_isError(ZSTD_initDStream(stream_)))
      return corrupt("zstd", "no memory");
    out_.resize_uninitialized(kPieceBytes);
    in_ = {input.data(), input.size(), 0};
    hint_ = input.empty() ? 0 : 1;
    return {};
  }
  Result<Bytes> next() override {
    ZSTD_outBuffer piece{out_.data(), out_.size(), 0};
    while (piece.pos == 0 && (in_.pos < in_.size || hint_ != 0)) {
      size_t before = in_.pos;
      hint_ = ZSTD_decompressStream(stream_, &piece, &in_);
      if (ZSTD_isError(hint_)) return corrupt("zstd", ZSTD_getErrorName(hint_));
      if (hint_ != 0 && in_.pos == before && piece.pos == 0)
        return corrupt("zstd", "it is cut short");
    }
    return out_.bytes().first(piece.pos);
  }

 private:
  ZSTD_DStream* stream_ = nullptr;
  ZSTD_inBuffer in_{};
  Buffer out_;
  size_t hint_ = 0;
};

}  // namespace

// As Java's stream writes a frame: the size is not known before (a known one also changes how
// matches are sought), and a flush before the end costs an empty last block. Equal records then
// take the same bytes as in Kafka's own logs.
Result<void> zstd_compress(Bytes input, Buffer& out, int level) {
  CompressorGuard guard;
  if (guard.context == nullptr) return fail(Errc::invalid, "zstd: no memory");
  size_t set = ZSTD_CCtx_setParameter(guard.context, ZSTD_c_compressionLevel, level);
  if (ZSTD_isError(set)) return fail(Errc::invalid, std::string("zstd: ") + ZSTD_getErrorName(set));
  size_t at = out.size();
  out.resize_uninitialized(at + ZSTD_compressBound(input.size()) + 64);
  ZSTD_outBuffer to{out.data() + at, out.size() - at, 0};
  ZSTD_inBuffer from{input.data(), input.size(), 0};
  for (ZSTD_EndDirective step : {ZSTD_e_flush, ZSTD_e_end}) {
    size_t left = ZSTD_compressStream2(guard.context, &to, &from, step);
    if (ZSTD_isError(left))
      return fail(Errc::invalid, std::string("zstd: ") + ZSTD_getErrorName(left));
    if (left != 0) return fail(Errc::invalid, "zstd did not finish");
  }
  out.resize_uninitialized(at + to.pos);
  return {};
}

std::unique_ptr<Stream> zstd_stream() { return std::make_unique<ZstdStream>(); }

}  // namespace ottla::compress::detail
