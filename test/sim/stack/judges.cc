// What must hold inside the servers of sim_stack: now and then, and at the end. What clients were
// told is judged in history.cc.
#include <fmt/format.h>

#include "test/sim/stack/run.h"

namespace ottla::test {

// HwMonotonicPerEpoch, and the broker's own.
void Run::observe() {
  if (!broker_ || broker_->replicas() == nullptr) return;
  broker_->check_invariants();
  broker_->replicas()->for_each([this](broker::Partition& partition) {
    if (!partition.is_leader() || partition.log() == nullptr) return;
    int64_t& hw =
        hw_[{partition.log()->topic_id() + partition.tp().to_string(), partition.leader_epoch()}];
    if (partition.log()->hw() < hw)
      history_.violated("HwMonotonicPerEpoch",
                        fmt::format("{} in epoch {}: {} after {}", partition.tp().to_string(),
                                    partition.leader_epoch(), partition.log()->hw(), hw));
    hw = partition.log()->hw();
  });
}

void Run::judge() {
  NoCorruptOrReordered::judge_order(history_);
  AckedRecordsSurvive::judge(history_);
  judge_registration();
  judge_topics();
  for (const auto& producer : producers_) judge_link(producer->link());
  for (const auto& consumer : consumers_) judge_link(consumer->link());
  judge_link(admin_->link());
}

void Run::judge_link(const KafkaLink& link) {
  if (link.garbage() != 0) history_.violated("AnswersFitRequests", "an answer did not decode");
}

// BrokerReRegisters: one session, and both ephemerals are its own.
void Run::judge_registration() {
  const zk::DataTree& tree = ensemble_->tree();
  auto owner_of = [&](const char* path) -> int64_t {
    const zk::Node* node = tree.find(path);
    return node == nullptr ? 0 : tree.stat_of(*node).ephemeral_owner;
  };
  int64_t registered = owner_of("/kafka/brokers/ids/0"), controller = owner_of("/kafka/controller");
  if (registered == 0 || registered != controller || tree.sessions().size() != 1 ||
      !tree.sessions().contains(registered) || !broker_->is_active_controller())
    history_.violated(
        "BrokerReRegisters",
        fmt::format("registered by 0x{:x}, controller 0x{:x}, {} sessions, active {}",
                    static_cast<uint64_t>(registered), static_cast<uint64_t>(controller),
                    tree.sessions().size(), broker_->is_active_controller()));
}

// TopicsSurvive, DeletedTopicsStayDeleted: in ZooKeeper, in the metadata, and on disk.
void Run::judge_topics() {
  const zk::DataTree& tree = ensemble_->tree();
  broker::MetadataPtr metadata = broker_->metadata();
  for (const auto& [topic, partitions] : history_.created) {
    const broker::TopicView* view = metadata->topic(topic);
    bool whole = view != nullptr && static_cast<int32_t>(view->partitions.size()) == partitions &&
                 tree.find("/kafka/brokers/topics/" + topic) != nullptr;
    for (int32_t i = 0; whole && i < partitions; ++i)
      whole = broker_->replicas()->leader_of(topic, i).error == kmsg::ErrorCode::none;
    if (!whole)
      history_.violated("TopicsSurvive", fmt::format("{} is not what was acknowledged", topic));
  }
  auto names = simulator_.world("broker").disk.list("/logs");
  for (const std::string& topic : history_.deleted) {
    std::string left;
    if (metadata->topic(topic) != nullptr) left += " metadata";
    for (const char* path :
         {"/kafka/brokers/topics/", "/kafka/admin/delete_topics/", "/kafka/config/topics/"})
      if (tree.find(path + topic) != nullptr) left += " " + (path + topic);
    for (const std::string& name : *names)
      if (name.starts_with(topic + "-") || name.starts_with(topic + ".")) left += " /logs/" + name;
    if (!left.empty()) history_.violated("DeletedTopicsStayDeleted", topic + " is left in" + left);
  }
}

}  // namespace ottla::test
