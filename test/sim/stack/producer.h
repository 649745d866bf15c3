// Producer: sends numbered records to every partition with acks=all, idempotent or plain, and sends
// again what it has no answer to. One request at a time, with one or more partitions in it.
#pragma once

#include <map>
#include <vector>

#include "common/compress/codec.h"
#include "proto/kafka/produce.h"
#include "test/sim/stack/actor.h"

namespace ottla::test {

struct ProducerOptions {
  int number = 0;
  bool idempotent = false;
  int requests = 50;
  compress::Codec codec = compress::Codec::none;
  int16_t version = 9;
  size_t padding_max = 100;
  int64_t pause_max_ms = 50;
};

class Producer final : public Actor {
 public:
  Producer(rt::World world, const ProducerOptions& options, uint64_t seed, History& history);
  bool finished() const override { return left_ == 0 && pending_.empty(); }
  std::string describe() const override;

 private:
  struct Batch {
    Buffer bytes;
    std::vector<std::string> values;
  };
  void step() override;
  void init_producer_id();
  void look_up();
  void make_batches();
  Batch make_batch(const TopicPartition& tp);
  void send();
  void on_answer(const kmsg::ProduceResponse& response);
  void acknowledged(const TopicPartition& tp, int64_t base_offset);

  ProducerOptions options_;
  int left_;
  int64_t producer_id_ = -1;
  int16_t producer_epoch_ = -1;
  bool looked_up_ = false;  // since the last trouble
  std::map<TopicPartition, int64_t> next_;
  std::map<TopicPartition, Batch> pending_;
  kmsg::ErrorCode last_error_ = kmsg::ErrorCode::none;
};

}  // namespace ottla::test
