// ottla: the one program. Servers and tools are subcommands; scripts/bin/*.sh give them Apache's
// names.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "broker/server/server_main.h"
#include "standalone/standalone.h"
#include "tools/tools.h"
#include "zk-ensemble/server/server_main.h"

namespace {

using Main = int (*)(std::span<const std::string>);

struct Subcommand {
  std::string_view name;
  Main run;
  std::string_view about;
};

constexpr const char* kVersion = "ottla 0.1.0 (Kafka 3.9, ZooKeeper 3.9)\n";

// Wherever it stands, as Apache's broker looks for it; before the file is looked for.
bool asks(std::span<const std::string> args, std::string_view option) {
  return std::find(args.begin(), args.end(), option) != args.end();
}

int broker_main(std::span<const std::string> args) {
  if (!asks(args, "--version") || asks(args, "--help")) return ottla::broker::server_main(args);
  fmt::print("{}", kVersion);
  return 0;
}

int zookeeper_main(std::span<const std::string> args) {
  return ottla::zk::server_main({args.begin(), args.end()});
}

constexpr Subcommand kSubcommands[] = {
    {"standalone", ottla::standalone::standalone_main, "an ensemble of one and a broker in one process"},
    {"zookeeper", zookeeper_main, "an ensemble server: ottla zookeeper zoo.cfg"},
    {"broker", broker_main, "a broker: ottla broker server.properties"},
    {"topics", ottla::tools::topics_main, "create, list, describe, alter and delete topics"},
    {"console-producer", ottla::tools::console_producer_main, "send lines of standard input"},
    {"console-consumer", ottla::tools::console_consumer_main, "print records of topics"},
    {"consumer-groups", ottla::tools::consumer_groups_main, "groups, their offsets and lag"},
    {"configs", ottla::tools::configs_main, "configs, quotas and credentials: show and change"},
    {"zookeeper-shell", ottla::tools::zookeeper_shell_main, "look into the ensemble's tree, and change it"},
};

void print_usage(FILE* out) {
  fmt::print(out, "usage: ottla COMMAND [ARGUMENTS]\n\n");
  for (const Subcommand& command : kSubcommands)
    fmt::print(out, "  {:<18} {}\n", command.name, command.about);
  fmt::print(out, "\n`ottla COMMAND --help` tells more; `ottla --version` what this is.\n");
}

int run(const std::vector<std::string>& args) {
  if (args.empty()) {
    print_usage(stderr);
    return 1;
  }
  if (args[0] == "--help" || args[0] == "help" || args[0] == "-h") {
    print_usage(stdout);
    return 0;
  }
  if (args[0] == "--version" || args[0] == "version") {
    fmt::print("{}", kVersion);
    return 0;
  }
  for (const Subcommand& command : kSubcommands)
    if (args[0] == command.name) return command.run(std::span(args).subspan(1));
  fmt::print(stderr, "ottla: there is no command '{}'\n", args[0]);
  print_usage(stderr);
  return 1;
}

}  // namespace

// fmt throws where output cannot be written; what waits in stdout's buffer may still fail.
int main(int argc, char** argv) {
  int code = 0;
  try {
    code = run({argv + 1, argv + argc});
    if (std::fflush(stdout) == 0) return code;
    std::fprintf(stderr, "ottla: cannot write to standard output: %s\n", std::strerror(errno));
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "ottla: %s\n", error.what());
  }
  return code == 0 ? 1 : code;
}
