// DeleteTopics. Source: KIP-4, KIP-516 (by id).
#include "proto/kafka/delete_topics.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void handle_delete_topics(ApiContext& context, RequestPtr request) {
  kmsg::DeleteTopicsRequest asked;
  if (!decode(*request, asked)) return;
  for (const auto& topic : asked.topics)
    if (topic.name && !topic.topic_id.is_zero()) {
      // Name and id in one entry: the whole request is refused.
      kmsg::DeleteTopicsResponse response;
      for (const auto& each : asked.topics) {
        auto& entry = response.responses.emplace_back();
        entry.name = each.name;
        entry.topic_id = each.topic_id;
        entry.error_code = ErrorCode::invalid_request;
      }
      return request->reply(response);
    }
  int16_t version = request->version();
  context.control.topics().delete_topics(
      asked, version, [request = std::move(request)](std::vector<DeleteTopicResult> results) {
        kmsg::DeleteTopicsResponse response;
        for (DeleteTopicResult& result : results) {
          auto& entry = response.responses.emplace_back();
          entry.name = std::move(result.name);
          if (!entry.name && request->version() < 6) entry.name = "";
          entry.topic_id = result.topic_id;
          entry.error_code = result.error;
        }
        request->reply(response);
      });
}

}  // namespace ottla::broker
