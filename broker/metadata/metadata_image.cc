// Room broker/metadata: the immutable picture of the cluster. No threads, no I/O; see the header.
#include "broker/metadata/metadata_image.h"

#include <algorithm>

namespace ottla::broker {
namespace {

std::string key_of(const kmsg::Uuid& id) {
  return std::string(as_text(Bytes(id.bytes.data(), id.bytes.size())));
}

template <class State>
PartitionView view_of(const State& state) {
  PartitionView view;
  view.leader = state.leader;
  view.leader_epoch = state.leader_epoch;
  view.partition_epoch = state.zk_version;
  view.controller_epoch = state.controller_epoch;
  view.isr = state.isr;
  view.replicas = state.replicas;
  view.offline_replicas = state.offline_replicas;
  return view;
}

}  // namespace

const BrokerEndpoint* BrokerView::endpoint(std::string_view listener) const {
  for (const BrokerEndpoint& one : endpoints)
    if (one.listener == listener) return &one;
  return nullptr;
}

MetadataPtr MetadataImage::empty(std::string cluster_id) {
  auto image = std::make_shared<MetadataImage>();
  image->cluster_id_ = std::move(cluster_id);
  return image;
}

MetadataImage::Change MetadataImage::apply(const MetadataPtr& base,
                                           const kmsg::UpdateMetadataRequest& request) {
  Change change;
  auto image = std::make_shared<MetadataImage>(*base);
  image->controller_id_ = request.controller_id;
  image->controller_epoch_ = request.controller_epoch;

  image->brokers_.clear();
  for (const auto& live : request.live_brokers) {
    BrokerView& broker = image->brokers_[live.id];
    broker.id = live.id;
    broker.rack = live.rack;
    for (const auto& endpoint : live.endpoints)
      broker.endpoints.push_back(
          {endpoint.listener, endpoint.host, endpoint.port, endpoint.security_protocol});
  }

  for (const auto& state : request.topic_states) {
    auto known = image->topics_.find(state.topic_name);
    auto topic = known == image->topics_.end() ? std::make_shared<TopicView>()
                                               : std::make_shared<TopicView>(*known->second);
    kmsg::Uuid old_id = topic->id;
    topic->name = state.topic_name;
    if (!state.topic_id.is_zero()) topic->id = state.topic_id;
    for (const auto& partition : state.partition_states) {
      if (partition.leader == kLeaderDuringDelete) {
        topic->partitions.erase(partition.partition_index);
        change.deleted_partitions.emplace_back(state.topic_name, partition.partition_index);
      } else {
        topic->partitions[partition.partition_index] = view_of(partition);
      }
    }
    change.updated_topics.push_back(state.topic_name);
    if (!old_id.is_zero() && old_id != topic->id) image->names_by_id_.erase(key_of(old_id));
    if (topic->partitions.empty()) {
      image->names_by_id_.erase(key_of(topic->id));
      image->topics_.erase(state.topic_name);
    } else {
      if (!topic->id.is_zero()) image->names_by_id_[key_of(topic->id)] = state.topic_name;
      image->topics_[state.topic_name] = std::move(topic);
    }
  }
  std::sort(change.updated_topics.begin(), change.updated_topics.end());
  change.image = std::move(image);
  return change;
}

const BrokerView* MetadataImage::broker(int32_t id) const {
  auto it = brokers_.find(id);
  return it == brokers_.end() ? nullptr : &it->second;
}
const TopicView* MetadataImage::topic(std::string_view name) const {
  auto it = topics_.find(name);
  return it == topics_.end() ? nullptr : it->second.get();
}
const TopicView* MetadataImage::topic(const kmsg::Uuid& id) const {
  auto it = names_by_id_.find(key_of(id));
  return it == names_by_id_.end() ? nullptr : topic(it->second);
}
const PartitionView* MetadataImage::partition(std::string_view name, int32_t index) const {
  const TopicView* found = topic(name);
  if (found == nullptr) return nullptr;
  auto it = found->partitions.find(index);
  return it == found->partitions.end() ? nullptr : &it->second;
}

}  // namespace ottla::broker
