#include "common/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace ottla::log {
namespace {

std::atomic<Level> g_level{Level::info};
Sink g_sink = nullptr;
void* g_context = nullptr;

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("ottla", std::move(sink));
  logger->set_pattern("[%Y-%m-%d %H:%M:%S,%e] %l %v");
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::debug);
  return logger;
}
std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance =
      make_logger(std::make_shared<spdlog::sinks::stdout_sink_mt>());
  return instance;
}
spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

}  // namespace

void configure(const Options& options) {
  set_level(options.level);
  if (!options.file.empty())
    logger() = make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
}

void set_sink(Sink sink, void* context) {
  g_context = context;
  g_sink = sink;
}

void set_level(Level level) { g_level.store(level, std::memory_order_relaxed); }
Level level() { return g_level.load(std::memory_order_relaxed); }

void write(Level level, const Room& room, std::string_view message, fmt::string_view format,
           fmt::format_args args) {
  std::string line(message);
  if (format.size() != 0) {
    line += ' ';
    line += fmt::vformat(format, args);
  }
  if (g_sink != nullptr) return g_sink(level, room.name, line, g_context);
  logger()->log(to_spdlog(level), "[{}] {}", room.name, line);
}

}  // namespace ottla::log
