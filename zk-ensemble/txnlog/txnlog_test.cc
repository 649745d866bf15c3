// The log and what a start makes of it, on a real directory: golden bytes, damage at every byte, purge,
// truncation. Crashes are test/sim's.
#include "zk-ensemble/txnlog/test_txnlog.h"

using namespace ottla;
using namespace ottla::zk;
using namespace ottla::zk::testing;

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
