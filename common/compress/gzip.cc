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

namespace {

// Members may follow each other; what follows and is no member is ignored, as Java's reader does.
class GzipStream final : public Stream {
 public:
  ~GzipStream() override {
    if (started_) inflateEnd(&stream_);
  }
  Result<void> begin(Bytes input, const Format&) override {
    if (!started_ && inflateInit2(&stream_, kGzipWindow) != Z_OK)
      return corrupt("gzip", "no memory");
    started_ = true;
    inflateReset(&stream_);
    out_.resize_uninitialized(kPieceBytes);
    stream_.next_in = const_cast<uint8_t*>(input.data());
    stream_.avail_in = static_cast<uInt>(input.size());
    ended_ = false;
    return {};
  }
  Result<Bytes> next() override {
    stream_.next_out = out_.data();
    stream_.avail_out = static_cast<uInt>(out_.size());
    while (!ended_ && stream_.avail_out == out_.size()) {
      int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END)
        end_member();
      else if (status != Z_OK)
        return corrupt("gzip", stream_.msg ? stream_.msg : "it is cut short");
    }
    return out_.bytes().first(out_.size() - stream_.avail_out);
  }

 private:
  void end_member() {
    ended_ = stream_.avail_in < 2 || stream_.next_in[0] != 0x1f || stream_.next_in[1] != 0x8b;
    if (!ended_) inflateReset(&stream_);
  }
  z_stream stream_{};
  Buffer out_;
  bool started_ = false, ended_ = true;
};

}  // namespace

std::unique_ptr<Stream> gzip_stream() { return std::make_unique<GzipStream>(); }

}  // namespace ottla::compress::detail
