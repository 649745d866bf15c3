// ControlPlane: everything of a broker that lives in ZooKeeper, behind one door: the session, the
// registration, the controller, topic administration, entity configs, producer id blocks. The
// server room owns one, drives it in three steps (open, join, leave) and hears of session loss
// through it. Runs on the broker's control loop. Source: KafkaServer start order, KIP-497, KIP-730.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/controller/broker_channel.h"
#include "broker/controller/consumer_offsets.h"
#include "broker/controller/topic_admin.h"
#include "broker/zk/zk_client.h"
#include "broker/zk/znodes.h"
#include "common/base/result.h"
#include "common/rt/world.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

class PartitionAdmin;

struct ControlPlaneOptions {
  std::string zookeeper_connect;
  int32_t session_timeout_ms = 18000;
  int32_t connection_timeout_ms = 18000;
  int32_t max_in_flight = 10;
  int32_t broker_id = 0;                  // -1: open() generates one
  int32_t reserved_broker_max_id = 1000;  // generated ids are larger
  std::string session_dir;                // a log dir: holds ottla.session; locked by the caller
  std::string inter_broker_listener = "PLAINTEXT";
  bool single_broker = true;          // refuse to join another broker's cluster; goes away later
  bool auto_leader_rebalance = true;  // not acted on yet
  bool unclean_leader_election = false;
  TopicAdminOptions topics;
};

struct ProducerIdRange {
  int64_t first = 0;
  int32_t count = 0;
};

// What the control plane asks of, and tells to, its broker. All on the loop.
class ControlPlaneHost {
 public:
  virtual ~ControlPlaneHost() = default;
  virtual MetadataPtr metadata() const = 0;
  virtual AdminRefusal validate_topic_config(const ConfigMap& config) const = 0;
  // The broker's place in the cluster: after join and after each re-registration. Requests of the
  // controller that carry an older epoch are to be refused.
  virtual void on_registered(int64_t broker_epoch) = 0;
  // The session expired: another broker may act in this one's place until on_registered.
  virtual void on_session_lost() = 0;
  // Nothing can be done any more (re-registration refused); one line for the operator.
  virtual void on_fatal(Error error) = 0;
  // A topic's or broker's (name or "<default>") stored config, at start and after each change.
  virtual void on_config(const std::string& entity_type, const std::string& name,
                         const ConfigMap& config) = 0;
};

class ConfigStore;

class ControlPlane {
 public:
  ControlPlane(rt::World& world, ControlPlaneOptions options, ControlPlaneHost& host,
               BrokerChannel& channel);
  ~ControlPlane();

  // Step 1: connects, makes chroot and persistent paths, generates a broker id when none was given,
  // ends the session of an earlier run of this very broker, reads or makes the cluster id, loads
  // topic and broker configs (on_config). Errors are one line with the remedy. To be called before
  // meta.properties is checked.
  void open(Fn<void(Result<std::string>)> done);  // the cluster id
  // Step 2: registers (the listening ports are bound by now) and starts the controller. `done` with
  // the broker epoch; metadata follows through the channel.
  void join(BrokerRegistration self, Fn<void(Result<int64_t>)> done);
  // Step 3, clean shutdown: closes the session, so that the ephemerals vanish, and forgets it.
  void leave(Fn<void()> done);

  TopicAdmin& topics();          // after open
  PartitionAdmin& partitions();  // after open
  void on_metadata_changed();    // after each new image
  int32_t broker_id() const;     // a generated one before the first on_config
  int64_t broker_epoch() const;  // -1 before join
  const std::string& cluster_id() const;
  bool is_active_controller() const;
  int32_t controller_epoch() const;  // 0: not the controller

  // AllocateProducerIds: the next block of 1000, claimed in ZooKeeper for this broker. Errors:
  // not_controller (after later issues), coordinator_load_in_progress while ZooKeeper is away.
  void allocate_producer_ids(Fn<void(kmsg::ErrorCode, ProducerIdRange)> done);

  // The same for another broker, asked over the network: it must be registered, under this epoch.
  void allocate_producer_ids_for(int32_t broker, int64_t broker_epoch,
                                 Fn<void(kmsg::ErrorCode, ProducerIdRange)> done);

  // OffsetCommit and OffsetFetch of version 0: see consumer_offsets.h.
  void write_consumer_offsets(std::string group, std::vector<ConsumerOffset> offsets,
                              ConsumerOffsetsDone done);
  void read_consumer_offsets(std::string group, std::vector<ConsumerOffset> offsets,
                             ConsumerOffsetsDone done);

  // How many partitions a topic has by its znode; the metadata may name fewer while they are made.
  // Errors: Errc::closed when the session ended, Errc::not_found, Errc::corrupt.
  void read_partition_count(std::string_view topic, Fn<void(Result<int32_t>)> done);

  // Tells the controller that a log directory failed; which replicas, it asks. Repeated until
  // ZooKeeper has it; a new session tells the controller anyhow.
  void announce_failed_dir();

  // Makes sure that on_config was called for each of these topics, reading what is not known yet,
  // and then calls `done` (inside this call when nothing is missing). To be called for the topics
  // of a LeaderAndIsr request before their logs are opened: a topic's creation is announced by
  // nothing else.
  void load_topic_configs(const std::vector<std::string>& topics, Fn<void()> done);

  // As stored now in ZooKeeper, for DescribeConfigs; no_error and empty when nothing is stored.
  // entity_type "topics" or "brokers"; name "<default>" for cluster-wide broker settings.
  void read_config(const std::string& entity_type, const std::string& name,
                   Fn<void(Result<ConfigMap>)> done);
  ConfigStore& configs();  // after open; config_store.h
  // The default of unclean.leader.election.enable, when on_config changed it.
  void set_unclean_election(bool enabled);
  // Replaces an entity's config (guarded by /controller), then leaves the change notification.
  void write_config(const std::string& entity_type, const std::string& name, ConfigMap config,
                    Fn<void(Result<void>)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ottla::broker
