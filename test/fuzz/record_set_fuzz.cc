// Record sets of any bytes: cursor, readers, validation, conversion. Nothing may crash or hang.
#include "broker/record/convert.h"
#include "broker/record/record_reader.h"
#include "broker/record/validate.h"

using namespace ottla;
using namespace ottla::broker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  Bytes set(data + 1, size - 1);
  BatchCursor cursor(set);
  while (auto raw = cursor.next())
    (void)each_record(*raw, [](const Record&) { return true; }, 1 << 20);
  (void)check_produce_set(data[0] & 15, set);
  (void)down_convert(set, data[0] & 1, 0);
  // Damaged checksums end most inputs early: make them right for half of the runs.
  Buffer copy(set);
  if ((data[0] & 16) != 0 && copy.size() >= kBatchHeaderSize && copy.data()[kMagicAt] == 2) {
    store_be(copy.data() + kLengthAt, static_cast<int32_t>(copy.size() - kLogOverhead));
    store_be(copy.data() + kCrcAt, BatchView(copy.bytes()).computed_crc());
  }
  ValidateRules rules;
  rules.compacted = (data[0] & 32) != 0;
  if ((data[0] & 64) != 0) rules.timestamp_type = TimestampType::log_append_time;
  if ((data[0] & 128) != 0) rules.target_codec = compress::Codec::lz4;
  (void)validate_and_assign(copy.mutable_bytes(), rules, {});
  return 0;
}
