// CreateTopics. The work is TopicAdmin's (broker/controller); here is what the client sees of it.
// Source: KIP-4, KIP-525 (configs in the answer), KIP-516.
#include "proto/kafka/create_topics.h"

#include <algorithm>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::CreateTopicsResponse;

namespace {

constexpr int16_t kFirstWithConfigs = 5;

Response::CreatableTopicResult result_of(ApiContext& context, int16_t version,
                                         CreateTopicResult& result) {
  Response::CreatableTopicResult entry;
  entry.name = std::move(result.name);
  entry.topic_id = result.topic_id;
  entry.error_code = result.error;
  entry.error_message = std::move(result.message);
  entry.num_partitions = result.num_partitions;
  entry.replication_factor = result.replication_factor;
  entry.configs.emplace();
  if (result.error != ErrorCode::none || version < kFirstWithConfigs) return entry;
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

struct Answer {
  ApiContext& context;
  RequestPtr request;
  std::vector<CreateTopicResult> results;
  Response response;
};

// A topic's configs are thirty lines of text, and topics may be many: the loop's others come
// between so many of them and the next.
void go_on(std::shared_ptr<Answer> answer) {
  constexpr size_t kTopicsATurn = 100;
  ApiContext& context = answer->context;
  std::vector<CreateTopicResult>& results = answer->results;
  auto& topics = answer->response.topics;
  size_t end = std::min(results.size(), topics.size() + kTopicsATurn);
  for (size_t i = topics.size(); i < end; ++i)
    topics.push_back(result_of(context, answer->request->version(), results[i]));
  if (end == results.size()) return answer->request->reply(answer->response);
  context.world.loop.post([answer, alive = std::weak_ptr<int>(context.alive)] {
    if (!alive.expired()) go_on(answer);
  });
}

}  // namespace

void handle_create_topics(ApiContext& context, RequestPtr request) {
  kmsg::CreateTopicsRequest asked;
  if (!decode(*request, asked)) return;
  context.control.topics().create_topics(
      asked,
      [&context, request = std::move(request)](std::vector<CreateTopicResult> results) mutable {
        go_on(
            std::make_shared<Answer>(Answer{context, std::move(request), std::move(results), {}}));
      });
}

}  // namespace ottla::broker
