// Room broker/controller: brokers that come and go, topics and partitions that appear.
// Source: Kafka's KafkaController (onBrokerStartup, onBrokerFailure, processTopicChange;
// behaviour).
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "broker/controller/controller.h"

namespace ottla::broker {

// ------------------------------------------------------------------------------------- brokers

void Controller::read_brokers(std::vector<std::string> ids,
                              Fn<void(std::map<int32_t, LiveBroker>)> next) {
  if (ids.empty()) return next({});
  std::vector<ZkRequest> requests;
  for (const std::string& id : ids)
    requests.push_back(ZkRequest::get(std::string(zpath::kBrokerIds) + "/" + id, true));
  zk_.submit_all(std::move(requests), guard([this, ids = std::move(ids),
                                             next = std::move(next)](Replies replies) mutable {
                   std::map<int32_t, LiveBroker> brokers;
                   for (size_t i = 0; i < ids.size(); ++i) {
                     if (replies[i].error == ZkError::session_expired) return;
                     int32_t id = -1;
                     std::from_chars(ids[i].data(), ids[i].data() + ids[i].size(), id);
                     if (!replies[i].ok() || id < 0)
                       continue;  // gone again: the children's watch tells
                     auto broker = decode_broker(id, replies[i].data.value_or(""));
                     if (!broker) {
                       environment_.note(broker.error().context);
                       continue;
                     }
                     brokers[id] = {std::move(*broker), replies[i].stat.czxid};
                   }
                   next(std::move(brokers));
                 }));
}

void Controller::on_broker_change() {
  zk_.submit(ZkRequest::children(zpath::kBrokerIds, true), guard([this](ZkReply reply) {
               if (reply.error == ZkError::session_expired) return;
               read_brokers(std::move(reply.children), [this](std::map<int32_t, LiveBroker> now) {
                 apply_brokers(std::move(now));
               });
             }));
}

// A broker that came back between two looks has another epoch: it went and came.
void Controller::apply_brokers(std::map<int32_t, LiveBroker> now) {
  std::vector<int32_t> down, up;
  for (const auto& [id, broker] : state_.brokers) {
    auto it = now.find(id);
    if (it == now.end() || it->second.epoch != broker.epoch) down.push_back(id);
  }
  for (const auto& [id, broker] : now) {
    auto it = state_.brokers.find(id);
    if (it == state_.brokers.end() || it->second.epoch != broker.epoch) up.push_back(id);
  }
  for (int32_t id : down) {
    environment_.note(fmt::format("broker down broker={}", id));
    channel_.remove_broker(id);
    state_.brokers.erase(id);
    state_.offline_replicas.erase(id);
  }
  on_brokers_down(std::move(down), [this, up = std::move(up), now = std::move(now)]() mutable {
    for (int32_t id : up) {
      environment_.note(fmt::format("broker up broker={} epoch={}", id, now[id].epoch));
      channel_.add_broker(now[id].registration, now[id].epoch);
      state_.brokers[id] = std::move(now[id]);
    }
    on_brokers_up(std::move(up), [this] { finish(); });
  });
}

void Controller::on_brokers_up(std::vector<int32_t> ids, Next next) {
  if (ids.empty()) return next();
  auto is_new = [&](int32_t id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  std::vector<int32_t> others = state_.broker_ids();
  std::erase_if(others, is_new);
  RequestBatch to_others, to_new, states;
  to_others.update_metadata(others, {});
  send(to_others);

  std::vector<TopicPartition> all, touched;
  for (auto& [name, topic] : state_.topics) {
    for (auto& [index, partition] : topic.partitions) {
      TopicPartition tp{name, index};
      if (!state_.deleting(name)) all.push_back(tp);
      for (int32_t replica : partition.replicas) {
        if (!is_new(replica)) continue;
        ReplicaPhase& phase = partition.replica_phases[replica];
        if (phase == ReplicaPhase::deletion_ineligible) state_.deletion_ineligible.erase(name);
        phase = ReplicaPhase::online;
        if (partition.state) states.leader_and_isr(replica, tp, false);
        if (partition.state && !state_.deleting(name)) touched.push_back(tp);
      }
    }
  }
  to_new.update_metadata(ids, all);
  send(to_new);
  if (!touched.empty()) states.update_metadata(state_.broker_ids(), touched);
  send(states);
  std::vector<TopicPartition> waiting = reassigning();
  std::erase_if(waiting, [&](const TopicPartition& tp) {
    std::vector<int32_t> target = reassignment_of(tp).target();
    return std::none_of(target.begin(), target.end(), [&](int32_t id) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    });
  });
  bring_online(leaderless(),
               [this, waiting = std::move(waiting), next = std::move(next)]() mutable {
                 resume_reassignments(std::move(waiting), [this, next = std::move(next)]() mutable {
                   resume_deletions(std::move(next));
                 });
               });
}

void Controller::on_brokers_down(std::vector<int32_t> ids, Next next) {
  if (ids.empty()) return next();
  std::vector<TopicPartition> led;
  std::vector<ReplicaKey> replicas;
  for (auto& [name, topic] : state_.topics) {
    for (auto& [index, partition] : topic.partitions) {
      TopicPartition tp{name, index};
      for (int32_t id : ids) {
        if (std::find(partition.replicas.begin(), partition.replicas.end(), id) ==
            partition.replicas.end())
          continue;
        if (state_.deleting(name)) {
          partition.replica_phases[id] = ReplicaPhase::deletion_ineligible;
          state_.deletion_ineligible.insert(name);
          continue;
        }
        replicas.push_back({tp, id});
        if (partition.state && partition.state->leader == id) {
          partition.phase = PartitionPhase::offline;
          led.push_back(tp);
        }
      }
    }
  }
  if (replicas.empty()) {
    RequestBatch batch;
    batch.update_metadata(state_.broker_ids(), {});
    send(batch);
    return next();
  }
  elect_leaders(std::move(led),
                [this, replicas = std::move(replicas), next = std::move(next)]() mutable {
                  take_offline(std::move(replicas), std::move(next));
                });
}

void Controller::on_broker_modified(int32_t id) {
  zk_.submit(ZkRequest::get(zpath::broker(id), true), guard([this, id](ZkReply reply) {
               if (reply.error == ZkError::session_expired) return;
               auto known = state_.brokers.find(id);
               auto broker = decode_broker(id, reply.data.value_or(""));
               if (reply.ok() && broker && known != state_.brokers.end() &&
                   known->second.epoch == reply.stat.czxid &&
                   known->second.registration != *broker) {
                 known->second.registration = std::move(*broker);
                 RequestBatch batch;
                 batch.update_metadata(state_.broker_ids(), {});
                 send(batch);
               }
               finish();
             }));
}

// -------------------------------------------------------------------------------------- topics

// Reads the topics' znodes (setting their watches), gives ids to those without, and adds what is
// new to the state. `next` gets the partitions that were not known before.
void Controller::read_topics(std::vector<std::string> names,
                             Fn<void(std::vector<TopicPartition>)> next) {
  if (names.empty()) return next({});
  std::vector<ZkRequest> requests;
  for (const std::string& name : names)
    requests.push_back(ZkRequest::get(zpath::topic(name), true));
  zk_.submit_all(
      std::move(requests),
      guard([this, names = std::move(names), next = std::move(next)](Replies replies) mutable {
        std::vector<TopicPartition> added;
        std::vector<ZkRequest> ids;
        for (size_t i = 0; i < names.size(); ++i) {
          if (replies[i].error == ZkError::session_expired) return;
          if (!replies[i].ok()) continue;
          auto node = decode_topic(replies[i].data.value_or(""));
          if (!node) {
            environment_.note(fmt::format("topic={} {}", names[i], node.error().context));
            continue;
          }
          if (!node->id) {
            node->id = environment_.new_topic_id();
            ids.push_back(ZkRequest::set(zpath::topic(names[i]), encode_topic(*node),
                                         replies[i].stat.version));
          }
          TopicContext& topic = state_.topics[names[i]];
          topic.id = *node->id;
          for (auto& [index, replicas] : node->partitions) {
            auto [it, is_new] = topic.partitions.try_emplace(index);
            if (!is_new) continue;
            it->second.replicas = std::move(replicas);
            it->second.adding = node->adding[index];
            it->second.removing = node->removing[index];
            added.push_back({names[i], index});
          }
        }
        guarded(std::move(ids), [next = std::move(next), added = std::move(added)](
                                    Replies) mutable { next(std::move(added)); });
      }));
}

void Controller::on_topic_change() {
  zk_.submit(ZkRequest::children(zpath::kTopics, true), guard([this](ZkReply reply) {
               if (reply.error == ZkError::session_expired) return;
               std::vector<std::string> added;
               for (std::string& name : reply.children)
                 if (!state_.topics.contains(name)) added.push_back(std::move(name));
               // Removed by hand, behind the controller's back: nothing can be told of them any
               // more.
               std::set<std::string> present(reply.children.begin(), reply.children.end());
               present.insert(added.begin(), added.end());
               std::erase_if(state_.topics, [&](const auto& topic) {
                 return !present.contains(topic.first) && !state_.deleting(topic.first);
               });
               read_topics(std::move(added), [this](std::vector<TopicPartition> tps) {
                 add_partitions(std::move(tps), [this] { finish(); });
               });
             }));
}

void Controller::on_partitions_changed(const std::string& topic) {
  if (!state_.topics.contains(topic)) return finish();
  if (state_.deleting(topic)) {
    // Too late to grow: the assignment is put back as it was.
    environment_.note(fmt::format("partitions added to a topic being deleted topic={}", topic));
    std::vector<ZkRequest> ops;
    ops.push_back(ZkRequest::set(zpath::topic(topic), encode_topic(topic_node(topic))));
    return guarded(std::move(ops), [this](Replies) { finish(); });
  }
  read_topics({topic}, [this](std::vector<TopicPartition> tps) {
    add_partitions(std::move(tps), [this] { finish(); });
  });
}

// ------------------------------------------------------------------------------- notifications

// Leaders of inter-broker protocols before 2.7 write their ISR themselves and leave a note here.
void Controller::on_isr_change() {
  zk_.submit(
      ZkRequest::children(zpath::kIsrChanges, true), guard([this](ZkReply reply) {
        if (reply.error == ZkError::session_expired) return;
        if (reply.children.empty()) return finish();
        std::vector<ZkRequest> gets, removes;
        for (const std::string& name : reply.children) {
          std::string path = std::string(zpath::kIsrChanges) + "/" + name;
          gets.push_back(ZkRequest::get(path));
          removes.push_back(ZkRequest::remove(path));
        }
        zk_.submit_all(
            std::move(gets), guard([this, removes = std::move(removes)](Replies notes) mutable {
              std::set<TopicPartition> tps;
              for (const ZkReply& note : notes)
                if (auto list = decode_partition_list(note.data.value_or("")))
                  for (auto& [topic, partition] : *list)
                    if (state_.find({topic, partition}) != nullptr) tps.insert({topic, partition});
              std::vector<ZkRequest> reads;
              std::vector<TopicPartition> order(tps.begin(), tps.end());
              for (const TopicPartition& tp : order)
                reads.push_back(ZkRequest::get(zpath::partition_state(tp.topic, tp.partition)));
              auto told = [this, removes = std::move(removes), order](Replies states) mutable {
                for (size_t i = 0; i < order.size(); ++i) {
                  auto state = decode_partition_state(states[i].data.value_or(""));
                  if (!states[i].ok() || !state || state_.find(order[i]) == nullptr) continue;
                  state_.find(order[i])->state = std::move(*state);
                  state_.find(order[i])->zk_version = states[i].stat.version;
                }
                RequestBatch batch;
                if (!order.empty()) batch.update_metadata(state_.broker_ids(), order);
                send(batch);
                guarded(std::move(removes), [this](Replies) { finish(); });
              };
              if (reads.empty()) return told({});
              zk_.submit_all(std::move(reads), guard(std::move(told)));
            }));
      }));
}

// A broker lost a log dir. Which replicas, its answer to an unchanged LeaderAndIsr tells.
void Controller::on_log_dir_event() {
  zk_.submit(
      ZkRequest::children(zpath::kLogDirEvents, true), guard([this](ZkReply reply) {
        if (reply.error == ZkError::session_expired) return;
        if (reply.children.empty()) return finish();
        std::vector<ZkRequest> removes;
        for (const std::string& name : reply.children)
          removes.push_back(ZkRequest::remove(std::string(zpath::kLogDirEvents) + "/" + name));
        RequestBatch batch;
        for (const auto& [name, topic] : state_.topics)
          for (const auto& [index, partition] : topic.partitions)
            for (int32_t replica : partition.replicas)
              if (partition.state && !state_.deleting(name) && state_.live(replica))
                batch.leader_and_isr(replica, {name, index}, false);
        send(batch);
        guarded(std::move(removes), [this](Replies) { finish(); });
      }));
}

void Controller::on_leader_and_isr_answer(const Event& event) {
  std::vector<ReplicaKey> lost;
  std::vector<TopicPartition> led;
  for (const TopicPartition& tp : event.failed) {
    PartitionContext* partition = state_.find(tp);
    if (partition == nullptr || !state_.offline_replicas[event.broker].insert(tp).second) continue;
    lost.push_back({tp, event.broker});
    if (partition->state && partition->state->leader == event.broker &&
        !state_.deleting(tp.topic)) {
      partition->phase = PartitionPhase::offline;
      led.push_back(tp);
    }
  }
  elect_leaders(std::move(led), [this, lost = std::move(lost)]() mutable {
    take_offline(std::move(lost), [this] { finish(); });
  });
}

}  // namespace ottla::broker
