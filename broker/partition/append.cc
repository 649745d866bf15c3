// Appending: one call for all partitions of a produce request, so that what waits is woken once.
#include "broker/partition/replica_manager.h"
#include "common/base/log.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {
constexpr log::Room kLog{"broker.partition"};
}

// Waits until each of its partitions has what acks demands: the high watermark above the last
// record (acks=all) and the flush that the topic's flush.messages asks for. Answers all partitions
// at once.
class DelayedProduce final : public DelayedOperation {
 public:
  struct Wait {
    TopicPartition tp;
    int32_t leader_epoch = -1;
    int64_t hw = 0;       // 0: not waited for
    int64_t durable = 0;  // 0: not waited for
    bool done = true;
  };
  DelayedProduce(ReplicaManager& replicas, std::vector<AppendOutcome> outcomes,
                 std::vector<Wait> waits, AppendDone done)
      : replicas_(replicas),
        outcomes_(std::move(outcomes)),
        waits_(std::move(waits)),
        done_(std::move(done)) {}

  bool try_complete(const TopicPartition& tp) override {
    bool all = true;
    for (size_t i = 0; i < waits_.size(); ++i) {
      if (!waits_[i].done && waits_[i].tp == tp) settle(i);
      all &= waits_[i].done;
    }
    if (all) done_(std::move(outcomes_));
    return all;
  }
  void expire() override {
    for (size_t i = 0; i < waits_.size(); ++i)
      if (!waits_[i].done) refuse(i, ErrorCode::request_timed_out);
    done_(std::move(outcomes_));
  }

 private:
  void settle(size_t i) {
    Wait& wait = waits_[i];
    auto [partition, error] = replicas_.leader_of(wait.tp.topic, wait.tp.partition);
    if (error == ErrorCode::none && partition->leader_epoch() != wait.leader_epoch)
      error = ErrorCode::not_leader_or_follower;
    if (error != ErrorCode::none) return refuse(i, error);
    if (wait.durable > 0 && partition->log()->durable_offset() < wait.durable) return;
    if (wait.hw > 0 && partition->log()->hw() < wait.hw) return;
    if (wait.hw > 0 && !partition->has_min_isr())
      return refuse(i, ErrorCode::not_enough_replicas_after_append);
    wait.done = true;
  }
  void refuse(size_t i, ErrorCode error) {
    outcomes_[i] = {};
    outcomes_[i].error = error;
    waits_[i].done = true;
  }

  ReplicaManager& replicas_;
  std::vector<AppendOutcome> outcomes_;
  std::vector<Wait> waits_;
  AppendDone done_;
};

AppendOutcome ReplicaManager::append_one(const AppendTarget& target, int16_t acks, Origin origin,
                                         int64_t& wait_hw, int64_t& wait_durable) {
  ++counters_.produce_partitions;
  AppendOutcome outcome;
  auto [partition, error] = leader_of(target.tp.topic, target.tp.partition);
  if (origin == Origin::client && !is_known(target.tp.topic, target.tp.partition))
    error = ErrorCode::unknown_topic_or_partition;
  if (error == ErrorCode::none && acks == -1 && !partition->has_min_isr())
    error = ErrorCode::not_enough_replicas;
  if (error != ErrorCode::none) {
    ++counters_.failed_produce;
    outcome.error = error;
    return outcome;
  }
  Appended appended = partition->append(target.records, origin);
  outcome.error = to_error_code(appended.refusal);
  outcome.log_start_offset = appended.log_start_offset;
  if (appended.refusal != Refusal::none) {
    ++counters_.failed_produce;
    if (appended.refusal == Refusal::message_too_large ||
        appended.refusal == Refusal::record_list_too_large)
      counters_.bytes_rejected += target.records.size();
    outcome.record_errors = std::move(appended.record_errors);
    // Clients are told in words only what the record errors say in detail; the rest is for
    // operators.
    if (!outcome.record_errors.empty())
      outcome.message = std::move(appended.message);
    else
      log::debug(kLog, "append refused", "partition={} why={}", target.tp.to_string(),
                 appended.message);
    return outcome;
  }
  outcome.base_offset = appended.first_offset;
  outcome.log_append_time_ms = appended.log_append_time_ms;
  if (!appended.duplicate) {
    counters_.messages_in += static_cast<uint64_t>(appended.record_count);
    if (appended.converted)
      counters_.produce_conversions += static_cast<uint64_t>(appended.record_count);
    counters_.bytes_in += appended.bytes;
  }
  wait_durable = appended.ack_offset;
  // Readers see a record no sooner than its producer may: after the flush that it waits for.
  if (wait_durable == 0) partition->advance_hw();
  if (acks == -1 && appended.last_offset >= 0) wait_hw = appended.last_offset + 1;
  if (wait_hw > 0 && partition->log()->hw() >= wait_hw) wait_hw = 0;
  return outcome;
}

Purgatory::Id ReplicaManager::append(std::vector<AppendTarget> targets, int16_t acks,
                                     int32_t timeout_ms, Origin origin, AppendDone done) {
  std::vector<AppendOutcome> outcomes;
  std::vector<DelayedProduce::Wait> waits;
  outcomes.reserve(targets.size());
  bool must_wait = false;
  for (const AppendTarget& target : targets) {
    int64_t wait_hw = 0, wait_durable = 0;
    outcomes.push_back(append_one(target, acks, origin, wait_hw, wait_durable));
    if (wait_hw == 0 && wait_durable == 0) continue;
    must_wait = true;
    if (waits.empty()) waits.resize(targets.size());
    size_t i = outcomes.size() - 1;
    Partition* partition = find(target.tp.topic, target.tp.partition);
    waits[i] = {target.tp, partition->leader_epoch(), wait_hw, wait_durable, false};
    if (wait_durable > 0) {
      partition->log()->when_durable(
          wait_durable, [this, alive = std::weak_ptr<int>(alive_), tp = target.tp](bool) {
            if (!alive.expired()) on_durable(tp);
          });
      partition->log()->flush();
    }
  }
  Purgatory::Id id = 0;
  if (!must_wait) {
    done(std::move(outcomes));
  } else {
    std::vector<TopicPartition> watch;
    waits.resize(targets.size());
    for (const auto& wait : waits)
      if (!wait.done) watch.push_back(wait.tp);
    id = produce_.park(std::make_unique<DelayedProduce>(*this, std::move(outcomes),
                                                        std::move(waits), std::move(done)),
                       watch, after_ms(world_.loop.now(), std::max(timeout_ms, 0)));
  }
  // The producer's answer is queued before what the new records wake.
  for (const AppendTarget& target : targets) fetch_.check(target.tp);
  return id;
}

void ReplicaManager::on_durable(const TopicPartition& tp) {
  if (Partition* partition = find(tp.topic, tp.partition)) partition->advance_hw();
  wake(tp);
}

}  // namespace ottla::broker
