// zookeeper-shell: a person's hands on the tree, over the ZooKeeper C client (its two threads are
// no matter here). One command from the arguments, or commands from standard input, line by line.
#include "tools/zookeeper_shell.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tools/tools.h"

namespace ottla::tools {
namespace zookeeper_shell {
namespace {

constexpr size_t kHistoryShown = 11;

bool read_line(std::string& line) {
  line.clear();
  int c = 0;
  while ((c = std::getchar()) != EOF && c != '\n') line += static_cast<char>(c);
  return c != EOF || !line.empty();
}

}  // namespace

int Shell::run_lines() {
  fmt::print("Welcome to ZooKeeper!\nJLine support is disabled\n");
  std::fflush(stdout);
  (void)wait_connected(interactive_ ? 200 : timeout_ms_);
  int code = kOk;
  std::string line;
  while (!done_) {
    if (interactive_) {
      bool is_up = handle_ != nullptr && zoo_state(handle_) == ZOO_CONNECTED_STATE;
      fmt::print("[zk: {}({}) {}] ", server_,
                 handle_ == nullptr ? "CLOSED"
                 : is_up            ? "CONNECTED"
                                    : "CONNECTING",
                 history_.size());
      std::fflush(stdout);
    }
    if (!read_line(line)) break;
    if (line.empty()) continue;
    int result = run(line);
    if (!done_) code = result;  // `quit` ends with what the command before it came to
    std::fflush(stdout);
  }
  return code;
}

int Shell::run(const std::string& line) {
  Words words = split(line);
  if (words.empty()) return kOk;
  history_.push_back(line);
  return run_words(words);
}

int Shell::run_words(const Words& words) {
  auto command = commands().find(words[0]);
  if (command == commands().end()) {
    print_usage();
    fmt::print(stderr, "Command not found: Command not found {}\n", words[0]);
    return kNotFound;
  }
  if (command->second.needs_connection && handle_ == nullptr) {
    fmt::print("Not connected\n");
    return kFailed;
  }
  return (this->*command->second.run)(words);
}

bool Shell::parse(const Words& words, std::string_view flags, std::string_view valued, size_t least,
                  size_t most, Parsed& parsed) {
  bool well_formed = true;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    bool is_option = word.size() == 2 && word[0] == '-';
    if (is_option && flags.find(word[1]) != std::string_view::npos) {
      parsed.options[word.substr(1)] = "";
    } else if (is_option && valued.find(word[1]) != std::string_view::npos &&
               i + 1 < words.size()) {
      parsed.options[word.substr(1)] = words[i + 1];
      ++i;
    } else if (is_option) {
      well_formed = false;
    } else {
      parsed.rest.push_back(word);
    }
  }
  if (!well_formed || parsed.rest.size() < least || parsed.rest.size() > most) {
    fmt::print(stderr, "{}\n", commands().find(words[0])->second.usage);
    return false;
  }
  return true;
}

int Shell::close(const Words&) {
  disconnect();
  return kOk;
}

int Shell::connect_to(const Words& words) {
  std::string server = words.size() > 1 ? words[1] : server_;
  if (!connect(server, timeout_ms_, false)) return kFailed;
  (void)wait_connected(interactive_ ? 200 : timeout_ms_);
  return kOk;
}

int Shell::history(const Words&) {
  size_t first = history_.size() > kHistoryShown ? history_.size() - kHistoryShown : 0;
  for (size_t i = first; i < history_.size(); ++i) fmt::print("{} - {}\n", i, history_[i]);
  return kOk;
}

int Shell::redo(const Words& words) {
  size_t number = words.size() > 1 ? std::strtoul(words[1].c_str(), nullptr, 10) : history_.size();
  if (number >= history_.size()) {
    fmt::print("Command index out of range\n");
    return kFailed;
  }
  Words again = split(history_[number]);
  history_.back() = history_[number];
  if (again.empty() || again[0] == "redo") {
    fmt::print("No redoing redos\n");
    return kFailed;
  }
  return run_words(again);
}

int Shell::quit(const Words&) {
  done_ = true;
  return kOk;
}

int Shell::version(const Words&) {
  fmt::print("ZooKeeper CLI version: {}\n", kToolVersion);
  return kOk;
}

const std::map<std::string, Shell::Command, std::less<>>& Shell::commands() {
  static const std::map<std::string, Command, std::less<>> table = {
      {"addauth", {"addauth scheme auth", &Shell::add_auth}},
      {"close", {"close ", &Shell::close}},
      {"config", {"config [-c] [-w] [-s]", &Shell::config}},
      {"connect", {"connect host:port", &Shell::connect_to, false}},
      {"create", {"create [-s] [-e] [-c] [-t ttl] path [data] [acl]", &Shell::create}},
      {"delete", {"delete [-v version] path", &Shell::erase}},
      {"deleteall", {"deleteall path [-b batch size]", &Shell::erase_all}},
      {"get", {"get [-s] [-w] path", &Shell::get}},
      {"getAcl", {"getAcl [-s] path", &Shell::get_acl}},
      {"getAllChildrenNumber", {"getAllChildrenNumber path", &Shell::get_all_children_number}},
      {"getEphemerals", {"getEphemerals path", &Shell::get_ephemerals}},
      {"history", {"history ", &Shell::history, false}},
      {"ls", {"ls [-s] [-w] [-R] path", &Shell::list}},
      {"printwatches", {"printwatches on|off", &Shell::print_watches, false}},
      {"quit", {"quit ", &Shell::quit, false}},
      {"redo", {"redo cmdno", &Shell::redo, false}},
      {"removewatches", {"removewatches path [-c|-d|-a] [-l]", &Shell::remove_watches}},
      {"set", {"set [-s] [-v version] path data", &Shell::set}},
      {"setAcl", {"setAcl [-s] [-v version] [-R] path acl", &Shell::set_acl}},
      {"stat", {"stat [-w] path", &Shell::stat}},
      {"sync", {"sync path", &Shell::sync}},
      {"version", {"version ", &Shell::version, false}},
      {"whoami", {"whoami ", &Shell::who_am_i}},
  };
  return table;
}

void Shell::print_usage() {
  fmt::print(stderr, "ZooKeeper -server host:port [-zk-tls-config-file <file>] cmd args\n");
  for (const auto& [name, command] : commands()) fmt::print(stderr, "\t{}\n", command.usage);
}

}  // namespace zookeeper_shell

// host:port[/path] [-zk-tls-config-file FILE] [-timeout MS] [-r] [-waitforconnection] [command...]
int zookeeper_shell_main(std::span<const std::string> args) {
  using namespace zookeeper_shell;
  if (args.empty()) {
    fmt::print(stderr, "USAGE: ottla zookeeper-shell zookeeper_host:port[/path] [args...]\n");
    return 1;
  }
  if (args[0] == "--help") {
    Shell::print_usage();
    return 0;
  }
  size_t at = args[0] == "-server" ? 1 : 0;
  std::string server = at < args.size() ? args[at++] : "localhost:2181";
  int timeout_ms = 30'000;
  bool read_only = false;
  for (; at < args.size() && args[at].starts_with('-'); ++at) {
    if (args[at] == "-r") {
      read_only = true;
    } else if (args[at] == "-timeout" && at + 1 < args.size()) {
      timeout_ms = std::atoi(args[++at].c_str());
    } else if (args[at] == "-zk-tls-config-file" && at + 1 < args.size()) {
      fmt::print(stderr, "TLS to the ensemble is not supported yet\n");
      return 1;
    } else if (args[at] != "-waitforconnection") {
      fmt::print(stderr, "unknown option {}\n", args[at]);
      return 1;
    }
  }
  if (server.find(':') == std::string::npos) {
    size_t slash = server.find('/');
    server.insert(slash == std::string::npos ? server.size() : slash, ":2181");
  }
  Words command(args.begin() + static_cast<ptrdiff_t>(at), args.end());
  Shell shell(command.empty() && ::isatty(STDIN_FILENO) != 0);
  fmt::print("Connecting to {}\n", server);
  std::fflush(stdout);
  if (!shell.connect(server, timeout_ms, read_only)) return 1;
  if (command.empty()) return shell.run_lines();
  // An ensemble that refuses answers the first command with a loss of connection; one that is
  // silent is given the session's time.
  (void)shell.wait_connected(timeout_ms < 2000 ? timeout_ms : 2000);
  int code = shell.run_words(command);
  std::fflush(stdout);
  return code;
}

}  // namespace ottla::tools
