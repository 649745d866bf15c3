// kafka_load: produce, consume and latency through librdkafka, the same for any broker.
//
//   kafka_load produce BROKERS TOPIC --size 1000 --megabytes 500 --codec none --acks -1 [--partitions 4]
//   kafka_load consume BROKERS TOPIC --megabytes 500 [--partitions 4]
//   kafka_load latency BROKERS TOPIC --size 100 --records 5000
//
// Prints one line of key=value. produce: every record acknowledged, else exit 1. latency: one record at
// a time, from the produce call to its arrival in a consumer of the same process.
#include <librdkafka/rdkafka.h>

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "common/base/prng.h"

namespace {

double now_s() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "kafka_load: %s\n", what.c_str());
  std::exit(1);
}

struct Options {
  std::string mode, brokers, topic, codec = "none", acks = "-1";
  size_t size = 1000, megabytes = 100, records = 5000;
  int32_t partitions = 4;
};

Options parse(int argc, char** argv) {
  if (argc < 4) die("usage: kafka_load produce|consume|latency BROKERS TOPIC [--flag value...]");
  Options o{.mode = argv[1], .brokers = argv[2], .topic = argv[3]};
  for (int i = 4; i + 1 < argc; i += 2) {
    std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--size") o.size = std::stoul(value);
    else if (flag == "--megabytes") o.megabytes = std::stoul(value);
    else if (flag == "--records") o.records = std::stoul(value);
    else if (flag == "--codec") o.codec = value;
    else if (flag == "--acks") o.acks = value;
    else if (flag == "--partitions") o.partitions = std::stoi(value);
    else die("unknown flag " + flag);
  }
  return o;
}

rd_kafka_t* client(rd_kafka_type_t type, const Options& o, const std::map<std::string, std::string>& more) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::map<std::string, std::string> all = more;
  all["bootstrap.servers"] = o.brokers;
  for (auto& [key, value] : all)
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) die(error);
  static size_t counts[2];  // acknowledged, failed
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set_opaque(conf, counts);
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
      auto* tally = static_cast<size_t*>(opaque);
  ++tally[message->err == 0 ? 0 : 1];
    });
  }
  rd_kafka_t* handle = rd_kafka_new(type, conf, error, sizeof error);
  if (handle == nullptr) die(error);
  return handle;
}

// Half random, half repeated: compresses to about half, as text does.
std::vector<char> payload(size_t size) {
  ottla::Prng prng(42);
  std::vector<char> bytes(size + 65536);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = (i / 16) % 2 == 0 ? static_cast<char>('a' + prng.below(26)) : static_cast<char>('a' + i % 16);
  return bytes;
}

int produce(const Options& o) {
  rd_kafka_t* producer = client(RD_KAFKA_PRODUCER, o,
                                {{"compression.type", o.codec}, {"acks", o.acks}, {"linger.ms", "5"}, {"batch.size", "1000000"},
                                 {"queue.buffering.max.kbytes", "262144"}, {"queue.buffering.max.messages", "1000000"}});
  auto* counts = static_cast<size_t*>(rd_kafka_opaque(producer));
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, o.topic.c_str(), nullptr);
  std::vector<char> bytes = payload(o.size);
  size_t total = o.megabytes * 1000000 / o.size;
  double began = now_s();
  for (size_t i = 0; i < total; ++i) {
    // A run of records for one partition and then the next: the partitioner is not what is measured.
    auto partition = static_cast<int32_t>(i / 256 % static_cast<size_t>(o.partitions));
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, bytes.data() + i * 97 % 65536, o.size, nullptr, 0, nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(producer, 10);
    }
    if (i % 1024 == 0) rd_kafka_poll(producer, 0);
  }
  if (rd_kafka_flush(producer, 60000) != 0) die("records were not acknowledged within 60 s");
  double elapsed = now_s() - began;
  std::printf("mode=produce records=%zu failed=%zu seconds=%.3f mb_per_s=%.1f records_per_s=%.0f\n", counts[0], counts[1], elapsed,
              static_cast<double>(counts[0] * o.size) / elapsed / 1e6, static_cast<double>(counts[0]) / elapsed);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  return counts[0] == total ? 0 : 1;
}

rd_kafka_t* consumer_at(const Options& o, int64_t offset, std::map<std::string, std::string> more) {
  more["group.id"] = "kafka_load";
  more["enable.auto.commit"] = "false";
  more["check.crcs"] = "false";
  rd_kafka_t* consumer = client(RD_KAFKA_CONSUMER, o, more);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(o.partitions);
  for (int32_t p = 0; p < o.partitions; ++p) rd_kafka_topic_partition_list_add(list, o.topic.c_str(), p)->offset = offset;
  rd_kafka_assign(consumer, list);
  rd_kafka_topic_partition_list_destroy(list);
  return consumer;
}

int consume(const Options& o) {
  rd_kafka_t* consumer = consumer_at(o, RD_KAFKA_OFFSET_BEGINNING,
                                     {{"fetch.message.max.bytes", "1048576"}, {"queued.min.messages", "1000000"}, {"queued.max.messages.kbytes", "131072"}});
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  size_t wanted = o.megabytes * 1000000, got = 0, records = 0;
  double began = 0, until = now_s() + 120;
  std::vector<rd_kafka_message_t*> batch(10000);
  while (got < wanted) {
    ssize_t count = rd_kafka_consume_batch_queue(queue, 200, batch.data(), batch.size());
    if (now_s() > until) die("not everything was delivered within 120 s");
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* message = batch[static_cast<size_t>(i)];
      if (message->err == 0) {
        if (records++ == 0) began = now_s();
        got += message->len;
      }
      rd_kafka_message_destroy(message);
    }
  }
  double elapsed = now_s() - began;
  std::printf("mode=consume records=%zu seconds=%.3f mb_per_s=%.1f records_per_s=%.0f\n", records, elapsed,
              static_cast<double>(got) / elapsed / 1e6, static_cast<double>(records) / elapsed);
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return 0;
}

int latency(const Options& given) {
  Options o = given;
  o.partitions = 1;
  rd_kafka_t* producer = client(RD_KAFKA_PRODUCER, o, {{"linger.ms", "0"}, {"acks", o.acks}, {"socket.nagle.disable", "true"}});
  rd_kafka_t* consumer = consumer_at(o, RD_KAFKA_OFFSET_END, {{"fetch.wait.max.ms", "500"}, {"fetch.min.bytes", "1"}, {"socket.nagle.disable", "true"}});
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, o.topic.c_str(), nullptr);
  std::vector<char> bytes = payload(o.size);
  std::vector<double> taken_ms;
  size_t sequence = 0;
  auto send = [&] {
    std::memcpy(bytes.data(), &sequence, sizeof sequence);
    // The topic may still be in the making.
    for (double until = now_s() + 10; rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, bytes.data(), o.size, nullptr, 0, nullptr) != 0;) {
      if (now_s() > until) die(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(producer, 50);
    }
  };
  // True once the record of this sequence came; earlier ones that come late are passed over.
  auto arrived = [&](int timeout_ms) {
    for (double until = now_s() + timeout_ms / 1e3, left = timeout_ms / 1e3; left > 0; left = until - now_s()) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, static_cast<int>(left * 1e3) + 1);
      if (message == nullptr) return false;
      bool mine = message->err == 0 && message->len == o.size && std::memcmp(message->payload, &sequence, sizeof sequence) == 0;
      rd_kafka_message_destroy(message);
      if (mine) return true;
    }
    return false;
  };
  // The consumer stands at the end once a first record came through.
  for (double until = now_s() + 30; ++sequence, send(), !arrived(200);)
    if (now_s() > until) die("no record was delivered within 30 s");
  while (arrived(300)) {}
  size_t warm_up = o.records / 10;
  for (size_t i = 0; i < o.records + warm_up; ++i) {
    ++sequence;
    double began = now_s();
    send();
    while (!arrived(10000))
      if (now_s() - began > 30) die("a record was lost");
    if (i >= warm_up) taken_ms.push_back((now_s() - began) * 1e3);
    rd_kafka_poll(producer, 0);
  }
  std::sort(taken_ms.begin(), taken_ms.end());
  auto percentile = [&](double p) { return taken_ms[static_cast<size_t>(p * static_cast<double>(taken_ms.size() - 1))]; };
  std::printf("mode=latency records=%zu p50_ms=%.3f p99_ms=%.3f p999_ms=%.3f\n", taken_ms.size(), percentile(0.5), percentile(0.99), percentile(0.999));
  rd_kafka_topic_destroy(topic);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  rd_kafka_destroy(producer);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  if (options.mode == "produce") return produce(options);
  if (options.mode == "consume") return consume(options);
  if (options.mode == "latency") return latency(options);
  die("unknown mode " + options.mode);
}
