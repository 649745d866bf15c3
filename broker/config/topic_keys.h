// The table of topic keys. KeyInfo::synonym names the broker key whose value is a topic's default.
#pragma once

#include <span>

#include "broker/config/topic_config.h"
#include "common/config/key.h"

namespace ottla::broker {

using TopicKey = config::Key<TopicConfig>;

std::span<const TopicKey> topic_keys();
const config::KeyInfo* find_topic_key(std::string_view name);

}  // namespace ottla::broker
