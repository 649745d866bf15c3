#include <zlib.h>

#include <algorithm>

#include "common/base/endian.h"
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

constexpr size_t kHeaderSize = 10, kTrailerSize = 8;

// The size of a member's header; 0 when there is none. Flags that mean nothing yet are passed over,
// as Java's reader does.
size_t header_size(Bytes input) {
  constexpr uint8_t kHeaderChecksum = 0x02, kExtra = 0x04, kName = 0x08, kComment = 0x10;
  if (input.size() < kHeaderSize || input[0] != 0x1f || input[1] != 0x8b || input[2] != Z_DEFLATED)
    return 0;
  uint8_t flags = input[3];
  size_t at = kHeaderSize;
  if (flags & kExtra) {
    if (input.size() < at + 2) return 0;
    at += 2 + load_le<uint16_t>(input.data() + at);
  }
  for (uint8_t text : {kName, kComment}) {
    if (!(flags & text)) continue;
    while (at < input.size() && input[at] != 0) ++at;
    ++at;
  }
  if (flags & kHeaderChecksum) at += 2;
  return at <= input.size() ? at : 0;
}

// Members may follow each other; what follows and is no member is ignored. A member's checksum is
// looked at after its last bytes were given out: what is wrong with them is then told first.
class GzipStream final : public Stream {
 public:
  ~GzipStream() override {
    if (started_) inflateEnd(&stream_);
  }
  Result<void> begin(Bytes input, const Format&) override {
    if (!started_ && inflateInit2(&stream_, -15) != Z_OK) return corrupt("gzip", "no memory");
    started_ = true;
    out_.resize_uninitialized(kPieceBytes);
    state_ = State::ended;
    size_t header = header_size(input);
    if (header == 0) return corrupt("gzip", "no header");
    begin_member(input.subspan(header));
    return {};
  }
  Result<Bytes> next() override {
    while (state_ != State::ended) {
      if (state_ == State::trailer) {
        OTTLA_TRY(end_member());
        continue;
      }
      stream_.next_out = out_.data();
      stream_.avail_out = static_cast<uInt>(out_.size());
      int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END)
        state_ = State::trailer;
      else if (status != Z_OK)
        return corrupt("gzip", stream_.msg ? stream_.msg : "it is cut short");
      Bytes piece = out_.bytes().first(out_.size() - stream_.avail_out);
      if (piece.empty()) continue;
      checksum_ = crc32(checksum_, piece.data(), static_cast<uInt>(piece.size()));
      return piece;
    }
    return Bytes();
  }

 private:
  enum class State { body, trailer, ended };
  void begin_member(Bytes body) {
    inflateReset(&stream_);
    stream_.next_in = const_cast<uint8_t*>(body.data());
    stream_.avail_in = static_cast<uInt>(body.size());
    checksum_ = crc32(0, nullptr, 0);
    state_ = State::body;
  }
  Result<void> end_member() {
    Bytes rest(stream_.next_in, stream_.avail_in);
    if (rest.size() < kTrailerSize) return corrupt("gzip", "it is cut short");
    if (load_le<uint32_t>(rest.data()) != checksum_ ||
        load_le<uint32_t>(rest.data() + 4) != static_cast<uint32_t>(stream_.total_out))
      return corrupt("gzip", "its checksum or size is wrong");
    rest = rest.subspan(kTrailerSize);
    size_t header = header_size(rest);
    if (header != 0)
      begin_member(rest.subspan(header));
    else
      state_ = State::ended;
    return {};
  }
  z_stream stream_{};
  Buffer out_;
  uLong checksum_ = 0;
  bool started_ = false;
  State state_ = State::ended;
};

}  // namespace

std::unique_ptr<Stream> gzip_stream() { return std::make_unique<GzipStream>(); }

}  // namespace ottla::compress::detail
