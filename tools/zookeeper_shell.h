// Parts of zookeeper-shell that its files share: the shell with its commands by kind, and how
// words, access lists, Stats and errors are read and shown. Over the ZooKeeper C client: its event
// thread calls Shell::on_event, all else is the caller's thread.
#pragma once

#define THREADED  // the C client's header offers synchronous calls only then
#include <zookeeper/zookeeper.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla::tools::zookeeper_shell {

using Words = std::vector<std::string>;

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kNotFound = 127;

// -- zookeeper_shell_text.cc: words, names, access lists
// Words of a line; single or double quotes keep blanks together.
Words split(const std::string& line);
void print_stat(const Stat& stat);
// What went wrong, on stderr; gives back kFailed.
int fail_with(int code, const std::string& path);
// Else says so on stderr.
bool is_absolute(const std::string& path);

struct Acls {
  std::vector<std::pair<std::string, std::string>> ids;  // scheme, id
  std::vector<int32_t> perms;
  std::vector<ACL> entries;
  ACL_vector vector() {
    entries.clear();
    for (size_t i = 0; i < ids.size(); ++i)
      entries.push_back({perms[i], {ids[i].first.data(), ids[i].second.data()}});
    return {static_cast<int32_t>(entries.size()), entries.data()};
  }
};
// "scheme:id:perms,..."; the id may hold colons.
std::optional<Acls> parse_acls(const std::string& text);
// "cdrwa", or what of it is allowed.
std::string letters_of(int32_t perms);

class Shell {
 public:
  explicit Shell(bool interactive) : interactive_(interactive) {}
  ~Shell() { disconnect(); }

  bool connect(const std::string& server, int timeout_ms, bool read_only);
  // The connection's first event is printed before a command's output. False if none came in time.
  bool wait_connected(int64_t wait_ms);

  // From standard input, until it ends or `quit`; the exit code is the last command's.
  int run_lines();
  int run(const std::string& line);
  int run_words(const Words& words);
  static void print_usage();

 private:
  struct Command {
    std::string_view usage;
    int (Shell::*run)(const Words& words);
    bool needs_connection = true;
  };
  static const std::map<std::string, Command, std::less<>>& commands();

  // Options of one command: flags by letter, options with a value, the rest in order.
  struct Parsed {
    std::map<std::string, std::string> options;
    Words rest;
    bool has(const std::string& name) const { return options.contains(name); }
  };
  // False, and the usage on stderr, unless `least`..`most` plain words are left.
  bool parse(const Words& words, std::string_view flags, std::string_view valued, size_t least,
             size_t most, Parsed& parsed);

  static void on_event(zhandle_t*, int type, int state, const char* path, void* context);
  void disconnect();

  int get_data(const std::string& path, bool watch, std::string& data, Stat& stat);
  int get_children(const std::string& path, bool watch, Words& children, Stat& stat);
  int walk(const std::string& path, const std::function<int(const std::string&)>& visit);

  // zookeeper_shell_read.cc
  int config(const Words& words);
  int get(const Words& words);
  int get_acl(const Words& words);
  int get_all_children_number(const Words& words);
  int get_ephemerals(const Words& words);
  int list(const Words& words);
  int stat(const Words& words);

  // zookeeper_shell_write.cc
  int create(const Words& words);
  int erase(const Words& words);
  int erase_all(const Words& words);
  int set(const Words& words);
  int set_acl(const Words& words);

  // zookeeper_shell_session.cc
  int add_auth(const Words& words);
  int print_watches(const Words& words);
  int remove_watches(const Words& words);
  int sync(const Words& words);
  int who_am_i(const Words& words);

  // zookeeper_shell.cc
  int close(const Words& words);
  int connect_to(const Words& words);
  int history(const Words& words);
  int quit(const Words& words);
  int redo(const Words& words);
  int version(const Words& words);

  bool interactive_;
  bool done_ = false;
  std::string server_;
  int timeout_ms_ = 30'000;
  zhandle_t* handle_ = nullptr;
  Words history_;
  std::vector<std::pair<std::string, std::string>> auths_;  // scheme, user

  std::mutex mutex_;  // guards what the client's event thread touches
  std::condition_variable changed_;
  bool was_connected_ = false;
  bool print_watches_ = true;
};

}  // namespace ottla::tools::zookeeper_shell
