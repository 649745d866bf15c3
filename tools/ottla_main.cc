// ottla: the one program. Servers and tools are subcommands; scripts/bin/*.sh give them Apache's
// names.
#include <fmt/core.h>

#include <string>
#include <string_view>
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

int zookeeper_main(std::span<const std::string> args) {
  return ottla::zk::server_main({args.begin(), args.end()});
}

constexpr Subcommand kSubcommands[] = {
    {"standalone", ottla::standalone::standalone_main, "an ensemble of one and a broker in one process"},
    {"zookeeper", zookeeper_main, "an ensemble server: ottla zookeeper zoo.cfg"},
    {"broker", ottla::broker::server_main, "a broker: ottla broker server.properties"},
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

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty()) {
    print_usage(stderr);
    return 1;
  }
  if (args[0] == "--help" || args[0] == "help" || args[0] == "-h") {
    print_usage(stdout);
    return 0;
  }
  if (args[0] == "--version" || args[0] == "version") {
    fmt::print("ottla 0.1.0 (Kafka 3.9, ZooKeeper 3.9)\n");
    return 0;
  }
  for (const Subcommand& command : kSubcommands)
    if (args[0] == command.name) return command.run(std::span(args).subspan(1));
  fmt::print(stderr, "ottla: there is no command '{}'\n", args[0]);
  print_usage(stderr);
  return 1;
}
