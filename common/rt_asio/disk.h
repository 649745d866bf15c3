// Files and directories of this machine. Reads and writes go to the page cache inline; syncs go to
// the disk pool, one at a time for a file: those asked for while one runs share the next.
#pragma once

#include <atomic>
#include <memory>

#include "common/rt_asio/disk_pool.h"
#include "common/rt_asio/loop.h"

namespace ottla::rt_asio {

// An open descriptor; a sync that runs keeps it open when the File is gone.
struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

class AsioFile final : public rt::File, public std::enable_shared_from_this<AsioFile> {
 public:
  AsioFile(AsioLoop& loop, DiskPool& syncs, std::string path, int fd, uint64_t size)
      : loop_(loop),
        syncs_(syncs),
        path_(std::move(path)),
        descriptor_(std::make_shared<Descriptor>(fd)),
        size_(size) {}

  using rt::File::write_at;
  const std::string& path() const override { return path_; }
  uint64_t size() const override { return size_.load(std::memory_order_relaxed); }
  Result<size_t> read_at(uint64_t offset, MutBytes into) override;
  Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override;
  void sync(Fn<void(Result<void>)> done) override;
  Result<void> sync_now() override;
  Result<void> truncate(uint64_t size) override;
  Result<void> allocate(uint64_t size) override;

  int descriptor() const { return descriptor_->fd; }

 private:
  void start_sync();
  void sync_ended(Result<void> result);
  void grew_to(uint64_t size);

  AsioLoop& loop_;
  DiskPool& syncs_;
  std::string path_;
  std::shared_ptr<Descriptor> descriptor_;
  std::atomic<uint64_t> size_;  // a pool thread may read while the loop writes

  // The loop's. Waiters of the sync that runs, and of the next one.
  std::vector<Fn<void(Result<void>)>> running_;
  std::vector<Fn<void(Result<void>)>> next_;
};

class AsioDisk final : public rt::Disk {
 public:
  explicit AsioDisk(AsioLoop& loop) : loop_(loop) {}

  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_tree(const std::string& path) override;
  Result<void> make_dirs(const std::string& path) override;
  Result<void> sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<rt::FileInfo> stat(const std::string& path) override;
  Result<std::unique_ptr<rt::DirLock>> lock(const std::string& path) override;
  Result<rt::Space> space(const std::string& path) override;
  void run_blocking(Fn<void()> work, Fn<void()> done) override;

 private:
  AsioLoop& loop_;
  // Apart, so that a long deletion does not delay an acknowledgement.
  DiskPool syncs_{8};  // made when needed; syncs at once share the disk's journal commits
  DiskPool others_{2};
};

}  // namespace ottla::rt_asio
