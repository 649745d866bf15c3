// Room broker/controller: CreatePartitions: an assignment for the new ones, written into the
// topic's znode at the version that was read. Source: KIP-195; Kafka's ZkAdminManager,
// DelayedCreatePartitions (behaviour).
#include <fmt/format.h>

#include "broker/controller/topic_admin_impl.h"
#include "broker/controller/topic_rules.h"

namespace ottla::broker {
namespace {

using kmsg::ErrorCode;

}  // namespace

void TopicAdmin::create_partitions(const kmsg::CreatePartitionsRequest& request,
                                   Fn<void(std::vector<CreatePartitionsResult>)> done) {
  auto job = std::make_shared<Impl::ExtendJob>();
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
  auto* impl = impl_.get();
  if (job->asked.empty()) {
    impl->world.loop.post(impl->guard([job] { Impl::answer_extend(*job, {}); }));
    return;
  }
  std::vector<ZkRequest> reads;
  for (const auto& topic : job->asked)
    // A name that is no name is no topic's either; it must not become a path.
    reads.push_back(ZkRequest::get(topic_name_fault(topic.name) ? std::string("/brokers/topics/ ")
                                                                : zpath::topic(topic.name)));
  impl->zk.submit_all(std::move(reads), impl->guard([impl, job](std::vector<ZkReply> replies) {
    impl->on_extend_read(job, replies);
  }));
}

void TopicAdmin::Impl::on_extend_read(std::shared_ptr<ExtendJob> job,
                                      const std::vector<ZkReply>& replies) {
  std::vector<BrokerRack> brokers = broker_racks(*host.metadata());
  std::vector<ZkRequest> writes;
  std::vector<size_t> written;
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
    AssignmentOutcome plan = plan_new_partitions(job->asked[i], *node, brokers, prng);
    if (plan.error != ErrorCode::none) {
      result.error = plan.error;
      result.message = plan.message;
      continue;
    }
    if (job->validate_only) continue;
    job->added[i] = plan.assignment;
    node->partitions.merge(plan.assignment);
    writes.push_back(
        ZkRequest::set(zpath::topic(result.name), encode_topic(*node), replies[i].stat.version));
    written.push_back(i);
  }
  if (writes.empty()) return answer_extend(*job, {});
  zk.submit_all(std::move(writes), guard([this, job, written](std::vector<ZkReply> results) {
                  on_extended(job, written, results);
                }));
}

void TopicAdmin::Impl::on_extended(std::shared_ptr<ExtendJob> job,
                                   const std::vector<size_t>& written,
                                   const std::vector<ZkReply>& replies) {
  Waiter waiter;
  for (size_t n = 0; n < written.size(); ++n) {
    CreatePartitionsResult& result = job->results[written[n]];
    if (replies[n].ok() || (replies[n].error == ZkError::bad_version && replies[n].retried)) {
      for (const auto& [partition, replicas] : job->added[written[n]])
        waiter.leaders[result.name].insert(partition);
    } else {
      AdminRefusal refusal = zk_refusal(replies[n].error);
      result.error = refusal.error;
      result.message = refusal.message;
    }
  }
  waiter.done = [job](const std::set<std::string>& late) { answer_extend(*job, late); };
  wait(std::move(waiter), job->timeout_ms);
}

void TopicAdmin::Impl::answer_extend(ExtendJob& job, const std::set<std::string>& late) {
  for (CreatePartitionsResult& result : job.results)
    if (result.error == ErrorCode::none && late.contains(result.name))
      result.error = ErrorCode::request_timed_out;
  job.done(std::move(job.results));
}

}  // namespace ottla::broker
