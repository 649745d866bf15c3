#include "broker/server/server_main.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>

#include "broker/server/broker.h"
#include "common/base/log.h"
#include "common/rt_asio/host_name.h"
#include "common/rt_asio/runtime.h"

namespace ottla::broker {
namespace {

constexpr log::Room kLog{"broker"};

constexpr const char* kUsage = "usage: ottla broker server.properties [--override KEY=VALUE]...\n";

int complain(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
  return 1;
}

Result<config::Properties> read_properties(rt::Disk& disk, std::span<const std::string> args) {
  auto text = rt::read_file(disk, args[0]);
  if (!text) return fail(text.error().code, args[0] + ": cannot be read: " + text.error().context);
  OTTLA_ASSIGN(config::Properties properties, config::Properties::parse(*text, args[0]));
  for (size_t i = 1; i < args.size(); ++i) {
    std::string given;
    if (args[i] == "--override" && i + 1 < args.size())
      given = args[++i];
    else if (args[i].starts_with("--override="))
      given = args[i].substr(11);
    if (given.empty() || given[0] == '=')
      return fail(Errc::invalid, "unknown argument " + args[i] + "; " + kUsage);
    size_t equals = std::min(given.find('='), given.size());  // a key alone: the empty value
    properties.set(given.substr(0, equals), given.substr(std::min(equals + 1, given.size())),
                   "--override");
  }
  return properties;
}

}  // namespace

int server_main(std::span<const std::string> args) {
  bool asks_help = std::find(args.begin(), args.end(), "--help") != args.end();
  if (args.empty() || asks_help || args[0].starts_with("--")) {
    std::fputs(kUsage, stderr);
    return 1;
  }
  rt_asio::AsioRuntime runtime;
  auto properties = read_properties(runtime.world().disk, args);
  if (!properties) return complain(properties.error().context);
  auto loaded = load_broker_config(*properties, args[0]);
  if (!loaded) return complain(loaded.error().context);
  for (const std::string& warning : loaded->warnings) log::warn(kLog, warning);

  int status = 0;
  auto broker =
      std::make_optional<Broker>(runtime.world(), std::move(loaded->config), rt_asio::host_name);
  bool stopping = false;
  auto stop = [&] {
    if (stopping) return;
    stopping = true;
    broker->stop([&] { runtime.stop(); });
  };
  broker->on_failed([&](Error error) {
    complain(error.context);
    status = 1;
    stop();
  });
  runtime.on_signal({SIGTERM, SIGINT, SIGHUP}, [&](int) { stop(); });
  broker->start([&](Result<void> started) {
    if (started) return;
    complain(started.error().context);
    status = 1;
    stop();  // logs that are open are closed clean, and the session is ended
  });
  runtime.run();
  broker.reset();
  return status;
}

}  // namespace ottla::broker
