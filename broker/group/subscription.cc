#include "broker/group/subscription.h"

#include "common/wire/reader.h"

namespace ottla::broker {

std::optional<std::vector<std::string>> subscription_topics(std::string_view metadata) {
  wire::Reader reader(as_bytes(metadata));
  (void)reader.i16();  // later versions begin with the fields of version 0
  int32_t count = reader.i32();
  if (!reader.claim_count(count, 2)) return std::nullopt;
  std::vector<std::string> topics;
  topics.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count && reader.ok(); ++i) {
    int16_t length = reader.i16();
    if (length < 0) return std::nullopt;
    topics.emplace_back(reader.text(static_cast<size_t>(length)));
  }
  int32_t user_data_bytes = reader.i32();
  if (user_data_bytes > 0) reader.skip(static_cast<size_t>(user_data_bytes));
  if (!reader.ok()) return std::nullopt;
  return topics;
}

}  // namespace ottla::broker
