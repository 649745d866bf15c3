// Records of __consumer_offsets: a 16-bit version, then the message of that version, in key and
// value alike. Written: offset key 1, group key 2, offset value 3 (1 when the client asked for a
// retention), group value 3. Read: every version that was ever written.
// Source: Kafka protocol guide, coordinator records; KIP-211, KIP-320, KIP-345.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "broker/group/effects.h"
#include "broker/group/offsets.h"
#include "proto/kafka/coordinator_records.h"

namespace ottla::broker {

GroupRecord offset_record(std::string_view group_id, const GroupTopicPartition& partition,
                          const CommittedOffset& value);
GroupRecord offset_tombstone(std::string_view group_id, const GroupTopicPartition& partition);
GroupRecord group_record(std::string_view group_id, const kmsg::GroupMetadataValue& value);
GroupRecord group_tombstone(std::string_view group_id);

struct ParsedOffset {
  std::string group_id;
  GroupTopicPartition partition;
  std::optional<CommittedOffset> value;  // null: tombstone
};
struct ParsedGroup {
  std::string group_id;
  std::optional<kmsg::GroupMetadataValue> value;  // null: tombstone
  int16_t version = 0;                            // of the value
};
struct UnknownRecord {
  std::string reason;
};
using ParsedRecord = std::variant<ParsedOffset, ParsedGroup, UnknownRecord>;
ParsedRecord parse_group_record(Bytes key, const std::optional<Bytes>& value);

}  // namespace ottla::broker
