// Room broker/controller: DeleteTopics. The mark below /admin/delete_topics is all that is written
// here; the controller deletes (topic_deletion.cc). Source: Kafka's ZkAdminManager (behaviour).
#include <algorithm>

#include "broker/controller/controller_state.h"
#include "broker/controller/topic_admin_impl.h"

namespace ottla::broker {

namespace {
using kmsg::ErrorCode;
}  // namespace

UntoldTopics untold(const ControllerState& controller, const MetadataImage& image) {
  UntoldTopics out;
  out.loading = controller.epoch > 0 && !controller.loaded;
  for (const auto& [name, topic] : controller.topics) {
    bool told = std::any_of(topic.partitions.begin(), topic.partitions.end(),
                            [](const auto& entry) { return entry.second.state.has_value(); });
    if (!told || controller.deleting(name) || image.topic(name) != nullptr) continue;
    out.names.insert(name);
    if (!topic.id.is_zero()) out.ids.insert(topic.id);
  }
  return out;
}

void TopicAdmin::delete_topics(const kmsg::DeleteTopicsRequest& request, int16_t version,
                               Fn<void(std::vector<DeleteTopicResult>)> done) {
  auto results = std::make_shared<std::vector<DeleteTopicResult>>();
  MetadataPtr image = impl_->host.metadata();
  std::optional<UntoldTopics> untold;  // read when it is needed
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
    bool unknown = result.error == ErrorCode::unknown_topic_or_partition ||
                   result.error == ErrorCode::unknown_topic_id;
    if (unknown) {
      if (!untold) untold = impl_->host.untold_topics();
      if (untold->loading || untold->ids.contains(id) ||
          untold->names.contains(result.name.value_or("")))
        result.error = ErrorCode::not_controller;
    }
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

}  // namespace ottla::broker
