// The commands that only look (and the resets): one function each, in the order of their names. Fields
// and their order are Apache's.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "zk-ensemble/server/admin.h"
#include "zk-ensemble/txnlog/data_dir.h"

namespace ottla::zk {
namespace {

using metrics::HttpRequest;
using View = OperatorView&;
using Request = const HttpRequest&;

void configuration(View view, Request, Json& out) {
  const ServerConfig& config = view.config;
  out.put("client_port", view.client_port)
      .put("data_dir", view.snapshot_dir)
      .put("data_log_dir", view.log_dir)
      .put("tick_time", config.tick_time_ms)
      .put("max_client_cnxns", config.max_client_cnxns)
      .put("min_session_timeout", config.min_session_timeout_ms)
      .put("max_session_timeout", config.max_session_timeout_ms)
      .put("server_id", 0)
      .put("client_port_listen_backlog", config.client_port_listen_backlog);
}

void connection_stat_reset(View view, Request, Json&) { view.pipeline.reset_connection_stats(); }

Json connections_of(View view, bool brief) {
  Json list = Json::array();
  for (const ConnectionInfo& c : view.pipeline.connections()) {
    Json one = Json::object();
    one.put("remote_socket_address", view.port.address_of(c.id).substr(1))
        .put("interest_ops", c.session == 0 ? 0 : 1)
        .put("outstanding_requests", c.outstanding)
        .put("packets_received", c.packets_received)
        .put("packets_sent", c.packets_sent);
    if (!brief) {
      one.put("session_id", c.session)
          .put("last_operation", c.last_op)
          .put("established", view.wall_ms - (view.now.ms() - c.established.ms()))
          .put("session_timeout", c.timeout_ms)
          .put("last_cxid", c.last_cxid)
          .put("last_zxid", c.last_zxid)
          .put("last_response_time", c.last_response.ms())
          .put("last_latency", c.last_latency_ms)
          .put("min_latency", c.latency.min())
          .put("avg_latency", static_cast<int64_t>(c.latency.average()))
          .put("max_latency", c.latency.max_ms);
    }
    list.add(std::move(one));
  }
  return list;
}

void connections(View view, Request, Json& out) {
  out.put("connections", connections_of(view, false)).put("secure_connections", Json::array());
}

void dirs(View view, Request, Json& out) {
  out.put("datadir_size", DataDir::size_of(view.disk, view.snapshot_dir))
      .put("logdir_size", DataDir::size_of(view.disk, view.log_dir));
}

void dump(View view, Request, Json& out) {
  Json expiries = Json::object(), ephemerals = Json::object();
  for (const auto& [deadline_ms, sessions] : view.pipeline.sessions().buckets()) {
    Json ids = Json::array();
    for (int64_t id : sessions) ids.add(id);
    expiries.append(std::to_string(deadline_ms), std::move(ids));
  }
  for (int64_t id : view.pipeline.tree().sessions_with_ephemerals()) {
    Json paths = Json::array();
    for (const std::string& path : view.pipeline.tree().ephemerals_of(id)) paths.add(path);
    ephemerals.append(std::to_string(id), std::move(paths));
  }
  out.put("expiry_time_to_session_ids", std::move(expiries))
      .put("session_id_to_ephemeral_paths", std::move(ephemerals));
}

void environment_command(View, Request, Json& out) {
  for (auto& [name, value] : environment()) out.put(name, value);
}

void get_trace_mask(View view, Request, Json& out) { out.put("tracemask", view.trace_mask); }

void hash(View view, Request, Json& out) {
  Json digests = Json::array();
  for (const DataTree::DigestAt& at : view.pipeline.tree().digest_ring()) {
    Json one = Json::object();
    one.put("zxid", at.zxid).put("digest", static_cast<int64_t>(at.digest)).put("digestVersion", at.version);
    digests.add(std::move(one));
  }
  out.put("digests", std::move(digests));
}

void initial_configuration(View view, Request, Json& out) {
  out.put("initial_configuration",
          view.config.initial_text.empty() ? Json() : Json(view.config.initial_text));
}

void is_read_only(View, Request, Json& out) { out.put("read_only", false); }

void last_snapshot(View view, Request, Json& out) {
  out.put("zxid", fmt::format("{:x}", static_cast<uint64_t>(view.snapshots.last_zxid)))
      .put("timestamp", view.snapshots.last_wall_s);
}

void leader(View, Request, Json& out) { out.put("error", "server is not initialized"); }

void monitor(View view, Request, Json& out) {
  out.put("version", version_line()).put("server_state", "standalone");
  print_figures(view, [&out](std::string_view key, std::string value) {
    out.append(std::string(key), Json::number(std::move(value)));
  });
}

void nothing(View, Request, Json&) {}

void observers(View, Request, Json& out) {
  out.put("synced_observers", 0).put("observers", Json::array());
}

std::string decimal(double value) {
  std::string text = fmt::format("{:.4f}", value);
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return text;
}

void server_stats(View view, Request, Json& out) {
  const ServerStats& stats = view.pipeline.stats();
  Json responses = Json::object();
  responses.put("last_buffer_size", stats.response_last)
      .put("min_buffer_size", stats.response_min)
      .put("max_buffer_size", stats.response_max);
  Json all = Json::object();
  all.put("packets_sent", stats.packets_sent)
      .put("packets_received", stats.packets_received)
      .put("fsync_threshold_exceed_count", view.log.slow_syncs)
      .put("client_response_stats", responses)
      .put("data_dir_size", DataDir::size_of(view.disk, view.snapshot_dir))
      .put("log_dir_size", DataDir::size_of(view.disk, view.log_dir))
      .put("provider_null", false)
      .put("last_processed_zxid", view.pipeline.tree().last_zxid())
      .put("outstanding_requests", view.pipeline.outstanding())
      .put("server_state", "standalone")
      .put("avg_latency", Json::number(decimal(stats.latency.average())))
      .put("max_latency", stats.latency.max_ms)
      .put("min_latency", stats.latency.min())
      .put("num_alive_client_connections", view.port.count())
      .put("uptime", view.now.ms() - view.started.ms())
      .put("auth_failed_count", stats.auth_failures)
      .put("non_mtlsremote_conn_count", 0)
      .put("non_mtlslocal_conn_count", 0);
  out.put("version", version_line())
      .put("read_only", false)
      .put("server_stats", std::move(all))
      .put("client_response", std::move(responses))
      .put("node_count", view.pipeline.tree().node_count());
}

void set_trace_mask(View view, Request request, Json& out) {
  auto given = request.query.find("traceMask");
  if (given == request.query.end()) {
    out.put("error", "setTraceMask requires long traceMask argument");
    return;
  }
  std::string_view text = given->second;
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t mask = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mask);
  if (error != std::errc() || end != text.data() + text.size() || text.starts_with('+')) {
    out.put("error", fmt::format("setTraceMask requires long traceMask argument, got {}", given->second));
    return;
  }
  view.trace_mask = mask;
  out.put("tracemask", mask);
}

void stat_reset(View view, Request, Json&) { reset_all_stats(view); }

void stats(View view, Request request, Json& out) {
  server_stats(view, request, out);
  out.put("connections", connections_of(view, true)).put("secure_connections", Json::array());
}

void system_properties(View view, Request, Json& out) {
  std::map<std::string, std::string> all{{"file.encoding", "UTF-8"}, {"file.separator", "/"},
                                         {"line.separator", "\n"}, {"path.separator", ":"}};
  for (auto& [name, value] : environment()) all.emplace(name, value);
  for (const auto& [name, value] : view.config.settings) {
    bool plain = name.starts_with("jute.") || name.starts_with("znode.") || name.starts_with("java.");
    all.insert_or_assign((plain ? "" : "zookeeper.") + name, value);
  }
  for (auto& [name, value] : all) out.put(name, value);
}

void voting_view(View, Request, Json& out) { out.put("current_config", Json::object()); }

void watch_summary(View view, Request, Json& out) {
  const WatchTable& data = view.pipeline.watches().data();
  out.put("num_connections", data.watcher_count())
      .put("num_paths", data.path_count())
      .put("num_total_watches", data.watch_count());
}

void watches(View view, Request, Json& out) {
  Json sessions = Json::object();
  for (const auto& [conn, paths] : view.pipeline.watches().data().by_watcher()) {
    Json list = Json::array();
    for (const std::string& path : paths) list.add(path);
    sessions.append(std::to_string(view.pipeline.session_of(conn).value_or(0)), std::move(list));
  }
  out.put("session_id_to_watched_paths", std::move(sessions));
}

void watches_by_path(View view, Request, Json& out) {
  Json paths = Json::object();
  for (const auto& [path, conns] : view.pipeline.watches().data().by_path()) {
    Json list = Json::array();
    for (ConnId conn : conns) list.add(view.pipeline.session_of(conn).value_or(0));
    paths.append(path, std::move(list));
  }
  out.put("path_to_session_ids", std::move(paths));
}

void zabstate(View, Request, Json& out) { out.put("voting", false).put("zabstate", ""); }

struct Command {
  const char* name;
  const char* aliases[2];
  void (*run)(View view, Request request, Json& out);
};
const Command kCommands[] = {
    {"configuration", {"conf", "config"}, configuration},
    {"connection_stat_reset", {"crst"}, connection_stat_reset},
    {"connections", {"cons"}, connections},
    {"dirs", {}, dirs},
    {"dump", {}, dump},
    {"environment", {"env", "envi"}, environment_command},
    {"get_trace_mask", {"gtmk"}, get_trace_mask},
    {"hash", {}, hash},
    {"initial_configuration", {"icfg"}, initial_configuration},
    {"is_read_only", {"isro"}, is_read_only},
    {"last_snapshot", {"lsnp"}, last_snapshot},
    {"leader", {"lead"}, leader},
    {"monitor", {"mntr"}, monitor},
    {"observer_connection_stat_reset", {"orst"}, nothing},
    {"observers", {"obsr"}, observers},
    {"ruok", {}, nothing},
    {"server_stats", {"srvr"}, server_stats},
    {"set_trace_mask", {"stmk"}, set_trace_mask},
    {"stat_reset", {"srst"}, stat_reset},
    {"stats", {"stat"}, stats},
    {"system_properties", {"sysp"}, system_properties},
    {"voting_view", {}, voting_view},
    {"watch_summary", {"wchs"}, watch_summary},
    {"watches", {"wchc"}, watches},
    {"watches_by_path", {"wchp"}, watches_by_path},
    {"zabstate", {}, zabstate},
};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (name == command.name) return &command;
    for (const char* alias : command.aliases)
      if (alias != nullptr && name == alias) return &command;
  }
  return nullptr;
}

}  // namespace

Json run_admin_command(const std::string& name, const HttpRequest& request, OperatorView& view) {
  Json out = Json::object();
  const Command* command = find_command(name);
  if (command == nullptr) return out.put("command", name).put("error", "Unknown command: " + name);
  command->run(view, request, out);
  out.put("command", command->name);
  if (!out.has("error")) out.put("error", Json());
  return out;
}

bool is_admin_command(std::string_view name) { return find_command(name) != nullptr; }

std::span<const char* const> admin_command_names() {
  static const std::vector<const char*> names = [] {
    std::vector<const char*> all{"restore", "snapshot"};
    for (const Command& command : kCommands) all.push_back(command.name);
    std::ranges::sort(all, [](const char* a, const char* b) { return std::string_view(a) < b; });
    return all;
  }();
  return names;
}

}  // namespace ottla::zk
