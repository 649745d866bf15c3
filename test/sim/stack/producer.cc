#include "test/sim/stack/producer.h"

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
    if (!pending_.contains(tp)) pending_[tp] = make_batch(tp);
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
  return batch;
}

void Producer::send() {
  kmsg::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 2000;
  for (const auto& [tp, batch] : pending_) {
    if (request.topic_data.empty() || request.topic_data.back().name != tp.topic)
      request.topic_data.emplace_back().name = tp.topic;
    auto& data = request.topic_data.back().partition_data.emplace_back();
    data.index = tp.partition;
    data.records = kmsg::Records::of(batch.bytes);
  }
  link_.call<kmsg::ProduceResponse>(request, options_.version, 3000,
                                    [this](kmsg::ProduceResponse* response) {
                                      if (response != nullptr) return on_answer(*response);
                                      looked_up_ = false;
                                      lost();
                                    });
}

void Producer::on_answer(const kmsg::ProduceResponse& response) {
  for (const auto& topic : response.responses)
    for (const auto& partition : topic.partition_responses) {
      if (partition.error_code == ErrorCode::none) {
        acknowledged({topic.name, partition.index}, partition.base_offset);
        continue;
      }
      last_error_ = partition.error_code;
      looked_up_ = false;
      if (!is_passing(last_error_)) return unexpected("Produce", last_error_);
    }
  again(pending_.empty() ? prng_.between(0, options_.pause_max_ms) : 50);
}

void Producer::acknowledged(const TopicPartition& tp, int64_t base_offset) {
  auto batch = pending_.find(tp);
  if (batch == pending_.end())
    return history_.violated("AnswersFitRequests", name_ + ": an answer for " + tp.to_string());
  history_.note(fmt::format("{} acked {} at {}", name_, tp.to_string(), base_offset));
  for (std::string& value : batch->second.values) {
    history_.acked[tp].push_back({base_offset++, std::move(value)});
    ++history_.produced;
  }
  pending_.erase(batch);
}

}  // namespace ottla::test
