#include "test/fuzz/zk_targets.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "common/base/check.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/tree/digest.h"
#include "zk-ensemble/txnlog/log_reader.h"
#include "zk-ensemble/txnlog/snapshot_reader.h"

namespace ottla::fuzz {

using namespace zk;

namespace {

// A disk of one file that can only be read.
class OneFile final : public rt::Disk {
 public:
  explicit OneFile(Bytes content) : content_(content) {}
  Result<std::shared_ptr<rt::File>> open(const std::string& path, rt::OpenMode) override {
    return std::make_shared<Memory>(path, content_);
  }
  Result<void> rename(const std::string&, const std::string&) override { return {}; }
  Result<void> remove(const std::string&) override { return {}; }
  Result<void> remove_tree(const std::string&) override { return {}; }
  Result<void> make_dirs(const std::string&) override { return {}; }
  Result<void> sync_dir(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list(const std::string&) override { return std::vector<std::string>(); }
  Result<rt::FileInfo> stat(const std::string&) override { return rt::FileInfo(); }
  Result<std::unique_ptr<rt::DirLock>> lock(const std::string&) override { return fail(Errc::in_use, ""); }
  Result<rt::Space> space(const std::string&) override { return rt::Space(); }
  void run_blocking(Fn<void()>, Fn<void()>) override {}

 private:
  class Memory final : public rt::File {
   public:
    Memory(std::string path, Bytes content) : path_(std::move(path)), content_(content) {}
    const std::string& path() const override { return path_; }
    uint64_t size() const override { return content_.size(); }
    Result<size_t> read_at(uint64_t offset, MutBytes into) override {
      if (offset >= content_.size()) return 0;
      size_t count = std::min(into.size(), content_.size() - static_cast<size_t>(offset));
      std::memcpy(into.data(), content_.data() + offset, count);
      return count;
    }
    Result<void> write_at(uint64_t, std::span<const Bytes>) override { return {}; }
    void sync(Fn<void(Result<void>)>) override {}
    Result<void> sync_now() override { return {}; }
    Result<void> truncate(uint64_t) override { return {}; }
    Result<void> allocate(uint64_t) override { return {}; }

   private:
    std::string path_;
    Bytes content_;
  };

  Bytes content_;
};

// Three clients, their connections coming and going, and a second tree that only replays the log.
class Service {
 public:
  Service() {
    for (size_t i = 0; i < kClients; ++i) connect(i, 0);
    durable();
  }

  void step(uint8_t what, wire::Reader& in) {
    size_t client = what % kClients;
    switch (what >> 4) {
      case 0:
        return durable();
      case 1:
        now_ms_ += in.u8() * 100;
        pipeline_.on_tick(now(), wall_ms());
        return pump();
      case 2:
        pipeline_.on_closed(clients_[client].conn);
        return connect(client, clients_[client].session);  // comes back
      case 3:
        return connect(client, clients_[(client + 1) % kClients].session);  // moves in
      case 4:
        pipeline_.close_session(clients_[client].session, wall_ms());
        return pump();
      case 6: {  // a new connection with first words of its own
        pipeline_.on_closed(clients_[client].conn);
        clients_[client].conn = ++last_conn_;
        pipeline_.on_open(last_conn_, "127.0.0.1", now());
        pipeline_.on_frame(last_conn_, in.take(std::min<size_t>(in.u8(), in.remaining())), now(), wall_ms());
        clients_[client].session = pipeline_.session_of(last_conn_).value_or(0);
        return pump();
      }
      default: {
        Bytes frame = in.take(std::min<size_t>(in.u8(), in.remaining()));
        pipeline_.on_frame(clients_[client].conn, frame, now(), wall_ms());
        return pump();
      }
    }
  }

  void finish() {
    durable();
    pipeline_.check_invariants();
    tree_.check_invariants();
    replica_.check_invariants();
    OTTLA_CHECK(tree_.digest_mismatches() == 0 && replica_.digest_mismatches() == 0);
    OTTLA_CHECK(replica_.digest() == tree_.digest() && replica_.node_count() == tree_.node_count());
    OTTLA_CHECK(replica_.sessions() == tree_.sessions());
  }

 private:
  static constexpr size_t kClients = 3;
  struct Client {
    ConnId conn = 0;
    int64_t session = 0;
  };

  Instant now() const { return {ms_to_ns(now_ms_)}; }
  int64_t wall_ms() const { return 1'700'000'000'000 + now_ms_; }

  void connect(size_t client, int64_t session) {
    ConnId conn = ++last_conn_;
    clients_[client].conn = conn;
    pipeline_.on_open(conn, "127.0.0.1", now());
    wire::Writer out;
    out.i32(0);
    out.i64(0);
    out.i32(10000);
    out.i64(session);
    out.i32(16);
    out.raw(Bytes(session_password(session)));
    pipeline_.on_frame(conn, out.bytes(), now(), wall_ms());
    clients_[client].session = pipeline_.session_of(conn).value_or(0);
    pump();
  }

  void pump() {
    while (pipeline_.has_effects()) {
      Effects effects = pipeline_.take_effects();
      for (const Effects::Entry& entry : effects.entries) {
        auto txn = Txn::decode(effects.log.bytes().subspan(entry.offset, entry.length));
        OTTLA_CHECK(txn.has_value());
        OTTLA_CHECK(entry.zxid == last_logged_ + 1);
        last_logged_ = entry.zxid;
        replica_.replay(std::move(*txn));
      }
      for (const Effects::Send& send : effects.sends) {
        wire::Reader frames(send.bytes.bytes());
        while (!frames.at_end()) {
          frames.skip(static_cast<size_t>(std::max(frames.i32(), 0)));
          OTTLA_CHECK(frames.ok());
        }
        if (send.close) pipeline_.on_closed(send.conn);
      }
    }
  }

  void durable() {
    pipeline_.on_durable(last_logged_, now(), wall_ms());
    pump();
  }

  CoreOptions options_ = [] {
    CoreOptions options;
    options.extended_types = true;
    options.enforce_quota = true;
    return options;
  }();
  int64_t now_ms_ = 1000;
  DataTree tree_{options_};
  DataTree replica_{options_};
  Pipeline pipeline_{tree_, options_, 0x3de7f1, Instant{ms_to_ns(1000)}};
  Client clients_[kClients];
  ConnId last_conn_ = 0;
  int64_t last_logged_ = 0;
};

}  // namespace

void zk_session(Bytes input) {
  Service service;
  wire::Reader in(input);
  while (in.remaining() != 0) service.step(in.u8(), in);
  service.finish();
}

void zk_txn(Bytes input) {
  auto txn = Txn::decode(input);
  if (!txn) return;
  // Digests of another version are read, never written: behind a closed session without a list nothing
  // tells them from a list.
  if (txn->digest && txn->digest->version != kDigestVersion) txn->digest.reset();
  wire::Writer once;
  txn->encode(once);
  auto again = Txn::decode(once.bytes());
  OTTLA_CHECK(again.has_value());
  wire::Writer twice;
  again->encode(twice);
  OTTLA_CHECK(as_text(once.bytes()) == as_text(twice.bytes()));
  CoreOptions options;
  DataTree tree(options);
  tree.replay(std::move(*txn));
  tree.replay(std::move(*again));
  tree.check_invariants();
}

void zk_log(Bytes input) {
  if (input.empty()) return;
  Buffer file(input.subspan(1));
  if ((input[0] & 1) != 0 && file.size() > kFileHeaderBytes + kRecordPrefixBytes) {
    store_be<uint32_t>(file.data(), static_cast<uint32_t>(kLogMagic));
    size_t entry = kFileHeaderBytes + kRecordPrefixBytes;
    size_t length = load_be<uint32_t>(file.data() + entry - 4);
    if (length < file.size() - entry)
      store_be<uint64_t>(file.data() + kFileHeaderBytes, adler32(file.bytes().subspan(entry, length)));
  }
  OneFile disk(file.bytes());
  (void)is_unfinished_log(disk, "log.1");
  auto reader = LogReader::open(disk, "log.1");
  if (!reader) return;
  LogRecord record;
  for (;;) {
    uint64_t before = reader->offset();
    auto step = reader->next(record);
    OTTLA_CHECK(step.has_value());
    if (*step != LogReader::Step::record) break;
    OTTLA_CHECK(reader->offset() > before && reader->offset() <= file.size());
    zk_txn(record.entry);
  }
  (void)reader->record_after(reader->offset());
}

void zk_snapshot(Bytes input) {
  OneFile disk(input);
  CoreOptions options;
  DataTree tree(options);
  (void)snapshot_seems_whole(disk, "snapshot.1");
  if (read_snapshot(disk, "snapshot.1", 1, tree)) tree.check_invariants();
}

}  // namespace ottla::fuzz
