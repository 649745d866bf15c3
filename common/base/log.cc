#include "common/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>

namespace ottla::log {
namespace {

// Rooms with a level of their own. Slots are filled in order and never freed.
constexpr size_t kMaxRooms = 64;
struct RoomLevel {
  std::string name;
  std::atomic<int> level{-1};  // -1: none
};
RoomLevel g_rooms[kMaxRooms];
std::atomic<size_t> g_room_count{0};

std::atomic<Level> g_root{Level::info};
std::atomic<Level> g_level{Level::info};  // the lowest of all

RoomLevel* find_room(std::string_view name) {
  size_t count = g_room_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i)
    if (g_rooms[i].name == name) return &g_rooms[i];
  return nullptr;
}
void find_lowest() {
  Level lowest = g_root.load(std::memory_order_relaxed);
  size_t count = g_room_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    int own = g_rooms[i].level.load(std::memory_order_relaxed);
    if (own >= 0) lowest = std::min(lowest, static_cast<Level>(own));
  }
  g_level.store(lowest, std::memory_order_relaxed);
}

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

void set_level(Level level) {
  g_root.store(level, std::memory_order_relaxed);
  find_lowest();
}
Level root_level() { return g_root.load(std::memory_order_relaxed); }

void set_room_level(std::string_view name, std::optional<Level> level) {
  RoomLevel* room = find_room(name);
  if (room == nullptr) {
    size_t count = g_room_count.load(std::memory_order_relaxed);
    if (!level || count == kMaxRooms) return;
    room = &g_rooms[count];
    room->name = name;
    g_room_count.store(count + 1, std::memory_order_release);
  }
  room->level.store(level ? static_cast<int>(*level) : -1, std::memory_order_relaxed);
  find_lowest();
}
std::optional<Level> room_level(std::string_view name) {
  const RoomLevel* room = find_room(name);
  int own = room == nullptr ? -1 : room->level.load(std::memory_order_relaxed);
  return own < 0 ? std::nullopt : std::optional(static_cast<Level>(own));
}

Level level() { return g_level.load(std::memory_order_relaxed); }

void write(Level level, const Room& room, std::string_view message, fmt::string_view format,
           fmt::format_args args) {
  // Only when some room has a level of its own is the common one not the last word.
  if (g_room_count.load(std::memory_order_acquire) != 0 &&
      level < room_level(room.name).value_or(root_level()))
    return;
  std::string line(message);
  if (format.size() != 0) {
    line += ' ';
    line += fmt::vformat(format, args);
  }
  if (g_sink != nullptr) return g_sink(level, room.name, line, g_context);
  logger()->log(to_spdlog(level), "[{}] {}", room.name, line);
}

}  // namespace ottla::log
