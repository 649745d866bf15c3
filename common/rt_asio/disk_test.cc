// Files on a real disk. What both runtimes promise is in test/sim.
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <optional>
#include <thread>

#include "common/rt_asio/runtime.h"
#include "common/rt_asio/test_support.h"

// A disk that loses what one sync was to write, and then writes on.
std::atomic<bool> next_sync_fails = false;

extern "C" int fdatasync(int fd) {
  static auto* real = reinterpret_cast<decltype(&fdatasync)>(::dlsym(RTLD_NEXT, "fdatasync"));
  if (!next_sync_fails.exchange(false)) return real(fd);
  errno = EIO;
  return -1;
}

namespace ottla::rt_asio {
namespace {

TEST_CASE("files: positions, short reads, several pieces, truncate, allocate") {
  AsioRuntime runtime;
  TempDir dir;
  rt::Disk& disk = runtime.world().disk;
  std::string path = dir.path + "/f";
  CHECK(disk.open(path, rt::OpenMode::read).error().code == Errc::not_found);
  auto file = *disk.open(path, rt::OpenMode::create);
  CHECK(disk.open(path, rt::OpenMode::create_new).error().code == Errc::exists);
  std::vector<std::string> texts;
  std::vector<Bytes> pieces;
  std::string whole;
  for (int i = 0; i < 1000; ++i) texts.push_back(i % 5 == 0 ? "" : std::to_string(i) + ",");
  for (const std::string& text : texts) {
    pieces.push_back(as_bytes(text));
    whole += text;
  }
  REQUIRE(file->write_at(3, pieces));
  CHECK(file->size() == whole.size() + 3);
  Buffer buffer(whole.size() + 100);
  CHECK(*file->read_at(3, buffer.mutable_bytes()) == whole.size());
  CHECK(as_text(buffer.bytes().first(whole.size())) == whole);
  REQUIRE(file->truncate(5));
  CHECK(file->size() == 5);
  REQUIRE(file->allocate(4096));
  REQUIRE(file->allocate(100));
  CHECK(file->size() == 4096);
  CHECK(*file->read_at(0, buffer.mutable_bytes().first(8)) == 8);
  CHECK(as_text(buffer.bytes().first(8)) == std::string_view("\0\0\0001,\0\0\0", 8));
  REQUIRE(file->sync_now());
  CHECK(disk.open(dir.path, rt::OpenMode::read).error().context.find(dir.path) !=
        std::string::npos);
  CHECK(disk.stat(path)->size == 4096);
  rt::Space space = disk.space(dir.path).value();
  CHECK(space.free_bytes > 0);
  CHECK(space.total_bytes >= space.free_bytes);
}

TEST_CASE("directories, names, whole-file replacement, locks") {
  AsioRuntime runtime;
  TempDir dir;
  rt::Disk& disk = runtime.world().disk;
  std::string deep = dir.path + "/a/b/c";
  REQUIRE(disk.make_dirs(deep));
  REQUIRE(disk.make_dirs(deep));
  REQUIRE(rt::replace_file(disk, deep + "/x", as_bytes("one")));
  REQUIRE(rt::replace_file(disk, deep + "/x", as_bytes("two")));
  CHECK(*rt::read_file(disk, deep + "/x") == "two");
  REQUIRE(disk.make_dirs(deep + "/sub"));
  CHECK(*disk.list(deep) == std::vector<std::string>{"sub", "x"});
  CHECK(disk.stat(deep)->is_directory);
  CHECK(disk.make_dirs(deep + "/x/y").error().code == Errc::not_found);
  CHECK(!disk.remove(deep));
  REQUIRE(disk.sync_dir(deep));
  REQUIRE(disk.remove_tree(dir.path + "/a"));
  REQUIRE(disk.remove_tree(dir.path + "/a"));
  CHECK(disk.stat(dir.path + "/a").error().code == Errc::not_found);

  for (const std::string& target : {dir.path + "/.lock", dir.path}) {
    auto held = disk.lock(target);
    REQUIRE(held);
    auto refused = disk.lock(target);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::in_use);
    held->reset();
    CHECK(disk.lock(target));
  }
}

TEST_CASE("a sync that failed fails those that were asked for meanwhile") {
  AsioRuntime runtime;
  TempDir dir;
  auto file = runtime.world().disk.open(dir.path + "/f", rt::OpenMode::create_new).value();
  next_sync_fails = true;
  std::vector<bool> good;
  for (int i = 0; i < 3; ++i)
    file->sync([&](Result<void> done) { good.push_back(done.has_value()); });
  REQUIRE(runtime.run_until([&] { return good.size() == 3; }, kPatienceMs));
  CHECK(good == std::vector<bool>{false, false, false});
}

TEST_CASE("syncs asked for while one runs share the next, and end on the loop in order") {
  AsioRuntime runtime;
  TempDir dir;
  rt::Disk& disk = runtime.world().disk;
  auto file = *disk.open(dir.path + "/f", rt::OpenMode::create);
  std::vector<int> ended;
  auto thread = std::this_thread::get_id();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(file->write_at(static_cast<uint64_t>(i), as_bytes("x")));
    file->sync([&, i](Result<void> result) {
      CHECK(result);
      CHECK(std::this_thread::get_id() == thread);
      ended.push_back(i);
    });
  }
  CHECK(ended.empty());
  REQUIRE(runtime.run_until([&] { return ended.size() == 100; }, kPatienceMs));
  CHECK(std::is_sorted(ended.begin(), ended.end()));
  // The file goes away: its callbacks with it, the sync itself may still run.
  file->sync([](Result<void>) { FAIL("called after destruction"); });
  file.reset();
  runtime.run_until([] { return false; }, 30);

  std::atomic<bool> worked = false;
  bool done = false;
  disk.run_blocking([&] { worked = std::this_thread::get_id() != thread; }, [&] { done = true; });
  REQUIRE(runtime.run_until([&] { return done; }, kPatienceMs));
  CHECK(worked);
}

}  // namespace
}  // namespace ottla::rt_asio
