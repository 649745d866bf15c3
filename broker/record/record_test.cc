#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "broker/record/batch_builder.h"
#include "broker/record/convert.h"
#include "broker/record/legacy.h"
#include "broker/record/record_reader.h"
#include "broker/record/validate.h"
#include "common/base/prng.h"
#include "common/wire/writer.h"

using namespace ottla;
using namespace ottla::broker;
using nlohmann::json;

namespace {

std::string vectors_dir() {
  const char* dir = std::getenv("OTTLA_VECTORS");
  return dir ? dir : "../shared/vectors";
}

std::optional<std::string> from_json_hex(const json& value) {
  if (value.is_null()) return std::nullopt;
  return from_hex(value.get<std::string>());
}

void check_records_match(const RawBatch& raw, const json& expected, bool re_encode) {
  auto records = read_records(raw);
  REQUIRE(records);
  REQUIRE(records->size() == expected["records"].size());
  BatchBuilder::Options options;
  if (raw.magic == kMagicV2) {
    BatchView view(raw.bytes);
    options.timestamp_type = view.timestamp_type();
    options.log_append_time_ms = view.max_timestamp();
    options.base_offset = view.base_offset();
    options.leader_epoch = view.leader_epoch();
    options.producer_id = view.producer_id();
    options.producer_epoch = view.producer_epoch();
    options.base_sequence = view.base_sequence();
    options.transactional = view.transactional();
    options.control = view.control();
  }
  BatchBuilder builder(options);
  Buffer legacy;
  for (size_t i = 0; i < records->size(); ++i) {
    const OwnedRecord& got = (*records)[i];
    const json& want = expected["records"][i];
    CHECK(got.offset == want["offset"].get<int64_t>());
    CHECK(got.timestamp == want["timestamp"].get<int64_t>());
    CHECK(got.sequence == want["sequence"].get<int32_t>());
    CHECK(got.key == from_json_hex(want["key"]));
    CHECK(got.value == from_json_hex(want["value"]));
    CHECK(got.headers.size() == want["headers"].size());
    auto view_of = [](const std::optional<std::string>& text) {
      return text ? std::optional<Bytes>(as_bytes(*text)) : std::nullopt;
    };
    std::vector<BatchBuilder::HeaderIn> headers;
    for (const auto& [name, value] : got.headers) headers.emplace_back(name, view_of(value));
    // Log append time hides the producer's timestamps, so such a batch cannot be made again.
    if (raw.magic == kMagicV2) {
      builder.append_at(got.offset, got.timestamp, view_of(got.key), view_of(got.value), headers);
    } else {
      LegacyMessage message{got.offset,       got.timestamp,      LegacyView(raw).timestamp_type(),
                            view_of(got.key), view_of(got.value), compress::Codec::none};
      append_legacy(raw.magic, message, legacy);
    }
  }
  if (!re_encode) return;
  Buffer again = raw.magic == kMagicV2 ? builder.finish() : std::move(legacy);
  if (raw.magic == kMagicV2 && options.timestamp_type == TimestampType::log_append_time) return;
  CHECK(to_hex(again) == to_hex(raw.bytes));
}

void check_line(const json& line) {
  std::string set = from_hex(line["hex"].get<std::string>());
  BatchCursor cursor(as_bytes(set));
  for (const json& expected : line["batches"]) {
    auto raw = cursor.next();
    REQUIRE(raw);
    CHECK(raw->magic == line["magic"].get<int>());
    CHECK(raw->bytes.size() == expected["sizeInBytes"].get<size_t>());
    if (raw->magic == kMagicV2) {
      BatchView view(raw->bytes);
      CHECK(view.crc_ok());
      CHECK(view.crc() == static_cast<uint32_t>(expected["crc"].get<int64_t>()));
      CHECK(view.base_offset() == expected["baseOffset"].get<int64_t>());
      CHECK(view.last_offset() == expected["lastOffset"].get<int64_t>());
      CHECK(view.leader_epoch() == expected["leaderEpoch"].get<int32_t>());
      CHECK(view.max_timestamp() == expected["maxTimestamp"].get<int64_t>());
      CHECK(view.producer_id() == expected["producerId"].get<int64_t>());
      CHECK(view.producer_epoch() == expected["producerEpoch"].get<int16_t>());
      CHECK(view.base_sequence() == expected["baseSequence"].get<int32_t>());
      CHECK(view.transactional() == expected["transactional"].get<bool>());
      CHECK(view.control() == expected["control"].get<bool>());
      CHECK(compress::codec_name(*view.codec()) == expected["compression"].get<std::string>());
    } else {
      LegacyView view(*raw);
      CHECK(view.crc_ok());
      CHECK(view.crc() == static_cast<uint32_t>(expected["crc"].get<int64_t>()));
      CHECK(view.offset() == expected["lastOffset"].get<int64_t>());
    }
    check_records_match(*raw, expected, line["codec"] == "none");
  }
  CHECK_FALSE(cursor.next());
  CHECK(cursor.at_end());
}

int check_file(const std::string& path) {
  std::ifstream file(path);
  int lines = 0;
  for (std::string text; std::getline(file, text); ++lines) check_line(json::parse(text));
  return lines;
}

Buffer simple_batch(int count, compress::Codec codec = compress::Codec::none,
                    int64_t timestamp = 1000) {
  BatchBuilder::Options options;
  options.codec = codec;
  BatchBuilder builder(options);
  for (int i = 0; i < count; ++i) builder.append(timestamp + i, as_bytes("key"), as_bytes("value"));
  Buffer out;
  REQUIRE(builder.finish(out));
  return out;
}

}  // namespace

TEST_CASE("golden record sets decode, and plain ones encode to the same bytes") {
  CHECK(check_file("broker/record/testdata/batches.jsonl") > 10);
  if (check_file(vectors_dir() + "/batches.jsonl") == 0)
    WARN("skipped: no batches.jsonl in " << vectors_dir() << " (set OTTLA_VECTORS)");
}

TEST_CASE("validation answers what a live broker answered") {
  std::ifstream file(vectors_dir() + "/kafka-transcript.jsonl");
  if (!file) WARN("skipped: no kafka-transcript.jsonl in " << vectors_dir());
  int64_t leo = 0;
  int checked = 0;
  for (std::string text; std::getline(file, text);) {
    json step = json::parse(text);
    if (step["scenario"] != "produce-records" || step["name"] != "Produce") continue;
    if (!step.contains("request_records") || step["request_records"].size() != 1) continue;
    if (!step["request_records"][0].is_string() || !step["response"].contains("responses"))
      continue;
    const json& want = step["response"]["responses"][0]["partitionResponses"][0];
    int want_code = want["errorCode"].get<int>();
    if (want_code == 53) continue;  // authorization of transactions: not the log's
    std::string set = from_hex(step["request_records"][0].get<std::string>());
    Buffer bytes(as_bytes(set));
    SetCheck early = check_produce_set(step["version"].get<int16_t>(), bytes);
    Validated out;
    if (early.refusal == Refusal::none) {
      ValidateInput input;
      input.first_offset = leo;
      input.topic_partition = "t-0";
      out = validate_and_assign(bytes.mutable_bytes(), {}, input);
    }
    Refusal got = early.refusal == Refusal::none ? out.refusal : early.refusal;
    INFO("step " << step["step"] << " " << out.message << early.message);
    CHECK(static_cast<int>(got) == want_code);
    if (want.contains("errorMessage") && early.refusal != Refusal::none)
      CHECK(early.message ==
            (want["errorMessage"].is_null() ? "" : want["errorMessage"].get<std::string>()));
    if (want_code == 0) {
      CHECK(out.first_offset == want["baseOffset"].get<int64_t>());
      leo = std::max(leo, out.last_offset + 1);
    }
    ++checked;
  }
  if (file.eof() && checked == 0) WARN("skipped: the transcript holds no produce-records");
}

TEST_CASE("offsets are assigned in place and the checksum holds") {
  Buffer batch = simple_batch(3);
  ValidateInput input{.first_offset = 41, .leader_epoch = 7, .topic_partition = "t-0"};
  auto out = validate_and_assign(batch.mutable_bytes(), {}, input);
  REQUIRE(out.refusal == Refusal::none);
  CHECK_FALSE(out.replaced);
  BatchView view(batch);
  CHECK(view.base_offset() == 41);
  CHECK(view.leader_epoch() == 7);
  CHECK(view.crc_ok());
  CHECK(out.last_offset == 43);
  CHECK(out.max_timestamp == 1002);
}

TEST_CASE("log append time rewrites type, timestamp and checksum") {
  Buffer batch = simple_batch(2, compress::Codec::lz4);
  ValidateRules rules{.timestamp_type = TimestampType::log_append_time};
  auto out = validate_and_assign(batch.mutable_bytes(), rules, {.now_wall_ms = 5555});
  REQUIRE(out.refusal == Refusal::none);
  BatchView view(batch);
  CHECK(view.timestamp_type() == TimestampType::log_append_time);
  CHECK(view.max_timestamp() == 5555);
  CHECK(view.crc_ok());
  CHECK(out.log_append_time_ms == 5555);
}

TEST_CASE("a topic's own codec recompresses") {
  for (int source = 0; source < compress::kCodecCount; ++source)
    for (int target = 0; target < compress::kCodecCount; ++target) {
      Buffer batch = simple_batch(50, static_cast<compress::Codec>(source));
      ValidateRules rules{.target_codec = static_cast<compress::Codec>(target)};
      auto out = validate_and_assign(batch.mutable_bytes(), rules, {.first_offset = 10});
      REQUIRE(out.refusal == Refusal::none);
      Bytes bytes = out.replaced ? out.replaced->bytes() : batch.bytes();
      CHECK(BatchView(bytes).codec_id() == target);
      auto records = read_records({bytes, kMagicV2});
      REQUIRE(records);
      CHECK(records->size() == 50);
      CHECK(records->back().offset == 59);
    }
}

TEST_CASE("old messages become one batch, and go back to old consumers") {
  for (int8_t magic : {kMagicV0, kMagicV1}) {
    Buffer set;
    for (int i = 0; i < 4; ++i) {
      LegacyMessage message{i, 100 + i, TimestampType::create_time, as_bytes("k"), as_bytes("v")};
      append_legacy(magic, message, set);
    }
    auto out = validate_and_assign(set.mutable_bytes(), {}, {.first_offset = 100});
    REQUIRE(out.refusal == Refusal::none);
    REQUIRE(out.replaced);
    CHECK(out.last_offset == 103);
    CHECK(needs_down_conversion(*out.replaced, 1));
    auto back = down_convert(*out.replaced, magic, 102);
    REQUIRE(back);
    BatchCursor cursor(*back);
    auto first = cursor.next();
    REQUIRE(first);
    CHECK(first->base_offset() == 102);
    CHECK(LegacyView(*first).crc_ok());
  }
}

TEST_CASE("compressed batches go down as wrappers with whole offsets") {
  for (auto codec : {compress::Codec::gzip, compress::Codec::snappy, compress::Codec::lz4})
    for (int8_t magic : {kMagicV0, kMagicV1}) {
      Buffer batch = simple_batch(5, codec);
      set_base_offset(batch.mutable_bytes(), 70);
      uint64_t converted = 0;
      auto down = down_convert(batch, magic, 70, &converted);
      REQUIRE(down);
      CHECK(converted == 5);
      BatchCursor cursor(*down);
      auto wrapper = cursor.next();
      REQUIRE(wrapper);
      CHECK(wrapper->base_offset() == 74);
      auto records = read_records(*wrapper);
      REQUIRE(records);
      REQUIRE(records->size() == 5);
      CHECK(records->front().offset == 70);
    }
}

TEST_CASE("no bytes make the validators or readers misbehave") {
  Prng prng(3);
  for (int round = 0; round < 3000; ++round) {
    Buffer set;
    for (int i = 0; i < 2; ++i)
      set.append(simple_batch(3, static_cast<compress::Codec>(prng.below(5))).bytes());
    if (prng.chance(0.3)) append_legacy(kMagicV1, {.value = as_bytes("x")}, set);
    for (uint64_t flips = prng.below(4); flips > 0; --flips)
      set.data()[prng.below(set.size())] = static_cast<uint8_t>(prng.next());
    set.resize_uninitialized(prng.below(set.size() + 1));
    BatchCursor cursor(set);
    while (auto raw = cursor.next()) (void)read_records(*raw);
    (void)down_convert(set, 1, 0);
    (void)check_produce_set(9, set);
    (void)validate_and_assign(set.mutable_bytes(), {.compacted = prng.chance(0.5)}, {});
  }
}

namespace {

// A batch whose header says what it likes over any payload, with a checksum that holds.
Buffer batch_over(compress::Codec codec, Bytes payload, int32_t count) {
  BatchBuilder::Options options;
  options.codec = compress::Codec::none;
  BatchBuilder builder(options);
  builder.append(1000, std::nullopt, std::nullopt);
  Buffer batch;
  REQUIRE(builder.finish(batch));
  batch.resize_uninitialized(kBatchHeaderSize);
  batch.append(payload);
  store_be(batch.data() + kLengthAt, static_cast<int32_t>(batch.size() - kLogOverhead));
  store_be(batch.data() + kAttributesAt, static_cast<int16_t>(codec));
  store_be(batch.data() + kLastOffsetDeltaAt, count - 1);
  store_be(batch.data() + kRecordCountAt, count);
  store_be(batch.data() + kCrcAt, BatchView(batch).computed_crc());
  return batch;
}

Buffer packed(compress::Codec codec, Bytes plain) {
  Buffer out;
  REQUIRE(compress::compress(codec, plain, out));
  return out;
}

Refusal refusal_for(Buffer batch, const ValidateRules& rules = {}) {
  return validate_and_assign(batch.mutable_bytes(), rules, {.topic_partition = "t-0"}).refusal;
}

}  // namespace

TEST_CASE("a compressed batch is opened: what does not decode is refused") {
  for (int id = 1; id < compress::kCodecCount; ++id) {
    auto codec = static_cast<compress::Codec>(id);
    INFO(compress::codec_name(codec));
    Buffer whole = simple_batch(200);
    Bytes records = BatchView(whole).records();
    CHECK(refusal_for(batch_over(codec, packed(codec, records), 200)) == Refusal::none);
    CHECK(refusal_for(batch_over(codec, packed(codec, records), 199)) == Refusal::invalid_record);
    CHECK(refusal_for(batch_over(codec, packed(codec, records), 201)) == Refusal::invalid_record);
    CHECK(refusal_for(batch_over(codec, packed(codec, records.first(records.size() - 1)), 200)) ==
          Refusal::invalid_record);
    CHECK(refusal_for(batch_over(codec, packed(codec, as_bytes("no records at all")), 1)) ==
          Refusal::invalid_record);
    CHECK(refusal_for(batch_over(codec, as_bytes("nothing that anyone compressed"), 1)) ==
          Refusal::unknown_server_error);
  }
}

TEST_CASE("records that lie across the pieces of a decompressor are walked all the same") {
  Prng prng(11);
  for (int id = 0; id < compress::kCodecCount; ++id) {
    BatchBuilder::Options options;
    options.codec = static_cast<compress::Codec>(id);
    BatchBuilder builder(options);
    std::vector<BatchBuilder::HeaderIn> headers{{"header", as_bytes("x")}, {"empty", std::nullopt}};
    int64_t newest = -1;
    for (int i = 0; i < 300; ++i) {
      std::string value(prng.below(i % 50 == 0 ? 200'000 : 3'000), static_cast<char>(prng.next()));
      auto timestamp = static_cast<int64_t>(prng.below(1'000'000));
      newest = std::max(newest, timestamp);
      builder.append(timestamp, as_bytes("key"), as_bytes(value), headers);
    }
    Buffer batch;
    REQUIRE(builder.finish(batch));
    // The header's max timestamp is put right.
    store_be<int64_t>(batch.data() + kMaxTimestampAt, 5);
    store_be(batch.data() + kCrcAt, BatchView(batch).computed_crc());
    auto out = validate_and_assign(batch.mutable_bytes(), {.max_message_bytes = 1 << 30},
                                   {.first_offset = 7});
    INFO(id << " " << out.message);
    REQUIRE(out.refusal == Refusal::none);
    CHECK_FALSE(out.replaced);
    CHECK(out.max_timestamp == newest);
    CHECK(BatchView(batch).max_timestamp() == newest);
    CHECK(BatchView(batch).crc_ok());
    CHECK(out.last_offset == 306);
  }
}

TEST_CASE("inner offsets that do not count up are refused, unless the batch is compressed anew") {
  BatchBuilder::Options options;
  options.codec = compress::Codec::gzip;
  BatchBuilder builder(options);
  builder.append_at(0, 100, as_bytes("k"), as_bytes("a"));
  builder.append_at(5, 101, as_bytes("k"), as_bytes("b"));
  Buffer batch;
  REQUIRE(builder.finish(batch));
  store_be(batch.data() + kLastOffsetDeltaAt, 1);
  store_be(batch.data() + kCrcAt, BatchView(batch).computed_crc());
  CHECK(refusal_for(batch.clone()) == Refusal::unknown_server_error);
  auto out = validate_and_assign(batch.mutable_bytes(), {.target_codec = compress::Codec::lz4},
                                 {.first_offset = 50});
  REQUIRE(out.refusal == Refusal::none);
  REQUIRE(out.replaced);
  auto records = read_records({out.replaced->bytes(), kMagicV2});
  REQUIRE(records);
  CHECK(records->at(1).offset == 51);
}

TEST_CASE("wrappers of old messages are judged as Kafka judges them") {
  auto message = [](int8_t magic, int64_t offset, std::string_view value,
                    compress::Codec codec = compress::Codec::none) {
    Buffer out;
    append_legacy(magic,
                  {offset, 100, TimestampType::create_time, as_bytes("k"), as_bytes(value), codec},
                  out);
    return out;
  };
  auto wrapped = [&](int8_t magic, int64_t offset, Bytes inner) {
    Buffer value = packed(compress::Codec::gzip, inner);
    return message(magic, offset, as_text(value), compress::Codec::gzip);
  };
  for (int8_t magic : {kMagicV0, kMagicV1}) {
    Buffer two = message(magic, 0, "a");
    two.append(message(magic, 1, "b").bytes());
    CHECK(refusal_for(wrapped(magic, 1, two)) == Refusal::none);
    CHECK(refusal_for(wrapped(magic, 0, two)) == Refusal::none);
    CHECK(refusal_for(wrapped(magic, 1, message(static_cast<int8_t>(1 - magic), 0, "a"))) ==
          Refusal::invalid_record);
    CHECK(refusal_for(wrapped(magic, 1, wrapped(magic, 1, two))) == Refusal::invalid_record);
    CHECK(refusal_for(wrapped(magic, 1, {})) == Refusal::invalid_record);
    // What is cut short behind whole messages is left out.
    CHECK(refusal_for(wrapped(magic, 1, two.bytes().first(two.size() - 3))) == Refusal::none);
    Buffer small = two.clone();
    store_be<int32_t>(small.data() + kLengthAt, 13);
    CHECK(refusal_for(wrapped(magic, 1, small)) == Refusal::corrupt_message);
    Buffer damaged = two.clone();
    damaged.data()[damaged.size() - 1] ^= 1;
    CHECK(refusal_for(wrapped(magic, 1, damaged)) == Refusal::corrupt_message);
    CHECK(refusal_for(message(magic, 1, "x", compress::Codec::zstd)) == Refusal::invalid_record);
    CHECK(refusal_for(message(magic, 1, "x", static_cast<compress::Codec>(6))) ==
          Refusal::unknown_server_error);
  }
  // A wrapper of magic 1 has its last message's offset, when it has any.
  Buffer far = message(kMagicV1, 7, "a");
  CHECK(refusal_for(wrapped(kMagicV1, 3, far)) == Refusal::invalid_record);
  CHECK(refusal_for(wrapped(kMagicV1, 0, far)) == Refusal::none);
}

TEST_CASE("a bomb costs one piece of memory and is refused as too large") {
  // One record whose value would be 300 MB of zeros.
  constexpr int64_t kValue = 300'000'000;
  wire::Writer head;
  head.varint(static_cast<int32_t>(kValue + 12));
  head.i8(0);
  head.varlong(0);
  head.varint(0);
  head.varint(-1);
  head.varint(static_cast<int32_t>(kValue));
  std::string plain(as_text(head.bytes()));
  plain.resize(plain.size() + kValue, '\0');
  for (auto codec : {compress::Codec::gzip, compress::Codec::zstd}) {
    Buffer bomb = batch_over(codec, packed(codec, as_bytes(plain)), 1);
    CHECK(bomb.size() < 400'000);
    CHECK(refusal_for(std::move(bomb)) == Refusal::message_too_large);
  }
}

TEST_CASE(
    "what opens to more than this call may is left as it is, and validated elsewhere the same") {
  auto wrapper = [](compress::Codec codec) {
    Buffer set;
    std::string plain = std::string(2000, 'x');
    Buffer inner;
    append_legacy(kMagicV1, {0, 7, TimestampType::create_time, {}, as_bytes(plain), {}}, inner);
    Buffer squeezed = packed(codec, inner);
    append_legacy(kMagicV1, {0, 7, TimestampType::create_time, {}, squeezed.bytes(), codec}, set);
    return set;
  };
  struct Case {
    Buffer set;
    ValidateRules rules;
  };
  std::vector<Case> cases;
  cases.push_back({simple_batch(100, compress::Codec::gzip), {}});
  cases.push_back(
      {simple_batch(100, compress::Codec::zstd), {.target_codec = compress::Codec::lz4}});
  cases.push_back({simple_batch(100), {.target_codec = compress::Codec::gzip}});
  cases.push_back({wrapper(compress::Codec::gzip), {}});
  cases.push_back({simple_batch(100, compress::Codec::lz4),
                   {.timestamp_type = TimestampType::log_append_time}});
  for (Case& one : cases) {
    Buffer at_once(one.set.bytes()), before(one.set.bytes());
    ValidateInput input{
        .first_offset = 70, .leader_epoch = 4, .now_wall_ms = 9, .topic_partition = "t-0"};
    auto whole = validate_and_assign(at_once.mutable_bytes(), one.rules, input);
    REQUIRE(whole.refusal == Refusal::none);
    input.open_max_bytes = 500;
    auto left = validate_and_assign(one.set.mutable_bytes(), one.rules, input);
    CHECK(left.unfinished);
    CHECK(as_text(one.set.bytes()) == as_text(before.bytes()));

    Validation validation{one.rules, Origin::client, 9, "t-0"};
    auto later = validation.run(one.set.mutable_bytes());
    REQUIRE(later.refusal == Refusal::none);
    reassign(later, one.set.mutable_bytes(), 70, 4);
    Bytes got = later.replaced ? later.replaced->bytes() : one.set.bytes();
    Bytes wanted = whole.replaced ? whole.replaced->bytes() : at_once.bytes();
    CHECK(to_hex(got) == to_hex(wanted));
    CHECK(later.first_offset == whole.first_offset);
    CHECK(later.last_offset == whole.last_offset);
    CHECK(later.offset_of_max_timestamp == whole.offset_of_max_timestamp);
    CHECK(later.max_timestamp == whole.max_timestamp);
    CHECK(later.log_append_time_ms == whole.log_append_time_ms);
    CHECK(later.record_count == whole.record_count);
  }
  // Compressing counts for more than opening, and is taken from what there is for others.
  Buffer rebuilt = simple_batch(100);
  size_t size = rebuilt.size();
  ValidateRules rules{.target_codec = compress::Codec::zstd};
  ValidateInput input{.open_max_bytes = 4 * size};
  CHECK(validate_and_assign(rebuilt.mutable_bytes(), rules, input).unfinished);
  input.open_max_bytes = 16 * size;
  auto done = validate_and_assign(rebuilt.mutable_bytes(), rules, input);
  CHECK(done.refusal == Refusal::none);
  CHECK_FALSE(done.unfinished);
  CHECK(done.opened_bytes == 16 * size);
  // What lies as it came is not counted.
  Buffer plain = simple_batch(100);
  CHECK_FALSE(validate_and_assign(plain.mutable_bytes(), {}, {.open_max_bytes = 0}).unfinished);
}

TEST_CASE("record errors are counted all and listed within a bound") {
  BatchBuilder::Options options;
  options.codec = compress::Codec::zstd;
  BatchBuilder builder(options);
  for (int i = 0; i < 150'000; ++i) builder.append(1000, std::nullopt, std::nullopt);
  Buffer batch;
  REQUIRE(builder.finish(batch));
  auto out =
      validate_and_assign(batch.mutable_bytes(), {.compacted = true}, {.topic_partition = "t-0"});
  CHECK(out.refusal == Refusal::invalid_record);
  CHECK(out.record_errors.size() == kMaxRecordErrors);
  CHECK(out.message.find("due to 150000 record errors") != std::string::npos);
}

TEST_CASE("codecs that are none, heads cut short and producers without an epoch") {
  auto set_codec = [](Buffer& batch, int16_t codec) {
    store_be(batch.data() + kAttributesAt, codec);
    store_be(batch.data() + kCrcAt, BatchView(batch.bytes()).computed_crc());
  };
  Buffer batch = simple_batch(2);
  set_codec(batch, 6);
  CHECK(check_produce_set(6, batch).refusal == Refusal::unknown_server_error);
  CHECK(check_produce_set(7, batch).refusal == Refusal::none);
  CHECK(validate_and_assign(batch.mutable_bytes(), {}, {}).refusal ==
        Refusal::unknown_server_error);

  // A length that ends inside the header: the base offset is looked at before the header is.
  Buffer short_one = simple_batch(2);
  store_be(short_one.data() + kLengthAt, int32_t{40});
  short_one.resize_uninitialized(52);
  CHECK(check_produce_set(9, short_one).refusal == Refusal::none);
  CHECK(validate_and_assign(short_one.mutable_bytes(), {}, {}).refusal == Refusal::corrupt_message);
  store_be(short_one.data(), int64_t{7});
  CHECK(validate_and_assign(short_one.mutable_bytes(), {}, {}).refusal == Refusal::invalid_record);

  // Only who compresses anew minds.
  ValidateRules rules;
  for (auto codec : {compress::Codec::none, compress::Codec::gzip}) {
    Buffer odd = simple_batch(2);
    store_be(odd.data() + kProducerIdAt, int64_t{-2});
    store_be(odd.data() + kCrcAt, BatchView(odd.bytes()).computed_crc());
    rules.target_codec = codec;
    CHECK(validate_and_assign(odd.mutable_bytes(), rules, {}).refusal ==
          (codec == compress::Codec::none ? Refusal::none : Refusal::unknown_server_error));
  }
}

TEST_CASE("sequences wrap to zero") {
  CHECK(sequence_plus(INT32_MAX, 1) == 0);
  CHECK(sequence_plus(INT32_MAX - 1, 3) == 1);
  Buffer marker = build_end_txn_marker(5, 9, 2, ControlType::commit, 11);
  auto control = read_control(BatchView(marker));
  REQUIRE(control);
  CHECK(control->type == ControlType::commit);
  CHECK(control->coordinator_epoch == 11);
}

TEST_CASE("timestamps too far from now refuse the batch, with a line for each record") {
  ValidateRules rules;
  rules.timestamp_before_max_ms = rules.timestamp_after_max_ms = 100;
  auto judged = [&](int64_t now_ms, compress::Codec codec = compress::Codec::none) {
    Buffer batch = simple_batch(3, codec, 1000);  // at 1000, 1001, 1002
    return validate_and_assign(batch.mutable_bytes(), rules,
                               {.now_wall_ms = now_ms, .topic_partition = "t-0"});
  };
  CHECK(judged(1000).refusal == Refusal::none);
  CHECK(judged(902).refusal == Refusal::none);
  CHECK(judged(1100).refusal == Refusal::none);
  for (auto codec : {compress::Codec::none, compress::Codec::zstd}) {
    Validated late = judged(1101, codec);
    CHECK(late.refusal == Refusal::invalid_timestamp);
    CHECK(late.client_message);
    CHECK(late.message == "One or more records have been rejected due to invalid timestamp");
    REQUIRE(late.record_errors.size() == 1);
    CHECK(late.record_errors[0].batch_index == 0);
    CHECK(late.record_errors[0].message ==
          "Timestamp 1000 of message with offset 0 is out of range. The timestamp should be within "
          "[1001, 1201]");
    Validated early = judged(900, codec);
    REQUIRE(early.record_errors.size() == 2);
    CHECK(early.record_errors[1].batch_index == 2);
  }
  // Bounds of "for ever" do not overflow.
  rules.timestamp_before_max_ms = rules.timestamp_after_max_ms = INT64_MAX;
  CHECK(judged(5).refusal == Refusal::none);
}

TEST_CASE("a compacted topic takes no record without a key") {
  BatchBuilder builder;
  builder.append(1000, as_bytes("k"), as_bytes("v"));
  builder.append(1000, std::nullopt, as_bytes("v"));
  Buffer batch = builder.finish();
  ValidateRules rules{.compacted = true};
  Validated out = validate_and_assign(batch.mutable_bytes(), rules, {.topic_partition = "t-0"});
  CHECK(out.refusal == Refusal::invalid_record);
  REQUIRE(out.record_errors.size() == 1);
  CHECK(out.record_errors[0].batch_index == 1);
  CHECK(out.record_errors[0].message ==
        "Compacted topic cannot accept message without key in topic partition t-0");
}
