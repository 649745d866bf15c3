#include "broker/record/record_reader.h"

#include "broker/record/legacy.h"
#include "broker/record/walk.h"
#include "common/compress/codec.h"
#include "common/wire/reader.h"

namespace ottla::broker {
namespace {

std::optional<Bytes> take_nullable(wire::Reader& reader) {
  int32_t size = reader.varint();
  if (size < 0) return std::nullopt;  // any negative length reads as null
  return reader.take(static_cast<size_t>(size));
}

bool read_headers(wire::Reader& reader, std::vector<Header>& headers) {
  int32_t count = reader.varint();
  if (!reader.claim_count(count, 2)) return false;
  headers.resize(static_cast<size_t>(count));
  for (Header& header : headers) {
    int32_t size = reader.varint();
    if (size < 0) return false;
    header.key = reader.take(static_cast<size_t>(size));
    header.value = take_nullable(reader);
  }
  return reader.ok();
}

bool read_record(wire::Reader& reader, const BatchView& batch, Record& record) {
  int32_t size = reader.varint();
  if (size < 0) return false;
  wire::Reader body(reader.take(static_cast<size_t>(size)));
  if (!reader.ok()) return false;
  body.skip(1);  // attributes: none are defined
  int64_t timestamp_delta = body.varlong();
  int32_t offset_delta = body.varint();
  record.offset = wrapping_add(batch.base_offset(), offset_delta);
  record.timestamp = batch.timestamp_type() == TimestampType::log_append_time
                         ? batch.max_timestamp()
                         : wrapping_add(batch.base_timestamp(), timestamp_delta);
  record.sequence = batch.base_sequence() == kNoSequence || offset_delta < 0
                        ? kNoSequence
                        : sequence_plus(batch.base_sequence(), offset_delta);
  record.key = take_nullable(body);
  record.value = take_nullable(body);
  return read_headers(body, record.headers) && body.at_end();
}

Result<void> each_v2_record(const BatchView& batch, const std::function<bool(const Record&)>& visit,
                            size_t max_bytes) {
  auto codec = batch.codec();
  if (!codec)
    return fail(Errc::unsupported,
                "unknown compression type id " + std::to_string(batch.codec_id()));
  Buffer opened;
  Bytes block = batch.records();
  if (*codec != compress::Codec::none) {
    OTTLA_ASSIGN(opened, compress::decompress(*codec, block, max_bytes));
    block = opened.bytes();
  }
  if (batch.record_count() < 0) return fail(Errc::corrupt, "a negative record count");
  wire::Reader reader(block);
  Record record;
  for (int32_t i = 0; i < batch.record_count(); ++i) {
    if (!read_record(reader, batch, record))
      return fail(Errc::corrupt, "record " + std::to_string(i) + " does not decode");
    if (!visit(record)) return {};
  }
  if (!reader.at_end()) return fail(Errc::corrupt, "bytes remain behind the declared records");
  return {};
}

}  // namespace

Result<void> each_record(const RawBatch& batch, const std::function<bool(const Record&)>& visit,
                         size_t max_bytes) {
  if (batch.magic == kMagicV2) return each_v2_record(BatchView(batch.bytes), visit, max_bytes);
  return each_legacy_record(batch, visit, max_bytes);
}

Result<void> each_timestamp(const RawBatch& raw, const std::function<bool(int64_t, int64_t)>& visit,
                            size_t max_bytes) {
  if (raw.magic != kMagicV2) {
    auto see = [&](const Record& record) { return visit(record.offset, record.timestamp); };
    return each_record(raw, see, max_bytes);
  }
  BatchView batch(raw.bytes);
  if (!batch.codec())
    return fail(Errc::unsupported,
                "unknown compression type id " + std::to_string(batch.codec_id()));
  compress::Decompressor decompressor;
  OTTLA_TRY(decompressor.begin(*batch.codec(), batch.records()));
  if (batch.codec_id() == 0) max_bytes = SIZE_MAX;
  std::optional<Error> broken;
  size_t opened = 0;
  auto more = [&]() -> Bytes {
    if (broken) return {};
    auto piece = decompressor.next();
    if (piece && (opened += piece->size()) <= max_bytes) return *piece;
    broken = piece ? Error{Errc::too_large, "a batch decompresses to more than is opened here"}
                   : std::move(piece.error());
    return {};
  };
  Walked walked = walk_records(batch, more, [&](int64_t offset, int64_t timestamp, bool) {
    return visit(offset, timestamp);
  });
  if (broken) return std::unexpected(std::move(*broken));
  if (!walked.sound) return fail(Errc::corrupt, "the batch's records do not decode");
  return {};
}

Refusal refusal_of(const Error& error) {
  switch (error.code) {
    case Errc::corrupt:
      return Refusal::invalid_record;
    case Errc::invalid:
    case Errc::unsupported:
      return Refusal::unknown_server_error;
    case Errc::too_large:
      return Refusal::message_too_large;
    default:
      return Refusal::kafka_storage_error;
  }
}

Result<std::vector<OwnedRecord>> read_records(const RawBatch& batch) {
  auto own = [](const std::optional<Bytes>& bytes) {
    return bytes ? std::optional<std::string>(to_string(*bytes)) : std::nullopt;
  };
  std::vector<OwnedRecord> records;
  OTTLA_TRY(each_record(batch, [&](const Record& record) {
    OwnedRecord& owned = records.emplace_back();
    owned.offset = record.offset;
    owned.timestamp = record.timestamp;
    owned.sequence = record.sequence;
    owned.key = own(record.key);
    owned.value = own(record.value);
    for (const Header& header : record.headers)
      owned.headers.emplace_back(to_string(header.key), own(header.value));
    return true;
  }));
  return records;
}

std::optional<ControlRecord> read_control(const BatchView& batch) {
  if (!batch.control()) return std::nullopt;
  std::optional<ControlRecord> control;
  auto read = each_record({batch.bytes(), kMagicV2}, [&](const Record& record) {
    if (!record.key || record.key->size() < 4) return false;
    int16_t type = load_be<int16_t>(record.key->data() + 2);
    control.emplace();
    if (type == 0 || type == 1) control->type = static_cast<ControlType>(type);
    if (record.value && record.value->size() >= 6)
      control->coordinator_epoch = load_be<int32_t>(record.value->data() + 2);
    return false;
  });
  if (!read) return std::nullopt;
  return control;
}

}  // namespace ottla::broker
