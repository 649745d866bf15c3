#include "broker/partition/purgatory.h"

namespace ottla::broker {

Purgatory::Purgatory(rt::Loop& loop) : loop_(loop) {
  timer_ = loop_.make_timer([this] { on_timer(); });
}

Purgatory::Id Purgatory::park(std::unique_ptr<DelayedOperation> operation,
                              const std::vector<TopicPartition>& watch,
                              std::optional<Instant> deadline) {
  Id id = next_id_++;
  for (const TopicPartition& tp : watch) watchers_[tp].insert(id);
  if (deadline) deadlines_.emplace(*deadline, id);
  operations_.emplace(id, Parked{std::move(operation), watch, deadline});
  arm();
  return id;
}

void Purgatory::cancel(Id id) { take(id); }

void Purgatory::check(const TopicPartition& tp) {
  if (operations_.empty()) return;
  auto watched = watchers_.find(tp);
  if (watched == watchers_.end()) return;
  // A copy: completing one operation may park, cancel or check others.
  std::vector<Id> ids(watched->second.begin(), watched->second.end());
  for (Id id : ids) {
    auto parked = operations_.find(id);
    if (parked == operations_.end()) continue;
    // Out of the table while it runs, so that nothing it sets off can reach it.
    std::unique_ptr<DelayedOperation> operation = std::move(parked->second.operation);
    if (operation == nullptr) continue;  // it is what set this off
    if (operation->try_complete(tp))
      take(id);
    else if (auto still = operations_.find(id); still != operations_.end())
      still->second.operation = std::move(operation);
  }
}

void Purgatory::expire_all() {
  while (!operations_.empty())
    if (auto operation = take(operations_.begin()->first)) operation->expire();
}

std::unique_ptr<DelayedOperation> Purgatory::take(Id id) {
  auto parked = operations_.find(id);
  if (parked == operations_.end()) return nullptr;
  for (const TopicPartition& tp : parked->second.watch) {
    auto watched = watchers_.find(tp);
    if (watched == watchers_.end()) continue;
    watched->second.erase(id);
    if (watched->second.empty()) watchers_.erase(watched);
  }
  if (parked->second.deadline) deadlines_.erase({*parked->second.deadline, id});
  std::unique_ptr<DelayedOperation> operation = std::move(parked->second.operation);
  operations_.erase(parked);
  return operation;
}

// Armed for the earliest deadline, never moved later: a timer that fires for nothing costs less
// than one that is moved with every fetch.
void Purgatory::arm() {
  if (deadlines_.empty()) return;
  Instant earliest = deadlines_.begin()->first;
  if (timer_->armed() && armed_for_ <= earliest) return;
  armed_for_ = earliest;
  timer_->arm_at(earliest);
}

void Purgatory::on_timer() {
  Instant now = loop_.now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    ++expirations_;
    if (auto operation = take(deadlines_.begin()->second)) operation->expire();
  }
  arm();
}

}  // namespace ottla::broker
