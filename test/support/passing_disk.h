// A disk and a file that pass everything on to others: a test overrides what shall go differently.
// And a disk whose work off the loop waits until the test lets it go on.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/rt/world.h"

namespace ottla::test {

class PassingFile : public rt::File {
 public:
  explicit PassingFile(std::shared_ptr<rt::File> inner) : inner_(std::move(inner)) {}
  const std::string& path() const override { return inner_->path(); }
  uint64_t size() const override { return inner_->size(); }
  Result<size_t> read_at(uint64_t offset, MutBytes into) override {
    return inner_->read_at(offset, into);
  }
  Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
    return inner_->write_at(offset, pieces);
  }
  void sync(Fn<void(Result<void>)> done) override { inner_->sync(std::move(done)); }
  Result<void> sync_now() override { return inner_->sync_now(); }
  Result<void> truncate(uint64_t size) override { return inner_->truncate(size); }
  Result<void> allocate(uint64_t size) override { return inner_->allocate(size); }

 protected:
  std::shared_ptr<rt::File> inner_;
};

class PassingDisk : public rt::Disk {
 public:
  explicit PassingDisk(rt::Disk& inner) : inner_(inner) {}
  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override {
    return inner_.open(path, mode);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return inner_.rename(from, to);
  }
  Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  Result<void> remove_tree(const std::string& path) override { return inner_.remove_tree(path); }
  Result<void> make_dirs(const std::string& path) override { return inner_.make_dirs(path); }
  Result<void> sync_dir(const std::string& path) override { return inner_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return inner_.list(path);
  }
  Result<rt::FileInfo> stat(const std::string& path) override { return inner_.stat(path); }
  Result<std::unique_ptr<rt::DirLock>> lock(const std::string& path) override {
    return inner_.lock(path);
  }
  Result<rt::Space> space(const std::string& path) override { return inner_.space(path); }
  void run_blocking(Fn<void()> work, Fn<void()> done) override {
    inner_.run_blocking(std::move(work), std::move(done));
  }

 protected:
  rt::Disk& inner_;
};

class HeldDisk final : public PassingDisk {
 public:
  explicit HeldDisk(rt::World world) : PassingDisk(world.disk), world_(world) {}
  struct Job {
    Fn<void()> work, done;
  };
  std::vector<Job> held;
  bool holding = false;
  void run_blocking(Fn<void()> work, Fn<void()> done) override {
    if (!holding) return inner_.run_blocking(std::move(work), std::move(done));
    held.push_back({std::move(work), std::move(done)});
  }
  void go_on() {  // with the oldest
    Job job = std::move(held.front());
    held.erase(held.begin());
    inner_.run_blocking(std::move(job.work), std::move(job.done));
  }
  rt::World world() { return {world_.loop, world_.net, *this, world_.entropy}; }

 private:
  rt::World world_;
};

}  // namespace ottla::test
