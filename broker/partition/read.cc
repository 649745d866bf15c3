// Reading: plans slices of segments for a fetch, now or when there is enough. No bytes are touched.
#include <algorithm>

#include "broker/partition/replica_manager.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

// The leader's view of (offset, epoch) that a fetcher last saw: another history means it must cut.
std::optional<EpochEnd> divergence(const PartitionLog& log, const ReadTarget& target,
                                   ErrorCode& error) {
  if (target.last_fetched_epoch < 0) return std::nullopt;
  EpochEnd end = log.end_offset_for_epoch(target.last_fetched_epoch);
  if (end.epoch < 0 || end.end_offset < 0) {
    error = ErrorCode::offset_out_of_range;
    return std::nullopt;
  }
  if (target.offset < log.log_start_offset()) {
    error = ErrorCode::offset_out_of_range;
    return std::nullopt;
  }
  if (end.epoch < target.last_fetched_epoch || end.end_offset < target.offset) return end;
  return std::nullopt;
}

// What is told at once, however little it is.
bool has_news(const ReadOutcome& outcome) {
  return outcome.error != ErrorCode::none || outcome.diverging || outcome.is_behind;
}

}  // namespace

ReadOutcome ReplicaManager::read_one(const ReadTarget& target, const ReadParams& params,
                                     uint64_t max_bytes, bool min_one_batch) {
  ReadOutcome outcome;
  auto refuse = [&](ErrorCode error) {
    outcome = {};
    outcome.error = error;
    return std::move(outcome);
  };
  if (target.refusal != ErrorCode::none) return refuse(target.refusal);
  if (!is_known(target.tp.topic, target.tp.partition))
    return refuse(ErrorCode::unknown_topic_or_partition);
  auto [partition, error] =
      leader_of(target.tp.topic, target.tp.partition, target.current_leader_epoch);
  if (error != ErrorCode::none) return refuse(error);
  const auto& replicas = partition->state().replicas;
  if (params.follower &&
      std::find(replicas.begin(), replicas.end(), params.replica_id) == replicas.end())
    return refuse(ErrorCode::not_leader_or_follower);
  PartitionLog& log = *partition->log();
  if (!target.topic_id.is_zero() && !log.topic_id().empty() &&
      log.topic_id() != target.topic_id.to_string())
    return refuse(ErrorCode::inconsistent_topic_id);
  outcome.hw = log.hw();
  outcome.lso = log.lso();
  outcome.log_start_offset = log.log_start_offset();
  outcome.diverging = divergence(log, target, error);
  if (error != ErrorCode::none) return refuse(error);
  if (outcome.diverging) return outcome;

  if (target.max_bytes < 0) return refuse(ErrorCode::unknown_server_error);
  int64_t limit = params.follower ? log.leo() : partition->read_limit(params.read_committed);
  if (target.offset < log.log_start_offset() || target.offset > log.leo())
    return refuse(ErrorCode::offset_out_of_range);
  int64_t upper_bound = limit;
  if (target.offset < limit) {
    ReadResult read = log.read(target.offset, max_bytes, limit, min_one_batch);
    upper_bound = read.upper_bound;
    if (read.refusal != Refusal::none) return refuse(to_error_code(read.refusal));
    outcome.is_behind = read.in_older_segment;
    if (!read.first_batch_incomplete || !params.at_least_one) outcome.slice = std::move(read.slice);
  }
  if (params.read_committed && !params.follower) {
    outcome.aborted.emplace();
    if (outcome.slice.length > 0) {
      auto aborted = log.aborted_transactions(target.offset, upper_bound);
      if (!aborted) return refuse(ErrorCode::kafka_storage_error);
      outcome.aborted = std::move(*aborted);
    }
  }
  return outcome;
}

std::vector<ReadOutcome> ReplicaManager::read_all(const std::vector<ReadTarget>& targets,
                                                  const ReadParams& params) {
  std::vector<ReadOutcome> outcomes;
  outcomes.reserve(targets.size());
  auto left = static_cast<uint64_t>(std::max<int64_t>(0, params.max_bytes));
  // A negative limit fails the partition that is read first, and is none for the others.
  bool impossible = params.max_bytes < 0;
  bool min_one = params.at_least_one;
  for (const ReadTarget& target : targets) {
    uint64_t limit = std::min(left, static_cast<uint64_t>(std::max(0, target.max_bytes)));
    outcomes.push_back(read_one(target, params, limit, min_one));
    if (impossible && outcomes.back().error == ErrorCode::none) {
      outcomes.back() = {};
      outcomes.back().error = ErrorCode::unknown_server_error;
    }
    impossible = false;
    uint64_t got = outcomes.back().slice.length;
    if (got > 0) min_one = false;
    left -= std::min(left, got);
  }
  return outcomes;
}

// Waits until its partitions together have min_bytes, or one of them has something to say.
class DelayedFetch final : public DelayedOperation {
 public:
  DelayedFetch(ReplicaManager& replicas, std::vector<ReadTarget> targets, const ReadParams& params,
               const std::vector<ReadOutcome>& first, ReadDone done)
      : replicas_(replicas), targets_(std::move(targets)), params_(params), done_(std::move(done)) {
    for (const ReadOutcome& outcome : first) {
      have_.push_back(outcome.slice.length);
      total_ += outcome.slice.length;
    }
  }

  bool try_complete(const TopicPartition& tp) override {
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (targets_[i].tp != tp) continue;
      const ReadTarget& target = targets_[i];
      ReadOutcome now = replicas_.read_one(
          target, params_, static_cast<uint64_t>(std::max(0, target.max_bytes)), true);
      total_ += now.slice.length - have_[i];
      have_[i] = now.slice.length;
      if (has_news(now) ||
          total_ >= static_cast<uint64_t>(std::max(0, params_.min_bytes))) {
        answer();
        return true;
      }
    }
    return false;
  }
  void expire() override { answer(); }

 private:
  void answer() { done_(replicas_.read_all(targets_, params_)); }

  ReplicaManager& replicas_;
  std::vector<ReadTarget> targets_;
  ReadParams params_;
  ReadDone done_;
  std::vector<uint64_t> have_;  // bytes readable of each target
  uint64_t total_ = 0;
};

Purgatory::Id ReplicaManager::read(std::vector<ReadTarget> targets, const ReadParams& params,
                                   ReadDone done) {
  counters_.fetch_partitions += targets.size();
  std::vector<ReadOutcome> outcomes = read_all(targets, params);
  uint64_t bytes = 0;
  bool at_once = targets.empty() || params.max_wait_ms <= 0;
  for (const ReadOutcome& outcome : outcomes) {
    bytes += outcome.slice.length;
    at_once |= has_news(outcome);
  }
  if (at_once || bytes >= static_cast<uint64_t>(std::max(0, params.min_bytes))) {
    done(std::move(outcomes));
    return 0;
  }
  std::vector<TopicPartition> watch;
  watch.reserve(targets.size());
  for (const ReadTarget& target : targets) watch.push_back(target.tp);
  Instant deadline = after_ms(world_.loop.now(), params.max_wait_ms);
  return fetch_.park(
      std::make_unique<DelayedFetch>(*this, std::move(targets), params, outcomes, std::move(done)),
      watch, deadline);
}

}  // namespace ottla::broker
