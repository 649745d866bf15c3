// zookeeper-shell: the connection, its events, and commands about the session: who asks, watches,
// sync.
#include <fmt/core.h>

#include <cerrno>
#include <cstring>

#include "tools/zookeeper_shell.h"

namespace ottla::tools::zookeeper_shell {
namespace {

// For an answer that only comes as a callback.
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

}  // namespace

bool Shell::connect(const std::string& server, int timeout_ms, bool read_only) {
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

bool Shell::wait_connected(int64_t wait_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                           [&] { return was_connected_; });
}

void Shell::disconnect() {
  if (handle_ != nullptr) (void)zookeeper_close(handle_);
  handle_ = nullptr;
  std::unique_lock lock(mutex_);
  was_connected_ = false;
}

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

int Shell::print_watches(const Words& words) {
  std::unique_lock lock(mutex_);
  if (words.size() == 1)
    fmt::print("printwatches is {}\n", print_watches_ ? "on" : "off");
  else
    print_watches_ = words[1] == "on";
  return kOk;
}

}  // namespace ottla::tools::zookeeper_shell
