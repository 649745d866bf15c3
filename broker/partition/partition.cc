#include "broker/partition/partition.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::broker {

using kmsg::ErrorCode;

void Partition::become_leader(const LeaderAndIsrState& state) {
  OTTLA_CHECK(state.leader_epoch > state_.leader_epoch && state.leader_id == broker_id_);
  state_ = state;
  role_ = PartitionRole::leader;
  follower_leo_.clear();
  for (int32_t replica : state.replicas)
    if (replica != broker_id_) follower_leo_[replica] = -1;
  if (log_ == nullptr) return;
  epoch_start_offset_ = log_->leo();
  log_->begin_epoch(state.leader_epoch);
  hw_at_election_ = log_->leo();
  advance_hw();
}

void Partition::become_follower(const LeaderAndIsrState& state) {
  OTTLA_CHECK(state.leader_epoch > state_.leader_epoch);
  state_ = state;
  state_.isr.clear();
  role_ = PartitionRole::follower;
  follower_leo_.clear();
  epoch_start_offset_ = -1;
}

Appended Partition::append(MutBytes set, Origin origin, size_t* open_budget) {
  OTTLA_DCHECK(is_leader() && log_ != nullptr);
  return log_->append_as_leader(set, state_.leader_epoch, origin, open_budget);
}

Appended Partition::append_validated(MutBytes set, Validated validated, Origin origin) {
  OTTLA_DCHECK(is_leader() && log_ != nullptr);
  return log_->append_validated(set, std::move(validated), state_.leader_epoch, origin);
}

size_t Partition::effective_min_isr() const {
  auto configured = static_cast<size_t>(log_->config().min_insync_replicas);
  return std::min(configured, std::max<size_t>(1, state_.replicas.size()));
}

bool Partition::has_min_isr() const { return state_.isr.size() >= effective_min_isr(); }

bool Partition::advance_hw() {
  if (!is_leader() || log_ == nullptr || !has_min_isr()) return false;
  int64_t everywhere = log_->leo();
  // Where every record waits for its flush, none is seen before: not either when an earlier one's
  // flush ends.
  if (log_->config().flush_messages <= 1) everywhere = std::min(everywhere, log_->shown_offset());
  for (int32_t replica : state_.isr) {
    auto follower = follower_leo_.find(replica);
    if (follower != follower_leo_.end()) everywhere = std::min(everywhere, follower->second);
  }
  if (everywhere <= log_->hw()) return false;
  log_->set_hw(everywhere);
  return true;
}

ErrorCode Partition::check_leader(int32_t current_leader_epoch) const {
  if (current_leader_epoch >= 0) {
    if (current_leader_epoch < state_.leader_epoch) return ErrorCode::fenced_leader_epoch;
    if (current_leader_epoch > state_.leader_epoch) return ErrorCode::unknown_leader_epoch;
  }
  if (!is_leader()) return ErrorCode::not_leader_or_follower;
  if (log_ == nullptr || log_->failed()) return ErrorCode::kafka_storage_error;
  return ErrorCode::none;
}

std::string Partition::describe() const {
  return fmt::format("{} {} epoch={} isr={} hw={} leo={}", tp_.to_string(),
                     is_leader() ? "leader" : "follower", state_.leader_epoch, state_.isr.size(),
                     log_ ? log_->hw() : -1, log_ ? log_->leo() : -1);
}

void Partition::check_invariants() const {
  if (log_ == nullptr) return;
  OTTLA_CHECK(log_->log_start_offset() <= log_->hw() && log_->hw() <= log_->leo());
  if (is_leader()) OTTLA_CHECK(epoch_start_offset_ <= log_->leo());
}

}  // namespace ottla::broker
