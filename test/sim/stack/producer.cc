#include "test/sim/stack/producer.h"

#include <algorithm>

#include "broker/record/batch_builder.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/metadata.h"

namespace ottla::test {

using kmsg::ErrorCode;

bool is_passing(ErrorCode error) {
  switch (error) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::leader_not_available:
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::request_timed_out:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_controller:
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator:
    case ErrorCode::kafka_storage_error:
      return true;
    default:
      return false;
  }
}

Producer::Producer(rt::World world, const ProducerOptions& options, uint64_t seed, History& history)
    : Actor(world, fmt::format("producer-{}", options.number), seed, history),
      options_(options),
      left_(options.requests) {
  if (options_.idempotent) history_.idempotent.insert(options_.number);
}

std::string Producer::describe() const {
  return fmt::format("{} {} left={} pending={} looked_up={} last={}", name_,
                     options_.idempotent ? "idempotent" : "plain", left_, pending_.size(),
                     looked_up_, kmsg::error_name(last_error_));
}

void Producer::step() {
  if (finished()) return;
  if (history_.traffic.empty()) return again(20);
  if (!looked_up_) return look_up();
  if (options_.idempotent && producer_id_ < 0) return init_producer_id();
  if (pending_.empty()) make_batches();
  send();
}

// As a client does after each new connection: what the broker speaks, and who leads.
void Producer::look_up() {
  kmsg::ApiVersionsRequest versions;
  versions.client_software_name = "sim";
  versions.client_software_version = "1";
  link_.call<kmsg::ApiVersionsResponse>(
      versions, 3, 3000, [this](kmsg::ApiVersionsResponse* response) {
        if (response == nullptr) return lost();
        if (response->error_code != ErrorCode::none)
          return unexpected("ApiVersions", response->error_code);
        kmsg::MetadataRequest request;
        request.allow_auto_topic_creation = false;
        request.topics->clear();
        for (const auto& [topic, count] : history_.traffic)
          request.topics->emplace_back().name = topic;
        link_.call<kmsg::MetadataResponse>(
            request, 9, 3000, [this](kmsg::MetadataResponse* metadata) {
              if (metadata == nullptr) return lost();
              for (const auto& topic : metadata->topics) {
                last_error_ = topic.error_code;
                if (topic.error_code == ErrorCode::none) {
                  if (static_cast<int32_t>(topic.partitions.size()) !=
                      history_.traffic[*topic.name])
                    history_.violated(
                        "TopicsSurvive",
                        fmt::format("{} has {} partitions", *topic.name, topic.partitions.size()));
                  for (const auto& partition : topic.partitions)
                    if (partition.error_code != ErrorCode::none) last_error_ = partition.error_code;
                }
                if (last_error_ == ErrorCode::none) continue;
                if (!is_passing(last_error_)) return unexpected("Metadata", last_error_);
                return again(50);
              }
              looked_up_ = true;
              step();
            });
      });
}

void Producer::init_producer_id() {
  kmsg::InitProducerIdRequest request;
  request.transactional_id.reset();
  link_.call<kmsg::InitProducerIdResponse>(
      request, 3, 3000, [this](kmsg::InitProducerIdResponse* response) {
        if (response == nullptr) return lost();
        last_error_ = response->error_code;
        if (response->error_code != ErrorCode::none) {
          if (!is_passing(last_error_)) unexpected("InitProducerId", last_error_);
          return again(50);
        }
        producer_id_ = response->producer_id;
        producer_epoch_ = response->producer_epoch;
        history_.note(fmt::format("{} id {}", name_, producer_id_));
        step();
      });
}

void Producer::make_batches() {
  --left_;
  auto all = history_.partitions();
  for (uint64_t i = 1 + prng_.below(2); i > 0; --i) {
    const TopicPartition& tp = all[prng_.below(all.size())];
    if (pending_.contains(tp)) continue;
    for (int64_t batches = prng_.between(1, options_.window); batches > 0; --batches)
      pending_[tp].push_back(make_batch(tp));
  }
}

Producer::Batch Producer::make_batch(const TopicPartition& tp) {
  Batch batch;
  int64_t& next = next_[tp];
  broker::BatchBuilder::Options options;
  options.codec = options_.codec;
  if (options_.idempotent) {
    options.producer_id = producer_id_;
    options.producer_epoch = producer_epoch_;
    options.base_sequence = static_cast<int32_t>(next);
  }
  broker::BatchBuilder builder(options);
  for (int64_t count = prng_.between(1, 8); count > 0; --count) {
    size_t padding = prng_.below(prng_.chance(0.05) ? 3000 : options_.padding_max);
    batch.values.push_back(make_value(options_.number, next++, padding));
    builder.append(world_.loop.wall_ms(), std::nullopt, as_bytes(batch.values.back()));
  }
  OTTLA_CHECK(builder.finish(batch.bytes));
  batch.last_sequence = next - 1;
  return batch;
}

// The first batches of all partitions make the first request, the second ones the next.
void Producer::send() {
  size_t rounds = 0;
  for (const auto& [tp, batches] : pending_) rounds = std::max(rounds, batches.size());
  in_flight_ = static_cast<int>(rounds);
  lost_one_ = false;
  for (size_t round = 0; round < rounds; ++round) {
    kmsg::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 2000;
    for (const auto& [tp, batches] : pending_) {
      if (round >= batches.size()) continue;
      if (request.topic_data.empty() || request.topic_data.back().name != tp.topic)
        request.topic_data.emplace_back().name = tp.topic;
      auto& data = request.topic_data.back().partition_data.emplace_back();
      data.index = tp.partition;
      data.records = kmsg::Records::of(batches[round].bytes);
    }
    link_.call<kmsg::ProduceResponse>(request, options_.version, 3000,
                                      [this, round](kmsg::ProduceResponse* response) {
                                        if (response != nullptr) on_answer(round, *response);
                                        lost_one_ |= response == nullptr;
                                        if (--in_flight_ == 0) end_round();
                                      });
  }
}

void Producer::on_answer(size_t round, const kmsg::ProduceResponse& response) {
  for (const auto& topic : response.responses)
    for (const auto& partition : topic.partition_responses)
      on_partition({topic.name, partition.index}, round, partition.error_code,
                   partition.base_offset);
}

void Producer::on_partition(const TopicPartition& tp, size_t round, ErrorCode error,
                            int64_t base_offset) {
  auto found = pending_.find(tp);
  if (found == pending_.end() || round >= found->second.size())
    return history_.violated("AnswersFitRequests", name_ + ": an answer for " + tp.to_string());
  std::vector<Batch>& batches = found->second;
  if (error != ErrorCode::none) {
    history_.note(fmt::format("{} refused {} round {}: {}", name_, tp.to_string(), round,
                              kmsg::error_name(error)));
    last_error_ = error;
    looked_up_ = false;
    // Behind a batch that was refused the next ones are out of order.
    if (error == ErrorCode::out_of_order_sequence_number) {
      batches[round].out_of_order =
          round == 0 || batches[round - 1].done || batches[round - 1].out_of_order;
      return;
    }
    if (!is_passing(error)) unexpected("Produce", error);
    return;
  }
  history_.note(fmt::format("{} acked {} at {}", name_, tp.to_string(), base_offset));
  batches[round].done = true;
  acked_through_[tp] = std::max(acked_through_[tp], batches[round].last_sequence);
  for (const std::string& value : batches[round].values) {
    history_.acked[tp].push_back({base_offset++, value});
    ++history_.produced;
  }
}

void Producer::end_round() {
  for (auto at = pending_.begin(); at != pending_.end();) {
    // As with Apache, a start knows of each producer's last batch alone when a snapshot was its
    // source. A repetition of an earlier one is refused; that a later one is there says that it was
    // written.
    for (Batch& batch : at->second) {
      if (!std::exchange(batch.out_of_order, false)) continue;
      batch.done = batch.last_sequence < acked_through_[at->first];
      if (!batch.done && !lost_one_) unexpected("Produce", ErrorCode::out_of_order_sequence_number);
    }
    std::erase_if(at->second, [](const Batch& batch) { return batch.done; });
    at = at->second.empty() ? pending_.erase(at) : std::next(at);
  }
  if (lost_one_) {
    looked_up_ = false;
    return lost();
  }
  again(pending_.empty() ? prng_.between(0, options_.pause_max_ms) : 50);
}

}  // namespace ottla::test
