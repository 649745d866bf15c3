// Server: one standalone ensemble member. The shell around the cores: sockets (client_port.h), the log
// and snapshots (txnlog/), and the clock meet the pipeline (session/pipeline.h) here.
// Thread: the loop's. Construct, start(), and either shutdown() or just destroy (a crash: nothing that
// was acknowledged is lost, what was not acknowledged may be).
// Source: ZooKeeper Administrator's Guide.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/metrics/http_server.h"
#include "common/metrics/registry.h"
#include "common/rt/world.h"
#include "zk-ensemble/config/server_config.h"
#include "zk-ensemble/server/admin.h"
#include "zk-ensemble/server/client_port.h"
#include "zk-ensemble/server/four_letter.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/txnlog/data_dir.h"
#include "zk-ensemble/txnlog/log_writer.h"
#include "zk-ensemble/txnlog/recovery.h"
#include "zk-ensemble/txnlog/snapshot_writer.h"

namespace ottla::zk {

class Server final : private ClientPort::Host, private AdminServer::Host {
 public:
  // `config` as load_config() gives it.
  Server(rt::World world, ServerConfig config);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Recovers, then listens. Errors are one line for the operator, with the remedy.
  Result<void> start();
  // Stops taking requests, waits until everything accepted is durable and answered, then calls
  // `done`. Sessions live on: they are not closed.
  void shutdown(Fn<void()> done);
  // Called once when the server can no longer acknowledge anything (the log failed): the process must
  // end. Nothing was acknowledged that is not durable.
  void on_fatal(Fn<void(Error)> fatal) { fatal_ = std::move(fatal); }

  uint16_t admin_port() const { return admin_ ? admin_->port() : 0; }
  uint16_t metrics_port() const { return http_ ? http_->port() : 0; }
  uint16_t client_port() const { return port_ ? port_->port() : 0; }
  const Recovered& recovered() const { return recovered_; }
  const DataTree& tree() const { return *tree_; }
  // Takes a snapshot now, unless one is being taken.
  void take_snapshot();

 private:
  using SnapshotWaiter = Fn<void(Result<AdminServer::SnapshotFile>)>;
  struct Restore;

  // ClientPort::Host
  void on_client_open(ConnId conn, const std::string& address) override;
  void on_client_frame(ConnId conn, Bytes frame, int64_t waited_ms) override;
  void on_client_closed(ConnId conn) override;
  std::string on_word(ConnId conn, std::string_view word, Bytes argument) override;
  bool accepts_frames(ConnId conn) override;
  bool accepts_length(size_t length) override { return pipeline_->accepts_length(length); }
  void on_frames_done() override { flush(); }
  std::vector<ConnId> without_session() const override;

  // AdminServer::Host (server_admin.cc)
  OperatorView admin_view() override { return view(); }
  void admin_snapshot(SnapshotWaiter done) override;
  void admin_restore(std::string path, Fn<void(Result<int64_t>)> done) override;
  void start_admin();
  void answer_snapshot(const Result<SnapshotWriter::Done>& done);
  void restore_step();
  void write_restored();
  void swap_restored();
  void end_restore(Result<int64_t> outcome);

  PipelineLimits limits() const;
  SnapshotOptions snapshot_options() const;
  Result<void> recover_data();
  void note_newest_snapshot();
  void start_log();
  Result<void> start_port();
  void flush_soon();
  void flush();
  void on_durable(int64_t zxid);
  void on_log_failed(Error error);
  void on_tick();
  void arm_tick();
  void snapshot_done(Result<SnapshotWriter::Done> done, Instant began);
  void next_snapshot_threshold();
  void purge_now();
  void check_shutdown();
  Result<void> start_metrics();
  OperatorView view();

  // Fixed after construction.
  rt::World world_;
  ServerConfig config_;
  std::shared_ptr<const CoreOptions> core_options_;
  Prng prng_;
  Fn<void(Error)> fatal_;
  // In the order of start; destroyed in the reverse order.
  std::optional<DataDir> dir_;
  std::unique_ptr<DataTree> tree_;
  Recovered recovered_;
  int64_t recovery_ms_ = 0;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<LogWriter> log_;
  std::unique_ptr<ClientPort> port_;
  std::unique_ptr<SnapshotWriter> snapshot_;
  metrics::Registry registry_;
  std::unique_ptr<metrics::HttpServer> http_;  // with metricsProvider.className
  std::unique_ptr<AdminServer> admin_;         // unless admin.enableServer=false, or its port is taken
  std::unique_ptr<rt::Timer> tick_timer_;
  std::unique_ptr<rt::Timer> purge_timer_;
  std::unique_ptr<rt::Timer> shutdown_timer_;
  std::optional<Instant> tick_at_;
  bool tick_put_off_ = false;
  Instant started_;
  // Since the last snapshot, and where the next one is due.
  int64_t txns_since_snapshot_ = 0;
  int64_t bytes_since_snapshot_ = 0;
  int64_t snapshot_at_txns_ = 0;
  int64_t snapshot_at_bytes_ = 0;
  SnapshotFigures snapshot_figures_;
  ThrottleFigures throttle_figures_;
  int64_t trace_mask_ = 306;  // shown and set by gtmk and stmk; traces nothing
  std::vector<SnapshotWaiter> snapshot_waiters_;       // for the one that is being taken
  std::vector<SnapshotWaiter> next_snapshot_waiters_;  // asked after it began
  std::shared_ptr<Restore> restore_;
  bool paused_ = false;  // nothing is proposed: what was restored becomes the state
  int64_t mismatches_logged_ = 0;
  uint64_t slow_syncs_logged_ = 0;
  bool flush_posted_ = false;
  bool failed_ = false;
  Fn<void()> shutdown_done_;
  Instant shutdown_deadline_;
  uint64_t shutdown_unsent_ = 0;  // as it was last seen to change
  Instant shutdown_read_at_;
  bool shutdown_ending_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::zk
