// zookeeper-shell: commands that read.
#include <fmt/core.h>

#include <algorithm>

#include "tools/zookeeper_shell.h"

namespace ottla::tools::zookeeper_shell {
namespace {

constexpr size_t kMaxDataBytes = 1 << 20;

}  // namespace

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
    const ACL& acl = acls.data[i];
    fmt::print("'{},'{}\n: {}\n", acl.id.scheme, acl.id.id, letters_of(acl.perms));
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

}  // namespace ottla::tools::zookeeper_shell
