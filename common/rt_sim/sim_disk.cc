// File and Disk of a node over its DiskImage: fault plan, virtual latency of syncs, refusal when
// down.
#include <fmt/core.h>

#include <algorithm>

#include "common/base/crc32c.h"
#include "common/rt_sim/core.h"

namespace ottla::sim {

namespace {

std::unexpected<Error> down(const std::string& path) {
  return fail(Errc::closed, path + ": the node is down");
}

// The fault of the plan that hits this call, if one does.
DiskFault* hit_by(Life& life, DiskCall call, const char* verb, const std::string& path) {
  ++life.host.disk_calls;
  for (DiskFault& fault : life.host.faults) {
    if (fault.call != DiskCall::any && fault.call != call) continue;
    if (fault.defect == DiskFault::Defect::misdirect && call != DiskCall::write) continue;
    if (path.find(fault.path_part) == std::string::npos) continue;
    if (fault.skip > 0) {
      --fault.skip;
      continue;
    }
    if (fault.count == 0 || !life.core.prng.chance(fault.chance)) continue;
    --fault.count;
    ++life.host.disk_faults_hit;
    life.core.trace(&life.host, "disk fault", fmt::format("{} {}", verb, path));
    return &fault;
  }
  return nullptr;
}

Result<void> check_faults(Life& life, DiskCall call, const char* verb, const std::string& path) {
  if (!life.alive()) return down(path);
  if (DiskFault* fault = hit_by(life, call, verb, path))
    return fail(fault->code, fmt::format("{} {}: injected fault", verb, path));
  return {};
}

class SimFile final : public rt::File, public std::enable_shared_from_this<SimFile> {
 public:
  SimFile(Life& life, std::string path, InodePtr inode, bool writable)
      : life_(life), path_(std::move(path)), inode_(std::move(inode)), writable_(writable) {}

  using rt::File::write_at;
  const std::string& path() const override { return path_; }
  uint64_t size() const override { return inode_->bytes.size(); }

  Result<size_t> read_at(uint64_t offset, MutBytes into) override {
    OTTLA_TRY(check_faults(life_, DiskCall::read, "read", path_));
    if (offset >= inode_->bytes.size()) return size_t{0};
    size_t count = std::min<uint64_t>(into.size(), inode_->bytes.size() - offset);
    if (count > 0) std::memcpy(into.data(), inode_->bytes.data() + offset, count);
    return count;
  }

  Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
    if (!writable_) return fail(Errc::invalid, fmt::format("write {}: opened to read", path_));
    if (!life_.alive()) return down(path_);
    if (DiskFault* fault = hit_by(life_, DiskCall::write, "write", path_))
      return write_badly(*fault, offset, pieces);
    for (Bytes piece : pieces) {
      OTTLA_TRY(reserve(offset + piece.size()));
      life_.core.mix(offset);
      life_.core.mix(crc32c(piece));
      inode_->write(offset, piece);
      offset += piece.size();
    }
    touch();
    return {};
  }

  void sync(Fn<void(Result<void>)> done) override {
    if (!life_.alive()) return;
    next_.push_back(std::move(done));
    if (running_.empty()) start_sync();
  }

  Result<void> sync_now() override {
    if (!life_.alive()) return down(path_);
    return settle(begin_sync(*inode_));
  }

  Result<void> truncate(uint64_t size) override {
    OTTLA_TRY(may_write(DiskCall::truncate, "truncate"));
    OTTLA_TRY(reserve(size));
    inode_->resize(size);
    touch();
    return {};
  }

  Result<void> allocate(uint64_t size) override {
    if (size <= inode_->bytes.size()) return {};
    return truncate(size);
  }

 private:
  // A part of it, then the error; or all of it, elsewhere.
  Result<void> write_badly(const DiskFault& fault, uint64_t offset, std::span<const Bytes> pieces) {
    std::string whole;
    for (Bytes piece : pieces) whole += as_text(piece);
    Prng& prng = life_.core.prng;
    if (fault.defect == DiskFault::Defect::fail) {
      uint64_t part = prng.chance(0.5) ? 0 : prng.below(whole.size() + 1);
      inode_->write(offset, as_bytes(whole).first(part));
      return fail(fault.code, fmt::format("write {}: injected fault after {} of {} bytes", path_,
                                          part, whole.size()));
    }
    InodePtr target = inode_;
    if (auto files = life_.host.disk.files(); prng.chance(0.5) && !files.empty())
      target = files[prng.below(files.size())].second;
    uint64_t sectors = std::max<uint64_t>(target->bytes.size() / kSector, 1);
    uint64_t at = prng.below(sectors) * kSector + offset % kSector;
    // A disk does not know of files: it grows none.
    uint64_t fits = target->bytes.size() > at ? target->bytes.size() - at : 0;
    target->write(at, as_bytes(whole).first(std::min<uint64_t>(fits, whole.size())));
    if (offset + whole.size() > inode_->bytes.size()) inode_->resize(offset + whole.size());
    touch();
    return {};
  }

  Result<void> may_write(DiskCall call, const char* verb) {
    if (!writable_) return fail(Errc::invalid, fmt::format("{} {}: opened to read", verb, path_));
    return check_faults(life_, call, verb, path_);
  }

  Result<void> reserve(uint64_t size) {
    uint64_t capacity = life_.host.disk_options.capacity;
    if (capacity == UINT64_MAX || size <= inode_->bytes.size()) return {};
    if (life_.host.disk.used_bytes() + (size - inode_->bytes.size()) <= capacity) return {};
    return fail(Errc::no_space, "write " + path_ + ": no space left on the simulated disk");
  }

  void touch() { inode_->modified_wall_ms = life_.loop->wall_ms(); }

  Result<void> settle(const SyncImage& image) {
    if (auto faulty = check_faults(life_, DiskCall::sync, "sync", path_); !faulty) {
      fail_sync(*inode_, image);
      return faulty;
    }
    if (!life_.host.disk_options.lying_sync) finish_sync(*inode_, image);
    return {};
  }

  void start_sync() {
    running_.swap(next_);
    const DiskOptions& options = life_.host.disk_options;
    int64_t latency = life_.core.prng.between(options.sync_min_ns, options.sync_max_ns);
    if (life_.core.prng.chance(options.sync_stall)) latency += options.stall_ns;
    // What is written while the sync runs waits for the next one.
    auto image = std::make_shared<SyncImage>(begin_sync(*inode_));
    // The event holds the file's content, and not the file: destroying it ends its callbacks.
    auto rest = std::make_shared<SimFile>(life_, path_, inode_, true);
    life_.core.schedule(life_.host, &life_, life_.core.now + latency, "sync",
                        [weak = weak_from_this(), rest, image] {
                          Result<void> result = rest->settle(*image);
                          if (auto self = weak.lock()) self->sync_ended(std::move(result));
                        });
  }

  void sync_ended(Result<void> result) {
    auto waiters = std::exchange(running_, {});
    if (!next_.empty()) start_sync();
    for (auto& done : waiters) {
      if (!life_.alive()) return;  // one of them crashed the node
      done(result);
    }
  }

  Life& life_;
  std::string path_;
  InodePtr inode_;
  bool writable_;
  std::vector<Fn<void(Result<void>)>> running_;
  std::vector<Fn<void(Result<void>)>> next_;
};

class SimLock final : public rt::DirLock {
 public:
  SimLock(Life& life, std::string path) : life_(life), path_(std::move(path)) {}
  ~SimLock() override {
    if (life_.alive()) life_.host.locks.erase(path_);
  }

 private:
  Life& life_;
  std::string path_;
};

class SimDisk final : public rt::Disk {
 public:
  explicit SimDisk(Life& life) : life_(life) {}

  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override {
    OTTLA_TRY(check_faults(life_, DiskCall::open, "open", path));
    InodePtr inode = image().find(path);
    if (inode && inode->is_directory) return fail(Errc::io, "open " + path + ": is a directory");
    bool creates = mode == rt::OpenMode::create || mode == rt::OpenMode::create_new;
    if (inode && mode == rt::OpenMode::create_new)
      return fail(Errc::exists, "open " + path + ": File exists");
    if (!inode) {
      auto [directory, name] = image().place(path);
      if (!creates || !directory) return missing("open", path);
      inode = std::make_shared<Inode>();
      inode->modified_wall_ms = life_.loop->wall_ms();
      image().link(directory, name, inode);
    }
    return std::make_shared<SimFile>(life_, path, inode, mode != rt::OpenMode::read);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    OTTLA_TRY(check_faults(life_, DiskCall::rename, "rename", from));
    InodePtr inode = image().find(from);
    auto [from_directory, from_name] = image().place(from);
    auto [to_directory, to_name] = image().place(to);
    if (!inode || !from_directory || !to_directory) return missing("rename", from + " to " + to);
    if (inode == image().find(to)) return {};
    if (InodePtr replaced = image().find(to);
        replaced && (replaced->is_directory != inode->is_directory || !replaced->entries.empty()))
      return fail(Errc::exists, "rename " + from + " to " + to + ": in the way");
    image().rename(from_directory, from_name, to_directory, to_name);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    OTTLA_TRY(check_faults(life_, DiskCall::remove, "remove", path));
    InodePtr inode = image().find(path);
    auto [directory, name] = image().place(path);
    if (!inode || !directory) return missing("remove", path);
    if (!inode->entries.empty()) return fail(Errc::io, "remove " + path + ": Directory not empty");
    image().unlink(directory, name);
    return {};
  }

  Result<void> remove_tree(const std::string& path) override {
    InodePtr inode = image().find(path);
    if (!inode) return life_.alive() ? Result<void>() : Result<void>(down(path));
    std::vector<std::string> names;
    for (const auto& [name, entry] : inode->entries) names.push_back(name);
    for (const std::string& name : names) OTTLA_TRY(remove_tree(path + "/" + name));
    return remove(path);
  }

  Result<void> make_dirs(const std::string& path) override {
    OTTLA_TRY(check_faults(life_, DiskCall::make_dir, "make directory", path));
    if (InodePtr inode = image().find(path)) {
      if (inode->is_directory) return {};
      return fail(Errc::exists, "make directory " + path + ": File exists");
    }
    std::string parent = rt::parent_of(path);
    if (parent != path && parent != ".") OTTLA_TRY(make_dirs(parent));
    auto [directory, name] = image().place(path);
    if (!directory) return missing("make directory", path);
    auto inode = std::make_shared<Inode>();
    inode->is_directory = true;
    inode->modified_wall_ms = life_.loop->wall_ms();
    image().link(directory, name, inode);
    return {};
  }

  Result<void> sync_dir(const std::string& path) override {
    OTTLA_TRY(check_faults(life_, DiskCall::sync_dir, "sync directory", path));
    InodePtr inode = image().find(path);
    if (!inode || !inode->is_directory) return missing("sync directory", path);
    if (!life_.host.disk_options.lying_sync) image().sync_directory(inode);
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    OTTLA_TRY(check_faults(life_, DiskCall::list, "list", path));
    InodePtr inode = image().find(path);
    if (!inode || !inode->is_directory) return missing("list", path);
    std::vector<std::string> names;
    for (const auto& [name, entry] : inode->entries) names.push_back(name);
    return names;
  }

  Result<rt::FileInfo> stat(const std::string& path) override {
    OTTLA_TRY(check_faults(life_, DiskCall::stat, "stat", path));
    InodePtr inode = image().find(path);
    if (!inode) return missing("stat", path);
    return rt::FileInfo{inode->is_directory, inode->bytes.size(), inode->modified_wall_ms};
  }

  Result<std::unique_ptr<rt::DirLock>> lock(const std::string& path) override {
    if (!image().find(path)) {
      OTTLA_ASSIGN(auto file, open(path, rt::OpenMode::create));
    }
    if (!life_.alive()) return down(path);
    if (!life_.host.locks.insert(path).second)
      return fail(Errc::in_use, "lock " + path + ": held by another process");
    return std::make_unique<SimLock>(life_, path);
  }

  Result<rt::Space> space(const std::string& path) override {
    if (!life_.alive()) return down(path);
    constexpr uint64_t kPlenty = uint64_t{1} << 40;
    uint64_t capacity = std::min(life_.host.disk_options.capacity, kPlenty);
    uint64_t used = image().used_bytes();
    return rt::Space{.total_bytes = capacity, .free_bytes = used < capacity ? capacity - used : 0};
  }

  void run_blocking(Fn<void()> work, Fn<void()> done) override {
    if (!life_.alive()) return;
    Core& core = life_.core;
    Instant first = core.now + core.prng.between(10'000, 1'000'000);
    const DiskOptions& options = life_.host.disk_options;
    if (core.prng.chance(options.sync_stall)) first = first + options.stall_ns;
    core.schedule(life_.host, &life_, first, "blocking work",
                  [this, work = std::move(work), done = std::move(done)]() mutable {
                    work();
                    if (!life_.alive()) return;
                    Instant end = life_.core.now + life_.core.prng.between(10'000, 1'000'000);
                    life_.core.schedule(life_.host, &life_, end, "blocking done", std::move(done));
                  });
  }

 private:
  static std::unexpected<Error> missing(const char* verb, const std::string& path) {
    return fail(Errc::not_found, fmt::format("{} {}: No such file or directory", verb, path));
  }
  DiskImage& image() { return life_.host.disk; }

  Life& life_;
};

}  // namespace

std::unique_ptr<rt::Disk> make_disk(Life& life) { return std::make_unique<SimDisk>(life); }

}  // namespace ottla::sim
