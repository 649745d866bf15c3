// Controller: the one broker that elects partition leaders and carries out topic creation and
// deletion. Every broker owns one; it takes part in the election from start() on and acts while it
// holds /controller. A core: znode events and replies come in through ZkClient's callbacks, effects
// go out as ZkClient requests and BrokerChannel requests; it has no clock, no thread and no log.
//
// Events are carried out one at a time, in order (one queue, as in Kafka): a handler ends with
// finish(), and its steps are continuations that are void once generation_ has moved on. Each write
// is a multi with a check of /controller_epoch: a controller that was replaced cannot change a
// thing. Source: KIP-500 background; Kafka's KafkaController, PartitionStateMachine,
// TopicDeletionManager (behaviour), KIP-380.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/controller/controller_state.h"
#include "broker/controller/partition_outcome.h"
#include "broker/controller/request_batch.h"
#include "broker/zk/zk_client.h"
#include "common/base/fn.h"

namespace ottla::broker {

struct ControllerOptions {
  int32_t broker_id = 0;
  std::string inter_broker_listener = "PLAINTEXT";
  bool delete_topic_enable = true;
  bool unclean_leader_election = false;  // of topics without a word of their own
};

// What a core may not have: time, chance, a log.
struct ControllerEnvironment {
  Fn<int64_t()> wall_ms;
  Fn<kmsg::Uuid()> new_topic_id;
  Fn<void(const std::string& line)> note;  // state transitions and troubles, one line each
};

// A topic's own unclean.leader.election.enable; nothing when it has none. What is no boolean is no.
std::optional<bool> prefers_availability(const ConfigMap& topic_config);

class Controller final : public ZkListener {
 public:
  Controller(ZkClient& zk, BrokerChannel& channel, ControllerOptions options,
             ControllerEnvironment environment);
  ~Controller() override;

  // Takes part in the election; to be called when the broker is registered. Again after stop().
  void start();
  // Forgets everything at once: the session expired, or the broker shuts down.
  void stop();

  bool active() const { return state_.epoch > 0; }
  int32_t epoch() const { return state_.epoch; }
  int32_t controller_id() const { return controller_id_; }  // as last read; -1 unknown
  bool queued_for_deletion(const std::string& topic) const { return state_.deleting(topic); }
  const ControllerState& state() const { return state_; }
  bool idle() const { return !busy_ && queue_.empty(); }
  void check_invariants() const;

  // Configs that changed: the default of unclean.leader.election.enable, or that a topic's own has
  // it on. Partitions that waited for a replica of their ISR get a leader now.
  void set_unclean_election(bool enabled);
  void on_unclean_topic(const std::string& topic);

  // --- what others ask of the active controller (calls.cc, reassignment.cc). Each `done` comes
  // once, when its turn in the queue has come and its writes are made; not_controller, when this is
  // not the controller, or ceases to be it meanwhile. Never after the controller's end.
  void elect(std::vector<TopicPartition> tps, ElectionType type, Fn<void(PartitionOutcomes)> done);
  void reassign(std::map<TopicPartition, TargetReplicas> targets, Fn<void(PartitionOutcomes)> done);
  // The version decides one error code. The list holds an outcome for each change, in its order.
  void alter_isr(std::vector<IsrChange> changes, int32_t leader, int16_t version,
                 Fn<void(kmsg::ErrorCode, std::vector<IsrOutcome>)> done);
  // Without waiting: what is known now.
  std::map<TopicPartition, Reassignment> reassignments() const;
  std::optional<int64_t> broker_epoch(int32_t broker) const;  // of a live broker
  // Partitions of several replicas that this broker leads.
  std::vector<TopicPartition> led_by(int32_t broker) const;
  std::optional<std::string> topic_of(const kmsg::Uuid& id) const;

  void on_zk_event(const ZkEvent& event) override;
  void on_zk_session(ZkSessionEvent event) override;

 private:
  enum class EventKind {
    elect,               // start, and /controller created, changed or deleted
    broker_change,       //
    broker_modified,     // endpoints of one broker
    topic_change,        //
    partitions_changed,  // assignment of one topic
    topic_deletion,      //
    isr_change,          //
    log_dir_event,       //
    leader_and_isr_answer,
    stop_replica_answer,
    election_node,    // /admin/preferred_replica_election of old tools
    reassign_node,    // /admin/reassign_partitions of old tools
    unclean_enabled,  // for one topic, or for all
    call,             // elect() and its like
  };
  // What somebody waits for. refuse() comes instead of the end of run(), when this controller is
  // none (any more).
  struct Call {
    Fn<void()> run;
    Fn<void()> refuse;
  };
  struct Event {
    EventKind kind;
    std::string topic;
    int32_t broker = -1;
    std::vector<TopicPartition> failed;     // answers: replicas that reported an error
    std::vector<TopicPartition> succeeded;  //
    std::shared_ptr<Call> call;
  };
  using Next = Fn<void()>;
  using Replies = std::vector<ZkReply>;
  struct ReplicaKey {
    TopicPartition tp;
    int32_t broker;
  };

  // The queue.
  void enqueue(Event event);
  void run_next();
  void handle(const Event& event);
  void finish();
  // Wraps a continuation: it runs only while nothing reset the controller since.
  template <class F>
  auto guard(F step) {
    return [this, alive = alive_, generation = generation_,
            step = std::move(step)](auto&&... args) mutable {
      if (*alive && generation == generation_) step(std::forward<decltype(args)>(args)...);
    };
  }

  // Election and fail-over (controller.cc).
  void elect();
  void claim(int32_t epoch, int32_t epoch_zk_version, bool create_epoch);
  void resolve_claim(int32_t epoch);
  void become_active(int32_t epoch, int32_t epoch_zk_version);
  void load();
  void load_nodes(Replies top);
  void load_states(std::vector<TopicPartition> tps);
  void on_loaded();
  void resign(const std::string& why);
  void reset();

  // Writes (partition_changes.cc).
  void guarded(std::vector<ZkRequest> ops, Fn<void(Replies)> next);
  using Change =
      std::function<std::optional<PartitionState>(const TopicPartition&, const PartitionState&)>;
  void alter_states(std::vector<TopicPartition> tps, Change change,
                    Fn<void(std::vector<TopicPartition>)> next,
                    std::vector<TopicPartition> already = {});
  void initialize(std::vector<TopicPartition> tps, Next next);
  void on_initialized(std::vector<TopicPartition> tps, std::vector<PartitionState> states,
                      size_t first_state, Replies replies, Next next);
  void elect_leaders(std::vector<TopicPartition> tps, Next next);
  void read_unclean(std::set<std::string> topics, Fn<void(std::set<std::string>)> next);
  bool has_live_isr(const TopicPartition& tp) const;
  void on_unclean_enabled(const std::string& topic);
  void elect_by(std::vector<TopicPartition> tps, Change change,
                Fn<void(std::vector<TopicPartition>)> next);
  void bring_online(std::vector<TopicPartition> tps, Next next);
  std::optional<PartitionState> elected(const TopicPartition& tp, const PartitionState& from,
                                        bool unclean) const;
  void take_offline(std::vector<ReplicaKey> replicas, Next next);
  void take_offline_on(std::map<int32_t, std::vector<TopicPartition>> by_broker, Next next);
  void add_partitions(std::vector<TopicPartition> tps, Next next);
  std::vector<TopicPartition> leaderless() const;
  void send(RequestBatch& batch);

  // Brokers and topics (cluster_changes.cc).
  void read_brokers(std::vector<std::string> ids, Fn<void(std::map<int32_t, LiveBroker>)> next);
  void on_broker_change();
  void apply_brokers(std::map<int32_t, LiveBroker> now);
  void on_brokers_up(std::vector<int32_t> ids, Next next);
  void on_brokers_down(std::vector<int32_t> ids, Next next);
  void on_broker_modified(int32_t id);
  void on_topic_change();
  void read_topics(std::vector<std::string> names, Fn<void(std::vector<TopicPartition>)> next);
  void on_partitions_changed(const std::string& topic);
  void on_isr_change();
  void on_log_dir_event();
  void on_leader_and_isr_answer(const Event& event);

  // Calls (calls.cc).
  void call(Fn<void()> run, Fn<void()> refuse);
  std::vector<std::shared_ptr<Call>> drop_queue();
  void run_election(std::vector<TopicPartition> tps, ElectionType type,
                    Fn<void(PartitionOutcomes)> next);
  void run_alter_isr(std::vector<IsrChange> changes, int32_t leader, int16_t version,
                     Fn<void(std::vector<IsrOutcome>)> next);
  IsrOutcome check_isr(const IsrChange& change, int32_t leader, int16_t version, bool& write) const;
  void on_election_node();

  // Reassignment (reassignment.cc).
  Reassignment reassignment_of(const TopicPartition& tp) const;
  PartitionOutcome check_target(const TopicPartition& tp, const std::vector<int32_t>& target) const;
  void run_reassign(std::map<TopicPartition, TargetReplicas> targets,
                    Fn<void(PartitionOutcomes)> next);
  void start_reassignments(std::map<TopicPartition, Reassignment> wanted,
                           PartitionOutcomes outcomes, Fn<void(PartitionOutcomes)> next);
  void carry_on(const TopicPartition& tp, Reassignment to, Next next);
  void begin_reassignment(const TopicPartition& tp, Reassignment to, Next next);
  void end_reassignment(const TopicPartition& tp, Reassignment to, Next next);
  void settle_leader(const TopicPartition& tp, Next next);
  void write_assignment(const TopicPartition& tp, const Reassignment& to, Next next);
  void stop_removed(const TopicPartition& tp, std::vector<int32_t> brokers, Next next);
  void forget_in_node(std::function<bool(const TopicPartition&, const std::vector<int32_t>&)> drop,
                      Next next);
  void resume_reassignments(std::vector<TopicPartition> tps, Next next);
  std::vector<TopicPartition> reassigning() const;
  TopicNode topic_node(const std::string& topic) const;
  void on_reassign_node();

  // Deletion (topic_deletion.cc).
  void on_topic_deletion();
  void resume_deletions(Next next);
  void start_deletion(std::vector<std::string> topics, Next next);
  void complete_deletion(const std::string& topic, Next next);
  void on_stop_replica_answer(const Event& event);

  // Fixed after construction.
  ZkClient& zk_;
  BrokerChannel& channel_;
  ControllerOptions options_;
  ControllerEnvironment environment_;

  ControllerState state_;
  int32_t controller_id_ = -1;
  bool started_ = false;
  bool busy_ = false;
  bool running_ = false;  // inside run_next: handlers that end at once do not recurse
  uint64_t generation_ = 0;
  std::deque<Event> queue_;
  std::shared_ptr<Call> current_;  // the call being carried out
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::broker
