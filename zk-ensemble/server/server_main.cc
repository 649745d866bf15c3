#include "zk-ensemble/server/server_main.h"

#include <csignal>
#include <cstdio>

#include "common/base/log.h"
#include "common/rt_asio/runtime.h"
#include "zk-ensemble/server/server.h"

namespace ottla::zk {
namespace {

constexpr log::Room kLog{"zk.main"};

constexpr const char* kUsage =
    "usage: ottla zookeeper [-DKEY=VALUE]... zoo.cfg\n"
    "       ottla zookeeper [-DKEY=VALUE]... PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]\n";

int refuse(const Error& error) {
  std::fprintf(stderr, "%s\n", error.context.c_str());
  return 1;
}

Result<LoadedConfig> config_of(rt::Disk& disk, const std::vector<std::string>& arguments) {
  std::vector<std::string> plain, overrides;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("-D")) {
      overrides.push_back(argument.substr(2));
    } else {
      plain.push_back(argument);
    }
  }
  if (plain.size() != 1) return config_of_arguments(plain, overrides);
  auto text = rt::read_file(disk, plain[0], 1 << 20);
  if (!text) return std::unexpected(std::move(text).error());
  return load_config(*text, plain[0], overrides);
}

}  // namespace

int server_main(const std::vector<std::string>& arguments) {
  if (arguments == std::vector<std::string>{"--help"} ||
      arguments == std::vector<std::string>{"-h"}) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  rt_asio::AsioRuntime runtime;
  auto loaded = config_of(runtime.world().disk, arguments);
  if (!loaded) return refuse(loaded.error());
  for (const std::string& warning : loaded->warnings) log::warn(kLog, warning);
  Server server(runtime.world(), std::move(loaded->config));
  int exit_code = 0;
  bool stopping = false;
  server.on_fatal([&](const Error& error) {
    exit_code = refuse(error);
    runtime.stop();
  });
  if (auto started = server.start(); !started) return refuse(started.error());
  runtime.on_signal({SIGTERM, SIGINT, SIGHUP}, [&](int) {
    if (stopping) return;
    stopping = true;
    server.shutdown([&] { runtime.stop(); });
  });
  runtime.run();
  return exit_code;
}

}  // namespace ottla::zk
