// The command-line tools of the one program, each the body of a script of Apache's name. args: what
// follows the subcommand. They read stdin, print to stdout and stderr, and return the exit code.
#pragma once

#include <span>
#include <string>

namespace ottla::tools {

int topics_main(std::span<const std::string> args);            // kafka-topics.sh
int console_producer_main(std::span<const std::string> args);  // kafka-console-producer.sh
int console_consumer_main(std::span<const std::string> args);  // kafka-console-consumer.sh
int consumer_groups_main(std::span<const std::string> args);   // kafka-consumer-groups.sh
int configs_main(std::span<const std::string> args);           // kafka-configs.sh
int zookeeper_shell_main(std::span<const std::string> args);   // zookeeper-shell.sh

// What --version of each prints: the release of Kafka whose tools these stand in for, and ours.
extern const char kToolVersion[];

}  // namespace ottla::tools
