// The metrics of a broker, one line each: Kafka's name, Prometheus' name, what it counts.
#include "broker/api/handlers.h"
#include "broker/server/broker.h"
#include "common/base/log.h"

namespace ottla::broker {

using metrics::Labels;
using metrics::Row;
using metrics::Sample;
using metrics::Type;

namespace {

constexpr log::Room kLog{"broker"};

// Read when asked for; a broker that is not up yet has all its parts missing.
struct FigureRow {
  Row row;
  double (*read)(Broker& broker);
};

ReplicaCounters counters(Broker& broker) {
  return broker.replicas() ? broker.replicas()->counters() : ReplicaCounters{};
}
template <class Count>
double count_partitions(Broker& broker, Count count) {
  double total = 0;
  if (broker.replicas())
    broker.replicas()->for_each([&](Partition& partition) { total += count(partition) ? 1 : 0; });
  return total;
}

constexpr FigureRow kFigures[] = {
    {{"kafka.server:type=KafkaServer,name=BrokerState", "kafka_server_kafkaserver_brokerstate",
      Type::gauge, "", "0 not running, 1 starting, 2 recovery, 3 running, 7 shutting down."},
     [](Broker& b) { return static_cast<double>(b.state()); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec",
      "kafka_server_brokertopicmetrics_messagesin_total", Type::counter, "",
      "Records appended, those of coordinators too."},
     [](Broker& b) { return static_cast<double>(counters(b).messages_in); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
      "kafka_server_brokertopicmetrics_bytesin_total", Type::counter, "bytes",
      "Bytes of record batches appended, those of coordinators too."},
     [](Broker& b) { return static_cast<double>(counters(b).bytes_in); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec",
      "kafka_server_brokertopicmetrics_bytesout_total", Type::counter, "bytes",
      "Bytes of record batches sent to consumers."},
     [](Broker& b) { return static_cast<double>(counters(b).bytes_out); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=BytesRejectedPerSec",
      "kafka_server_brokertopicmetrics_bytesrejected_total", Type::counter, "bytes",
      "Bytes of record batches refused for their size."},
     [](Broker& b) { return static_cast<double>(counters(b).bytes_rejected); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec",
      "kafka_server_brokertopicmetrics_totalproducerequests_total", Type::counter, "",
      "Partitions of produce requests."},
     [](Broker& b) { return static_cast<double>(counters(b).produce_partitions); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec",
      "kafka_server_brokertopicmetrics_failedproducerequests_total", Type::counter, "",
      "Partitions of produce requests that were refused."},
     [](Broker& b) { return static_cast<double>(counters(b).failed_produce); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec",
      "kafka_server_brokertopicmetrics_totalfetchrequests_total", Type::counter, "",
      "Partitions of fetch requests."},
     [](Broker& b) { return static_cast<double>(counters(b).fetch_partitions); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=ProduceMessageConversionsPerSec",
      "kafka_server_brokertopicmetrics_producemessageconversions_total", Type::counter, "",
      "Produced records written anew: of an old format, or for the topic's compression.type."},
     [](Broker& b) { return static_cast<double>(counters(b).produce_conversions); }},
    {{"kafka.server:type=BrokerTopicMetrics,name=FetchMessageConversionsPerSec",
      "kafka_server_brokertopicmetrics_fetchmessageconversions_total", Type::counter, "",
      "Records written anew in an old format for an old consumer."},
     [](Broker& b) { return static_cast<double>(counters(b).fetch_conversions); }},
    {{"kafka.server:type=ReplicaManager,name=PartitionCount",
      "kafka_server_replicamanager_partitioncount", Type::gauge, "", "Partitions on this broker."},
     [](Broker& b) { return count_partitions(b, [](Partition&) { return true; }); }},
    {{"kafka.server:type=ReplicaManager,name=LeaderCount",
      "kafka_server_replicamanager_leadercount", Type::gauge, "", "Partitions led by this broker."},
     [](Broker& b) {
       return count_partitions(b, [](Partition& p) { return p.is_leader() && p.log(); });
     }},
    {{"kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
      "kafka_server_replicamanager_underreplicatedpartitions", Type::gauge, "",
      "Led partitions with fewer in-sync replicas than replicas."},
     [](Broker& b) {
       return count_partitions(b, [](Partition& p) {
         return p.is_leader() && p.log() && p.state().isr.size() < p.state().replicas.size();
       });
     }},
    {{"kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount",
      "kafka_server_replicamanager_underminisrpartitioncount", Type::gauge, "",
      "Led partitions with fewer in-sync replicas than min.insync.replicas."},
     [](Broker& b) {
       return count_partitions(
           b, [](Partition& p) { return p.is_leader() && p.log() && !p.has_min_isr(); });
     }},
    {{"kafka.server:type=ReplicaManager,name=OfflineReplicaCount",
      "kafka_server_replicamanager_offlinereplicacount", Type::gauge, "",
      "Partitions in log directories that are offline."},
     [](Broker& b) { return count_partitions(b, [](Partition& p) { return !p.log(); }); }},
    {{"kafka.log:type=LogManager,name=OfflineLogDirectoryCount",
      "kafka_log_logmanager_offlinelogdirectorycount", Type::gauge, "",
      "Log directories that are offline."},
     [](Broker& b) {
       double offline = 0;
       if (b.replicas())
         for (const LogDirInfo& dir : b.replicas()->logs().dirs()) offline += dir.online ? 0 : 1;
       return offline;
     }},
    {{"kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation=Fetch",
      "kafka_server_delayedoperationpurgatory_purgatorysize_fetch", Type::gauge, "",
      "Fetches that wait for records."},
     [](Broker& b) {
       return b.replicas() ? static_cast<double>(b.replicas()->fetch_purgatory().size()) : 0;
     }},
    {{"kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation=Produce",
      "kafka_server_delayedoperationpurgatory_purgatorysize_produce", Type::gauge, "",
      "Produce requests that wait for replication or a flush."},
     [](Broker& b) {
       return b.replicas() ? static_cast<double>(b.replicas()->produce_purgatory().size()) : 0;
     }},
    {{"kafka.controller:type=KafkaController,name=ActiveControllerCount",
      "kafka_controller_kafkacontroller_activecontrollercount", Type::gauge, "",
      "1 on the controller."},
     [](Broker& b) { return b.is_active_controller() ? 1.0 : 0.0; }},
    {{"kafka.controller:type=KafkaController,name=GlobalTopicCount",
      "kafka_controller_kafkacontroller_globaltopiccount", Type::gauge, "", "Topics."},
     [](Broker& b) { return static_cast<double>(b.metadata()->topics().size()); }},
    {{"kafka.controller:type=KafkaController,name=ActiveBrokerCount",
      "kafka_controller_kafkacontroller_activebrokercount", Type::gauge, "", "Live brokers."},
     [](Broker& b) { return static_cast<double>(b.metadata()->brokers().size()); }},
    {{"kafka.server:type=SessionExpireListener,name=ZooKeeperExpiresPerSec",
      "kafka_server_sessionexpirelistener_zookeeperexpires_total", Type::counter, "",
      "ZooKeeper sessions that expired."},
     [](Broker& b) { return static_cast<double>(b.figures().session_expirations); }},
};

constexpr Row kConnections = {"kafka.server:type=socket-server-metrics (connection-count)",
                              "kafka_server_socketserver_connection_count", Type::gauge, "",
                              "Client connections."};
constexpr Row kConnectionBytes = {"kafka.server:type=socket-server-metrics (incoming-byte-total)",
                                  "kafka_server_socketserver_incoming_bytes_total", Type::counter,
                                  "bytes", "Bytes read from clients."};
constexpr Row kGarbage = {"", "ottla_broker_connections_closed_for_garbage_total", Type::counter,
                          "", "Connections closed because they sent what is no request."};
constexpr Row kMemory = {"kafka.network:type=SocketServer,name=MemoryPoolUsed",
                         "kafka_network_socketserver_memorypoolused", Type::gauge, "bytes",
                         "Bytes of requests in memory."};
constexpr Row kIdleKilled = {"kafka.network:type=SocketServer,name=ExpiredConnectionsKilledCount",
                             "kafka_network_socketserver_expiredconnectionskilledcount",
                             Type::counter, "", "Connections closed for being idle."};
constexpr Row kRequests = {"kafka.network:type=RequestMetrics,name=RequestsPerSec,request=",
                           "kafka_network_requestmetrics_requests_total", Type::counter, "",
                           "Requests answered."};
constexpr Row kTotalTime = {"kafka.network:type=RequestMetrics,name=TotalTimeMs,request=",
                            "kafka_network_requestmetrics_totaltime_us", Type::histogram, "us",
                            "From the last byte of a request to its answer."};
constexpr Row kGroups = {"kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups",
                         "kafka_coordinator_group_groupmetadatamanager_numgroups", Type::gauge, "",
                         "Groups on this broker, by state."};
constexpr Row kOffsets = {"kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets",
                          "kafka_coordinator_group_groupmetadatamanager_numoffsets", Type::gauge,
                          "", "Committed offsets on this broker."};
constexpr Row kCommits = {"kafka.server:type=group-coordinator-metrics (offset-commit-count)",
                          "kafka_server_group_coordinator_metrics_offset_commits_total",
                          Type::counter, "", "Offsets committed."};
constexpr Row kSessions = {"kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions",
                           "kafka_server_fetchsessioncache_numincrementalfetchsessions",
                           Type::gauge, "", "Incremental fetch sessions."};
constexpr Row kLogEnd = {"kafka.log:type=Log,name=LogEndOffset", "kafka_log_log_logendoffset",
                         Type::gauge, "", "Next offset to be written."};
constexpr Row kLogStart = {"kafka.log:type=Log,name=LogStartOffset", "kafka_log_log_logstartoffset",
                           Type::gauge, "", "First offset that can be read."};
constexpr Row kLogSize = {"kafka.log:type=Log,name=Size", "kafka_log_log_size", Type::gauge,
                          "bytes", "Bytes of a partition's segments."};

template <class Read>
std::vector<Sample> per_log(Broker& broker, Read read) {
  std::vector<Sample> samples;
  if (broker.replicas() == nullptr) return samples;
  broker.replicas()->logs().for_each([&](PartitionLog& log) {
    samples.push_back(
        {{{"topic", log.tp().topic}, {"partition", std::to_string(log.tp().partition)}},
         static_cast<double>(read(log))});
  });
  return samples;
}

}  // namespace

void Broker::register_metrics() {
  for (const FigureRow& figure : kFigures)
    registry_.samples(figure.row,
                      [this, &figure] { return std::vector<Sample>{{{}, figure.read(*this)}}; });
  auto one = [this](const Row& row, auto read) {
    registry_.samples(row, [this, read] {
      return std::vector<Sample>{{{}, port_ && groups_ ? static_cast<double>(read(*this)) : 0}};
    });
  };
  one(kConnections, [](Broker& b) { return b.port_->connection_count(); });
  one(kConnectionBytes, [](Broker& b) { return b.port_->counters().bytes_in; });
  one(kGarbage, [](Broker& b) { return b.port_->counters().closed_for_garbage; });
  one(kMemory, [](Broker& b) { return b.port_->memory_used(); });
  one(kIdleKilled, [](Broker& b) { return b.port_->idle_closed(); });
  one(kOffsets, [](Broker& b) { return b.groups_->counts().offsets; });
  one(kCommits, [](Broker& b) { return b.groups_->counts().commits; });
  one(kSessions, [](Broker& b) { return b.sessions_->session_count(); });
  registry_.samples(kGroups, [this] {
    GroupService::Counts c = groups_ ? groups_->counts() : GroupService::Counts{};
    auto as = [](const char* state, size_t count) {
      return Sample{{{"state", state}}, static_cast<double>(count)};
    };
    return std::vector<Sample>{as("Empty", c.empty), as("PreparingRebalance", c.preparing),
                               as("CompletingRebalance", c.completing), as("Stable", c.stable),
                               as("Dead", c.dead)};
  });
  for (const ApiHandler& handler : api_handlers()) {
    auto& figures = figures_.by_api[static_cast<size_t>(handler.key)];
    std::string name;
    for (const kmsg::ApiInfo& info : kmsg::kApis)
      if (info.key == handler.key) name = info.name;
    registry_.counter(kRequests, figures.requests, {{"request", name}});
    registry_.histogram(kTotalTime, figures.total_us, {{"request", name}});
  }
  registry_.samples(kLogEnd,
                    [this] { return per_log(*this, [](auto& log) { return log.leo(); }); });
  registry_.samples(kLogStart, [this] {
    return per_log(*this, [](auto& log) { return log.log_start_offset(); });
  });
  registry_.samples(kLogSize, [this] {
    return per_log(*this, [](auto& log) { return log.stats().size_bytes; });
  });
}

Result<void> Broker::start_metrics() {
  if (config_.metrics_port == 0) return {};
  http_ = std::make_unique<metrics::HttpServer>(world_);
  http_->route("/metrics", [this](const metrics::HttpRequest&) {
    metrics::HttpResponse page;
    page.content_type = metrics::kPrometheusContentType;
    page.body = registry_.prometheus();
    return page;
  });
  auto started = http_->start({"", static_cast<uint16_t>(config_.metrics_port)});
  if (!started)
    return fail(started.error().code,
                config_.source + ": ottla.metrics.port=" + std::to_string(config_.metrics_port) +
                    ": " + started.error().context + "; choose another port, or 0 for none");
  log::info(kLog, "metrics are served", "url=http://localhost:{}/metrics", config_.metrics_port);
  return {};
}

}  // namespace ottla::broker
