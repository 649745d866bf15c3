#include "zk-ensemble/txnlog/recovery.h"

#include <fmt/core.h>

#include <algorithm>

#include "zk-ensemble/txnlog/log_reader.h"
#include "zk-ensemble/txnlog/snapshot_reader.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {
namespace {

constexpr size_t kMaxCandidates = 100;
// A record of the largest size may follow a full commit.
constexpr uint64_t kTornBytes = kMaxCommitBytes + (4 << 20);

Result<void> cut(rt::Disk& disk, const std::string& path, uint64_t size) {
  OTTLA_ASSIGN(auto file, disk.open(path, rt::OpenMode::read_write));
  OTTLA_TRY(file->truncate(size));
  return file->sync_now();
}

class Recovery {
 public:
  Recovery(rt::Disk& disk, const DataDir& dir, DataTree& tree, const RecoveryOptions& options)
      : disk_(disk), dir_(dir), tree_(tree), options_(options) {}

  Result<Recovered> run() {
    OTTLA_TRY(drop_unfinished_log());
    OTTLA_TRY(drop_unfinished_snapshots());
    OTTLA_TRY(load_snapshot());
    OTTLA_TRY(replay_logs());
    OTTLA_TRY(make_durable());
    std::vector<std::string> orphans = tree_.drop_orphans();
    for (const std::string& path : orphans)
      result_.warnings.push_back(fmt::format("{}: removed, the session that owned it is gone", path));
    result_.snapshot_first = result_.fresh || !orphans.empty();
    return std::move(result_);
  }

 private:
  std::string log_path(const ZxidFile& log) const { return dir_.log_dir() + "/" + log.name; }

  // A crash while a new file was begun leaves one that holds nothing.
  Result<void> drop_unfinished_log() {
    OTTLA_ASSIGN(logs_, dir_.logs());
    while (!logs_.empty()) {
      OTTLA_ASSIGN(bool unfinished, is_unfinished_log(disk_, log_path(logs_.back())));
      if (!unfinished) return {};
      result_.warnings.push_back(
          fmt::format("{}: removed, a crash left it without a record", log_path(logs_.back())));
      OTTLA_TRY(disk_.remove(log_path(logs_.back())));
      OTTLA_TRY(disk_.sync_dir(dir_.log_dir()));
      logs_.pop_back();
    }
    return {};
  }

  // Nobody reads them, and each crash while a snapshot was written would leave one more.
  Result<void> drop_unfinished_snapshots() {
    constexpr std::string_view kUnfinished = ".tmp";
    OTTLA_ASSIGN(auto names, disk_.list(dir_.snapshot_dir()));
    for (const std::string& name : names) {
      if (!name.ends_with(kUnfinished)) continue;
      std::string_view whole(name.data(), name.size() - kUnfinished.size());
      if (!zxid_of_snapshot(whole)) continue;
      OTTLA_TRY(disk_.remove(dir_.snapshot_dir() + "/" + name));
    }
    return {};
  }

  Result<void> load_snapshot() {
    OTTLA_ASSIGN(auto snapshots, dir_.snapshots());
    size_t tried = 0;
    std::string first_fault;
    for (const ZxidFile& candidate : snapshots) {
      std::string path = dir_.snapshot_dir() + "/" + candidate.name;
      if (tried == kMaxCandidates) break;
      OTTLA_ASSIGN(bool whole, snapshot_seems_whole(disk_, path));
      if (!whole) {
        if (candidate.zxid > 0 && first_fault.empty()) first_fault = path + ": not a whole snapshot";
        result_.warnings.push_back(fmt::format("{}: skipped, it is not a whole snapshot", path));
        continue;
      }
      ++tried;
      auto read = read_snapshot(disk_, path, candidate.zxid, tree_);
      if (read) {
        result_.snapshot_zxid = result_.last_zxid = candidate.zxid;
        return {};
      }
      result_.warnings.push_back(read.error().context);
      if (first_fault.empty()) first_fault = read.error().context;
    }
    // snapshot.0 holds nothing that was acknowledged; Apache's server may have been killed while it wrote it.
    if (tried != 0 || (!first_fault.empty() && !options_.trust_empty)) {
      return fail(Errc::corrupt, fmt::format("no snapshot in {} can be read; restore one from a backup "
                                             "({})", dir_.snapshot_dir(), first_fault));
    }
    return start_empty();
  }

  Result<void> start_empty() {
    if (!logs_.empty() && !options_.trust_empty) {
      return fail(Errc::corrupt,
                  fmt::format("{} has transaction logs but {} has no whole snapshot; restore the snapshot, "
                              "or set snapshot.trust.empty=true once if there never was one",
                              dir_.log_dir(), dir_.snapshot_dir()));
    }
    std::string marker = rt::parent_of(dir_.log_dir()) + "/initialize";
    bool marked = disk_.stat(marker).has_value();
    if (marked) OTTLA_TRY(disk_.remove(marker));
    if (!marked && !options_.db_autocreate && logs_.empty()) {
      return fail(Errc::not_found,
                  fmt::format("{} is empty and db.autocreate=false; restore the data, or create {} to "
                              "start a new database", dir_.snapshot_dir(), marker));
    }
    result_.fresh = true;
    return {};
  }

  Result<void> replay_logs() {
    size_t first = 0;
    while (first + 1 < logs_.size() && logs_[first + 1].zxid <= result_.snapshot_zxid + 1) ++first;
    for (size_t i = first; i < logs_.size(); ++i) OTTLA_TRY(replay_log(logs_[i], i + 1 == logs_.size()));
    return {};
  }

  // A killed process leaves records, and a renamed snapshot, that were read now but never synced. What is
  // built on them from here on is, so they must be first. One that ended because a sync failed leaves
  // worse: bytes that the kernel shows, takes for written and will not write again. So what the last
  // commit may have been is written once more, as it was read, before it is synced.
  Result<void> make_durable() {
    if (!logs_.empty()) {
      OTTLA_ASSIGN(auto file, disk_.open(log_path(logs_.back()), rt::OpenMode::read_write));
      OTTLA_TRY(write_again(*file));
      // The next write begins a new file. Without its padding this one costs no room, and the next
      // start no search for records behind a damaged end.
      if (newest_end_ < file->size()) OTTLA_TRY(file->truncate(newest_end_));
      OTTLA_TRY(file->sync_now());
      OTTLA_TRY(disk_.sync_dir(dir_.log_dir()));
    }
    if (dir_.snapshot_dir() == dir_.log_dir() && !logs_.empty()) return {};
    return disk_.sync_dir(dir_.snapshot_dir());
  }

  Result<void> write_again(rt::File& file) {
    constexpr uint64_t kChunk = 1 << 20;
    uint64_t end = std::min(newest_end_, file.size());
    Buffer chunk(kChunk);
    uint64_t last_commit = kMaxCommitBytes + longest_record_;
    for (uint64_t at = end > last_commit ? end - last_commit : 0; at < end;) {
      MutBytes room = chunk.mutable_bytes().first(std::min(kChunk, end - at));
      OTTLA_ASSIGN(size_t got, file.read_at(at, room));
      if (got == 0) break;
      OTTLA_TRY(file.write_at(at, Bytes(room.first(got))));
      at += got;
    }
    return {};
  }

  Result<void> replay_log(const ZxidFile& log, bool is_newest) {
    std::string path = log_path(log);
    OTTLA_ASSIGN(LogReader reader, LogReader::open(disk_, path));
    LogRecord record;
    longest_record_ = 0;
    for (;;) {
      OTTLA_ASSIGN(LogReader::Step step, reader.next(record));
      newest_end_ = reader.offset();
      if (step == LogReader::Step::end) {
        OTTLA_ASSIGN(bool clean, ends_cleanly(reader, is_newest));
        return clean ? Result<void>() : handle_damage(reader, is_newest);
      }
      if (step == LogReader::Step::damaged) return handle_damage(reader, is_newest);
      longest_record_ = std::max(longest_record_, record.end - record.offset);
      if (record.zxid <= result_.snapshot_zxid) continue;
      OTTLA_TRY(check_follows(record.zxid, path));
      Result<Txn> txn = Txn::decode(record.entry);
      if (!txn) {
        return fail(txn.error().code, fmt::format("{}: record at byte {}: {}", path, record.offset,
                                                       txn.error().context));
      }
      tree_.replay(std::move(*txn));
      if (record.zxid > result_.last_zxid) result_.last_zxid = record.zxid;
      ++result_.replayed;
    }
  }

  // Within an epoch every transaction has the next number: one that is not there was acknowledged and
  // is lost (a log file was deleted, or ends early: its damage looked like an end).
  Result<void> check_follows(int64_t zxid, const std::string& path) {
    bool same_epoch = zxid >> 32 == result_.last_zxid >> 32;
    if (!same_epoch || zxid <= result_.last_zxid + 1) return {};
    if (result_.fresh && result_.replayed == 0) return {};  // snapshot.trust.empty: what there is
    return fail(Errc::corrupt,
                fmt::format("{}: transactions 0x{:x} to 0x{:x} are missing before it; restore the log "
                            "or a newer snapshot from a backup or from another member",
                            path, result_.last_zxid + 1, zxid - 1));
  }

  // What looks like an end may be a damaged length or end mark, and acknowledged records behind it. Of a
  // log that Apache's server left before it began another the end may be torn all the same.
  Result<bool> ends_cleanly(LogReader& reader, bool is_newest) {
    OTTLA_ASSIGN(bool more, reader.bytes_after(reader.offset()));
    if (more && !is_newest) {
      OTTLA_ASSIGN(more, reader.record_after(reader.offset()));
    }
    return !more;
  }

  // Only the last commit of the newest log can be torn by a crash; it was never acknowledged. Anything
  // else was damaged after it was synced, and starting without it would lose acknowledged writes.
  Result<void> handle_damage(LogReader& reader, bool is_newest) {
    uint64_t at = reader.offset();
    std::string path = reader.path();
    bool torn = is_newest;
    if (torn) {
      OTTLA_ASSIGN(bool more, reader.record_after(at + kTornBytes));
      torn = !more;
    }
    if (!torn) {
      return fail(Errc::corrupt,
                  fmt::format("{}: damaged at byte {}, with records behind it; restore the file from a "
                              "backup or from another member", path, at));
    }
    result_.warnings.push_back(
        fmt::format("{}: cut at byte {}, behind it a crash left a torn, never acknowledged write", path, at));
    return cut(disk_, path, at);
  }

  rt::Disk& disk_;
  const DataDir& dir_;
  DataTree& tree_;
  const RecoveryOptions& options_;
  std::vector<ZxidFile> logs_;
  // Of the records of the last log that was read.
  uint64_t newest_end_ = 0;
  uint64_t longest_record_ = 0;
  Recovered result_;
};

}  // namespace

Result<Recovered> recover(rt::Disk& disk, const DataDir& dir, DataTree& tree,
                          const RecoveryOptions& options) {
  return Recovery(disk, dir, tree, options).run();
}

Result<bool> truncate_logs(rt::Disk& disk, const DataDir& dir, int64_t zxid) {
  OTTLA_ASSIGN(auto logs, dir.logs());
  size_t first = 0;
  while (first + 1 < logs.size() && logs[first + 1].zxid <= zxid) ++first;
  for (size_t i = first; i < logs.size(); ++i) {
    std::string path = dir.log_dir() + "/" + logs[i].name;
    OTTLA_ASSIGN(LogReader reader, LogReader::open(disk, path));
    LogRecord record;
    for (;;) {
      OTTLA_ASSIGN(LogReader::Step step, reader.next(record));
      if (step != LogReader::Step::record) break;
      if (record.zxid < zxid) continue;
      OTTLA_TRY(cut(disk, path, record.end));
      for (size_t k = i + 1; k < logs.size(); ++k)
        OTTLA_TRY(disk.remove(dir.log_dir() + "/" + logs[k].name));
      OTTLA_TRY(disk.sync_dir(dir.log_dir()));
      return true;
    }
  }
  return false;
}

}  // namespace ottla::zk
