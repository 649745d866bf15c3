// kafka-console-producer: every line of standard input becomes a record.
#include <errno.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tools/client_conf.h"
#include "tools/line_reader.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;

constexpr std::string_view kConfigLogger = "org.apache.kafka.clients.producer.ProducerConfig";
constexpr int64_t kForeverMs = int64_t{1} << 40;

const OptionParser& parser() {
  static const OptionParser instance({
      {"batch-size", "Bytes of records sent together to a partition (batch.size).",
       Argument::required, "size", Type::integer, "16384"},
      {"bootstrap-server", "REQUIRED: where to reach the cluster, as HOST1:PORT1,HOST2:PORT2.",
       Argument::required, "server to connect to"},
      {"broker-list", "The old name of --bootstrap-server.", Argument::required, "broker-list"},
      {"compression-codec", "none, gzip (without a value), snappy, lz4 or zstd.",
       Argument::optional, "compression-codec"},
      {"line-reader", "How lines become records; only the standard reader is there.",
       Argument::required, "reader_class", Type::text, "org.apache.kafka.tools.LineMessageReader"},
      {"max-block-ms", "How long a record may wait for space or metadata.", Argument::required,
       "max block on send", Type::long_integer, "60000"},
      {"max-memory-bytes", "Memory for records that wait to be sent.", Argument::required,
       "total memory in bytes", Type::long_integer, "33554432"},
      {"max-partition-memory-bytes", "Another name of --batch-size.", Argument::required,
       "memory in bytes per partition", Type::integer, "16384"},
      {"message-send-max-retries", "How often a failed send is tried again (retries).",
       Argument::required, "", Type::integer, "3"},
      {"metadata-expiry-ms", "How long metadata is believed (metadata.max.age.ms).",
       Argument::required, "metadata expiration interval", Type::long_integer, "300000"},
      {"producer-property", "A setting of the producer, key=value. May be repeated.",
       Argument::required, "producer_prop"},
      {"producer.config", "A properties file for the producer; --producer-property wins over it.",
       Argument::required, "config file"},
      {"property",
       "A setting of the line reader, key=value: parse.key, key.separator, parse.headers, "
       "headers.delimiter, headers.separator, headers.key.separator, ignore.error, null.marker.",
       Argument::required, "prop"},
      {"reader-config", "A properties file for the line reader; --property wins over it.",
       Argument::required, "config file"},
      {"request-required-acks", "Acknowledgements a send waits for (acks).", Argument::required,
       "request required acks", Type::text, "-1"},
      {"request-timeout-ms", "How long an acknowledgement may take.", Argument::required,
       "request timeout ms", Type::integer, "1500"},
      {"retry-backoff-ms", "Pause before a send is tried again.", Argument::required, "",
       Type::long_integer, "100"},
      {"socket-buffer-size", "Send buffer of sockets (send.buffer.bytes).", Argument::required,
       "size", Type::integer, "102400"},
      {"sync", "Send one record at a time, each acknowledged before the next."},
      {"timeout", "How long records wait for company, in ms (linger.ms). Apache's tool waits 1000.",
       Argument::required, "timeout_ms", Type::long_integer, "5"},
      {"topic", "REQUIRED: the topic to send to.", Argument::required, "topic"},
  });
  return instance;
}

// Lines of standard input, ended by \n, \r or \r\n as Java's readers take them.
class StandardInput {
 public:
  // False at the end of input or when a signal came.
  bool next_line(std::string& line) {
    line.clear();
    for (;;) {
      while (at_ < size_) {
        const char* begin = buffer_ + at_;
        size_t left = size_ - at_;
        if (skip_newline_) {
          skip_newline_ = false;
          if (*begin == '\n') {
            ++at_;
            continue;
          }
        }
        const char* end = find_end(begin, left);
        line.append(begin, static_cast<size_t>(end - begin));
        at_ += static_cast<size_t>(end - begin);
        if (end == begin + left) break;
        skip_newline_ = *end == '\r';
        ++at_;
        return true;
      }
      ssize_t got = ::read(STDIN_FILENO, buffer_, sizeof buffer_);
      if (got < 0 && errno == EINTR && signal_caught() == 0) continue;
      if (got <= 0) return signal_caught() == 0 && !line.empty();
      at_ = 0;
      size_ = static_cast<size_t>(got);
    }
  }

 private:
  static const char* find_end(const char* begin, size_t size) {
    const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', size));
    size_t before = newline ? static_cast<size_t>(newline - begin) : size;
    const auto* carriage = static_cast<const char*>(std::memchr(begin, '\r', before));
    return carriage ? carriage : begin + before;
  }

  char buffer_[256 * 1024];
  size_t at_ = 0;
  size_t size_ = 0;
  bool skip_newline_ = false;
};

struct Deliveries {
  bool sync = false;
  uint64_t done = 0;
  std::string sync_error;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& deliveries = *static_cast<Deliveries*>(opaque);
  ++deliveries.done;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  std::string why = rd_kafka_err2str(message->err);
  if (deliveries.sync) {
    deliveries.sync_error = why;
    return;
  }
  std::string key = message->key ? fmt::format("{} bytes", message->key_len) : "null";
  std::string value = message->payload ? fmt::format("{} bytes", message->len) : "null";
  log_line(
      "ERROR",
      fmt::format("Error when sending message to topic {} with key: {}, value: {} with error: {}",
                  rd_kafka_topic_name(message->rkt), key, value, why),
      "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback");
}

std::expected<Properties, std::string> producer_properties(const Options& options) {
  Properties properties;
  if (options.has("producer.config")) {
    auto loaded = load_properties(options.value("producer.config"));
    if (!loaded) return loaded;
    properties = std::move(*loaded);
  }
  auto extra = key_values(options.values("producer-property"));
  if (!extra) return extra;
  for (auto& [key, value] : *extra) properties[key] = value;

  std::string codec = "none";
  if (options.has("compression-codec")) codec = options.value("compression-codec");
  if (codec.empty()) codec = "gzip";
  if (codec != "none" && codec != "gzip" && codec != "snappy" && codec != "lz4" && codec != "zstd")
    return std::unexpected(fmt::format(
        "org.apache.kafka.common.config.ConfigException: Invalid value {} for "
        "configuration compression.type: String must be one of: none, gzip, snappy, lz4, "
        "zstd",
        codec));
  properties["compression.type"] = codec;
  properties.try_emplace("client.id", "console-producer");
  // On the command line an option wins over properties; its default does not.
  const std::pair<const char*, const char*> merged[] = {
      {"linger.ms", "timeout"},
      {"acks", "request-required-acks"},
      {"request.timeout.ms", "request-timeout-ms"},
      {"retries", "message-send-max-retries"},
      {"retry.backoff.ms", "retry-backoff-ms"},
      {"send.buffer.bytes", "socket-buffer-size"},
      {"batch.size", "batch-size"},
      {"batch.size", "max-partition-memory-bytes"},
      {"metadata.max.age.ms", "metadata-expiry-ms"},
      {"max.block.ms", "max-block-ms"},
  };
  for (const auto& [property, option] : merged)
    if (options.has(option) || !properties.contains(property))
      properties[property] = options.value(option);
  properties.try_emplace("delivery.timeout.ms", "120000");
  properties.try_emplace("max.request.size", "1048576");
  properties.try_emplace("partitioner", "murmur2_random");
  const std::string& acks = properties["acks"];
  if (acks != "all" && acks != "-1" && acks != "0" && acks != "1")
    return std::unexpected(fmt::format(
        "org.apache.kafka.common.config.ConfigException: Invalid value {} for configuration acks: "
        "String must be one of: all, -1, 0, 1",
        acks));
  // Java's default, as far as its conditions hold.
  if ((acks == "-1" || acks == "all") && properties["retries"] != "0" &&
      !properties.contains("max.in.flight.requests.per.connection"))
    properties.try_emplace("enable.idempotence", "true");
  properties["bootstrap.servers"] =
      options.value(options.has("bootstrap-server") ? "bootstrap-server" : "broker-list");
  return properties;
}

struct Production {
  rd_kafka_t* client = nullptr;
  const std::string topic;
  const int64_t max_block_ms;
  Deliveries& deliveries;
  bool is_topic_known = false;
};

// A first record waits for the topic's partitions, as Java's send() does: they may never come, and
// librdkafka would keep what is sent until its delivery times out.
rd_kafka_resp_err_t wait_for_topic(Production& run, int64_t deadline_ms) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(run.client, run.topic.c_str(), nullptr);
  if (handle == nullptr) return rd_kafka_last_error();
  auto error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
  while (signal_caught() == 0) {
    int64_t left_ms = deadline_ms - monotonic_ms();
    if (left_ms <= 0) break;
    const rd_kafka_metadata_t* metadata = nullptr;
    error = rd_kafka_metadata(run.client, 0, handle, &metadata,
                              static_cast<int>(std::min<int64_t>(left_ms, 500)));
    if (metadata != nullptr) {
      if (metadata->topic_cnt == 1) error = metadata->topics[0].err;
      run.is_topic_known = error == RD_KAFKA_RESP_ERR_NO_ERROR;
      rd_kafka_metadata_destroy(metadata);
    }
    bool may_come = error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                    error == RD_KAFKA_RESP_ERR__TRANSPORT ||
                    error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                    error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!may_come) break;
    (void)rd_kafka_poll(run.client, 50);
  }
  rd_kafka_topic_destroy(handle);
  return error;
}

rd_kafka_resp_err_t send(Production& run, const LineRecord& record) {
  int64_t deadline_ms = monotonic_ms() + run.max_block_ms;
  if (!run.is_topic_known)
    if (auto error = wait_for_topic(run, deadline_ms); error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return error;
  rd_kafka_headers_t* headers = nullptr;
  if (!record.headers.empty()) {
    headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers)
      (void)rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()),
                                value ? value->data() : nullptr,
                                value ? static_cast<ssize_t>(value->size()) : 0);
  }
  // Null is not empty, for keys and values alike.
  const char* key = record.key ? record.key->data() : nullptr;
  size_t key_size = record.key ? record.key->size() : 0;
  char* value = record.value ? const_cast<char*>(record.value->data()) : nullptr;
  size_t value_size = record.value ? record.value->size() : 0;
  for (;;) {
    auto error = rd_kafka_producev(
        run.client, RD_KAFKA_V_TOPIC(run.topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(value, value_size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL && monotonic_ms() < deadline_ms) {
      (void)rd_kafka_poll(run.client, 100);
      continue;
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && headers != nullptr)
      rd_kafka_headers_destroy(headers);
    return error;
  }
}

int produce(Production& run, LineReader reader) {
  auto input = std::make_unique<StandardInput>();
  bool prompt = ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
  std::string line;
  int code = 0;
  uint64_t sent = 0;
  for (;;) {
    if (prompt) {
      fmt::print(">");
      std::fflush(stdout);
    }
    if (!input->next_line(line)) break;
    auto record = reader.parse(line);
    if (!record) {
      fmt::print(stderr, "org.apache.kafka.common.KafkaException: {}\n", record.error());
      code = 1;
      break;
    }
    auto error = send(run, *record);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      log_line("ERROR",
               fmt::format("Error when sending message to topic {} with error: {}", run.topic,
                           rd_kafka_err2str(error)),
               "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback");
      if (run.deliveries.sync) return 1;
      continue;
    }
    ++sent;
    if (run.deliveries.sync) {
      (void)rd_kafka_flush(run.client, 0);
      while (run.deliveries.done < sent && signal_caught() == 0)
        (void)rd_kafka_poll(run.client, 100);
      if (!run.deliveries.sync_error.empty()) {
        fmt::print(stderr, "java.util.concurrent.ExecutionException: {}\n",
                   run.deliveries.sync_error);
        return 1;
      }
    } else {
      (void)rd_kafka_poll(run.client, 0);
    }
  }
  while (rd_kafka_outq_len(run.client) > 0) (void)rd_kafka_flush(run.client, 1000);
  return signal_caught() != 0 ? 128 + signal_caught() : code;
}

}  // namespace

int console_producer_main(std::span<const std::string> args) {
  auto parsed = parser().parse(args);
  if (!parsed) return usage(parser(), parsed.error());
  const Options& options = *parsed;
  if (auto done = help_or_version(
          parser(), options, args.empty(),
          "This tool helps to read data from standard input and publish it to Kafka."))
    return *done;
  if (!options.has("bootstrap-server") && !options.has("broker-list"))
    return usage(parser(), "Missing required option(s) [bootstrap-server]");
  if (!options.has("topic"))
    return usage(parser(), fmt::format("Missing required argument \"{}\"", bracketed("topic")));
  if (!parse_bootstrap(
          options.value(options.has("bootstrap-server") ? "bootstrap-server" : "broker-list")))
    return usage(parser(), "Please provide valid host:port like host1:9091,host2:9092\n ");

  Properties reader_properties;
  if (options.has("reader-config")) {
    auto loaded = load_properties(options.value("reader-config"));
    if (!loaded) {
      fmt::print(stderr, "java.io.FileNotFoundException: {}\n", loaded.error());
      return 1;
    }
    reader_properties = std::move(*loaded);
  }
  auto extra = key_values(options.values("property"));
  auto properties = producer_properties(options);
  if (!extra || !properties) {
    fmt::print(stderr, "{}\n", !extra ? extra.error() : properties.error());
    return 1;
  }
  for (auto& [key, value] : *extra) reader_properties[key] = value;
  auto reader = LineReader::make(reader_properties);
  if (!reader) {
    fmt::print(stderr, "org.apache.kafka.common.KafkaException: {}\n", reader.error());
    return 1;
  }

  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  quiet_logging(conf);
  Deliveries deliveries;
  deliveries.sync = options.has("sync");
  if (deliveries.sync) (*properties)["linger.ms"] = "0";
  rd_kafka_conf_set_opaque(conf, &deliveries);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  if (!apply_properties(conf, *properties, kConfigLogger)) {
    rd_kafka_conf_destroy(conf);
    return 1;
  }
  char problem[512];
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
  if (client == nullptr) {
    fmt::print(stderr, "org.apache.kafka.common.config.ConfigException: {}\n", problem);
    rd_kafka_conf_destroy(conf);
    return 1;
  }
  catch_signals();
  int64_t max_block_ms = std::strtoll((*properties)["max.block.ms"].c_str(), nullptr, 10);
  Production run{client, options.value("topic"), std::min(max_block_ms, kForeverMs), deliveries};
  int code = produce(run, std::move(*reader));
  rd_kafka_destroy(client);
  return code;
}

}  // namespace ottla::tools
