#include "broker/group/records.h"

#include <fmt/core.h>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::broker {
namespace {

constexpr int16_t kOffsetKeyVersion = 1;
constexpr int16_t kGroupKeyVersion = 2;
constexpr int16_t kOffsetValueVersion = 3;
constexpr int16_t kExpiringOffsetValueVersion = 1;
constexpr int16_t kGroupValueVersion = 3;
constexpr int16_t kNewestValueVersion = 4;  // read only: written by later coordinators

template <class Message>
Buffer with_version(const Message& message, int16_t version) {
  wire::Writer writer(64);
  writer.i16(version);
  (void)message.encode(writer, version);
  return writer.take();
}

template <class Message>
bool decode_all(Bytes bytes, Message& message, int16_t newest, int16_t* version_read = nullptr) {
  wire::Reader reader(bytes);
  int16_t version = reader.i16();
  if (!reader.ok() || version < 0 || version > newest) return false;
  if (version_read != nullptr) *version_read = version;
  return message.decode(reader, version) && reader.ok();
}

Buffer offset_key(std::string_view group_id, const GroupTopicPartition& partition) {
  kmsg::OffsetCommitKey key;
  key.group = group_id;
  key.topic = partition.first;
  key.partition = partition.second;
  return with_version(key, kOffsetKeyVersion);
}

Buffer group_key(std::string_view group_id) {
  kmsg::GroupMetadataKey key;
  key.group = group_id;
  return with_version(key, kGroupKeyVersion);
}

ParsedRecord parse_offset(Bytes key_bytes, const std::optional<Bytes>& value_bytes) {
  kmsg::OffsetCommitKey key;
  if (!decode_all(key_bytes, key, kOffsetKeyVersion)) return UnknownRecord{"offset key"};
  ParsedOffset parsed{std::move(key.group), {std::move(key.topic), key.partition}, std::nullopt};
  if (!value_bytes) return parsed;
  kmsg::OffsetCommitValue value;
  if (!decode_all(*value_bytes, value, kNewestValueVersion)) return UnknownRecord{"offset value"};
  CommittedOffset& committed = parsed.value.emplace();
  committed.offset = value.offset;
  committed.leader_epoch = value.leader_epoch;
  committed.metadata = std::move(value.metadata);
  committed.commit_timestamp_ms = value.commit_timestamp;
  if (value.expire_timestamp != -1) committed.expire_timestamp_ms = value.expire_timestamp;
  return parsed;
}

ParsedRecord parse_group(Bytes key_bytes, const std::optional<Bytes>& value_bytes) {
  kmsg::GroupMetadataKey key;
  if (!decode_all(key_bytes, key, kGroupKeyVersion)) return UnknownRecord{"group key"};
  ParsedGroup parsed{std::move(key.group), std::nullopt, 0};
  if (!value_bytes) return parsed;
  kmsg::GroupMetadataValue value;
  if (!decode_all(*value_bytes, value, kNewestValueVersion, &parsed.version))
    return UnknownRecord{"group value"};
  parsed.value = std::move(value);
  return parsed;
}

}  // namespace

GroupRecord offset_record(std::string_view group_id, const GroupTopicPartition& partition,
                          const CommittedOffset& committed) {
  kmsg::OffsetCommitValue value;
  value.offset = committed.offset;
  value.metadata = committed.metadata;
  value.commit_timestamp = committed.commit_timestamp_ms;
  int16_t version = kOffsetValueVersion;
  if (committed.expire_timestamp_ms) {
    // Version 1 alone can say when to expire; it has no leader epoch.
    version = kExpiringOffsetValueVersion;
    value.expire_timestamp = *committed.expire_timestamp_ms;
  } else {
    value.leader_epoch = committed.leader_epoch;
  }
  return {offset_key(group_id, partition), with_version(value, version)};
}

GroupRecord offset_tombstone(std::string_view group_id, const GroupTopicPartition& partition) {
  return {offset_key(group_id, partition), std::nullopt};
}

GroupRecord group_record(std::string_view group_id, const kmsg::GroupMetadataValue& value) {
  return {group_key(group_id), with_version(value, kGroupValueVersion)};
}

GroupRecord group_tombstone(std::string_view group_id) {
  return {group_key(group_id), std::nullopt};
}

ParsedRecord parse_group_record(Bytes key, const std::optional<Bytes>& value) {
  wire::Reader reader(key);
  int16_t version = reader.i16();
  if (!reader.ok()) return UnknownRecord{"empty key"};
  if (version == 0 || version == kOffsetKeyVersion) return parse_offset(key, value);
  if (version == kGroupKeyVersion) return parse_group(key, value);
  return UnknownRecord{fmt::format("key version {}", version)};
}

}  // namespace ottla::broker
