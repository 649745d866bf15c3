#include "zk-ensemble/server/four_letter.h"

#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>

#include "common/base/endian.h"
#include "zk-ensemble/txnlog/data_dir.h"

namespace ottla::zk {
namespace {

bool allowed(std::string_view word, std::string_view whitelist) {
  if (word == "srvr") return true;  // zkServer.sh depends on it
  while (!whitelist.empty()) {
    size_t comma = std::min(whitelist.find(','), whitelist.size());
    std::string_view item = whitelist.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (item == "*" || item == word) return true;
    whitelist.remove_prefix(std::min(comma + 1, whitelist.size()));
  }
  return false;
}

std::string decimal(double value) {
  std::string text = fmt::format("{:.4f}", value);
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return text;
}

// "Sun Nov 22 11:44:49 UTC 2026", as Java prints a Date.
std::string date(int64_t wall_ms) {
  std::time_t seconds = wall_ms / 1000;
  std::tm local{};
  (void)::localtime_r(&seconds, &local);
  char text[64];
  size_t length = std::strftime(text, sizeof text, "%a %b %d %H:%M:%S %Z %Y", &local);
  return std::string(text, length);
}

int64_t wall_of(const OperatorView& view, Instant at) {
  return view.wall_ms - (view.now.ms() - at.ms());
}

void connection_line(std::string& out, const ConnectionInfo& c, OperatorView& view, bool brief) {
  bool has_session = c.session != 0;
  out += fmt::format(" {}[{}](queued={},recved={},sent={}", view.port.address_of(c.id), has_session ? 1 : 0,
                     c.outstanding, c.packets_received, c.packets_sent);
  if (!brief && has_session) {
    out += fmt::format(",sid=0x{:x},lop={},est={},to={}", static_cast<uint64_t>(c.session), c.last_op,
                       wall_of(view, c.established), c.timeout_ms);
    if (c.last_cxid >= 0) out += fmt::format(",lcxid=0x{:x}", c.last_cxid);
    out += fmt::format(",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={},maxlat={}",
                       static_cast<uint64_t>(c.last_zxid), c.last_response.ms(), c.last_latency_ms,
                       c.latency.min(), static_cast<int64_t>(c.latency.average()), c.latency.max_ms);
  }
  out += ")\n";
}

std::string stat_text(OperatorView& view, bool with_clients) {
  const ServerStats& stats = view.pipeline.stats();
  std::string out = fmt::format("Zookeeper version: {}\n", version_line());
  if (with_clients) {
    out += "Clients:\n";
    for (const ConnectionInfo& c : view.pipeline.connections()) connection_line(out, c, view, true);
    out += "\n";
  }
  out += fmt::format("Latency min/avg/max: {}/{}/{}\n", stats.latency.min(), decimal(stats.latency.average()),
                     stats.latency.max_ms);
  out += fmt::format("Received: {}\nSent: {}\nConnections: {}\nOutstanding: {}\n", stats.packets_received,
                     stats.packets_sent, view.port.count(), view.pipeline.outstanding());
  out += fmt::format("Zxid: 0x{:x}\nMode: standalone\nNode count: {}\n",
                     static_cast<uint64_t>(view.pipeline.tree().last_zxid()),
                     view.pipeline.tree().node_count());
  return out;
}

std::string cons(OperatorView& view) {
  std::string out;
  for (const ConnectionInfo& c : view.pipeline.connections()) connection_line(out, c, view, false);
  return out + "\n";
}

std::string conf(OperatorView& view) {
  const ServerConfig& config = view.config;
  return fmt::format(
      "clientPort={}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={}\ndataLogDir={}\ndataLogSize={}\n"
      "tickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n"
      "clientPortListenBacklog={}\nserverId=0\n",
      view.client_port, view.snapshot_dir, DataDir::size_of(view.disk, view.snapshot_dir), view.log_dir,
      DataDir::size_of(view.disk, view.log_dir), config.tick_time_ms, config.max_client_cnxns,
      config.min_session_timeout_ms, config.max_session_timeout_ms, config.client_port_listen_backlog);
}

std::string dirs(OperatorView& view) {
  return fmt::format("datadir_size: {}\nlogdir_size: {}\n",
                     DataDir::size_of(view.disk, view.snapshot_dir),
                     DataDir::size_of(view.disk, view.log_dir));
}

std::string dump(OperatorView& view) {
  const SessionTracker& tracker = view.pipeline.sessions();
  auto buckets = tracker.buckets();
  std::string out = "SessionTracker dump:\n";
  out += fmt::format("Session Sets ({})/({}):\n", buckets.size(), tracker.size());
  for (const auto& [deadline_ms, sessions] : buckets) {
    out += fmt::format("{} expire at {}:\n", sessions.size(),
                       date(view.wall_ms + (deadline_ms - view.now.ms())));
    for (int64_t id : sessions) out += fmt::format("\t0x{:x}\n", static_cast<uint64_t>(id));
  }
  auto owners = view.pipeline.tree().sessions_with_ephemerals();
  out += fmt::format("ephemeral nodes dump:\nSessions with Ephemerals ({}):\n", owners.size());
  for (int64_t id : owners) {
    out += fmt::format("0x{:x}:\n", static_cast<uint64_t>(id));
    for (const std::string& path : view.pipeline.tree().ephemerals_of(id)) out += "\t" + path + "\n";
  }
  out += "Connections dump:\nConnections ";
  // When each is closed unless it says something: with its session, or because it never asked for one.
  const int64_t bucket_ms = view.config.sessionless_timeout_ms;
  std::map<int64_t, std::vector<const ConnectionInfo*>> idle;
  auto connections = view.pipeline.connections();
  for (const ConnectionInfo& c : connections) {
    int64_t ends_ms = c.last_response.ms() + (c.session == 0 ? bucket_ms : c.timeout_ms);
    idle[(ends_ms / bucket_ms + 1) * bucket_ms].push_back(&c);
  }
  out += fmt::format("Sets ({})/({}):\n", idle.size(), connections.size());
  for (const auto& [ends_ms, of] : idle) {
    out += fmt::format("{} expire at {}:\n", of.size(), date(view.wall_ms + (ends_ms - view.now.ms())));
    for (const ConnectionInfo* c : of) {
      out += fmt::format("\tip: {} sessionId: 0x{:x}\n", view.port.address_of(c->id),
                         static_cast<uint64_t>(c->session));
    }
  }
  return out;
}

std::string wchs(OperatorView& view) {
  const WatchTable& data = view.pipeline.watches().data();
  return fmt::format("{} connections watching {} paths\nTotal watches:{}\n", data.watcher_count(),
                     data.path_count(), data.watch_count());
}

std::map<ConnId, int64_t> sessions_of(OperatorView& view) {
  std::map<ConnId, int64_t> sessions;
  for (const ConnectionInfo& c : view.pipeline.connections()) sessions[c.id] = c.session;
  return sessions;
}

std::string wchc(OperatorView& view) {
  std::string out;
  auto sessions = sessions_of(view);
  for (const auto& [conn, paths] : view.pipeline.watches().data().by_watcher()) {
    out += fmt::format("0x{:x}\n", static_cast<uint64_t>(sessions[conn]));
    for (const std::string& path : paths) out += "\t" + path + "\n";
  }
  return out + "\n";
}

std::string wchp(OperatorView& view) {
  std::string out;
  auto sessions = sessions_of(view);
  for (const auto& [path, conns] : view.pipeline.watches().data().by_path()) {
    out += path + "\n";
    for (ConnId conn : conns)
      out += fmt::format("\t0x{:x}\n", static_cast<uint64_t>(sessions[conn]));
  }
  return out + "\n";
}

std::string hash(OperatorView& view) {
  std::string out;
  for (const DataTree::DigestAt& at : view.pipeline.tree().digest_ring())
    out += fmt::format("{:x}: {}\n", static_cast<uint64_t>(at.zxid), at.digest);
  return out;
}

std::string envi() {
  std::string out = "Environment:\n";
  for (const auto& [name, value] : environment()) out += fmt::format("{}={}\n", name, value);
  return out;
}

std::string mntr(OperatorView& view) {
  std::string out = fmt::format("zk_version\t{}\nzk_server_state\tstandalone\n", version_line());
  print_figures(view, [&out](std::string_view key, std::string value) {
    out += fmt::format("zk_{}\t{}\n", key, value);
  });
  return out;
}

std::string stmk(Bytes argument, OperatorView& view) {
  if (argument.size() != 8) return "";
  view.trace_mask = load_be<int64_t>(argument.data());
  return fmt::format("{}", view.trace_mask);
}

}  // namespace

std::string version_line() {
  return fmt::format("{}-ottla-0.1.0, built on 2026-01-01 00:00 UTC", kZookeeperVersion);
}

std::vector<std::pair<std::string, std::string>> environment() {
  utsname system{};
  (void)::uname(&system);
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  char directory[4096] = "";
  if (::getcwd(directory, sizeof directory) == nullptr) directory[0] = '\0';
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  // The java.* rows have no meaning here; tools only look at the names.
  return {{"zookeeper.version", version_line()}, {"host.name", host},
          {"java.version", "none"}, {"java.vendor", "none"},
          {"java.home", "none"}, {"java.class.path", "none"},
          {"java.library.path", "none"}, {"java.io.tmpdir", "/tmp"},
          {"java.compiler", "none"}, {"os.name", system.sysname},
          {"os.arch", system.machine}, {"os.version", system.release},
          {"user.name", variable("USER")}, {"user.home", variable("HOME")},
          {"user.dir", directory}, {"os.memory.free", "0MB"},
          {"os.memory.max", "0MB"}, {"os.memory.total", "0MB"}};
}

void reset_all_stats(OperatorView& view) {
  view.pipeline.reset_stats();
  view.port.reset_stats();
}

std::string answer_word(std::string_view word, Bytes argument, OperatorView& view) {
  bool telnet = word.starts_with('\xff');  // it is closing
  if (telnet) word = "telnet close";
  if (!allowed(word, view.config.whitelist))
    return fmt::format("{} is not executed because it is not in the whitelist.\n", word);
  if (telnet) return "";
  if (word == "ruok") return "imok";
  if (word == "srvr") return stat_text(view, false);
  if (word == "stat") return stat_text(view, true);
  if (word == "mntr") return mntr(view);
  if (word == "conf") return conf(view);
  if (word == "cons") return cons(view);
  if (word == "dump") return dump(view);
  if (word == "envi") return envi();
  if (word == "isro") return "rw";
  if (word == "wchs") return wchs(view);
  if (word == "wchc") return wchc(view);
  if (word == "wchp") return wchp(view);
  if (word == "dirs") return dirs(view);
  if (word == "hash") return hash(view);
  if (word == "gtmk") return fmt::format("{}", view.trace_mask);
  if (word == "stmk") return stmk(argument, view);
  if (word == "crst") {
    view.pipeline.reset_connection_stats();
    return "Connection stats reset.\n";
  }
  if (word == "srst") {
    reset_all_stats(view);
    return "Server stats reset.\n";
  }
  return "";
}

}  // namespace ottla::zk
