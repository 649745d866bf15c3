#include "test/fuzz/wire_targets.h"

#include <iterator>

#include "proto/kafka/all_messages.h"
#include "proto/zookeeper/all_records.h"

namespace ottla::fuzz {
namespace {

// What decodes must encode, to no more bytes than it came in, and mean the same the second time.
template <class Message>
void check_kafka(Bytes body, int16_t version) {
  version = static_cast<int16_t>(Message::kMinVersion +
                                 version % (Message::kMaxVersion - Message::kMinVersion + 1));
  wire::Reader reader(body);
  Message message;
  bool decoded = message.decode(reader, version);
  OTTLA_CHECK(decoded == reader.ok());
  (void)message.describe();
  if (!decoded) return;
  wire::Writer once;
  OTTLA_CHECK(message.encode(once, version).has_value());
  OTTLA_CHECK(once.size() <= reader.position());
  wire::Reader again(once.bytes());
  Message second;
  OTTLA_CHECK(second.decode(again, version) && again.at_end());
  wire::Writer twice;
  OTTLA_CHECK(second.encode(twice, version).has_value());
  OTTLA_CHECK(as_text(once.bytes()) == as_text(twice.bytes()));
}

template <class Record>
void check_jute(Bytes body) {
  wire::Reader reader(body);
  Record record;
  bool decoded = record.decode(reader);
  OTTLA_CHECK(decoded == reader.ok());
  (void)record.describe();
  if (!decoded) return;
  wire::Writer once;
  record.encode(once);
  OTTLA_CHECK(once.size() == reader.position());
  wire::Reader again(once.bytes());
  Record second;
  OTTLA_CHECK(second.decode(again) && again.at_end());
  OTTLA_CHECK(second == record);
}

}  // namespace

void kafka_message(Bytes input) {
  if (input.size() < 2) return;
  size_t index = input[0] % (std::size(kmsg::kApis) + std::size(kmsg::kNamedMessages));
  auto version = static_cast<int16_t>(input[1] >> 1);
  Bytes body = input.subspan(2);
  auto check = [&]<class Message>() { check_kafka<Message>(body, version); };
  if (index < std::size(kmsg::kApis))
    kmsg::visit_api(static_cast<int16_t>(kmsg::kApis[index].key), (input[1] & 1) != 0, check);
  else
    kmsg::visit_named(kmsg::kNamedMessages[index - std::size(kmsg::kApis)], check);
}

void jute_record(Bytes input) {
  if (input.empty()) return;
  std::string_view name = jute::kRecords[input[0] % std::size(jute::kRecords)];
  jute::visit_record(name, [&]<class Record>() { check_jute<Record>(input.subspan(1)); });
}

std::string kafka_prefix(int16_t api_key, bool is_request, int16_t version) {
  for (size_t i = 0; i < std::size(kmsg::kApis); ++i) {
    if (static_cast<int16_t>(kmsg::kApis[i].key) != api_key) continue;
    int offset = version - kmsg::kApis[i].min;
    return {static_cast<char>(i), static_cast<char>(offset << 1 | (is_request ? 1 : 0))};
  }
  return {};
}

}  // namespace ottla::fuzz
