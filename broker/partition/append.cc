// Appending: one call for all partitions of a produce request, so that what waits is woken once, or
// after each turn of the loop that a request of very many takes.
// Compressed sets are opened as they come while the request's budget lasts; what opens to more is
// left, validated on the opening lane, and appended before the request is answered.
#include <algorithm>
#include <deque>

#include "broker/partition/replica_manager.h"
#include "common/base/log.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {
constexpr log::Room kLog{"broker.partition"};
// What one request may append in a turn of the loop: so many sets, no more begun after so long.
constexpr size_t kTurnAppends = 100;
constexpr int64_t kTurnNs = 1'000'000;

// Is it a batch of a transaction that is not open here? None can be known to a coordinator, and the
// stable offset would wait for its end for ever.
bool opens_transaction(const PartitionLog& log, Bytes set) {
  auto first = BatchCursor(set).next();
  if (!first || first->magic != kMagicV2) return false;
  BatchView batch(first->bytes);
  if (!batch.transactional() || !batch.has_producer_id()) return false;
  const auto& producers = log.producers().producers();
  auto known = producers.find(batch.producer_id());
  return known == producers.end() || known->second.txn_first_offset < 0 ||
         known->second.producer_epoch != batch.producer_epoch();
}
}  // namespace

// One request while its partitions are appended.
struct ReplicaManager::AppendCall {
  // What a partition's records wait for before they are acknowledged. 0: not, or no longer.
  struct Wait {
    TopicPartition tp;
    int32_t leader_epoch = -1;
    int64_t hw = 0;
    int64_t durable = 0;
    bool is_over() const { return hw == 0 && durable == 0; }
  };
  struct Unopened {
    size_t target;
    Validation validation;
    Validated validated;
  };
  std::vector<AppendTarget> targets;
  int16_t acks = 0;
  int32_t timeout_ms = 0;
  Origin origin = Origin::client;
  AppendDone done;
  Fn<bool()> is_wanted;
  std::vector<AppendOutcome> outcomes;
  std::vector<Wait> waits;
  size_t next = 0;  // of the targets
  size_t told = 0;  // of those whose readers were
  size_t open_budget = kOpenAtOnceBytes;
  std::deque<Unopened> unopened;
  bool took_turns = false;  // others came between its partitions

  bool waits_for_disk() const {
    return std::any_of(waits.begin(), waits.end(), [](const Wait& w) { return w.durable > 0; });
  }
};

// Waits until each of its partitions has what acks demands, and answers all at once. First the
// flush that the topic's flush.messages asks for: it has no time limit, since what is stored would
// be refused, and come again. Then, as long as the producer gives them, the other replicas
// (acks=all).
class ReplicaManager::DelayedProduce final : public DelayedOperation {
 public:
  DelayedProduce(ReplicaManager& replicas, AppendCall call)
      : replicas_(replicas), call_(std::move(call)), for_disk_(call_.waits_for_disk()) {}

  bool try_complete(const TopicPartition& tp) override { return try_those(&tp); }
  // tp: nullptr for all.
  bool try_those(const TopicPartition* tp) {
    bool all = true;
    for (size_t i = 0; i < call_.waits.size(); ++i) {
      AppendCall::Wait& wait = call_.waits[i];
      if (!wait.is_over() && (tp == nullptr || wait.tp == *tp)) settle(i);
      all &= for_disk_ ? wait.durable == 0 : wait.is_over();
    }
    if (all) replicas_.answer_or_wait(std::move(call_));
    return all;
  }
  void expire() override {
    for (size_t i = 0; i < call_.waits.size(); ++i)
      if (!call_.waits[i].is_over()) refuse(i, ErrorCode::request_timed_out);
    call_.done(std::move(call_.outcomes));
  }

 private:
  void settle(size_t i) {
    AppendCall::Wait& wait = call_.waits[i];
    auto [partition, error] = replicas_.leader_of(wait.tp.topic, wait.tp.partition);
    if (error == ErrorCode::none && partition->leader_epoch() != wait.leader_epoch)
      error = ErrorCode::not_leader_or_follower;
    if (error != ErrorCode::none) return refuse(i, error);
    if (partition->log()->durable_offset() < wait.durable) return;
    wait.durable = 0;
    if (wait.hw == 0 || partition->log()->hw() < wait.hw) return;
    if (!partition->has_min_isr()) return refuse(i, ErrorCode::not_enough_replicas_after_append);
    wait.hw = 0;
  }
  void refuse(size_t i, ErrorCode error) {
    call_.outcomes[i] = {};
    call_.outcomes[i].error = error;
    call_.waits[i].hw = call_.waits[i].durable = 0;
  }

  ReplicaManager& replicas_;
  AppendCall call_;
  bool for_disk_;
};

void ReplicaManager::append_one(AppendCall& call, size_t i, size_t* open_budget,
                                Validated* validated) {
  const AppendTarget& target = call.targets[i];
  auto [partition, error] = leader_of(target.tp.topic, target.tp.partition);
  if (call.origin == Origin::client && !is_known(target.tp.topic, target.tp.partition))
    error = ErrorCode::unknown_topic_or_partition;
  if (error == ErrorCode::none && call.origin == Origin::client &&
      opens_transaction(*partition->log(), target.records))
    error = ErrorCode::invalid_producer_id_mapping;
  if (error == ErrorCode::none && call.acks == -1 && !partition->has_min_isr())
    error = ErrorCode::not_enough_replicas;
  if (error != ErrorCode::none) {
    ++counters_.produce_partitions;
    ++counters_.failed_produce;
    call.outcomes[i].error = error;
    return;
  }
  Appended appended =
      validated != nullptr
          ? partition->append_validated(target.records, std::move(*validated), call.origin)
          : partition->append(target.records, call.origin, open_budget);
  if (!appended.unfinished) return note_appended(call, i, *partition, std::move(appended));
  call.unopened.push_back({i, partition->log()->validation(call.origin), {}});
}

void ReplicaManager::note_appended(AppendCall& call, size_t i, Partition& partition,
                                   Appended appended) {
  ++counters_.produce_partitions;
  const AppendTarget& target = call.targets[i];
  AppendOutcome& outcome = call.outcomes[i];
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
    return;
  }
  outcome.base_offset = appended.first_offset;
  outcome.log_append_time_ms = appended.log_append_time_ms;
  if (!appended.duplicate) {
    counters_.messages_in += static_cast<uint64_t>(appended.record_count);
    if (appended.converted)
      counters_.produce_conversions += static_cast<uint64_t>(appended.record_count);
    counters_.bytes_in += appended.bytes;
  }
  AppendCall::Wait wait{target.tp, partition.leader_epoch(), 0, appended.ack_offset};
  // Readers see a record no sooner than its producer may: after the flush that it waits for.
  if (wait.durable == 0) partition.advance_hw();
  if (call.acks == -1 && appended.last_offset >= 0) wait.hw = appended.last_offset + 1;
  if (wait.hw > 0 && partition.log()->hw() >= wait.hw) wait.hw = 0;
  if (wait.is_over()) return;
  if (call.waits.empty()) call.waits.resize(call.targets.size());
  call.waits[i] = std::move(wait);
  if (appended.ack_offset == 0) return;
  partition.log()->when_durable(appended.ack_offset,
                                [this, alive = std::weak_ptr<int>(alive_), tp = target.tp](bool) {
                                  if (!alive.expired()) on_durable(tp);
                                });
  partition.log()->flush();
}

void ReplicaManager::append(std::vector<AppendTarget> targets, int16_t acks, int32_t timeout_ms,
                            Origin origin, AppendDone done, Fn<bool()> is_wanted) {
  AppendCall call{std::move(targets),  acks, timeout_ms, origin, std::move(done),
                  std::move(is_wanted)};
  call.outcomes.resize(call.targets.size());
  if (append_some(call) && call.unopened.empty()) return finish_append(std::move(call));
  call.took_turns = true;
  go_on(std::make_shared<AppendCall>(std::move(call)));
}

// As many as one turn of the loop has time for. True: all of them were.
bool ReplicaManager::append_some(AppendCall& call) {
  size_t* open_budget = call.origin == Origin::client ? &call.open_budget : nullptr;
  Instant began = world_.loop.now();
  for (size_t done = 0; call.next < call.targets.size(); ++done) {
    if (done == kTurnAppends || world_.loop.now() - began > kTurnNs) return false;
    append_one(call, call.next++, open_budget, nullptr);
  }
  return true;
}

void ReplicaManager::go_on(std::shared_ptr<AppendCall> call) {
  for (; call->told < call->next; ++call->told) fetch_.check(call->targets[call->told].tp);
  if (call->next == call->targets.size()) return open_next(call);
  world_.loop.post([this, alive = std::weak_ptr<int>(alive_), call] {
    if (alive.expired() || !call->is_wanted()) return;
    append_some(*call);
    go_on(call);
  });
}

// One set of the request at a time, so that requests with one do not wait for one with many.
void ReplicaManager::open_next(std::shared_ptr<AppendCall> call) {
  if (call->unopened.empty()) return finish_append(std::move(*call));
  // Held by both: what it holds is given up on the loop.
  auto work = [call] {
    AppendCall::Unopened& set = call->unopened.front();
    set.validated = set.validation.run(call->targets[set.target].records);
  };
  auto done = [this, call] {
    AppendCall::Unopened set = std::move(call->unopened.front());
    call->unopened.pop_front();
    append_one(*call, set.target, nullptr, &set.validated);
    fetch_.check(call->targets[set.target].tp);
    open_next(call);
  };
  openings_.run(std::move(work), std::move(done), [call] { return call->is_wanted(); });
}

void ReplicaManager::finish_append(AppendCall call) {
  std::vector<AppendTarget> targets = std::move(call.targets);
  size_t told = call.told;
  answer_or_wait(std::move(call));
  // The producer's answer is queued before what the new records wake.
  for (; told < targets.size(); ++told) fetch_.check(targets[told].tp);
}

void ReplicaManager::answer_or_wait(AppendCall call) {
  std::vector<TopicPartition> watch;
  for (const auto& wait : call.waits)
    if (!wait.is_over()) watch.push_back(wait.tp);
  if (watch.empty()) return call.done(std::move(call.outcomes));
  std::optional<Instant> deadline;
  if (!call.waits_for_disk()) deadline = after_ms(world_.loop.now(), std::max(call.timeout_ms, 0));
  // What was appended before others came in between may have all it waits for by now.
  bool took_turns = std::exchange(call.took_turns, false);
  auto waiting = std::make_unique<DelayedProduce>(*this, std::move(call));
  if (took_turns && waiting->try_those(nullptr)) return;
  produce_.park(std::move(waiting), watch, deadline);
}

void ReplicaManager::on_durable(const TopicPartition& tp) {
  if (Partition* partition = find(tp.topic, tp.partition)) partition->advance_hw();
  wake(tp);
}

}  // namespace ottla::broker
