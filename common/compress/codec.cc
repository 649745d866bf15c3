#include "common/compress/codec.h"

#include <fmt/core.h>

#include "common/compress/codecs.h"

namespace ottla::compress {

std::string_view codec_name(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "none";
    case Codec::gzip:
      return "gzip";
    case Codec::snappy:
      return "snappy";
    case Codec::lz4:
      return "lz4";
    case Codec::zstd:
      return "zstd";
  }
  return "?";
}

std::optional<Codec> codec_from_name(std::string_view name) {
  if (name == "uncompressed") return Codec::none;
  for (int id = 0; id < kCodecCount; ++id)
    if (codec_name(static_cast<Codec>(id)) == name) return static_cast<Codec>(id);
  return std::nullopt;
}

Result<void> compress(Codec codec, Bytes input, Buffer& out, const Levels& levels,
                      const Format& format) {
  switch (codec) {
    case Codec::none:
      out.append(input);
      return {};
    case Codec::gzip:
      return detail::gzip_compress(input, out, levels.gzip);
    case Codec::snappy:
      return detail::snappy_compress(input, out);
    case Codec::lz4:
      return detail::lz4_compress(input, out, levels.lz4, format.lz4_broken_checksum);
    case Codec::zstd:
      return detail::zstd_compress(input, out, levels.zstd);
  }
  return fail(Errc::unsupported, "unknown codec");
}

namespace {

class PlainStream final : public Stream {
 public:
  Result<void> begin(Bytes input, const Format&) override {
    rest_ = input;
    return {};
  }
  Result<Bytes> next() override { return std::exchange(rest_, {}); }

 private:
  Bytes rest_;
};

std::unique_ptr<Stream> stream_of(Codec codec) {
  switch (codec) {
    case Codec::none:
      return std::make_unique<PlainStream>();
    case Codec::gzip:
      return detail::gzip_stream();
    case Codec::snappy:
      return detail::snappy_stream();
    case Codec::lz4:
      return detail::lz4_stream();
    case Codec::zstd:
      return detail::zstd_stream();
  }
  return nullptr;
}

}  // namespace

Result<void> Decompressor::begin(Codec codec, Bytes input, const Format& format) {
  auto index = static_cast<size_t>(codec);
  if (index >= streams_.size()) return fail(Errc::unsupported, "unknown codec");
  if (!streams_[index]) streams_[index] = stream_of(codec);
  current_ = streams_[index].get();
  return current_->begin(input, format);
}

Result<Buffer> decompress(Codec codec, Bytes input, size_t max_bytes, const Format& format) {
  Decompressor decompressor;
  OTTLA_TRY(decompressor.begin(codec, input, format));
  Buffer out;
  while (true) {
    OTTLA_ASSIGN(Bytes piece, decompressor.next());
    if (piece.empty()) return out;
    if (piece.size() > max_bytes - out.size())
      return fail(Errc::too_large, fmt::format("{} data decompresses to more than {} bytes",
                                               codec_name(codec), max_bytes));
    out.append(piece);
  }
}

}  // namespace ottla::compress
