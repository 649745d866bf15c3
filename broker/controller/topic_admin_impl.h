// What the files of TopicAdmin share (topic_admin.cc: waiting; _create.cc, _delete.cc,
// _partitions.cc: a request each). Each request is one small state machine: read what exists (one
// round), write (pipelined), wait for the metadata to show it. Runs on the broker's loop; nobody
// else includes it.
#pragma once

#include <list>
#include <set>

#include "broker/controller/assignment.h"
#include "broker/controller/topic_admin.h"

namespace ottla::broker {

// What ZooKeeper's answer to a write of ours means for who asked for it.
AdminRefusal zk_refusal(ZkError error);

struct TopicAdmin::Impl {
  // One topic on its way through create_topics.
  struct Creation {
    kmsg::CreateTopicsRequest::CreatableTopic asked;
    CreateTopicResult result;
    Assignment assignment;
    TopicNode node;
    bool planned = false;  // nothing refused it before ZooKeeper was asked
    size_t first_reply = 0;
  };
  struct CreateJob {
    std::vector<Creation> topics;
    int32_t timeout_ms = 0;
    bool validate_only = false;
    Fn<void(std::vector<CreateTopicResult>)> done;
  };
  // One create_partitions.
  struct ExtendJob {
    std::vector<kmsg::CreatePartitionsRequest::CreatePartitionsTopic> asked;
    std::vector<CreatePartitionsResult> results;  // of `asked`, then of what was refused at once
    std::vector<Assignment> added;                // of `asked`
    int32_t timeout_ms = 0;
    bool validate_only = false;
    Fn<void(std::vector<CreatePartitionsResult>)> done;
  };
  // What an answer waits for: partitions with leaders, or topics gone.
  struct Waiter {
    Instant deadline;
    std::map<std::string, std::set<int32_t>> leaders;
    std::set<std::string> gone;
    Fn<void(const std::set<std::string>& late)> done;
  };

  Impl(rt::World& w, ZkClient& z, TopicAdminHost& h, TopicAdminOptions o)
      : world(w), zk(z), host(h), options(o), prng(w.entropy.u64()) {
    timer = world.loop.make_timer([this] { on_timer(); });
  }
  ~Impl() { *alive = false; }

  template <class F>
  auto guard(F step) {
    return [token = alive, step = std::move(step)](auto&&... args) mutable {
      if (*token) step(std::forward<decltype(args)>(args)...);
    };
  }

  // topic_admin_create.cc
  static void refuse(Creation& topic, kmsg::ErrorCode error, std::optional<std::string> message);
  void create(std::vector<Creation> topics, int32_t timeout_ms, bool validate_only,
              Fn<void(std::vector<CreateTopicResult>)> done);
  void plan(Creation& topic, const MetadataImage& image, const std::vector<BrokerRack>& brokers);
  void on_create_read(std::shared_ptr<CreateJob> job, std::vector<ZkReply> replies);
  void check_against_tree(Creation& topic, const std::vector<ZkReply>& replies,
                          const std::vector<std::string>& all_topics);
  void write_topics(std::shared_ptr<CreateJob> job, const std::vector<ZkReply>& replies);
  void on_created(std::shared_ptr<CreateJob> job, std::vector<size_t> written,
                  std::vector<ZkReply> replies);
  void answer_create(std::shared_ptr<CreateJob> job);
  void create_asked();

  // topic_admin_partitions.cc
  void on_extend_read(std::shared_ptr<ExtendJob> job, const std::vector<ZkReply>& replies);
  void on_extended(std::shared_ptr<ExtendJob> job, const std::vector<size_t>& written,
                   const std::vector<ZkReply>& replies);
  static void answer_extend(ExtendJob& job, const std::set<std::string>& late);

  // topic_admin.cc
  void wait(Waiter waiter, int32_t timeout_ms);
  bool settle(Waiter& waiter, const MetadataImage& image);
  void check_waiters(bool expire);
  void on_timer();
  void arm();

  rt::World world;
  ZkClient& zk;
  TopicAdminHost& host;
  TopicAdminOptions options;
  Prng prng;
  std::list<Waiter> waiters;
  std::set<std::string> auto_creating;
  std::vector<Creation> auto_asked;  // of these, those whose creation has not begun
  std::unique_ptr<rt::Timer> timer;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  Fn<void(const std::string&, const ConfigMap&)> on_created_config;
};

}  // namespace ottla::broker
