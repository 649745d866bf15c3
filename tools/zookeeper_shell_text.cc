// zookeeper-shell: words in, and how things are shown, as Apache's shell shows them.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>

#include "tools/zookeeper_shell.h"

namespace ottla::tools::zookeeper_shell {
namespace {

// As Java's Date prints itself.
std::string date_of(int64_t wall_ms) {
  time_t seconds = static_cast<time_t>(wall_ms / 1000);
  tm local{};
  ::localtime_r(&seconds, &local);
  char text[64];
  (void)::strftime(text, sizeof text, "%a %b %d %H:%M:%S %Z %Y", &local);
  return text;
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

const std::pair<char, int> kPermissions[] = {{'c', ZOO_PERM_CREATE},
                                             {'d', ZOO_PERM_DELETE},
                                             {'r', ZOO_PERM_READ},
                                             {'w', ZOO_PERM_WRITE},
                                             {'a', ZOO_PERM_ADMIN}};

}  // namespace

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

void print_stat(const Stat& stat) {
  fmt::print("cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\n", stat.czxid,
             date_of(stat.ctime), stat.mzxid, date_of(stat.mtime), stat.pzxid);
  fmt::print("cversion = {}\ndataVersion = {}\naclVersion = {}\nephemeralOwner = {:#x}\n",
             stat.cversion, stat.version, stat.aversion,
             static_cast<uint64_t>(stat.ephemeralOwner));
  fmt::print("dataLength = {}\nnumChildren = {}\n", stat.dataLength, stat.numChildren);
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

bool is_absolute(const std::string& path) {
  if (path.starts_with('/')) return true;
  fmt::print(stderr, "Path must start with / character\n");
  return false;
}

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

std::string letters_of(int32_t perms) {
  std::string letters;
  for (auto [letter, bit] : kPermissions)
    if ((perms & bit) != 0) letters += letter;
  return letters;
}

}  // namespace ottla::tools::zookeeper_shell
