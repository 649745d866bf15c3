// One process, two servers: the ensemble on a thread of its own, the broker on the main thread, each on
// its own runtime. They share nothing but the process; the broker reaches the ensemble on the wire.
#include "standalone/standalone.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "broker/config/broker_config.h"
#include "broker/server/broker.h"
#include "common/base/log.h"
#include "common/config/properties.h"
#include "common/rt_asio/host_name.h"
#include "common/rt_asio/runtime.h"
#include "zk-ensemble/config/server_config.h"
#include "zk-ensemble/server/server.h"

namespace ottla::standalone {
namespace {

constexpr log::Room kLog{"standalone"};

constexpr const char* kUsage =
    "usage: ottla standalone [server.properties] [OPTION]...\n"
    "\n"
    "An ensemble of one and a broker in one process, with one data directory.\n"
    "\n"
    "  --data-dir DIR           where everything is kept (default ./ottla-data)\n"
    "  --host HOST              address to listen on and to advertise (default 127.0.0.1)\n"
    "  --port N                 the broker's port (default 9092; 0: any free one)\n"
    "  --zookeeper-port N       the ensemble's port (default 2181; 0: any free one)\n"
    "  --metrics-port N         GET /metrics: the broker's on N, the ensemble's on N+1 (default: none)\n"
    "  --ready-file FILE        written, with the addresses, once records are accepted\n"
    "  --override KEY=VALUE     a key of server.properties; may be repeated\n"
    "  --zookeeper-override KEY=VALUE   a key of zoo.cfg; may be repeated\n"
    "\n"
    "A server.properties may set any key of a broker but listeners, log.dirs and zookeeper.connect,\n"
    "which follow from the options above.\n";

constexpr std::string_view kFlags[] = {
    "--data-dir",     "--host",     "--port",     "--zookeeper-port",
    "--metrics-port", "--ready-file", "--override", "--zookeeper-override"};

struct Options {
  std::string file, data_dir = "ottla-data", host = "127.0.0.1", ready_file;
  int32_t port = 9092, zookeeper_port = 2181, metrics_port = 0;
  std::vector<std::string> overrides, zookeeper_overrides;
};

int complain(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  return 1;
}

Result<int32_t> parse_port(const std::string& flag, const std::string& text) {
  int32_t port = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > 65535)
    return fail(Errc::invalid, flag + "=" + text + ": must be an integer from 0 to 65535");
  return port;
}

Result<Options> parse_options(std::span<const std::string> args) {
  Options options;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string flag = args[i], value;
    if (!flag.starts_with("--")) {
      if (!options.file.empty()) return fail(Errc::invalid, "more than one file is given: " + flag);
      options.file = flag;
      continue;
    }
    size_t equals = flag.find('=');
    bool joined = equals != std::string::npos;
    if (joined) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
    }
    if (std::ranges::find(kFlags, flag) == std::end(kFlags))
      return fail(Errc::invalid, "unknown option " + flag + "; see ottla standalone --help");
    if (!joined && ++i == args.size())
      return fail(Errc::invalid, flag + " needs a value; see ottla standalone --help");
    if (!joined) value = args[i];
    if (flag == "--data-dir") options.data_dir = value;
    else if (flag == "--host") options.host = value;
    else if (flag == "--ready-file") options.ready_file = value;
    else if (flag == "--override") options.overrides.push_back(value);
    else if (flag == "--zookeeper-override") options.zookeeper_overrides.push_back(value);
    else if (flag == "--port") { OTTLA_ASSIGN(options.port, parse_port(flag, value)); }
    else if (flag == "--zookeeper-port") { OTTLA_ASSIGN(options.zookeeper_port, parse_port(flag, value)); }
    else { OTTLA_ASSIGN(options.metrics_port, parse_port(flag, value)); }
  }
  if (options.host.find(':') != std::string::npos && !options.host.starts_with('['))
    options.host = "[" + options.host + "]";
  return options;
}

Result<zk::ServerConfig> ensemble_config(const Options& options) {
  std::string text = fmt::format(
      "tickTime=2000\ndataDir={}/zookeeper\nclientPort={}\nclientPortAddress={}\nmaxClientCnxns=0\n"
      "4lw.commands.whitelist=*\nadmin.enableServer=false\n",
      options.data_dir, options.zookeeper_port, options.host);
  if (options.metrics_port > 0)
    text += fmt::format(
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n"
        "metricsProvider.httpHost={}\nmetricsProvider.httpPort={}\n",
        options.host, options.metrics_port + 1);
  for (const std::string& entry : options.zookeeper_overrides) text += entry + "\n";
  OTTLA_ASSIGN(zk::LoadedConfig loaded, zk::load_config(text, "--zookeeper-override"));
  for (const std::string& warning : loaded.warnings) log::warn(kLog, warning);
  return loaded.config;
}

// The keys that follow from the options are set last, but for --override, which wins over everything.
Result<broker::BrokerConfig> broker_config(rt::Disk& disk, const Options& options, uint16_t zookeeper_port) {
  config::Properties properties;
  properties.set("offsets.topic.replication.factor", "1", "standalone");
  properties.set("transaction.state.log.replication.factor", "1", "standalone");
  properties.set("transaction.state.log.min.isr", "1", "standalone");
  properties.set("group.initial.rebalance.delay.ms", "0", "standalone");
  if (!options.file.empty()) {
    auto text = rt::read_file(disk, options.file);
    if (!text) return fail(text.error().code, options.file + ": cannot be read: " + text.error().context);
    OTTLA_ASSIGN(config::Properties from_file, config::Properties::parse(*text, options.file));
    for (const config::Properties::Entry& entry : from_file.entries())
      properties.set(entry.key, entry.value, entry.source, entry.line);
  }
  if (!properties.get("broker.id")) properties.set("broker.id", "0", "standalone");
  properties.set("listeners", fmt::format("PLAINTEXT://{}:{}", options.host, options.port), "--port");
  properties.set("log.dirs", options.data_dir + "/kafka-logs", "--data-dir");
  properties.set("zookeeper.connect", fmt::format("{}:{}", options.host, zookeeper_port), "--zookeeper-port");
  if (options.metrics_port > 0)
    properties.set("ottla.metrics.port", std::to_string(options.metrics_port), "--metrics-port");
  for (const std::string& entry : options.overrides) {
    size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Errc::invalid, "--override=" + entry + ": must be KEY=VALUE");
    properties.set(entry.substr(0, equals), entry.substr(equals + 1), "--override");
  }
  OTTLA_ASSIGN(broker::LoadedConfig loaded, broker::load_broker_config(properties, "standalone"));
  for (const std::string& warning : loaded.warnings) log::warn(kLog, warning);
  return loaded.config;
}

// The ensemble on its own thread. Constructed, started and stopped from the main thread.
class EnsembleThread {
 public:
  explicit EnsembleThread(zk::ServerConfig config) : server_(runtime_.world(), std::move(config)) {}
  ~EnsembleThread() { stop(); }

  // `failed` is called on the ensemble's thread, once, when its log failed.
  Result<void> start(Fn<void(Error)> failed) {
    server_.on_fatal([this, failed = std::move(failed)](const Error& error) mutable {
      failed(error);
      runtime_.stop();
    });
    OTTLA_TRY(server_.start());
    port_ = server_.client_port();
    thread_ = std::thread([this] { runtime_.run(); });
    return {};
  }
  void stop() {
    if (!thread_.joinable()) return;
    runtime_.world().loop.post([this] { server_.shutdown([this] { runtime_.stop(); }); });
    thread_.join();
  }
  uint16_t port() const { return port_; }

 private:
  rt_asio::AsioRuntime runtime_;
  zk::Server server_;
  std::thread thread_;
  uint16_t port_ = 0;
};

std::string addresses(const Options& options, uint16_t port, uint16_t zookeeper_port) {
  std::string text = fmt::format("bootstrap.servers={0}:{1}\nzookeeper.connect={0}:{2}\n", options.host, port, zookeeper_port);
  if (options.metrics_port > 0)
    text += fmt::format("metrics=http://{0}:{1}/metrics http://{0}:{2}/metrics\n", options.host, options.metrics_port,
                        options.metrics_port + 1);
  return text;
}

int run(const Options& options) {
  rt_asio::AsioRuntime runtime;
  rt::World world = runtime.world();
  auto not_ready = [&] {
    if (!options.ready_file.empty()) (void)world.disk.remove(options.ready_file);
  };
  not_ready();
  if (auto made = world.disk.make_dirs(options.data_dir); !made)
    return complain(made.error().context + "; choose another --data-dir");

  auto zookeeper = ensemble_config(options);
  if (!zookeeper) return complain(zookeeper.error().context);
  int status = 0;
  std::optional<broker::Broker> broker;
  bool stopping = false;
  auto stop = [&] {
    if (std::exchange(stopping, true)) return;
    not_ready();
    broker->stop([&] { runtime.stop(); });
  };
  auto fail_with = [&](const Error& error) {
    complain(error.context);
    status = 1;
  };

  EnsembleThread ensemble(std::move(*zookeeper));
  auto started = ensemble.start([&](const Error& error) {
    world.loop.post([&, error] {  // the broker cannot say goodbye to an ensemble that is gone
      fail_with(error);
      not_ready();
      runtime.stop();
    });
  });
  if (!started) return complain(started.error().context);

  auto config = broker_config(world.disk, options, ensemble.port());
  if (!config) return complain(config.error().context);
  broker.emplace(world, std::move(*config), rt_asio::host_name);
  broker->on_failed([&](const Error& error) {
    fail_with(error);
    stop();
  });
  runtime.on_signal({SIGTERM, SIGINT, SIGHUP}, [&](int) { stop(); });
  broker->start([&](Result<void> up) {
    if (!up) {
      fail_with(up.error());
      return stop();
    }
    std::string text = addresses(options, broker->port(), ensemble.port());
    log::info(kLog, "ready", "bootstrap.servers={}:{} zookeeper.connect={}:{} data={}", options.host, broker->port(),
              options.host, ensemble.port(), options.data_dir);
    if (options.ready_file.empty()) return;
    if (auto written = rt::replace_file(world.disk, options.ready_file, as_bytes(text)); !written)
      log::warn(kLog, "the ready file cannot be written", "error={}", written.error().context);
  });
  runtime.run();
  broker.reset();
  ensemble.stop();
  return status;
}

}  // namespace

int standalone_main(std::span<const std::string> args) {
  for (const std::string& arg : args)
    if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
  auto options = parse_options(args);
  if (!options) return complain(options.error().context);
  return run(*options);
}

}  // namespace ottla::standalone
