#include "test/sim/stack/admin.h"

#include "broker/record/batch_builder.h"
#include "broker/record/record_reader.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/fetch.h"
#include "proto/kafka/produce.h"

namespace ottla::test {

using kmsg::ErrorCode;

Admin::Admin(rt::World world, std::map<std::string, int32_t> traffic, int others, uint64_t seed,
             History& history)
    : Actor(world, "admin", seed, history),
      traffic_(traffic),
      wanted_(std::move(traffic)),
      others_(others) {}

std::string Admin::describe() const {
  return fmt::format("admin wanted={} others={} victim={} fill={} audit={} last={}", wanted_.size(),
                     others_, victim_, to_fill_, to_audit_, kmsg::error_name(last_error_));
}

void Admin::step() {
  if (!to_fill_.empty()) return fill();
  if (!to_audit_.empty()) return audit();
  if (!victim_.empty()) return remove();
  if (wanted_.empty() && others_ > 0) choose();
  if (!wanted_.empty()) return create(wanted_.begin()->first, wanted_.begin()->second);
  if (!to_audit_.empty()) audit();
}

// The next change: a topic of a few names comes, or goes after a look at what is in it.
void Admin::choose() {
  --others_;
  std::string name = fmt::format("other-{}", prng_.below(4));
  if (!history_.created.contains(name)) {
    wanted_[name] = static_cast<int32_t>(prng_.between(1, 3));
    return;
  }
  to_audit_ = name;
  if (prng_.chance(0.3)) return;
  victim_ = name;
  victim_may_be_gone_ = false;
}

void Admin::fill() {
  kmsg::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 2000;
  broker::BatchBuilder builder;
  builder.append(world_.loop.wall_ms(), std::nullopt, as_bytes(life_[to_fill_]));
  Buffer batch = builder.finish();
  request.topic_data.emplace_back().name = to_fill_;
  request.topic_data.back().partition_data.emplace_back().records = kmsg::Records::of(batch);
  ++fill_attempts_;
  link_.call<kmsg::ProduceResponse>(request, 7, 3000, [this](kmsg::ProduceResponse* response) {
    if (response == nullptr) return lost();
    const auto& answer = response->responses.at(0).partition_responses.at(0);
    last_error_ = answer.error_code;
    if (last_error_ != ErrorCode::none) {
      if (!is_passing(last_error_)) return unexpected("Produce", last_error_);
      return again(50);
    }
    if (answer.base_offset >= fill_attempts_)
      history_.violated("NewTopicsAreEmpty", fmt::format("{}: record {} at {}", to_fill_,
                                                         fill_attempts_, answer.base_offset));
    to_audit_ = std::exchange(to_fill_, {});
    step();
  });
}

void Admin::audit() {
  kmsg::FetchRequest request;
  request.max_bytes = 1 << 20;
  request.topics.emplace_back().topic = to_audit_;
  request.topics.back().partitions.emplace_back().partition_max_bytes = 1 << 20;
  link_.call<kmsg::FetchResponse>(request, 11, 3000, [this](kmsg::FetchResponse* response) {
    if (response == nullptr) return lost();
    const auto& answer = response->responses.at(0).partitions.at(0);
    last_error_ = answer.error_code;
    if (last_error_ != ErrorCode::none) {
      if (!is_passing(last_error_)) return unexpected("Fetch", last_error_);
      return again(50);
    }
    // After a start the high watermark may take a moment.
    if (answer.high_watermark == 0) return again(50);
    broker::BatchCursor cursor(answer.records.bytes);
    while (auto raw = cursor.next()) {
      auto records = broker::read_records(*raw);
      for (const auto& record : *records)
        if (record.value != life_[to_audit_])
          history_.violated("NewTopicsAreEmpty", fmt::format("{}: {} in the life of {}", to_audit_,
                                                             *record.value, life_[to_audit_]));
    }
    history_.note(fmt::format("{} holds {}", to_audit_, answer.high_watermark));
    to_audit_.clear();
    again(prng_.between(10, 500));
  });
}

void Admin::create(const std::string& topic, int32_t partitions) {
  kmsg::CreateTopicsRequest request;
  request.timeout_ms = 2000;
  auto& one = request.topics.emplace_back();
  one.name = topic;
  one.num_partitions = partitions;
  one.replication_factor = 1;
  bool being_deleted = history_.is_being_deleted(topic);
  link_.call<kmsg::CreateTopicsResponse>(
      request, 5, 3000,
      [this, topic, partitions, being_deleted](kmsg::CreateTopicsResponse* response) {
        if (response == nullptr) {
          may_exist_ = true;
          return lost();
        }
        if (response->topics.size() != 1)
          return history_.violated("AnswersFitRequests", "CreateTopics");
        last_error_ = response->topics[0].error_code;
        history_.note(fmt::format("create {} {}", topic, kmsg::error_name(last_error_)));
        bool exists = last_error_ == ErrorCode::topic_already_exists;
        // A deletion is answered before its last traces are gone.
        if (exists && being_deleted) return again(100);
        bool is_there = last_error_ == ErrorCode::none || (may_exist_ && exists);
        if (is_there) {
          may_exist_ = false;
          history_.created[topic] = partitions;
          bool was_traffic = traffic_.contains(topic);
          wanted_.erase(topic);
          if (was_traffic && wanted_.empty())
            history_.traffic = traffic_;  // all at once: members never resubscribe
          if (!was_traffic) {
            history_.deleted.erase(topic);
            life_[topic] = fmt::format("life {}", ++lives_);
            to_fill_ = topic;
            fill_attempts_ = 0;
          }
          return again(was_traffic ? 0 : prng_.between(0, 500));
        }
        if (!is_passing(last_error_)) unexpected("CreateTopics", last_error_);
        if (last_error_ != ErrorCode::not_controller) may_exist_ = true;
        again(50);
      });
}

void Admin::remove() {
  history_.created.erase(victim_);
  kmsg::DeleteTopicsRequest request;
  request.timeout_ms = 2000;
  request.topic_names = {victim_};
  link_.call<kmsg::DeleteTopicsResponse>(
      request, 5, 3000, [this](kmsg::DeleteTopicsResponse* response) {
        if (response == nullptr) {
          victim_may_be_gone_ = true;
          return lost();
        }
        if (response->responses.size() != 1)
          return history_.violated("AnswersFitRequests", "DeleteTopics");
        last_error_ = response->responses[0].error_code;
        history_.note(fmt::format("delete {} {}", victim_, kmsg::error_name(last_error_)));
        if (last_error_ == ErrorCode::none ||
            (victim_may_be_gone_ && last_error_ == ErrorCode::unknown_topic_or_partition)) {
          history_.deleted.insert(victim_);
          victim_.clear();
          return again(prng_.between(10, 500));
        }
        if (!is_passing(last_error_)) unexpected("DeleteTopics", last_error_);
        if (last_error_ == ErrorCode::request_timed_out) victim_may_be_gone_ = true;
        again(50);
      });
}

}  // namespace ottla::test
