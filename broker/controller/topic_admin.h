// TopicAdmin: creates, deletes and extends topics by writing their znodes, as any broker may; the
// controller then does the rest. An answer waits until this broker's metadata shows the outcome, or
// for the request's timeout. Runs on the broker's loop; knows nothing of connections or versions.
// Refusals carry Kafka's codes and texts. Source: KIP-4, KIP-195, KIP-516; AdminUtils behaviour.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/metadata/metadata_image.h"
#include "broker/zk/zk_client.h"
#include "broker/zk/znodes.h"
#include "common/base/fn.h"
#include "common/base/prng.h"
#include "common/rt/world.h"
#include "proto/kafka/create_partitions.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

struct AdminRefusal {
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<std::string> message;
  bool ok() const { return error == kmsg::ErrorCode::none; }
};

struct CreateTopicResult {
  std::string name;
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<std::string> message;
  kmsg::Uuid topic_id;          // zero on error and when only validated
  int32_t num_partitions = -1;  // -1 on error
  int16_t replication_factor = -1;
  ConfigMap configs;  // the topic's own, to be shown over the broker's defaults
};
struct DeleteTopicResult {
  std::optional<std::string> name;  // filled in for a known id
  kmsg::Uuid topic_id;
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
};
struct CreatePartitionsResult {
  std::string name;
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
  std::optional<std::string> message;
};

struct TopicAdminOptions {
  int32_t num_partitions = 1;              // num.partitions
  int16_t default_replication_factor = 1;  // default.replication.factor
  bool delete_topic_enable = true;         // delete.topic.enable
  int32_t offsets_topic_num_partitions = 50;
  int16_t offsets_topic_replication_factor = 3;
  int32_t offsets_topic_segment_bytes = 104857600;
  int32_t transaction_topic_num_partitions = 50;
  int16_t transaction_topic_replication_factor = 3;
  int32_t transaction_topic_min_isr = 2;
  int32_t transaction_topic_segment_bytes = 104857600;
};

// What brokers are about to hear of without anybody's doing: topics that this controller has, with
// partitions of which it tells, and that the metadata does not show. While it loads nobody knows.
struct UntoldTopics {
  bool loading = false;
  std::set<std::string> names;
  std::set<kmsg::Uuid> ids;
};
struct ControllerState;
UntoldTopics untold(const ControllerState& controller, const MetadataImage& image);

// What TopicAdmin must be told by its broker.
class TopicAdminHost {
 public:
  virtual ~TopicAdminHost() = default;
  virtual MetadataPtr metadata() const = 0;
  // Is this broker the active controller? CreateTopics and the like are its alone.
  virtual bool is_active_controller() const = 0;
  virtual bool is_queued_for_deletion(const std::string& topic) const = 0;
  virtual UntoldTopics untold_topics() const = 0;
  // Names known, values of their type and range, rules between keys: code and Kafka's text.
  virtual AdminRefusal validate_topic_config(const ConfigMap& config) const = 0;
};

class TopicAdmin {
 public:
  TopicAdmin(rt::World& world, ZkClient& zk, TopicAdminHost& host, TopicAdminOptions options);
  ~TopicAdmin();

  // One result for each entry of the request, in its order. Not the controller: not_controller
  // each.
  void create_topics(const kmsg::CreateTopicsRequest& request,
                     Fn<void(std::vector<CreateTopicResult>)> done);
  // `version` decides the code for disabled deletion. Name and id both given in one entry is for
  // the caller to refuse (invalid_request for the whole request). A topic that the controller has
  // yet to tell of is no unknown one: not_controller, which clients try again.
  void delete_topics(const kmsg::DeleteTopicsRequest& request, int16_t version,
                     Fn<void(std::vector<DeleteTopicResult>)> done);
  void create_partitions(const kmsg::CreatePartitionsRequest& request,
                         Fn<void(std::vector<CreatePartitionsResult>)> done);
  // For Metadata and FindCoordinator, on any broker: starts creating a topic that the metadata does
  // not show, and says what to answer now (leader_not_available when under way,
  // unknown_topic_or_partition while a creation on this broker is in flight, a refusal otherwise).
  // Internal topics get their own settings.
  kmsg::ErrorCode auto_create(const std::string& topic);

  // For the control plane: called with each topic's config just before it is written.
  void on_config_written(Fn<void(const std::string& topic, const ConfigMap& config)> told);

  // To be called after each new metadata image: answers what waited for it.
  void on_metadata_changed();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

bool is_internal_topic(std::string_view name);
// Kafka's reason why `name` is no topic name, or nullopt.
std::optional<std::string> topic_name_fault(std::string_view name);

}  // namespace ottla::broker
