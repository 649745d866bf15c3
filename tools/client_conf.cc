#include "tools/client_conf.h"

#include <fmt/core.h>
#include <signal.h>

#include <cstring>
#include <set>

#include "tools/report.h"

namespace ottla::tools {
namespace {

// Java's name -> librdkafka's, where they differ. Empty: there is nothing of the kind.
const std::map<std::string, std::string, std::less<>>& names() {
  static const std::map<std::string, std::string, std::less<>> table = {
      {"send.buffer.bytes", "socket.send.buffer.bytes"},
      {"receive.buffer.bytes", "socket.receive.buffer.bytes"},
      {"max.request.size", "message.max.bytes"},
      {"fetch.max.wait.ms", "fetch.wait.max.ms"},
      {"max.partition.fetch.bytes", "max.partition.fetch.bytes"},
      {"delivery.timeout.ms", "delivery.timeout.ms"},
      {"connections.max.idle.ms", "connections.max.idle.ms"},
      {"auto.commit.interval.ms", "auto.commit.interval.ms"},
      {"client.rack", "client.rack"},
      {"buffer.memory", ""},
      {"max.block.ms", ""},
      {"key.serializer", ""},
      {"value.serializer", ""},
      {"key.deserializer", ""},
      {"value.deserializer", ""},
      {"max.poll.records", ""},
      {"default.api.timeout.ms", ""},
      {"reconnect.backoff.max.ms", "reconnect.backoff.max.ms"},
  };
  return table;
}

// Values that Java spells in another way.
std::string translate_value(const std::string& key, const std::string& value) {
  if (key == "partition.assignment.strategy") {
    std::string strategies;
    std::string_view rest = value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      std::string_view one = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      std::string_view known = one.ends_with("RangeAssignor")               ? "range"
                               : one.ends_with("RoundRobinAssignor")        ? "roundrobin"
                               : one.ends_with("CooperativeStickyAssignor") ? "cooperative-sticky"
                                                                            : one;
      strategies += (strategies.empty() ? "" : ",") + std::string(known);
    }
    return strategies;
  }
  if (key == "auto.offset.reset" && value == "none") return "error";
  return value;
}

volatile sig_atomic_t caught = 0;

void on_error(rd_kafka_t* client, int code, const char* reason, void*) {
  auto error = static_cast<rd_kafka_resp_err_t>(code);
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return;  // each was told of already
  log_line("WARN",
           fmt::format("[{} clientId={}] {}",
                       rd_kafka_type(client) == RD_KAFKA_PRODUCER ? "Producer" : "Consumer",
                       rd_kafka_name(client), reason),
           "org.apache.kafka.clients.NetworkClient");
}

void on_log(const rd_kafka_t*, int level, const char* facility, const char* text) {
  // Connection failures come as errors, too.
  if (level > 4 || std::strcmp(facility, "FAIL") == 0) return;
  log_line("WARN", text, "librdkafka");
}

}  // namespace

bool apply_properties(rd_kafka_conf_t* conf, const Properties& properties,
                      std::string_view client) {
  for (const auto& [key, value] : properties) {
    auto known = names().find(key);
    std::string name = known == names().end() ? key : known->second;
    if (name.empty()) continue;
    char problem[512];
    std::string translated = translate_value(key, value);
    auto result =
        rd_kafka_conf_set(conf, name.c_str(), translated.c_str(), problem, sizeof problem);
    if (result == RD_KAFKA_CONF_UNKNOWN) {
      log_line("WARN", fmt::format("The configuration '{}' was supplied but isn't used.", key),
               client);
    } else if (result != RD_KAFKA_CONF_OK) {
      fmt::print(stderr,
                 "org.apache.kafka.common.config.ConfigException: Invalid value {} for "
                 "configuration {}: {}\n",
                 value, key, problem);
      return false;
    }
  }
  return true;
}

void quiet_logging(rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_error_cb(conf, on_error);
}

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { caught = signal; };  // no SA_RESTART: reads shall end
  (void)sigaction(SIGINT, &action, nullptr);
  (void)sigaction(SIGTERM, &action, nullptr);
  (void)signal(SIGPIPE, SIG_IGN);
}

int signal_caught() { return caught; }

}  // namespace ottla::tools
