// What the broker reads of a consumer's subscription: its topics, to know which offsets are in use.
// All else in it is between clients (ConsumerProtocolSubscription, versions 0 to 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::broker {

// Null when the bytes are not a subscription.
std::optional<std::vector<std::string>> subscription_topics(std::string_view metadata);

}  // namespace ottla::broker
