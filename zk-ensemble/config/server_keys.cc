// The table of zoo.cfg keys. Rows without a member are known, and have no effect yet.
#include "zk-ensemble/config/server_config.h"

namespace ottla::zk {
namespace {

using config::Key;
using config::Type;
using C = ServerConfig;
using K = Key<ServerConfig>;

constexpr const char* kYesNo = "yes,no";
constexpr int64_t kInt32Max = INT32_MAX;

consteval config::KeyInfo number(const char* name, const char* fallback, int64_t min, int64_t max,
                                 const char* doc) {
  return {.name = name, .type = max > kInt32Max ? Type::int64 : Type::int32, .default_text = fallback,
          .min = min, .max = max, .doc = doc};
}
consteval config::KeyInfo text(const char* name, const char* fallback, const char* doc,
                               const char* one_of = nullptr) {
  return {.name = name, .type = Type::string, .default_text = fallback, .one_of = one_of, .doc = doc};
}
consteval config::KeyInfo flag(const char* name, const char* fallback, const char* doc) {
  return {.name = name, .type = Type::boolean, .default_text = fallback, .doc = doc};
}
consteval config::KeyInfo real(const char* name, const char* fallback, const char* doc) {
  return {.name = name, .type = Type::float64, .default_text = fallback, .min = 0, .max = kInt32Max, .doc = doc};
}
consteval config::KeyInfo compression(const char* name, const char* doc) {
  return {.name = name, .type = Type::string, .default_text = "",
          .valid = [](std::string_view method) { return method.empty() || method == "gz" || method == "snappy"; },
          .valid_text = "gz, snappy or empty", .doc = doc};
}
// Apache's server does not start with a class that it has not got.
consteval config::KeyInfo metrics_provider(const char* name, const char* doc) {
  return {.name = name, .type = Type::string, .default_text = "",
          .valid = [](std::string_view provider) {
            return provider.empty() || provider.find("Prometheus") != provider.npos ||
                   provider == "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider" ||
                   provider == "org.apache.zookeeper.metrics.impl.NullMetricsProvider";
          },
          .valid_text = "Apache's PrometheusMetricsProvider, DefaultMetricsProvider or NullMetricsProvider",
          .doc = doc};
}
// Known by name only.
consteval K later(const char* name, const char* fallback = nullptr) {
  return K{text(name, fallback, "Not effective yet.")};
}

const K kKeys[] = {
    {number("tickTime", "3000", 1, kInt32Max, "Length of a tick in ms; the unit of all other times."),
     &C::tick_time_ms},
    {text("dataDir", nullptr, "Where snapshots and myid live, and the logs unless dataLogDir is set."),
     &C::data_dir},
    {text("dataLogDir", nullptr, "Where transaction logs live."), &C::data_log_dir},
    {number("clientPort", nullptr, 0, 65535, "Port for clients."), &C::client_port},
    {text("clientPortAddress", nullptr, "Address to listen on for clients; all when not set."),
     &C::client_port_address},
    {number("clientPortListenBacklog", "-1", -1, kInt32Max, "Shown by conf; the system decides."),
     &C::client_port_listen_backlog},
    {number("maxClientCnxns", "60", INT32_MIN, kInt32Max, "Connections from one address; 0 or less is no limit."),
     &C::max_client_cnxns},
    {number("maxCnxns", "0", 0, kInt32Max, "Connections in all; 0 is no limit."), &C::max_cnxns},
    {number("minSessionTimeout", "-1", -1, kInt32Max, "Least session timeout in ms; -1: 2 ticks."),
     &C::min_session_timeout_ms},
    {number("maxSessionTimeout", "-1", -1, kInt32Max, "Greatest session timeout in ms; -1: 20 ticks."),
     &C::max_session_timeout_ms},
    {number("snapCount", "100000", INT32_MIN, kInt32Max, "Transactions between two snapshots, at most; at least 2."),
     &C::snap_count},
    {number("snapSizeLimitInKb", "4194304", INT64_MIN, INT64_MAX,
            "Log bytes between two snapshots, at most; 0 or less is no limit."),
     &C::snap_size_limit_kb},
    {number("preAllocSize", "65536", 0, INT64_MAX >> 10, "KB by which a log file grows."),
     &C::pre_alloc_size_kb},
    {number("txnLogSizeLimitInKb", "-1", INT64_MIN, INT64_MAX >> 10,
            "A log file larger than this is not appended to; 0 or less is no limit."),
     &C::txn_log_size_limit_kb},
    {number("fsync.warningthresholdms", "1000", 0, INT64_MAX / 1'000'000, "A sync slower than this is counted and logged."),
     &C::fsync_warning_threshold_ms},
    {text("forceSync", "yes", "no: acknowledge without waiting for the disk. Loses data.", kYesNo),
     &C::force_sync},
    {number("autopurge.snapRetainCount", "3", 0, kInt32Max, "Snapshots kept by the purge; at least 3."),
     &C::snap_retain_count},
    {number("autopurge.purgeInterval", "0", INT32_MIN, kInt32Max, "Hours between purges; 0 is never."),
     &C::purge_interval_h},
    {number("globalOutstandingLimit", "1000", 0, kInt32Max,
            "Requests in process above which connections that have one are not read."),
     &C::global_outstanding_limit},
    {number("jute.maxbuffer", "1048575", 1, kInt32Max, "Largest request in bytes."),
     &C::jute_max_buffer},
    {number("nio.sessionlessCnxnTimeout", "10000", 1, kInt32Max,
            "ms after which a connection without a session is closed."),
     &C::sessionless_timeout_ms},
    {text("skipACL", "no", "yes: every client may do everything.", kYesNo), &C::skip_acl},
    {text("DigestAuthenticationProvider.superDigest", "", "super:<digest> of the superuser."),
     &C::super_digest},
    {flag("enforceQuota", "false", "Refuse writes over a hard quota."), &C::enforce_quota},
    {flag("closeSessionTxn.enabled", "true", "List a session's ephemerals in its close."),
     &C::close_session_txn},
    {flag("digest.enabled", "true", "Tree digests in log and snapshots."), &C::digest_enabled},
    {flag("serializeLastProcessedZxid.enabled", "true", "The third section of snapshots."),
     &C::serialize_last_zxid},
    {flag("snapshot.trust.empty", "false", "Start on logs alone, without a snapshot."),
     &C::trust_empty_snapshot},
    {flag("db.autocreate", "true", "Start with an empty tree when there is none."), &C::db_autocreate},
    {flag("datadir.autocreate", "true", "Create missing directories."), &C::datadir_autocreate},
    {flag("extendedTypesEnabled", "false", "TTL nodes."), &C::extended_types},
    {text("4lw.commands.whitelist", "srvr", "Four-letter words answered: a list, or *."), &C::whitelist},
    {number("znode.container.checkIntervalMs", "60000", 1, kInt32Max, "Between looks for empty containers."),
     &C::container_check_interval_ms},
    {number("znode.container.maxPerMinute", "10000", 1, kInt32Max, "Containers removed a minute."),
     &C::container_max_per_minute},
    {number("znode.container.maxNeverUsedIntervalMs", "0", 0, INT64_MAX, "Age at which a container that never had children is removed; 0 is never."),
     &C::container_max_never_used_ms},
    {metrics_provider("metricsProvider.className", "A class name with Prometheus in it opens httpPort."),
     &C::metrics_provider},
    {number("metricsProvider.httpPort", "7000", 0, 65535, "Port of GET /metrics."), &C::metrics_port},
    {text("metricsProvider.httpHost", "0.0.0.0", "Address of GET /metrics."), &C::metrics_host},
    {text("DigestAuthenticationProvider.digestAlg", "SHA1", "Hash of digest ids: a name that Java and OpenSSL know."),
     &C::digest_algorithm},
    {flag("DigestAuthenticationProvider.enabled", "true", "Clients may authenticate by digest."), &C::digest_auth_enabled},
    {flag("enforce.auth.enabled", "false", "Serve only clients with an id of enforce.auth.schemes."), &C::enforce_auth},
    {text("enforce.auth.schemes", "", "Comma-separated: digest, ip."), &C::enforce_schemes_text},
    {flag("sessionRequireClientSASLAuth", "false", "Not to be had without SASL."), &C::require_sasl},
    {number("request_throttle_max_requests", "0", 0, kInt32Max, "Requests in process; others wait. 0 is no limit."),
     &C::throttle_max_requests},
    {flag("request_throttle_drop_stale", "true", "Drop requests that became stale while they waited."),
     &C::throttle_drop_stale},
    {flag("request_stale_latency_check", "false", "A request that waited longer than its session's timeout is stale."),
     &C::stale_latency_check},
    {number("throttled_op_wait_time", "0", 0, kInt32Max, "ms; a request that waited longer is answered THROTTLEDOP. 0 is never."),
     &C::throttled_op_wait_ms},
    {number("largeRequestMaxBytes", "104857600", INT32_MIN, kInt32Max, "Bytes of large requests in process together."),
     &C::large_request_max_bytes},
    {number("largeRequestThreshold", "-1", INT32_MIN, kInt32Max, "Requests above it are large; -1: none is."),
     &C::large_request_threshold},
    {number("connection_throttle_tokens", "0", 0, kInt32Max, "Sessions that may be asked for at once; 0 is no limit."),
     &C::connect_tokens},
    {number("connection_throttle_fill_time", "1", 1, kInt32Max, "ms in which connection_throttle_fill_count tokens come back."),
     &C::connect_fill_time_ms},
    {number("connection_throttle_fill_count", "1", 0, kInt32Max, "Tokens that come back in connection_throttle_fill_time."),
     &C::connect_fill_count},
    {number("connection_throttle_freeze_time", "-1", -1, kInt32Max, "ms between changes of the chance to be refused; -1: none is, while there are tokens."),
     &C::connect_freeze_time_ms},
    {real("connection_throttle_drop_increase", "0.02", "By how much that chance grows while no token is left."),
     &C::connect_drop_increase},
    {real("connection_throttle_drop_decrease", "0.002", "By how much it shrinks."), &C::connect_drop_decrease},
    {real("connection_throttle_decrease_ratio", "0", "Share of the tokens that may be in use when it shrinks."),
     &C::connect_decrease_ratio},
    {flag("connection_throttle_weight_enabled", "false", "Sessions cost tokens by their kind."), &C::connect_weighted},
    {number("connection_throttle_global_session_weight", "3", INT32_MIN, kInt32Max, "Tokens of a new session."),
     &C::connect_global_weight},
    {number("connection_throttle_local_session_weight", "1", INT32_MIN, kInt32Max, "Tokens of a local session."),
     &C::connect_local_weight},
    {number("connection_throttle_renew_session_weight", "2", INT32_MIN, kInt32Max, "Tokens of a session that is taken up again."),
     &C::connect_renew_weight},
    {compression("snapshot.compression.method", "How snapshots are written; all forms are read."),
     &C::snapshot_compression},
    {flag("admin.enableServer", "true", "HTTP commands on admin.serverPort."), &C::admin_enabled},
    {number("admin.serverPort", "8080", 0, 65535, "Port of the HTTP commands."), &C::admin_port},
    {text("admin.serverAddress", "0.0.0.0", "Address of the HTTP commands."), &C::admin_address},
    {text("admin.commandURL", "/commands", "Where the HTTP commands are."), &C::admin_url},
    {number("admin.idleTimeout", "30000", 1, kInt32Max, "ms after which an idle HTTP connection is closed."),
     &C::admin_idle_timeout_ms},
    {flag("admin.snapshot.enabled", "true", "The snapshot command."), &C::admin_snapshot_enabled},
    {flag("admin.restore.enabled", "true", "The restore command."), &C::admin_restore_enabled},
    {number("admin.rateLimiterIntervalInMS", "300000", 0, kInt32Max, "Between two restores (and, a thousand times shorter, two snapshots)."),
     &C::admin_rate_limit_ms},
    // What a quorum, TLS and later issues give meaning to.
    later("initLimit"), later("syncLimit"), later("connectToLearnerMasterLimit"), later("electionAlg", "3"),
    later("leaderServes", "yes"), later("peerType", "participant"), later("quorumListenOnAllIPs", "false"),
    later("standaloneEnabled", "true"), later("reconfigEnabled", "false"), later("syncEnabled", "true"),
    later("observerMasterPort", "0"), later("localSessionsEnabled", "false"),
    later("localSessionsUpgradingEnabled", "false"), later("sslQuorum", "false"),
    later("portUnification", "false"), later("sslQuorumReloadCertFiles", "false"),
    later("quorum.auth.enableSasl", "false"), later("quorum.auth.serverRequireSasl", "false"),
    later("quorum.auth.learnerRequireSasl", "false"), later("quorum.auth.learner.saslLoginContext"),
    later("quorum.auth.server.saslLoginContext"), later("quorum.auth.kerberos.servicePrincipal"),
    later("quorum.cnxn.threads.size", "20"), later("multiAddress.enabled", "false"),
    later("multiAddress.reachabilityCheckEnabled", "true"),
    later("multiAddress.reachabilityCheckTimeoutMs", "1000"), later("oraclePath"),
    later("secureClientPort"), later("secureClientPortAddress"), later("serverCnxnFactory"),
    later("jvm.pause.monitor", "false"), later("jvm.pause.sleep.time.ms"),
    later("jvm.pause.warn-threshold.ms"), later("jvm.pause.info-threshold.ms"),
    later("metricsProvider.exportJvmInfo", "true"), later("metricsProvider.numWorkerThreads", "1"),
    later("metricsProvider.maxQueueSize", "1000000"),
    later("metricsProvider.workerShutdownTimeoutMs", "1000"),
    later("admin.httpVersion", "11"), later("admin.portUnification", "false"),
    later("admin.forceHttps", "false"), later("admin.needClientAuth", "false"), later("audit.enable", "false"),
    later("commitLogCount", "500"), later("snapshotSizeFactor", "0.33"), later("flushDelay", "0"),
    later("maxWriteQueuePollTime"), later("maxBatchSize", "1000"), later("enableEagerACLCheck", "false"), later("forceSnapshotSync", "false"),
    later("emulate353TTLNodes", "false"), later("tcpKeepAlive", "false"),
    later("clientTcpKeepAlive", "false"),
    later("request_throttle_stall_time", "100"), later("request_throttler.shutdownTimeout", "10000"),
    later("request_stale_connection_check", "true"), later("maxResponseCacheSize", "400"),
    later("maxGetChildrenResponseCacheSize", "400"), later("readonlymode.enabled", "false"),
    later("jute.maxbuffer.extrasize"), later("client.portUnification", "false"),
    later("nio.numSelectorThreads"), later("nio.numWorkerThreads"), later("nio.directBufferBytes"),
    later("nio.shutdownTimeout", "5000"), later("intBufferStartingSizeBytes", "1024"),
    later("commitProcessor.numWorkerThreads"), later("commitProcessor.maxReadBatchSize", "-1"),
    later("commitProcessor.maxCommitBatchSize", "1"), later("cnxTimeout", "5000"),
    later("electionPortBindRetry", "3"), later("watchManagerName"), later("pathStats.enabled", "false"),
    later("messageTracker.Enabled", "false"), later("leader.maxConcurrentSnapSyncs", "10"),
    later("leader.maxConcurrentDiffSyncs", "100"), later("learner.asyncSending", "false"),
    later("fastleader.minNotificationInterval", "200"),
    later("fastleader.maxNotificationInterval", "60000"),
};

}  // namespace

std::span<const Key<ServerConfig>> server_keys() { return kKeys; }

}  // namespace ottla::zk
