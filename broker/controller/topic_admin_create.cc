// Room broker/controller: CreateTopics, and the topics that Metadata and FindCoordinator create.
// Source: Kafka's ZkAdminManager, AutoTopicCreationManager (behaviour).
#include <fmt/format.h>

#include <algorithm>

#include "broker/controller/random_uuid.h"
#include "broker/controller/topic_admin_impl.h"
#include "broker/controller/topic_rules.h"
#include "common/base/log.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;
constexpr log::Room kLog{"broker.topics"};

}  // namespace

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

void TopicAdmin::Impl::refuse(Creation& topic, ErrorCode error,
                              std::optional<std::string> message) {
  topic.result.error = error;
  topic.result.message = std::move(message);
  topic.planned = false;
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
    return refuse(
        topic, ErrorCode::invalid_config,
        fmt::format("Null value not supported for topic configs: {}", fmt::join(nulls, ",")));
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
  // Numbers below 0 pass for consecutive ones: at Kafka's own the answer then cannot be made.
  if (refusal.ok() && !topic.assignment.contains(0))
    refusal = {ErrorCode::unknown_server_error, std::nullopt};
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
    topic.node.id = random_uuid(world.entropy);
    topic.node.partitions = topic.assignment;
    writes.push_back(ZkRequest::create(zpath::topic(name), encode_topic(topic.node)));
    written.push_back(i);
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
      // Not before: of two who create the topic at once the other's config may be the one stored.
      if (replies[2 * n].ok() && made.ok() && on_created_config)
        on_created_config(topic.asked.name, topic.result.configs);
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

// ---------------------------------------------------------------------------------- auto-create

kmsg::ErrorCode TopicAdmin::auto_create(const std::string& name) {
  if (topic_name_fault(name)) return ErrorCode::invalid_topic_exception;
  MetadataPtr image = impl_->host.metadata();
  if (impl_->auto_creating.contains(name)) return ErrorCode::unknown_topic_or_partition;
  if (has_collision_chars(name))
    for (const auto& [other, topic] : image->topics())
      if (other != name && names_collide(name, other)) return ErrorCode::invalid_topic_exception;
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
  impl_->auto_asked.push_back(std::move(topic));
  if (impl_->auto_asked.size() == 1)
    impl_->world.loop.post(impl_->guard([impl = impl_.get()] { impl->create_asked(); }));
  return ErrorCode::leader_not_available;
}

// What one request named, and every other of this turn, in one go: the names of all topics are read
// once.
void TopicAdmin::Impl::create_asked() {
  create(std::exchange(auto_asked, {}), 0, false, [this](std::vector<CreateTopicResult> results) {
    for (const CreateTopicResult& result : results) {
      auto_creating.erase(result.name);
      if (result.error != ErrorCode::none && result.error != ErrorCode::request_timed_out &&
          result.error != ErrorCode::topic_already_exists)
        log::warn(kLog, "topic not created automatically", "topic={} error={} why=\"{}\"",
                  result.name, kmsg::error_name(result.error), result.message.value_or(""));
    }
  });
}

}  // namespace ottla::broker
