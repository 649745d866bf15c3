#include "common/rt_asio/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace ottla::rt_asio {

namespace {

class HeldLock final : public rt::DirLock {
 public:
  explicit HeldLock(int fd) : descriptor_(fd) {}

 private:
  Descriptor descriptor_;  // closing it gives the lock back
};

int open_retry(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

Result<void> data_sync(int fd, const std::string& path) {
  if (::fdatasync(fd) != 0) return fail_errno(errno, "sync " + path);
  return {};
}

}  // namespace

Descriptor::~Descriptor() { ::close(fd); }

// -------------------------------------------------------------------------------------------- file

Result<size_t> AsioFile::read_at(uint64_t offset, MutBytes into) {
  size_t total = 0;
  while (total < into.size()) {
    ssize_t got = ::pread(descriptor(), into.data() + total, into.size() - total,
                          static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read " + path_);
    if (got == 0) break;
    total += static_cast<size_t>(got);
  }
  return total;
}

Result<void> AsioFile::write_at(uint64_t offset, std::span<const Bytes> pieces) {
  constexpr size_t kBatch = 256;
  static_assert(kBatch <= IOV_MAX);
  size_t index = 0;    // of the first piece not wholly written
  size_t written = 0;  // bytes of it that are
  while (index < pieces.size()) {
    iovec vectors[kBatch];
    size_t count = 0;
    for (size_t at = index; at < pieces.size() && count < kBatch; ++at, ++count) {
      Bytes piece = at == index ? pieces[at].subspan(written) : pieces[at];
      vectors[count] = {const_cast<uint8_t*>(piece.data()), piece.size()};
    }
    ssize_t put =
        ::pwritev(descriptor(), vectors, static_cast<int>(count), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(errno, "write " + path_);
    offset += static_cast<uint64_t>(put);
    grew_to(offset);
    size_t left = static_cast<size_t>(put);
    while (index < pieces.size() && left >= pieces[index].size() - written) {
      left -= pieces[index].size() - written;
      written = 0;
      ++index;
    }
    written += left;
  }
  return {};
}

void AsioFile::grew_to(uint64_t size) {
  if (size > size_.load(std::memory_order_relaxed)) size_.store(size, std::memory_order_relaxed);
}

void AsioFile::sync(Fn<void(Result<void>)> done) {
  next_.push_back(std::move(done));
  if (running_.empty()) start_sync();
}

void AsioFile::start_sync() {
  running_.swap(next_);
  // The pool holds the descriptor and not the file: destroying the file ends its callbacks.
  syncs_.run([&loop = loop_, descriptor = descriptor_, path = path_, weak = weak_from_this()] {
    Result<void> result = data_sync(descriptor->fd, path);
    loop.post([weak, result = std::move(result)]() mutable {
      if (auto self = weak.lock()) self->sync_ended(std::move(result));
    });
  });
}

void AsioFile::sync_ended(Result<void> result) {
  auto waiters = std::exchange(running_, {});
  if (!result) {
    // The next one would succeed, and say of what this one lost that it is durable.
    std::ranges::move(std::exchange(next_, {}), std::back_inserter(waiters));
  } else if (!next_.empty()) {
    start_sync();
  }
  for (auto& done : waiters) done(result);
}

Result<void> AsioFile::sync_now() { return data_sync(descriptor(), path_); }

Result<void> AsioFile::truncate(uint64_t size) {
  int error;
  do error = ::ftruncate(descriptor(), static_cast<off_t>(size)) == 0 ? 0 : errno;
  while (error == EINTR);
  if (error != 0) return fail_errno(error, "truncate " + path_);
  size_.store(size, std::memory_order_relaxed);
  return {};
}

Result<void> AsioFile::allocate(uint64_t size) {
  if (size <= this->size()) return {};
  int error;
  do error = ::fallocate(descriptor(), 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  while (error == EINTR);
  if (error == EOPNOTSUPP) return truncate(size);  // a sparse file reads as zeros too
  if (error != 0) return fail_errno(error, "allocate " + path_);
  size_.store(size, std::memory_order_relaxed);
  return {};
}

// -------------------------------------------------------------------------------------------- disk

Result<std::shared_ptr<rt::File>> AsioDisk::open(const std::string& path, rt::OpenMode mode) {
  int flags = 0;
  switch (mode) {
    case rt::OpenMode::read:
      flags = O_RDONLY;
      break;
    case rt::OpenMode::read_write:
      flags = O_RDWR;
      break;
    case rt::OpenMode::create:
      flags = O_RDWR | O_CREAT;
      break;
    case rt::OpenMode::create_new:
      flags = O_RDWR | O_CREAT | O_EXCL;
      break;
  }
  int fd = open_retry(path.c_str(), flags, 0644);
  if (fd < 0) return fail_errno(errno, "open " + path);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    int error = S_ISDIR(info.st_mode) ? EISDIR : errno;
    ::close(fd);
    return fail_errno(error, "open " + path);
  }
  return std::make_shared<AsioFile>(loop_, syncs_, path, fd, static_cast<uint64_t>(info.st_size));
}

Result<void> AsioDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_errno(errno, "rename " + from + " to " + to);
  return {};
}

Result<void> AsioDisk::remove(const std::string& path) {
  if (::remove(path.c_str()) != 0) return fail_errno(errno, "remove " + path);
  return {};
}

Result<void> AsioDisk::remove_tree(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "remove " + path);
  }
  if (S_ISDIR(info.st_mode)) {
    OTTLA_ASSIGN(auto names, list(path));
    for (const std::string& name : names) OTTLA_TRY(remove_tree(path + "/" + name));
  }
  return remove(path);
}

Result<void> AsioDisk::make_dirs(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return {};
  if (errno == ENOENT && rt::parent_of(path) != path) {
    OTTLA_TRY(make_dirs(rt::parent_of(path)));
    if (::mkdir(path.c_str(), 0755) == 0) return {};
  }
  int error = errno;
  struct stat info{};
  if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return fail_errno(error, "make directory " + path);
}

Result<void> AsioDisk::sync_dir(const std::string& path) {
  int fd = open_retry(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return fail_errno(errno, "open directory " + path);
  Descriptor directory(fd);
  if (::fsync(fd) != 0) return fail_errno(errno, "sync directory " + path);
  return {};
}

Result<std::vector<std::string>> AsioDisk::list(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return fail_errno(errno, "list " + path);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  int error = errno;
  ::closedir(directory);
  if (error != 0) return fail_errno(error, "list " + path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<rt::FileInfo> AsioDisk::stat(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, "stat " + path);
  rt::FileInfo answer;
  answer.is_directory = S_ISDIR(info.st_mode);
  answer.size = static_cast<uint64_t>(info.st_size);
  answer.modified_wall_ms = info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  return answer;
}

// An open-file-description lock on a file: it excludes this and other processes, and Apache's
// servers too, whose FileLock is a POSIX lock. A directory, which cannot have one, is locked by
// flock.
Result<std::unique_ptr<rt::DirLock>> AsioDisk::lock(const std::string& path) {
  int fd = open_retry(path.c_str(), O_RDWR | O_CREAT, 0644);
  bool directory = fd < 0 && errno == EISDIR;
  if (directory) fd = open_retry(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return fail_errno(errno, "lock " + path);
  auto held = std::make_unique<HeldLock>(fd);
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  int error = directory ? ::flock(fd, LOCK_EX | LOCK_NB) : ::fcntl(fd, F_OFD_SETLK, &whole);
  if (error == 0) return held;
  if (errno == EWOULDBLOCK || errno == EACCES)
    return fail(Errc::in_use, "lock " + path + ": held by another process");
  return fail_errno(errno, "lock " + path);
}

Result<rt::Space> AsioDisk::space(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return fail_errno(errno, "stat file system of " + path);
  return rt::Space{.total_bytes = static_cast<uint64_t>(info.f_blocks) * info.f_frsize,
                   .free_bytes = static_cast<uint64_t>(info.f_bavail) * info.f_frsize};
}

void AsioDisk::run_blocking(Fn<void()> work, Fn<void()> done) {
  others_.run([&loop = loop_, work = std::move(work), done = std::move(done)]() mutable {
    work();
    work = nullptr;
    loop.post(std::move(done));
  });
}

}  // namespace ottla::rt_asio
