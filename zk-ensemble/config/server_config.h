// The configuration of an ensemble server: zoo.cfg, and the system-property form of its keys
// (-Dzookeeper.KEY=VALUE on the command line). A plain struct filled from one table of rows.
// Source: ZooKeeper Administrator's Guide, "Configuration Parameters".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/config/key.h"
#include "common/config/properties.h"

namespace ottla::zk {

struct ServerConfig {
  int32_t tick_time_ms = 3000;
  std::string data_dir;
  std::string data_log_dir;  // empty: data_dir
  std::optional<int32_t> client_port;
  std::string client_port_address;  // empty: all addresses
  int32_t client_port_listen_backlog = -1;
  int32_t max_client_cnxns = 60;  // of one address; 0 or less is no limit
  int32_t max_cnxns = 0;          // of the server; 0 is no limit
  int32_t min_session_timeout_ms = -1;  // -1 until load_config(): 2 ticks
  int32_t max_session_timeout_ms = -1;  // -1 until load_config(): 20 ticks
  int32_t snap_count = 100000;
  int64_t snap_size_limit_kb = 4194304;
  int64_t pre_alloc_size_kb = 65536;
  int64_t txn_log_size_limit_kb = -1;
  int64_t fsync_warning_threshold_ms = 1000;
  std::string force_sync = "yes";
  int32_t snap_retain_count = 3;
  int32_t purge_interval_h = 0;
  int32_t global_outstanding_limit = 1000;
  int32_t jute_max_buffer = 1048575;
  int32_t sessionless_timeout_ms = 10000;
  std::string skip_acl = "no";
  std::string super_digest;  // "user:digest" or empty
  std::string digest_algorithm = "SHA1";
  bool digest_auth_enabled = true;
  bool enforce_auth = false;
  std::string enforce_schemes_text;
  bool require_sasl = false;
  std::vector<std::string> enforce_schemes;  // of both; empty unless enforced
  bool enforce_quota = false;
  bool close_session_txn = true;
  bool digest_enabled = true;
  bool serialize_last_zxid = true;
  bool trust_empty_snapshot = false;
  bool db_autocreate = true;
  bool datadir_autocreate = true;
  bool extended_types = false;
  std::string whitelist = "srvr";  // four-letter words, "*" for all
  int32_t container_check_interval_ms = 60000;
  int32_t container_max_per_minute = 10000;
  int64_t container_max_never_used_ms = 0;
  std::string metrics_provider;  // class name; a Prometheus one opens metrics_port
  int32_t metrics_port = 7000;
  std::string metrics_host;
  // Requests held back, and how (request_throttle_*, throttled_op_wait_time, largeRequest*).
  int32_t throttle_max_requests = 0;  // 0: off
  bool throttle_drop_stale = true;
  bool stale_latency_check = false;
  int32_t throttled_op_wait_ms = 0;
  int32_t large_request_max_bytes = 100 << 20;
  int32_t large_request_threshold = -1;
  // Connections held back (connection_throttle_*).
  int32_t connect_tokens = 0;
  int32_t connect_fill_time_ms = 1;
  int32_t connect_fill_count = 1;
  int32_t connect_freeze_time_ms = -1;
  double connect_drop_increase = 0.02;
  double connect_drop_decrease = 0.002;
  double connect_decrease_ratio = 0;
  bool connect_weighted = false;
  int32_t connect_global_weight = 3;
  int32_t connect_local_weight = 1;
  int32_t connect_renew_weight = 2;
  std::string snapshot_compression;  // "", "gz" or "snappy"
  // The HTTP administration server.
  bool admin_enabled = false;
  int32_t admin_port = 8080;
  std::string admin_address = "0.0.0.0";
  std::string admin_url = "/commands";
  int32_t admin_idle_timeout_ms = 30000;
  bool admin_snapshot_enabled = true;
  bool admin_restore_enabled = true;
  int32_t admin_rate_limit_ms = 300000;
  // For the operator's pages: the file as it was read, and the keys with their values.
  std::string initial_text;
  std::vector<std::pair<std::string, std::string>> settings;

  bool metrics_enabled() const { return metrics_provider.find("Prometheus") != std::string::npos; }
};

std::span<const config::Key<ServerConfig>> server_keys();

struct LoadedConfig {
  ServerConfig config;
  std::vector<std::string> warnings;  // whole lines
};
// `overrides`: KEY=VALUE, "zookeeper." before the key optional, as given by -D flags; the file wins,
// as it does with Apache. Errors are one line, naming source, key, value and what is allowed.
Result<LoadedConfig> load_config(std::string_view text, const std::string& source,
                                 const std::vector<std::string>& overrides = {});
// The other form of Apache's command line: PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]].
Result<LoadedConfig> config_of_arguments(const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& overrides = {});

}  // namespace ottla::zk
