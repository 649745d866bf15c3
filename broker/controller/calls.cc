// Room broker/controller: what others ask of the active controller, carried out as events of its
// queue: elections by name, changes of an ISR. Reassignments are in reassignment.cc.
// Source: KIP-183, KIP-460 (ElectLeaders), KIP-497, KIP-841 (AlterPartition); Kafka's
// KafkaController (behaviour).
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "broker/controller/controller.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr int16_t kFirstWithTopicIds = 2;  // AlterPartition

PartitionOutcomes not_controller(const std::vector<TopicPartition>& tps) {
  PartitionOutcomes out;
  for (const TopicPartition& tp : tps) out[tp] = {ErrorCode::not_controller, std::nullopt};
  return out;
}

PartitionOutcome election_failed(const TopicPartition& tp, ElectionType type) {
  bool preferred = type == ElectionType::preferred;
  return {preferred ? ErrorCode::preferred_leader_not_available
                    : ErrorCode::eligible_leaders_not_available,
          fmt::format("Failed to elect leader for partition {}-{} under strategy {}", tp.topic,
                      tp.partition,
                      preferred ? "PreferredReplicaPartitionLeaderElectionStrategy"
                                : "OfflinePartitionLeaderElectionStrategy(true)")};
}

bool contains(const std::vector<int32_t>& list, int32_t id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

}  // namespace

void Controller::call(Fn<void()> run, Fn<void()> refuse) {
  if (!started_) return refuse();
  Event event{.kind = EventKind::call};
  event.call = std::make_shared<Call>(Call{std::move(run), std::move(refuse)});
  enqueue(std::move(event));
}

// Whoever waits is told after the reset, when nothing of the old state is left to be touched.
std::vector<std::shared_ptr<Controller::Call>> Controller::drop_queue() {
  std::vector<std::shared_ptr<Call>> calls;
  if (current_) calls.push_back(std::exchange(current_, nullptr));
  for (Event& event : queue_)
    if (event.call) calls.push_back(std::move(event.call));
  queue_.clear();
  return calls;
}

std::optional<int64_t> Controller::broker_epoch(int32_t broker) const {
  auto found = state_.brokers.find(broker);
  if (found == state_.brokers.end()) return std::nullopt;
  return found->second.epoch;
}

std::vector<TopicPartition> Controller::led_by(int32_t broker) const {
  std::vector<TopicPartition> out;
  for (const auto& [name, topic] : state_.topics)
    for (const auto& [index, partition] : topic.partitions)
      if (!state_.deleting(name) && partition.state && partition.state->leader == broker &&
          partition.replicas.size() > 1)
        out.push_back({name, index});
  return out;
}

std::optional<std::string> Controller::topic_of(const kmsg::Uuid& id) const {
  for (const auto& [name, topic] : state_.topics)
    if (topic.id == id) return name;
  return std::nullopt;
}

// ------------------------------------------------------------------------------------ elections

void Controller::elect(std::vector<TopicPartition> tps, ElectionType type,
                       Fn<void(PartitionOutcomes)> done) {
  auto shared = std::make_shared<Fn<void(PartitionOutcomes)>>(std::move(done));
  auto asked = std::make_shared<std::vector<TopicPartition>>(std::move(tps));
  call(
      [this, asked, type, shared] {
        run_election(*asked, type, [this, shared](PartitionOutcomes outcomes) {
          current_.reset();
          (*shared)(std::move(outcomes));
          finish();
        });
      },
      [asked, shared] { (*shared)(not_controller(*asked)); });
}

void Controller::run_election(std::vector<TopicPartition> tps, ElectionType type,
                              Fn<void(PartitionOutcomes)> next) {
  PartitionOutcomes outcomes;
  std::vector<TopicPartition> electable;
  std::set<TopicPartition> seen;
  for (const TopicPartition& tp : tps) {
    const PartitionContext* partition = state_.find(tp);
    if (partition == nullptr) {
      outcomes[tp] = {ErrorCode::unknown_topic_or_partition, "The partition does not exist."};
      continue;
    }
    if (state_.deleting(tp.topic)) {
      outcomes[tp] = {ErrorCode::invalid_topic_exception, "The topic is being deleted"};
      continue;
    }
    int32_t leader = partition->state ? partition->state->leader : kNoLeader;
    bool needed = type == ElectionType::preferred
                      ? partition->replicas.empty() || leader != partition->replicas.front()
                      : leader == kNoLeader || !state_.live(leader);
    if (!needed)
      outcomes[tp] = {ErrorCode::election_not_needed,
                      std::string(kmsg::error_message(ErrorCode::election_not_needed))};
    else if (seen.insert(tp).second)
      electable.push_back(tp);
  }
  // A partition that never had a leader has no state znode that could be changed: nothing lives
  // that could lead it, or it would have one.
  auto preferred = [this](const TopicPartition& tp, const PartitionState& from) {
    int32_t head = state_.find(tp)->replicas.front();
    if (!state_.online(head, tp) || !contains(from.isr, head))
      return std::optional<PartitionState>();
    PartitionState to = from;
    to.leader = head;
    to.leader_epoch = from.leader_epoch + 1;
    return std::optional(to);
  };
  auto unclean = [this](const TopicPartition& tp, const PartitionState& from) {
    return elected(tp, from, true);
  };
  Change change = unclean;
  if (type == ElectionType::preferred) change = preferred;
  std::vector<TopicPartition> wanted = electable;
  elect_by(std::move(wanted), std::move(change),
           [this, type, electable = std::move(electable), outcomes = std::move(outcomes),
            next = std::move(next)](std::vector<TopicPartition> done) mutable {
             std::set<TopicPartition> elected(done.begin(), done.end());
             for (const TopicPartition& tp : electable) {
               if (!elected.contains(tp)) {
                 outcomes[tp] = election_failed(tp, type);
                 continue;
               }
               outcomes[tp].leader = state_.find(tp)->state->leader;
               environment_.note(fmt::format("leader elected on demand partition={}-{} leader={}",
                                             tp.topic, tp.partition, outcomes[tp].leader));
             }
             next(std::move(outcomes));
           });
}

// The node is taken away whatever came of it, and looked for again when it comes back.
void Controller::on_election_node() {
  zk_.submit_all({ZkRequest::exists(zpath::kPreferredElection, true),
                  ZkRequest::get(zpath::kPreferredElection)},
                 guard([this](Replies replies) {
                   if (replies[1].error == ZkError::session_expired) return;
                   if (!replies[1].ok()) return finish();
                   std::vector<TopicPartition> tps;
                   auto list = decode_partition_list(replies[1].data.value_or(""));
                   if (!list) environment_.note(list.error().context);
                   if (list)
                     for (auto& [topic, partition] : *list) tps.push_back({topic, partition});
                   run_election(std::move(tps), ElectionType::preferred, [this](PartitionOutcomes) {
                     std::vector<ZkRequest> ops;
                     ops.push_back(ZkRequest::remove(zpath::kPreferredElection));
                     guarded(std::move(ops), [this](Replies) { finish(); });
                   });
                 }));
}

// ------------------------------------------------------------------------------ changes of an ISR

void Controller::alter_isr(std::vector<IsrChange> changes, int32_t leader, int16_t version,
                           Fn<void(ErrorCode, std::vector<IsrOutcome>)> done) {
  auto shared = std::make_shared<Fn<void(ErrorCode, std::vector<IsrOutcome>)>>(std::move(done));
  auto asked = std::make_shared<std::vector<IsrChange>>(std::move(changes));
  call(
      [this, asked, leader, version, shared] {
        run_alter_isr(*asked, leader, version,
                      [this, asked, shared](std::vector<IsrOutcome> outcomes) {
                        std::vector<TopicPartition> moving;
                        for (size_t i = 0; i < asked->size(); ++i)
                          if (outcomes[i].error == ErrorCode::none &&
                              reassignment_of((*asked)[i].tp).under_way())
                            moving.push_back((*asked)[i].tp);
                        current_.reset();
                        (*shared)(ErrorCode::none, std::move(outcomes));
                        resume_reassignments(std::move(moving), [this] { finish(); });
                      });
      },
      [shared] { (*shared)(ErrorCode::not_controller, {}); });
}

IsrOutcome Controller::check_isr(const IsrChange& change, int32_t leader, int16_t version,
                                 bool& write) const {
  IsrOutcome out;
  const PartitionContext* partition = state_.find(change.tp);
  auto refuse = [&](ErrorCode error) {
    out.error = error;
    return out;
  };
  if (partition == nullptr || !partition->state)
    return refuse(ErrorCode::unknown_topic_or_partition);
  const PartitionState& now = *partition->state;
  // Whoever knows more than we do knows a later controller.
  if (change.partition_epoch > partition->zk_version || change.leader_epoch > now.leader_epoch)
    return refuse(ErrorCode::not_controller);
  if (change.leader_epoch < now.leader_epoch) return refuse(ErrorCode::fenced_leader_epoch);
  if (leader == now.leader && change.isr == now.isr && change.recovering == now.recovering) {
    out.state = now;
    out.partition_epoch = partition->zk_version;
    return out;
  }
  if (change.partition_epoch < partition->zk_version)
    return refuse(ErrorCode::invalid_update_version);
  if (change.recovering && change.isr.size() > 1) return refuse(ErrorCode::invalid_request);
  if (change.recovering && !now.recovering) return refuse(ErrorCode::invalid_request);
  for (int32_t member : change.isr)
    if (!state_.live(member))
      return refuse(version >= kFirstWithTopicIds ? ErrorCode::ineligible_replica
                                                  : ErrorCode::operation_not_attempted);
  write = true;
  return out;
}

void Controller::run_alter_isr(std::vector<IsrChange> changes, int32_t leader, int16_t version,
                               Fn<void(std::vector<IsrOutcome>)> next) {
  std::vector<IsrOutcome> outcomes;
  std::vector<size_t> written;
  std::vector<ZkRequest> ops;
  for (size_t i = 0; i < changes.size(); ++i) {
    bool write = false;
    outcomes.push_back(check_isr(changes[i], leader, version, write));
    if (!write) continue;
    PartitionState& to = outcomes.back().state;
    to.leader = leader;
    to.leader_epoch = changes[i].leader_epoch;
    to.controller_epoch = state_.epoch;
    to.isr = changes[i].isr;
    to.recovering = changes[i].recovering;
    const TopicPartition& tp = changes[i].tp;
    ops.push_back(ZkRequest::set(zpath::partition_state(tp.topic, tp.partition),
                                 encode_partition_state(to), changes[i].partition_epoch));
    written.push_back(i);
  }
  guarded(std::move(ops), [this, changes = std::move(changes), outcomes = std::move(outcomes),
                           written = std::move(written),
                           next = std::move(next)](Replies replies) mutable {
    for (size_t n = 0; n < written.size(); ++n) {
      IsrOutcome& out = outcomes[written[n]];
      PartitionContext* partition = state_.find(changes[written[n]].tp);
      if (replies[n].ok() && partition != nullptr) {
        partition->state = out.state;
        partition->zk_version = out.partition_epoch = replies[n].stat.version;
      } else {
        out.error = replies[n].error == ZkError::bad_version ? ErrorCode::invalid_update_version
                                                             : ErrorCode::unknown_server_error;
      }
    }
    std::vector<TopicPartition> told;
    for (const IsrChange& change : changes)
      if (state_.find(change.tp) != nullptr) told.push_back(change.tp);
    RequestBatch batch;
    if (!told.empty()) batch.update_metadata(state_.broker_ids(), told);
    send(batch);
    next(std::move(outcomes));
  });
}

}  // namespace ottla::broker
