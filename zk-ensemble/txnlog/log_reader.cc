#include "zk-ensemble/txnlog/log_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace ottla::zk {
namespace {
constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kMinEntryBytes = kTxnHeaderBytes;

bool is_log_header(Bytes header) {
  return header.size() >= kFileHeaderBytes &&
         load_be<uint32_t>(header.data()) == static_cast<uint32_t>(kLogMagic);
}
bool is_zero(Bytes bytes) {
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}
}  // namespace

Result<LogReader> LogReader::open(rt::Disk& disk, const std::string& path) {
  OTTLA_ASSIGN(std::shared_ptr<rt::File> file, disk.open(path, rt::OpenMode::read));
  LogReader reader(std::move(file));
  OTTLA_ASSIGN(Bytes header, reader.window(0, kFileHeaderBytes));
  if (!is_log_header(header))
    return fail(Errc::corrupt, fmt::format("{}: not a transaction log (its first bytes are wrong)", path));
  return reader;
}

Result<Bytes> LogReader::window(uint64_t offset, size_t length) {
  if (offset < chunk_at_ || offset + length > chunk_at_ + chunk_.size()) {
    chunk_.resize_uninitialized(std::max(length, kChunkBytes));
    OTTLA_ASSIGN(size_t got, file_->read_at(offset, chunk_.mutable_bytes()));
    chunk_.resize_uninitialized(got);
    chunk_at_ = offset;
  }
  size_t skip = static_cast<size_t>(offset - chunk_at_);
  return chunk_.bytes().subspan(skip, std::min(length, chunk_.size() - skip));
}

Result<LogReader::Step> LogReader::next(LogRecord& record) {
  OTTLA_ASSIGN(Bytes prefix, window(at_, kRecordPrefixBytes));
  if (prefix.size() < kRecordPrefixBytes) return Step::end;
  uint64_t checksum = load_be<uint64_t>(prefix.data());
  int32_t length = load_be<int32_t>(prefix.data() + 8);
  if (length == 0) return Step::end;
  uint64_t left = file_->size() - std::min(file_->size(), at_);
  if (length < 0) return Step::damaged;
  uint64_t whole_length = kRecordPrefixBytes + static_cast<uint64_t>(length) + 1;
  if (whole_length > left) return Step::end;
  OTTLA_ASSIGN(Bytes whole, window(at_, static_cast<size_t>(whole_length)));
  if (whole.size() < whole_length || whole.back() != kRecordEnd) return Step::end;
  Bytes entry = whole.subspan(kRecordPrefixBytes, static_cast<size_t>(length));
  if (static_cast<size_t>(length) < kMinEntryBytes || adler32(entry) != checksum) return Step::damaged;
  record.zxid = load_be<int64_t>(entry.data() + kTxnHeaderZxidAt);
  record.offset = at_;
  record.end = at_ + whole_length;
  record.entry = entry;
  at_ = record.end;
  return Step::record;
}

Result<bool> LogReader::record_after(uint64_t from) {
  for (uint64_t at = from;;) {
    OTTLA_ASSIGN(Bytes bytes, window(at, kChunkBytes));
    if (bytes.size() <= kRecordPrefixBytes) return false;
    if (is_zero(bytes)) {  // padding: most of a log file
      at += bytes.size() - kRecordPrefixBytes;
      continue;
    }
    // The bytes are looked at through a copy: window() for a candidate may replace the chunk.
    Buffer chunk(bytes);
    size_t last = chunk.size() - kRecordPrefixBytes;
    for (size_t i = 0; i < last; ++i) {
      const uint8_t* prefix = chunk.data() + i;
      if (load_be<uint32_t>(prefix) != 0) continue;
      uint32_t length = load_be<uint32_t>(prefix + 8);
      uint64_t end = at + i + kRecordPrefixBytes + uint64_t{length} + 1;
      if (length < kMinEntryBytes || end > file_->size()) continue;
      uint8_t mark = 0;
      OTTLA_ASSIGN(size_t got, file_->read_at(end - 1, MutBytes(&mark, 1)));
      if (got != 1 || mark != kRecordEnd) continue;
      Buffer entry(length);
      OTTLA_ASSIGN(got, file_->read_at(at + i + kRecordPrefixBytes, entry.mutable_bytes()));
      if (got == length && adler32(entry.bytes()) == load_be<uint64_t>(prefix)) return true;
    }
    at += last;
  }
}

Result<bool> LogReader::bytes_after(uint64_t from) {
  static constexpr uint8_t kZeros[4096] = {};
  for (uint64_t at = from;;) {
    OTTLA_ASSIGN(Bytes bytes, window(at, kChunkBytes));
    if (bytes.empty()) return false;
    at += bytes.size();
    while (!bytes.empty()) {
      size_t count = std::min(bytes.size(), sizeof kZeros);
      if (std::memcmp(bytes.data(), kZeros, count) != 0) return true;
      bytes = bytes.subspan(count);
    }
  }
}

Result<bool> is_unfinished_log(rt::Disk& disk, const std::string& path) {
  OTTLA_ASSIGN(std::shared_ptr<rt::File> file, disk.open(path, rt::OpenMode::read));
  LogReader reader(std::move(file));
  OTTLA_ASSIGN(Bytes header, reader.window(0, kFileHeaderBytes));
  if (is_log_header(header)) return false;
  OTTLA_ASSIGN(bool holds_records, reader.record_after(kFileHeaderBytes));
  return !holds_records;
}

}  // namespace ottla::zk
