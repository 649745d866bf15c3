#include "broker/server/broker.h"

#include <fmt/core.h>

#include "broker/api/handlers.h"
#include "broker/config/dynamic_config.h"
#include "broker/server/log_settings.h"
#include "common/base/log.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr log::Room kLog{"broker"};

ControlPlaneOptions control_options(const BrokerConfig& config, int32_t broker_id) {
  ControlPlaneOptions options;
  options.zookeeper_connect = config.zookeeper_connect.value_or("");
  options.session_timeout_ms = config.zookeeper_session_timeout_ms;
  options.connection_timeout_ms =
      config.zookeeper_connection_timeout_ms.value_or(config.zookeeper_session_timeout_ms);
  options.max_in_flight = config.zookeeper_max_in_flight_requests;
  options.broker_id = broker_id;
  options.reserved_broker_max_id = config.reserved_broker_max_id;
  options.session_dir = config.log_dirs.front();
  options.unclean_leader_election = config.unclean_leader_election_enable;
  TopicAdminOptions& topics = options.topics;
  topics.num_partitions = config.num_partitions;
  topics.default_replication_factor = static_cast<int16_t>(config.default_replication_factor);
  topics.delete_topic_enable = config.delete_topic_enable;
  topics.offsets_topic_num_partitions = config.offsets_topic_num_partitions;
  topics.offsets_topic_replication_factor = config.offsets_topic_replication_factor;
  topics.offsets_topic_segment_bytes = config.offsets_topic_segment_bytes;
  topics.transaction_topic_num_partitions = config.transaction_state_log_num_partitions;
  topics.transaction_topic_replication_factor = config.transaction_state_log_replication_factor;
  topics.transaction_topic_min_isr = config.transaction_state_log_min_isr;
  topics.transaction_topic_segment_bytes = config.transaction_state_log_segment_bytes;
  return options;
}

}  // namespace

Broker::Broker(rt::World world, BrokerConfig config, Fn<std::string()> host_name)
    : world_(world),
      file_config_(std::move(config)),
      config_(file_config_),
      metadata_(MetadataImage::empty("")) {
  for (const Listener& listener : config_.advertised_listeners)
    if (listener.host.empty() && host_name_.empty()) host_name_ = host_name();
  register_metrics();
}

Broker::~Broker() = default;

// ---------------------------------------------------------------------------------------------
// start

void Broker::start(Fn<void(Result<void>)> done) {
  OTTLA_CHECK(state_ == BrokerState::not_running);
  state_ = BrokerState::starting;
  started_ = std::move(done);
  start_began_ = world_.loop.now();
  if (auto held = hold_dirs(); !held) return start_failed(std::move(held.error()));
  if (auto served = start_metrics(); !served) return start_failed(std::move(served.error()));
  if (auto chosen = choose_id(); !chosen) return start_failed(std::move(chosen.error()));
  open_control_plane();
}

void Broker::start_failed(Error error) {
  if (state_ == BrokerState::shutting_down)
    return;  // what was begun comes to nothing, as it was asked to
  state_ = BrokerState::not_running;
  // Not from inside a part that reports the failure: what is done about it may destroy that part.
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), error = std::move(error)]() mutable {
    if (!alive.expired() && started_) std::exchange(started_, nullptr)(std::unexpected(error));
  });
}

// A second broker on the same directories must not get as far as ZooKeeper, where it would end the
// session of the first. The log manager takes the locks over.
Result<void> Broker::hold_dirs() {
  for (const std::string& dir : config_.log_dirs) {
    if (!rt::make_dirs_durable(world_.disk, dir)) continue;  // the log manager says what is wrong
    auto lock = world_.disk.lock(dir + "/.lock");
    if (lock) {
      early_locks_.push_back(std::move(*lock));
    } else if (lock.error().code == Errc::in_use) {
      return fail(
          Errc::in_use,
          fmt::format("log.dirs={}: another broker is running on this directory; stop it or "
                      "give this one its own",
                      dir));
    }
  }
  return {};
}

// What broker.id says, or what the directories were made for; else the control plane generates one.
Result<void> Broker::choose_id() {
  OTTLA_ASSIGN(auto metas, LogManager::read_meta(world_.disk, config_.log_dirs));
  broker_id_ = config_.broker_id;
  for (const MetaProperties& meta : metas)
    if (broker_id_ < 0 && meta.broker_id) broker_id_ = *meta.broker_id;
  return {};
}

void Broker::open_control_plane() {
  channel_ = std::make_unique<LocalChannel>(world_.loop, *this);
  control_ = std::make_unique<ControlPlane>(world_, control_options(config_, broker_id_), *this,
                                            *channel_);
  control_->open([this, alive = std::weak_ptr<int>(alive_)](Result<std::string> cluster_id) {
    if (!alive.expired()) on_cluster_id(std::move(cluster_id));
  });
}

void Broker::on_cluster_id(Result<std::string> cluster_id) {
  if (state_ == BrokerState::shutting_down) return;
  if (!cluster_id) return start_failed(std::move(cluster_id.error()));
  cluster_id_ = std::move(*cluster_id);
  broker_id_ = control_->broker_id();
  metadata_ = MetadataImage::empty(cluster_id_);
  state_ = BrokerState::recovery;
  if (auto loaded = load_logs(); !loaded) return start_failed(std::move(loaded.error()));
  state_ = BrokerState::starting;
  port_ = std::make_unique<ClientPort>(
      world_, config_, figures_, [this](RequestPtr request) { dispatch(std::move(request)); });
  if (auto bound = port_->bind(); !bound) return start_failed(std::move(bound.error()));
  join_cluster();
}

Result<void> Broker::load_logs() {
  LogManagerOptions options = log_manager_options(config_);
  options.cluster_id = cluster_id_;
  options.broker_id = broker_id_;
  options.config_for = [this](const std::string& topic) { return log_config_for(topic); };
  options.on_dir_offline = [this](const std::string& dir, const std::vector<TopicPartition>& lost) {
    on_dir_offline(dir, lost);
  };
  early_locks_.clear();
  OTTLA_ASSIGN(logs_, LogManager::open(world_, std::move(options)));
  replicas_ = std::make_unique<ReplicaManager>(world_, broker_id_, *logs_, *this);
  replicas_->set_metadata(metadata_);
  offsets_ = std::make_unique<LocalOffsetsStore>(*replicas_);
  groups_ = std::make_unique<GroupService>(world_, config_, *offsets_);
  sessions_ = std::make_unique<FetchSessionCache>(config_.max_incremental_fetch_session_cache_slots,
                                                  world_.entropy.u64());
  producer_ids_ = std::make_unique<ProducerIds>(*control_);
  context_.reset(new ApiContext{world_, config_, broker_id_, *replicas_, *control_, *sessions_,
                                *groups_, *producer_ids_, dynamic_, file_config_, *this});
  logs_->start_tasks();
  return {};
}

BrokerRegistration Broker::registration() const {
  BrokerRegistration self;
  self.id = broker_id_;
  self.rack = config_.broker_rack;
  self.timestamp_ms = world_.loop.wall_ms();
  for (const Listener& listener : config_.advertised_listeners) {
    BrokerEndpoint endpoint;
    endpoint.listener = listener.name;
    endpoint.host = listener.host.empty() ? host_name_ : listener.host;
    endpoint.port = listener.port != 0 ? listener.port : port_->port_of(listener.name);
    endpoint.security_protocol = security_protocol_id(listener.protocol);
    self.endpoints.push_back(std::move(endpoint));
  }
  return self;
}

void Broker::join_cluster() {
  groups_->start();
  control_->join(registration(), [this, alive = std::weak_ptr<int>(alive_)](Result<int64_t> epoch) {
    if (!alive.expired()) on_joined(std::move(epoch));
  });
}

void Broker::on_joined(Result<int64_t> broker_epoch) {
  if (state_ == BrokerState::shutting_down) return;
  if (!broker_epoch) return start_failed(std::move(broker_epoch.error()));
  replicas_->set_broker_epoch(*broker_epoch);
  joined_ = true;
  maybe_running();
}

// A group lies in the partition that a hash over their number says. After a controller died while
// it made __consumer_offsets, the metadata names those alone that it came to: the number is what
// the topic's znode says, and groups are not served before it is known.
void Broker::learn_group_partitions() {
  if (groups_->partition_count_is_known() || asks_group_partitions_) return;
  asks_group_partitions_ = true;
  control_->read_partition_count(
      kOffsetsTopic, [this, alive = std::weak_ptr<int>(alive_)](Result<int32_t> count) {
        if (alive.expired()) return;
        asks_group_partitions_ = false;
        if (count)
          groups_->set_partition_count(*count);
        else  // asked again with the next metadata
          log::warn(kLog, "the number of group partitions is not known yet", "why=\"{}\"",
                    count.error().context);
        maybe_running();
      });
}

// Clients are served once this broker sees itself in the metadata: an answer before would name no
// broker at all.
void Broker::maybe_running() {
  if (!joined_ || asks_group_partitions_ || state_ != BrokerState::starting) return;
  if (replicas_->metadata()->broker(broker_id_) == nullptr) return;
  state_ = BrokerState::running;
  port_->open();
  log::info(kLog, "broker is serving",
            "broker_id={} cluster_id={} port={} partitions={} start_ms={}", broker_id_, cluster_id_,
            port(config_.listeners.front().name), logs_->partition_count(),
            (world_.loop.now() - start_began_) / 1'000'000);
  if (started_) std::exchange(started_, nullptr)({});
}

// ----------------------------------------------------------------------------------------------
// stop

void Broker::stop(Fn<void()> done) {
  if (state_ == BrokerState::shutting_down) return;
  bool was_up = state_ == BrokerState::running;
  state_ = BrokerState::shutting_down;
  log::info(kLog, "broker is stopping", "broker_id={}", broker_id_);
  if (was_up) replicas_->expire_all();
  if (port_) port_->finish();
  // One turn, so that the last answers leave; then the logs are closed and the cluster is told.
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), done = std::move(done)]() mutable {
    if (alive.expired()) return;
    if (port_) port_->close();
    if (!logs_) return leave(std::move(done));
    logs_->shutdown([this, done = std::move(done)](bool all) mutable {
      if (!all) log::error(kLog, "some log directory was not closed cleanly; it will be recovered");
      leave(std::move(done));
    });
  });
}

void Broker::leave(Fn<void()> done) {
  if (!control_) return done();
  control_->leave(std::move(done));
}

// ------------------------------------------------------------------------------------------
// requests

void Broker::dispatch(RequestPtr request) {
  const ApiHandler* handler = find_handler(request->api());
  if (handler == nullptr || state_ != BrokerState::running) return request->close();
  handler->handle(*context_, std::move(request));
}

uint16_t Broker::port(const std::string& listener) const {
  return port_ ? port_->port_of(listener) : 0;
}

// ------------------------------------------------------------------------- what the control plane
// says

MetadataPtr Broker::metadata() const { return replicas_ ? replicas_->metadata() : metadata_; }

AdminRefusal Broker::validate_topic_config(const ConfigMap& config) const {
  std::string fault = topic_config_fault(config_, config);
  if (fault.empty()) return {};
  return {ErrorCode::invalid_config, std::move(fault)};
}

void Broker::on_registered(int64_t broker_epoch) {
  if (replicas_) replicas_->set_broker_epoch(broker_epoch);
}

void Broker::on_session_lost() {
  ++figures_.session_expirations;
  log::warn(kLog, "the ZooKeeper session expired; registering again", "broker_id={}", broker_id_);
}

void Broker::on_fatal(Error error) {
  log::error(kLog, "the broker cannot go on", "why={}", error.context);
  if (started_) return start_failed(std::move(error));
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), error = std::move(error)]() mutable {
    if (!alive.expired() && on_failed_) on_failed_(std::move(error));
  });
}

LogConfig Broker::log_config_for(const std::string& topic) const {
  auto own = topic_overrides_.find(topic);
  return to_log_config(own == topic_overrides_.end() ? topic_defaults(config_)
                                                     : make_topic_config(config_, own->second));
}

void Broker::on_config(const std::string& entity_type, const std::string& name,
                       const ConfigMap& config) {
  if (entity_type == "topics") {
    if (config.empty())
      topic_overrides_.erase(name);
    else
      topic_overrides_[name] = config;
    if (logs_) logs_->update_config(name, log_config_for(name));
  } else if (entity_type == "brokers") {
    bool own = name == std::to_string(control_->broker_id());
    if (!own && name != kDefaultEntity) return;
    ConfigOverrides usable = usable_dynamic(config, own);
    if (usable.size() < config.size())
      log::warn(kLog, "some stored broker configs have no effect: not dynamic, or no valid value",
                "entity=brokers/{} stored={} used={}", name, config.size(), usable.size());
    (own ? dynamic_.broker : dynamic_.cluster_default) = std::move(usable);
    on_broker_config();
  }
}

// Parts that look at the settings when they need one see the new ones from now on; logs are told.
void Broker::on_broker_config() {
  config_ = with_dynamic(file_config_, dynamic_);
  control_->set_unclean_election(config_.unclean_leader_election_enable);
  if (!logs_) return;
  logs_->for_each([this](PartitionLog& log) {
    log.set_config(log_config_for(log.tp().topic));
    log.set_producer_id_expiration(config_.producer_id_expiration_ms);
  });
  logs_->set_producer_id_expiration(config_.producer_id_expiration_ms);
}

// ----------------------------------------------------------------------------- the controller's
// requests

void Broker::give_order(Fn<void()> order) {
  orders_.push_back(std::move(order));
  run_orders();
}

void Broker::run_orders() {
  std::weak_ptr<int> alive = alive_;
  while (!alive.expired() && !order_under_way_ && !orders_.empty()) {
    Fn<void()> order = std::move(orders_.front());
    orders_.pop_front();
    order();
  }
}

struct Broker::RolesOrder {
  ReplicaManager::LeaderAndIsrOrder roles;
  Fn<void(kmsg::LeaderAndIsrResponse)> done;
};

void Broker::execute(kmsg::LeaderAndIsrRequest request, Fn<void(kmsg::LeaderAndIsrResponse)> done) {
  if (!replicas_) return done({});
  auto order = std::make_shared<RolesOrder>();
  order->roles.request = std::move(request);
  order->done = std::move(done);
  give_order([this, order = std::move(order)] { begin_roles(order); });
}

// A log is opened with its topic's config, and nothing else announces that of a topic which was
// created by somebody else, or whose creation had its reply lost. An order that is to be refused
// is not worth a look at ZooKeeper.
void Broker::begin_roles(std::shared_ptr<RolesOrder> order) {
  order_under_way_ = true;
  const kmsg::LeaderAndIsrRequest& request = order->roles.request;
  std::vector<std::string> topics;
  if (replicas_->check_controller(request.controller_epoch, request.broker_epoch) ==
      ErrorCode::none) {
    for (const auto& topic : request.topic_states) topics.push_back(topic.topic_name);
    for (const auto& state : request.ungrouped_partition_states) topics.push_back(state.topic_name);
  }
  control_->load_topic_configs(topics, [this, alive = std::weak_ptr<int>(alive_), order] {
    if (!alive.expired()) go_on_with_roles(order);
  });
}

// Some partitions a turn of the loop: a log that is made costs a millisecond or more, and there may
// be thousands, while the session wants its pings and clients their answers.
void Broker::go_on_with_roles(std::shared_ptr<RolesOrder> order) {
  constexpr size_t kPartitionsATurn = 16;
  if (!replicas_->apply_some(order->roles, kPartitionsATurn))
    return world_.loop.post([this, alive = std::weak_ptr<int>(alive_), order] {
      if (!alive.expired()) go_on_with_roles(order);
    });
  order_under_way_ = false;
  if (!orders_.empty())
    world_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) run_orders();
    });
  order->done(std::move(order->roles.response));
}

void Broker::execute(kmsg::StopReplicaRequest request, Fn<void(kmsg::StopReplicaResponse)> done) {
  if (!replicas_) return done({});
  give_order([this, request = std::move(request), done = std::move(done)]() mutable {
    done(replicas_->apply(request));
  });
}

void Broker::execute(kmsg::UpdateMetadataRequest request,
                     Fn<void(kmsg::UpdateMetadataResponse)> done) {
  if (!replicas_) return done({});
  give_order([this, request = std::move(request), done = std::move(done)]() mutable {
    done(update_metadata(request));
  });
}

kmsg::UpdateMetadataResponse Broker::update_metadata(const kmsg::UpdateMetadataRequest& request) {
  kmsg::UpdateMetadataResponse response;
  response.error_code = replicas_->check_controller(request.controller_epoch, request.broker_epoch);
  if (response.error_code != ErrorCode::none) return response;
  MetadataImage::Change change = MetadataImage::apply(replicas_->metadata(), request);
  replicas_->set_metadata(change.image);
  if (change.image->topic(kOffsetsTopic) != nullptr) learn_group_partitions();
  if (!change.deleted_partitions.empty()) groups_->on_partitions_deleted(change.deleted_partitions);
  for (const auto& [topic, partition] : change.deleted_partitions)
    replicas_->wake({topic, partition});
  control_->on_metadata_changed();
  maybe_running();
  return response;
}

void Broker::on_became_leader(const TopicPartition& tp, int32_t leader_epoch) {
  if (tp.topic == kOffsetsTopic) groups_->on_became_leader(tp.partition, leader_epoch);
}

void Broker::on_resigned(const TopicPartition& tp, std::optional<int32_t> leader_epoch) {
  if (tp.topic == kOffsetsTopic) groups_->on_resigned(tp.partition, leader_epoch);
}

void Broker::on_dir_offline(const std::string& dir, const std::vector<TopicPartition>& lost) {
  if (replicas_) replicas_->on_dir_offline(lost);
  if (!logs_) return;  // still loading: a start without any directory fails by itself
  for (const LogDirInfo& info : logs_->dirs())
    if (info.online) {
      if (joined_) control_->announce_failed_dir();  // before, the first orders' answers tell
      return;
    }
  on_fatal(
      {Errc::io, fmt::format("log.dirs: no directory is left that can be written; the last one "
                             "was {}",
                             dir)});
}

std::string Broker::describe() const {
  return fmt::format("broker {} state={} partitions={}", broker_id_, static_cast<int>(state_),
                     replicas_ ? replicas_->partition_count() : 0);
}

void Broker::check_invariants() const {
  if (replicas_) replicas_->check_invariants();
}

}  // namespace ottla::broker
