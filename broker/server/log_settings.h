// From the broker's configuration to what the log rooms take.
#pragma once

#include "broker/config/topic_config.h"
#include "broker/log/log_manager.h"

namespace ottla::broker {

LogConfig to_log_config(const TopicConfig& topic);
LogManagerOptions log_manager_options(const BrokerConfig& config);  // without ids and callbacks

}  // namespace ottla::broker
