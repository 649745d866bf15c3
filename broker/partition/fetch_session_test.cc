#include <catch2/catch.hpp>

#include "broker/partition/fetch_session.h"

using namespace ottla;
using namespace ottla::broker;
using kmsg::ErrorCode;

namespace {

FetchSessionRequest full(int partitions, bool follower = false) {
  FetchSessionRequest request;
  request.epoch = 0;
  request.follower = follower;
  for (int i = 0; i < partitions; ++i) {
    FetchPartition partition;
    partition.topic = "t";
    partition.partition = i;
    partition.max_bytes = 1000;
    request.partitions.push_back(partition);
  }
  return request;
}

FetchSessionRequest next(int32_t id, int32_t epoch) {
  FetchSessionRequest request;
  request.session_id = id;
  request.epoch = epoch;
  return request;
}

std::vector<FetchOutcome> quiet(size_t count, int64_t hw = 0) {
  return std::vector<FetchOutcome>(count, FetchOutcome{false, false, false, hw, 0});
}

int32_t open_session(FetchSessionCache& cache, int partitions, int64_t now_ms,
                     bool follower = false) {
  auto context = cache.begin(full(partitions, follower), now_ms);
  return cache.finish(context, quiet(context.partitions().size()), now_ms).session_id;
}

}  // namespace

TEST_CASE("a session tells only what is new, and turns served partitions to the end") {
  FetchSessionCache cache(1000, 1);
  int32_t id = open_session(cache, 3, 0);
  REQUIRE(id > 0);
  auto context = cache.begin(next(id, 1), 1);
  REQUIRE(context.partitions().size() == 3);
  auto outcomes = quiet(3);
  outcomes[0].has_records = true;
  outcomes[1].hw = 7;
  auto told = cache.finish(context, outcomes, 1);
  CHECK(told.session_id == id);
  CHECK(told.include == std::vector<bool>{true, true, false});

  context = cache.begin(next(id, 2), 2);
  CHECK(context.partitions().back().partition == 0);
  outcomes = quiet(3);
  outcomes[0].hw = 7;  // partition 1 again: known by now
  CHECK(cache.finish(context, outcomes, 2).include == std::vector<bool>{false, false, false});
}

TEST_CASE("what nobody knew when a session began comes last in it") {
  FetchSessionCache cache(1000, 1);
  auto context = cache.begin(full(4), 0);
  auto outcomes = quiet(4);
  outcomes[0].unknown = outcomes[2].unknown = true;
  int32_t id = cache.finish(context, outcomes, 0).session_id;
  context = cache.begin(next(id, 1), 1);
  std::vector<int32_t> order;
  for (const FetchPartition& each : context.partitions()) order.push_back(each.partition);
  CHECK(order == std::vector<int32_t>{1, 3, 0, 2});
}

TEST_CASE("a session may begin without partitions") {
  FetchSessionCache cache(1000, 1);
  CHECK(open_session(cache, 0, 0) > 0);
}

TEST_CASE("after an error the next good answer is news") {
  FetchSessionCache cache(1000, 1);
  int32_t id = open_session(cache, 1, 0);
  auto context = cache.begin(next(id, 1), 1);
  FetchOutcome failed;
  failed.error = true;
  CHECK(cache.finish(context, {failed}, 1).include[0]);
  context = cache.begin(next(id, 2), 1);
  CHECK(cache.finish(context, quiet(1), 1).include[0]);
}

TEST_CASE("what a divergence was told with is known") {
  FetchSessionCache cache(1000, 1);
  int32_t id = open_session(cache, 1, 0);
  auto context = cache.begin(next(id, 1), 1);
  auto outcomes = quiet(1, 7);
  outcomes[0].must_tell = true;
  CHECK(cache.finish(context, outcomes, 1).include[0]);
  context = cache.begin(next(id, 2), 1);
  CHECK_FALSE(cache.finish(context, quiet(1, 7), 1).include[0]);
}

TEST_CASE("epochs, forgotten partitions and strangers") {
  FetchSessionCache cache(1000, 1);
  int32_t id = open_session(cache, 2, 0);
  CHECK(cache.begin(next(id, 5), 0).error() == ErrorCode::invalid_fetch_session_epoch);
  CHECK(cache.begin(next(12345, 1), 0).error() == ErrorCode::fetch_session_id_not_found);
  CHECK(cache.begin(next(-4, 1), 0).error() == ErrorCode::fetch_session_id_not_found);
  CHECK(cache.begin(next(INT32_MAX, 1), 0).error() == ErrorCode::fetch_session_id_not_found);
  auto request = next(id, 1);
  request.topic_ids = true;
  CHECK(cache.begin(request, 0).error() == ErrorCode::fetch_session_topic_id_error);
  // A topic without an id cannot be a session's.
  request = next(0, 0);
  request.topic_ids = true;
  request.partitions.emplace_back().topic = "t";
  CHECK(cache.begin(request, 0).error() == ErrorCode::unknown_server_error);
  request.epoch = FetchSessionCache::kFinalEpoch;
  CHECK(cache.begin(request, 0).error() == ErrorCode::none);
  request = next(id, 1);
  request.forgotten = {{{}, "t", 0}};
  CHECK(cache.begin(request, 0).partitions().size() == 1);
  request = next(id, 2);
  request.forgotten = {{{}, "t", 1}};
  auto context = cache.begin(request, 0);
  CHECK(context.partitions().empty());
  CHECK(cache.finish(context, {}, 0).session_id == 0);
  CHECK(cache.session_count() == 0);
}

TEST_CASE("an incremental fetch adds partitions, and moves on in those it has") {
  FetchSessionCache cache(1000, 1);
  int32_t id = open_session(cache, 1, 0);
  CHECK(cache.partition_count() == 1);
  auto request = next(id, 1);
  request.partitions = full(2).partitions;
  request.partitions[0].fetch_offset = 42;
  request.partitions[0].max_bytes = 7;
  auto context = cache.begin(request, 1);
  REQUIRE(context.partitions().size() == 2);
  CHECK(context.partitions()[0].fetch_offset == 42);
  CHECK(context.partitions()[0].max_bytes == 7);
  // What was told of the first is remembered; of the second nothing was.
  CHECK(cache.finish(context, quiet(2), 1).include == std::vector<bool>{false, true});
  CHECK(cache.partition_count() == 2);
  // Two requests at once on one session: the older one's answer is refused.
  auto older = cache.begin(next(id, 2), 2), newer = cache.begin(next(id, 3), 2);
  auto refused = cache.finish(older, quiet(2), 2);
  CHECK(refused.error == ErrorCode::invalid_fetch_session_epoch);
  CHECK(refused.include == std::vector<bool>{false, false});
  CHECK(cache.finish(newer, quiet(2), 2).error == ErrorCode::none);
  request = next(id, 4);
  request.topic_ids = true;
  request.forgotten.emplace_back();
  CHECK(cache.begin(request, 3).error() == ErrorCode::fetch_session_topic_id_error);
  request = next(0, 0);
  request.topic_ids = true;
  request.forgotten.emplace_back();
  CHECK(cache.begin(request, 3).error() == ErrorCode::none);  // a new session forgets nothing
}

TEST_CASE("the cache is bounded and pushes out the least valuable") {
  FetchSessionCache cache(8, 1);  // one slot in each of the eight shards
  std::vector<int32_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(open_session(cache, 2, 0));
  CHECK(open_session(cache, 2, 1) == 0);  // nobody is old enough
  CHECK(cache.session_count() == 8);
  // Seven of them stay in use; all lived long enough to be measured.
  int64_t later = FetchSessionCache::kEvictionMs + 10;
  for (int32_t id : ids) cache.finish(cache.begin(next(id, 1), later), quiet(2), later);
  CHECK(open_session(cache, 1, later) == 0);        // worth less than what is there
  CHECK(open_session(cache, 1, later, true) != 0);  // a follower is worth more
  CHECK(cache.evictions() == 1);
  CHECK(cache.session_count() == 8);
  CHECK(open_session(cache, 1, 3 * later) != 0);  // an idle one goes in any case
}
