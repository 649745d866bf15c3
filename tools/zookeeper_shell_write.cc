// zookeeper-shell: commands that write.
#include <fmt/core.h>

#include <cstdlib>

#include "tools/zookeeper_shell.h"

namespace ottla::tools::zookeeper_shell {
namespace {

int version_of(const std::map<std::string, std::string>& options) {
  auto given = options.find("v");
  return given == options.end() ? -1 : std::atoi(given->second.c_str());
}

}  // namespace

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

}  // namespace ottla::tools::zookeeper_shell
