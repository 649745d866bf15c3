// AlterReplicaLogDirs: which of its directories a broker shall keep a replica in.
// Source: KIP-113.
#include "proto/kafka/alter_replica_log_dirs.h"

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

void handle_alter_replica_log_dirs(ApiContext& context, RequestPtr request) {
  kmsg::AlterReplicaLogDirsRequest asked;
  if (!decode(*request, asked)) return;
  // Of a partition that stands there twice the last directory counts.
  std::map<std::string, std::map<int32_t, std::string>> wanted;
  for (const auto& dir : asked.dirs)
    for (const auto& topic : dir.topics)
      for (int32_t index : topic.partitions) wanted[topic.name][index] = dir.path;
  kmsg::AlterReplicaLogDirsResponse response;
  for (const auto& [name, partitions] : wanted) {
    auto& result = response.results.emplace_back();
    result.topic_name = name;
    for (const auto& [index, dir] : partitions) {
      auto& entry = result.partitions.emplace_back();
      entry.partition_index = index;
      entry.error_code = context.replicas.alter_dir({name, index}, dir);
    }
  }
  request->reply(response);
}

}  // namespace ottla::broker
