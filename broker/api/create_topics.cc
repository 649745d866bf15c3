// CreateTopics. The work is TopicAdmin's (broker/controller); here is what the client sees of it.
// Source: KIP-4, KIP-525 (configs in the answer), KIP-516.
#include "proto/kafka/create_topics.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::CreateTopicsResponse;

namespace {

Response::CreatableTopicResult result_of(ApiContext& context, CreateTopicResult& result) {
  Response::CreatableTopicResult entry;
  entry.name = std::move(result.name);
  entry.topic_id = result.topic_id;
  entry.error_code = result.error;
  entry.error_message = std::move(result.message);
  entry.num_partitions = result.num_partitions;
  entry.replication_factor = result.replication_factor;
  entry.configs.emplace();
  if (result.error != ErrorCode::none) return entry;
  for (DescribedConfig& described :
       describe_topic(context.config, context.dynamic, result.configs)) {
    auto& config = entry.configs->emplace_back();
    config.name = std::move(described.name);
    config.value = std::move(described.value);
    config.read_only = described.read_only;
    config.config_source = static_cast<int8_t>(described.source);
    config.is_sensitive = described.sensitive;
  }
  return entry;
}

}  // namespace

void handle_create_topics(ApiContext& context, RequestPtr request) {
  kmsg::CreateTopicsRequest asked;
  if (!decode(*request, asked)) return;
  context.control.topics().create_topics(
      asked, [&context, request = std::move(request)](std::vector<CreateTopicResult> results) {
        Response response;
        for (CreateTopicResult& result : results)
          response.topics.push_back(result_of(context, result));
        request->reply(response);
      });
}

}  // namespace ottla::broker
