#include "zk-ensemble/txnlog/snapshot_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/endian.h"
#include "common/compress/codec.h"

namespace ottla::zk {
namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr int kGzip = 15 + 16;  // largest window, gzip's frame
// The most that deflate makes of a byte; snappy makes less.
constexpr uint64_t kGrowthAtMost = 1100;
constexpr uint8_t kGzipMagic[] = {0x1f, 0x8b};
constexpr uint8_t kSnappyMagic[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr size_t kSnappyHeaderBytes = 16;
// snappy-java's writers use 32 KiB; a reader must take more, but not any promise.
constexpr int32_t kSnappyBlockMax = 64 << 20;

class Plain : public SnapshotSource {
 public:
  explicit Plain(std::shared_ptr<rt::File> file) : file_(std::move(file)) {}
  Result<size_t> read(MutBytes into) override {
    OTTLA_ASSIGN(size_t got, file_->read_at(at_, into));
    at_ += got;
    return got;
  }
  uint64_t left_at_most() const override { return file_->size() - std::min(file_->size(), at_); }

 private:
  std::shared_ptr<rt::File> file_;
  uint64_t at_ = 0;
};

class Gzip final : public SnapshotSource {
 public:
  explicit Gzip(std::shared_ptr<rt::File> file) : file_(std::move(file)) {
    ready_ = ::inflateInit2(&stream_, kGzip) == Z_OK;
  }
  ~Gzip() override {
    if (ready_) ::inflateEnd(&stream_);
  }
  Result<size_t> read(MutBytes into) override {
    if (!ready_) return fail(Errc::io, "gzip does not start");
    stream_.next_out = into.data();
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(into.size(), 1 << 30));
    uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted && !ended_) {
      if (stream_.avail_in == 0) {
        OTTLA_ASSIGN(size_t got, file_.read(chunk_.mutable_bytes()));
        if (got == 0) return fail(Errc::corrupt, "gzip data is cut short");
        stream_.next_in = chunk_.data();
        stream_.avail_in = static_cast<uInt>(got);
      }
      int outcome = ::inflate(&stream_, Z_NO_FLUSH);
      if (outcome == Z_STREAM_END) ended_ = true;
      if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
        return fail(Errc::corrupt, "gzip data does not decode");
    }
    return wanted - stream_.avail_out;
  }
  uint64_t left_at_most() const override {
    return ended_ ? 0 : (file_.left_at_most() + stream_.avail_in + 1) * kGrowthAtMost + (64 << 10);
  }

 private:
  Plain file_;
  z_stream stream_{};
  Buffer chunk_{kChunkBytes};
  bool ready_ = false;
  bool ended_ = false;
};

class Snappy final : public SnapshotSource {
 public:
  explicit Snappy(std::shared_ptr<rt::File> file) : file_(std::move(file)) {}
  Result<size_t> read(MutBytes into) override {
    while (at_ == block_.size()) {
      OTTLA_ASSIGN(bool more, next_block());
      if (!more) return size_t{0};
    }
    size_t count = std::min(into.size(), block_.size() - at_);
    std::memcpy(into.data(), block_.data() + at_, count);
    at_ += count;
    return count;
  }
  uint64_t left_at_most() const override {
    return file_.left_at_most() * kGrowthAtMost + (block_.size() - at_);
  }

 private:
  Result<size_t> fill(MutBytes into) {
    size_t filled = 0;
    while (filled < into.size()) {
      OTTLA_ASSIGN(size_t got, file_.read(into.subspan(filled)));
      if (got == 0) break;
      filled += got;
    }
    return filled;
  }
  Result<bool> next_block() {
    std::array<uint8_t, kSnappyHeaderBytes> head{};
    OTTLA_ASSIGN(size_t got, fill(MutBytes(head).first(4)));
    if (got == 0) return false;
    if (got == 4 && std::memcmp(head.data(), kSnappyMagic, 4) == 0) {
      OTTLA_ASSIGN(got, fill(MutBytes(head).subspan(4)));
      if (got != kSnappyHeaderBytes - 4 || std::memcmp(head.data(), kSnappyMagic, sizeof kSnappyMagic) != 0)
        return fail(Errc::corrupt, "snappy data has a wrong header");
      return true;  // a stream begins; its blocks follow
    }
    int32_t size = load_be<int32_t>(head.data());
    if (got != 4 || size < 0 || size > kSnappyBlockMax ||
        static_cast<uint64_t>(size) > file_.left_at_most())
      return fail(Errc::corrupt, "a snappy block's size is wrong");
    Buffer packed(static_cast<size_t>(size));
    OTTLA_ASSIGN(got, fill(packed.mutable_bytes()));
    if (got != packed.size()) return fail(Errc::corrupt, "snappy data is cut short");
    OTTLA_ASSIGN(block_, compress::decompress(compress::Codec::snappy, packed.bytes(), kSnappyBlockMax));
    at_ = 0;
    return true;
  }

  Plain file_;
  Buffer block_ = Buffer(size_t{0});
  size_t at_ = 0;
};

class PlainEncoder final : public SnapshotEncoder {
 public:
  Result<Buffer> add(Buffer piece) override { return piece; }
  Result<Buffer> finish() override { return Buffer(size_t{0}); }
};

class GzipEncoder final : public SnapshotEncoder {
 public:
  GzipEncoder() {
    ready_ = ::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipEncoder() override {
    if (ready_) ::deflateEnd(&stream_);
  }
  Result<Buffer> add(Buffer piece) override { return run(piece.bytes(), Z_NO_FLUSH); }
  Result<Buffer> finish() override { return run({}, Z_FINISH); }

 private:
  Result<Buffer> run(Bytes piece, int flush) {
    if (!ready_) return fail(Errc::io, "gzip does not start");
    Buffer out(size_t{0});
    stream_.next_in = const_cast<uint8_t*>(piece.data());
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      size_t at = out.size();
      out.resize_uninitialized(at + kChunkBytes);
      stream_.next_out = out.data() + at;
      stream_.avail_out = kChunkBytes;
      if (int outcome = ::deflate(&stream_, flush); outcome == Z_STREAM_ERROR)
        return fail(Errc::io, "gzip fails");
      out.resize_uninitialized(out.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out;
  }

  z_stream stream_{};
  bool ready_ = false;
};

class SnappyEncoder final : public SnapshotEncoder {
 public:
  Result<Buffer> add(Buffer piece) override {
    Buffer out(size_t{0});
    if (piece.empty() && begun_) return out;
    OTTLA_TRY(compress::compress(compress::Codec::snappy, piece.bytes(), out));
    // One stream: its header once.
    if (std::exchange(begun_, true)) return Buffer(out.bytes().subspan(kSnappyHeaderBytes));
    return out;
  }
  Result<Buffer> finish() override { return add(Buffer(size_t{0})); }

 private:
  bool begun_ = false;
};

}  // namespace

SnapshotCoding snapshot_coding(std::string_view method) {
  if (method == "gz") return SnapshotCoding::gz;
  return method == "snappy" ? SnapshotCoding::snappy : SnapshotCoding::plain;
}

std::string_view snapshot_extension(SnapshotCoding coding) {
  if (coding == SnapshotCoding::gz) return ".gz";
  return coding == SnapshotCoding::snappy ? ".snappy" : "";
}

std::unique_ptr<SnapshotSource> SnapshotSource::open(std::shared_ptr<rt::File> file) {
  uint8_t head[sizeof kSnappyMagic] = {};
  auto got = file->read_at(0, head);
  if (got && *got >= sizeof kGzipMagic && std::memcmp(head, kGzipMagic, sizeof kGzipMagic) == 0)
    return std::make_unique<Gzip>(std::move(file));
  if (got && *got == sizeof head && std::memcmp(head, kSnappyMagic, sizeof head) == 0)
    return std::make_unique<Snappy>(std::move(file));
  return std::make_unique<Plain>(std::move(file));
}

std::unique_ptr<SnapshotEncoder> SnapshotEncoder::make(SnapshotCoding coding) {
  if (coding == SnapshotCoding::gz) return std::make_unique<GzipEncoder>();
  if (coding == SnapshotCoding::snappy) return std::make_unique<SnappyEncoder>();
  return std::make_unique<PlainEncoder>();
}

}  // namespace ottla::zk
