// PartitionLog: producer snapshots, their replay, and the index of aborted transactions.
#include <algorithm>

#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::broker {
namespace {
constexpr size_t kAbortedEntry = 34;
constexpr int16_t kAbortedVersion = 0;
// Of more producers than a broker has memory for: such a file is none of ours.
constexpr uint64_t kMaxSnapshotBytes = uint64_t{1} << 30;
}  // namespace

Result<std::vector<int64_t>> PartitionLog::snapshot_offsets() {
  std::vector<int64_t> offsets;
  OTTLA_ASSIGN(auto names, world_.disk.list(dir_));
  for (const std::string& name : names)
    if (auto offset = offset_of_name(name, kSnapshotSuffix)) offsets.push_back(*offset);
  return offsets;
}

Result<void> PartitionLog::delete_snapshots(int64_t from, int64_t below) {
  OTTLA_ASSIGN(auto offsets, snapshot_offsets());
  for (int64_t offset : offsets)
    if (offset >= from && offset < below)
      OTTLA_TRY(world_.disk.remove(dir_ + "/" + file_name(offset, kSnapshotSuffix)));
  if (last_snapshot_offset_ >= from && last_snapshot_offset_ < below) last_snapshot_offset_ = -1;
  return {};
}

// Not synced: a snapshot that a crash tore fails its checksum and is passed over.
Result<void> PartitionLog::write_producer_snapshot() {
  int64_t offset = producers_.end_offset();
  if (offset <= last_snapshot_offset_ || (producers_.empty() && offset <= log_start_offset_))
    return {};
  std::string content = producers_.encode_snapshot();
  OTTLA_ASSIGN(auto file, world_.disk.open(dir_ + "/" + file_name(offset, kSnapshotSuffix),
                                           rt::OpenMode::create));
  OTTLA_TRY(file->truncate(0));
  OTTLA_TRY(file->write_at(0, as_bytes(content)));
  last_snapshot_offset_ = offset;
  return {};
}

// Each clean end leaves a snapshot at the log's end. Of those that a start finds, what begins a
// segment goes with it one day; nothing else ever asks for one but the newest.
Result<void> PartitionLog::delete_stray_snapshots() {
  OTTLA_ASSIGN(auto offsets, snapshot_offsets());
  for (int64_t offset : offsets)
    if (offset < last_snapshot_offset_ && !segments_.contains(offset))
      OTTLA_TRY(delete_snapshots(offset, offset + 1));
  return {};
}

// The newest sound snapshot not above `newest_snapshot`, and the batches behind it up to `up_to`,
// which also tell what their segments' indexes of aborted transactions must have.
Result<void> PartitionLog::rebuild_producers(int64_t newest_snapshot, int64_t up_to) {
  producers_.clear();
  last_snapshot_offset_ = -1;
  int64_t from = log_start_offset_;
  OTTLA_ASSIGN(auto offsets, snapshot_offsets());
  for (auto at = offsets.rbegin(); at != offsets.rend(); ++at) {
    if (*at > newest_snapshot || *at > up_to) continue;
    auto content =
        rt::read_file(world_.disk, dir_ + "/" + file_name(*at, kSnapshotSuffix), kMaxSnapshotBytes);
    if (!content && content.error().code == Errc::too_large) continue;
    if (!content) return std::unexpected(content.error());
    auto state = ProducerState::decode_snapshot(as_bytes(*content), world_.loop.wall_ms(),
                                                producer_id_expiration_ms_);
    if (!state) continue;
    producers_ = std::move(*state);
    from = std::max(from, *at);
    last_snapshot_offset_ = *at;
    break;
  }
  producers_.set_end_offset(from);
  for (auto& [base, segment] : segments_) {
    std::vector<AbortedTxn> aborted;
    bool behind = end_of(*segment) > from && segment->size() > 0;
    if (behind) OTTLA_TRY(replay_producers(*segment, from, up_to, aborted));
    if (behind || segment == segments_.rbegin()->second)
      OTTLA_TRY(settle_aborted(*segment, aborted));
  }
  producers_.set_end_offset(up_to);
  producers_.on_high_watermark(hw_);
  return {};
}

Result<void> PartitionLog::replay_producers(Segment& segment, int64_t from, int64_t up_to,
                                            std::vector<AbortedTxn>& aborted) {
  OTTLA_ASSIGN(auto file, segment.file());
  OTTLA_ASSIGN(uint64_t position, segment.position_of(from));
  BatchScanner scanner(*file, position, segment.size());
  while (true) {
    OTTLA_ASSIGN(auto batch, scanner.next());
    if (!batch || batch->base_offset >= up_to) return {};
    if (batch->magic != kMagicV2) continue;
    BatchView view(batch->header);
    if (!view.has_producer_id()) continue;
    std::optional<ControlRecord> marker;
    if (view.control()) {
      OTTLA_ASSIGN(Buffer whole, read_batch(*file, *batch));
      marker = read_control(BatchView(whole));
    }
    if (auto ended = producers_.update(BatchView(batch->header), marker)) aborted.push_back(*ended);
  }
}

void PartitionLog::expire_producers(int64_t now_wall_ms) {
  producers_.expire(now_wall_ms, producer_id_expiration_ms_);
}

// ------------------------------------------------------------------------------------- .txnindex
//   int16 version 0, int64 producer id, int64 first offset, int64 last offset, int64 last stable
//   offset

namespace {

void write_aborted(const AbortedTxn& txn, wire::Writer& writer) {
  writer.i16(kAbortedVersion);
  writer.i64(txn.producer_id);
  writer.i64(txn.first_offset);
  writer.i64(txn.last_offset);
  writer.i64(txn.last_stable_offset);
}

// Each entry tells of a marker in the segment, which is longer than the entry: what a file has
// behind as many bytes is no entry, and one byte of it shows that it is there.
Result<std::string> read_txn_index(rt::Disk& disk, const Segment& segment) {
  OTTLA_ASSIGN(auto file, disk.open(segment.path(kTxnIndexSuffix), rt::OpenMode::read));
  std::string content(std::min(file->size(), segment.size() + 1), '\0');
  MutBytes into(reinterpret_cast<uint8_t*>(content.data()), content.size());
  OTTLA_ASSIGN(size_t got, file->read_at(0, into));
  content.resize(got);
  return content;
}

// Up to one that no abort of a segment with these offsets can have written.
std::vector<AbortedTxn> read_aborted(std::string_view content, int64_t base, int64_t end) {
  std::vector<AbortedTxn> txns;
  wire::Reader reader(as_bytes(content));
  while (reader.remaining() >= kAbortedEntry) {
    int16_t version = reader.i16();
    AbortedTxn txn;
    txn.producer_id = reader.i64();
    txn.first_offset = reader.i64();
    txn.last_offset = reader.i64();
    txn.last_stable_offset = reader.i64();
    int64_t above = txns.empty() ? base : txns.back().last_offset + 1;
    bool sane = version == kAbortedVersion && txn.producer_id >= 0 && txn.first_offset >= 0 &&
                txn.first_offset < txn.last_offset && txn.last_offset >= above &&
                txn.last_offset < end;
    if (!sane) break;
    txns.push_back(txn);
  }
  return txns;
}

}  // namespace

Result<void> PartitionLog::append_aborted(const AbortedTxn& txn) {
  wire::Writer writer;
  write_aborted(txn, writer);
  OTTLA_ASSIGN(auto file, world_.disk.open(active().path(kTxnIndexSuffix), rt::OpenMode::create));
  OTTLA_TRY(file->write_at(file->size() / kAbortedEntry * kAbortedEntry, writer.bytes()));
  active().has_aborted = true;
  active().aborted_file = std::move(file);
  return {};
}

// What the file has that can be, and what the batches told.
Result<void> PartitionLog::settle_aborted(Segment& segment, const std::vector<AbortedTxn>& told) {
  std::string path = segment.path(kTxnIndexSuffix), content;
  std::map<int64_t, AbortedTxn> known;  // by their markers
  if (segment.has_aborted) {
    OTTLA_ASSIGN(content, read_txn_index(world_.disk, segment));
    for (const AbortedTxn& txn : read_aborted(content, segment.base_offset(), end_of(segment)))
      known.emplace(txn.last_offset, txn);
  }
  for (const AbortedTxn& txn : told) known.emplace(txn.last_offset, txn);
  wire::Writer writer;
  for (const auto& [marker, txn] : known) write_aborted(txn, writer);
  if (as_text(writer.bytes()) == content) return {};
  OTTLA_ASSIGN(auto file, world_.disk.open(path, rt::OpenMode::create));
  OTTLA_TRY(file->truncate(0));
  OTTLA_TRY(file->write_at(0, writer.bytes()));
  segment.has_aborted = true;
  segment.aborted_file = std::move(file);
  return {};
}

Result<std::vector<AbortedTxn>> PartitionLog::aborted_transactions(int64_t start, int64_t upper) {
  std::vector<AbortedTxn> found;
  auto at = segments_.upper_bound(start);
  if (at != segments_.begin()) --at;
  for (; at != segments_.end(); ++at) {
    Segment& segment = *at->second;
    if (!segment.has_aborted) continue;
    OTTLA_ASSIGN(std::string content, read_txn_index(world_.disk, segment));
    for (const AbortedTxn& txn : read_aborted(content, segment.base_offset(), end_of(segment))) {
      if (txn.last_offset >= start && txn.first_offset < upper) found.push_back(txn);
      if (txn.last_stable_offset >= upper) return found;
    }
  }
  return found;
}

}  // namespace ottla::broker
