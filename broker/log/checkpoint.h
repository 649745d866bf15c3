// The checkpoint files of a log directory: text, "0", the number of entries, then one line
// "topic partition offset" each. Source: Kafka's *-offset-checkpoint files.
#pragma once

#include <map>
#include <string>

#include "broker/log/topic_partition.h"
#include "common/base/result.h"

namespace ottla::broker {

constexpr const char* kRecoveryPointFile = "recovery-point-offset-checkpoint";
constexpr const char* kLogStartOffsetFile = "log-start-offset-checkpoint";
constexpr const char* kHighWatermarkFile = "replication-offset-checkpoint";
constexpr const char* kCheckpointNames[] = {kRecoveryPointFile, kLogStartOffsetFile,
                                            kHighWatermarkFile};

using OffsetCheckpoint = std::map<TopicPartition, int64_t>;
std::string encode_checkpoint(const OffsetCheckpoint& offsets);
Result<OffsetCheckpoint> decode_checkpoint(std::string_view text);

// Lines of a small text file; a last line without newline counts.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : text_(text) {}
  bool next(std::string_view& line) {
    if (text_.empty()) return false;
    size_t end = text_.find('\n');
    line = text_.substr(0, end);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    return true;
  }

 private:
  std::string_view text_;
};
bool parse_i64(std::string_view text, int64_t& value);

}  // namespace ottla::broker
