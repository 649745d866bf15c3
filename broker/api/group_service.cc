#include "broker/api/group_service.h"

#include <map>

#include "broker/group/coordinator.h"
#include "broker/record/batch_builder.h"
#include "broker/record/record_reader.h"
#include "common/base/log.h"
#include "common/wire/reader.h"

namespace ottla::broker {

using kmsg::ApiKey;
using kmsg::ErrorCode;

namespace {

constexpr log::Room kLog{"broker.group"};
// What a turn of the loop takes of the log of a partition that is loaded, or of its groups:
// offsets.load.buffer.size may be less, and a batch more.
constexpr size_t kTurnBytes = 32 << 10;
constexpr size_t kTurnGroups = 300;

GroupConfig group_config(const BrokerConfig& config) {
  GroupConfig group;
  group.min_session_timeout_ms = config.group_min_session_timeout_ms;
  group.max_session_timeout_ms = config.group_max_session_timeout_ms;
  group.initial_rebalance_delay_ms = config.group_initial_rebalance_delay_ms;
  group.max_size = config.group_max_size;
  group.offset_metadata_max_bytes = config.offset_metadata_max_bytes;
  group.offsets_retention_ms = int64_t{config.offsets_retention_minutes} * 60'000;
  group.offsets_retention_check_interval_ms = static_cast<int32_t>(
      std::min<int64_t>(config.offsets_retention_check_interval_ms, INT32_MAX));
  group.offsets_commit_required_acks = config.offsets_commit_required_acks;
  group.offsets_commit_timeout_ms = config.offsets_commit_timeout_ms;
  return group;
}

Buffer build_batch(const GroupEffects::Append& append) {
  BatchBuilder::Options options;
  options.producer_id = append.producer_id;
  options.producer_epoch = append.producer_epoch;
  options.base_sequence = append.base_sequence;
  options.transactional = append.is_transactional;
  BatchBuilder builder(options);
  for (const GroupRecord& record : append.records) {
    std::optional<Bytes> value;
    if (record.value) value = record.value->bytes();
    builder.append(append.timestamp_ms, record.key.bytes(), value);
  }
  return builder.finish();
}

}  // namespace

struct GroupService::Impl {
  Impl(rt::World& world_in, const BrokerConfig& config, OffsetsStore& store_in)
      : world(world_in),
        store(store_in),
        commit_timeout_ms(config.offsets_commit_timeout_ms),
        load_bytes(config.offsets_load_buffer_size > 0
                       ? std::min<size_t>(config.offsets_load_buffer_size, kTurnBytes)
                       : kTurnBytes),
        core(group_config(config), hooks(), config.offsets_topic_num_partitions) {
    timer = world.loop.make_timer([this] { on_timer(); });
  }

  GroupHooks hooks() {
    GroupHooks hooks;
    hooks.random = [this] { return world.entropy.u64(); };
    hooks.partition_exists = [this](std::string_view topic, int32_t partition) {
      return store.partition_exists(topic, partition);
    };
    return hooks;
  }
  GroupClock clock() { return {world.loop.now(), world.loop.wall_ms()}; }
  GroupContext context_of(Request& request) {
    return {clock(), request.version(), request.client_id_text(), request.client().host};
  }

  // ------------------------------------------------------------------------------------- effects

  void apply(GroupEffects effects) {
    for (const std::string& note : effects.notes) log::info(kLog, note);
    for (const GroupEffects::Append& append : effects.appends) carry_out(append);
    for (GroupEffects::Reply& reply : effects.replies) {
      auto parked = waiting.find(reply.ticket);
      if (parked == waiting.end()) continue;
      RequestPtr request = std::move(parked->second);
      waiting.erase(parked);
      std::visit([&](const auto& response) { request->reply(response); }, reply.response);
    }
    if (effects.timer) arm(*effects.timer);
  }

  void carry_out(const GroupEffects::Append& append) {
    store.append(append.partition, build_batch(append), append.required_acks, commit_timeout_ms,
                 [this, alive = std::weak_ptr<int>(alive_token), ticket = append.ticket](
                     ErrorCode error, int64_t base_offset) {
                   if (alive.expired() || ticket == 0) return;
                   GroupEffects effects;
                   core.on_appended(ticket, error, base_offset, clock(), effects);
                   apply(std::move(effects));
                 });
  }

  void arm(Instant at) {
    if (timer->armed() && armed_for <= at) return;
    armed_for = at;
    timer->arm_at(at);
  }
  void on_timer() {
    GroupEffects effects;
    core.on_time(clock(), effects);
    apply(std::move(effects));
    if (auto next = core.next_deadline()) arm(*next);
  }

  // ------------------------------------------------------------------------------------- loading

  void begin_load(int32_t partition, int32_t epoch) {
    if (!core.begin_load(partition, epoch)) return;
    loading[partition] = epoch;
    load_from(partition, epoch, store.start_offset(partition));
  }

  // One chunk at a time, so that a long log does not hold up the loop.
  void load_from(int32_t partition, int32_t epoch, int64_t offset) {
    auto current = loading.find(partition);
    if (current == loading.end() || current->second != epoch) return;
    auto chunk = store.read(partition, offset, load_bytes);
    if (!chunk) {
      log::error(kLog, "cannot read committed offsets", "partition={} why={}", partition,
                 chunk.error().context);
    } else if (chunk->next_offset > offset) {
      replay(partition, chunk->batches, offset);
      world.loop.post([this, alive = std::weak_ptr<int>(alive_token), partition, epoch,
                       next = chunk->next_offset] {
        if (!alive.expired()) load_from(partition, epoch, next);
      });
      return;
    }
    finish_load(partition, epoch);
  }

  void finish_load(int32_t partition, int32_t epoch) {
    auto current = loading.find(partition);
    if (current == loading.end() || current->second != epoch) return;
    GroupEffects effects;
    bool is_finished = core.finish_load(partition, clock(), effects, kTurnGroups);
    if (is_finished)
      loading.erase(current);
    else
      world.loop.post([this, alive = std::weak_ptr<int>(alive_token), partition, epoch] {
        if (!alive.expired()) finish_load(partition, epoch);
      });
    apply(std::move(effects));
    if (auto next = core.next_deadline()) arm(*next);
  }

  void replay(int32_t partition, Bytes batches, int64_t from) {
    BatchCursor cursor(batches);
    while (auto raw = cursor.next()) {
      if (raw->magic == kMagicV2) {
        BatchView view(raw->bytes);
        if (view.last_offset() < from) continue;
        if (view.control()) {
          if (auto marker = read_control(view))
            core.replay_marker(partition, view.producer_id(), marker->type == ControlType::commit);
          continue;
        }
      }
      auto read = each_record(*raw, [&](const Record& record) {
        if (record.key) {
          LoadedRecord loaded;
          loaded.key = *record.key;
          loaded.value = record.value;
          loaded.batch_base_offset = raw->base_offset();
          if (raw->magic == kMagicV2) {
            loaded.is_transactional = BatchView(raw->bytes).transactional();
            loaded.producer_id = BatchView(raw->bytes).producer_id();
          }
          core.replay(partition, loaded);
        }
        return true;
      });
      if (!read)
        log::warn(kLog, "a batch of committed offsets does not decode and is left out",
                  "partition={} offset={} why={}", partition, raw->base_offset(),
                  read.error().context);
    }
  }

  // ------------------------------------------------------------------------------------ requests

  // One that the core answers now or later, by ticket.
  template <class Message>
  void park(RequestPtr request,
            void (GroupCoordinator::*verb)(ReplyTicket, const Message&, const GroupContext&,
                                           GroupEffects&)) {
    Message message;
    if (!decode(*request, message)) return;
    ReplyTicket ticket = next_ticket++;
    GroupEffects effects;
    Request& held = *request;
    waiting.emplace(ticket, std::move(request));
    (core.*verb)(ticket, message, context_of(held), effects);
    apply(std::move(effects));
  }

  // One that is answered at once.
  template <class Message, class Response>
  void answer(RequestPtr request,
              Response (GroupCoordinator::*verb)(const Message&, const GroupContext&,
                                                 GroupEffects&)) {
    Message message;
    if (!decode(*request, message)) return;
    GroupEffects effects;
    Response response = (core.*verb)(message, context_of(*request), effects);
    request->reply(response);
    apply(std::move(effects));
  }
  template <class Message, class Response>
  void look_up(RequestPtr request,
               Response (GroupCoordinator::*verb)(const Message&, const GroupContext&) const) {
    Message message;
    if (!decode(*request, message)) return;
    request->reply((core.*verb)(message, context_of(*request)));
  }

  void handle(RequestPtr request) {
    switch (request->api()) {
      case ApiKey::join_group:
        return park(std::move(request), &GroupCoordinator::join_group);
      case ApiKey::sync_group:
        return park(std::move(request), &GroupCoordinator::sync_group);
      case ApiKey::offset_commit:
        return park(std::move(request), &GroupCoordinator::offset_commit);
      case ApiKey::heartbeat:
        return answer(std::move(request), &GroupCoordinator::heartbeat);
      case ApiKey::leave_group:
        return answer(std::move(request), &GroupCoordinator::leave_group);
      case ApiKey::delete_groups:
        return answer(std::move(request), &GroupCoordinator::delete_groups);
      case ApiKey::offset_delete:
        return answer(std::move(request), &GroupCoordinator::offset_delete);
      case ApiKey::offset_fetch:
        return look_up(std::move(request), &GroupCoordinator::offset_fetch);
      case ApiKey::describe_groups:
        return look_up(std::move(request), &GroupCoordinator::describe_groups);
      case ApiKey::list_groups: {
        kmsg::ListGroupsRequest message;
        if (!decode(*request, message)) return;
        return request->reply(core.list_groups(message));
      }
      default:
        return request->close();
    }
  }

  rt::World& world;
  OffsetsStore& store;
  int32_t commit_timeout_ms;
  size_t load_bytes;
  GroupCoordinator core;
  std::map<ReplyTicket, RequestPtr> waiting;
  ReplyTicket next_ticket = 1;
  std::map<int32_t, int32_t> loading;  // partition -> epoch
  bool count_is_set = false;
  // Led before it was known which groups belong to a partition: loaded then.
  std::map<int32_t, int32_t> before_count;  // partition -> epoch
  Instant armed_for;
  std::unique_ptr<rt::Timer> timer;
  std::shared_ptr<int> alive_token = std::make_shared<int>(0);
};

GroupService::GroupService(rt::World& world, const BrokerConfig& config, OffsetsStore& store)
    : impl_(std::make_unique<Impl>(world, config, store)) {}
GroupService::~GroupService() = default;

void GroupService::start() {
  GroupEffects effects;
  impl_->core.start(impl_->clock(), effects);
  impl_->apply(std::move(effects));
}
void GroupService::set_partition_count(int32_t count) {
  // Groups are where the hash put them: a count that changes later must not move them.
  if (count <= 0 || impl_->count_is_set) return;
  impl_->count_is_set = true;
  impl_->core.set_partition_count(count);
  for (auto [partition, epoch] : std::exchange(impl_->before_count, {}))
    impl_->begin_load(partition, epoch);
}
bool GroupService::partition_count_is_known() const { return impl_->count_is_set; }
int32_t GroupService::partition_for(std::string_view group_id) const {
  return impl_->core.partition_for(group_id);
}
void GroupService::on_became_leader(int32_t partition, int32_t leader_epoch) {
  if (impl_->count_is_set)
    impl_->begin_load(partition, leader_epoch);
  else
    impl_->before_count[partition] = leader_epoch;
}
void GroupService::on_resigned(int32_t partition, std::optional<int32_t> leader_epoch) {
  impl_->before_count.erase(partition);
  impl_->loading.erase(partition);
  GroupEffects effects;
  impl_->core.unload(partition, leader_epoch, effects);
  impl_->apply(std::move(effects));
}
void GroupService::on_partitions_deleted(
    const std::vector<std::pair<std::string, int32_t>>& partitions) {
  GroupEffects effects;
  impl_->core.on_partitions_deleted(partitions, impl_->clock(), effects);
  impl_->apply(std::move(effects));
}
void GroupService::complete_txn(int64_t producer_id, const std::vector<int32_t>& partitions,
                                bool commit) {
  impl_->core.complete_txn(producer_id, partitions, commit);
}
void GroupService::handle(RequestPtr request) { impl_->handle(std::move(request)); }

kmsg::ErrorCode GroupService::refuse_txn_offset_commit(const std::string& group_id) {
  return impl_->core.refuse_txn_offset_commit(group_id, impl_->clock());
}

GroupService::Counts GroupService::counts() const {
  auto core = impl_->core.counts();
  return {core.groups,
          core.preparing_rebalance,
          core.completing_rebalance,
          core.stable,
          core.empty,
          core.dead,
          core.offsets,
          impl_->core.offset_commits(),
          impl_->core.completed_rebalances(),
          impl_->core.offset_expirations(),
          impl_->core.offset_deletions()};
}

}  // namespace ottla::broker
