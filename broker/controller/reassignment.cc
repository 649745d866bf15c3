// Room broker/controller: moving a partition to other replicas. The topic's znode says what is
// under way, so that a later controller goes on with it: replicas that are to come are told to
// follow, and when all of them are in sync those that are to go are stopped and removed.
// Source: KIP-455; Kafka's KafkaController (onPartitionReassignment, behaviour).
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <set>

#include "broker/controller/controller.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

using Ids = std::vector<int32_t>;

bool contains(const Ids& list, int32_t id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}
Ids minus(const Ids& list, const Ids& taken) {
  std::set<int32_t> without(taken.begin(), taken.end());  // a request may name any number of ids
  Ids out;
  for (int32_t id : list)
    if (!without.contains(id)) out.push_back(id);
  return out;
}

// As Kafka prints its collections in these texts.
std::string text_of(const char* kind, const Ids& ids) {
  std::string out = std::string(kind) + "(";
  for (size_t i = 0; i < ids.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(ids[i]);
  return out + ")";
}
PartitionOutcome no_such_partition() {
  return {ErrorCode::unknown_topic_or_partition, "The partition does not exist."};
}

}  // namespace

Ids Reassignment::origin() const { return minus(replicas, adding); }
Ids Reassignment::target() const { return minus(replicas, removing); }

Reassignment Reassignment::towards(const Ids& to) const {
  Reassignment out;
  out.replicas = to;
  Ids before = origin();
  for (int32_t id : before)
    if (!contains(to, id)) out.replicas.push_back(id);
  out.adding = minus(out.replicas, before);
  out.removing = minus(out.replicas, to);
  return out;
}

Reassignment Controller::reassignment_of(const TopicPartition& tp) const {
  const PartitionContext* partition = state_.find(tp);
  if (partition == nullptr) return {};
  return {partition->replicas, partition->adding, partition->removing};
}

std::vector<TopicPartition> Controller::reassigning() const {
  std::vector<TopicPartition> out;
  for (const auto& [name, topic] : state_.topics)
    for (const auto& [index, partition] : topic.partitions)
      if (!partition.adding.empty() || !partition.removing.empty()) out.push_back({name, index});
  return out;
}

std::map<TopicPartition, Reassignment> Controller::reassignments() const {
  std::map<TopicPartition, Reassignment> out;
  for (const TopicPartition& tp : reassigning()) out[tp] = reassignment_of(tp);
  return out;
}

TopicNode Controller::topic_node(const std::string& topic) const {
  TopicNode node;
  const TopicContext& context = state_.topics.at(topic);
  if (!context.id.is_zero()) node.id = context.id;
  for (const auto& [index, partition] : context.partitions) {
    node.partitions[index] = partition.replicas;
    if (!partition.adding.empty()) node.adding[index] = partition.adding;
    if (!partition.removing.empty()) node.removing[index] = partition.removing;
  }
  return node;
}

// ------------------------------------------------------------------------------------- the asking

void Controller::reassign(std::map<TopicPartition, TargetReplicas> targets,
                          Fn<void(PartitionOutcomes)> done) {
  auto shared = std::make_shared<Fn<void(PartitionOutcomes)>>(std::move(done));
  auto asked = std::make_shared<std::map<TopicPartition, TargetReplicas>>(std::move(targets));
  call(
      [this, asked, shared] {
        run_reassign(*asked, [this, shared](PartitionOutcomes outcomes) {
          current_.reset();
          (*shared)(std::move(outcomes));
          finish();
        });
      },
      [asked, shared] {
        PartitionOutcomes outcomes;
        for (const auto& [tp, target] : *asked)
          outcomes[tp] = {ErrorCode::not_controller, std::nullopt};
        (*shared)(std::move(outcomes));
      });
}

PartitionOutcome Controller::check_target(const TopicPartition& tp, const Ids& target) const {
  auto refuse = [](std::string why) {
    return PartitionOutcome{ErrorCode::invalid_replica_assignment, std::move(why)};
  };
  if (target.empty()) return refuse("Empty replica list specified in partition reassignment.");
  Ids sorted = target;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return refuse("Duplicate replica ids in partition reassignment replica list: " +
                  text_of("ArrayBuffer", target));
  if (sorted.front() < 0)
    return refuse("Invalid broker id in replica list: " + text_of("ArrayBuffer", target));
  Ids adding = reassignment_of(tp).towards(target).adding;
  Ids live = state_.broker_ids();
  if (minus(adding, live).empty()) return {};
  return refuse(fmt::format(
      "Replica assignment has brokers that are not alive. Replica list: {}, live broker list: {}",
      text_of("ArrayBuffer", adding), text_of(live.size() > 4 ? "HashSet" : "Set", live)));
}

void Controller::run_reassign(std::map<TopicPartition, TargetReplicas> targets,
                              Fn<void(PartitionOutcomes)> next) {
  PartitionOutcomes outcomes;
  std::map<TopicPartition, Reassignment> wanted;
  for (const auto& [tp, target] : targets) {
    Reassignment now = reassignment_of(tp);
    if (target) {
      PartitionOutcome checked = check_target(tp, *target);
      if (checked.error == ErrorCode::none)
        wanted[tp] = now.towards(*target);
      else
        outcomes[tp] = std::move(checked);
    } else if (now.under_way()) {
      wanted[tp] = now.towards(now.origin());
    } else {
      outcomes[tp] = {ErrorCode::no_reassignment_in_progress,
                      std::string(kmsg::error_message(ErrorCode::no_reassignment_in_progress))};
    }
  }
  // What is asked last counts, whichever way it was asked: old wishes in the znode are void.
  auto drop = [wanted](const TopicPartition& tp, const Ids&) { return wanted.contains(tp); };
  forget_in_node(std::move(drop),
                 [this, wanted, outcomes = std::move(outcomes), next = std::move(next)]() mutable {
                   start_reassignments(std::move(wanted), std::move(outcomes), std::move(next));
                 });
}

// One after the other: each writes the znode of its topic whole.
void Controller::start_reassignments(std::map<TopicPartition, Reassignment> wanted,
                                     PartitionOutcomes outcomes, Fn<void(PartitionOutcomes)> next) {
  while (!wanted.empty()) {
    auto [tp, to] = *wanted.begin();
    wanted.erase(wanted.begin());
    if (state_.find(tp) == nullptr || state_.deleting(tp.topic)) {
      outcomes[tp] = no_such_partition();
      continue;
    }
    outcomes[tp] = {};
    environment_.note(fmt::format("reassignment partition={}-{} to={}", tp.topic, tp.partition,
                                  text_of("", to.target())));
    return carry_on(tp, std::move(to),
                    [this, wanted = std::move(wanted), outcomes = std::move(outcomes),
                     next = std::move(next)]() mutable {
                      start_reassignments(std::move(wanted), std::move(outcomes), std::move(next));
                    });
  }
  next(std::move(outcomes));
}

void Controller::resume_reassignments(std::vector<TopicPartition> tps, Next next) {
  if (tps.empty()) return next();
  TopicPartition tp = std::move(tps.back());
  tps.pop_back();
  Reassignment to = reassignment_of(tp);
  carry_on(tp, std::move(to), [this, tps = std::move(tps), next = std::move(next)]() mutable {
    resume_reassignments(std::move(tps), std::move(next));
  });
}

// -------------------------------------------------------------------------------------- the moving

// From wherever it stands: records the wish if it is new, then ends what can be ended.
void Controller::carry_on(const TopicPartition& tp, Reassignment to, Next next) {
  auto decide = [this, tp, to, next = std::move(next)]() mutable {
    if (state_.find(tp) == nullptr) return next();
    if (!to.under_way()) return end_reassignment(tp, std::move(to), std::move(next));
    zk_.submit(ZkRequest::get(zpath::partition_state(tp.topic, tp.partition)),
               guard([this, tp, to = std::move(to), next = std::move(next)](ZkReply reply) mutable {
                 if (reply.error == ZkError::session_expired) return;
                 if (state_.find(tp) == nullptr) return next();
                 auto state = decode_partition_state(reply.data.value_or(""));
                 bool in_sync = reply.ok() && state && minus(to.target(), state->isr).empty();
                 if (in_sync) return end_reassignment(tp, std::move(to), std::move(next));
                 begin_reassignment(tp, std::move(to), std::move(next));
               }));
  };
  Reassignment now = reassignment_of(tp);
  if (now == to) return decide();
  Ids unneeded = minus(now.replicas, to.replicas);
  write_assignment(
      tp, to, [this, tp, unneeded = std::move(unneeded), decide = std::move(decide)]() mutable {
        stop_removed(tp, std::move(unneeded), std::move(decide));
      });
}

// The topic's znode, then what is remembered.
void Controller::write_assignment(const TopicPartition& tp, const Reassignment& to, Next next) {
  TopicNode node = topic_node(tp.topic);
  node.partitions[tp.partition] = to.replicas;
  node.adding.erase(tp.partition);
  node.removing.erase(tp.partition);
  if (!to.adding.empty()) node.adding[tp.partition] = to.adding;
  if (!to.removing.empty()) node.removing[tp.partition] = to.removing;
  std::vector<ZkRequest> ops;
  ops.push_back(ZkRequest::set(zpath::topic(tp.topic), encode_topic(node)));
  guarded(std::move(ops), [this, tp, to, next = std::move(next)](Replies) mutable {
    if (PartitionContext* partition = state_.find(tp)) {
      partition->replicas = to.replicas;
      partition->adding = to.adding;
      partition->removing = to.removing;
    }
    next();
  });
}

// A new epoch makes every replica take the new lists; those that come are told to begin.
void Controller::begin_reassignment(const TopicPartition& tp, Reassignment to, Next next) {
  auto bump = [](const TopicPartition&, const PartitionState& from) {
    PartitionState next_epoch = from;
    next_epoch.leader_epoch = from.leader_epoch + 1;
    return std::optional(next_epoch);
  };
  alter_states({tp}, bump,
               [this, tp, to = std::move(to),
                next = std::move(next)](std::vector<TopicPartition> done) mutable {
                 PartitionContext* partition = state_.find(tp);
                 if (done.empty() || partition == nullptr) return next();
                 RequestBatch all, again;
                 for (int32_t replica : to.origin())
                   if (state_.online(replica, tp)) all.leader_and_isr(replica, tp, false);
                 for (int32_t replica : to.adding) {
                   all.leader_and_isr(replica, tp, true);
                   again.leader_and_isr(replica, tp, true);
                   partition->replica_phases[replica] = ReplicaPhase::fresh;
                 }
                 all.update_metadata(state_.broker_ids(), {tp});
                 send(all);
                 if (!to.adding.empty()) again.update_metadata(state_.broker_ids(), {tp});
                 send(again);
                 next();
               });
}

void Controller::end_reassignment(const TopicPartition& tp, Reassignment to, Next next) {
  PartitionContext& partition = *state_.find(tp);
  Reassignment done{to.target(), {}, {}};
  for (int32_t replica : to.adding) partition.replica_phases[replica] = ReplicaPhase::online;
  partition.replicas = done.replicas;
  partition.adding.clear();
  partition.removing.clear();
  auto written = [this, tp, done, next = std::move(next)]() mutable {
    auto drop = [tp, done](const TopicPartition& other, const Ids& replicas) {
      return other == tp && replicas == done.replicas;
    };
    forget_in_node(std::move(drop), [this, tp, next = std::move(next)]() mutable {
      RequestBatch batch;
      if (state_.find(tp) != nullptr) batch.update_metadata(state_.broker_ids(), {tp});
      send(batch);
      resume_deletions(std::move(next));
    });
  };
  settle_leader(tp, [this, tp, to = std::move(to), done, written = std::move(written)]() mutable {
    stop_removed(tp, to.removing, [this, tp, done, written = std::move(written)]() mutable {
      if (state_.find(tp) == nullptr) return written();
      write_assignment(tp, done, std::move(written));
    });
  });
}

// The leader stays if it is one of the replicas that stay and lives; its epoch grows in any case.
void Controller::settle_leader(const TopicPartition& tp, Next next) {
  auto change = [this](const TopicPartition& which, const PartitionState& from) {
    const PartitionContext& partition = *state_.find(which);
    PartitionState to = from;
    to.leader_epoch = from.leader_epoch + 1;
    if (contains(partition.replicas, from.leader) && state_.online(from.leader, which))
      return std::optional(to);
    for (int32_t replica : partition.replicas)
      if (state_.online(replica, which) && contains(from.isr, replica)) {
        to.leader = replica;
        return std::optional(to);
      }
    return std::optional<PartitionState>();
  };
  alter_states({tp}, change,
               [this, next = std::move(next)](std::vector<TopicPartition> done) mutable {
                 RequestBatch batch;
                 for (const TopicPartition& changed : done) {
                   PartitionContext& partition = *state_.find(changed);
                   if (state_.live(partition.state->leader))
                     partition.phase = PartitionPhase::online;
                   for (int32_t replica : partition.replicas)
                     if (state_.online(replica, changed))
                       batch.leader_and_isr(replica, changed, false);
                 }
                 if (!done.empty()) batch.update_metadata(state_.broker_ids(), done);
                 send(batch);
                 next();
               });
}

// Out of the ISR, stopped, removed.
void Controller::stop_removed(const TopicPartition& tp, Ids brokers, Next next) {
  if (brokers.empty() || state_.find(tp) == nullptr) return next();
  std::vector<ReplicaKey> replicas;
  for (int32_t id : brokers) replicas.push_back({tp, id});
  take_offline(std::move(replicas),
               [this, tp, brokers = std::move(brokers), next = std::move(next)]() mutable {
                 RequestBatch removal;
                 for (int32_t id : brokers) {
                   removal.stop_replica(id, tp, true);
                   if (PartitionContext* partition = state_.find(tp))
                     partition->replica_phases.erase(id);
                 }
                 send(removal);
                 next();
               });
}

// ----------------------------------------------------------------------------- the node of old
// tools

void Controller::forget_in_node(std::function<bool(const TopicPartition&, const Ids&)> drop,
                                Next next) {
  zk_.submit(ZkRequest::get(zpath::kReassign),
             guard([this, drop = std::move(drop), next = std::move(next)](ZkReply reply) mutable {
               if (reply.error == ZkError::session_expired) return;
               auto list = decode_reassignments(reply.data.value_or(""));
               if (!reply.ok() || !list) return next();
               size_t before = list->size();
               std::erase_if(*list, [&](const auto& entry) {
                 return drop({entry.first.first, entry.first.second}, entry.second);
               });
               if (list->size() == before && !list->empty()) return next();
               std::vector<ZkRequest> ops;
               if (list->empty())
                 ops.push_back(ZkRequest::remove(zpath::kReassign));
               else
                 ops.push_back(ZkRequest::set(zpath::kReassign, encode_reassignments(*list)));
               guarded(std::move(ops), [next = std::move(next)](Replies) mutable { next(); });
             }));
}

// Not checked as the API's are: tools of that age checked before they wrote.
void Controller::on_reassign_node() {
  zk_.submit_all({ZkRequest::exists(zpath::kReassign, true), ZkRequest::get(zpath::kReassign)},
                 guard([this](Replies replies) {
                   if (replies[1].error == ZkError::session_expired) return;
                   if (!replies[1].ok()) return finish();
                   auto list = decode_reassignments(replies[1].data.value_or(""));
                   if (!list) {
                     environment_.note(list.error().context);
                     return finish();
                   }
                   std::map<TopicPartition, Reassignment> wanted;
                   for (auto& [key, replicas] : *list) {
                     TopicPartition tp{key.first, key.second};
                     if (replicas.empty()) continue;  // would leave nothing of the partition
                     Reassignment to = reassignment_of(tp).towards(replicas);
                     // Under way already: this is a later controller, which has gone on with it.
                     bool known = to.under_way() && to == reassignment_of(tp);
                     if (!known) wanted[tp] = std::move(to);
                   }
                   start_reassignments(std::move(wanted), {}, [this](PartitionOutcomes ended) {
                     auto failed = [ended](const TopicPartition& tp, const Ids& replicas) {
                       auto found = ended.find(tp);
                       bool refused =
                           found != ended.end() && found->second.error != ErrorCode::none;
                       return refused || replicas.empty();
                     };
                     forget_in_node(failed, [this] { finish(); });
                   });
                 }));
}

}  // namespace ottla::broker
