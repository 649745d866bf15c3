// The log and the snapshots on a real directory: golden bytes, damage at every byte, purge, truncation.
// Crashes are test/sim's.
#include <unistd.h>

#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/rt_asio/runtime.h"
#include "zk-ensemble/txnlog/log_reader.h"
#include "zk-ensemble/txnlog/log_writer.h"
#include "zk-ensemble/txnlog/recovery.h"
#include "zk-ensemble/txnlog/snapshot_reader.h"
#include "zk-ensemble/txnlog/snapshot_writer.h"

using namespace ottla;
using namespace ottla::zk;

namespace {

struct Fixture {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  std::string root;
  CoreOptions options;

  Fixture() {
    char name[] = "/tmp/txnlog_test.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
  }
  ~Fixture() { std::filesystem::remove_all(root); }

  std::string dir() const { return root + "/version-2"; }
  DataDir open() {
    auto opened = DataDir::open(world.disk, root, "");
    REQUIRE(opened);
    return std::move(*opened);
  }
  // Appends each entry and waits until all are durable.
  void write_log(const std::vector<std::pair<int64_t, std::string>>& entries, LogOptions log_options = {}) {
    std::filesystem::create_directories(dir());
    int64_t durable = -1;
    LogWriter writer(world, dir(), log_options,
                     {[&](int64_t zxid) { durable = zxid; }, [](const Error& error) { FAIL(error.context); }});
    for (const auto& [zxid, entry] : entries) writer.append(zxid, as_bytes(entry));
    REQUIRE(runtime.run_until([&] { return durable == entries.back().first; }, 5000));
    CHECK(writer.idle());
  }
  std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void replace(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  Result<Recovered> recover_into(DataTree& tree, RecoveryOptions recovery = {.trust_empty = true}) {
    auto opened = DataDir::open(world.disk, root, "");
    if (!opened) return std::unexpected(opened.error());
    return recover(world.disk, *opened, tree, recovery);
  }
};

// An entry without digest: a session with the timeout is made.
std::string session_entry(int64_t zxid, int64_t session = 7) {
  Txn txn;
  txn.header = {session, 0, zxid, 1000, OpCode::create_session};
  txn.body = CreateSessionTxn{4000};
  wire::Writer out;
  txn.encode(out);
  return to_string(out.bytes());
}
std::string create_entry(int64_t zxid, const std::string& path, const std::string& data,
                         int32_t parent_cversion = -1) {
  Txn txn;
  txn.header = {7, static_cast<int32_t>(zxid), zxid, 1000, OpCode::create};
  txn.body = CreateTxn{.path = path, .data = data, .acls = open_acl(), .parent_cversion = parent_cversion};
  wire::Writer out;
  txn.encode(out);
  return to_string(out.bytes());
}

// A disk whose files cannot reserve room and take so many more writes; otherwise the given one. Notes
// where the first byte was written.
class FullDisk final : public rt::Disk {
 public:
  int refused = 0;
  int writes_left = INT_MAX;
  uint64_t first_written = UINT64_MAX;
  explicit FullDisk(rt::Disk& disk) : disk_(disk) {}

  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override {
    OTTLA_ASSIGN(auto file, disk_.open(path, mode));
    return std::make_shared<File>(*this, std::move(file));
  }
  Result<void> rename(const std::string& from, const std::string& to) override { return disk_.rename(from, to); }
  Result<void> remove(const std::string& path) override { return disk_.remove(path); }
  Result<void> remove_tree(const std::string& path) override { return disk_.remove_tree(path); }
  Result<void> make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Result<void> sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_.list(path); }
  Result<rt::FileInfo> stat(const std::string& path) override { return disk_.stat(path); }
  Result<std::unique_ptr<rt::DirLock>> lock(const std::string& path) override { return disk_.lock(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return disk_.free_bytes(path); }
  void run_blocking(Fn<void()> work, Fn<void()> done) override {
    disk_.run_blocking(std::move(work), std::move(done));
  }

 private:
  struct File final : rt::File {
    File(FullDisk& on, std::shared_ptr<rt::File> file) : disk(on), inner(std::move(file)) {}
    const std::string& path() const override { return inner->path(); }
    uint64_t size() const override { return inner->size(); }
    Result<size_t> read_at(uint64_t offset, MutBytes into) override { return inner->read_at(offset, into); }
    Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
      if (disk.writes_left-- <= 0) return fail(Errc::no_space, "no room");
      disk.first_written = std::min(disk.first_written, offset);
      return inner->write_at(offset, pieces);
    }
    void sync(Fn<void(Result<void>)> done) override { inner->sync(std::move(done)); }
    Result<void> sync_now() override { return inner->sync_now(); }
    Result<void> truncate(uint64_t size) override { return inner->truncate(size); }
    Result<void> allocate(uint64_t) override {
      ++disk.refused;
      return fail(Errc::no_space, "no room to reserve");
    }
    FullDisk& disk;
    std::shared_ptr<rt::File> inner;
  };
  rt::Disk& disk_;
};

}  // namespace

TEST_CASE("names of files") {
  CHECK(log_name(31) == "log.1f");
  CHECK(zxid_of_name("snapshot.1f", "snapshot") == 31);
  for (const char* other : {"log.", "log", "log.1g", "log.1F", "log.1.tmp", "logs.1", "log.11111111111111111"})
    CHECK_FALSE(zxid_of_name(other, "log"));
}

TEST_CASE("a record is Apache's, byte for byte") {
  Fixture f;
  // The first record of a live server's log.1.
  std::string entry = from_hex("0100003de7f1000000000000" "0000000000000001" "000001a2008008e2" "fffffff6"
                               "00002710" "00000002" "0000000051c6d660");
  f.write_log({{1, entry}});
  std::string file = f.content(f.dir() + "/log.1");
  CHECK(file.size() == 16 + (64u << 20));
  CHECK(to_hex(as_bytes(file).first(16 + 12)) == "5a4b4c47000000020000000000000000" "00000000dbce0a9e00000030");
  CHECK(file.substr(28, entry.size()) == entry);
  CHECK(static_cast<uint8_t>(file[28 + entry.size()]) == kRecordEnd);
  CHECK(file.find_first_not_of('\0', 29 + entry.size()) == std::string::npos);
}

TEST_CASE("what is appended in one turn shares one sync; roll and the size limit begin files") {
  Fixture f;
  std::filesystem::create_directories(f.dir());
  int64_t durable = 0;
  LogWriter writer(f.world, f.dir(), {.preallocate_bytes = 4096, .size_limit_bytes = 1000},
                   {[&](int64_t zxid) { durable = zxid; }, [](const Error& error) { FAIL(error.context); }});
  for (int64_t zxid = 1; zxid <= 5; ++zxid) writer.append(zxid, as_bytes(session_entry(zxid)));
  REQUIRE(f.runtime.run_until([&] { return durable == 5; }, 5000));
  CHECK(writer.stats().commits == 1);
  writer.roll();
  for (int64_t zxid = 6; zxid <= 50; ++zxid) writer.append(zxid, as_bytes(session_entry(zxid)));
  REQUIRE(f.runtime.run_until([&] { return durable == 50; }, 5000));
  CHECK(std::filesystem::exists(f.dir() + "/log.6"));
  auto dir = f.open();
  auto logs = dir.logs();
  REQUIRE(logs);
  CHECK(logs->size() >= 4);
  // They read back as one sequence; padding is left in the newest alone.
  int64_t expected = 1;
  for (const ZxidFile& log : *logs) {
    CHECK(log.zxid == expected);
    auto reader = LogReader::open(f.world.disk, f.dir() + "/" + log.name);
    REQUIRE(reader);
    LogRecord record;
    while (*reader->next(record) == LogReader::Step::record) CHECK(record.zxid == expected++);
    bool padded = std::filesystem::file_size(f.dir() + "/" + log.name) > reader->offset();
    CHECK(padded == (&log == &logs->back()));
  }
  CHECK(expected == 51);
}

TEST_CASE("a disk without room for padding takes records as long as it has room for them") {
  Fixture f;
  std::filesystem::create_directories(f.dir());
  FullDisk disk(f.world.disk);
  rt::World world{f.world.loop, f.world.net, disk, f.world.entropy};
  int64_t durable = 0;
  LogWriter writer(world, f.dir(), {.preallocate_bytes = 4096},
                   {[&](int64_t zxid) { durable = zxid; }, [](const Error& error) { FAIL(error.context); }});
  writer.append(1, as_bytes(session_entry(1)));
  REQUIRE(f.runtime.run_until([&] { return durable == 1; }, 5000));
  writer.append(2, as_bytes(session_entry(2)));
  REQUIRE(f.runtime.run_until([&] { return durable == 2; }, 5000));
  CHECK(disk.refused >= 2);
  CHECK(std::filesystem::file_size(f.dir() + "/log.1") == kFileHeaderBytes + 2 * (kRecordPrefixBytes + session_entry(1).size() + 1));
}

TEST_CASE("held records wait") {
  Fixture f;
  std::filesystem::create_directories(f.dir());
  int64_t durable = 0;
  LogWriter writer(f.world, f.dir(), {}, {[&](int64_t zxid) { durable = zxid; }, [](const Error&) {}});
  writer.hold();
  writer.append(1, as_bytes(session_entry(1)));
  CHECK_FALSE(f.runtime.run_until([&] { return durable == 1; }, 20));
  writer.release();
  CHECK(f.runtime.run_until([&] { return durable == 1; }, 5000));
}

TEST_CASE("a log cut or garbled anywhere in its last commit recovers what is before") {
  Fixture f;
  f.write_log({{1, session_entry(1)}, {2, create_entry(2, "/a", "x")}, {3, create_entry(3, "/b", "y")}},
              {.preallocate_bytes = 0});
  std::string path = f.dir() + "/log.1";
  std::string whole = f.content(path);
  for (size_t at = 0; at < whole.size(); at += 3) {
    for (bool garble : {false, true}) {
      std::string bytes = whole;
      if (garble) {
        bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
      } else {
        bytes.resize(at);
      }
      f.replace(path, bytes);
      DataTree tree(f.options);
      auto recovered = f.recover_into(tree);
      INFO("byte " << at << (garble ? " garbled" : " cut"));
      if (!recovered) {
        // A header gone bad in front of whole records is damage, never a torn write.
        CHECK((garble && at < 4));
        continue;
      }
      CHECK(recovered->last_zxid <= 3);
      tree.check_invariants();
      // Whatever was cut away stays away.
      DataTree again(f.options);
      auto second = f.recover_into(again);
      REQUIRE(second);
      CHECK(second->last_zxid == recovered->last_zxid);
    }
  }
}

TEST_CASE("all that the last commit may have been is written again, however long its records") {
  Fixture f;
  FullDisk disk(f.world.disk);
  // Both in one commit: it takes more as long as it is shorter than the most, and the second is longer.
  const std::string small(1 << 20, 's'), large(12 << 20, 'l');
  f.write_log({{1, session_entry(1)}, {2, create_entry(2, "/a", small)}, {3, create_entry(3, "/b", large)}});
  auto dir = f.open();
  DataTree tree(f.options);
  auto recovered = recover(disk, dir, tree, {.trust_empty = true});
  REQUIRE(recovered);
  CHECK(recovered->last_zxid == 3);
  CHECK(disk.first_written <= kFileHeaderBytes);
}

TEST_CASE("damage in an older log, or far before the end, is refused") {
  Fixture f;
  f.write_log({{1, session_entry(1)}, {2, create_entry(2, "/a", "x")}}, {.preallocate_bytes = 0});
  f.write_log({{3, create_entry(3, "/b", "y")}}, {.preallocate_bytes = 0});
  std::string path = f.dir() + "/log.1";
  std::string bytes = f.content(path);
  bytes[16 + 12 + 5] ^= 1;
  f.replace(path, bytes);
  DataTree tree(f.options);
  auto recovered = f.recover_into(tree);
  REQUIRE_FALSE(recovered);
  CHECK(recovered.error().context.find("log.1") != std::string::npos);
}

TEST_CASE("a hole of zeros in the newest log is seen: cut when a crash can have left it, else refused") {
  Fixture f;
  std::string big(500'000, 'd');
  std::vector<std::pair<int64_t, std::string>> entries{{1, session_entry(1)}, {2, create_entry(2, "/a", "x")}};
  for (int64_t zxid = 3; zxid < 25; ++zxid)
    entries.emplace_back(zxid, create_entry(zxid, "/n" + std::to_string(zxid), big));
  f.write_log(entries, {.preallocate_bytes = 32 << 20});
  std::string path = f.dir() + "/log.1";
  std::string whole = f.content(path);
  REQUIRE(whole.size() >= 32u << 20);  // padded: that alone is no hole
  {
    DataTree tree(f.options);
    auto recovered = f.recover_into(tree);
    REQUIRE(recovered);
    CHECK(recovered->last_zxid == 24);
    // All that goes is the padding.
    std::string left = f.content(path);
    CHECK(left.size() < whole.size());
    CHECK(whole == left + std::string(whole.size() - left.size(), '\0'));
  }
  auto offset_of = [&](int64_t zxid) {
    auto reader = LogReader::open(f.world.disk, path);
    LogRecord record;
    while (reader && *reader->next(record) == LogReader::Step::record)
      if (record.zxid == zxid) return static_cast<size_t>(record.offset);
    return size_t{0};
  };
  size_t second = offset_of(2), near_end = offset_of(22);
  auto with_hole = [&](size_t at, size_t length) {
    std::string bytes = whole;
    bytes.replace(at, length, length, '\0');
    f.replace(path, bytes);
    DataTree tree(f.options);
    return f.recover_into(tree);
  };
  for (size_t length : {size_t{12}, size_t{4096}}) {
    auto refused = with_hole(second, length);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().context.find("records behind it") != std::string::npos);
    auto cut = with_hole(near_end, length);
    REQUIRE(cut);
    CHECK(cut->last_zxid == 21);
    CHECK(cut->warnings.size() == 1);
    CHECK(f.content(path).size() == near_end);
  }
}

TEST_CASE("compressed snapshots are written, read, skipped when damaged, and purged") {
  for (SnapshotCoding coding : {SnapshotCoding::gz, SnapshotCoding::snappy}) {
    Fixture f;
    DataTree tree(f.options);
    int64_t zxid = 0;
    auto apply = [&](const std::string& entry) { tree.replay(std::move(*Txn::decode(as_bytes(entry)))); };
    apply(session_entry(++zxid));
    for (int i = 0; i < 300; ++i) {
      ++zxid;
      apply(create_entry(zxid, "/n" + std::to_string(i), std::string(static_cast<size_t>(i) * 7, 'a')));
    }
    bool done = false;
    std::filesystem::create_directories(f.dir());
    SnapshotWriter writer(f.world, f.dir(), tree, {.coding = coding, .slice_bytes = 8000},
                          [&](Result<SnapshotWriter::Done> result) { done = result.has_value(); });
    REQUIRE(f.runtime.run_until([&] { return done; }, 5000));
    std::string path = f.dir() + "/snapshot.12d" + std::string(snapshot_extension(coding));
    std::string bytes = f.content(path);
    CHECK(bytes.size() < 100'000);
    CHECK(zxid_of_snapshot(path.substr(f.dir().size() + 1)) == zxid);
    auto recovered = [&] {
      auto loaded = std::make_unique<DataTree>(f.options);
      auto result = f.recover_into(*loaded, {});
      return result && loaded->digest() == tree.digest() && loaded->node_count() == tree.node_count() &&
             result->last_zxid == zxid;
    };
    CHECK(recovered());
    DataTree exported(f.options);
    CHECK(*read_exported_snapshot(f.world.disk, path, exported) == zxid);
    for (size_t at = 0; at < bytes.size(); at += std::max<size_t>(bytes.size() / 60, 1)) {
      std::string garbled = bytes;
      garbled[at] = static_cast<char>(garbled[at] ^ 0x15);
      f.replace(path, garbled);
      DataTree loaded(f.options);
      auto result = read_snapshot(f.world.disk, path, zxid, loaded);
      INFO("byte " << at);
      CHECK((!result || loaded.digest() == tree.digest()));  // gzip's header has idle bits
      f.replace(path, bytes.substr(0, at));
      DataTree cut(f.options);
      CHECK_FALSE(read_snapshot(f.world.disk, path, zxid, cut));
    }
    for (int64_t newer : {0x200, 0x300, 0x400}) {
      f.replace(path.substr(0, path.find("12d")) + fmt::format("{:x}", newer) + std::string(snapshot_extension(coding)), bytes);
    }
    f.replace(path, bytes);
    auto purged = purge(f.world.disk, f.dir(), f.dir(), 3);
    REQUIRE(purged);
    CHECK(purged->snapshots == 1);
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

TEST_CASE("a new directory: empty tree; its first snapshot has Apache's size") {
  Fixture f;
  DataTree tree(f.options);
  auto recovered = f.recover_into(tree, {});
  REQUIRE(recovered);
  CHECK(recovered->fresh);
  bool done = false;
  SnapshotWriter writer(f.world, f.dir(), tree, {}, [&](Result<SnapshotWriter::Done> result) {
    REQUIRE(result);
    CHECK(result->bytes == 478);
    done = true;
  });
  REQUIRE(f.runtime.run_until([&] { return done; }, 5000));
  std::string file = f.content(f.dir() + "/snapshot.0");
  CHECK(file.size() == 478);
  CHECK(file.ends_with(std::string_view("\0\0\0\1/", 5)));
  DataTree loaded(f.options);
  REQUIRE(read_snapshot(f.world.disk, f.dir() + "/snapshot.0", 0, loaded));
  loaded.check_invariants();
  CHECK(loaded.digest() == tree.digest());
  CHECK(loaded.node_count() == tree.node_count());
}

TEST_CASE("a snapshot is read whatever sections its writer was told to write") {
  for (bool digest : {false, true}) {
    for (bool last_zxid : {false, true}) {
      Fixture f;
      DataTree tree(f.options);
      tree.replay(*Txn::decode(as_bytes(create_entry(1, "/a", "data"))));
      bool done = false;
      std::filesystem::create_directories(f.dir());
      SnapshotWriter writer(f.world, f.dir(), tree, {.digest = digest, .last_zxid = last_zxid},
                            [&](Result<SnapshotWriter::Done> result) { done = result.has_value(); });
      REQUIRE(f.runtime.run_until([&] { return done; }, 5000));
      DataTree loaded(f.options), exported(f.options);
      CHECK(read_snapshot(f.world.disk, f.dir() + "/snapshot.1", 1, loaded));
      CHECK(loaded.digest() == tree.digest());
      CHECK(read_exported_snapshot(f.world.disk, f.dir() + "/snapshot.1", exported).has_value() == last_zxid);
    }
  }
}

TEST_CASE("a snapshot that finds no room leaves what there is to the log") {
  Fixture f;
  FullDisk disk(f.world.disk);
  disk.writes_left = 1;
  rt::World world{f.world.loop, f.world.net, disk, f.world.entropy};
  std::filesystem::create_directories(f.dir());
  DataTree tree(f.options);
  bool failed = false;
  SnapshotWriter writer(world, f.dir(), tree, {.slice_bytes = 1}, [&](Result<SnapshotWriter::Done> result) {
    failed = !result;
    CHECK(std::filesystem::is_empty(f.dir()));
  });
  REQUIRE(f.runtime.run_until([&] { return failed; }, 5000));
}

TEST_CASE("a snapshot taken while the tree changes, and the log, make the same tree") {
  Fixture f;
  DataTree tree(f.options);
  (void)f.recover_into(tree, {});
  std::vector<std::pair<int64_t, std::string>> entries;
  int64_t zxid = 0;
  auto apply = [&](std::string entry) {
    entries.emplace_back(zxid, entry);
    auto txn = Txn::decode(as_bytes(entry));
    REQUIRE(txn);
    tree.replay(std::move(*txn));
  };
  apply(session_entry(++zxid));
  for (int i = 0; i < 500; ++i) {
    ++zxid;
    apply(create_entry(zxid, "/n" + std::to_string(i), std::string(200, 'd'), i + 1));
  }
  bool done = false;
  SnapshotWriter writer(f.world, f.dir(), tree, {.slice_bytes = 2000},
                        [&](Result<SnapshotWriter::Done> result) {
                          REQUIRE(result);
                          done = true;
                        });
  int more = 0;
  REQUIRE(f.runtime.run_until(
      [&] {
        if (!done && more < 200) {
          ++zxid;
          apply(create_entry(zxid, "/n" + std::to_string(more * 2) + "/c", "late", 1));
          ++more;
        }
        return done;
      },
      5000));
  f.write_log(entries, {.preallocate_bytes = 0});
  DataTree loaded(f.options);
  auto recovered = f.recover_into(loaded, {});
  REQUIRE(recovered);
  CHECK(recovered->snapshot_zxid == 501);
  CHECK(recovered->last_zxid == zxid);
  loaded.check_invariants();
  CHECK(loaded.digest() == tree.digest());
  CHECK(loaded.node_count() == tree.node_count());
  CHECK(loaded.digest_mismatches() == 0);
}

TEST_CASE("any byte of a snapshot changed: refused or skipped, never loaded wrongly") {
  Fixture f;
  DataTree tree(f.options);
  (void)f.recover_into(tree, {});
  bool done = false;
  SnapshotWriter writer(f.world, f.dir(), tree, {}, [&](const Result<SnapshotWriter::Done>&) { done = true; });
  REQUIRE(f.runtime.run_until([&] { return done; }, 5000));
  std::string path = f.dir() + "/snapshot.0";
  std::string whole = f.content(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x81);
    f.replace(path, bytes);
    DataTree loaded(f.options);
    INFO("byte " << at);
    CHECK_FALSE(read_snapshot(f.world.disk, path, 0, loaded));
    f.replace(path, whole.substr(0, at));
    // Cut behind a seal it is an older server's snapshot, which has fewer sections.
    if (!whole.substr(0, at).ends_with(std::string_view("\0\0\0\1/", 5)))
      CHECK_FALSE(read_snapshot(f.world.disk, path, 0, loaded));
  }
}

TEST_CASE("logs without a snapshot are refused unless trusted") {
  Fixture f;
  f.write_log({{1, session_entry(1)}}, {.preallocate_bytes = 0});
  DataTree tree(f.options);
  auto refused = f.recover_into(tree, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.find("snapshot.trust.empty") != std::string::npos);
  CHECK(f.recover_into(tree, {.trust_empty = true}));
}

TEST_CASE("a transaction that is missing between two others is refused, not skipped") {
  Fixture f;
  f.write_log({{1, session_entry(1)}, {2, session_entry(2)}, {3, session_entry(3)}}, {.preallocate_bytes = 0});
  f.write_log({{4, session_entry(4)}, {5, session_entry(5)}}, {.preallocate_bytes = 0});
  DataTree whole(f.options);
  REQUIRE(f.recover_into(whole));
  // The last record of the older file reads as the end of the log: its length is zero.
  std::string path = f.dir() + "/log.1";
  std::string bytes = f.content(path);
  size_t record = (bytes.size() - kFileHeaderBytes) / 3;
  bytes.replace(bytes.size() - record + 8, 4, 4, '\0');
  f.replace(path, bytes);
  DataTree tree(f.options);
  auto refused = f.recover_into(tree);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.find("0x3 to 0x3 are missing") != std::string::npos);
  // A new epoch begins its own count.
  std::filesystem::remove(f.dir() + "/log.4");
  f.write_log({{0x100000001, session_entry(0x100000001)}}, {.preallocate_bytes = 0});
  DataTree next_epoch(f.options);
  auto recovered = f.recover_into(next_epoch);
  REQUIRE(recovered);
  CHECK(recovered->last_zxid == 0x100000001);
}

TEST_CASE("snapshots that a crash left unfinished are removed, other files are not") {
  Fixture f;
  std::filesystem::create_directories(f.dir());
  for (const char* name : {"snapshot.5.tmp", "snapshot.x.tmp", "snapshot.5.tmp.bak"})
    f.replace(f.dir() + "/" + name, "half");
  DataTree tree(f.options);
  REQUIRE(f.recover_into(tree));
  CHECK_FALSE(std::filesystem::exists(f.dir() + "/snapshot.5.tmp"));
  CHECK(std::filesystem::exists(f.dir() + "/snapshot.x.tmp"));
  CHECK(std::filesystem::exists(f.dir() + "/snapshot.5.tmp.bak"));
}

TEST_CASE("purge keeps the newest snapshots and the logs they need") {
  Fixture f;
  std::filesystem::create_directories(f.dir());
  std::string seal("aaaaaaaaaa\0\0\0\1/", 15);
  for (int zxid : {0, 10, 20, 30, 40}) f.replace(f.dir() + "/" + snapshot_name(zxid), seal);
  for (int zxid : {1, 5, 18, 25, 41}) f.replace(f.dir() + "/" + log_name(zxid), "x");
  auto result = purge(f.world.disk, f.dir(), f.dir(), 3);
  REQUIRE(result);
  CHECK(result->snapshots == 2);
  CHECK(result->logs == 2);
  CHECK(std::filesystem::exists(f.dir() + "/" + log_name(18)));
  CHECK_FALSE(std::filesystem::exists(f.dir() + "/" + log_name(5)));
  CHECK(std::filesystem::exists(f.dir() + "/" + snapshot_name(20)));
}

TEST_CASE("truncation cuts behind the record and removes later files") {
  Fixture f;
  f.write_log({{1, session_entry(1)}, {3, session_entry(3, 8)}, {4, session_entry(4, 9)}});
  f.write_log({{5, session_entry(5)}});
  DataDir dir = f.open();
  auto cut = truncate_logs(f.world.disk, dir, 2);  // missing: the next larger one stays
  REQUIRE(cut);
  CHECK(*cut);
  auto logs = dir.logs();
  REQUIRE(logs);
  REQUIRE(logs->size() == 1);
  auto reader = LogReader::open(f.world.disk, f.dir() + "/log.1");
  REQUIRE(reader);
  LogRecord record;
  CHECK(*reader->next(record) == LogReader::Step::record);
  CHECK(*reader->next(record) == LogReader::Step::record);
  CHECK(record.zxid == 3);
  CHECK(*reader->next(record) == LogReader::Step::end);
  auto beyond = truncate_logs(f.world.disk, dir, 99);
  REQUIRE(beyond);
  CHECK_FALSE(*beyond);
}

TEST_CASE("directories that are used, foreign or mixed up are refused with a remedy") {
  Fixture f;
  DataDir held = f.open();
  auto second = DataDir::open(f.world.disk, f.root, "");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::in_use);
  std::string other = f.root + "/broker";
  std::filesystem::create_directories(other);
  f.replace(other + "/meta.properties", "broker.id=1\n");
  auto foreign = DataDir::open(f.world.disk, other, "");
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().context.find("dataDir") != std::string::npos);
  std::string apart = f.root + "/apart";
  std::filesystem::create_directories(apart + "/version-2");
  f.replace(apart + "/version-2/log.1", "x");
  auto mixed = DataDir::open(f.world.disk, apart, f.root + "/logs");
  REQUIRE_FALSE(mixed);
  CHECK(mixed.error().context.find("log.1") != std::string::npos);
}
