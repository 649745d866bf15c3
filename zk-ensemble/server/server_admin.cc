// What the admin server asks of the server: snapshots at any time, and the replacement of everything by
// an uploaded one. See server.h.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "zk-ensemble/server/server.h"
#include "zk-ensemble/txnlog/snapshot_reader.h"

namespace ottla::zk {
namespace {
constexpr log::Room kLog{"zk.server"};
}

// A restore: read beside the living tree; then nothing more is proposed, what is under way is finished,
// and the new tree is made durable under a zxid above every one given out, so that from there on any start
// finds it. Until that snapshot has its name, a crash leaves the old state; behind it, the new one.
struct Server::Restore {
  std::unique_ptr<DataTree> tree;
  int64_t snapshot_zxid = 0;
  bool loaded = false;
  std::unique_ptr<SnapshotWriter> writer;
  Fn<void(Result<int64_t>)> done;
};

// Whatever is wrong with it: the member serves its clients without it, as Apache's does.
void Server::start_admin() {
  if (!config_.admin_enabled) return;
  AdminServer::Host& host = *this;
  auto admin = std::make_unique<AdminServer>(world_, config_, host);
  if (auto started = admin->start(); !started) {
    log::warn(kLog, "serving without HTTP commands", "reason={}", started.error().context);
    return;
  }
  admin_ = std::move(admin);
}

void Server::note_newest_snapshot() {
  if (recovered_.fresh) return;
  auto snapshots = dir_->snapshots();
  if (!snapshots) return;
  for (const ZxidFile& file : *snapshots) {
    if (file.zxid != recovered_.snapshot_zxid) continue;
    auto info = world_.disk.stat(dir_->snapshot_dir() + "/" + file.name);
    snapshot_figures_.last_zxid = file.zxid;
    if (info) snapshot_figures_.last_wall_s = info->modified_wall_ms / 1000;
    return;
  }
}

void Server::admin_snapshot(SnapshotWaiter done) {
  if (failed_ || paused_ || shutdown_done_)
    return done(fail(Errc::closed, "the server is stopping or being restored"));
  if (snapshot_) {
    next_snapshot_waiters_.push_back(std::move(done));
    return;
  }
  snapshot_waiters_.push_back(std::move(done));
  take_snapshot();
}

void Server::answer_snapshot(const Result<SnapshotWriter::Done>& done) {
  for (SnapshotWaiter& waiter : std::exchange(snapshot_waiters_, {})) {
    if (done) {
      waiter(AdminServer::SnapshotFile{done->path, done->zxid});
    } else {
      waiter(std::unexpected(done.error()));
    }
  }
}

void Server::admin_restore(std::string path, Fn<void(Result<int64_t>)> done) {
  if (failed_ || restore_ || shutdown_done_)
    return done(fail(Errc::closed, "the server is stopping or being restored"));
  restore_ = std::make_shared<Restore>();
  restore_->done = std::move(done);
  // Whoever reads must not need this server: it may end meanwhile.
  struct Loading {
    std::shared_ptr<const CoreOptions> options;
    std::unique_ptr<DataTree> tree;
    Result<int64_t> outcome = 0;
  };
  auto loading = std::make_shared<Loading>(Loading{core_options_, std::make_unique<DataTree>(*core_options_)});
  auto read = [&disk = world_.disk, path = std::move(path), loading] {
    loading->outcome = read_exported_snapshot(disk, path, *loading->tree);
  };
  auto loaded = [this, alive = alive_, loading] {
    if (!*alive) return;
    Result<int64_t>* outcome = &loading->outcome;
    if (!*outcome) return end_restore(std::unexpected(outcome->error()));
    restore_->tree = std::move(loading->tree);
    restore_->snapshot_zxid = **outcome;
    restore_->loaded = true;
    log::info(kLog, "restoring a snapshot, all connections are closed", "zxid=0x{:x} nodes={}",
              static_cast<uint64_t>(**outcome), restore_->tree->node_count());
    paused_ = true;
    port_->close_all();
    flush();
  };
  world_.disk.run_blocking(std::move(read), std::move(loaded));
}

// Waits for what was under way.
void Server::restore_step() {
  if (!restore_ || !restore_->loaded || restore_->writer || snapshot_ || failed_) return;
  if (!log_->idle() || pipeline_->has_effects() || pipeline_->last_proposed() != tree_->last_zxid()) return;
  write_restored();
}

void Server::write_restored() {
  DataTree& tree = *restore_->tree;
  tree.set_last_zxid(std::max(restore_->snapshot_zxid, tree_->last_zxid() + 1));
  (void)tree.drop_orphans();
  restore_->writer = std::make_unique<SnapshotWriter>(
      world_, dir_->snapshot_dir(), tree, snapshot_options(), [this](Result<SnapshotWriter::Done> done) {
        // The writer is on the stack.
        auto outcome = std::make_shared<Result<SnapshotWriter::Done>>(std::move(done));
        world_.loop.post([this, alive = alive_, outcome] {
          if (!*alive || failed_) return;
          restore_->writer.reset();
          if (!*outcome) return end_restore(std::unexpected(outcome->error()));
          snapshot_figures_.last_zxid = (*outcome)->zxid;
          snapshot_figures_.last_wall_s = world_.loop.wall_ms() / 1000;
          swap_restored();
        });
      });
}

void Server::swap_restored() {
  port_->close_all();  // who came meanwhile spoke to the old state
  pipeline_.reset();
  tree_ = std::move(restore_->tree);
  pipeline_ = std::make_unique<Pipeline>(*tree_, *core_options_, world_.loop.wall_ms(), world_.loop.now(), limits());
  log_->roll();
  txns_since_snapshot_ = bytes_since_snapshot_ = 0;
  mismatches_logged_ = tree_->digest_mismatches();
  log::info(kLog, "restored", "zxid=0x{:x} nodes={}", static_cast<uint64_t>(tree_->last_zxid()),
            tree_->node_count());
  end_restore(tree_->last_zxid());
}

void Server::end_restore(Result<int64_t> outcome) {
  paused_ = false;
  std::shared_ptr<Restore> ended = std::move(restore_);
  ended->done(std::move(outcome));
  port_->resume();
  arm_tick();
  check_shutdown();
}

}  // namespace ottla::zk
