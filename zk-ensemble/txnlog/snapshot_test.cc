// Snapshots on a real directory: their bytes, damage at every one, full disks. Crashes are test/sim's.
#include "zk-ensemble/txnlog/test_txnlog.h"

using namespace ottla;
using namespace ottla::zk;
using namespace ottla::zk::testing;

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
    f.replace(f.dir() + "/snapshot.12d", "written before with another method");
    SnapshotWriter writer(f.world, f.dir(), tree, {.coding = coding, .slice_bytes = 8000},
                          [&](Result<SnapshotWriter::Done> result) { done = result.has_value(); });
    REQUIRE(f.runtime.run_until([&] { return done; }, 5000));
    std::string path = f.dir() + "/snapshot.12d" + std::string(snapshot_extension(coding));
    CHECK_FALSE(std::filesystem::exists(f.dir() + "/snapshot.12d"));
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
