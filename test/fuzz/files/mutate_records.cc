// Record sets for mutate.h: made by our own builder, opened, changed and closed again.
#include "broker/record/batch_builder.h"
#include "broker/record/batch_view.h"
#include "broker/record/convert.h"
#include "common/compress/codec.h"
#include "test/fuzz/mutate.h"

namespace ottla::fuzz {

using namespace broker;

namespace {

constexpr size_t kMaxPayload = 1 << 20;

void close_batch(Buffer& batch) {
  store_be(batch.data() + kLengthAt, static_cast<int32_t>(batch.size() - kLogOverhead));
  store_be(batch.data() + kCrcAt, BatchView(batch.bytes()).computed_crc());
}

Buffer make_batch(Prng& prng) {
  BatchBuilder::Options options;
  options.codec = static_cast<compress::Codec>(prng.below(compress::kCodecCount));
  if (prng.chance(0.3)) {
    options.producer_id = prng.chance(0.5) ? 77 : static_cast<int64_t>(prng.below(3));
    options.producer_epoch = 0;
    options.base_sequence = static_cast<int32_t>(prng.below(3));
    options.transactional = prng.chance(0.3);
  }
  BatchBuilder builder(options);
  // A bomb: few bytes outside, many inside.
  size_t value_size = prng.chance(0.03) ? 200'000 : prng.below(40);
  std::string value(value_size, 'v');
  for (uint64_t left = prng.below(5) + 1; left > 0; --left)
    builder.append(1'700'000'000'000 + static_cast<int64_t>(prng.below(1000)),
                   prng.chance(0.5) ? std::optional<Bytes>(as_bytes("k")) : std::nullopt,
                   prng.chance(0.9) ? std::optional<Bytes>(as_bytes(value)) : std::nullopt);
  Buffer out;
  if (!builder.finish(out)) out.clear();
  return out;
}

}  // namespace

Buffer arbitrary_records(Prng& prng) {
  Buffer out;
  for (uint64_t left = prng.chance(0.9) ? 1 : 3; left > 0; --left) out.append(make_batch(prng).bytes());
  if (prng.chance(0.15))
    if (auto old = down_convert(out, prng.chance(0.5) ? 1 : 0, 0)) return std::move(*old);
  return prng.chance(0.9) ? std::move(out) : mutate_bytes(prng, out);
}

Buffer mutate_records(Prng& prng, Bytes records) {
  if (records.size() < kBatchHeaderSize || records[kMagicAt] != kMagicV2 || prng.chance(0.2))
    return mutate_bytes(prng, records);
  Buffer header(records.first(kBatchHeaderSize));
  auto attributes = load_be<int16_t>(header.data() + kAttributesAt);
  auto length = static_cast<size_t>(load_be<int32_t>(header.data() + kLengthAt)) + kLogOverhead;
  Bytes payload = records.subspan(kBatchHeaderSize, std::min(std::max(length, kBatchHeaderSize), records.size()) - kBatchHeaderSize);
  auto codec = static_cast<compress::Codec>(attributes & kCodecMask);
  Buffer open(payload);
  if (static_cast<int>(codec) < compress::kCodecCount && codec != compress::Codec::none)
    if (auto opened = compress::decompress(codec, payload, kMaxPayload)) open = std::move(*opened);
  if (prng.chance(0.6)) open = mutate_bytes(prng, open);
  if (prng.chance(0.3)) {  // one field of the header
    constexpr size_t kFields[] = {kBaseOffsetAt + 7, kLeaderEpochAt + 3, kAttributesAt, kLastOffsetDeltaAt, kLastOffsetDeltaAt + 3,
                                  kBaseTimestampAt, kMaxTimestampAt, kProducerIdAt, kProducerEpochAt, kBaseSequenceAt,
                                  kRecordCountAt, kRecordCountAt + 3};
    header.data()[kFields[prng.below(std::size(kFields))]] = static_cast<uint8_t>(prng.next());
    attributes = load_be<int16_t>(header.data() + kAttributesAt);
  }
  codec = static_cast<compress::Codec>(prng.below(compress::kCodecCount));
  store_be(header.data() + kAttributesAt, static_cast<int16_t>((attributes & ~kCodecMask) | static_cast<int16_t>(codec)));
  Buffer out(header.bytes());
  if (!compress::compress(codec, open, out)) return mutate_bytes(prng, records);
  close_batch(out);
  // The compressed form itself, under a checksum that holds.
  if (prng.chance(0.2) && out.size() > kBatchHeaderSize + 1) {
    out.data()[kBatchHeaderSize + prng.below(out.size() - kBatchHeaderSize)] ^= static_cast<uint8_t>(prng.next());
    close_batch(out);
  }
  return out;
}

Buffer mutate_record_input(Prng& prng, Bytes input) {
  Buffer out;
  out.push_back(input.empty() || prng.chance(0.3) ? static_cast<uint8_t>(prng.next()) : input[0]);
  out.append((input.size() < 2 || prng.chance(0.1) ? arbitrary_records(prng) : mutate_records(prng, input.subspan(1))).bytes());
  return out;
}

}  // namespace ottla::fuzz
