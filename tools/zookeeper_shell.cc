// zookeeper-shell: a person's hands on the tree, over the ZooKeeper C client (its two threads are
// no matter here). One command from the arguments, or commands from standard input, line by line.
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>
#define THREADED  // the C client's header offers synchronous calls only then
#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "tools/options.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using Words = std::vector<std::string>;

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kNotFound = 127;
constexpr size_t kMaxDataBytes = 1 << 20;
constexpr size_t kHistoryShown = 11;

// -- Words, times, names
// ---------------------------------------------------------------------------

// Words of a line; single or double quotes keep blanks together.
Words split(const std::string& line) {
  Words words;
  size_t at = 0;
  while (true) {
    at = line.find_first_not_of(" \t\r", at);
    if (at == std::string::npos) return words;
    char quote = line[at];
    size_t end = quote == '"' || quote == '\'' ? line.find(quote, at + 1) : std::string::npos;
    if (end != std::string::npos) {
      words.push_back(line.substr(at + 1, end - at - 1));
      at = end + 1;
    } else {
      end = std::min(line.find_first_of(" \t\r", at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end;
    }
  }
}

// As Java's Date prints itself.
std::string date_of(int64_t wall_ms) {
  time_t seconds = static_cast<time_t>(wall_ms / 1000);
  tm local{};
  ::localtime_r(&seconds, &local);
  char text[64];
  (void)::strftime(text, sizeof text, "%a %b %d %H:%M:%S %Z %Y", &local);
  return text;
}

void print_stat(const Stat& stat) {
  fmt::print("cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\n", stat.czxid,
             date_of(stat.ctime), stat.mzxid, date_of(stat.mtime), stat.pzxid);
  fmt::print("cversion = {}\ndataVersion = {}\naclVersion = {}\nephemeralOwner = {:#x}\n",
             stat.cversion, stat.version, stat.aversion,
             static_cast<uint64_t>(stat.ephemeralOwner));
  fmt::print("dataLength = {}\nnumChildren = {}\n", stat.dataLength, stat.numChildren);
}

std::string_view error_word(int code) {
  switch (code) {
    case ZSYSTEMERROR:
      return "SystemError";
    case ZCONNECTIONLOSS:
      return "ConnectionLoss";
    case ZMARSHALLINGERROR:
      return "MarshallingError";
    case ZUNIMPLEMENTED:
      return "Unimplemented";
    case ZOPERATIONTIMEOUT:
      return "OperationTimeout";
    case ZBADARGUMENTS:
      return "BadArguments";
    case ZINVALIDSTATE:
      return "ConnectionLoss";
    case ZSESSIONEXPIRED:
      return "Session expired";
    case ZAUTHFAILED:
      return "AuthFailed";
    case ZCLOSING:
      return "ConnectionLoss";
    case ZNOWATCHER:
      return "No such watcher";
    default:
      return "APIError";
  }
}

int fail_with(int code, const std::string& path) {
  std::string_view known;
  switch (code) {
    case ZNONODE:
      known = "Node does not exist: ";
      break;
    case ZNODEEXISTS:
      known = "Node already exists: ";
      break;
    case ZNOTEMPTY:
      known = "Node not empty: ";
      break;
    case ZNOCHILDRENFOREPHEMERALS:
      known = "Ephemerals cannot have children: ";
      break;
    case ZNOTREADONLY:
      known = "Not a read-only call: ";
      break;
    case ZINVALIDACL:
      known = "Acl is not valid : ";
      break;
    case ZNOAUTH:
      known = "Insufficient permission : ";
      break;
    case ZBADVERSION:
      known = "version No is not valid : ";
      break;
    case ZBADARGUMENTS:
      known = "Arguments are not valid : ";
      break;
    default:
      break;
  }
  if (known.empty())
    fmt::print(stderr, "KeeperErrorCode = {} for {}\n", error_word(code), path);
  else
    fmt::print(stderr, "{}{}\n", known, path);
  return kFailed;
}

// -- Access lists
// ------------------------------------------------------------------------------------

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

const std::pair<char, int> kPermissions[] = {{'c', ZOO_PERM_CREATE},
                                             {'d', ZOO_PERM_DELETE},
                                             {'r', ZOO_PERM_READ},
                                             {'w', ZOO_PERM_WRITE},
                                             {'a', ZOO_PERM_ADMIN}};

// "scheme:id:perms,..."; the id may hold colons.
std::optional<Acls> parse_acls(const std::string& text) {
  Acls acls;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    size_t first = one.find(':');
    size_t last = one.rfind(':');
    if (first == std::string_view::npos || first == last) {
      fmt::print(stderr, "{} does not have the form scheme:id:perm\n", one);
      return std::nullopt;
    }
    int32_t perms = 0;
    for (char letter : one.substr(last + 1)) {
      int bit = 0;
      for (auto [name, value] : kPermissions) bit = name == letter ? value : bit;
      if (bit == 0) fmt::print(stderr, "Unknown perm type: {}\n", letter);
      perms |= bit;
    }
    acls.ids.emplace_back(one.substr(0, first), one.substr(first + 1, last - first - 1));
    acls.perms.push_back(perms);
  }
  return acls;
}

// -- The shell
// ---------------------------------------------------------------------------------------

class Shell {
 public:
  explicit Shell(bool interactive) : interactive_(interactive) {}
  ~Shell() { disconnect(); }

  bool connect(const std::string& server, int timeout_ms, bool read_only) {
    disconnect();
    server_ = server;
    timeout_ms_ = timeout_ms;
    zoo_set_debug_level(static_cast<ZooLogLevel>(0));
    handle_ = zookeeper_init(server.c_str(), on_event, timeout_ms, nullptr, this,
                             read_only ? ZOO_READONLY : 0);
    if (handle_ == nullptr)
      fmt::print(stderr, "Unable to parse address {}: {}\n", server, std::strerror(errno));
    return handle_ != nullptr;
  }

  // The connection's first event is printed before a command's output. False if none came in time.
  bool wait_connected(int64_t wait_ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                             [&] { return was_connected_; });
  }

  int run_lines() {
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
      code = run(line);
      std::fflush(stdout);
    }
    return code;
  }

  int run(const std::string& line) {
    Words words = split(line);
    if (words.empty()) return kOk;
    history_.push_back(line);
    return run_words(words);
  }

  int run_words(const Words& words);

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
  void disconnect() {
    if (handle_ != nullptr) (void)zookeeper_close(handle_);
    handle_ = nullptr;
    std::unique_lock lock(mutex_);
    was_connected_ = false;
  }
  static bool read_line(std::string& line) {
    line.clear();
    int c = 0;
    while ((c = std::getchar()) != EOF && c != '\n') line += static_cast<char>(c);
    return c != EOF || !line.empty();
  }

  int get_data(const std::string& path, bool watch, std::string& data, Stat& stat);
  int get_children(const std::string& path, bool watch, Words& children, Stat& stat);
  int walk(const std::string& path, const std::function<int(const std::string&)>& visit);

  int add_auth(const Words& words);
  int close(const Words& words);
  int config(const Words& words);
  int connect_to(const Words& words);
  int create(const Words& words);
  int erase(const Words& words);
  int erase_all(const Words& words);
  int get(const Words& words);
  int get_acl(const Words& words);
  int get_all_children_number(const Words& words);
  int get_ephemerals(const Words& words);
  int history(const Words& words);
  int list(const Words& words);
  int print_watches(const Words& words);
  int quit(const Words& words);
  int redo(const Words& words);
  int remove_watches(const Words& words);
  int set(const Words& words);
  int set_acl(const Words& words);
  int stat(const Words& words);
  int sync(const Words& words);
  int version(const Words& words);
  int who_am_i(const Words& words);

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

void Shell::on_event(zhandle_t*, int type, int state, const char* path, void* context) {
  auto& shell = *static_cast<Shell*>(context);
  const char* state_name = state == ZOO_CONNECTED_STATE         ? "SyncConnected"
                           : state == ZOO_READONLY_STATE        ? "ConnectedReadOnly"
                           : state == ZOO_EXPIRED_SESSION_STATE ? "Expired"
                           : state == ZOO_AUTH_FAILED_STATE     ? "AuthFailed"
                                                                : "Disconnected";
  const char* type_name = type == ZOO_CREATED_EVENT   ? "NodeCreated"
                          : type == ZOO_DELETED_EVENT ? "NodeDeleted"
                          : type == ZOO_CHANGED_EVENT ? "NodeDataChanged"
                          : type == ZOO_CHILD_EVENT   ? "NodeChildrenChanged"
                                                      : "None";
  std::unique_lock lock(shell.mutex_);
  bool is_session = type == ZOO_SESSION_EVENT;
  if (state == ZOO_NOTCONNECTED_STATE) return;
  if (shell.print_watches_) {
    fmt::print("\nWATCHER::\n\nWatchedEvent state:{} type:{} path:{}\n", state_name, type_name,
               is_session ? "null" : path);
    std::fflush(stdout);
  }
  if (is_session && (state == ZOO_CONNECTED_STATE || state == ZOO_READONLY_STATE))
    shell.was_connected_ = true;
  shell.changed_.notify_all();
}

void print_usage();

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

bool is_absolute(const std::string& path) {
  if (path.starts_with('/')) return true;
  fmt::print(stderr, "Path must start with / character\n");
  return false;
}

// -- Reading
// -----------------------------------------------------------------------------------------

int Shell::get_data(const std::string& path, bool watch, std::string& data, Stat& stat) {
  data.resize(kMaxDataBytes);
  int size = static_cast<int>(data.size());
  int code = zoo_get(handle_, path.c_str(), watch ? 1 : 0, data.data(), &size, &stat);
  if (code == ZOK && size < 0) data = "null";
  if (code == ZOK && size >= 0) data.resize(static_cast<size_t>(size));
  return code;
}

int Shell::get_children(const std::string& path, bool watch, Words& children, Stat& stat) {
  String_vector names{};
  int code = zoo_get_children2(handle_, path.c_str(), watch ? 1 : 0, &names, &stat);
  if (code != ZOK) return code;
  children.assign(names.data, names.data + names.count);
  deallocate_String_vector(&names);
  std::sort(children.begin(), children.end());
  return ZOK;
}

// Depth first, children in order of their names, `path` before what is below it.
int Shell::walk(const std::string& path, const std::function<int(const std::string&)>& visit) {
  if (int code = visit(path); code != ZOK) return code;
  Words children;
  Stat stat{};
  int code = get_children(path, false, children, stat);
  if (code == ZNONODE && path != "/") return ZOK;  // gone meanwhile
  if (code != ZOK) return code;
  for (const std::string& child : children)
    if (code = walk((path == "/" ? "" : path) + "/" + child, visit); code != ZOK) return code;
  return ZOK;
}

int Shell::list(const Words& words) {
  Parsed parsed;
  if (!parse(words, "swR", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  if (parsed.has("R")) {
    Stat stat{};
    if (int code = zoo_exists(handle_, path.c_str(), 0, &stat); code != ZOK)
      return fail_with(code, path);
    int code = walk(path, [](const std::string& found) {
      fmt::print("{}\n", found);
      return static_cast<int>(ZOK);
    });
    return code == ZOK ? kOk : fail_with(code, path);
  }
  Words children;
  Stat stat{};
  int code = get_children(path, parsed.has("w"), children, stat);
  if (code != ZOK) return fail_with(code, path);
  std::string line;
  for (const std::string& child : children) line += (line.empty() ? "" : ", ") + child;
  fmt::print("[{}]\n", line);
  if (parsed.has("s")) print_stat(stat);
  return kOk;
}

int Shell::get(const Words& words) {
  Parsed parsed;
  if (!parse(words, "sw", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  std::string data;
  Stat stat{};
  int code = get_data(path, parsed.has("w"), data, stat);
  if (code != ZOK) return fail_with(code, path);
  fmt::print("{}\n", data);
  if (parsed.has("s")) print_stat(stat);
  return kOk;
}

int Shell::stat(const Words& words) {
  Parsed parsed;
  if (!parse(words, "w", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  Stat stat{};
  int code = zoo_exists(handle_, path.c_str(), parsed.has("w") ? 1 : 0, &stat);
  if (code != ZOK) return fail_with(code, path);
  print_stat(stat);
  return kOk;
}

int Shell::get_acl(const Words& words) {
  Parsed parsed;
  if (!parse(words, "s", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  ACL_vector acls{};
  Stat stat{};
  int code = zoo_get_acl(handle_, path.c_str(), &acls, &stat);
  if (code != ZOK) return fail_with(code, path);
  for (int i = 0; i < acls.count; ++i) {
    std::string perms;
    for (auto [letter, bit] : kPermissions)
      if ((acls.data[i].perms & bit) != 0) perms += letter;
    fmt::print("'{},'{}\n: {}\n", acls.data[i].id.scheme, acls.data[i].id.id, perms);
  }
  deallocate_ACL_vector(&acls);
  if (parsed.has("s")) print_stat(stat);
  return kOk;
}

int Shell::get_all_children_number(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "", 1, 1, parsed)) return kFailed;
  if (!is_absolute(parsed.rest[0])) return kFailed;
  int64_t count = -1;  // not itself
  int code = walk(parsed.rest[0], [&](const std::string&) {
    ++count;
    return static_cast<int>(ZOK);
  });
  if (code != ZOK) return fail_with(code, parsed.rest[0]);
  fmt::print("{}\n", count);
  return kOk;
}

int Shell::get_ephemerals(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "", 0, 1, parsed)) return kFailed;
  std::string prefix = parsed.rest.empty() ? "/" : parsed.rest[0];
  if (!is_absolute(prefix)) return kFailed;
  int64_t session = zoo_client_id(handle_)->client_id;
  std::string found;
  int code = walk("/", [&](const std::string& path) {
    Stat stat{};
    int exists = zoo_exists(handle_, path.c_str(), 0, &stat);
    if (exists == ZOK && stat.ephemeralOwner == session && path.starts_with(prefix))
      found += (found.empty() ? "" : ", ") + path;
    return exists == ZNONODE ? static_cast<int>(ZOK) : exists;
  });
  if (code != ZOK) return fail_with(code, prefix);
  fmt::print("[{}]\n", found);
  return kOk;
}

int Shell::config(const Words& words) {
  Parsed parsed;
  if (!parse(words, "csw", "", 0, 0, parsed)) return kFailed;
  std::string data(kMaxDataBytes, '\0');
  int size = static_cast<int>(data.size());
  Stat stat{};
  int code = zoo_getconfig(handle_, parsed.has("w") ? 1 : 0, data.data(), &size, &stat);
  if (code != ZOK) return fail_with(code, "/zookeeper/config");
  fmt::print("{}\n", std::string_view(data.data(), size < 0 ? 0 : static_cast<size_t>(size)));
  if (parsed.has("s")) print_stat(stat);
  return kOk;
}

// -- Writing
// -----------------------------------------------------------------------------------------

int Shell::create(const Words& words) {
  Parsed parsed;
  if (!parse(words, "sec", "t", 1, 3, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  bool sequential = parsed.has("s");
  bool ephemeral = parsed.has("e");
  if (parsed.has("c") && (sequential || ephemeral || parsed.has("t"))) {
    fmt::print(stderr,
               "-c cannot be combined with -s or -e. Containers cannot be ephemeral or "
               "sequential.\n");
    return kFailed;
  }
  int mode = ephemeral ? (sequential ? ZOO_EPHEMERAL_SEQUENTIAL : ZOO_EPHEMERAL)
                       : (sequential ? ZOO_PERSISTENT_SEQUENTIAL : ZOO_PERSISTENT);
  if (parsed.has("c")) mode = ZOO_CONTAINER;
  int64_t ttl_ms = -1;
  if (parsed.has("t")) {
    if (ephemeral) {
      fmt::print(stderr, "TTLs cannot be used with Ephemeral znodes\n");
      return kFailed;
    }
    ttl_ms = std::strtoll(parsed.options["t"].c_str(), nullptr, 10);
    mode = sequential ? ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL : ZOO_PERSISTENT_WITH_TTL;
  }
  ACL_vector acl = ZOO_OPEN_ACL_UNSAFE;
  std::optional<Acls> given;
  if (parsed.rest.size() > 2) {
    given = parse_acls(parsed.rest[2]);
    if (!given) return fail_with(ZINVALIDACL, path);
    acl = given->vector();
  }
  const char* data = parsed.rest.size() > 1 ? parsed.rest[1].data() : nullptr;
  int size = data != nullptr ? static_cast<int>(parsed.rest[1].size()) : -1;
  char created[4096];
  int code = ttl_ms >= 0 ? zoo_create_ttl(handle_, path.c_str(), data, size, &acl, mode, ttl_ms,
                                          created, sizeof created)
                         : zoo_create(handle_, path.c_str(), data, size, &acl, mode, created,
                                      sizeof created);
  if (code != ZOK) return fail_with(code, path);
  std::fflush(stdout);
  fmt::print(stderr, "Created {}\n", created);
  return kOk;
}

int version_of(const std::map<std::string, std::string>& options) {
  auto given = options.find("v");
  return given == options.end() ? -1 : std::atoi(given->second.c_str());
}

int Shell::set(const Words& words) {
  Parsed parsed;
  if (!parse(words, "s", "v", 2, 2, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  Stat stat{};
  int code = zoo_set2(handle_, path.c_str(), parsed.rest[1].data(),
                      static_cast<int>(parsed.rest[1].size()), version_of(parsed.options), &stat);
  if (code != ZOK) return fail_with(code, path);
  if (parsed.has("s")) print_stat(stat);
  return kOk;
}

int Shell::erase(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "v", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  int code = zoo_delete(handle_, path.c_str(), version_of(parsed.options));
  return code == ZOK ? kOk : fail_with(code, path);
}

int Shell::erase_all(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "b", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  Words found;
  int code = walk(path, [&](const std::string& below) {
    found.push_back(below);
    return static_cast<int>(ZOK);
  });
  if (code == ZOK) {
    Stat stat{};
    code = zoo_exists(handle_, path.c_str(), 0, &stat);
  }
  for (auto at = found.rbegin(); code == ZOK && at != found.rend(); ++at) {
    code = zoo_delete(handle_, at->c_str(), -1);
    if (code == ZNONODE) code = ZOK;  // somebody else's deletion is as good
  }
  return code == ZOK ? kOk : fail_with(code, path);
}

int Shell::set_acl(const Words& words) {
  Parsed parsed;
  if (!parse(words, "sR", "v", 2, 2, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  auto acls = parse_acls(parsed.rest[1]);
  if (!acls) return fail_with(ZINVALIDACL, "null");
  if (!is_absolute(path)) return kFailed;
  ACL_vector acl = acls->vector();
  auto set_one = [&](const std::string& below) {
    return zoo_set_acl(handle_, below.c_str(), version_of(parsed.options), &acl);
  };
  int code = parsed.has("R") ? walk(path, set_one) : set_one(path);
  if (code != ZOK) return fail_with(code, path);
  Stat stat{};
  if (parsed.has("s") && zoo_exists(handle_, path.c_str(), 0, &stat) == ZOK) print_stat(stat);
  return kOk;
}

// -- Waiting for an answer that only comes as a callback
// ---------------------------------------------

struct Answer {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<int> code;
  void set(int value) {
    std::unique_lock lock(mutex);
    code = value;
    arrived.notify_all();
  }
  int wait() {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&] { return code.has_value(); });
    return *code;
  }
};

int Shell::sync(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  if (!is_absolute(path)) return kFailed;
  Answer answer;
  int code = zoo_async(
      handle_, path.c_str(),
      [](int result, const char*, const void* data) {
        const_cast<Answer*>(static_cast<const Answer*>(data))->set(result);
      },
      &answer);
  if (code == ZOK) code = answer.wait();
  if (code == ZOK)
    fmt::print("Sync is OK\n");
  else
    fmt::print("Sync has failed. rc={}\n", code);
  return code == ZOK ? kOk : kFailed;
}

int Shell::add_auth(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "", 1, 2, parsed)) return kFailed;
  std::string auth = parsed.rest.size() > 1 ? parsed.rest[1] : "";
  Answer answer;
  int code = zoo_add_auth(
      handle_, parsed.rest[0].c_str(), auth.data(), static_cast<int>(auth.size()),
      [](int result, const void* data) {
        const_cast<Answer*>(static_cast<const Answer*>(data))->set(result);
      },
      &answer);
  if (code == ZOK) code = answer.wait();
  if (code != ZOK) return fail_with(code, parsed.rest[0]);
  auths_.emplace_back(parsed.rest[0], auth.substr(0, auth.find(':')));
  return kOk;
}

int Shell::who_am_i(const Words& words) {
  Parsed parsed;
  if (!parse(words, "", "", 0, 0, parsed)) return kFailed;
  // The C client has no request for it: what it said itself is told.
  fmt::print("Auth scheme: User\n");
  for (const auto& [scheme, user] : auths_) fmt::print("{}: {}\n", scheme, user);
  return kOk;
}

// -- The shell itself
// --------------------------------------------------------------------------------

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

int Shell::print_watches(const Words& words) {
  std::unique_lock lock(mutex_);
  if (words.size() == 1)
    fmt::print("printwatches is {}\n", print_watches_ ? "on" : "off");
  else
    print_watches_ = words[1] == "on";
  return kOk;
}

int Shell::remove_watches(const Words& words) {
  Parsed parsed;
  if (!parse(words, "cdal", "", 1, 1, parsed)) return kFailed;
  const std::string& path = parsed.rest[0];
  ZooWatcherType type = parsed.has("c")   ? ZWATCHTYPE_CHILD
                        : parsed.has("d") ? ZWATCHTYPE_DATA
                                          : ZWATCHTYPE_ANY;
  int code = zoo_remove_all_watches(handle_, path.c_str(), type, parsed.has("l") ? 1 : 0);
  return code == ZOK ? kOk : fail_with(code, path);
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

}  // namespace

namespace {
void print_usage() {
  fmt::print(stderr, "ZooKeeper -server host:port [-zk-tls-config-file <file>] cmd args\n");
  for (std::string_view usage : {"addauth scheme auth",
                                 "close ",
                                 "config [-c] [-w] [-s]",
                                 "connect host:port",
                                 "create [-s] [-e] [-c] [-t ttl] path [data] [acl]",
                                 "delete [-v version] path",
                                 "deleteall path [-b batch size]",
                                 "get [-s] [-w] path",
                                 "getAcl [-s] path",
                                 "getAllChildrenNumber path",
                                 "getEphemerals path",
                                 "history ",
                                 "ls [-s] [-w] [-R] path",
                                 "printwatches on|off",
                                 "quit ",
                                 "redo cmdno",
                                 "removewatches path [-c|-d|-a] [-l]",
                                 "set [-s] [-v version] path data",
                                 "setAcl [-s] [-v version] [-R] path acl",
                                 "stat [-w] path",
                                 "sync path",
                                 "version ",
                                 "whoami "})
    fmt::print(stderr, "\t{}\n", usage);
}
}  // namespace

// host:port[/path] [-zk-tls-config-file FILE] [-timeout MS] [-r] [-waitforconnection] [command...]
int zookeeper_shell_main(std::span<const std::string> args) {
  if (args.empty()) {
    fmt::print(stderr, "USAGE: ottla zookeeper-shell zookeeper_host:port[/path] [args...]\n");
    return 1;
  }
  if (args[0] == "--help") {
    print_usage();
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
