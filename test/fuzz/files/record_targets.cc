#include "broker/record/convert.h"
#include "broker/record/record_reader.h"
#include "broker/record/validate.h"
#include "common/base/check.h"
#include "test/fuzz/files/file_targets.h"

namespace ottla::fuzz {

using namespace broker;

namespace {

constexpr size_t kMostOpened = 8 << 20;

// What the leader accepted is sound: it decodes to what was told, and down to the old formats.
void check_accepted(Bytes appended, const Validated& validated) {
  if (appended.empty()) return;  // an empty set is no error, and gets no offset
  int64_t next = validated.first_offset, records = 0;
  BatchCursor cursor(appended);
  while (auto raw = cursor.next()) {
    OTTLA_CHECK(raw->base_offset() == next);
    auto read = each_record(*raw, [&](const Record&) { return ++records, true; }, kMostOpened);
    if (!read) return;  // more than we care to open
    next = BatchView(raw->bytes).last_offset() + 1;
  }
  OTTLA_CHECK(cursor.position() == appended.size());
  OTTLA_CHECK(next == validated.last_offset + 1);
  (void)down_convert(appended, 1, validated.first_offset);
  (void)down_convert(appended, 0, validated.first_offset);
}

}  // namespace

void record_set(Bytes input) {
  if (input.empty()) return;
  const uint8_t how = input[0];
  Bytes set = input.subspan(1);
  BatchCursor cursor(set);
  while (auto raw = cursor.next())
    (void)each_record(*raw, [](const Record&) { return true; }, 1 << 20);
  (void)check_produce_set(how & 15, set);
  (void)down_convert(set, how & 1, 0);
  // Damaged checksums end most inputs early: make them right for half of the runs.
  Buffer copy(set);
  if ((how & 16) != 0 && copy.size() >= kBatchHeaderSize && copy.data()[kMagicAt] == 2) {
    store_be(copy.data() + kLengthAt, static_cast<int32_t>(copy.size() - kLogOverhead));
    store_be(copy.data() + kCrcAt, BatchView(copy.bytes()).computed_crc());
  }
  ValidateRules rules;
  rules.compacted = (how & 32) != 0;
  if ((how & 64) != 0) rules.timestamp_type = TimestampType::log_append_time;
  if ((how & 128) != 0) rules.target_codec = static_cast<compress::Codec>((how >> 1) % compress::kCodecCount);
  ValidateInput from;
  from.first_offset = 1000;
  from.now_wall_ms = 1'700'000'000'000;
  from.topic_partition = "t-0";
  Validated validated = validate_and_assign(copy.mutable_bytes(), rules, from);
  if (validated.refusal != Refusal::none) return;
  check_accepted(validated.replaced ? validated.replaced->bytes() : copy.bytes().first(validated.valid_bytes), validated);
}

}  // namespace ottla::fuzz
