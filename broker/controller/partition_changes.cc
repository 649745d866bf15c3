// Room broker/controller: changes of partition states in ZooKeeper, each guarded by the
// controller's epoch and conditional on the znode's version, and what brokers are told of them.
// Source: Kafka's ZkPartitionStateMachine and ZkReplicaStateMachine (behaviour).
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "broker/controller/controller.h"
#include "common/base/check.h"

namespace ottla::broker {
namespace {

std::vector<int32_t> without(std::vector<int32_t> list, int32_t id) {
  std::erase(list, id);
  return list;
}

}  // namespace

std::optional<bool> prefers_availability(const ConfigMap& topic_config) {
  auto found = topic_config.find("unclean.leader.election.enable");
  if (found == topic_config.end()) return std::nullopt;
  constexpr std::string_view kTrue = "true";
  return std::equal(found->second.begin(), found->second.end(), kTrue.begin(), kTrue.end(),
                    [](char a, char b) { return (a | 0x20) == b; });
}

// The reply of each operation, as if it had stood alone. Not reached when the controller was fenced
// or its session is gone: it has resigned then, or is about to be stopped.
void Controller::guarded(std::vector<ZkRequest> ops, Fn<void(Replies)> next) {
  if (ops.empty()) return next({});
  std::vector<ZkRequest> multis;
  for (ZkRequest& op : ops)
    multis.push_back(ZkRequest::multi(
        {ZkRequest::check(zpath::kControllerEpoch, state_.epoch_zk_version), std::move(op)}));
  zk_.submit_all(std::move(multis), guard([this, next = std::move(next)](Replies replies) mutable {
                   for (ZkReply& reply : replies) {
                     if (reply.error == ZkError::session_expired) return;
                     if (reply.ops.size() != 2 || reply.ops[0].error == ZkError::bad_version ||
                         reply.ops[0].error == ZkError::no_node)
                       return resign("another controller has taken over");
                     reply.error = reply.ops[1].error;
                     reply.stat = reply.ops[1].stat;
                     reply.path = reply.ops[1].path;
                   }
                   next(std::move(replies));
                 }));
}

// Reads, changes and writes states; those that another writer changed meanwhile once more. `next`
// gets the partitions whose state was written.
void Controller::alter_states(std::vector<TopicPartition> tps, Change change,
                              Fn<void(std::vector<TopicPartition>)> next,
                              std::vector<TopicPartition> already) {
  if (tps.empty()) return next(std::move(already));
  std::vector<ZkRequest> reads;
  for (const TopicPartition& tp : tps)
    reads.push_back(ZkRequest::get(zpath::partition_state(tp.topic, tp.partition)));
  zk_.submit_all(
      std::move(reads),
      guard([this, tps = std::move(tps), change = std::move(change), next = std::move(next),
             already = std::move(already)](Replies replies) mutable {
        std::vector<ZkRequest> writes;
        std::vector<TopicPartition> written;
        std::vector<PartitionState> states;
        for (size_t i = 0; i < tps.size(); ++i) {
          if (replies[i].error == ZkError::session_expired) return;
          auto current = decode_partition_state(replies[i].data.value_or(""));
          if (!replies[i].ok() || !current || state_.find(tps[i]) == nullptr) continue;
          if (current->controller_epoch > state_.epoch)
            return resign("a state znode has a later epoch");
          auto changed = change(tps[i], *current);
          if (!changed) continue;
          changed->controller_epoch = state_.epoch;
          writes.push_back(ZkRequest::set(zpath::partition_state(tps[i].topic, tps[i].partition),
                                          encode_partition_state(*changed),
                                          replies[i].stat.version));
          written.push_back(tps[i]);
          states.push_back(std::move(*changed));
        }
        guarded(std::move(writes), [this, written = std::move(written), states = std::move(states),
                                    change = std::move(change), next = std::move(next),
                                    already = std::move(already)](Replies results) mutable {
          std::vector<TopicPartition> again;
          for (size_t i = 0; i < written.size(); ++i) {
            PartitionContext* partition = state_.find(written[i]);
            if (results[i].ok() && partition != nullptr) {
              partition->state = std::move(states[i]);
              partition->zk_version = results[i].stat.version;
              already.push_back(written[i]);
            } else if (results[i].error == ZkError::bad_version) {
              again.push_back(written[i]);
            }
          }
          alter_states(std::move(again), std::move(change), std::move(next), std::move(already));
        });
      }));
}

// First state of new partitions. The znodes go out in one pipelined run, parents first; the session
// keeps their order. Without a live replica a partition stays fresh.
void Controller::initialize(std::vector<TopicPartition> tps, Next next) {
  std::vector<TopicPartition> ready;
  std::vector<PartitionState> states;
  for (const TopicPartition& tp : tps) {
    PartitionState state;
    for (int32_t replica : state_.find(tp)->replicas)
      if (state_.online(replica, tp)) state.isr.push_back(replica);
    if (state.isr.empty()) {
      environment_.note(
          fmt::format("no live replica, partition stays without leader partition={}-{}", tp.topic,
                      tp.partition));
      continue;
    }
    state.leader = state.isr.front();
    state.controller_epoch = state_.epoch;
    ready.push_back(tp);
    states.push_back(std::move(state));
  }
  std::vector<ZkRequest> creates;
  std::string last_topic;
  for (const TopicPartition& tp : ready) {
    if (tp.topic != last_topic)
      creates.push_back(ZkRequest::create(zpath::partitions(tp.topic), std::nullopt));
    last_topic = tp.topic;
  }
  for (const TopicPartition& tp : ready)
    creates.push_back(ZkRequest::create(zpath::partition(tp.topic, tp.partition), std::nullopt));
  size_t first_state = creates.size();
  for (size_t i = 0; i < ready.size(); ++i)
    creates.push_back(ZkRequest::create(zpath::partition_state(ready[i].topic, ready[i].partition),
                                        encode_partition_state(states[i])));
  guarded(std::move(creates), [this, ready = std::move(ready), states = std::move(states),
                               first_state, next = std::move(next)](Replies replies) mutable {
    on_initialized(std::move(ready), std::move(states), first_state, std::move(replies),
                   std::move(next));
  });
}

void Controller::on_initialized(std::vector<TopicPartition> tps, std::vector<PartitionState> states,
                                size_t first_state, Replies replies, Next next) {
  RequestBatch batch;
  std::vector<TopicPartition> made;
  for (size_t i = 0; i < tps.size(); ++i) {
    const ZkReply& reply = replies[first_state + i];
    PartitionContext* partition = state_.find(tps[i]);
    // A create that met its own first attempt (the reply was lost) did what it should.
    bool done = reply.ok() || (reply.error == ZkError::node_exists && reply.retried);
    if (!done || partition == nullptr) {
      environment_.note(fmt::format("state znode not made partition={}-{} error={}", tps[i].topic,
                                    tps[i].partition, jute::error_name(reply.error)));
      continue;
    }
    partition->state = std::move(states[i]);
    partition->zk_version = 0;
    partition->phase = PartitionPhase::online;
    for (int32_t replica : partition->state->isr) {
      batch.leader_and_isr(replica, tps[i], true);
      partition->replica_phases[replica] = ReplicaPhase::online;
    }
    made.push_back(tps[i]);
  }
  if (!made.empty()) batch.update_metadata(state_.broker_ids(), made);
  send(batch);
  next();
}

// The first replica in assignment order that lives and is in the ISR; without one, when the
// operator prefers availability to records, the first that lives.
std::optional<PartitionState> Controller::elected(const TopicPartition& tp,
                                                  const PartitionState& from, bool unclean) const {
  const PartitionContext& partition = *state_.find(tp);
  PartitionState to = from;
  to.leader_epoch = from.leader_epoch + 1;
  auto in_isr = [&](int32_t id) {
    return std::find(from.isr.begin(), from.isr.end(), id) != from.isr.end();
  };
  for (int32_t replica : partition.replicas) {
    if (!state_.online(replica, tp) || !in_isr(replica)) continue;
    to.leader = replica;
    std::erase_if(to.isr, [&](int32_t id) { return !state_.online(id, tp); });
    return to;
  }
  if (!unclean) return std::nullopt;
  for (int32_t replica : partition.replicas) {
    if (!state_.online(replica, tp)) continue;
    to.leader = replica;
    to.isr = {replica};
    to.recovering = true;
    return to;
  }
  return std::nullopt;
}

bool Controller::has_live_isr(const TopicPartition& tp) const {
  const std::vector<int32_t>& isr = state_.find(tp)->state->isr;
  return std::any_of(isr.begin(), isr.end(), [&](int32_t id) { return state_.online(id, tp); });
}

// Which of these topics prefer availability, as their configs stand now. One whose config cannot be
// read is left out: it loses no records by that.
void Controller::read_unclean(std::set<std::string> topics, Fn<void(std::set<std::string>)> next) {
  if (topics.empty()) return next({});
  std::vector<ZkRequest> reads;
  for (const std::string& topic : topics)
    reads.push_back(ZkRequest::get(zpath::config("topics", topic)));
  zk_.submit_all(
      std::move(reads),
      guard([this, topics = std::move(topics), next = std::move(next)](Replies replies) mutable {
        std::set<std::string> unclean;
        auto reply = replies.begin();
        for (const std::string& topic : topics) {
          const ZkReply& read = *reply++;
          if (read.error == ZkError::session_expired) return;
          auto config =
              read.ok() ? decode_config(read.data.value_or("")) : Result<ConfigMap>(ConfigMap{});
          bool known = config && (read.ok() || read.error == ZkError::no_node);
          if (!known)
            environment_.note(fmt::format("no unclean election: config not read topic={}", topic));
          else if (prefers_availability(*config).value_or(options_.unclean_leader_election))
            unclean.insert(topic);
        }
        next(std::move(unclean));
      }));
}

// A topic's own config is asked for where no replica of the ISR lives, and nowhere else.
void Controller::elect_leaders(std::vector<TopicPartition> tps, Next next) {
  std::set<std::string> topics;
  for (const TopicPartition& tp : tps)
    if (!has_live_isr(tp)) topics.insert(tp.topic);
  read_unclean(std::move(topics), [this, tps = std::move(tps),
                                   next = std::move(next)](std::set<std::string> unclean) mutable {
    elect_by(
        std::move(tps),
        [this, unclean = std::move(unclean)](const TopicPartition& tp, const PartitionState& from) {
          return elected(tp, from, unclean.contains(tp.topic));
        },
        [next = std::move(next)](std::vector<TopicPartition>) mutable { next(); });
  });
}

void Controller::set_unclean_election(bool enabled) {
  bool was_enabled = std::exchange(options_.unclean_leader_election, enabled);
  if (enabled && !was_enabled && active()) enqueue({.kind = EventKind::unclean_enabled});
}

void Controller::on_unclean_topic(const std::string& topic) {
  if (active()) enqueue({.kind = EventKind::unclean_enabled, .topic = topic});
}

void Controller::on_unclean_enabled(const std::string& topic) {
  std::vector<TopicPartition> tps = leaderless();
  if (!topic.empty())
    std::erase_if(tps, [&](const TopicPartition& tp) { return tp.topic != topic; });
  bring_online(std::move(tps), [this] { finish(); });
}

// Writes what `change` decides and tells all brokers; `next` gets the partitions that have it.
void Controller::elect_by(std::vector<TopicPartition> tps, Change change,
                          Fn<void(std::vector<TopicPartition>)> next) {
  alter_states(std::move(tps), std::move(change),
               [this, next = std::move(next)](std::vector<TopicPartition> done) mutable {
                 RequestBatch batch;
                 for (const TopicPartition& tp : done) {
                   PartitionContext& partition = *state_.find(tp);
                   partition.phase = PartitionPhase::online;
                   for (int32_t replica : partition.replicas)
                     if (state_.online(replica, tp)) batch.leader_and_isr(replica, tp, false);
                 }
                 if (!done.empty()) batch.update_metadata(state_.broker_ids(), done);
                 send(batch);
                 next(std::move(done));
               });
}

void Controller::bring_online(std::vector<TopicPartition> tps, Next next) {
  std::vector<TopicPartition> fresh, offline;
  for (TopicPartition& tp : tps)
    (state_.find(tp)->state ? offline : fresh).push_back(std::move(tp));
  initialize(std::move(fresh),
             [this, offline = std::move(offline), next = std::move(next)]() mutable {
               elect_leaders(std::move(offline), std::move(next));
             });
}

void Controller::add_partitions(std::vector<TopicPartition> tps, Next next) {
  for (const TopicPartition& tp : tps) {
    PartitionContext& partition = *state_.find(tp);
    partition.phase = PartitionPhase::fresh;
    for (int32_t replica : partition.replicas)
      partition.replica_phases[replica] = ReplicaPhase::fresh;
  }
  initialize(std::move(tps), std::move(next));
}

// Replicas whose broker or log dir died, or that are stopped to be deleted. One broker after the
// other, as each removes itself from the ISR of the same partitions.
void Controller::take_offline(std::vector<ReplicaKey> replicas, Next next) {
  std::map<int32_t, std::vector<TopicPartition>> by_broker;
  for (ReplicaKey& replica : replicas) by_broker[replica.broker].push_back(std::move(replica.tp));
  take_offline_on(std::move(by_broker), std::move(next));
}

void Controller::take_offline_on(std::map<int32_t, std::vector<TopicPartition>> by_broker,
                                 Next next) {
  if (by_broker.empty()) return next();
  int32_t broker = by_broker.begin()->first;
  std::vector<TopicPartition> tps = std::move(by_broker.begin()->second);
  by_broker.erase(by_broker.begin());
  std::vector<TopicPartition> in_isr;
  for (const TopicPartition& tp : tps) {
    const auto& state = state_.find(tp)->state;
    if (state && std::find(state->isr.begin(), state->isr.end(), broker) != state->isr.end())
      in_isr.push_back(tp);
  }
  auto shrink = [broker](const TopicPartition&, const PartitionState& from) {
    PartitionState to = from;
    to.leader_epoch = from.leader_epoch + 1;
    if (from.leader == broker) to.leader = kNoLeader;
    // The last member stays: it alone has all records.
    if (from.isr.size() > 1) to.isr = without(from.isr, broker);
    return std::optional(to);
  };
  alter_states(std::move(in_isr), shrink,
               [this, broker, tps = std::move(tps), by_broker = std::move(by_broker),
                next = std::move(next)](std::vector<TopicPartition>) mutable {
                 RequestBatch batch;
                 std::vector<TopicPartition> told;
                 for (const TopicPartition& tp : tps) {
                   PartitionContext* partition = state_.find(tp);
                   if (partition == nullptr) continue;
                   partition->replica_phases[broker] = ReplicaPhase::offline;
                   if (partition->state && !state_.live(partition->state->leader))
                     partition->phase = PartitionPhase::offline;
                   batch.stop_replica(broker, tp, false);
                   if (state_.deleting(tp.topic) || !partition->state) continue;
                   for (int32_t replica : partition->replicas)
                     if (replica != broker && state_.online(replica, tp))
                       batch.leader_and_isr(replica, tp, false);
                   told.push_back(tp);
                 }
                 if (!told.empty()) batch.update_metadata(state_.broker_ids(), told);
                 send(batch);
                 take_offline_on(std::move(by_broker), std::move(next));
               });
}

}  // namespace ottla::broker
