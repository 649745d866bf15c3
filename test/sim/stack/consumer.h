// Consumer: a member of the one group: joins, takes its share, reads it from the committed offsets
// on, commits, beats, and joins again when told so. As the leader it deals the partitions out.
#pragma once

#include <map>
#include <vector>

#include "proto/kafka/fetch.h"
#include "proto/kafka/join_group.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/kafka/sync_group.h"
#include "test/sim/stack/actor.h"

namespace ottla::test {

struct ConsumerOptions {
  int number = 0;
  int32_t session_timeout_ms = 3000;
  int16_t fetch_version = 11;
  int32_t partition_max_bytes = 16 << 10;
  int64_t commit_every_ms = 300;
};

class Consumer final : public Actor {
 public:
  Consumer(rt::World world, const ConsumerOptions& options, uint64_t seed, History& history);
  bool finished() const override { return true; }  // the run judges by what is committed
  std::string describe() const override;
  void vanish();  // without a word; comes back as another member
  bool reads() const { return state_ == State::reading; }

 private:
  enum class State { looking, joining, syncing, loading, reading };
  void step() override;
  void find_coordinator();
  void join();
  void on_joined(const kmsg::JoinGroupResponse& response);
  void sync(const std::vector<std::string>& members);
  void on_synced(const kmsg::SyncGroupResponse& response);
  void load_offsets();
  void on_offsets(const kmsg::OffsetFetchResponse& response,
                  const std::map<TopicPartition, int64_t>& floor);
  void heartbeat();
  void commit();
  void fetch();
  void on_fetched(const kmsg::FetchResponse& response,
                  const std::map<TopicPartition, int64_t>& hw_floor);
  void on_group_error(const char* where, kmsg::ErrorCode error);
  void no_answer();

  ConsumerOptions options_;
  State state_ = State::looking;
  std::string member_id_;
  int32_t generation_ = -1;
  std::vector<TopicPartition> mine_;
  std::map<TopicPartition, int64_t> position_, committed_;
  Instant beat_at_, commit_at_;
  kmsg::ErrorCode last_error_ = kmsg::ErrorCode::none;
};

}  // namespace ottla::test
