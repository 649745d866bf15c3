// Logging front-end: one line per event, a stable message and then key=value pairs. Only fmt's core
// is included here; spdlog lives in log.cc. Any thread may log. Cores do not: they return effects.
//
//   static constexpr log::Room kLog{"zk.session"};
//   log::info(kLog, "session expired", "session=0x{:x} timeout_ms={}", id, timeout_ms);
//
// info: state transitions and operator events. warn: degraded; names the next step. error:
// something was lost or a part went offline. debug: per-request lines.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>

namespace ottla::log {

enum class Level { debug, info, warn, error, off };

struct Room {
  const char* name;
};

// Process-wide; to be called before threads start. file empty: standard output.
struct Options {
  Level level = Level::info;
  std::string file;
};
void configure(const Options& options);
// Replaces the output; for tests and the simulator. Null restores the default.
using Sink = void (*)(Level, std::string_view room, std::string_view line, void* context);
void set_sink(Sink sink, void* context);
void set_level(Level level);  // of every room that has none of its own
// A level of its own for one room, or none again. One thread at a time; names are remembered for
// good, so pass only those of rooms.
void set_room_level(std::string_view room, std::optional<Level> level);
std::optional<Level> room_level(std::string_view room);
Level root_level();
Level level();  // the lowest that any room has: below it nothing is written
void write(Level level, const Room& room, std::string_view message, fmt::string_view format,
           fmt::format_args args);

#define OTTLA_LOG_LEVEL(name)                                                            \
  template <class... Args>                                                               \
  void name(const Room& room, std::string_view message) {                               \
    if (level() <= Level::name) write(Level::name, room, message, {}, {});               \
  }                                                                                      \
  template <class... Args>                                                               \
  void name(const Room& room, std::string_view message, fmt::format_string<Args...> f,   \
            Args&&... args) {                                                            \
    if (level() <= Level::name)                                                          \
      write(Level::name, room, message, f, fmt::make_format_args(args...));              \
  }
OTTLA_LOG_LEVEL(debug)
OTTLA_LOG_LEVEL(info)
OTTLA_LOG_LEVEL(warn)
OTTLA_LOG_LEVEL(error)
#undef OTTLA_LOG_LEVEL

}  // namespace ottla::log
