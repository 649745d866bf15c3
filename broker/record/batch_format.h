// Byte layout of record batches (magic 2) and of the older message sets (magic 0 and 1).
// Source: Kafka documentation, "Record Batch" and "Old Message Format"; KIP-98, KIP-534.
//
//   offset size field                    offset size field
//        0    8 base offset                  27    8 base timestamp (or delete horizon)
//        8    4 length after this field      35    8 max timestamp
//       12    4 partition leader epoch       43    8 producer id, -1 none
//       16    1 magic = 2                    51    2 producer epoch
//       17    4 crc32c of 21..end            53    4 base sequence
//       21    2 attributes                   57    4 record count
//       23    4 last offset delta            61    . records, compressed as one block
#pragma once

#include <cstddef>
#include <cstdint>

namespace ottla::broker {

constexpr size_t kLogOverhead = 12;  // base offset and length, in every magic
constexpr size_t kMagicAt = 16;
constexpr size_t kHeaderUpToMagic = 17;
constexpr int8_t kMagicV0 = 0, kMagicV1 = 1, kMagicV2 = 2;

constexpr size_t kBaseOffsetAt = 0;
constexpr size_t kLengthAt = 8;
constexpr size_t kLeaderEpochAt = 12;
constexpr size_t kCrcAt = 17;
constexpr size_t kAttributesAt = 21;
constexpr size_t kLastOffsetDeltaAt = 23;
constexpr size_t kBaseTimestampAt = 27;
constexpr size_t kMaxTimestampAt = 35;
constexpr size_t kProducerIdAt = 43;
constexpr size_t kProducerEpochAt = 51;
constexpr size_t kBaseSequenceAt = 53;
constexpr size_t kRecordCountAt = 57;
constexpr size_t kBatchHeaderSize = 61;

constexpr int16_t kCodecMask = 0x07;
constexpr int16_t kLogAppendTimeBit = 0x08;
constexpr int16_t kTransactionalBit = 0x10;
constexpr int16_t kControlBit = 0x20;
constexpr int16_t kDeleteHorizonBit = 0x40;

// Old messages: offset 8, size 4, crc 4 (CRC-32 of 16..end), magic 1, attributes 1, [timestamp 8],
// key 4+n, value 4+n. The size field counts from the crc on.
constexpr size_t kLegacyCrcAt = 12;
constexpr size_t kLegacyAttributesAt = 17;
constexpr size_t kLegacyTimestampAt = 18;
constexpr size_t kLegacyMinSizeV0 = 14;  // the least size field a message of magic 0 can have
constexpr size_t kLegacyMinSizeV1 = 22;

constexpr int64_t kNoTimestamp = -1;
constexpr int64_t kNoProducerId = -1;
constexpr int16_t kNoProducerEpoch = -1;
constexpr int32_t kNoSequence = -1;
constexpr int32_t kNoLeaderEpoch = -1;

enum class TimestampType : int8_t { none = -1, create_time = 0, log_append_time = 1 };
enum class ControlType : int16_t { abort = 0, commit = 1, unknown = -1 };

// The sequence number `count` records after `sequence`: after INT32_MAX comes 0.
constexpr int32_t sequence_plus(int32_t sequence, int32_t count) {
  int64_t sum = int64_t{sequence} + count;
  return static_cast<int32_t>(sum > INT32_MAX ? sum - INT32_MAX - 1 : sum);
}

}  // namespace ottla::broker
