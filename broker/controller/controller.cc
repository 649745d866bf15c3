// Room broker/controller: the controller's queue, election and fail-over. See controller.h.
#include "broker/controller/controller.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "common/base/check.h"

namespace ottla::broker {
namespace {

std::optional<int32_t> parse_int(std::string_view text) {
  int32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool session_gone(const std::vector<ZkReply>& replies) {
  return std::any_of(replies.begin(), replies.end(),
                     [](const ZkReply& reply) { return reply.error == ZkError::session_expired; });
}

}  // namespace

Controller::Controller(ZkClient& zk, BrokerChannel& channel, ControllerOptions options,
                       ControllerEnvironment environment)
    : zk_(zk),
      channel_(channel),
      options_(std::move(options)),
      environment_(std::move(environment)) {
  zk_.add_listener(this);
}

Controller::~Controller() {
  *alive_ = false;
  zk_.remove_listener(this);
}

void Controller::start() {
  started_ = true;
  enqueue({.kind = EventKind::elect});
}

void Controller::stop() {
  started_ = false;
  auto refused = drop_queue();
  reset();
  controller_id_ = -1;
  for (auto& call : refused) call->refuse();
}

// Everything in flight is void from here; the brokers' channels are closed.
void Controller::reset() {
  ++generation_;
  busy_ = false;
  for (int32_t id : state_.broker_ids()) channel_.remove_broker(id);
  state_ = {};
}

void Controller::resign(const std::string& why) {
  environment_.note(fmt::format("controller resigned epoch={} why=\"{}\"", state_.epoch, why));
  auto refused = drop_queue();
  reset();
  if (started_) enqueue({.kind = EventKind::elect});
  for (auto& call : refused) call->refuse();
}

// ---------------------------------------------------------------------------------------- queue

void Controller::enqueue(Event event) {
  bool answer = event.kind == EventKind::leader_and_isr_answer ||
                event.kind == EventKind::stop_replica_answer || event.kind == EventKind::call;
  // A notification says only "read again": one that waits already will.
  if (!answer)
    for (const Event& queued : queue_)
      if (queued.kind == event.kind && queued.topic == event.topic && queued.broker == event.broker)
        return;
  queue_.push_back(std::move(event));
  if (!busy_) run_next();
}

void Controller::run_next() {
  if (running_) return;
  running_ = true;
  while (!busy_ && !queue_.empty()) {
    Event event = std::move(queue_.front());
    queue_.pop_front();
    if (event.kind != EventKind::elect && !active()) {
      if (event.call) event.call->refuse();
      continue;
    }
    busy_ = true;
    handle(event);
  }
  running_ = false;
}

void Controller::finish() {
  busy_ = false;
  run_next();
}

void Controller::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::elect:
      return elect();
    case EventKind::broker_change:
      return on_broker_change();
    case EventKind::broker_modified:
      return on_broker_modified(event.broker);
    case EventKind::topic_change:
      return on_topic_change();
    case EventKind::partitions_changed:
      return on_partitions_changed(event.topic);
    case EventKind::topic_deletion:
      return on_topic_deletion();
    case EventKind::isr_change:
      return on_isr_change();
    case EventKind::log_dir_event:
      return on_log_dir_event();
    case EventKind::leader_and_isr_answer:
      return on_leader_and_isr_answer(event);
    case EventKind::stop_replica_answer:
      return on_stop_replica_answer(event);
    case EventKind::election_node:
      return on_election_node();
    case EventKind::reassign_node:
      return on_reassign_node();
    case EventKind::unclean_enabled:
      return on_unclean_enabled(event.topic);
    case EventKind::call:
      current_ = event.call;
      return event.call->run();
  }
}

void Controller::on_zk_event(const ZkEvent& event) {
  if (!started_) return;
  const std::string& path = event.path;
  bool children = event.type == ZkEventType::children_changed;
  auto child_of = [&](std::string_view parent) -> std::string {
    if (path.size() <= parent.size() + 1 || !path.starts_with(parent) || path[parent.size()] != '/')
      return "";
    std::string rest = path.substr(parent.size() + 1);
    return rest.find('/') == std::string::npos ? rest : "";
  };
  if (path == zpath::kController) return enqueue({.kind = EventKind::elect});
  if (children) {
    if (path == zpath::kBrokerIds) return enqueue({.kind = EventKind::broker_change});
    if (path == zpath::kTopics) return enqueue({.kind = EventKind::topic_change});
    if (path == zpath::kDeleteTopics) return enqueue({.kind = EventKind::topic_deletion});
    if (path == zpath::kIsrChanges) return enqueue({.kind = EventKind::isr_change});
    if (path == zpath::kLogDirEvents) return enqueue({.kind = EventKind::log_dir_event});
    return;
  }
  if (path == zpath::kPreferredElection) return enqueue({.kind = EventKind::election_node});
  if (path == zpath::kReassign) {
    if (event.type != ZkEventType::data_changed) return enqueue({.kind = EventKind::reassign_node});
    // Changed by hand, or by us who strike out what is done: as Kafka, only a new node counts.
    return zk_.submit(ZkRequest::exists(zpath::kReassign, true), [](ZkReply) {});
  }
  if (event.type != ZkEventType::data_changed) return;
  if (std::string topic = child_of(zpath::kTopics); !topic.empty())
    return enqueue({.kind = EventKind::partitions_changed, .topic = topic});
  if (auto id = parse_int(child_of(zpath::kBrokerIds)))
    return enqueue({.kind = EventKind::broker_modified, .broker = *id});
}

// A new session is started by the owner, after it registered the broker anew.
void Controller::on_zk_session(ZkSessionEvent event) {
  if (event == ZkSessionEvent::expired && started_) {
    if (active()) environment_.note("controller resigned why=\"ZooKeeper session expired\"");
    stop();
  }
}

// ------------------------------------------------------------------------------------- election

void Controller::elect() {
  zk_.submit_all(
      {ZkRequest::exists(zpath::kController, true), ZkRequest::get(zpath::kController),
       ZkRequest::get(zpath::kControllerEpoch)},
      guard([this](Replies replies) {
        if (session_gone(replies)) return;
        const ZkReply& owner = replies[1];
        const ZkReply& epoch = replies[2];
        if (owner.ok()) {
          auto node = decode_controller(owner.data.value_or(""));
          controller_id_ = node ? node->broker_id : -1;
          bool own = owner.stat.ephemeral_owner == zk_.session().session_id;
          if (active() && !own) return resign("another broker is the controller");
          if (!active() && own) {
            // Left behind by a resignation: without it the election can run again.
            zk_.submit(ZkRequest::remove(zpath::kController, owner.stat.version),
                       guard([this](ZkReply) { finish(); }));
            return;
          }
          return finish();
        }
        controller_id_ = -1;
        if (active()) return resign("/controller was deleted");
        if (epoch.ok()) {
          auto value = parse_int(epoch.data.value_or(""));
          if (!value) {
            environment_.note("/controller_epoch holds no number; no controller can be elected");
            return finish();
          }
          return claim(*value, epoch.stat.version, false);
        }
        claim(0, 0, true);
      }));
}

void Controller::claim(int32_t epoch, int32_t epoch_zk_version, bool create_epoch) {
  ControllerNode node{options_.broker_id, environment_.wall_ms(), -1};
  std::vector<ZkRequest> requests;
  if (create_epoch) requests.push_back(ZkRequest::create(zpath::kControllerEpoch, "0"));
  requests.push_back(ZkRequest::multi(
      {ZkRequest::create(zpath::kController, encode_controller(node), CreateMode::ephemeral),
       ZkRequest::set(zpath::kControllerEpoch, std::to_string(epoch + 1), epoch_zk_version)}));
  zk_.submit_all(std::move(requests), guard([this, epoch](Replies replies) {
                   if (session_gone(replies)) return;
                   const ZkReply& multi = replies.back();
                   if (multi.ok()) return become_active(epoch + 1, multi.ops[1].stat.version);
                   resolve_claim(epoch + 1);
                 }));
}

// The multi failed: another broker was faster, or our own first attempt's reply was lost.
void Controller::resolve_claim(int32_t epoch) {
  zk_.submit_all({ZkRequest::get(zpath::kController), ZkRequest::get(zpath::kControllerEpoch)},
                 guard([this, epoch](Replies replies) {
                   if (session_gone(replies)) return;
                   bool own = replies[0].ok() &&
                              replies[0].stat.ephemeral_owner == zk_.session().session_id;
                   if (own && replies[1].ok() && replies[1].data == std::to_string(epoch))
                     return become_active(epoch, replies[1].stat.version);
                   if (auto node = decode_controller(replies[0].data.value_or("")))
                     controller_id_ = node->broker_id;
                   // Vanished again meanwhile: the exists watch fired, and an election stands in
                   // the queue.
                   finish();
                 }));
}

void Controller::become_active(int32_t epoch, int32_t epoch_zk_version) {
  controller_id_ = options_.broker_id;
  state_.epoch = epoch;
  state_.epoch_zk_version = epoch_zk_version;
  environment_.note(fmt::format("became controller epoch={}", epoch));
  load();
}

// ------------------------------------------------------------------------------------ fail-over

// Three pipelined rounds: lists, nodes, partition states. All watches are set by these reads.
void Controller::load() {
  zk_.submit_all(
      {ZkRequest::get(zpath::kFeature), ZkRequest::children(zpath::kBrokerIds, true),
       ZkRequest::children(zpath::kTopics, true), ZkRequest::children(zpath::kDeleteTopics, true),
       ZkRequest::children(zpath::kIsrChanges, true),
       ZkRequest::children(zpath::kLogDirEvents, true)},
      guard([this](Replies replies) {
        if (session_gone(replies)) return;
        load_nodes(std::move(replies));
      }));
}

void Controller::load_nodes(Replies top) {
  auto ids = std::move(top[1].children);
  auto names = std::move(top[2].children);
  if (options_.delete_topic_enable)
    state_.to_delete.insert(top[3].children.begin(), top[3].children.end());
  // Notifications from before this epoch: what is loaded below holds their effect already.
  std::vector<ZkRequest> stale;
  for (const std::string& name : top[4].children)
    stale.push_back(ZkRequest::remove(std::string(zpath::kIsrChanges) + "/" + name));
  for (const std::string& name : top[5].children)
    stale.push_back(ZkRequest::remove(std::string(zpath::kLogDirEvents) + "/" + name));
  if (top[0].error == ZkError::no_node)
    zk_.submit(ZkRequest::create(zpath::kFeature, encode_feature_node()), [](ZkReply) {});
  guarded(std::move(stale),
          [this, ids = std::move(ids), names = std::move(names)](Replies) mutable {
            read_brokers(std::move(ids), [this, names = std::move(names)](auto brokers) mutable {
              state_.brokers = std::move(brokers);
              read_topics(std::move(names),
                          [this](std::vector<TopicPartition> tps) { load_states(std::move(tps)); });
            });
          });
}

void Controller::load_states(std::vector<TopicPartition> tps) {
  if (tps.empty()) return on_loaded();
  std::vector<ZkRequest> requests;
  for (const TopicPartition& tp : tps)
    requests.push_back(ZkRequest::get(zpath::partition_state(tp.topic, tp.partition)));
  zk_.submit_all(std::move(requests), guard([this, tps = std::move(tps)](Replies replies) {
                   if (session_gone(replies)) return;
                   for (size_t i = 0; i < tps.size(); ++i) {
                     if (!replies[i].ok()) continue;
                     auto state = decode_partition_state(replies[i].data.value_or(""));
                     if (!state) {
                       environment_.note(state.error().context);
                       continue;
                     }
                     PartitionContext& partition = *state_.find(tps[i]);
                     partition.state = std::move(*state);
                     partition.zk_version = replies[i].stat.version;
                   }
                   on_loaded();
                 }));
}

// The order of steps is Kafka's: brokers learn of each other, then get the states as they are, then
// what changed while no controller lived.
void Controller::on_loaded() {
  state_.loaded = true;
  for (const auto& [id, broker] : state_.brokers)
    channel_.add_broker(broker.registration, broker.epoch);
  RequestBatch brokers_only;
  brokers_only.update_metadata(state_.broker_ids(), {});
  send(brokers_only);

  RequestBatch batch;
  std::vector<TopicPartition> told;
  std::vector<ReplicaKey> dead;
  for (auto& [name, topic] : state_.topics) {
    for (auto& [index, partition] : topic.partitions) {
      TopicPartition tp{name, index};
      partition.phase = !partition.state                       ? PartitionPhase::fresh
                        : state_.live(partition.state->leader) ? PartitionPhase::online
                                                               : PartitionPhase::offline;
      for (int32_t replica : partition.replicas) {
        bool up = state_.online(replica, tp);
        partition.replica_phases[replica] = up ? ReplicaPhase::online : ReplicaPhase::offline;
        if (up && partition.state) {
          batch.leader_and_isr(replica, tp, false);
          told.push_back(tp);
        }
        if (up) continue;
        if (state_.deleting(name)) {
          partition.replica_phases[replica] = ReplicaPhase::deletion_ineligible;
          state_.deletion_ineligible.insert(name);
        } else {
          dead.push_back({tp, replica});
        }
      }
    }
  }
  std::erase_if(told, [&](const TopicPartition& tp) { return state_.deleting(tp.topic); });
  if (!told.empty()) batch.update_metadata(state_.broker_ids(), told);
  send(batch);
  take_offline(std::move(dead), [this] {
    bring_online(leaderless(), [this] {
      resume_reassignments(reassigning(), [this] {
        enqueue({.kind = EventKind::reassign_node});
        resume_deletions([this] {
          enqueue({.kind = EventKind::topic_deletion});  // marks that are not to be followed
          enqueue({.kind = EventKind::election_node});
          finish();
        });
      });
    });
  });
}

std::vector<TopicPartition> Controller::leaderless() const {
  std::vector<TopicPartition> out;
  for (const auto& [name, topic] : state_.topics) {
    if (state_.deleting(name)) continue;
    for (const auto& [index, partition] : topic.partitions)
      if (partition.phase != PartitionPhase::online) out.push_back({name, index});
  }
  return out;
}

void Controller::send(RequestBatch& batch) {
  auto alive = alive_;
  uint64_t generation = generation_;
  RequestBatch::Sender sender{
      channel_, options_.broker_id, options_.inter_broker_listener,
      [this, alive, generation](int32_t broker, const kmsg::LeaderAndIsrResponse& response) {
        if (!*alive || generation != generation_) return;
        Event event{.kind = EventKind::leader_and_isr_answer, .broker = broker};
        std::map<kmsg::Uuid, std::vector<int32_t>> lost;
        for (const auto& topic : response.topics)
          for (const auto& partition : topic.partition_errors)
            if (partition.error_code == kmsg::ErrorCode::kafka_storage_error)
              lost[topic.topic_id].push_back(partition.partition_index);
        if (lost.empty()) return;
        for (const auto& [name, context] : state_.topics)
          if (auto found = lost.find(context.id); found != lost.end())
            for (int32_t partition : found->second) event.failed.push_back({name, partition});
        if (!event.failed.empty()) enqueue(std::move(event));
      },
      [this, alive, generation](int32_t broker, const kmsg::StopReplicaResponse& response) {
        if (!*alive || generation != generation_) return;
        Event event{.kind = EventKind::stop_replica_answer, .broker = broker};
        for (const auto& partition : response.partition_errors)
          (partition.error_code == kmsg::ErrorCode::none ? event.succeeded : event.failed)
              .push_back({partition.topic_name, partition.partition_index});
        enqueue(std::move(event));
      }};
  batch.send(state_, sender);
}

void Controller::check_invariants() const {
  if (!active()) {
    OTTLA_CHECK(state_.topics.empty() && state_.brokers.empty() && !state_.loaded);
    return;
  }
  OTTLA_CHECK(state_.epoch_zk_version >= 0);
  for (const auto& [name, topic] : state_.topics)
    for (const auto& [index, partition] : topic.partitions) {
      OTTLA_CHECK(partition.phase == PartitionPhase::fresh || partition.state.has_value());
      if (partition.phase == PartitionPhase::online && !state_.deleting(name) && idle())
        OTTLA_CHECK(state_.live(partition.state->leader));
    }
}

}  // namespace ottla::broker
