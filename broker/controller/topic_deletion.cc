// Room broker/controller: deletion of topics, from the mark in /admin/delete_topics to the last
// znode. Source: Kafka's TopicDeletionManager (behaviour).
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "broker/controller/controller.h"

namespace ottla::broker {

void Controller::on_topic_deletion() {
  zk_.submit(ZkRequest::children(zpath::kDeleteTopics, true), guard([this](ZkReply reply) {
               if (reply.error == ZkError::session_expired) return;
               std::vector<ZkRequest> removes;
               for (const std::string& name : reply.children) {
                 if (!options_.delete_topic_enable || !state_.topics.contains(name))
                   removes.push_back(ZkRequest::remove(zpath::delete_topic(name)));
                 else if (state_.to_delete.insert(name).second)
                   environment_.note(fmt::format("topic deletion begins topic={}", name));
               }
               guarded(std::move(removes),
                       [this](Replies) { resume_deletions([this] { finish(); }); });
             }));
}

// Finishes topics whose replicas are all gone, starts those that may start. One that is marked and
// unknown lost its node before its config and mark: these go now.
void Controller::resume_deletions(Next next) {
  std::vector<std::string> startable;
  for (const std::string& name : state_.to_delete) {
    bool all_deleted = true, any_started = false, reassigning = false;
    if (auto known = state_.topics.find(name); known != state_.topics.end())
      for (const auto& [index, partition] : known->second.partitions) {
        reassigning |= !partition.adding.empty() || !partition.removing.empty();
        for (const auto& [broker, phase] : partition.replica_phases) {
          all_deleted &= phase == ReplicaPhase::deleted;
          any_started |= phase == ReplicaPhase::deletion_started;
        }
      }
    if (all_deleted) {
      complete_deletion(
          name, [this, next = std::move(next)]() mutable { resume_deletions(std::move(next)); });
      return;
    }
    // A reassignment under way is finished first; its end comes here again.
    if (!any_started && !reassigning && !state_.deletion_ineligible.contains(name))
      startable.push_back(name);
  }
  if (startable.empty()) return next();
  start_deletion(std::move(startable), std::move(next));
}

void Controller::start_deletion(std::vector<std::string> topics, Next next) {
  RequestBatch gone;
  std::vector<ReplicaKey> replicas;
  for (const std::string& name : topics) {
    std::vector<TopicPartition> tps = state_.partitions_of(name);
    gone.update_metadata(state_.broker_ids(), tps);
    for (const TopicPartition& tp : tps) {
      PartitionContext& partition = *state_.find(tp);
      for (int32_t replica : partition.replicas) {
        if (state_.online(replica, tp)) {
          replicas.push_back({tp, replica});
        } else {
          partition.replica_phases[replica] = ReplicaPhase::deletion_ineligible;
          state_.deletion_ineligible.insert(name);
        }
      }
    }
  }
  send(gone);
  auto told = replicas;
  take_offline(std::move(replicas), [this, topics = std::move(topics), told = std::move(told),
                                     next = std::move(next)]() mutable {
    RequestBatch removal;
    for (const ReplicaKey& replica : told) {
      PartitionContext* partition = state_.find(replica.tp);
      if (partition == nullptr) continue;
      partition->replica_phases[replica.broker] = ReplicaPhase::deletion_started;
      removal.stop_replica(replica.broker, replica.tp, true);
    }
    send(removal);
    // A topic none of whose partitions has a replica (an empty assignment) is done at once.
    bool empty_topic = std::any_of(topics.begin(), topics.end(), [&](const std::string& name) {
      return std::none_of(told.begin(), told.end(),
                          [&](const ReplicaKey& replica) { return replica.tp.topic == name; }) &&
             !state_.deletion_ineligible.contains(name);
    });
    if (empty_topic) return resume_deletions(std::move(next));
    next();
  });
}

void Controller::on_stop_replica_answer(const Event& event) {
  for (const TopicPartition& tp : event.succeeded)
    if (PartitionContext* partition = state_.find(tp); partition && state_.deleting(tp.topic))
      partition->replica_phases[event.broker] = ReplicaPhase::deleted;
  for (const TopicPartition& tp : event.failed)
    if (PartitionContext* partition = state_.find(tp); partition && state_.deleting(tp.topic)) {
      partition->replica_phases[event.broker] = ReplicaPhase::deletion_ineligible;
      state_.deletion_ineligible.insert(tp.topic);
      environment_.note(fmt::format("replica not deleted, topic waits partition={}-{} broker={}",
                                    tp.topic, tp.partition, event.broker));
    }
  resume_deletions([this] { finish(); });
}

// What stands under `partitions` is read, not remembered: a partition may have been added by hand.
void Controller::complete_deletion(const std::string& topic, Next next) {
  zk_.submit(ZkRequest::children(zpath::partitions(topic)),
             guard([this, topic, next = std::move(next)](ZkReply reply) mutable {
               if (reply.error == ZkError::session_expired) return;
               std::vector<ZkRequest> removes;
               for (const std::string& index : reply.children) {
                 std::string path = zpath::partitions(topic) + "/" + index;
                 removes.push_back(ZkRequest::remove(path + "/state"));
                 removes.push_back(ZkRequest::remove(path));
               }
               if (reply.ok()) removes.push_back(ZkRequest::remove(zpath::partitions(topic)));
               removes.push_back(ZkRequest::remove(zpath::topic(topic)));
               removes.push_back(ZkRequest::remove(zpath::config("topics", topic)));
               removes.push_back(ZkRequest::remove(zpath::delete_topic(topic)));
               guarded(std::move(removes), [this, topic, next = std::move(next)](Replies) mutable {
                 state_.topics.erase(topic);
                 state_.to_delete.erase(topic);
                 state_.deletion_ineligible.erase(topic);
                 for (auto& [broker, tps] : state_.offline_replicas)
                   std::erase_if(tps, [&](const TopicPartition& tp) { return tp.topic == topic; });
                 environment_.note(fmt::format("topic deleted topic={}", topic));
                 next();
               });
             }));
}

}  // namespace ottla::broker
