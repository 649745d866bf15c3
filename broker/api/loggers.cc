#include "broker/api/loggers.h"

#include <fmt/core.h>

#include <algorithm>

#include "common/base/log.h"

namespace ottla::broker {

namespace {

constexpr log::Room kLog{"broker.api"};
constexpr const char* kRoot = "root";

constexpr LoggerName kLoggers[] = {
    {"broker", "broker"},
    {"broker.api", "broker.api"},
    {"broker.configs", "broker.configs"},
    {"broker.controller", "broker.controller"},
    {"broker.group", "broker.group"},
    {"broker.log", "broker.log"},
    {"broker.logs", "broker.logs"},
    {"broker.partition", "broker.partition"},
    {"broker.server", "broker.server"},
    {"broker.topics", "broker.topics"},
    {"broker.zk", "broker.zk"},
    {"kafka.cluster.Partition", "broker.partition"},
    {"kafka.controller.KafkaController", "broker.controller"},
    {"kafka.coordinator.group.GroupCoordinator", "broker.group"},
    {"kafka.coordinator.group.GroupMetadataManager", "broker.group"},
    {"kafka.log.LogManager", "broker.logs"},
    {"kafka.log.UnifiedLog", "broker.log"},
    {"kafka.network.SocketServer", "broker.server"},
    {"kafka.server.KafkaApis", "broker.api"},
    {"kafka.server.KafkaServer", "broker"},
    {"kafka.server.ReplicaManager", "broker.partition"},
    {"kafka.server.ZkAdminManager", "broker.topics"},
    {"kafka.server.ZkConfigManager", "broker.configs"},
    {"kafka.zk.KafkaZkClient", "broker.zk"},
    {"kafka.zookeeper.ZooKeeperClient", "broker.zk"},
    {kRoot, ""},
    {"rt", "rt"},
};

// log4j's words; TRACE says no more here than DEBUG, and nothing is logged as FATAL.
struct LevelName {
  const char* name;
  log::Level level;
};
constexpr LevelName kLevels[] = {{"DEBUG", log::Level::debug}, {"ERROR", log::Level::error},
                                 {"FATAL", log::Level::off},   {"INFO", log::Level::info},
                                 {"TRACE", log::Level::debug}, {"WARN", log::Level::warn}};

const LoggerName* find_logger(std::string_view name) {
  for (const LoggerName& logger : kLoggers)
    if (name == logger.name) return &logger;
  return nullptr;
}
const LevelName* find_level(std::string_view name) {
  for (const LevelName& level : kLevels)
    if (name == level.name) return &level;
  return nullptr;
}

std::optional<ConfigRefusal> refusal_of(const Alteration& one) {
  auto op = static_cast<AlterOp>(one.op);
  if (op == AlterOp::append || op == AlterOp::subtract)
    return ConfigRefusal{RefusalKind::invalid_request,
                         fmt::format("{} operation is not allowed for the BROKER_LOGGER resource",
                                     op == AlterOp::append ? "APPEND" : "SUBTRACT")};
  if (op != AlterOp::set && op != AlterOp::remove)
    return ConfigRefusal{RefusalKind::server_error, {}};
  if (find_logger(one.name) == nullptr)
    return ConfigRefusal{RefusalKind::invalid_config,
                         fmt::format("Logger {} does not exist!", one.name)};
  if (op == AlterOp::remove) {
    if (one.name != kRoot) return std::nullopt;
    return ConfigRefusal{RefusalKind::invalid_request,
                         "Removing the log level of the root logger is not allowed"};
  }
  if (find_level(one.value.value_or("")) != nullptr) return std::nullopt;
  return ConfigRefusal{
      RefusalKind::invalid_config,
      fmt::format("Cannot set the log level of {} to {} as it is not a supported log level. Valid "
                  "log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                  one.name, one.value.value_or(""))};
}

}  // namespace

std::span<const LoggerName> logger_names() { return kLoggers; }

std::string logger_level(const LoggerName& logger) {
  log::Level level = log::room_level(logger.room).value_or(log::root_level());
  constexpr const char* kNames[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
  return kNames[static_cast<int>(level)];
}

std::optional<ConfigRefusal> logger_refusal(std::span<const Alteration> alterations) {
  for (const Alteration& one : alterations)
    if (auto refusal = refusal_of(one)) return refusal;
  return std::nullopt;
}

void alter_loggers(std::span<const Alteration> alterations) {
  for (const Alteration& one : alterations) {
    const LoggerName* logger = find_logger(one.name);
    if (static_cast<AlterOp>(one.op) == AlterOp::remove) {
      log::set_room_level(logger->room, std::nullopt);
    } else if (logger->room[0] == '\0') {
      log::set_level(find_level(*one.value)->level);
    } else {
      log::set_room_level(logger->room, find_level(*one.value)->level);
    }
    log::warn(kLog, "log level changed by request", "logger={} level={}", one.name,
              logger_level(*logger));
  }
}

}  // namespace ottla::broker
