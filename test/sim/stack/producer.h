// Producer: sends numbered records to every partition with acks=all, idempotent or plain, and sends
// again what it has no answer to. An idempotent one has up to five requests in flight.
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
  int window = 1;
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
    int64_t last_sequence = 0;
    bool done = false;
    bool out_of_order = false;  // refused so, and not for a batch refused before it
  };
  void step() override;
  void init_producer_id();
  void look_up();
  void make_batches();
  Batch make_batch(const TopicPartition& tp);
  void send();
  void on_answer(size_t round, const kmsg::ProduceResponse& response);
  void on_partition(const TopicPartition& tp, size_t round, kmsg::ErrorCode error,
                    int64_t base_offset);
  void end_round();

  ProducerOptions options_;
  int left_;
  int64_t producer_id_ = -1;
  int16_t producer_epoch_ = -1;
  bool looked_up_ = false;  // since the last trouble
  std::map<TopicPartition, int64_t> next_;
  std::map<TopicPartition, std::vector<Batch>> pending_;  // in the order of their sequences
  std::map<TopicPartition, int64_t> acked_through_;
  int in_flight_ = 0;
  bool lost_one_ = false;
  kmsg::ErrorCode last_error_ = kmsg::ErrorCode::none;
};

}  // namespace ottla::test
