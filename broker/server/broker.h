// Broker: one broker on one loop, in production and in the simulator: it owns the parts and leads
// them through start, running and stop. What happens inside a request is in broker/api, what
// happens in ZooKeeper in broker/controller, on disk in broker/log. Source: Kafka's start and
// shutdown order (KafkaServer); KIP-112.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/api/context.h"
#include "broker/api/group_service.h"
#include "broker/api/producer_ids.h"
#include "broker/config/describe.h"
#include "broker/server/client_port.h"
#include "broker/server/figures.h"
#include "broker/server/local_channel.h"
#include "broker/server/offsets_store.h"
#include "common/metrics/http_server.h"
#include "common/metrics/registry.h"
#include "common/rt/world.h"

namespace ottla::broker {

enum class BrokerState : uint8_t {  // the numbers of Kafka's BrokerState metric
  not_running = 0,
  starting = 1,
  recovery = 2,  // loading logs
  running = 3,
  shutting_down = 7,
};

class Broker final : public ControlPlaneHost, public ReplicaListener, public RequestExecutor {
 public:
  // `host_name`, what listeners without a host are advertised as, is asked here if there is one.
  Broker(rt::World world, BrokerConfig config, Fn<std::string()> host_name);
  ~Broker() override;  // at once, as a kill would; stop() first for a clean end

  // Opens ZooKeeper, loads the logs, binds, registers; `done` once: clients are served from then
  // on, or one line that names the remedy. Called on the loop.
  void start(Fn<void(Result<void>)> done);
  // Clean end: answers what is in flight, flushes and closes the logs, leaves the cluster.
  void stop(Fn<void()> done);
  // Called when the broker cannot go on (its place in the cluster is lost, no log directory is
  // left).
  void on_failed(Fn<void(Error)> failed) { on_failed_ = std::move(failed); }

  BrokerState state() const { return state_; }
  int32_t broker_id() const { return broker_id_; }
  uint16_t port(const std::string& listener = "PLAINTEXT") const;
  const std::string& cluster_id() const { return cluster_id_; }
  ReplicaManager* replicas() { return replicas_.get(); }
  bool is_active_controller() const { return control_ && control_->is_active_controller(); }
  const BrokerFigures& figures() const { return figures_; }
  std::string metrics_text() { return registry_.prometheus(); }  // what GET /metrics answers
  std::string describe() const;
  void check_invariants() const;

  // ControlPlaneHost
  MetadataPtr metadata() const override;
  AdminRefusal validate_topic_config(const ConfigMap& config) const override;
  void on_registered(int64_t broker_epoch) override;
  void on_session_lost() override;
  void on_fatal(Error error) override;
  void on_config(const std::string& entity_type, const std::string& name,
                 const ConfigMap& config) override;
  // ReplicaListener
  void on_became_leader(const TopicPartition& tp, int32_t leader_epoch) override;
  void on_resigned(const TopicPartition& tp, std::optional<int32_t> leader_epoch) override;
  // RequestExecutor
  void execute(kmsg::LeaderAndIsrRequest request,
               Fn<void(kmsg::LeaderAndIsrResponse)> done) override;
  void execute(kmsg::UpdateMetadataRequest request,
               Fn<void(kmsg::UpdateMetadataResponse)> done) override;
  void execute(kmsg::StopReplicaRequest request, Fn<void(kmsg::StopReplicaResponse)> done) override;

 private:
  // The steps of a start, in order; each ends by calling the next, or start_failed().
  Result<void> choose_id();
  Result<void> hold_dirs();
  void open_control_plane();
  void on_cluster_id(Result<std::string> cluster_id);
  Result<void> load_logs();
  void join_cluster();
  void on_joined(Result<int64_t> broker_epoch);
  void learn_group_partitions();
  void maybe_running();
  void leave(Fn<void()> done);
  void start_failed(Error error);

  void register_metrics();       // broker_metrics.cc
  Result<void> start_metrics();  // the same
  void dispatch(RequestPtr request);
  void on_dir_offline(const std::string& dir, const std::vector<TopicPartition>& lost);
  LogConfig log_config_for(const std::string& topic) const;
  void on_broker_config();
  // The controller's orders, one at a time.
  void give_order(Fn<void()> order);
  void run_orders();
  struct RolesOrder;  // a LeaderAndIsr
  void begin_roles(std::shared_ptr<RolesOrder> order);
  void go_on_with_roles(std::shared_ptr<RolesOrder> order);
  kmsg::UpdateMetadataResponse update_metadata(const kmsg::UpdateMetadataRequest& request);
  BrokerRegistration registration() const;

  // Fixed after start.
  rt::World world_;
  const BrokerConfig file_config_;  // what server.properties said
  BrokerConfig config_;             // the same with the dynamic configs over it; parts refer to it
  std::string host_name_;           // of this machine; empty if no listener needs it
  int32_t broker_id_ = -1;
  std::string cluster_id_;

  BrokerState state_ = BrokerState::not_running;
  Fn<void(Result<void>)> started_;
  Fn<void(Error)> on_failed_;
  MetadataPtr metadata_;  // before there is a replica manager
  DynamicConfigs dynamic_;
  std::map<std::string, ConfigOverrides> topic_overrides_;
  bool joined_ = false;
  bool asks_group_partitions_ = false;
  std::deque<Fn<void()>> orders_;  // those that wait for the one under way
  bool order_under_way_ = false;
  BrokerFigures figures_;
  metrics::Registry registry_;
  Instant start_began_;

  // The parts, in the order in which they are made; destroyed the other way round.
  std::vector<std::unique_ptr<rt::DirLock>> early_locks_;
  std::unique_ptr<LocalChannel> channel_;
  std::unique_ptr<ControlPlane> control_;
  std::unique_ptr<LogManager> logs_;
  std::unique_ptr<ReplicaManager> replicas_;
  std::unique_ptr<LocalOffsetsStore> offsets_;
  std::unique_ptr<GroupService> groups_;
  std::unique_ptr<FetchSessionCache> sessions_;
  std::unique_ptr<ProducerIds> producer_ids_;
  std::unique_ptr<ApiContext> context_;
  std::unique_ptr<ClientPort> port_;
  std::unique_ptr<metrics::HttpServer> http_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace ottla::broker
