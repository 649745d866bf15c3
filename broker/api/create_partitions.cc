// CreatePartitions. Source: KIP-195.
#include "proto/kafka/create_partitions.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

void handle_create_partitions(ApiContext& context, RequestPtr request) {
  kmsg::CreatePartitionsRequest asked;
  if (!decode(*request, asked)) return;
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
