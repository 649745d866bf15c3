// A data directory on a real disk, records to put into it, and a disk without room, for tests.
#pragma once

#include <unistd.h>

#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/rt_asio/runtime.h"
#include "test/support/passing_disk.h"
#include "zk-ensemble/txnlog/log_reader.h"
#include "zk-ensemble/txnlog/log_writer.h"
#include "zk-ensemble/txnlog/recovery.h"
#include "zk-ensemble/txnlog/snapshot_reader.h"
#include "zk-ensemble/txnlog/snapshot_writer.h"

namespace ottla::zk::testing {

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
  void write_log(const std::vector<std::pair<int64_t, std::string>>& entries,
                 LogOptions log_options = {}) {
    std::filesystem::create_directories(dir());
    int64_t durable = -1;
    LogWriter writer(
        world, dir(), log_options,
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
inline std::string session_entry(int64_t zxid, int64_t session = 7) {
  Txn txn;
  txn.header = {session, 0, zxid, 1000, OpCode::create_session};
  txn.body = CreateSessionTxn{4000};
  wire::Writer out;
  txn.encode(out);
  return to_string(out.bytes());
}
inline std::string create_entry(int64_t zxid, const std::string& path, const std::string& data,
                                int32_t parent_cversion = -1) {
  Txn txn;
  txn.header = {7, static_cast<int32_t>(zxid), zxid, 1000, OpCode::create};
  txn.body =
      CreateTxn{.path = path, .data = data, .acls = open_acl(), .parent_cversion = parent_cversion};
  wire::Writer out;
  txn.encode(out);
  return to_string(out.bytes());
}

// A disk whose files cannot reserve room and take so many more writes; otherwise the given one.
// Notes where the first byte was written.
class FullDisk final : public test::PassingDisk {
 public:
  int refused = 0;
  int writes_left = INT_MAX;
  uint64_t first_written = UINT64_MAX;
  using PassingDisk::PassingDisk;

  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode mode) override {
    OTTLA_ASSIGN(auto file, inner_.open(path, mode));
    return std::make_shared<File>(*this, std::move(file));
  }

 private:
  struct File final : test::PassingFile {
    File(FullDisk& on, std::shared_ptr<rt::File> file) : PassingFile(std::move(file)), disk(on) {}
    Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) override {
      if (disk.writes_left-- <= 0) return fail(Errc::no_space, "no room");
      disk.first_written = std::min(disk.first_written, offset);
      return inner_->write_at(offset, pieces);
    }
    Result<void> allocate(uint64_t) override {
      ++disk.refused;
      return fail(Errc::no_space, "no room to reserve");
    }
    FullDisk& disk;
  };
};

}  // namespace ottla::zk::testing
