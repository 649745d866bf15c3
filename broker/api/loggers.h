// BROKER_LOGGER resources: the rooms of this program that log, under their own names, and the names
// of Apache's loggers that tools and runbooks use, each standing for the room that does that work.
// Source: KIP-412.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "broker/config/dynamic_config.h"

namespace ottla::broker {

struct LoggerName {
  const char* name;
  const char* room;  // empty: all rooms without a level of their own
};
std::span<const LoggerName> logger_names();  // in the order of their names
std::string logger_level(const LoggerName& logger);

// Why the alterations cannot be made, or nothing.
std::optional<ConfigRefusal> logger_refusal(std::span<const Alteration> alterations);
void alter_loggers(std::span<const Alteration> alterations);

}  // namespace ottla::broker
