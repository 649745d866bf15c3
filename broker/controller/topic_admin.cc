// Room broker/controller: topic administration on the broker's loop. Each request is one small
// state machine: read what exists (one round), write (pipelined), wait for the metadata to show it.
// Source: Kafka's ZkAdminManager, AutoTopicCreationManager, DelayedCreatePartitions (behaviour).
#include "broker/controller/topic_admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <set>

#include "broker/controller/topic_rules.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;
constexpr log::Room kLog{"broker.topics"};

AdminRefusal zk_refusal(ZkError error) {
  return {error == ZkError::session_expired ? ErrorCode::request_timed_out
                                            : ErrorCode::unknown_server_error,
          fmt::format("ZooKeeper answered {}", jute::error_name(error))};
}

}  // namespace

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

  kmsg::Uuid new_id() {
    kmsg::Uuid id;
    // As Java's random UUIDs; those that start with '-' look like options on a command line.
    do {
      world.entropy.fill({id.bytes.data(), id.bytes.size()});
      id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);
      id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    } while (id.to_string().front() == '-');
    return id;
  }
  template <class F>
  auto guard(F step) {
    return [token = alive, step = std::move(step)](auto&&... args) mutable {
      if (*token) step(std::forward<decltype(args)>(args)...);
    };
  }
  static void refuse(Creation& topic, ErrorCode error, std::optional<std::string> message) {
    topic.result.error = error;
    topic.result.message = std::move(message);
    topic.planned = false;
  }

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
  std::unique_ptr<rt::Timer> timer;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  Fn<void(const std::string&, const ConfigMap&)> on_created_config;
};

TopicAdmin::TopicAdmin(rt::World& world, ZkClient& zk, TopicAdminHost& host,
                       TopicAdminOptions options)
    : impl_(std::make_unique<Impl>(world, zk, host, options)) {}
TopicAdmin::~TopicAdmin() = default;

void TopicAdmin::on_config_written(Fn<void(const std::string&, const ConfigMap&)> told) {
  impl_->on_created_config = std::move(told);
}

// ---------------------------------------------------------------------------------- create topics

void TopicAdmin::create_topics(const kmsg::CreateTopicsRequest& request,
                               Fn<void(std::vector<CreateTopicResult>)> done) {
  std::vector<Impl::Creation> topics;
  std::map<std::string, int> count;
  for (const auto& topic : request.topics) ++count[topic.name];
  bool controller = impl_->host.is_active_controller();
  for (const auto& asked : request.topics) {
    Impl::Creation topic;
    topic.asked = asked;
    topic.result.name = asked.name;
    topic.planned = true;
    if (!controller)
      Impl::refuse(topic, ErrorCode::not_controller, std::nullopt);
    else if (count[asked.name] > 1)
      Impl::refuse(topic, ErrorCode::invalid_request, "Found multiple entries for this topic.");
    else if (asked.name == "__cluster_metadata")
      Impl::refuse(topic, ErrorCode::invalid_request,
                   "Creation of internal topic __cluster_metadata is prohibited.");
    topics.push_back(std::move(topic));
  }
  impl_->create(std::move(topics), request.timeout_ms, request.validate_only, std::move(done));
}

void TopicAdmin::Impl::create(std::vector<Creation> topics, int32_t timeout_ms, bool validate_only,
                              Fn<void(std::vector<CreateTopicResult>)> done) {
  auto job = std::make_shared<CreateJob>();
  job->topics = std::move(topics);
  job->timeout_ms = timeout_ms;
  job->validate_only = validate_only;
  job->done = std::move(done);
  MetadataPtr image = host.metadata();
  std::vector<BrokerRack> brokers = broker_racks(*image);
  std::vector<ZkRequest> reads;
  reads.push_back(ZkRequest::children(zpath::kTopics));
  reads.push_back(ZkRequest::exists(zpath::kController));
  size_t partitions = 0;
  for (Creation& topic : job->topics) {
    if (topic.planned && partitions > kMaxPlannedPartitions)
      refuse(topic, ErrorCode::policy_violation, "Too many partitions in one request.");
    if (topic.planned) plan(topic, *image, brokers);
    if (!topic.planned) continue;
    partitions += topic.assignment.size();
    topic.first_reply = reads.size();
    reads.push_back(ZkRequest::exists(zpath::delete_topic(topic.asked.name)));
    reads.push_back(ZkRequest::exists(zpath::config("topics", topic.asked.name)));
  }
  if (reads.size() == 2) {
    world.loop.post(guard([this, job] { answer_create(job); }));
    return;
  }
  zk.submit_all(std::move(reads), guard([this, job](std::vector<ZkReply> replies) {
                  on_create_read(job, std::move(replies));
                }));
}

// The checks that need no ZooKeeper, in Kafka's order. A name that is no name is found out only
// after the counts, and must not become a path before.
void TopicAdmin::Impl::plan(Creation& topic, const MetadataImage& image,
                            const std::vector<BrokerRack>& brokers) {
  const std::string& name = topic.asked.name;
  if (image.topic(name) != nullptr)
    return refuse(topic, ErrorCode::topic_already_exists,
                  fmt::format("Topic '{}' already exists.", name));
  std::vector<std::string_view> nulls;
  for (const auto& config : topic.asked.configs) {
    if (config.value)
      topic.result.configs[config.name] = *config.value;
    else
      nulls.push_back(config.name);
  }
  if (!nulls.empty())
    return refuse(topic, ErrorCode::invalid_config,
                  fmt::format("Null value not supported for topic configs: {}",
                              fmt::join(nulls, ",")));
  AssignmentOutcome planned = plan_topic(topic.asked, options, brokers, prng);
  if (planned.error != ErrorCode::none) return refuse(topic, planned.error, planned.message);
  topic.assignment = std::move(planned.assignment);
  if (auto fault = topic_name_fault(name))
    refuse(topic, ErrorCode::invalid_topic_exception, "Topic name is invalid: " + *fault);
}

void TopicAdmin::Impl::on_create_read(std::shared_ptr<CreateJob> job,
                                      std::vector<ZkReply> replies) {
  const std::vector<std::string>& all_topics = replies[0].children;
  for (Creation& topic : job->topics)
    if (topic.planned) check_against_tree(topic, replies, all_topics);
  if (job->validate_only) return answer_create(std::move(job));
  write_topics(std::move(job), replies);
}

void TopicAdmin::Impl::check_against_tree(Creation& topic, const std::vector<ZkReply>& replies,
                                          const std::vector<std::string>& all_topics) {
  const std::string& name = topic.asked.name;
  if (replies[0].error == ZkError::session_expired) {
    AdminRefusal refusal = zk_refusal(ZkError::session_expired);
    return refuse(topic, refusal.error, refusal.message);
  }
  if (replies[topic.first_reply].ok())
    return refuse(topic, ErrorCode::topic_already_exists,
                  fmt::format("Topic '{}' is marked for deletion.", name));
  if (std::binary_search(all_topics.begin(), all_topics.end(), name))
    return refuse(topic, ErrorCode::topic_already_exists,
                  fmt::format("Topic '{}' already exists.", name));
  if (has_collision_chars(name)) {
    std::string colliding;
    for (const std::string& other : all_topics)
      if (names_collide(name, other)) colliding += (colliding.empty() ? "" : ", ") + other;
    if (!colliding.empty())
      return refuse(topic, ErrorCode::invalid_topic_exception,
                    fmt::format("Topic '{}' collides with existing topics: {}", name, colliding));
  }
  AdminRefusal refusal = check_assignment(topic.assignment);
  if (refusal.ok()) refusal = host.validate_topic_config(topic.result.configs);
  if (!refusal.ok()) return refuse(topic, refusal.error, refusal.message);
  topic.result.num_partitions = static_cast<int32_t>(topic.assignment.size());
  topic.result.replication_factor = static_cast<int16_t>(topic.assignment.begin()->second.size());
}

// Config first: whoever sees the topic finds its settings. A config left behind by a lost topic of
// that name is replaced, guarded by /controller as all config writes are.
void TopicAdmin::Impl::write_topics(std::shared_ptr<CreateJob> job,
                                    const std::vector<ZkReply>& replies) {
  std::vector<ZkRequest> writes;
  std::vector<size_t> written;
  for (size_t i = 0; i < job->topics.size(); ++i) {
    Creation& topic = job->topics[i];
    if (!topic.planned) continue;
    const std::string& name = topic.asked.name;
    std::string path = zpath::config("topics", name);
    std::string config = encode_config(topic.result.configs);
    if (replies[topic.first_reply + 1].ok())
      writes.push_back(
          ZkRequest::multi({ZkRequest::check(zpath::kController, replies[1].stat.version),
                            ZkRequest::set(path, config)}));
    else
      writes.push_back(ZkRequest::create(path, config));
    topic.node.id = new_id();
    topic.node.partitions = topic.assignment;
    writes.push_back(ZkRequest::create(zpath::topic(name), encode_topic(topic.node)));
    written.push_back(i);
    if (on_created_config) on_created_config(name, topic.result.configs);
  }
  if (writes.empty()) return answer_create(std::move(job));
  zk.submit_all(
      std::move(writes),
      guard([this, job, written = std::move(written)](std::vector<ZkReply> results) mutable {
        on_created(std::move(job), std::move(written), std::move(results));
      }));
}

void TopicAdmin::Impl::on_created(std::shared_ptr<CreateJob> job, std::vector<size_t> written,
                                  std::vector<ZkReply> replies) {
  for (size_t n = 0; n < written.size(); ++n) {
    Creation& topic = job->topics[written[n]];
    const ZkReply& made = replies[2 * n + 1];
    // node_exists after a lost reply is our own first attempt: no one else could tell apart which.
    if (made.ok() || (made.error == ZkError::node_exists && made.retried)) {
      topic.result.topic_id = *topic.node.id;
      log::info(kLog, "topic created", "topic={} partitions={} replication_factor={} id={}",
                topic.asked.name, topic.result.num_partitions, topic.result.replication_factor,
                topic.node.id->to_string());
    } else if (made.error == ZkError::node_exists) {
      refuse(topic, ErrorCode::topic_already_exists,
             fmt::format("Topic '{}' already exists.", topic.asked.name));
    } else {
      AdminRefusal refusal = zk_refusal(made.error);
      refuse(topic, refusal.error, refusal.message);
    }
  }
  answer_create(std::move(job));
}

void TopicAdmin::Impl::answer_create(std::shared_ptr<CreateJob> job) {
  auto answer = [job](const std::set<std::string>& late) {
    std::vector<CreateTopicResult> results;
    for (Creation& topic : job->topics) {
      if (late.contains(topic.asked.name) && topic.result.error == ErrorCode::none)
        topic.result.error = ErrorCode::request_timed_out;
      if (topic.result.error != ErrorCode::none) {
        topic.result.num_partitions = -1;
        topic.result.replication_factor = -1;
        topic.result.topic_id = {};
      }
      results.push_back(std::move(topic.result));
    }
    job->done(std::move(results));
  };
  Waiter waiter;
  if (!job->validate_only)
    for (const Creation& topic : job->topics)
      if (topic.result.error == ErrorCode::none)
        for (const auto& [partition, replicas] : topic.assignment)
          waiter.leaders[topic.asked.name].insert(partition);
  waiter.done = std::move(answer);
  wait(std::move(waiter), job->timeout_ms);
}

// --------------------------------------------------------------------------------------- waiting

// Answers at once when nothing is waited for; with a timeout of nothing, as late.
void TopicAdmin::Impl::wait(Waiter waiter, int32_t timeout_ms) {
  if (timeout_ms > 0 && settle(waiter, *host.metadata())) return;
  if (timeout_ms <= 0) {
    std::set<std::string> late = waiter.gone;
    for (const auto& [topic, partitions] : waiter.leaders) late.insert(topic);
    return waiter.done(late);
  }
  waiter.deadline = after_ms(world.loop.now(), timeout_ms);
  waiters.push_back(std::move(waiter));
  arm();
}

bool TopicAdmin::Impl::settle(Waiter& waiter, const MetadataImage& image) {
  for (auto it = waiter.leaders.begin(); it != waiter.leaders.end();) {
    std::erase_if(it->second, [&](int32_t partition) {
      const PartitionView* view = image.partition(it->first, partition);
      return view != nullptr && view->leader >= 0;
    });
    it = it->second.empty() ? waiter.leaders.erase(it) : std::next(it);
  }
  std::erase_if(waiter.gone,
                [&](const std::string& topic) { return image.topic(topic) == nullptr; });
  if (!waiter.leaders.empty() || !waiter.gone.empty()) return false;
  waiter.done({});
  return true;
}

void TopicAdmin::Impl::check_waiters(bool expire) {
  MetadataPtr image = host.metadata();
  Instant now = world.loop.now();
  auto token = alive;
  // Answers may bring new requests: those stand behind and are not looked at again here.
  std::list<Waiter> looked_at;
  looked_at.swap(waiters);
  while (!looked_at.empty()) {
    Waiter& waiter = looked_at.front();
    bool done = settle(waiter, *image);
    if (!*token) return;
    if (!done && expire && waiter.deadline <= now) {
      std::set<std::string> late = waiter.gone;
      for (const auto& [topic, partitions] : waiter.leaders) late.insert(topic);
      waiter.done(late);
      if (!*token) return;
      done = true;
    }
    if (done)
      looked_at.pop_front();
    else
      waiters.splice(waiters.end(), looked_at, looked_at.begin());
  }
  arm();
}

void TopicAdmin::Impl::arm() {
  timer->cancel();
  if (waiters.empty()) return;
  Instant first = waiters.front().deadline;
  for (const Waiter& waiter : waiters) first = std::min(first, waiter.deadline);
  timer->arm_at(first);
}
void TopicAdmin::Impl::on_timer() { check_waiters(true); }

void TopicAdmin::on_metadata_changed() { impl_->check_waiters(false); }

// --------------------------------------------------------------------------------- delete topics

void TopicAdmin::delete_topics(const kmsg::DeleteTopicsRequest& request, int16_t version,
                               Fn<void(std::vector<DeleteTopicResult>)> done) {
  auto results = std::make_shared<std::vector<DeleteTopicResult>>();
  MetadataPtr image = impl_->host.metadata();
  auto add = [&](std::optional<std::string> name, const kmsg::Uuid& id) {
    DeleteTopicResult result;
    result.topic_id = id;
    result.name = std::move(name);
    if (!id.is_zero()) {
      const TopicView* topic = image->topic(id);
      result.name = topic != nullptr ? std::optional(topic->name) : std::nullopt;
      if (topic == nullptr) result.error = ErrorCode::unknown_topic_id;
    } else if (!result.name) {
      result.error = ErrorCode::topic_authorization_failed;
    }
    if (result.error == ErrorCode::none && image->topic(*result.name) == nullptr)
      result.error = ErrorCode::unknown_topic_or_partition;
    results->push_back(std::move(result));
  };
  for (const auto& topic : request.topics) add(topic.name, topic.topic_id);
  for (const auto& name : request.topic_names) add(name, {});

  ErrorCode all = ErrorCode::none;
  if (!impl_->host.is_active_controller())
    all = ErrorCode::not_controller;
  else if (!impl_->options.delete_topic_enable)
    all = version < 3 ? ErrorCode::invalid_request : ErrorCode::topic_deletion_disabled;
  if (all != ErrorCode::none) {
    size_t i = 0;
    for (const auto& topic : request.topics) (*results)[i++].name = topic.name;
    for (DeleteTopicResult& result : *results) result.error = all;
  }

  std::vector<ZkRequest> writes;
  std::vector<size_t> indexes;
  std::set<std::string> seen;
  for (size_t i = 0; i < results->size(); ++i) {
    const DeleteTopicResult& result = (*results)[i];
    if (result.error != ErrorCode::none || !seen.insert(*result.name).second) continue;
    writes.push_back(ZkRequest::create(zpath::delete_topic(*result.name), std::nullopt));
    indexes.push_back(i);
  }
  auto answer = [results, done = std::move(done)](const std::set<std::string>& late) mutable {
    for (DeleteTopicResult& result : *results)
      if (result.error == ErrorCode::none && late.contains(result.name.value_or("")))
        result.error = ErrorCode::request_timed_out;
    done(std::move(*results));
  };
  if (writes.empty()) {
    impl_->world.loop.post(impl_->guard([answer = std::move(answer)]() mutable { answer({}); }));
    return;
  }
  impl_->zk.submit_all(std::move(writes),
                       impl_->guard([impl = impl_.get(), results, indexes = std::move(indexes),
                                     timeout_ms = request.timeout_ms, answer = std::move(answer)](
                                        std::vector<ZkReply> replies) mutable {
                         Impl::Waiter waiter;
                         for (size_t n = 0; n < indexes.size(); ++n) {
                           DeleteTopicResult& result = (*results)[indexes[n]];
                           // Marked already: this call waits for the same deletion.
                           if (replies[n].ok() || replies[n].error == ZkError::node_exists)
                             waiter.gone.insert(*result.name);
                           else
                             result.error = zk_refusal(replies[n].error).error;
                         }
                         waiter.done = std::move(answer);
                         impl->wait(std::move(waiter), timeout_ms);
                       }));
}

// ----------------------------------------------------------------------------- create partitions

void TopicAdmin::create_partitions(const kmsg::CreatePartitionsRequest& request,
                                   Fn<void(std::vector<CreatePartitionsResult>)> done) {
  using Asked = kmsg::CreatePartitionsRequest::CreatePartitionsTopic;
  struct Job {
    std::vector<Asked> asked;
    std::vector<CreatePartitionsResult> results;  // of `asked`, then of what was refused at once
    std::vector<Assignment> added;
    bool validate_only = false;
    int32_t timeout_ms = 0;
    Fn<void(std::vector<CreatePartitionsResult>)> done;
  };
  auto job = std::make_shared<Job>();
  job->validate_only = request.validate_only;
  job->timeout_ms = request.timeout_ms;
  job->done = std::move(done);
  std::map<std::string, int> count;
  for (const auto& topic : request.topics) ++count[topic.name];
  std::vector<CreatePartitionsResult> refused;
  for (const auto& topic : request.topics) {
    if (!impl_->host.is_active_controller()) {
      refused.push_back({topic.name, ErrorCode::not_controller, std::nullopt});
    } else if (count[topic.name] > 1) {
      count[topic.name] = 0;  // answered once for all
      refused.push_back({topic.name, ErrorCode::invalid_request, "Duplicate topic in request."});
    } else if (count[topic.name] == 1 && impl_->host.is_queued_for_deletion(topic.name)) {
      refused.push_back(
          {topic.name, ErrorCode::invalid_topic_exception, "The topic is queued for deletion."});
    } else if (count[topic.name] == 1) {
      job->asked.push_back(topic);
      job->results.push_back({topic.name, ErrorCode::none, std::nullopt});
    }
  }
  std::move(refused.begin(), refused.end(), std::back_inserter(job->results));
  job->added.resize(job->asked.size());

  auto answer = [job](const std::set<std::string>& late) {
    for (CreatePartitionsResult& result : job->results)
      if (result.error == ErrorCode::none && late.contains(result.name))
        result.error = ErrorCode::request_timed_out;
    job->done(std::move(job->results));
  };
  auto* impl = impl_.get();
  if (job->asked.empty()) {
    impl->world.loop.post(impl->guard([answer] { answer({}); }));
    return;
  }
  auto on_written = [impl, job, answer](const std::vector<size_t>& indexes,
                                        const std::vector<ZkReply>& replies) {
    Impl::Waiter waiter;
    for (size_t n = 0; n < indexes.size(); ++n) {
      CreatePartitionsResult& result = job->results[indexes[n]];
      if (replies[n].ok() || (replies[n].error == ZkError::bad_version && replies[n].retried)) {
        for (const auto& [partition, replicas] : job->added[indexes[n]])
          waiter.leaders[result.name].insert(partition);
      } else {
        AdminRefusal refusal = zk_refusal(replies[n].error);
        result.error = refusal.error;
        result.message = refusal.message;
      }
    }
    waiter.done = answer;
    impl->wait(std::move(waiter), job->timeout_ms);
  };
  std::vector<ZkRequest> reads;
  for (const Asked& topic : job->asked)
    // A name that is no name is no topic's either; it must not become a path.
    reads.push_back(ZkRequest::get(topic_name_fault(topic.name) ? std::string("/brokers/topics/ ")
                                                                : zpath::topic(topic.name)));
  impl->zk.submit_all(
      std::move(reads), impl->guard([impl, job, answer, on_written](std::vector<ZkReply> replies) {
        std::vector<BrokerRack> brokers = broker_racks(*impl->host.metadata());
        std::vector<ZkRequest> writes;
        std::vector<size_t> indexes;
        for (size_t i = 0; i < job->asked.size(); ++i) {
          CreatePartitionsResult& result = job->results[i];
          auto node = decode_topic(replies[i].data.value_or(""));
          if (replies[i].error == ZkError::session_expired) {
            result.error = ErrorCode::request_timed_out;
            continue;
          }
          if (!replies[i].ok() || !node || node->partitions.empty()) {
            result.error = ErrorCode::unknown_topic_or_partition;
            result.message = fmt::format("The topic '{}' does not exist.", result.name);
            continue;
          }
          AssignmentOutcome plan = plan_new_partitions(job->asked[i], *node, brokers, impl->prng);
          if (plan.error != ErrorCode::none) {
            result.error = plan.error;
            result.message = plan.message;
            continue;
          }
          if (job->validate_only) continue;
          job->added[i] = plan.assignment;
          node->partitions.merge(plan.assignment);
          writes.push_back(ZkRequest::set(zpath::topic(result.name), encode_topic(*node),
                                          replies[i].stat.version));
          indexes.push_back(i);
        }
        if (writes.empty()) return answer({});
        impl->zk.submit_all(std::move(writes),
                            impl->guard([on_written, indexes](std::vector<ZkReply> results) {
                              on_written(indexes, results);
                            }));
      }));
}

// ----------------------------------------------------------------------------------- auto-create

kmsg::ErrorCode TopicAdmin::auto_create(const std::string& name) {
  if (topic_name_fault(name)) return ErrorCode::invalid_topic_exception;
  MetadataPtr image = impl_->host.metadata();
  if (has_collision_chars(name))
    for (const auto& [other, topic] : image->topics())
      if (other != name && names_collide(name, other)) return ErrorCode::invalid_topic_exception;
  if (impl_->auto_creating.contains(name)) return ErrorCode::unknown_topic_or_partition;
  const TopicAdminOptions& options = impl_->options;
  Impl::Creation topic;
  topic.planned = true;
  topic.asked.name = topic.result.name = name;
  topic.asked.num_partitions = options.num_partitions;
  topic.asked.replication_factor = options.default_replication_factor;
  auto config = [&](const char* key, std::string value) {
    kmsg::CreateTopicsRequest::CreatableTopicConfig entry;
    entry.name = key;
    entry.value = std::move(value);
    topic.asked.configs.push_back(std::move(entry));
  };
  if (name == "__consumer_offsets") {
    topic.asked.num_partitions = options.offsets_topic_num_partitions;
    topic.asked.replication_factor = options.offsets_topic_replication_factor;
    config("compression.type", "producer");
    config("cleanup.policy", "compact");
    config("segment.bytes", std::to_string(options.offsets_topic_segment_bytes));
  } else if (name == "__transaction_state") {
    topic.asked.num_partitions = options.transaction_topic_num_partitions;
    topic.asked.replication_factor = options.transaction_topic_replication_factor;
    config("compression.type", "uncompressed");
    config("cleanup.policy", "compact");
    config("min.insync.replicas", std::to_string(options.transaction_topic_min_isr));
    config("segment.bytes", std::to_string(options.transaction_topic_segment_bytes));
    config("unclean.leader.election.enable", "false");
  }
  if (static_cast<size_t>(std::max<int16_t>(topic.asked.replication_factor, 0)) >
      image->brokers().size())
    return ErrorCode::invalid_replication_factor;
  impl_->auto_creating.insert(name);
  std::vector<Impl::Creation> topics;
  topics.push_back(std::move(topic));
  impl_->create(std::move(topics), 0, false,
                [impl = impl_.get(), name](std::vector<CreateTopicResult> results) {
                  impl->auto_creating.erase(name);
                  const CreateTopicResult& result = results.front();
                  if (result.error != ErrorCode::request_timed_out &&
                      result.error != ErrorCode::topic_already_exists)
                    log::warn(kLog, "topic not created automatically",
                              "topic={} error={} why=\"{}\"", name, kmsg::error_name(result.error),
                              result.message.value_or(""));
                });
  return ErrorCode::leader_not_available;
}

}  // namespace ottla::broker
