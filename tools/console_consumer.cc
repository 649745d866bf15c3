// kafka-console-consumer: records of topics to standard output.
#include <fmt/core.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <set>

#include "tools/client_conf.h"
#include "tools/record_formatter.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;

constexpr std::string_view kLogger = "org.apache.kafka.tools.consumer.ConsoleConsumer";
constexpr std::string_view kConfigLogger = "org.apache.kafka.clients.consumer.ConsumerConfig";
constexpr std::string_view kDefaultFormatter =
    "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
constexpr size_t kBatch = 1000;

const OptionParser& parser() {
  static const OptionParser instance({
      {"bootstrap-server", "REQUIRED: where to reach the cluster, as host:port,host:port.",
       Argument::required, "server to connect to"},
      {"consumer-property", "A setting of the consumer, key=value. May be repeated.",
       Argument::required, "consumer_prop"},
      {"consumer.config", "A properties file for the consumer; --consumer-property wins over it.",
       Argument::required, "config file"},
      {"enable-systest-events", "Print a line when the consumer has shut down."},
      {"formatter",
       "How records are printed: DefaultMessageFormatter, LoggingMessageFormatter or "
       "NoOpMessageFormatter of org.apache.kafka.tools.consumer.",
       Argument::required, "class", Type::text, std::string(kDefaultFormatter)},
      {"formatter-config", "A properties file for the formatter; --property wins over it.",
       Argument::required, "config file"},
      {"from-beginning", "Where no offset is committed, begin with the first record there is."},
      {"group", "The consumer group to join.", Argument::required, "consumer group id"},
      {"include", "The topics whose names match.", Argument::required, "Java regex (String)"},
      {"isolation-level", "read_committed leaves out what transactions have not committed.",
       Argument::required, "", Type::text, "read_uncommitted"},
      {"key-deserializer", "How keys are to be read.", Argument::required, "deserializer for key"},
      {"max-messages", "End after so many records.", Argument::required, "num_messages",
       Type::integer},
      {"offset", "With --partition: an offset, or earliest, or latest.", Argument::required,
       "consume offset", Type::text, "latest"},
      {"partition", "The one partition to read, from its end unless --offset is given.",
       Argument::required, "partition", Type::integer},
      {"property",
       "A setting of the formatter, key=value: print.timestamp, print.key, print.offset, "
       "print.partition, print.headers, print.value, key.separator, line.separator, "
       "headers.separator, null.literal, key.deserializer, value.deserializer, "
       "headers.deserializer.",
       Argument::required, "prop"},
      {"skip-message-on-error", "Go on after a record that cannot be printed."},
      {"timeout-ms", "End when no record has come for so long.", Argument::required, "timeout_ms",
       Type::long_integer},
      {"topic", "The topic to read.", Argument::required, "topic"},
      {"value-deserializer", "How values are to be read.", Argument::required,
       "deserializer for values"},
      {"whitelist", "The old name of --include.", Argument::required, "Java regex (String)"},
  });
  return instance;
}

// -- Arguments -----------------------------------------------------------------------------------

struct Plan {
  Properties consumer;
  int64_t offset = RD_KAFKA_OFFSET_END;  // with --partition
};

// A message for the usage, or the plan.
std::expected<Plan, std::string> plan_of(const Options& options) {
  bool has_include = options.has("include") || options.has("whitelist");
  if (options.has("topic") == has_include)
    return std::unexpected(std::string("Exactly one of --include/--topic is required. ") +
                           (options.has("whitelist") ? "--whitelist is DEPRECATED use --include "
                                                       "instead; ignored if --include specified."
                                                     : ""));
  if (options.has("partition")) {
    if (!options.has("topic"))
      return std::unexpected("The topic is required when partition is specified.");
    if (options.has("from-beginning") && options.has("offset"))
      return std::unexpected("Options from-beginning and offset cannot be specified together.");
  } else if (options.has("offset")) {
    return std::unexpected("The partition is required when offset is specified.");
  }
  if (!options.has("bootstrap-server"))
    return std::unexpected(
        fmt::format("Missing required argument \"{}\"", bracketed("bootstrap-server")));

  Plan plan;
  std::set<std::string> groups;
  if (options.has("group")) groups.insert(options.value("group"));
  if (options.has("consumer.config")) {
    auto loaded = load_properties(options.value("consumer.config"));
    if (!loaded) return std::unexpected(loaded.error());
    plan.consumer = std::move(*loaded);
    if (plan.consumer.contains("group.id")) groups.insert(plan.consumer["group.id"]);
  }
  auto extra = key_values(options.values("consumer-property"));
  if (!extra) return std::unexpected(extra.error());
  if (extra->contains("group.id")) groups.insert(extra->at("group.id"));
  for (auto& [key, value] : *extra) plan.consumer[key] = value;
  if (groups.size() > 1) {
    std::vector<std::string> given(groups.begin(), groups.end());
    std::string list;
    for (const std::string& group : given)
      list += fmt::format("{}'{}'", list.empty() ? "" : ", ", group);
    return std::unexpected(fmt::format(
        "The group ids provided in different places (directly using '--group', via "
        "'--consumer-property', or via '--consumer.config') do not match. Detected group "
        "ids: {}",
        list));
  }
  if (!groups.empty() && options.has("partition"))
    return std::unexpected("Options group and partition cannot be specified together.");
  if (groups.empty()) {
    plan.consumer["group.id"] =
        fmt::format("console-consumer-{}", (monotonic_ms() * 31 + ::getpid()) % 100'000);
    plan.consumer.try_emplace("enable.auto.commit", "false");
  } else {
    plan.consumer["group.id"] = *groups.begin();
  }

  if (options.has("offset")) {
    std::string text = options.value("offset");
    char* end = nullptr;
    int64_t offset = std::strtoll(text.c_str(), &end, 10);
    if (strcasecmp(text.c_str(), "earliest") == 0)
      plan.offset = RD_KAFKA_OFFSET_BEGINNING;
    else if (strcasecmp(text.c_str(), "latest") == 0)
      plan.offset = RD_KAFKA_OFFSET_END;
    else if (text.empty() || *end != '\0' || offset < 0)
      return std::unexpected(
          fmt::format("The provided offset value '{}' is incorrect. Valid values are 'earliest', "
                      "'latest', or a non-negative long.",
                      text));
    else
      plan.offset = offset;
  } else if (options.has("from-beginning")) {
    plan.offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  plan.consumer["bootstrap.servers"] = options.value("bootstrap-server");
  plan.consumer.try_emplace("client.id", "console-consumer");
  if (options.has("isolation-level") || !plan.consumer.contains("isolation.level"))
    plan.consumer["isolation.level"] = options.value("isolation-level");
  plan.consumer.try_emplace("allow.auto.create.topics", "true");
  plan.consumer.try_emplace("check.crcs", "true");
  plan.consumer.try_emplace("topic.metadata.refresh.interval.ms", "3000");
  plan.consumer["enable.auto.offset.store"] = "false";  // store_offsets
  return plan;
}

// -- Consuming ------------------------------------------------------------------------------------

struct Consumption {
  rd_kafka_t* client = nullptr;
  const Options& options;
  const RecordFormatter& formatter;
  uint64_t messages = 0;
};

bool write_out(std::string& out) {
  std::string_view left = out;
  while (!left.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      fmt::print(stderr, "Unable to write to standard out, closing consumer.\n");
      return false;
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
  out.clear();
  return true;
}

// False: the run is over.
bool take(Consumption& run, const rd_kafka_message_t& message, std::string& out, int& code) {
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return true;
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    bool is_passing = message.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                      message.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                      message.err == RD_KAFKA_RESP_ERR__TRANSPORT ||
                      message.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (is_passing) {
      log_line("WARN", rd_kafka_message_errstr(&message), "org.apache.kafka.clients.NetworkClient");
      return true;
    }
    log_line("ERROR",
             fmt::format("Error processing message, terminating consumer process: {}",
                         rd_kafka_message_errstr(&message)),
             kLogger);
    return false;
  }
  ++run.messages;
  if (run.formatter.write(message, out)) return true;
  log_line("ERROR", "Error processing message: the deserializer cannot read it", kLogger);
  if (run.options.has("skip-message-on-error")) return true;
  code = 1;
  return false;
}

// What a group may commit: records that were printed, and those that were refused and told of. What
// was taken from librdkafka and not printed, because the reader of our output is slow or gone,
// stays.
void store_offsets(std::span<rd_kafka_message_t* const> passed) {
  std::map<std::pair<rd_kafka_topic_t*, int32_t>, int64_t> last;
  for (const rd_kafka_message_t* message : passed)
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
      last[{message->rkt, message->partition}] = message->offset;
  // Refused for a partition that was taken away meanwhile: its next owner reads these once more.
  for (const auto& [partition, offset] : last)
    (void)rd_kafka_offset_store(partition.first, partition.second, offset);
}

int consume(Consumption& run) {
  bool limited = run.options.has("max-messages") && run.options.number("max-messages") != -1;
  auto limit = static_cast<uint64_t>(run.options.number("max-messages"));
  int64_t timeout_ms = run.options.has("timeout-ms") ? run.options.number("timeout-ms") : -1;
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(run.client);
  std::vector<rd_kafka_message_t*> batch(kBatch);
  std::string out;
  int code = 0;
  bool running = true;
  int64_t last_ms = monotonic_ms();
  while (running && signal_caught() == 0 && (!limited || run.messages < limit)) {
    int64_t wait_ms = 100;
    if (timeout_ms >= 0)
      wait_ms = std::clamp<int64_t>(last_ms + timeout_ms - monotonic_ms(), 0, 100);
    size_t most = limited ? std::min<uint64_t>(kBatch, limit - run.messages) : kBatch;
    // The first record is worth waiting for, the others only taken along.
    ssize_t count = rd_kafka_consume_batch_queue(queue, static_cast<int>(wait_ms), batch.data(), 1);
    if (count == 1 && most > 1) {
      ssize_t more = rd_kafka_consume_batch_queue(queue, 0, batch.data() + 1, most - 1);
      if (more > 0) count += more;
    }
    uint64_t before = run.messages;
    std::span<rd_kafka_message_t*> records(batch.data(),
                                           static_cast<size_t>(std::max<ssize_t>(count, 0)));
    size_t passed = 0;
    while (running && passed < records.size()) running = take(run, *records[passed++], out, code);
    if (out.empty() || write_out(out))
      store_offsets(records.first(passed));
    else
      running = false;
    for (rd_kafka_message_t* record : records) rd_kafka_message_destroy(record);
    if (run.messages != before) last_ms = monotonic_ms();
    if (timeout_ms >= 0 && monotonic_ms() - last_ms > timeout_ms) {
      log_line("ERROR", "Error processing message, terminating consumer process: ", kLogger);
      fmt::print(stderr, "org.apache.kafka.common.errors.TimeoutException\n");
      running = false;
    }
  }
  rd_kafka_queue_destroy(queue);
  return code;
}

bool start(Consumption& run, const Plan& plan) {
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_resp_err_t error;
  if (run.options.has("partition")) {
    auto* entry =
        rd_kafka_topic_partition_list_add(topics, run.options.value("topic").c_str(),
                                          static_cast<int32_t>(run.options.number("partition")));
    entry->offset = plan.offset;
    error = rd_kafka_assign(run.client, topics);
  } else {
    std::string topic = run.options.value("topic");
    if (topic.empty()) {
      const char* option = run.options.has("include") ? "include" : "whitelist";
      topic = fmt::format("^({})$", run.options.value(option));
    }
    (void)rd_kafka_topic_partition_list_add(topics, topic.c_str(), RD_KAFKA_PARTITION_UA);
    error = rd_kafka_subscribe(run.client, topics);
  }
  rd_kafka_topic_partition_list_destroy(topics);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  log_line("ERROR", fmt::format("Unknown error when running consumer: {}", rd_kafka_err2str(error)),
           kLogger);
  return false;
}

}  // namespace

int console_consumer_main(std::span<const std::string> args) {
  auto parsed = parser().parse(args);
  if (!parsed) return usage(parser(), parsed.error());
  const Options& options = *parsed;
  if (auto done = help_or_version(
          parser(), options, args.empty(),
          "This tool helps to read data from Kafka topics and outputs it to standard output."))
    return *done;
  auto plan = plan_of(options);
  if (!plan) return usage(parser(), plan.error());
  bool from_beginning = options.has("from-beginning");
  auto reset = plan->consumer.find("auto.offset.reset");
  if (reset == plan->consumer.end()) {
    plan->consumer["auto.offset.reset"] = from_beginning ? "earliest" : "latest";
  } else if (from_beginning && reset->second != "earliest") {
    fmt::print(stderr,
               "Can't simultaneously specify --from-beginning and 'auto.offset.reset={}', please "
               "remove one option\n",
               reset->second);
    return 1;
  }

  Properties format;
  if (options.has("formatter-config")) {
    auto loaded = load_properties(options.value("formatter-config"));
    if (!loaded) return usage(parser(), loaded.error());
    format = std::move(*loaded);
  }
  for (const char* which : {"key", "value"})
    if (auto given = options.given(fmt::format("{}-deserializer", which)); given && !given->empty())
      format[fmt::format("{}.deserializer", which)] = *given;
  auto extra = key_values(options.values("property"));
  if (!extra) return usage(parser(), extra.error());
  for (auto& [key, value] : *extra) format[key] = value;
  auto formatter = RecordFormatter::make(options.value("formatter"), format);
  if (!formatter) return usage(parser(), formatter.error());

  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  quiet_logging(conf);
  if (!apply_properties(conf, plan->consumer, kConfigLogger)) {
    rd_kafka_conf_destroy(conf);
    return 1;
  }
  char problem[512];
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, sizeof problem);
  if (client == nullptr) {
    log_line("ERROR", fmt::format("Unknown error when running consumer: {}", problem), kLogger);
    rd_kafka_conf_destroy(conf);
    return 1;
  }
  (void)rd_kafka_poll_set_consumer(client);
  catch_signals();
  Consumption run{client, options, *formatter};
  int code = 1;
  if (start(run, *plan)) code = consume(run);
  (void)rd_kafka_consumer_close(client);
  fmt::print(stderr, "Processed a total of {} messages\n", run.messages);
  rd_kafka_destroy(client);
  if (options.has("enable-systest-events")) fmt::print("shutdown_complete\n");
  return signal_caught() != 0 ? 128 + signal_caught() : code;
}

}  // namespace ottla::tools
