// Room broker/controller: the control plane, a shell around the cores of this room. Runs on the
// broker's control loop; the only file here that knows the session file and the clock.
// Source: Kafka's KafkaServer (start order), KIP-380; see control_plane.h.
#include "broker/controller/control_plane.h"

#include <fmt/core.h>

#include <algorithm>

#include "broker/controller/broker_ids.h"
#include "broker/controller/config_store.h"
#include "broker/controller/controller.h"
#include "broker/controller/partition_admin.h"
#include "broker/controller/producer_ids.h"
#include "broker/controller/random_uuid.h"
#include "broker/controller/registration.h"
#include "broker/controller/session_file.h"
#include "broker/zk/wire_client.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {

constexpr log::Room kLog{"broker.controller"};
constexpr int32_t kCloseTimeoutMs = 2000;

bool expired_in(const std::vector<ZkReply>& replies) {
  return std::any_of(replies.begin(), replies.end(),
                     [](const ZkReply& reply) { return reply.error == ZkError::session_expired; });
}

}  // namespace

struct ControlPlane::Impl final : ZkListener, TopicAdminHost {
  Impl(rt::World& w, ControlPlaneOptions o, ControlPlaneHost& h, BrokerChannel& c)
      : world(w), options(std::move(o)), host(h), channel(c) {}
  ~Impl() override {
    *alive = false;
    if (client) client->remove_listener(this);
  }

  void open();
  void prepare();
  void on_prepared(std::vector<ZkReply> replies);
  void make_missing(std::vector<ZkRequest> creates, bool make_cluster_id);
  void reclaim(const ZkReply& own_node);
  void generate_id();
  void load_configs();
  void make_parts();
  void opened(Result<void> result);
  void begin_save();
  void join();
  void on_joined(Result<int64_t> epoch);

  void on_zk_event(const ZkEvent& event) override {
    if (configs && event.path == zpath::kConfigChanges) configs->on_changes();
  }
  void on_zk_session(ZkSessionEvent event) override;

  MetadataPtr metadata() const override { return host.metadata(); }
  bool is_active_controller() const override { return controller && controller->active(); }
  bool is_queued_for_deletion(const std::string& topic) const override {
    return controller && controller->queued_for_deletion(topic);
  }
  UntoldTopics untold_topics() const override {
    return controller ? untold(controller->state(), *host.metadata()) : UntoldTopics{};
  }
  AdminRefusal validate_topic_config(const ConfigMap& config) const override {
    return host.validate_topic_config(config);
  }

  rt::World world;
  ControlPlaneOptions options;
  ControlPlaneHost& host;
  BrokerChannel& channel;

  // Declared first, destroyed last: the others hold references to it.
  std::unique_ptr<WireClient> client;
  std::unique_ptr<WireClient> reclaimer;
  WireClientOptions client_options;
  std::optional<SessionRecord> last_run;
  std::unique_ptr<ConfigStore> configs;
  std::unique_ptr<Controller> controller;
  std::unique_ptr<TopicAdmin> admin;
  std::unique_ptr<PartitionAdmin> partitions;

  std::string cluster_id;
  BrokerRegistration self;
  bool connected_once = false;
  bool registered_once = false;
  bool leaving = false;
  bool save_runs = false;   // the session file is being written
  bool join_waits = false;  // for that write
  Fn<void()> leave_waits;   // for that write
  int64_t saved_session = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  int64_t broker_epoch = -1;
  Fn<void(Result<std::string>)> open_done;
  Fn<void(Result<int64_t>)> join_done;
};

ControlPlane::ControlPlane(rt::World& world, ControlPlaneOptions options, ControlPlaneHost& host,
                           BrokerChannel& channel)
    : impl_(std::make_unique<Impl>(world, std::move(options), host, channel)) {}
ControlPlane::~ControlPlane() = default;

// ------------------------------------------------------------------------------------------ open

void ControlPlane::open(Fn<void(Result<std::string>)> done) {
  impl_->open_done = std::move(done);
  impl_->open();
}

void ControlPlane::Impl::open() {
  auto connect = parse_connect_string(options.zookeeper_connect);
  if (!connect) {
    world.loop.post([this, token = alive, error = connect.error()]() mutable {
      if (*token) opened(std::unexpected(std::move(error)));
    });
    return;
  }
  client_options.servers = std::move(*connect);
  client_options.session_timeout_ms = options.session_timeout_ms;
  client_options.connection_timeout_ms = options.connection_timeout_ms;
  client_options.max_in_flight = options.max_in_flight;
  last_run = read_session_file(world.disk, options.session_dir);
  client = std::make_unique<WireClient>(world, client_options);
  client->add_listener(this);
  admin = std::make_unique<TopicAdmin>(world, *client, *this, options.topics);
  admin->on_config_written([this](const std::string& topic, const ConfigMap& config) {
    configs->know_topic(topic, config);
  });
  client->start([this](Result<void> connected) {
    if (!connected) return opened(std::unexpected(std::move(connected).error()));
    connected_once = true;
    prepare();
  });
}

// One round of reads tells what is missing: on a restart nothing is, and nothing is written.
void ControlPlane::Impl::prepare() {
  std::vector<ZkRequest> reads;
  reads.push_back(ZkRequest::get(zpath::kClusterId));
  reads.push_back(ZkRequest::get(zpath::broker(options.broker_id)));
  for (const std::string& path : zpath::persistent()) reads.push_back(ZkRequest::exists(path));
  client->submit_all(std::move(reads),
                     [this](std::vector<ZkReply> replies) { on_prepared(std::move(replies)); });
}

// Here and below: when the session expires in the middle, the next one begins at prepare() again.
void ControlPlane::Impl::on_prepared(std::vector<ZkReply> replies) {
  if (expired_in(replies)) return;
  const auto& paths = zpath::persistent();
  std::vector<ZkRequest> creates;
  for (size_t i = 0; i < paths.size(); ++i)
    if (replies[2 + i].error == ZkError::no_node)
      creates.push_back(ZkRequest::create(paths[i], std::nullopt));
  bool make_cluster_id = replies[0].error == ZkError::no_node;
  for (const ZkReply& reply : replies)
    if (!reply.ok() && reply.error != ZkError::no_node)
      return opened(fail(Errc::permission,
                         fmt::format("ZooKeeper at {} answered {}; check the ACLs below the chroot",
                                     options.zookeeper_connect, jute::error_name(reply.error))));
  if (!make_cluster_id) {
    auto id = decode_cluster_id(replies[0].data.value_or(""));
    if (!id) return opened(std::unexpected(std::move(id).error()));
    cluster_id = std::move(*id);
  }
  ZkReply own_node = std::move(replies[1]);
  if (creates.empty() && !make_cluster_id)
    return options.broker_id < 0 ? generate_id() : reclaim(own_node);
  make_missing(std::move(creates), make_cluster_id);
}

void ControlPlane::Impl::make_missing(std::vector<ZkRequest> creates, bool make_cluster_id) {
  if (make_cluster_id) {
    creates.push_back(ZkRequest::create("/cluster", std::nullopt));
    creates.push_back(ZkRequest::create(zpath::kClusterId,
                                        encode_cluster_id(random_uuid(world.entropy).to_string())));
  }
  client->submit_all(std::move(creates), [this](std::vector<ZkReply> replies) {
    if (expired_in(replies)) return;
    for (const ZkReply& reply : replies)
      if (!reply.ok() && reply.error != ZkError::node_exists)
        return opened(
            fail(Errc::permission,
                 fmt::format("the broker's paths cannot be made at {}: ZooKeeper answered "
                             "{}; check the ACLs below the chroot",
                             options.zookeeper_connect, jute::error_name(reply.error))));
    // Whose id it is when two brokers start at once, only the node tells.
    prepare();
  });
}

// Our own ephemeral of a run that was killed. That it is ours, the session file of this log dir
// says: the same cluster, broker and chroot, and the very session that owns the node.
void ControlPlane::Impl::reclaim(const ZkReply& own_node) {
  bool stale = own_node.ok() && last_run && last_run->broker_id == options.broker_id &&
               last_run->cluster_id == cluster_id &&
               last_run->chroot == client_options.servers.chroot &&
               last_run->session.session_id == own_node.stat.ephemeral_owner;
  if (!stale) return load_configs();
  log::info(kLog, "ending the session of an earlier run", "session=0x{:x}",
            static_cast<uint64_t>(last_run->session.session_id));
  reclaimer =
      WireClient::end_session(world, client_options, last_run->session, [this](Result<void> ended) {
        if (!ended)
          log::warn(kLog, "an earlier session could not be ended", "why=\"{}\"",
                    ended.error().context);
        world.loop.post([this, token = alive] {
          if (!*token) return;
          reclaimer.reset();
          load_configs();
        });
      });
}

// A new number has no earlier run: nothing is to be reclaimed.
void ControlPlane::Impl::generate_id() {
  generate_broker_id(*client, options.reserved_broker_max_id, [this](Result<int32_t> id) {
    if (!id && id.error().code == Errc::closed) return;
    if (!id) return opened(std::unexpected(std::move(id).error()));
    options.broker_id = *id;
    log::info(kLog, "broker id generated", "broker={}", *id);
    load_configs();
  });
}

// What knows this broker's id, made once there is one.
void ControlPlane::Impl::make_parts() {
  configs = std::make_unique<ConfigStore>(
      *client, options.broker_id, [this] { return world.loop.wall_ms(); },
      [this](const std::string& type, const std::string& name, const ConfigMap& config) {
        host.on_config(type, name, config);
        if (type == "topics" && prefers_availability(config).value_or(false))
          controller->on_unclean_topic(name);
      });
  ControllerOptions controller_options;
  controller_options.broker_id = options.broker_id;
  controller_options.inter_broker_listener = options.inter_broker_listener;
  controller_options.delete_topic_enable = options.topics.delete_topic_enable;
  controller_options.unclean_leader_election = options.unclean_leader_election;
  ControllerEnvironment environment;
  environment.wall_ms = [this] { return world.loop.wall_ms(); };
  environment.new_topic_id = [this] { return random_uuid(world.entropy); };
  environment.note = [](const std::string& line) { log::info(kLog, line); };
  controller =
      std::make_unique<Controller>(*client, channel, controller_options, std::move(environment));
  partitions = std::make_unique<PartitionAdmin>(world, *controller, *this);
}

void ControlPlane::Impl::load_configs() {
  if (!configs) make_parts();
  begin_save();
  configs->load([this](Result<void> loaded) {
    if (!loaded && loaded.error().code == Errc::closed) return;
    opened(std::move(loaded));
  });
}

void ControlPlane::Impl::opened(Result<void> result) {
  auto done = std::exchange(open_done, nullptr);
  if (!done) return;
  if (!result) return done(std::unexpected(std::move(result).error()));
  done(cluster_id);
}

// ------------------------------------------------------------------------------------------ join

void ControlPlane::join(BrokerRegistration self, Fn<void(Result<int64_t>)> done) {
  impl_->self = std::move(self);
  impl_->self.id = impl_->options.broker_id;
  impl_->join_done = std::move(done);
  impl_->join();
}

// The right to end this session must be on disk before the session owns anything. Begun as soon as
// the session is to be used, so that its syncs run beside the loading of configs and logs. One
// write at a time: a later session's comes after it, and an end, which removes the file, too.
void ControlPlane::Impl::begin_save() {
  if (save_runs) return;
  save_runs = true;
  SessionRecord record{client->session(), options.broker_id, cluster_id,
                       client_options.servers.chroot};
  auto result = std::make_shared<Result<void>>();
  world.disk.run_blocking(
      [disk = &world.disk, dir = options.session_dir, record, result] {
        *result = write_session_file(*disk, dir, record);
      },
      [this, token = alive, result, session = record.session.session_id] {
        if (!*token) return;
        save_runs = false;
        // Without the file a restart after a kill has to wait for the session's timeout: no reason
        // to refuse service.
        if (!*result)
          log::warn(kLog,
                    "the session was not saved; a restart after a kill must wait for its timeout",
                    "why=\"{}\"", result->error().context);
        saved_session = session;
        if (leave_waits) return std::exchange(leave_waits, nullptr)();
        if (join_waits) join();
      });
}

void ControlPlane::Impl::join() {
  join_waits = false;
  if (leaving) return;
  int64_t session = client->session().session_id;
  if (session == 0) return;  // expired: the next session joins
  if (saved_session != session) {
    join_waits = true;
    return begin_save();
  }
  self.timestamp_ms = world.loop.wall_ms();
  register_broker(*client, self, {options.single_broker, options.zookeeper_connect},
                  [this](Result<int64_t> epoch) { on_joined(std::move(epoch)); });
}

void ControlPlane::Impl::on_joined(Result<int64_t> epoch) {
  if (leaving) return;
  // A new session follows an expired one, and registers anew.
  if (!epoch && epoch.error().code == Errc::closed) return;
  if (!epoch) {
    if (auto done = std::exchange(join_done, nullptr)) return done(std::unexpected(epoch.error()));
    return host.on_fatal(std::move(epoch).error());
  }
  broker_epoch = *epoch;
  registered_once = true;
  log::info(kLog, "broker registered", "broker={} epoch={} cluster={}", self.id, broker_epoch,
            cluster_id);
  host.on_registered(broker_epoch);
  controller->start();
  if (auto done = std::exchange(join_done, nullptr)) done(broker_epoch);
}

void ControlPlane::Impl::on_zk_session(ZkSessionEvent event) {
  if (leaving) return;
  if (event == ZkSessionEvent::expired) {
    broker_epoch = -1;
    if (registered_once) host.on_session_lost();
  }
  if (event == ZkSessionEvent::connected && open_done && connected_once) return prepare();
  bool joining = registered_once || join_done;
  if (event == ZkSessionEvent::connected && joining) {
    configs->load([](Result<void>) {});
    join();
  }
}

void ControlPlane::leave(Fn<void()> done) {
  impl_->leaving = true;
  if (impl_->controller) impl_->controller->stop();
  if (!impl_->client) {
    impl_->world.loop.post(std::move(done));
    return;
  }
  impl_->client->close(
      kCloseTimeoutMs, [impl = impl_.get(), done = std::move(done)](bool gone) mutable {
        auto end = [impl, gone, done = std::move(done)]() mutable {
          // A session that no server could be told to end is for the next run to reclaim. One that
          // has ended is not: losing the removal costs a try at an expired one.
          if (gone)
            (void)impl->world.disk.remove(impl->options.session_dir + "/" + kSessionFileName);
          done();
        };
        if (!impl->save_runs) return end();
        impl->leave_waits = std::move(end);
      });
}

// ------------------------------------------------------------------------------------- the rest

ConfigStore& ControlPlane::configs() { return *impl_->configs; }
TopicAdmin& ControlPlane::topics() { return *impl_->admin; }
PartitionAdmin& ControlPlane::partitions() { return *impl_->partitions; }
int32_t ControlPlane::broker_id() const { return impl_->options.broker_id; }
int64_t ControlPlane::broker_epoch() const { return impl_->broker_epoch; }
const std::string& ControlPlane::cluster_id() const { return impl_->cluster_id; }
bool ControlPlane::is_active_controller() const { return impl_->is_active_controller(); }
int32_t ControlPlane::controller_epoch() const {
  return impl_->controller ? impl_->controller->epoch() : 0;
}

void ControlPlane::on_metadata_changed() {
  if (impl_->configs) impl_->configs->forget_deleted(*impl_->host.metadata());
  if (impl_->admin) impl_->admin->on_metadata_changed();
  if (impl_->partitions) impl_->partitions->on_metadata_changed();
}

namespace {

void claim(ZkClient& zk, int32_t broker, Fn<void(kmsg::ErrorCode, ProducerIdRange)> done) {
  claim_producer_ids(zk, broker, [done = std::move(done)](Result<ProducerIdBlock> block) mutable {
    if (!block) {
      log::warn(kLog, "no producer ids", "why=\"{}\"", block.error().context);
      return done(kmsg::ErrorCode::coordinator_load_in_progress, {});
    }
    done(kmsg::ErrorCode::none,
         {block->first, static_cast<int32_t>(block->last - block->first + 1)});
  });
}

}  // namespace

void ControlPlane::allocate_producer_ids(Fn<void(kmsg::ErrorCode, ProducerIdRange)> done) {
  claim(*impl_->client, impl_->options.broker_id, std::move(done));
}

void ControlPlane::allocate_producer_ids_for(int32_t broker, int64_t broker_epoch,
                                             Fn<void(kmsg::ErrorCode, ProducerIdRange)> done) {
  if (!is_active_controller()) return done(kmsg::ErrorCode::not_controller, {});
  std::optional<int64_t> known = impl_->controller->broker_epoch(broker);
  if (!known) return done(kmsg::ErrorCode::broker_id_not_registered, {});
  if (*known != broker_epoch) return done(kmsg::ErrorCode::stale_broker_epoch, {});
  claim(*impl_->client, broker, std::move(done));
}

void ControlPlane::write_consumer_offsets(std::string group, std::vector<ConsumerOffset> offsets,
                                          ConsumerOffsetsDone done) {
  broker::write_consumer_offsets(*impl_->client, std::move(group), std::move(offsets),
                                 std::move(done));
}
void ControlPlane::read_consumer_offsets(std::string group, std::vector<ConsumerOffset> offsets,
                                         ConsumerOffsetsDone done) {
  broker::read_consumer_offsets(*impl_->client, std::move(group), std::move(offsets),
                                std::move(done));
}

void ControlPlane::read_partition_count(std::string_view topic, Fn<void(Result<int32_t>)> done) {
  impl_->client->submit(
      ZkRequest::get(zpath::topic(std::string(topic))),
      [done = std::move(done)](ZkReply reply) mutable {
        if (reply.error == ZkError::no_node) return done(fail(Errc::not_found, "no such topic"));
        if (!reply.ok())
          return done(fail(Errc::closed,
                           fmt::format("ZooKeeper answered {}", jute::error_name(reply.error))));
        auto node = decode_topic(reply.data.value_or(""));
        if (!node) return done(std::unexpected(std::move(node).error()));
        done(static_cast<int32_t>(node->partitions.size()));
      });
}

void ControlPlane::announce_failed_dir() {
  impl_->client->submit(ZkRequest::create(std::string(zpath::kLogDirEvents) + "/log_dir_event_",
                                          encode_log_dir_event(impl_->options.broker_id),
                                          CreateMode::persistent_sequential),
                        [this](ZkReply reply) {
                          if (reply.error == ZkError::connection_loss) return announce_failed_dir();
                          if (!reply.ok() && reply.error != ZkError::session_expired)
                            log::warn(kLog,
                                      "the controller cannot be told of a failed log directory",
                                      "why={}", jute::error_name(reply.error));
                        });
}

void ControlPlane::load_topic_configs(const std::vector<std::string>& topics, Fn<void()> done) {
  impl_->configs->load_topics(topics, std::move(done));
}
void ControlPlane::read_config(const std::string& entity_type, const std::string& name,
                               Fn<void(Result<ConfigMap>)> done) {
  impl_->configs->read(entity_type, name, std::move(done));
}
void ControlPlane::set_unclean_election(bool enabled) {
  impl_->controller->set_unclean_election(enabled);
}

void ControlPlane::write_config(const std::string& entity_type, const std::string& name,
                                ConfigMap config, Fn<void(Result<void>)> done) {
  impl_->configs->write(entity_type, name, config, std::move(done));
}

}  // namespace ottla::broker
