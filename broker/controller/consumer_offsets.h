// Offsets that consumers of old keep in ZooKeeper, at /consumers/GROUP/offsets/TOPIC/PARTITION as
// decimal text: what version 0 of OffsetCommit and OffsetFetch means. Any broker reads and writes
// them; no group's coordinator is asked. A core over ZkClient. Source: Kafka protocol guide
// (OffsetCommit, OffsetFetch); Kafka's ZooKeeper data layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/zk/zk_client.h"
#include "common/base/fn.h"
#include "proto/kafka/error_code.h"

namespace ottla::broker {

struct ConsumerOffset {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = -1;  // to be written; of an answer: what was found, -1 with any error
  kmsg::ErrorCode error = kmsg::ErrorCode::none;
};
// The same entries in the same order, each with its outcome.
using ConsumerOffsetsDone = Fn<void(std::vector<ConsumerOffset>)>;

// Whatever ZooKeeper refuses, and a group's name that no path can hold, is unknown_server_error.
// Of an entry that stands there twice the last one stays. `done` may be called from inside.
void write_consumer_offsets(ZkClient& zk, std::string group, std::vector<ConsumerOffset> offsets,
                            ConsumerOffsetsDone done);
// Nothing there: unknown_topic_or_partition.
void read_consumer_offsets(ZkClient& zk, std::string group, std::vector<ConsumerOffset> offsets,
                           ConsumerOffsetsDone done);

}  // namespace ottla::broker
