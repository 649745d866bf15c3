#include "common/compress/codec.h"

#include "common/compress/codecs.h"

namespace ottla::compress {

std::string_view codec_name(Codec codec) {
  switch (codec) {
    case Codec::none: return "none";
    case Codec::gzip: return "gzip";
    case Codec::snappy: return "snappy";
    case Codec::lz4: return "lz4";
    case Codec::zstd: return "zstd";
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
    case Codec::none: out.append(input); return {};
    case Codec::gzip: return detail::gzip_compress(input, out, levels.gzip);
    case Codec::snappy: return detail::snappy_compress(input, out);
    case Codec::lz4:
      return detail::lz4_compress(input, out, levels.lz4, format.lz4_broken_checksum);
    case Codec::zstd: return detail::zstd_compress(input, out, levels.zstd);
  }
  return fail(Errc::unsupported, "unknown codec");
}

Result<Buffer> decompress(Codec codec, Bytes input, size_t max_bytes, const Format& format) {
  switch (codec) {
    case Codec::none:
      if (input.size() > max_bytes) return detail::too_large("plain", max_bytes);
      return Buffer(input);
    case Codec::gzip: return detail::gzip_decompress(input, max_bytes);
    case Codec::snappy: return detail::snappy_decompress(input, max_bytes);
    case Codec::lz4: return detail::lz4_decompress(input, max_bytes, format.lz4_broken_checksum);
    case Codec::zstd: return detail::zstd_decompress(input, max_bytes);
  }
  return fail(Errc::unsupported, "unknown codec");
}

}  // namespace ottla::compress
