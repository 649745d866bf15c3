// Room broker/controller: requests about partitions, as calls of the controller. See
// partition_admin.h. Source: Kafka's KafkaApis and DelayedElectLeader (behaviour).
#include "broker/controller/partition_admin.h"

#include <algorithm>
#include <list>

#include "broker/controller/controller.h"
#include "broker/controller/topic_admin.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr int16_t kFirstWithTopicIds = 2, kFirstWithBrokerEpochs = 3;  // AlterPartition

void add_results(kmsg::ElectLeadersResponse& response, const PartitionOutcomes& outcomes,
                 bool named_all) {
  for (const auto& [tp, outcome] : outcomes) {
    if (!named_all && outcome.error == ErrorCode::election_not_needed) continue;
    auto& results = response.replica_election_results;
    if (results.empty() || results.back().topic != tp.topic)
      results.emplace_back().topic = tp.topic;
    auto& result = results.back().partition_result.emplace_back();
    result.partition_id = tp.partition;
    result.error_code = outcome.error;
    result.error_message = outcome.message;
  }
}

}  // namespace

struct PartitionAdmin::Impl {
  struct Waiter {
    Instant deadline;
    PartitionOutcomes outcomes;
    std::set<TopicPartition> missing;  // leaders that the metadata does not show yet
    Fn<void(PartitionOutcomes)> done;
  };

  Impl(rt::World& w, Controller& c, TopicAdminHost& h) : world(w), controller(c), host(h) {
    timer = world.loop.make_timer([this] { check_waiters(true); });
  }
  ~Impl() { *alive = false; }

  void wait(PartitionOutcomes outcomes, int32_t timeout_ms, Fn<void(PartitionOutcomes)> done);
  void settle(Waiter& waiter) const;
  void check_waiters(bool expire);

  rt::World world;
  Controller& controller;
  TopicAdminHost& host;
  std::list<Waiter> waiters;
  std::unique_ptr<rt::Timer> timer;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

PartitionAdmin::PartitionAdmin(rt::World& world, Controller& controller, TopicAdminHost& host)
    : impl_(std::make_unique<Impl>(world, controller, host)) {}
PartitionAdmin::~PartitionAdmin() = default;

void PartitionAdmin::on_metadata_changed() { impl_->check_waiters(false); }

// ------------------------------------------------------------------------------------- elections

void PartitionAdmin::elect_leaders(const kmsg::ElectLeadersRequest& request,
                                   Fn<void(kmsg::ElectLeadersResponse)> done) {
  using Type = ElectionType;
  auto type = static_cast<Type>(request.election_type);
  bool named = request.topic_partitions.has_value();
  std::vector<TopicPartition> tps;
  if (named) {
    for (const auto& topic : *request.topic_partitions)
      for (int32_t index : topic.partitions) tps.push_back({topic.topic, index});
  } else {
    for (const auto& [name, topic] : impl_->host.metadata()->topics())
      for (const auto& [index, partition] : topic->partitions) tps.push_back({name, index});
  }
  if (type != Type::preferred && type != Type::unclean) {
    kmsg::ElectLeadersResponse response;
    response.error_code = ErrorCode::unknown_server_error;
    PartitionOutcomes outcomes;
    if (named)
      for (const TopicPartition& tp : tps)
        outcomes[tp] = {ErrorCode::unknown_server_error, std::nullopt};
    add_results(response, outcomes, true);
    return done(std::move(response));
  }
  auto answer = [named, done = std::move(done)](PartitionOutcomes outcomes) mutable {
    kmsg::ElectLeadersResponse response;
    add_results(response, outcomes, named);
    done(std::move(response));
  };
  impl_->controller.elect(
      std::move(tps), type,
      [impl = impl_.get(), token = impl_->alive, timeout_ms = request.timeout_ms,
       answer = std::move(answer)](PartitionOutcomes outcomes) mutable {
        if (*token) impl->wait(std::move(outcomes), timeout_ms, std::move(answer));
      });
}

void PartitionAdmin::Impl::settle(Waiter& waiter) const {
  MetadataPtr image = host.metadata();
  std::erase_if(waiter.missing, [&](const TopicPartition& tp) {
    const PartitionView* view = image->partition(tp.topic, tp.partition);
    return view != nullptr && view->leader == waiter.outcomes[tp].leader;
  });
}

void PartitionAdmin::Impl::wait(PartitionOutcomes outcomes, int32_t timeout_ms,
                                Fn<void(PartitionOutcomes)> done) {
  Waiter waiter{after_ms(world.loop.now(), std::max(timeout_ms, 0)),
                std::move(outcomes),
                {},
                std::move(done)};
  for (const auto& [tp, outcome] : waiter.outcomes)
    if (outcome.error == ErrorCode::none) waiter.missing.insert(tp);
  settle(waiter);
  if (waiter.missing.empty()) return waiter.done(std::move(waiter.outcomes));
  waiters.push_back(std::move(waiter));
  check_waiters(true);
}

void PartitionAdmin::Impl::check_waiters(bool expire) {
  auto token = alive;
  Instant now = world.loop.now();
  std::list<Waiter> ready;
  for (auto it = waiters.begin(); it != waiters.end();) {
    auto at = it++;
    settle(*at);
    if (at->missing.empty() || (expire && at->deadline <= now))
      ready.splice(ready.end(), waiters, at);
  }
  timer->cancel();
  if (!waiters.empty()) {
    Instant first = waiters.front().deadline;
    for (const Waiter& waiter : waiters) first = std::min(first, waiter.deadline);
    timer->arm_at(first);
  }
  for (Waiter& waiter : ready) {
    for (const TopicPartition& tp : waiter.missing)
      waiter.outcomes[tp] = {ErrorCode::request_timed_out,
                             std::string(kmsg::error_message(ErrorCode::request_timed_out))};
    waiter.done(std::move(waiter.outcomes));
    if (!*token) return;
  }
}

// --------------------------------------------------------------------------------- reassignments

void PartitionAdmin::alter_reassignments(const kmsg::AlterPartitionReassignmentsRequest& request,
                                         Fn<void(kmsg::AlterPartitionReassignmentsResponse)> done) {
  std::map<TopicPartition, TargetReplicas> targets;
  for (const auto& topic : request.topics)
    for (const auto& partition : topic.partitions)
      targets[{topic.name, partition.partition_index}] = partition.replicas;
  if (!impl_->host.is_active_controller()) {
    kmsg::AlterPartitionReassignmentsResponse response;
    response.error_code = ErrorCode::not_controller;
    response.error_message = std::string(kmsg::error_message(ErrorCode::not_controller));
    return done(std::move(response));
  }
  impl_->controller.reassign(
      std::move(targets), [done = std::move(done)](PartitionOutcomes outcomes) mutable {
        kmsg::AlterPartitionReassignmentsResponse response;
        response.error_message = "";
        for (const auto& [tp, outcome] : outcomes) {
          if (response.responses.empty() || response.responses.back().name != tp.topic)
            response.responses.emplace_back().name = tp.topic;
          auto& result = response.responses.back().partitions.emplace_back();
          result.partition_index = tp.partition;
          result.error_code = outcome.error;
          result.error_message = outcome.message;
        }
        done(std::move(response));
      });
}

void PartitionAdmin::list_reassignments(const kmsg::ListPartitionReassignmentsRequest& request,
                                        Fn<void(kmsg::ListPartitionReassignmentsResponse)> done) {
  kmsg::ListPartitionReassignmentsResponse response;
  response.error_message = "";
  if (!impl_->host.is_active_controller()) {
    response.error_code = ErrorCode::not_controller;
    response.error_message = std::string(kmsg::error_message(ErrorCode::not_controller));
    return done(std::move(response));
  }
  std::set<TopicPartition> asked;
  if (request.topics)
    for (const auto& topic : *request.topics)
      for (int32_t index : topic.partition_indexes) asked.insert({topic.name, index});
  for (const auto& [tp, reassignment] : impl_->controller.reassignments()) {
    if (request.topics && !asked.contains(tp)) continue;
    if (response.topics.empty() || response.topics.back().name != tp.topic)
      response.topics.emplace_back().name = tp.topic;
    auto& entry = response.topics.back().partitions.emplace_back();
    entry.partition_index = tp.partition;
    entry.replicas = reassignment.replicas;
    entry.adding_replicas = reassignment.adding;
    entry.removing_replicas = reassignment.removing;
  }
  done(std::move(response));
}

// ------------------------------------------------------------------------------- asked by brokers

void PartitionAdmin::alter_partition(kmsg::AlterPartitionRequest request, int16_t version,
                                     Fn<void(kmsg::AlterPartitionResponse)> done) {
  kmsg::AlterPartitionResponse response;
  if (!impl_->host.is_active_controller()) {
    response.error_code = ErrorCode::not_controller;
    return done(std::move(response));
  }
  if (impl_->controller.broker_epoch(request.broker_id) != request.broker_epoch) {
    response.error_code = ErrorCode::stale_broker_epoch;
    return done(std::move(response));
  }
  bool by_id = version >= kFirstWithTopicIds;
  std::vector<IsrChange> changes;
  std::vector<std::pair<size_t, size_t>> places;  // of each change in the response
  for (auto& topic : request.topics) {
    std::optional<std::string> name = topic.topic_name;
    if (by_id) name = impl_->controller.topic_of(topic.topic_id);
    auto& answer = response.topics.emplace_back();
    answer.topic_name = topic.topic_name;
    answer.topic_id = topic.topic_id;
    for (auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition.partition_index;
      if (!name) {
        entry.error_code = ErrorCode::unknown_topic_id;
        continue;
      }
      IsrChange change;
      change.tp = {*name, partition.partition_index};
      change.leader_epoch = partition.leader_epoch;
      change.isr = std::move(partition.new_isr);
      if (version >= kFirstWithBrokerEpochs)
        for (const auto& member : partition.new_isr_with_epochs)
          change.isr.push_back(member.broker_id);
      change.recovering = partition.leader_recovery_state == 1;
      change.partition_epoch = partition.partition_epoch;
      places.emplace_back(response.topics.size() - 1, answer.partitions.size() - 1);
      changes.push_back(std::move(change));
    }
  }
  impl_->controller.alter_isr(
      std::move(changes), request.broker_id, version,
      [response = std::move(response), places = std::move(places), done = std::move(done)](
          ErrorCode error, std::vector<IsrOutcome> outcomes) mutable {
        if (error != ErrorCode::none) {
          response = {};
          response.error_code = error;
          return done(std::move(response));
        }
        for (size_t i = 0; i < outcomes.size(); ++i) {
          auto& entry = response.topics[places[i].first].partitions[places[i].second];
          entry.error_code = outcomes[i].error;
          if (entry.error_code != ErrorCode::none) continue;
          entry.leader_id = outcomes[i].state.leader;
          entry.leader_epoch = outcomes[i].state.leader_epoch;
          entry.isr = outcomes[i].state.isr;
          entry.leader_recovery_state = outcomes[i].state.recovering ? 1 : 0;
          entry.partition_epoch = outcomes[i].partition_epoch;
        }
        done(std::move(response));
      });
}

void PartitionAdmin::controlled_shutdown(const kmsg::ControlledShutdownRequest& request,
                                         Fn<void(kmsg::ControlledShutdownResponse)> done) {
  kmsg::ControlledShutdownResponse response;
  std::optional<int64_t> epoch = impl_->controller.broker_epoch(request.broker_id);
  if (!impl_->host.is_active_controller())
    response.error_code = ErrorCode::stale_controller_epoch;
  else if (!epoch)
    response.error_code = request.broker_epoch == -1 ? ErrorCode::broker_not_available
                                                     : ErrorCode::unknown_server_error;
  else if (request.broker_epoch != -1 && request.broker_epoch < *epoch)
    response.error_code = ErrorCode::stale_broker_epoch;
  if (response.error_code == ErrorCode::none)
    for (const TopicPartition& tp : impl_->controller.led_by(request.broker_id)) {
      auto& left = response.remaining_partitions.emplace_back();
      left.topic_name = tp.topic;
      left.partition_index = tp.partition;
    }
  done(std::move(response));
}

}  // namespace ottla::broker
