#include "broker/partition/fetch_session.h"

#include <algorithm>

#include "common/base/check.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

// Epochs run 1, 2, ... and wrap to 1: 0 and -1 mean something else.
int32_t next_epoch(int32_t epoch) {
  if (epoch < 0) return FetchSessionCache::kFinalEpoch;
  return epoch == INT32_MAX ? 1 : epoch + 1;
}

// What the session remembers as told; an error makes the next good answer news again.
void remember(FetchPartition& partition, const FetchOutcome& outcome) {
  partition.told_hw = outcome.error ? -1 : outcome.hw;
  partition.told_log_start_offset = outcome.log_start_offset;
}

bool is_news(const FetchPartition& partition, const FetchOutcome& outcome) {
  return outcome.has_records || outcome.error || outcome.must_tell ||
         outcome.hw != partition.told_hw ||
         outcome.log_start_offset != partition.told_log_start_offset;
}

}  // namespace

FetchSessionCache::FetchSessionCache(int32_t slots, uint64_t seed) : shards_(kShards), prng_(seed) {
  for (Shard& shard : shards_) shard.slots = static_cast<size_t>(std::max(0, slots) / kShards);
}

FetchSessionCache::Key FetchSessionCache::key_of(const kmsg::Uuid& id, const std::string& topic,
                                                 int32_t partition) {
  if (id.is_zero()) return {topic, partition};
  return {std::string(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()), partition};
}

namespace {

// A session's partitions are known by their topics' ids; one without an id has no place there.
bool names_no_topic(const FetchSessionRequest& request) {
  if (!request.topic_ids) return false;
  for (const FetchPartition& each : request.partitions)
    if (each.topic_id.is_zero()) return true;
  for (const auto& gone : request.forgotten)
    if (gone.topic_id.is_zero()) return true;
  return false;
}

}  // namespace

FetchContext FetchSessionCache::begin(FetchSessionRequest request, int64_t now_ms) {
  FetchContext context;
  context.topic_ids_ = request.topic_ids;
  context.follower_ = request.follower;
  if (request.epoch == 0 || request.epoch == kFinalEpoch) {
    if (request.session_id != 0) remove(request.session_id);
    request.forgotten.clear();
    if (request.epoch == 0 && names_no_topic(request)) {
      context.kind_ = FetchContext::Kind::failed;
      context.error_ = ErrorCode::unknown_server_error;
      return context;
    }
    context.kind_ = request.epoch == 0 ? FetchContext::Kind::full : FetchContext::Kind::sessionless;
    context.partitions_ = std::move(request.partitions);
    return context;
  }
  auto failed = [&](ErrorCode error) {
    context.kind_ = FetchContext::Kind::failed;
    context.error_ = error;
    return std::move(context);
  };
  Session* session = find(request.session_id);
  if (session == nullptr) return failed(ErrorCode::fetch_session_id_not_found);
  if (session->epoch != request.epoch) return failed(ErrorCode::invalid_fetch_session_epoch);
  if (session->topic_ids != request.topic_ids)
    return failed(ErrorCode::fetch_session_topic_id_error);
  if (names_no_topic(request)) return failed(ErrorCode::unknown_server_error);

  for (FetchPartition& asked : request.partitions) {
    Key key = key_of(asked.topic_id, asked.topic, asked.partition);
    auto known = session->index.find(key);
    if (known == session->index.end()) {
      session->partitions.push_back(asked);
      session->index.emplace(std::move(key), std::prev(session->partitions.end()));
      continue;
    }
    FetchPartition& cached = *known->second;
    asked.told_hw = cached.told_hw;
    asked.told_log_start_offset = cached.told_log_start_offset;
    cached = asked;
  }
  for (const auto& gone : request.forgotten) {
    auto known = session->index.find(key_of(gone.topic_id, gone.topic, gone.partition));
    if (known == session->index.end()) continue;
    session->partitions.erase(known->second);
    session->index.erase(known);
  }
  if (session->partitions.empty()) {
    remove(request.session_id);
    context.partitions_ = std::move(request.partitions);
    return context;
  }
  touch(*session, now_ms);
  session->epoch = next_epoch(session->epoch);
  context.kind_ = FetchContext::Kind::incremental;
  context.session_id_ = session->id;
  context.epoch_ = session->epoch;
  context.partitions_.assign(session->partitions.begin(), session->partitions.end());
  return context;
}

FetchSessionCache::Finished FetchSessionCache::finish(const FetchContext& context,
                                                      const std::vector<FetchOutcome>& outcomes,
                                                      int64_t now_ms) {
  OTTLA_CHECK(outcomes.size() == context.partitions_.size());
  Finished finished;
  finished.include.assign(outcomes.size(), true);
  if (context.kind_ == FetchContext::Kind::full) {
    finished.session_id = create(context, outcomes, now_ms);
    return finished;
  }
  if (context.kind_ != FetchContext::Kind::incremental) return finished;
  Session* session = find(context.session_id_);
  if (session != nullptr && session->epoch != context.epoch_) {
    // Another request on this session came in between: its client cannot keep them apart.
    finished.error = ErrorCode::invalid_fetch_session_epoch;
    finished.include.assign(outcomes.size(), false);
    return finished;
  }
  finished.session_id = context.session_id_;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const FetchPartition& asked = context.partitions_[i];
    finished.include[i] = is_news(asked, outcomes[i]);
    if (session == nullptr)
      continue;  // evicted meanwhile: the client learns it with its next fetch
    auto known = session->index.find(key_of(asked.topic_id, asked.topic, asked.partition));
    if (known == session->index.end()) continue;
    remember(*known->second, outcomes[i]);
    // A partition that was served goes last, so that the others get their turn.
    if (outcomes[i].has_records)
      session->partitions.splice(session->partitions.end(), session->partitions, known->second);
  }
  return finished;
}

int32_t FetchSessionCache::create(const FetchContext& context,
                                  const std::vector<FetchOutcome>& outcomes, int64_t now_ms) {
  Shard& shard = shards_[next_shard_];
  size_t number = next_shard_;
  next_shard_ = (next_shard_ + 1) % shards_.size();
  if (!make_room(shard, context.follower_, context.partitions_.size(), now_ms)) return 0;
  auto session = std::make_unique<Session>();
  constexpr int32_t kRange = INT32_MAX / kShards;
  do {
    auto in_range = static_cast<int32_t>(prng_.next() % static_cast<uint64_t>(kRange));
    session->id = static_cast<int32_t>(number) * kRange + in_range;
  } while (session->id == 0 || shard.sessions.contains(session->id));
  session->privileged = context.follower_;
  session->topic_ids = context.topic_ids_;
  session->created_ms = session->used_ms = now_ms;
  auto unknown = session->partitions.end();  // the first of those
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const FetchPartition& asked = context.partitions_[i];
    Key key = key_of(asked.topic_id, asked.topic, asked.partition);
    if (session->index.contains(key)) continue;
    auto place = outcomes[i].unknown ? session->partitions.end() : unknown;
    auto added = session->partitions.insert(place, asked);
    if (outcomes[i].unknown && unknown == session->partitions.end()) unknown = added;
    remember(*added, outcomes[i]);
    session->index.emplace(std::move(key), added);
  }
  session->cached_size = session->partitions.size();
  int32_t id = session->id;
  shard.by_use.emplace(now_ms, id);
  shard.sessions.emplace(id, std::move(session));
  return id;
}

// One slot, if it must be by pushing out the session that was idle longest, or the least valuable
// of those that lived long enough, where the newcomer is worth at least as much.
bool FetchSessionCache::make_room(Shard& shard, bool privileged, size_t size, int64_t now_ms) {
  if (shard.sessions.size() < shard.slots) return true;
  if (shard.slots == 0 || shard.by_use.empty()) return false;
  auto [used_ms, idle_id] = *shard.by_use.begin();
  if (now_ms - used_ms > kEvictionMs) {
    remove(shard, *shard.sessions.at(idle_id));
    ++evictions_;
    return true;
  }
  for (auto& [id, session] : shard.sessions)
    if (now_ms - session->created_ms > kEvictionMs)
      shard.evictable.insert({session->privileged, session->cached_size, id});
  if (shard.evictable.empty()) return false;
  Rank least = *shard.evictable.begin();
  if (std::pair(privileged, size) < std::pair(least.privileged, least.size)) return false;
  remove(shard, *shard.sessions.at(least.id));
  ++evictions_;
  return true;
}

void FetchSessionCache::touch(Session& session, int64_t now_ms) {
  Shard& shard = shard_of(session.id);
  shard.by_use.erase({session.used_ms, session.id});
  session.used_ms = now_ms;
  shard.by_use.emplace(now_ms, session.id);
  shard.evictable.erase({session.privileged, session.cached_size, session.id});
  session.cached_size = session.partitions.size();
}

FetchSessionCache::Session* FetchSessionCache::find(int32_t id) {
  if (id <= 0 || static_cast<size_t>(id / (INT32_MAX / kShards)) >= shards_.size()) return nullptr;
  Shard& shard = shard_of(id);
  auto found = shard.sessions.find(id);
  return found == shard.sessions.end() ? nullptr : found->second.get();
}

void FetchSessionCache::remove(int32_t id) {
  if (Session* session = find(id)) remove(shard_of(id), *session);
}

void FetchSessionCache::remove(Shard& shard, Session& session) {
  shard.by_use.erase({session.used_ms, session.id});
  shard.evictable.erase({session.privileged, session.cached_size, session.id});
  shard.sessions.erase(session.id);
}

size_t FetchSessionCache::session_count() const {
  size_t count = 0;
  for (const Shard& shard : shards_) count += shard.sessions.size();
  return count;
}
size_t FetchSessionCache::partition_count() const {
  size_t count = 0;
  for (const Shard& shard : shards_)
    for (const auto& [id, session] : shard.sessions) count += session->partitions.size();
  return count;
}

}  // namespace ottla::broker
