#include "zk-ensemble/server/server.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace ottla::zk {
namespace {

constexpr log::Room kLog{"zk.server"};
// After this a shutdown no longer waits for a disk that does not answer or a client that does not read.
constexpr int64_t kShutdownMaxMs = 10'000;
// Nor after this without any client reading on.
constexpr int64_t kShutdownUnreadMs = 1000;
// Answers of one connection are given out when they are this large, not only after some requests.
constexpr size_t kFlushBytes = 1 << 20;
// Reads behind a write that is not durable are answered all at once: who waits for this much, or
// for something while all wait for the second, sends no more for now.
constexpr size_t kMaxWaitingRoom = 1 << 20;
constexpr size_t kMaxWaitingRoomOfAll = 64 << 20;

CoreOptions core_options_of(const ServerConfig& config) {
  CoreOptions options;
  options.tick_time_ms = config.tick_time_ms;
  options.min_session_timeout_ms = config.min_session_timeout_ms;
  options.max_session_timeout_ms = config.max_session_timeout_ms;
  options.digest_enabled = config.digest_enabled;
  options.extended_types = config.extended_types;
  options.enforce_quota = config.enforce_quota;
  options.skip_acl = config.skip_acl == "yes";
  options.request_max_bytes = static_cast<size_t>(config.jute_max_buffer);
  options.close_session_txn = config.close_session_txn;
  options.super_digest = config.super_digest;
  options.digest_algorithm = config.digest_algorithm;
  options.digest_auth_enabled = config.digest_auth_enabled;
  options.container_check_interval_ms = config.container_check_interval_ms;
  options.container_max_per_minute = config.container_max_per_minute;
  options.container_max_never_used_ms = config.container_max_never_used_ms;
  return options;
}

}  // namespace

Server::Server(rt::World world, ServerConfig config)
    : world_(world),
      config_(std::move(config)),
      core_options_(std::make_shared<const CoreOptions>(core_options_of(config_))),
      prng_(world.entropy.u64()) {}

Server::~Server() { *alive_ = false; }

PipelineLimits Server::limits() const {
  PipelineLimits limits;
  limits.connects = {.tokens = config_.connect_tokens,
                     .fill_time_ms = config_.connect_fill_time_ms,
                     .fill_count = config_.connect_fill_count,
                     .freeze_time_ms = config_.connect_freeze_time_ms,
                     .drop_increase = config_.connect_drop_increase,
                     .drop_decrease = config_.connect_drop_decrease,
                     .decrease_ratio = config_.connect_decrease_ratio,
                     .weighted = config_.connect_weighted,
                     .global_weight = config_.connect_global_weight,
                     .local_weight = config_.connect_local_weight,
                     .renew_weight = config_.connect_renew_weight};
  limits.large_request_threshold = config_.large_request_threshold;
  limits.large_request_max_bytes = config_.large_request_max_bytes;
  limits.enforced_schemes = config_.enforce_schemes;
  limits.throttled_op_wait_ms = config_.throttled_op_wait_ms;
  return limits;
}

SnapshotOptions Server::snapshot_options() const {
  return {.digest = config_.digest_enabled, .last_zxid = config_.serialize_last_zxid,
          .coding = snapshot_coding(config_.snapshot_compression)};
}

// ------------------------------------------------------------------------------------------ start

Result<void> Server::start() {
  started_ = world_.loop.now();
  if (!digest_available(config_.digest_algorithm)) {
    return fail(Errc::invalid, fmt::format("DigestAuthenticationProvider.digestAlg={}: no such hash; use SHA1, "
                                           "SHA-256, SHA-512 or SHA3-256", config_.digest_algorithm));
  }
  OTTLA_TRY(recover_data());
  pipeline_ = std::make_unique<Pipeline>(*tree_, *core_options_, world_.loop.wall_ms(), started_, limits());
  start_log();
  tick_timer_ = world_.loop.make_timer([this] { on_tick(); });
  purge_timer_ = world_.loop.make_timer([this] { purge_now(); });
  if (config_.purge_interval_h > 0) purge_timer_->arm_at(started_);
  OTTLA_TRY(start_port());
  OTTLA_TRY(start_metrics());
  start_admin();
  flush();
  log::info(kLog, "serving clients", "port={} zxid=0x{:x} nodes={} sessions={} replayed={} recovery_ms={}",
            port_->port(), static_cast<uint64_t>(tree_->last_zxid()), tree_->node_count(),
            tree_->sessions().size(), recovered_.replayed, recovery_ms_);
  return {};
}

Result<void> Server::recover_data() {
  OTTLA_ASSIGN(dir_, DataDir::open(world_.disk, config_.data_dir, config_.data_log_dir,
                                   config_.datadir_autocreate));
  OTTLA_ASSIGN(auto my_id, dir_->my_id());
  (void)my_id;  // only a quorum needs it; a broken file is still told of
  tree_ = std::make_unique<DataTree>(*core_options_);
  RecoveryOptions options;
  options.trust_empty = config_.trust_empty_snapshot;
  options.db_autocreate = config_.db_autocreate;
  OTTLA_ASSIGN(recovered_, recover(world_.disk, *dir_, *tree_, options));
  for (const std::string& warning : recovered_.warnings) log::warn(kLog, warning);
  recovery_ms_ = (world_.loop.now() - started_) / 1'000'000;
  txns_since_snapshot_ = static_cast<int64_t>(recovered_.replayed);
  note_newest_snapshot();
  next_snapshot_threshold();
  return {};
}

void Server::start_log() {
  LogOptions options;
  options.preallocate_bytes = static_cast<uint64_t>(config_.pre_alloc_size_kb) << 10;
  if (config_.txn_log_size_limit_kb > 0)
    options.size_limit_bytes = static_cast<uint64_t>(config_.txn_log_size_limit_kb) << 10;
  options.force_sync = config_.force_sync == "yes";
  log_ = std::make_unique<LogWriter>(
      world_, dir_->log_dir(), options,
      LogWriter::Listener{.on_durable = [this](int64_t zxid) { on_durable(zxid); },
                          .on_failed = [this](Error error) { on_log_failed(std::move(error)); }});
  log_->set_slow_sync_ms(config_.fsync_warning_threshold_ms);
  // Logs without a snapshot are refused at the next start, and with one of another tree they make yet another.
  if (recovered_.snapshot_first) {
    log_->hold();
    take_snapshot();
  }
}

Result<void> Server::start_port() {
  ClientPortOptions options;
  options.listen_at = {config_.client_port_address, static_cast<uint16_t>(config_.client_port.value_or(0))};
  options.frame_max_bytes = static_cast<size_t>(config_.jute_max_buffer);
  options.per_address_max = config_.max_client_cnxns;
  options.total_max = config_.max_cnxns;
  options.sessionless_timeout_ms = config_.sessionless_timeout_ms;
  ClientPort::Host& host = *this;
  port_ = std::make_unique<ClientPort>(world_, options, host);
  auto started = port_->start();
  if (started) return {};
  std::string at = rt::to_string(options.listen_at);
  if (started.error().code == Errc::in_use) {
    return fail(Errc::in_use, fmt::format("clientPort={}: {} is in use; stop the process that listens "
                                          "there or set another clientPort", options.listen_at.port, at));
  }
  return fail(started.error().code, fmt::format("clientPort={}: cannot listen on {}: {}",
                                                options.listen_at.port, at, started.error().context));
}

Result<void> Server::start_metrics() {
  register_figures(registry_, [this] { return view(); });
  if (!config_.metrics_enabled()) return {};
  http_ = std::make_unique<metrics::HttpServer>(world_);
  http_->route("/metrics", [this](const metrics::HttpRequest&) {
    return metrics::HttpResponse{.content_type = metrics::kPrometheusContentType,
                                 .body = registry_.prometheus()};
  });
  rt::Endpoint at{config_.metrics_host, static_cast<uint16_t>(config_.metrics_port)};
  auto started = http_->start(at);
  if (started) return {};
  return fail(started.error().code, fmt::format("metricsProvider.httpPort={}: cannot listen on {} ({}); "
                                                "set another port", at.port, rt::to_string(at),
                                                started.error().context));
}

// ---------------------------------------------------------------------------------------- clients

void Server::on_client_open(ConnId conn, const std::string& address) {
  pipeline_->on_open(conn, address, world_.loop.now());
}

void Server::on_client_frame(ConnId conn, Bytes frame, int64_t waited_ms) {
  bool stale = waited_ms > 0 && config_.throttle_max_requests > 0 && config_.throttle_drop_stale &&
               config_.stale_latency_check && waited_ms > pipeline_->timeout_of(conn);
  if (stale) {
    ++throttle_figures_.stale_dropped;
    pipeline_->close_connection(conn);
    return flush_soon();
  }
  pipeline_->on_frame(conn, frame, world_.loop.now(), world_.loop.wall_ms(), waited_ms);
  if (pipeline_->piled_bytes(conn) > kFlushBytes) return flush();
  flush_soon();
}

void Server::on_client_closed(ConnId conn) {
  pipeline_->on_closed(conn);
  flush_soon();
}

std::string Server::on_word(ConnId conn, std::string_view word, Bytes argument) {
  pipeline_->count_word(conn, false);
  OperatorView shown = view();
  std::string answer = answer_word(word, argument, shown);
  if (!answer.empty()) pipeline_->count_word(conn, true);
  return answer;
}

// Over a limit each connection may have one request in process: who waits for its answers is never
// held back by those who do not.
bool Server::accepts_frames(ConnId conn) {
  if (paused_) return false;
  if (config_.throttle_max_requests > 0 && pipeline_->outstanding() >= config_.throttle_max_requests) {
    ++throttle_figures_.waits;
    return false;
  }
  bool crowded = pipeline_->outstanding() > config_.global_outstanding_limit ||
                 pipeline_->waiting_room() > kMaxWaitingRoomOfAll ||
                 (pipeline_->waiting_room() > kMaxWaitingRoom &&
                  pipeline_->waiting_room(conn) > kMaxWaitingRoom);
  return !crowded || pipeline_->outstanding(conn) == 0;
}

std::vector<ConnId> Server::without_session() const {
  std::vector<ConnId> found;
  for (const ConnectionInfo& connection : pipeline_->connections())
    if (connection.session == 0) found.push_back(connection.id);
  return found;
}

// ------------------------------------------------------------------------------------- the pipeline

// Everything that arrives in one turn of the loop is handed out together.
void Server::flush_soon() {
  if (flush_posted_) return;
  flush_posted_ = true;
  world_.loop.post([this, alive = alive_] {
    if (!*alive) return;
    flush_posted_ = false;
    flush();
  });
}

void Server::flush() {
  if (failed_) return check_shutdown();
  while (pipeline_->has_effects()) {
    Effects effects = pipeline_->take_effects();
    Bytes log = effects.log.bytes();
    for (const Effects::Entry& entry : effects.entries)
      log_->append(entry.zxid, log.subspan(entry.offset, entry.length));
    txns_since_snapshot_ += static_cast<int64_t>(effects.entries.size());
    bytes_since_snapshot_ += static_cast<int64_t>(log.size());
    for (Effects::Send& send : effects.sends)
      if (port_) port_->send(send.conn, std::move(send.bytes), send.close);
  }
  if (txns_since_snapshot_ > snapshot_at_txns_ ||
      (snapshot_at_bytes_ > 0 && bytes_since_snapshot_ > snapshot_at_bytes_))
    take_snapshot();
  arm_tick();
  restore_step();
  check_shutdown();
}

void Server::on_durable(int64_t zxid) {
  if (failed_) return;
  if (log_->stats().slow_syncs != slow_syncs_logged_) {
    slow_syncs_logged_ = log_->stats().slow_syncs;
    log::warn(kLog, "a sync of the log took long, and every write with it; see fsync.warningthresholdms", "ms={}",
              log_->stats().sync_ns_last / 1'000'000);
  }
  pipeline_->on_durable(zxid, world_.loop.now(), world_.loop.wall_ms());
  if (tree_->digest_mismatches() != mismatches_logged_) {
    mismatches_logged_ = tree_->digest_mismatches();
    log::warn(kLog, "the tree's digest is not the one of the transaction", "zxid=0x{:x}",
              static_cast<uint64_t>(tree_->last_mismatch().zxid));
  }
  flush();
  if (port_) port_->resume();
}

void Server::on_log_failed(Error error) {
  failed_ = true;
  if (port_) {
    port_->stop_listening();
    port_->stop_reading();
    port_->close_all();
  }
  Error fatal{error.code, fmt::format("the transaction log cannot be written: {}; nothing more is "
                                      "acknowledged; check the disk of {} and start again",
                                      error.context, dir_->log_dir())};
  if (fatal_) {
    fatal_(std::move(fatal));
  } else {
    log::error(kLog, fatal.context);
  }
}

// A process that stood still (stopped, swapped out, its machine paused) finds sessions overdue whose
// pings wait in its sockets: those are heard first.
void Server::on_tick() {
  if (paused_) return tick_at_.reset();
  Instant now = world_.loop.now();
  bool late = tick_at_ && now - *tick_at_ > ms_to_ns(config_.tick_time_ms);
  tick_at_.reset();
  if (late && !tick_put_off_) {
    tick_put_off_ = true;
    log::warn(kLog, "stood still; sessions get one tick more to be heard", "tick_ms={}",
              config_.tick_time_ms);
    tick_at_ = after_ms(now, config_.tick_time_ms);
    return tick_timer_->arm_at(*tick_at_);
  }
  tick_put_off_ = false;
  for (ConnId conn : port_->unheard()) pipeline_->touch(conn, now);
  pipeline_->on_tick(now, world_.loop.wall_ms());
  flush();
}

void Server::arm_tick() {
  if (tick_put_off_ || paused_) return;
  std::optional<Instant> at = pipeline_->next_deadline();
  if (at == tick_at_) return;
  tick_at_ = at;
  if (at) {
    tick_timer_->arm_at(*at);
  } else {
    tick_timer_->cancel();
  }
}

// -------------------------------------------------------------------------------------- snapshots

void Server::next_snapshot_threshold() {
  int64_t half = std::max<int64_t>(config_.snap_count / 2, 1);
  snapshot_at_txns_ = half + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(half)));
  int64_t half_bytes = config_.snap_size_limit_kb > 0 ? config_.snap_size_limit_kb * 1024 / 2 : 0;
  snapshot_at_bytes_ =
      half_bytes > 0 ? half_bytes + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(half_bytes))) : 0;
}

void Server::take_snapshot() {
  if (snapshot_ || paused_) return;
  txns_since_snapshot_ = 0;
  bytes_since_snapshot_ = 0;
  next_snapshot_threshold();
  log_->roll();
  SnapshotOptions options = snapshot_options();
  Instant began = world_.loop.now();
  snapshot_ = std::make_unique<SnapshotWriter>(
      world_, dir_->snapshot_dir(), *tree_, options,
      [this, began](Result<SnapshotWriter::Done> done) { snapshot_done(std::move(done), began); });
}

void Server::snapshot_done(Result<SnapshotWriter::Done> done, Instant began) {
  // The writer is on the stack: it goes in the next turn.
  world_.loop.post([this, alive = alive_] {
    if (!*alive) return;
    snapshot_.reset();
    snapshot_waiters_ = std::exchange(next_snapshot_waiters_, {});
    if (!snapshot_waiters_.empty()) take_snapshot();
    if (!snapshot_) answer_snapshot(fail(Errc::closed, "the server is being restored"));
    restore_step();
    check_shutdown();
  });
  int64_t took_ms = (world_.loop.now() - began) / 1'000'000;
  answer_snapshot(done);
  if (!done) {
    ++snapshot_figures_.failed;
    // The log is complete without it; but one that must be there before the log is cannot be left out.
    if (recovered_.snapshot_first && snapshot_figures_.taken == 0) return on_log_failed(std::move(done).error());
    log::error(kLog, "snapshot failed; the log still holds everything, free the disk", "reason={}",
               done.error().context);
    return;
  }
  ++snapshot_figures_.taken;
  snapshot_figures_.time.add(static_cast<uint64_t>(took_ms));
  snapshot_figures_.last_zxid = done->zxid;
  snapshot_figures_.last_wall_s = world_.loop.wall_ms() / 1000;
  log::info(kLog, "snapshot taken", "zxid=0x{:x} bytes={} ms={}", static_cast<uint64_t>(done->zxid),
            done->bytes, took_ms);
  log_->release();
}

void Server::purge_now() {
  auto result = std::make_shared<Result<PurgeResult>>();
  auto work = [&disk = world_.disk, snapshots = dir_->snapshot_dir(), logs = dir_->log_dir(),
               retain = static_cast<size_t>(config_.snap_retain_count),
               result] { *result = purge(disk, snapshots, logs, retain); };
  auto done = [alive = alive_, result] {
    if (!*alive) return;
    if (!*result) {
      log::warn(kLog, "purge failed; it is tried again at the next interval", "reason={}",
                result->error().context);
    } else if ((*result)->snapshots + (*result)->logs > 0) {
      log::info(kLog, "purged", "snapshots={} logs={}", (*result)->snapshots, (*result)->logs);
    }
  };
  world_.disk.run_blocking(std::move(work), std::move(done));
  purge_timer_->arm_at(after_ms(world_.loop.now(), int64_t{config_.purge_interval_h} * 3'600'000));
}

// -------------------------------------------------------------------------------------- shutdown

void Server::shutdown(Fn<void()> done) {
  OTTLA_CHECK(!shutdown_done_, "one shutdown");
  shutdown_done_ = std::move(done);
  port_->stop_listening();
  port_->stop_reading();
  shutdown_deadline_ = after_ms(world_.loop.now(), kShutdownMaxMs);
  shutdown_timer_ = world_.loop.make_timer([this] { check_shutdown(); });
  shutdown_timer_->arm_at(shutdown_deadline_);
  flush();
}

// Waits for the log, then for the answers to leave.
void Server::check_shutdown() {
  if (!shutdown_done_ || shutdown_ending_) return;
  Instant now = world_.loop.now();
  bool late = now >= shutdown_deadline_;
  bool logged = failed_ || (log_->idle() && !pipeline_->has_effects());
  if (!logged && !late) return;
  if (uint64_t unsent = port_->unsent_bytes(); unsent != 0 && !late) {
    if (unsent != shutdown_unsent_) {
      shutdown_unsent_ = unsent;
      shutdown_read_at_ = now;
    }
    late = now >= after_ms(shutdown_read_at_, kShutdownUnreadMs);
    if (!late) return shutdown_timer_->arm_at(std::min(shutdown_deadline_, after_ms(now, 1)));
  }
  if (late) log::warn(kLog, "shutdown does not wait any longer", "unsent_bytes={}", port_->unsent_bytes());
  shutdown_ending_ = true;
  shutdown_timer_->cancel();
  port_->close_all();
  world_.loop.post([this, alive = alive_] {
    if (!*alive) return;
    log::info(kLog, "stopped", "zxid=0x{:x}", static_cast<uint64_t>(tree_->last_zxid()));
    Fn<void()> finished = std::move(shutdown_done_);
    finished();
  });
}

// -------------------------------------------------------------------------------------- operator

OperatorView Server::view() {
  static const AdminFigures kNoAdmin;
  return OperatorView{.config = config_,
                      .pipeline = *pipeline_,
                      .port = *port_,
                      .log = log_->stats(),
                      .snapshots = snapshot_figures_,
                      .throttle = throttle_figures_,
                      .admin = admin_ ? admin_->figures() : kNoAdmin,
                      .trace_mask = trace_mask_,
                      .disk = world_.disk,
                      .snapshot_dir = dir_->snapshot_dir(),
                      .log_dir = dir_->log_dir(),
                      .client_port = port_->port(),
                      .started = started_,
                      .now = world_.loop.now(),
                      .wall_ms = world_.loop.wall_ms(),
                      .replayed = static_cast<int64_t>(recovered_.replayed),
                      .recovery_ms = recovery_ms_};
}

}  // namespace ottla::zk
