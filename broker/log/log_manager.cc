// LogManager: directories, loading, and the end. Background work is in log_manager_tasks.cc.
#include "broker/log/log_manager.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "broker/log/log_dir.h"
#include "broker/log/names.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {
constexpr log::Room kLog{"broker.logs"};

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t'))
    text.remove_suffix(1);
  return std::string(text);
}

Result<MetaProperties> parse_meta(const std::string& path, std::string_view text) {
  MetaProperties meta;
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    std::string clean = trimmed(line);
    size_t equals = clean.find('=');
    if (clean.empty() || clean[0] == '#' || equals == std::string::npos) continue;
    std::string key = trimmed(clean.substr(0, equals)), value = trimmed(clean.substr(equals + 1));
    int64_t number = 0;
    if (key == "version" && value != "0")
      return fail(Errc::invalid, path + " has version=" + value +
                                     ": the directory belongs to a KRaft node; "
                                     "point log.dirs at another directory");
    if (key == "cluster.id") meta.cluster_id = value;
    if (key == "broker.id") {
      if (!parse_i64(value, number) || number < 0 || number > INT32_MAX)
        return fail(Errc::invalid, path + ": broker.id=" + value +
                                       " is no broker id; correct it or remove the file");
      meta.broker_id = static_cast<int32_t>(number);
    }
  }
  return meta;
}

Result<std::optional<MetaProperties>> read_meta_file(rt::Disk& disk, const std::string& dir) {
  std::string path = dir + "/" + kMetaFile;
  std::optional<MetaProperties> none;
  auto text = rt::read_file(disk, path);
  if (!text && text.error().code == Errc::not_found) return none;
  if (!text) return std::unexpected(text.error());
  OTTLA_ASSIGN(MetaProperties meta, parse_meta(path, *text));
  return std::optional<MetaProperties>(meta);
}

// Errors that the operator must mend, of one directory or not; others only take the directory out.
bool ends_the_start(Errc code) { return code == Errc::invalid || code == Errc::in_use; }

// Absolute, without a trailing slash: one directory has one name.
std::string clean_path(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// A disk that does not give the file back says nothing of what is in it: without the log start
// offsets deleted records would return.
Result<OffsetCheckpoint> read_checkpoint(rt::Disk& disk, const std::string& path) {
  auto text = rt::read_file(disk, path);
  if (!text && text.error().code == Errc::not_found) return OffsetCheckpoint();
  if (!text) return std::unexpected(text.error());
  auto offsets = decode_checkpoint(*text);
  if (offsets) return std::move(*offsets);
  log::warn(kLog, "checkpoint unreadable, ignored", "file={} why={}", path,
            offsets.error().context);
  return OffsetCheckpoint();
}

}  // namespace

LogManager::LogManager(rt::World world, LogManagerOptions options)
    : world_(world),
      options_(std::move(options)),
      remover_(std::make_shared<Remover>(world.disk)) {}
LogManager::~LogManager() = default;

Result<std::vector<MetaProperties>> LogManager::read_meta(
    rt::Disk& disk, const std::vector<std::string>& log_dirs) {
  std::vector<MetaProperties> found;
  for (const std::string& dir : log_dirs) {
    auto meta = read_meta_file(disk, clean_path(dir));
    if (!meta && meta.error().code == Errc::invalid) return std::unexpected(meta.error());
    if (meta && *meta) found.push_back(**meta);
  }
  return found;
}

Result<std::unique_ptr<LogManager>> LogManager::open(rt::World world, LogManagerOptions options) {
  auto manager = std::unique_ptr<LogManager>(new LogManager(world, std::move(options)));
  Instant began = world.loop.now();
  for (const std::string& path : manager->options_.log_dirs) {
    auto dir = std::make_unique<Dir>();
    dir->path = clean_path(path);
    for (const auto& other : manager->dirs_)
      if (other->path == dir->path) return fail(Errc::invalid, "log.dirs names " + path + " twice");
    manager->dirs_.push_back(std::move(dir));
  }
  Error last{Errc::io, "log.dirs is empty"};
  size_t online = 0;
  for (auto& dir : manager->dirs_) {
    auto ready = manager->prepare_dir(*dir);
    if (ready) ready = manager->load_dir(*dir);
    if (ready) {
      ++online;
      continue;
    }
    last = ready.error();
    if (ends_the_start(last.code)) return std::unexpected(last);
    manager->take_offline(*dir, last);
  }
  if (online == 0) return fail(last.code, "no log directory can be used: " + last.context);
  log::info(kLog, "logs loaded", "dirs={} partitions={} ms={}", online, manager->logs_.size(),
            (world.loop.now() - began) / 1'000'000);
  return manager;
}

Result<void> LogManager::prepare_dir(Dir& dir) {
  rt::Disk& disk = world_.disk;
  OTTLA_TRY(rt::make_dirs_durable(disk, dir.path));
  auto lock = disk.lock(dir.path + "/" + kLockFile);
  if (!lock && lock.error().code == Errc::in_use)
    return fail(Errc::in_use, "log directory " + dir.path +
                                  " is used by another process; stop it or set another log.dirs");
  if (!lock) return std::unexpected(lock.error());
  dir.lock = std::move(*lock);

  OTTLA_ASSIGN(auto meta, read_meta_file(disk, dir.path));
  std::string file = dir.path + "/" + kMetaFile;
  if (meta && meta->cluster_id && *meta->cluster_id != options_.cluster_id)
    return fail(
        Errc::invalid,
        fmt::format("{} is of cluster {}, this broker joins cluster {}: correct zookeeper.connect, "
                    "or point log.dirs at another directory",
                    file, *meta->cluster_id, options_.cluster_id));
  if (meta && meta->broker_id && *meta->broker_id != options_.broker_id)
    return fail(
        Errc::invalid,
        fmt::format("{} has broker.id={}, the configuration says {}: correct broker.id, or point "
                    "log.dirs at another directory",
                    file, *meta->broker_id, options_.broker_id));
  if (!meta || !meta->cluster_id || !meta->broker_id)
    OTTLA_TRY(rt::replace_file(disk, file,
                               as_bytes(fmt::format("#\nversion=0\nbroker.id={}\ncluster.id={}\n",
                                                    options_.broker_id, options_.cluster_id))));
  return {};
}

// Every partition directory; those on their way out are removed, those set aside stay.
Result<void> LogManager::load_dir(Dir& dir) {
  rt::Disk& disk = world_.disk;
  OTTLA_ASSIGN(auto names, disk.list(dir.path));
  dir.clean = std::binary_search(names.begin(), names.end(), kCleanShutdownFile);
  OTTLA_ASSIGN(dir.recovery_points, read_checkpoint(disk, dir.path + "/" + kRecoveryPointFile));
  OTTLA_ASSIGN(dir.log_starts, read_checkpoint(disk, dir.path + "/" + kLogStartOffsetFile));
  OTTLA_ASSIGN(dir.high_watermarks, read_checkpoint(disk, dir.path + "/" + kHighWatermarkFile));
  if (dir.clean) {
    // From here on a kill must not be taken for a clean end.
    OTTLA_TRY(disk.remove(dir.path + "/" + kCleanShutdownFile));
    OTTLA_TRY(disk.sync_dir(dir.path));
  }
  for (const std::string& name : names) {
    auto stat = disk.stat(dir.path + "/" + name);
    // A file that went meanwhile: the session file beside the logs is replaced while they load.
    if (!stat && stat.error().code == Errc::not_found) continue;
    OTTLA_ASSIGN(rt::FileInfo info, std::move(stat));
    if (!info.is_directory || name == "remote-log-index-cache") continue;
    if (name.ends_with(kDeleteDirSuffix)) {
      remove_later(dir, dir.path + "/" + name, 0);
      continue;
    }
    if (name.ends_with(kStrayDirSuffix) || name.ends_with(kFutureDirSuffix)) {
      log::warn(kLog, "directory left alone", "dir={}/{}", dir.path, name);
      continue;
    }
    auto tp = partition_of_name(name);
    // ".x-0" is a partition as any other; what else is hidden is no business of ours.
    if (!tp && name.starts_with(".")) continue;
    if (!tp)
      return fail(
          Errc::invalid,
          fmt::format("{}/{} is no partition directory: move it out of log.dirs", dir.path, name));
    OTTLA_TRY(load_partition(dir, name, *tp));
  }
  // A log that lost what the checkpoint calls durable goes on below it.
  for (const auto& [tp, offset] : dir.recovery_points) {
    auto found = logs_.find(tp);
    if (found == logs_.end() || found->second.dir != &dir) continue;
    if (found->second.log->durable_offset() >= offset) continue;
    OTTLA_TRY(replace_checkpoint(dir, 0));
    break;
  }
  // A removal that a kill overtook left its offsets behind.
  dir.removals = 1;
  for (const auto* offsets : {&dir.recovery_points, &dir.log_starts, &dir.high_watermarks})
    for (const auto& [tp, offset] : *offsets)
      if (!logs_.contains(tp)) dir.gone[tp] = dir.removals;
  return {};
}

Result<void> LogManager::load_partition(Dir& dir, const std::string& name,
                                        const TopicPartition& tp) {
  if (auto twice = logs_.find(tp); twice != logs_.end())
    return fail(Errc::invalid, fmt::format("{} lies in {} and in {}: move one of them away", name,
                                           dir.path, twice->second.dir->path));
  PartitionLog::Options options = log_options(dir, tp);
  options.clean_shutdown = dir.clean;
  auto value = [&](const OffsetCheckpoint& offsets) {
    auto found = offsets.find(tp);
    return found == offsets.end() ? int64_t{0} : found->second;
  };
  options.recovery_point = value(dir.recovery_points);
  options.log_start_offset = value(dir.log_starts);
  options.high_watermark = value(dir.high_watermarks);
  OTTLA_ASSIGN(auto log, PartitionLog::open(world_, std::move(options)));
  logs_[tp] = {std::move(log), &dir};
  ++dir.partitions;
  return {};
}

PartitionLog::Options LogManager::log_options(Dir& dir, const TopicPartition& tp) {
  PartitionLog::Options options;
  options.dir = dir.path + "/" + tp.to_string();
  options.tp = tp;
  if (options_.config_for) options.config = options_.config_for(tp.topic);
  options.producer_id_expiration_ms = options_.producer_id_expiration_ms;
  options.jitter_seed = std::hash<std::string>{}(options.dir);
  options.decompressor = decompressor_;
  options.remover = remover_;
  options.on_failure = [this, &dir, alive = std::weak_ptr<int>(alive_)](const Error& error) {
    if (!alive.expired()) take_offline(dir, error);
  };
  options.on_flushed = [this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) checkpoint_recovery_points();
  };
  // A log that is not among ours yet is being loaded: load_dir looks after it.
  options.on_lowered = [this, &dir, tp, alive = std::weak_ptr<int>(alive_)]() -> Result<void> {
    if (alive.expired() || !logs_.contains(tp)) return {};
    return replace_checkpoint(dir, 0);
  };
  return options;
}

PartitionLog* LogManager::find(const TopicPartition& tp) {
  auto found = logs_.find(tp);
  return found == logs_.end() ? nullptr : found->second.log.get();
}

bool LogManager::is_offline(const TopicPartition& tp) const { return offline_.contains(tp); }

LogManager::DirState LogManager::dir_state(const std::string& path) const {
  for (const auto& dir : dirs_)
    if (dir->path == path) return dir->online ? DirState::online : DirState::offline;
  return DirState::unknown;
}

std::string LogManager::dir_of(const TopicPartition& tp) const {
  auto found = logs_.find(tp);
  return found == logs_.end() ? std::string() : found->second.dir->path;
}

LogManager::Dir* LogManager::pick_dir(const TopicPartition& tp) {
  auto preferred = preferred_.find(tp);
  if (preferred != preferred_.end())
    for (auto& dir : dirs_)
      if (dir->online && dir->path == preferred->second) return dir.get();
  Dir* best = nullptr;
  for (auto& dir : dirs_)
    if (dir->online && (best == nullptr || dir->partitions < best->partitions)) best = dir.get();
  return best;
}

bool LogManager::has_offline_dir() const {
  return std::any_of(dirs_.begin(), dirs_.end(), [](const auto& dir) { return !dir->online; });
}

Result<PartitionLog*> LogManager::get_or_create(const TopicPartition& tp,
                                                const std::string& topic_id) {
  if (PartitionLog* log = find(tp)) {
    if (!topic_id.empty() && log->topic_id().empty()) log->set_topic_id(topic_id);
    return log;
  }
  if (stopped_) return fail(Errc::closed, "the logs are closed");
  if (is_offline(tp)) return fail(Errc::io, tp.to_string() + " lies in an offline log directory");
  Dir* dir = pick_dir(tp);
  if (dir == nullptr) return fail(Errc::io, "every log directory is offline");
  PartitionLog::Options options = log_options(*dir, tp);
  options.created_now = true;
  std::unique_ptr<PartitionLog> log;
  auto create = [&]() -> Result<void> {
    OTTLA_TRY(forget_gone(*dir, tp));
    OTTLA_ASSIGN(log, PartitionLog::open(world_, std::move(options)));
    if (!topic_id.empty()) log->set_topic_id(topic_id);
    return {};
  };
  if (auto ready = create(); !ready) {
    world_.loop.post([this, dir, error = ready.error(), alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) take_offline(*dir, error);
    });
    return std::unexpected(ready.error());
  }
  Loaded& loaded = logs_[tp] = {std::move(log), dir};
  ++dir->partitions;
  preferred_.erase(tp);
  return loaded.log.get();
}

Result<void> LogManager::remove(const TopicPartition& tp) {
  auto found = logs_.find(tp);
  if (found == logs_.end()) return {};
  if (stopped_) return fail(Errc::closed, "the logs are closed");
  Dir& dir = *found->second.dir;
  int64_t delay_ms = found->second.log->config().file_delete_delay_ms;
  std::string from = found->second.log->dir(), unique;
  for (int i = 0; i < 2; ++i) unique += fmt::format("{:016x}", world_.entropy.u64());
  std::string name = tp.topic.substr(0, kMaxDirName - 64) + "-" + std::to_string(tp.partition);
  std::string to = dir.path + "/" + name + "." + unique + kDeleteDirSuffix;
  logs_.erase(found);
  --dir.partitions;
  dir.gone[tp] = ++dir.removals;
  checkpoint_soon();
  auto renamed = world_.disk.rename(from, to);
  if (!renamed) {
    take_offline(dir, renamed.error());
    return renamed;
  }
  dir.has_unsynced_removals = true;
  remove_later(dir, std::move(to), delay_ms);
  return {};
}

Result<void> LogManager::sync_removals() {
  Result<void> all;
  for (auto& dir : dirs_) {
    if (!std::exchange(dir->has_unsynced_removals, false) || !dir->online) continue;
    if (auto synced = world_.disk.sync_dir(dir->path); !synced) {
      take_offline(*dir, synced.error());
      all = synced;
    }
  }
  return all;
}

void LogManager::update_config(const std::string& topic, const LogConfig& config) {
  for (auto at = logs_.lower_bound({topic, 0}); at != logs_.end() && at->first.topic == topic; ++at)
    at->second.log->set_config(config);
}

void LogManager::for_each(const std::function<void(PartitionLog&)>& visit) {
  for (auto& [tp, loaded] : logs_) visit(*loaded.log);
}

std::vector<LogDirInfo> LogManager::dirs() const {
  std::vector<LogDirInfo> infos;
  for (const auto& dir : dirs_)
    infos.push_back({dir->path, dir->online, dir->error, dir->partitions});
  return infos;
}

// Once: the directory's logs leave the map, and whoever serves them hears of it.
void LogManager::take_offline(Dir& dir, const Error& error) {
  if (!dir.online) return;
  dir.online = false;
  dir.error = error;
  std::vector<TopicPartition> lost;
  for (auto at = logs_.begin(); at != logs_.end();) {
    if (at->second.dir != &dir) {
      ++at;
      continue;
    }
    lost.push_back(at->first);
    offline_[at->first] = &dir;
    at->second.log->give_up();
    retired_.push_back(std::move(at->second.log));
    at = logs_.erase(at);
  }
  log::error(kLog, "log directory offline",
             "dir={} partitions={} why={} remedy=\"repair the disk and restart\"", dir.path,
             lost.size(), error.context);
  if (options_.on_dir_offline) options_.on_dir_offline(dir.path, lost);
}

void LogManager::shutdown(Fn<void(bool)> done) {
  OTTLA_CHECK(!stopped_);
  stopped_ = true;
  shut_down_ = std::move(done);
  tasks_.clear();
  closing_dirs_ = 1;
  for (auto& dir : dirs_) {
    if (!dir->online) continue;
    ++closing_dirs_;
    close_logs(*dir);
  }
  dir_done();
}

// All at once: the syncs of many logs share the disk's journal commits.
void LogManager::close_logs(Dir& dir) {
  struct Closing {
    size_t left = 1;
    Result<void> result;
  };
  auto closing = std::make_shared<Closing>();
  auto one = [this, &dir, closing, alive = std::weak_ptr<int>(alive_)](const Result<void>& result) {
    if (alive.expired()) return;
    if (!result && closing->result) closing->result = result;
    if (--closing->left == 0) finish_dir(dir, closing->result);
  };
  for (auto& [tp, loaded] : logs_) {
    if (loaded.dir != &dir) continue;
    ++closing->left;
    loaded.log->close(one);
  }
  one({});
}

void LogManager::finish_dir(Dir& dir, const Result<void>& closed) {
  auto outcome = std::make_shared<Result<void>>(closed);
  std::vector<std::string> texts;
  for (size_t which = 0; which < kCheckpointFiles; ++which) {
    if (auto& running = dir.checkpoints[which].running) running->overtaken = true;
    texts.push_back(checkpoint_text(dir, which));
  }
  auto work = [outcome, texts = std::move(texts), path = dir.path, &disk = world_.disk] {
    auto finish = [&]() -> Result<void> {
      OTTLA_TRY(*outcome);
      for (size_t which = 0; which < kCheckpointFiles; ++which)
        OTTLA_TRY(
            rt::replace_file(disk, path + "/" + kCheckpointNames[which], as_bytes(texts[which])));
      return rt::replace_file(disk, path + "/" + kCleanShutdownFile,
                              as_bytes(std::string_view("{\"version\":0,\"brokerEpoch\":-1}")));
    };
    *outcome = finish();
  };
  world_.disk.run_blocking(std::move(work),
                           [this, &dir, outcome, alive = std::weak_ptr<int>(alive_)] {
                             if (alive.expired()) return;
                             if (!*outcome) {
                               log::error(kLog, "log directory not closed", "dir={} why={}",
                                          dir.path, outcome->error().context);
                               closed_well_ = false;
                             }
                             dir.lock = nullptr;
                             dir_done();
                           });
}

void LogManager::dir_done() {
  if (--closing_dirs_ == 0) std::exchange(shut_down_, nullptr)(closed_well_);
}

}  // namespace ottla::broker
