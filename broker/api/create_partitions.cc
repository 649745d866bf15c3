// CreatePartitions. Source: KIP-195.
#include "proto/kafka/create_partitions.h"

#include <map>

#include "broker/api/handlers.h"
#include "broker/zk/znodes.h"

namespace ottla::broker {

void handle_create_partitions(ApiContext& context, RequestPtr request) {
  kmsg::CreatePartitionsRequest asked;
  if (!decode(*request, asked)) return;
  // A name that no znode can have fails the whole at Kafka's own. One that comes twice is refused
  // before anybody looks.
  std::map<std::string_view, size_t> times;
  for (const auto& topic : asked.topics) ++times[topic.name];
  for (const auto& [name, count] : times) {
    if (count > 1 || path_fault("/brokers/topics/" + std::string(name)).empty()) continue;
    kmsg::CreatePartitionsResponse response;
    for (const auto& each : asked.topics) {
      auto& entry = response.results.emplace_back();
      entry.name = each.name;
      entry.error_code = kmsg::ErrorCode::unknown_server_error;
    }
    return request->reply(response);
  }
  context.control.topics().create_partitions(
      asked, [request = std::move(request)](std::vector<CreatePartitionsResult> results) {
        kmsg::CreatePartitionsResponse response;
        for (CreatePartitionsResult& result : results) {
          auto& entry = response.results.emplace_back();
          entry.name = std::move(result.name);
          entry.error_code = result.error;
          entry.error_message = std::move(result.message);
        }
        request->reply(response);
      });
}

}  // namespace ottla::broker
