// Metadata: brokers, topics, leaders; may create the topics it is asked for.
// Source: KIP-4, KIP-204 (auto-creation flag), KIP-320 (leader epochs), KIP-516 (topic ids).
#include "proto/kafka/metadata.h"

#include <set>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::MetadataResponse;

namespace {

class MetadataAnswer {
 public:
  MetadataAnswer(ApiContext& context, Request& request, const kmsg::MetadataRequest& asked)
      : context_(context), request_(request), asked_(asked), image_(context.metadata()) {}

  Response make() {
    if (refuses_all()) return std::move(response_);
    add_brokers();
    response_.cluster_id = image_.cluster_id();
    response_.controller_id = image_.controller_id();
    if (asked_.include_cluster_authorized_operations)
      response_.cluster_authorized_operations = kAllClusterOperations;
    add_topics();
    return std::move(response_);
  }

 private:
  const std::string& listener() const { return request_.client().listener_name; }
  int16_t version() const { return request_.version(); }

  void add_brokers() {
    for (const auto& [id, broker] : image_.brokers()) {
      const BrokerEndpoint* endpoint = broker.endpoint(listener());
      if (endpoint == nullptr) continue;
      Response::MetadataResponseBroker entry;
      entry.node_id = id;
      entry.host = endpoint->host;
      entry.port = endpoint->port;
      entry.rack = broker.rack;
      response_.brokers.push_back(std::move(entry));
    }
  }

  // A topic named as this version may not: every topic is then answered with that, and nothing
  // else.
  bool refuses_all() {
    if (!asked_.topics) return false;
    bool by_id = false;  // then names do not matter
    for (const auto& topic : *asked_.topics) by_id |= !topic.topic_id.is_zero();
    for (const auto& topic : *asked_.topics) {
      bool refused = version() < 12 && (!topic.name || !topic.topic_id.is_zero());
      bool nothing = version() >= 12 && !by_id && !topic.name;
      if (!refused && !nothing) continue;
      for (const auto& each : *asked_.topics) {
        Response::MetadataResponseTopic entry;
        entry.error_code = refused ? ErrorCode::invalid_request : ErrorCode::unknown_server_error;
        entry.name = each.name.value_or("");
        entry.topic_id = each.topic_id;
        response_.topics.push_back(std::move(entry));
      }
      return true;
    }
    return false;
  }

  void add_topics() {
    bool all = !asked_.topics || (version() == 0 && asked_.topics->empty());
    if (all) {
      for (const auto& [name, topic] : image_.topics()) add_known(*topic);
      return;
    }
    std::vector<std::string> unknown;
    std::set<std::string> seen;
    std::set<kmsg::Uuid> unknown_ids;
    bool by_id = false;
    for (const auto& topic : *asked_.topics) by_id |= !topic.topic_id.is_zero();
    for (const auto& topic : *asked_.topics) {
      if (by_id) {
        const TopicView* known = image_.topic(topic.topic_id);
        if (known == nullptr) {
          if (!topic.topic_id.is_zero() && unknown_ids.insert(topic.topic_id).second)
            add_refused({}, topic.topic_id, ErrorCode::unknown_topic_id);
        } else if (seen.insert(known->name).second) {
          add_known(*known);
        }
        continue;
      }
      if (!seen.insert(*topic.name).second) continue;
      if (const TopicView* known = image_.topic(*topic.name))
        add_known(*known);
      else
        unknown.push_back(*topic.name);
    }
    for (const std::string& name : unknown) add_refused(name, {}, create_or_refuse(name));
  }

  ErrorCode create_or_refuse(const std::string& name) {
    bool may_create = version() < 4 || asked_.allow_auto_topic_creation;
    if (may_create && context_.config.auto_create_topics_enable)
      return context_.control.topics().auto_create(name);
    return topic_name_fault(name) ? ErrorCode::invalid_topic_exception
                                  : ErrorCode::unknown_topic_or_partition;
  }

  void add_refused(std::optional<std::string> name, const kmsg::Uuid& id, ErrorCode error) {
    Response::MetadataResponseTopic entry;
    entry.error_code = error;
    entry.is_internal = name && is_internal_topic(*name);
    entry.name = std::move(name);
    entry.topic_id = id;
    if (asked_.include_topic_authorized_operations && error != ErrorCode::unknown_topic_id)
      entry.topic_authorized_operations = kAllTopicOperations;
    response_.topics.push_back(std::move(entry));
  }

  void add_known(const TopicView& topic) {
    Response::MetadataResponseTopic entry;
    entry.name = topic.name;
    entry.topic_id = topic.id;
    entry.is_internal = is_internal_topic(topic.name);
    if (asked_.include_topic_authorized_operations)
      entry.topic_authorized_operations = kAllTopicOperations;
    entry.partitions.reserve(topic.partitions.size());
    for (const auto& [index, partition] : topic.partitions)
      entry.partitions.push_back(partition_entry(index, partition));
    response_.topics.push_back(std::move(entry));
  }

  Response::MetadataResponsePartition partition_entry(int32_t index, const PartitionView& view) {
    Response::MetadataResponsePartition entry;
    entry.partition_index = index;
    entry.leader_id = view.leader;
    entry.leader_epoch = view.leader_epoch;
    entry.replica_nodes = view.replicas;
    entry.isr_nodes = view.isr;
    entry.offline_replicas = view.offline_replicas;
    const BrokerView* leader = image_.broker(view.leader);
    if (leader == nullptr) {
      entry.error_code = ErrorCode::leader_not_available;
      entry.leader_id = kNoLeader;
    } else if (leader->endpoint(listener()) == nullptr) {
      entry.error_code =
          version() >= 6 ? ErrorCode::listener_not_found : ErrorCode::leader_not_available;
      entry.leader_id = kNoLeader;
    }
    if (version() == 0) drop_dead(entry);
    return entry;
  }

  // The first clients could not bear the id of a broker that is not in the list.
  void drop_dead(Response::MetadataResponsePartition& entry) {
    auto keep_live = [&](std::vector<int32_t>& ids) {
      size_t before = ids.size();
      std::erase_if(ids, [&](int32_t id) { return image_.broker(id) == nullptr; });
      return ids.size() == before;
    };
    bool whole = keep_live(entry.replica_nodes);
    whole &= keep_live(entry.isr_nodes);
    if (!whole && entry.error_code == ErrorCode::none)
      entry.error_code = ErrorCode::replica_not_available;
  }

  ApiContext& context_;
  Request& request_;
  const kmsg::MetadataRequest& asked_;
  const MetadataImage& image_;
  Response response_;
};

}  // namespace

void handle_metadata(ApiContext& context, RequestPtr request) {
  kmsg::MetadataRequest asked;
  if (!decode(*request, asked)) return;
  MetadataPtr held = context.replicas.metadata();  // an auto-creation may bring a new image
  Response response = MetadataAnswer(context, *request, asked).make();
  request->reply(response);
}

}  // namespace ottla::broker
