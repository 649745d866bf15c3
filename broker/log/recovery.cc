// Opening a partition's directory: what a clean shutdown left is believed after a glance at its
// end; what a kill left is read from the recovery point on and cut at the first batch that is not
// sound. Source: Kafka documentation, "Log" (recovery); KIP-101 for epochs.
#include <algorithm>
#include <map>
#include <set>

#include "broker/log/names.h"
#include "broker/log/partition_log.h"
#include "broker/log/segment.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {
// TODO(log): above it a start trusts the kernel's pages; dropping them first would tell.
constexpr uint64_t kWriteAgainBytes = 64 << 20;

constexpr log::Room kLog{"broker.log"};
constexpr int64_t kProgressMs = 2000;

// The id in a partition.metadata; empty when the file is not whole.
std::string topic_id_in(std::string_view text) {
  constexpr std::string_view kKey = "topic_id: ";
  constexpr size_t kIdSize = 22;
  size_t at = text.find(kKey);
  if (!text.starts_with("version: 0") || at == std::string_view::npos) return {};
  std::string_view id = text.substr(at + kKey.size());
  id = id.substr(0, std::min(id.find_first_of("\r\n"), id.size()));
  auto base64 = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return id.size() == kIdSize && std::all_of(id.begin(), id.end(), base64) ? std::string(id) : "";
}
}  // namespace

class LogRecovery {
 public:
  LogRecovery(PartitionLog& log, const PartitionLog::Options& options)
      : log_(log), disk_(log.world_.disk), options_(options), started_(log.world_.loop.now()) {}

  Result<void> run() {
    OTTLA_ASSIGN(auto names, disk_.list(log_.dir_));
    OTTLA_TRY(finish_cleaning(names));
    OTTLA_TRY(find_segments(names));
    OTTLA_TRY(read_small_files());
    if (log_.segments_.empty()) OTTLA_TRY(begin_empty());
    log_.log_start_offset_ = std::max(options_.log_start_offset, log_.segments_.begin()->first);
    log_.recovery_point_ = std::max<int64_t>(options_.recovery_point, 0);
    OTTLA_TRY(options_.clean_shutdown || options_.created_now ? believe() : scan());
    OTTLA_TRY(sync_names());
    // A log that begins above all it holds (DeleteRecords, then the power failed) goes on there,
    // and in a new segment: within the old one the offsets between would be a gap, and recovery
    // cuts at gaps.
    if (log_.leo_ < log_.log_start_offset_)
      return log_.truncate_fully_and_start_at(log_.log_start_offset_);
    settle_offsets();
    OTTLA_TRY(log_.rebuild_producers(newest_snapshot_, log_.leo_));
    return log_.delete_stray_snapshots();
  }

 private:
  // What a crash of the cleaner (ours or Apache's) or a deletion left half done.
  Result<void> finish_cleaning(std::vector<std::string>& names) {
    int64_t lowest_cleaned = INT64_MAX;
    std::string cleaned_log = std::string(kLogSuffix) + kCleanedSuffix;
    std::string swap_log = std::string(kLogSuffix) + kSwapSuffix;
    for (const std::string& name : names)
      if (auto base = offset_of_name(name, cleaned_log))
        lowest_cleaned = std::min(lowest_cleaned, *base);
    bool changed = false;
    for (const std::string& name : names) {
      bool split_swap = name.ends_with(kSwapSuffix) && swap_base(name) >= lowest_cleaned;
      if (!name.ends_with(kDeletedSuffix) && !name.ends_with(kCleanedSuffix) && !split_swap)
        continue;
      OTTLA_TRY(disk_.remove(path(name)));
      changed = true;
    }
    for (const std::string& name : names) {
      auto base = offset_of_name(name, swap_log);
      if (!base || *base >= lowest_cleaned) continue;
      OTTLA_TRY(swap_in(names, *base));
      changed = true;
    }
    if (changed) {
      OTTLA_ASSIGN(names, disk_.list(log_.dir_));
    }
    return {};
  }

  static int64_t swap_base(const std::string& name) {
    int64_t base = 0;
    for (size_t i = 0; i < 20 && i < name.size() && name[i] >= '0' && name[i] <= '9'; ++i)
      base = base * 10 + (name[i] - '0');
    return base;
  }

  // A complete replacement: what it replaces goes, then it takes its name.
  Result<void> swap_in(const std::vector<std::string>& names, int64_t base) {
    std::string swap_path = log_.dir_ + "/" + file_name(base, kLogSuffix) + kSwapSuffix;
    OTTLA_ASSIGN(auto file, disk_.open(swap_path, rt::OpenMode::read));
    BatchScanner scanner(*file, 0, file->size());
    int64_t next = base;
    while (true) {
      OTTLA_ASSIGN(auto batch, scanner.next());
      if (!batch) break;
      next = batch->last_offset + 1;
    }
    for (const std::string& name : names)
      for (const char* suffix : {kLogSuffix, kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix}) {
        auto other = offset_of_name(name, suffix);
        if (other && *other >= base && *other < next) OTTLA_TRY(disk_.remove(path(name)));
        if (offset_of_name(name, std::string(suffix) + kSwapSuffix) == base)
          OTTLA_TRY(disk_.rename(path(name), log_.dir_ + "/" + file_name(base, suffix)));
      }
    return {};
  }

  Result<void> find_segments(const std::vector<std::string>& names) {
    int64_t now = log_.world_.loop.wall_ms();
    for (const std::string& name : names) {
      auto base = offset_of_name(name, kLogSuffix);
      if (!base) continue;
      OTTLA_ASSIGN(rt::FileInfo info, disk_.stat(path(name)));
      log_.segments_[*base] = std::make_shared<Segment>(disk_, log_.dir_, *base, info.size, now);
    }
    std::map<int64_t, int> index_files;
    for (const std::string& name : names)
      for (const char* suffix : {kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix}) {
        auto base = offset_of_name(name, suffix);
        if (base && !log_.segments_.contains(*base)) OTTLA_TRY(disk_.remove(path(name)));
        if (base && suffix != kTxnIndexSuffix)
          ++index_files[*base];
        else if (base && log_.segments_.contains(*base))
          log_.segments_[*base]->has_aborted = true;
      }
    for (const auto& [base, segment] : log_.segments_)
      if (segment->size() > 0 && index_files[base] < 2) unindexed_.insert(base);
    return {};
  }

  Result<void> read_small_files() {
    auto epochs = rt::read_file(disk_, log_.dir_ + "/" + kEpochFile);
    if (epochs) {
      auto decoded = EpochCache::decode(*epochs);
      if (decoded) log_.epochs_ = std::move(*decoded);
      epochs_lost_ = !decoded;
    } else if (epochs.error().code != Errc::not_found) {
      return std::unexpected(epochs.error());
    }
    auto metadata = rt::read_file(disk_, log_.dir_ + "/" + kPartitionMetadataFile);
    if (metadata) {
      // Torn when it is not sound (others than we may write it in place): set again by the next
      // leader.
      log_.topic_id_ = topic_id_in(*metadata);
    } else if (metadata.error().code != Errc::not_found) {
      return std::unexpected(metadata.error());
    }
    return {};
  }

  Result<void> begin_empty() {
    int64_t base = std::max<int64_t>(options_.log_start_offset, 0);
    auto segment = std::make_shared<Segment>(disk_, log_.dir_, base, 0, log_.world_.loop.wall_ms());
    OTTLA_TRY(segment->create());
    log_.segments_[base] = std::move(segment);
    return {};
  }

  Result<void> believe() {
    OTTLA_TRY(make_missing_indexes(INT64_MAX));
    Segment& last = log_.active();
    OTTLA_TRY(last.check_indexes(log_.config_.index_interval_bytes));
    auto end = last.next_offset();
    if (!end && end.error().code == Errc::corrupt) {
      log::warn(kLog, "clean shutdown left an unsound log, reading it", "partition={} why={}",
                log_.tp_text_, end.error().context);
      return scan();
    }
    if (!end) return std::unexpected(end.error());
    log_.leo_ = *end;
    if (epochs_lost_) OTTLA_TRY(learn_epochs_below(log_.leo_));
    newest_snapshot_ = log_.leo_;
    return {};
  }

  // Operators remove index files to have them made anew; nothing else would make those of a sealed
  // segment, and each search in it would read it from its start.
  Result<void> make_missing_indexes(int64_t below) {
    for (int64_t base : unindexed_) {
      if (base >= below) break;
      Segment& segment = *log_.segments_[base];
      OTTLA_ASSIGN(auto recovered, recover_segment(segment, INT64_MAX));
      log::info(kLog, "index files made anew", "partition={} segment={} next_offset={}",
                log_.tp_text_, base, recovered.next_offset);
      if (base != log_.active().base_offset()) OTTLA_TRY(segment.finish_indexes());
    }
    return {};
  }

  // Segments from the one that holds the last synced offset on; what lies before was synced with
  // its indexes.
  Result<void> scan() {
    int64_t point = log_.recovery_point_;
    auto first = log_.segments_.upper_bound(std::max<int64_t>(point - 1, 0));
    if (first != log_.segments_.begin()) --first;
    newest_snapshot_ = first->first;
    OTTLA_TRY(make_missing_indexes(first->first));
    OTTLA_TRY(log_.delete_snapshots(newest_snapshot_ + 1, INT64_MAX));
    if (epochs_lost_) OTTLA_TRY(learn_epochs_below(point));
    uint64_t total = 0, done = 0;
    for (auto at = first; at != log_.segments_.end(); ++at) total += at->second->size();

    for (auto at = first; at != log_.segments_.end(); ++at) {
      uint64_t size = at->second->size();
      OTTLA_ASSIGN(auto recovered, recover_segment(*at->second, point));
      done += size;
      report(done, total);
      bool last = std::next(at) == log_.segments_.end();
      // A segment may also have lost whole batches at its end, but for what was synced; only
      // compaction leaves such gaps.
      int64_t wanted = last ? recovered.next_offset : std::next(at)->first;
      bool dense = wanted > point && !log_.config_.cleanup_compact;
      bool broken = recovered.truncated_bytes > 0 || recovered.next_offset > wanted ||
                    (recovered.next_offset < wanted && dense);
      log_.leo_ = recovered.next_offset;
      if (recovered.truncated_bytes > 0)
        log::info(kLog, "torn end cut", "partition={} segment={} bytes={} leo={}", log_.tp_text_,
                  at->first, recovered.truncated_bytes, recovered.next_offset);
      if (!last) OTTLA_TRY(at->second->finish_indexes());
      if (broken && !last) return drop_after(at->first);
    }
    return {};
  }

  Result<Segment::Recovered> recover_segment(Segment& segment, int64_t point) {
    segment.name_dirty = true;
    OTTLA_ASSIGN(
        auto recovered,
        segment.recover(point, log_.config_.index_interval_bytes, !log_.config_.cleanup_compact,
                        [this](const ScannedBatch& batch) { learn_epoch(batch); }));
    // The last life may have ended with a sync that failed: what it covered is shown by the kernel,
    // taken for written, and would not be written by the next sync, which moves the recovery point
    // past it all the same. So it is written once more; always where acknowledgements wait for
    // syncs, else unless so much was never synced that the start would take long.
    uint64_t unsynced = segment.size() - std::min(segment.size(), recovered.untrusted_position);
    bool flushes = log_.config_.flush_messages != INT64_MAX;
    if (flushes || unsynced <= kWriteAgainBytes)
      OTTLA_TRY(segment.write_again(recovered.untrusted_position));
    if (flushes && unsynced > 0) {
      OTTLA_ASSIGN(auto file, segment.file());
      OTTLA_TRY(file->sync_now());
      synced_ = true;
    }
    return recovered;
  }

  // Where acknowledgements wait for syncs, readers do, too: what a kill left unsynced is shown from
  // the election on, so it is durable before. Its name has to be, as well.
  Result<void> sync_names() {
    if (!synced_) return {};
    OTTLA_TRY(disk_.sync_dir(log_.dir_));
    return disk_.sync_dir(rt::parent_of(log_.dir_));
  }

  // What the file says may be of before a truncation: batches know better.
  void learn_epoch(const ScannedBatch& batch) {
    if (batch.magic != kMagicV2 || batch.leader_epoch < 0) return;
    if (batch.last_offset < log_.log_start_offset_) return;
    int64_t from = std::max(batch.base_offset, log_.log_start_offset_);
    auto known = log_.epochs_.epoch_for_offset(from);
    if (!known || batch.leader_epoch > *known)
      epochs_changed_ |= log_.epochs_.assign(batch.leader_epoch, from);
  }

  // The epoch file was torn: the batches below the point tell again. What lies behind them in the
  // last segment may be torn too, and say any offset.
  Result<void> learn_epochs_below(int64_t point) {
    for (auto& [base, segment] : log_.segments_) {
      if (base >= point) break;
      OTTLA_ASSIGN(auto file, segment->file());
      BatchScanner scanner(*file, 0, segment->size());
      for (int64_t next = base; next < point;) {
        OTTLA_ASSIGN(auto batch, scanner.next());
        if (!batch || batch->base_offset < next || batch->base_offset >= point) break;
        learn_epoch(*batch);
        next = batch->last_offset + 1;
      }
    }
    return {};
  }

  Result<void> drop_after(int64_t base) {
    std::vector<int64_t> doomed;
    for (auto at = log_.segments_.upper_bound(base); at != log_.segments_.end(); ++at)
      doomed.push_back(at->first);
    for (int64_t later : doomed) {
      log::warn(kLog, "segment behind a torn one deleted", "partition={} segment={}", log_.tp_text_,
                later);
      for (const char* suffix : {kLogSuffix, kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix}) {
        auto removed = disk_.remove(log_.dir_ + "/" + file_name(later, suffix));
        if (!removed && removed.error().code != Errc::not_found) return removed;
      }
      log_.segments_.erase(later);
    }
    return disk_.sync_dir(log_.dir_);
  }

  void settle_offsets() {
    log_.recovery_point_ =
        options_.clean_shutdown ? log_.leo_ : std::min(log_.recovery_point_, log_.leo_);
    bool flushes = log_.config_.flush_messages != INT64_MAX;
    log_.synced_at_start_ = flushes ? log_.leo_ : log_.recovery_point_;
    log_.hw_ = std::clamp(options_.high_watermark, log_.log_start_offset_, log_.leo_);
    bool changed = log_.epochs_.truncate_from_end(log_.leo_ + 1);
    changed |= log_.epochs_.truncate_from_start(log_.log_start_offset_);
    bool again = !options_.clean_shutdown && flushes;
    if (changed || epochs_changed_ || again) log_.epochs_changed();
  }

  void report(uint64_t done, uint64_t total) {
    Instant now = log_.world_.loop.now();
    if (now - started_ < ms_to_ns(kProgressMs)) return;
    started_ = now;
    log::info(kLog, "recovering", "partition={} bytes={}/{}", log_.tp_text_, done, total);
  }

  std::string path(const std::string& name) const { return log_.dir_ + "/" + name; }

  PartitionLog& log_;
  rt::Disk& disk_;
  const PartitionLog::Options& options_;
  Instant started_;
  int64_t newest_snapshot_ = INT64_MAX;
  bool epochs_changed_ = false;
  bool epochs_lost_ = false;
  bool synced_ = false;          // a segment's bytes, by this recovery
  std::set<int64_t> unindexed_;  // bases of segments without both index files
};

PartitionLog::PartitionLog(rt::World world, Options options)
    : world_(world),
      tp_(options.tp),
      tp_text_(options.tp.to_string()),
      producer_id_expiration_ms_(options.producer_id_expiration_ms),
      on_failure_(std::move(options.on_failure)),
      on_flushed_(std::move(options.on_flushed)),
      on_lowered_(std::move(options.on_lowered)),
      jitter_seed_(options.jitter_seed),
      decompressor_(options.decompressor ? std::move(options.decompressor)
                                         : std::make_shared<compress::Decompressor>()),
      remover_(options.remover ? std::move(options.remover)
                               : std::make_shared<Remover>(world.disk)),
      dir_(std::move(options.dir)),
      config_(options.config),
      last_flush_wall_ms_(world.loop.wall_ms()) {}

PartitionLog::~PartitionLog() = default;

Result<std::unique_ptr<PartitionLog>> PartitionLog::open(rt::World world, Options options) {
  if (options.created_now) OTTLA_TRY(world.disk.make_dirs(options.dir));
  Options kept = options;
  auto log = std::unique_ptr<PartitionLog>(new PartitionLog(world, std::move(options)));
  OTTLA_TRY(LogRecovery(*log, kept).run());
  log->release_files();
  return log;
}

void PartitionLog::set_topic_id(const std::string& topic_id) {
  if (topic_id == topic_id_ || closed_ || failed_) return;
  topic_id_ = topic_id;
  auto write = [&]() -> Result<std::shared_ptr<rt::File>> {
    OTTLA_ASSIGN(auto file, world_.disk.open(dir_ + "/" + kPartitionMetadataFile + ".tmp",
                                             rt::OpenMode::create));
    OTTLA_TRY(file->truncate(0));
    OTTLA_TRY(file->write_at(0, as_bytes("version: 0\ntopic_id: " + topic_id)));
    return file;
  };
  auto file = write();
  if (!file) {
    fail_log(file.error());
    return;
  }
  naming_.push_back(*file);  // not in the callback, which is the file's own
  (*file)->sync([this, alive = std::weak_ptr<int>(alive_)](Result<void> synced) {
    if (!alive.expired()) name_topic(std::move(synced));
  });
}

// The file is whole and durable: it takes its name, wherever the directory is by now.
void PartitionLog::name_topic(Result<void> result) {
  if (++named_ < naming_.size()) return;  // written again meanwhile
  naming_.clear();
  named_ = 0;
  std::string path = dir_ + "/" + kPartitionMetadataFile;
  if (result && !failed_) result = world_.disk.rename(path + ".tmp", path);
  // A directory that went meanwhile is no failing disk.
  if (!result && result.error().code == Errc::not_found) result = {};
  if (!result && !closed_) fail_log(result.error());
  if (!result && closing_) closing_->result = std::move(result);
  close_if_idle();
}

void PartitionLog::renamed(const std::string& dir) {
  dir_ = dir;
  for (auto& [base, segment] : segments_) segment->moved(dir);
}

}  // namespace ottla::broker
