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
      auto down = down_convert(batch, magic, 70);
      REQUIRE(down);
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

TEST_CASE("sequences wrap to zero") {
  CHECK(sequence_plus(INT32_MAX, 1) == 0);
  CHECK(sequence_plus(INT32_MAX - 1, 3) == 1);
  Buffer marker = build_end_txn_marker(5, 9, 2, ControlType::commit, 11);
  auto control = read_control(BatchView(marker));
  REQUIRE(control);
  CHECK(control->type == ControlType::commit);
  CHECK(control->coordinator_epoch == 11);
}
