#include "test/sim/stack/admin.h"

#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"

namespace ottla::test {

using kmsg::ErrorCode;

Admin::Admin(rt::World world, std::map<std::string, int32_t> traffic, int others, uint64_t seed,
             History& history)
    : Actor(world, "admin", seed, history),
      traffic_(traffic),
      wanted_(std::move(traffic)),
      others_(others) {}

std::string Admin::describe() const {
  return fmt::format("admin wanted={} others={} victim={} last={}", wanted_.size(), others_,
                     victim_, kmsg::error_name(last_error_));
}

void Admin::step() {
  if (!victim_.empty()) return remove();
  if (wanted_.empty() && others_ > 0) {
    --others_;
    if (prng_.chance(0.4)) {
      for (const auto& [topic, partitions] : history_.created)
        if (!traffic_.contains(topic)) victim_ = topic;
    }
    if (!victim_.empty()) {
      history_.created.erase(victim_);
      victim_may_be_gone_ = false;
      return remove();
    }
    wanted_[fmt::format("other-{}", made_++)] = static_cast<int32_t>(prng_.between(1, 3));
  }
  if (!wanted_.empty()) create(wanted_.begin()->first, wanted_.begin()->second);
}

void Admin::create(const std::string& topic, int32_t partitions) {
  kmsg::CreateTopicsRequest request;
  request.timeout_ms = 2000;
  auto& one = request.topics.emplace_back();
  one.name = topic;
  one.num_partitions = partitions;
  one.replication_factor = 1;
  link_.call<kmsg::CreateTopicsResponse>(
      request, 5, 3000, [this, topic, partitions](kmsg::CreateTopicsResponse* response) {
        if (response == nullptr) {
          may_exist_ = true;
          return lost();
        }
        if (response->topics.size() != 1)
          return history_.violated("AnswersFitRequests", "CreateTopics");
        last_error_ = response->topics[0].error_code;
        history_.note(fmt::format("create {} {}", topic, kmsg::error_name(last_error_)));
        bool is_there = last_error_ == ErrorCode::none ||
                        (may_exist_ && last_error_ == ErrorCode::topic_already_exists);
        if (is_there) {
          may_exist_ = false;
          history_.created[topic] = partitions;
          bool was_traffic = traffic_.contains(topic);
          wanted_.erase(topic);
          if (was_traffic && wanted_.empty())
            history_.traffic = traffic_;  // all at once: members never resubscribe
          return again(was_traffic ? 0 : prng_.between(10, 500));
        }
        if (!is_passing(last_error_)) unexpected("CreateTopics", last_error_);
        if (last_error_ != ErrorCode::not_controller) may_exist_ = true;
        again(50);
      });
}

void Admin::remove() {
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
