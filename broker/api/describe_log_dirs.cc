// DescribeLogDirs. Source: KIP-113, KIP-827 (bytes of the volume).
#include "proto/kafka/describe_log_dirs.h"

#include <map>
#include <set>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;
using Response = kmsg::DescribeLogDirsResponse;

void handle_describe_log_dirs(ApiContext& context, RequestPtr request) {
  kmsg::DescribeLogDirsRequest asked;
  if (!decode(*request, asked)) return;
  std::set<TopicPartition> wanted;
  if (asked.topics)
    for (const auto& topic : *asked.topics)
      for (int32_t index : topic.partitions) wanted.insert({topic.topic, index});

  // dir -> topic -> partitions
  std::map<std::string, std::map<std::string, std::vector<Response::DescribeLogDirsPartition>>>
      found;
  context.replicas.logs().for_each([&](PartitionLog& log) {
    if (asked.topics && !wanted.contains(log.tp())) return;
    Response::DescribeLogDirsPartition entry;
    entry.partition_index = log.tp().partition;
    entry.partition_size = static_cast<int64_t>(log.stats().size_bytes);
    std::string dir = log.dir().substr(0, log.dir().rfind('/'));
    found[dir][log.tp().topic].push_back(std::move(entry));
  });
  Response response;
  for (const LogDirInfo& dir : context.replicas.logs().dirs()) {
    auto& result = response.results.emplace_back();
    result.log_dir = dir.path;
    if (!dir.online) {
      result.error_code = ErrorCode::kafka_storage_error;
      continue;
    }
    if (auto space = context.world.disk.space(dir.path)) {
      result.total_bytes = static_cast<int64_t>(space->total_bytes);
      result.usable_bytes = static_cast<int64_t>(space->free_bytes);
    }
    for (auto& [name, partitions] : found[dir.path]) {
      auto& topic = result.topics.emplace_back();
      topic.name = name;
      topic.partitions = std::move(partitions);
    }
  }
  request->reply(response);
}

}  // namespace ottla::broker
