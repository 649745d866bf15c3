#include <lz4frame.h>
#include <catch2/catch.hpp>

#include "common/base/bytes.h"
#include "common/base/prng.h"
#include "common/compress/codec.h"

using namespace ottla;
using namespace ottla::compress;

namespace {
std::string text_of(size_t size, uint64_t seed, bool random) {
  Prng prng(seed);
  std::string text;
  while (text.size() < size)
    text += random ? static_cast<char>(prng.next()) : "abcdefgh"[prng.below(3)];
  return text;
}
}  // namespace

TEST_CASE("every codec gives back what it took") {
  for (int id = 0; id < kCodecCount; ++id) {
    auto codec = static_cast<Codec>(id);
    for (size_t size : {0, 1, 100, 32768, 65536, 65537, 1000000}) {
      for (bool random : {false, true}) {
        std::string text = text_of(size, size + 1, random);
        Buffer packed;
        packed.append(std::string_view("prefix"));
        REQUIRE(compress::compress(codec, as_bytes(text), packed));
        Bytes input = packed.bytes().subspan(6);
        auto back = decompress(codec, input, size);
        INFO(codec_name(codec) << " " << size);
        REQUIRE(back);
        CHECK(as_text(*back) == text);
        if (size > 0) {
          auto bounded = decompress(codec, input, size - 1);
          REQUIRE_FALSE(bounded);
          CHECK(bounded.error().code == Errc::too_large);
        }
      }
    }
  }
}

TEST_CASE("cut and damaged input is refused, never fatal") {
  for (int id = 1; id < kCodecCount; ++id) {
    auto codec = static_cast<Codec>(id);
    std::string text = text_of(5000, 9, false);
    Buffer packed;
    REQUIRE(compress::compress(codec, as_bytes(text), packed));
    for (size_t size = 0; size < packed.size(); size += 1 + packed.size() / 97) {
      auto cut = decompress(codec, packed.bytes().first(size), 1 << 20);
      CHECK((!cut || as_text(*cut) != text));
    }
    Prng prng(static_cast<uint64_t>(id));
    for (int round = 0; round < 300; ++round) {
      Buffer damaged = packed.clone();
      damaged.data()[prng.below(damaged.size())] ^= static_cast<uint8_t>(1 + prng.below(255));
      (void)decompress(codec, damaged, 1 << 20);
    }
  }
}

TEST_CASE("a bomb costs its limit, not its promise") {
  std::string zeros(32 << 20, '\0');
  for (Codec codec : {Codec::gzip, Codec::lz4, Codec::zstd, Codec::snappy}) {
    Buffer packed;
    REQUIRE(compress::compress(codec, as_bytes(zeros), packed));
    auto bounded = decompress(codec, packed, 1 << 20);
    REQUIRE_FALSE(bounded);
    CHECK(bounded.error().code == Errc::too_large);
  }
}

TEST_CASE("lz4 frames of magic 0 have their own header checksum") {
  Buffer odd;
  REQUIRE(compress::compress(Codec::lz4, as_bytes("hello hello"), odd, {}, {true}));
  CHECK_FALSE(decompress(Codec::lz4, odd, 100));
  auto back = decompress(Codec::lz4, odd, 100, {true});
  REQUIRE(back);
  CHECK(as_text(*back) == "hello hello");
}

TEST_CASE("a decompressor serves one input after the other, in pieces") {
  Decompressor decompressor;
  std::string text = text_of(700'000, 5, false) + text_of(300'000, 6, true);
  for (int round = 0; round < 3; ++round)
    for (int id = 0; id < kCodecCount; ++id) {
      auto codec = static_cast<Codec>(id);
      Buffer packed;
      REQUIRE(compress::compress(codec, as_bytes(text), packed));
      // An input that breaks off in the middle leaves nothing behind for the next.
      REQUIRE(decompressor.begin(codec, packed.bytes().first(packed.size() / 2)));
      (void)decompressor.next();
      REQUIRE(decompressor.begin(codec, packed));
      std::string back;
      size_t largest = 0;
      while (true) {
        auto piece = decompressor.next();
        REQUIRE(piece);
        if (piece->empty()) break;
        largest = std::max(largest, piece->size());
        back += as_text(*piece);
      }
      CHECK(back == text);
      CHECK((largest <= 65536 || codec == Codec::none));
    }
  CHECK_FALSE(decompressor.begin(static_cast<Codec>(5), {}));
}

TEST_CASE("lz4: Kafka's reader, not the library's") {
  std::string text = text_of(200'000, 8, false);
  auto frame = [&](bool linked, bool block_checksum, bool content_checksum) {
    LZ4F_preferences_t how{};
    how.frameInfo.blockMode = linked ? LZ4F_blockLinked : LZ4F_blockIndependent;
    how.frameInfo.blockChecksumFlag =
        block_checksum ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
    how.frameInfo.contentChecksumFlag =
        content_checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
    Buffer out(LZ4F_compressFrameBound(text.size(), &how));
    out.resize_uninitialized(
        LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &how));
    return out;
  };
  Buffer checked = frame(false, true, true);
  auto back = decompress(Codec::lz4, checked, 1 << 20);
  REQUIRE(back);
  CHECK(as_text(*back) == text);
  checked.data()[checked.size() - 1] ^= 1;  // of the content checksum
  CHECK(decompress(Codec::lz4, checked, 1 << 20));
  checked.data()[40] ^= 1;  // in the first block
  CHECK_FALSE(decompress(Codec::lz4, checked, 1 << 20));
  CHECK_FALSE(decompress(Codec::lz4, frame(true, false, false), 1 << 20));
}

TEST_CASE("snappy without the stream header is one raw block") {
  // "aaaa" as a raw snappy block: length 4, literal of 4 bytes.
  std::string raw = std::string("\x04\x0c", 2) + "aaaa";
  auto back = decompress(Codec::snappy, as_bytes(raw), 100);
  REQUIRE(back);
  CHECK(as_text(*back) == "aaaa");
}

TEST_CASE("zstd: the bytes of Kafka 3.9's own log") {
  std::string records = from_hex(
      "34000000046b342476696875696162727478667a7a6a6376686a003e001402046b362e76776d6f72796d69777661"
      "6e78636c68726366686a6d630036002804046b362676697a676e726b77726a6f6d75786f6c71747a0024003c0601"
      "187678626c6b696e6a6b6a78700010005008046b350100");
  Buffer packed;
  REQUIRE(compress::compress(Codec::zstd, as_bytes(records), packed));
  CHECK(
      to_hex(packed.bytes()) ==
      "28b52ffd00585403003287191c506d75239507d425692210dff5cc9a59ca5ebf23ce697a92320a64534f12ac02c6"
      "0777c8e5758b5923bb900414573e9f077b12d2dec2c8d035e66a0362d5c3d1535be524a858928ee9b85a04be161b"
      "815801842fbeaad3cee9c80736cc82a8d5cac2fa7f0900010000");
}

TEST_CASE("names") {
  CHECK(codec_from_name("uncompressed") == Codec::none);
  CHECK(codec_from_name("zstd") == Codec::zstd);
  CHECK_FALSE(codec_from_name("brotli"));
}
