#include "proto/kafka/registry.h"

#include <fmt/core.h>

#include "proto/kafka/all_messages.h"

namespace ottla::kmsg {

Result<std::string> describe_message(int16_t api_key, MessageSide side, int16_t version,
                                     Bytes body) {
  const ApiInfo* api = find_api(api_key);
  if (!api) return fail(Errc::unsupported, fmt::format("no API has key {}", api_key));
  if (version < api->min || version > api->max)
    return fail(Errc::unsupported, fmt::format("{} has no version {}", api->name, version));
  Result<std::string> result =
      fail(Errc::corrupt, fmt::format("malformed {} v{}", api->name, version));
  visit_api(api_key, side == MessageSide::request, [&]<class Message>() {
    wire::Reader reader(body);
    Message message;
    if (message.decode(reader, version) && reader.at_end()) result = message.describe();
  });
  return result;
}

}  // namespace ottla::kmsg
